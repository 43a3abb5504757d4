"""`sync-h2 misbehave`: its list, its arguments, its lines and its end. What clients do is in tests/interop/."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sync_h2
from support.programs.command_line import Running, run
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode
from sync_h2.cli.misbehave.paths import PATHS, route_all
from sync_h2.testing import ScriptedServer

PATIENCE = 20.0


@contextmanager
def misbehaving(*arguments: object) -> Iterator[tuple[Running, str]]:
    """The command on a free port, and its URL."""
    command = Running("misbehave", "--port", "0", *arguments)
    try:
        yield command, command.match(r"^sync-h2: misbehaving at (\S+?)[,;]")[0][1]
    finally:
        command.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_and_what_and_ends_quietly(number: int) -> None:
    with misbehaving() as (command, url), sync_h2.Client(base_url=url, h2c=True, trust_env=False) as client:
        assert client.get("/ok", timeout=PATIENCE).status_code == 200
        with pytest.raises(sync_h2.ReadTimeout):
            client.get("/silent", timeout=(PATIENCE, 0.1))
        command.match(r"^sync-h2: connection 1, stream 3: GET /silent$")
        before = len(command.lines)
        command.signal(number)
        assert command.end() == 0
        assert len(command.lines) == before == 3


def test_a_page_lists_everything() -> None:
    with ScriptedServer() as server, server.client(retries=0, timeout=PATIENCE) as client:
        route_all(server)
        listing = client.get("/").text
        for path in PATHS:
            assert f"  {path.path} " in listing
            assert path.what in listing
        for code in ErrorCode:
            assert code.name in listing
            with pytest.raises(sync_h2.RequestException, match=rf"\b{code.name}\b"):
                client.get(f"/reset/{code.name}")


def test_tls_with_a_certificate_made_on_the_spot() -> None:
    with misbehaving("--tls", "--quiet") as (command, url), sync_h2.Client(verify=False) as client:
        assert url.startswith("https://")
        command.match("with a certificate made for this run")
        response = client.get(f"{url}/ok", timeout=PATIENCE)
        assert (response.status_code, response.http_version) == (200, "HTTP/2")
        assert len(command.lines) == 1  # quiet


def test_tls_with_a_certificate(certificate: Certificate) -> None:
    with (
        misbehaving("--cert", certificate.certfile, "--key", certificate.keyfile) as (_, url),
        sync_h2.Client(verify=str(certificate.cafile)) as client,
    ):
        assert client.get(f"{url}/ok", timeout=PATIENCE).status_code == 200


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with (
        misbehaving("--host", f"unix:{path}") as (_, url),
        sync_h2.connect(url) as session,
        session.request({":path": "/trailers"}) as stream,
    ):
        assert stream.read()
        assert dict(stream.wait_trailers()) == {"x-checksum": "7"}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--key", "x"), 2, "--key needs --cert"),
        (("--cert", "/no/such/file"), 1, "cannot use certificate '/no/such/file'"),
        (("--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1:8080: "),
        (("--host", "unix:/no/such/folder/socket"), 1, "cannot listen on unix:/no/such/folder/socket: "),
        (("--port", "70000"), 2, "70000 is no port"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], status: int, message: str) -> None:
    finished = run("misbehave", *arguments)
    assert finished.returncode == status
    assert finished.stderr.decode().startswith("sync-h2: ")
    assert message in finished.stderr.decode()
