"""gunicorn's access log shows what clients send: as printable text, whatever the format asks for."""

from __future__ import annotations

import base64
from collections.abc import Callable

import sync_h2
from support.programs.gunicorns import Gunicorn, gunicorn

__all__ = ["gunicorn"]

CONTROLS = "\x01\x1b[2J\x7f\x85\x9b"
FORMAT = (
    'ACCESS %(r)s %(U)s %(q)s "%(f)s" "%(a)s" %(u)s %({x-a}i)s %({x-absent}i)s %({http_x_a}e)s %({raw_uri}e)s %(s)s END'
)


def test_fields_and_targets_are_printable(gunicorn: Callable[..., Gunicorn]) -> None:
    process = gunicorn("--access-logfile=-", f"--access-logformat={FORMAT}")
    (url,) = process.addresses()
    user = base64.b64encode(b"a\nb\x1b:secret").decode()
    with sync_h2.connect(url) as session:
        fields = {"x-a": CONTROLS, "referer": CONTROLS, "user-agent": CONTROLS, "authorization": f"Basic {user}"}
        assert session.request({":path": "/%0a%1b\x85?\x9b", **fields}).read(timeout=10)
    process.says("200 END")
    (line,) = [line for line in process.log.split("\n") if line.startswith("ACCESS")]
    assert line.isprintable()
    shown = r"\x01\x1b[2J\x7f\x85\x9b"
    assert line.endswith(rf'"{shown}" "{shown}" a\x0ab\x1b {shown} - {shown} /%0a%1b\x85?\x9b 200 END')


def test_requests_that_wait_for_a_thread_are_told_of_in_its_words(gunicorn: Callable[..., Gunicorn]) -> None:
    process = gunicorn("--threads=2")
    (url,) = process.addresses()
    with sync_h2.connect(url) as session:
        streams = [session.request({":path": "/?sleep=1.5"}) for _ in range(3)]
        for stream in streams:
            assert stream.read(timeout=30)
    process.says("a larger --threads lets more of them run at once")
    assert "max_workers" not in process.log
