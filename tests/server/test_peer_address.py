"""Who a client was stays known when it has gone: it may reset the connection with its first request, and what it sent
is served all the same. "" is what the peer of a Unix socket has, whom programs trust.
"""

from __future__ import annotations

import http.server
import socket
import struct
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from support.octets import frames
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import ServerSession, connect, create_secure_server, create_server
from sync_h2.compat import handler_for, wsgi
from sync_h2.constants import PREFACE

HTTP_1 = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
HTTP_2 = PREFACE + frames.settings() + frames.request(1)


class AtOnce(Executor):
    """Runs handlers on the thread that reads their requests, before it can see that the client has gone."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **named))
        return future


def send_and_reset(address: Any, octets: bytes) -> Any:
    """Connect, send, reset, all before the server accepts; the client's address."""
    client = socket.create_connection(address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sendall(octets)
    name = client.getsockname()
    client.close()
    return name


@pytest.mark.parametrize("octets", [HTTP_1, HTTP_2], ids=["HTTP/1.1", "HTTP/2"])
def test_an_application_sees_who_has_reset_the_connection(octets: bytes) -> None:
    seen: list[tuple[str, str]] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append((environ["REMOTE_ADDR"], environ["REMOTE_PORT"]))
        start_response("200 OK", [])
        return []

    server = create_server(wsgi(application), allow_http1=True, executor=AtOnce())
    host, port = send_and_reset(server.address, octets)
    with server:
        eventually(lambda: seen)
    assert seen == [(host, str(port))]


def test_a_handler_class_of_the_standard_library_sees_it_too() -> None:
    seen: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.client_address)

    server = create_server(handler_for(Handler), allow_http1=True, executor=AtOnce())
    name = send_and_reset(server.address, HTTP_1)
    with server:
        eventually(lambda: seen)
    assert seen == [name]


def test_the_sessions_of_those_who_have_gone_count_towards_their_address() -> None:
    sessions: list[ServerSession] = []
    server = create_server(
        lambda stream, headers: None, max_sessions_per_address=1, listeners={"session": sessions.append}
    )
    name = send_and_reset(server.address, HTTP_2)
    with server:
        eventually(lambda: sessions)
        assert sessions[0]._peer_address == name


def test_over_tls_it_is_what_accept_gave(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_h2.transport.transport.peer_address", lambda sock: ("0.0.0.0", 0))
    names: list[Any] = []
    with (
        create_secure_server(
            lambda stream, headers: stream.end(b""),
            certfile=certificate.certfile,
            keyfile=certificate.keyfile,
            listeners={"session": lambda session: names.append(session.socket.getpeername())},
        ) as server,
        connect(server.url, cafile=certificate.cafile) as session,
    ):
        session.request().read(timeout=10)
        own_name = session.socket.getsockname()
    assert names == [own_name]


def test_the_peer_of_a_unix_socket_has_an_empty_one(tmp_path: Path) -> None:
    seen: list[str] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(environ["REMOTE_ADDR"])
        start_response("200 OK", [])
        return []

    with create_server(wsgi(application), f"unix:{tmp_path}/sock") as server, connect(server.url) as session:
        session.request().read(timeout=10)
    assert seen == [""]
