"""What a client sends reaches no log line of the server's but as printable text: it can neither begin a line of its own
nor command the terminal on which somebody reads the log.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.octets import frames
from support.octets.fields import REQUEST
from support.threads.background import eventually
from sync_h2 import ServerRequest, create_server
from sync_h2.compat import wsgi
from sync_h2.constants import PREFACE

# Ends of lines for files, for terminals and for Python's splitlines, and beginnings of escape sequences.
CONTROLS = "\x01\x07\x08\x0b\x0c\x1b[2J\x1c\x7f\x85\x9b2J\xa0\xad"
OCTETS = CONTROLS.encode("latin-1")
END = frames.END_HEADERS | frames.END_STREAM


def http2(*fields: tuple[str, str], more: bytes = b"") -> bytes:
    return PREFACE + frames.settings() + frames.headers(1, *fields, flags=END) + more


KINDS = {
    "a path": http2(*frames.replaced(REQUEST, path="/\x85\x9b")),
    "a path with controls": http2(*frames.replaced(REQUEST, path="/" + CONTROLS)),
    "an authority": http2(*frames.replaced(REQUEST, authority=CONTROLS)),
    "a method": http2(*frames.replaced(REQUEST, method=CONTROLS)),
    "a scheme": http2(*frames.replaced(REQUEST, scheme=CONTROLS)),
    "a host": http2(*REQUEST, ("host", CONTROLS)),
    "a value": http2(*REQUEST, ("x-a", CONTROLS), ("user-agent", CONTROLS), ("referer", CONTROLS)),
    "a name": http2(*REQUEST, (CONTROLS, "a")),
    "a pseudo-header field": http2(*REQUEST, (":" + CONTROLS, "a")),
    "a length": http2(*REQUEST, ("content-length", CONTROLS)),
    "a priority": http2(*REQUEST, ("priority", CONTROLS)),
    "te": http2(*REQUEST, ("te", CONTROLS)),
    "GOAWAY": http2(*REQUEST, more=frames.goaway(0, 2, OCTETS)),
    "PRIORITY_UPDATE": http2(*REQUEST, more=frames.priority_update(1, OCTETS)),
    "a preface": OCTETS * 3,
    "a header block": PREFACE + frames.settings() + frames.frame(frames.HEADERS, END, 1, b"\xff" * 30 + OCTETS),
    "HTTP/1.1: a method": b"G" + OCTETS + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1: a target": b"GET /\x85\x9b HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1: a target with controls": b"GET /" + OCTETS + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/1.1: a version": b"GET / HTTP/" + OCTETS + b"\r\nHost: a\r\n\r\n",
    "HTTP/1.1: a host": b"GET / HTTP/1.1\r\nHost: \x01\x9b\r\n\r\n",
    "HTTP/1.1: a value": b"GET / HTTP/1.1\r\nHost: a\r\nx: \x01\x1b[2J\x7f\x85\x9b\r\n\r\n",
    "HTTP/1.1: a name": b"GET / HTTP/1.1\r\nHost: a\r\n\x1b\x9b: a\r\n\r\n",
    "HTTP/1.1: a line": b"GET / HTTP/1.1\r\nHost: a\r\n" + OCTETS + b"\r\n\r\n",
    "HTTP/1.1: a coding": b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x1b\x9b\r\n\r\n",
    "HTTP/1.1: a length": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: \x1b\x9b\r\n\r\n",
    "HTTP/1.1: a trailer": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\x1b\x9b\r\n\r\n",
}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What was logged so far."""
    with caplog.at_level(logging.DEBUG, "sync_h2"):
        yield lambda: [record.getMessage() for record in caplog.records if record.name.startswith("sync_h2")]


def application(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def no_answer(stream: Any, headers: Any) -> None:
    pass


@pytest.mark.parametrize("handler", [wsgi(application), no_answer], ids=["answered", "not answered"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_client_sends_is_printable_in_the_log(
    kind: str, handler: Any, lines: Callable[[], list[str]], tmp_path: Path
) -> None:
    name = f"{tmp_path}/a\nclient\x1b\x9b"
    trace: list[str] = []
    with create_server(handler, f"unix:{tmp_path}/server", allow_http1=True, trace=trace.append) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.bind(name)
            client.connect(server.address)
            eventually(
                lambda: server._connections._newcomers or server.sessions
            )  # it is not taken for one that is over
            client.sendall(KINDS[kind])
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            while client.recv(65_536):
                pass
        eventually(lambda: not server.sessions)
    assert trace or "HTTP/1.1" not in kind  # a reset is seen by the trace alone
    assert all(line.isprintable() for line in [*lines(), *trace])
    if kind == "a path" and handler is not no_answer:
        assert any(line.startswith(rf'unix:{tmp_path}/a\x0aclient\x1b\x9b "GET /\x85\x9b HTTP/2" ') for line in lines())


def test_a_request_shows_its_path_in_one_line() -> None:
    shown = []

    def on_request(request: ServerRequest, response: Any) -> None:
        shown.append(repr(request))
        response.end()

    with create_server(on_request=on_request) as server, socket.create_connection(server.address) as client:
        client.sendall(KINDS["a path"])
        eventually(lambda: shown)
    assert shown[0].isprintable()
