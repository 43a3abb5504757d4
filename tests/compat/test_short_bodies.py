"""What an application has written of a body that stays short is sent before that is cut off, over both versions."""

from __future__ import annotations

import http.server
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.peers.http1_client import GET, dial
from support.threads.background import PATIENCE
from support.tls.certificates import Certificate
from sync_h2 import compat

LENGTH = [("Content-Length", "100")]
CONTENT = b"what there is"


def one_piece(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", LENGTH)
    return [b"what there is"]


def pieces(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", LENGTH)
    yield b"what "
    yield b"there is"


def pieces_and_an_error(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield from pieces(environ, start_response)
    raise ValueError("as it was told")


def written(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", LENGTH)(b"what there is")
    return []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header(*LENGTH[0])
        self.end_headers()
        self.wfile.write(b"what there is")


def handler(stream: Any, headers: Any) -> None:
    stream.respond(dict(LENGTH))
    stream.write(b"what there is")


HANDLERS = {
    "one piece": compat.wsgi(one_piece),
    "pieces": compat.wsgi(pieces),
    "pieces and an error": compat.wsgi(pieces_and_an_error),
    "written": compat.wsgi(written),
    "http.server": compat.handler_for(Handler),
    "a handler": handler,
}


@pytest.mark.parametrize("name", HANDLERS)
def test_what_was_written_comes_before_the_cut(name: str) -> None:
    with sync_h2.create_server(HANDLERS[name], allow_http1=True) as server:
        with dial(server.address) as client:
            client.send(GET)
            head, _, body = client.rest().partition(b"\r\n\r\n")
            assert b"content-length: 100" in head
            assert body == b"what there is"
        with sync_h2.connect(server.url) as session:
            stream = session.request()
            with pytest.raises(sync_h2.StreamReset) as caught:
                stream.read(timeout=10)
            assert caught.value.partial == b"what there is"


def error_at_once(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield CONTENT
    raise ValueError("as it was told")


def error_behind_a_write(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])(CONTENT)
    raise ValueError("as it was told")


class Failing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)
        raise ValueError("as it was told")


def failing(stream: Any, headers: Any) -> None:
    stream.respond({})
    stream.write(CONTENT)
    raise ValueError("as it was told")


def resetting(stream: Any, headers: Any) -> None:
    stream.respond({})
    stream.write(CONTENT)
    stream.close(sync_h2.ErrorCode.CANCEL)


WITHOUT_LENGTH = {
    "pieces and an error": compat.wsgi(error_at_once),
    "written": compat.wsgi(error_behind_a_write),
    "http.server": compat.handler_for(Failing),
    "a handler": failing,
    "a reset": resetting,
}


@pytest.mark.parametrize("name", WITHOUT_LENGTH)
@pytest.mark.parametrize("tls", [False, True])
def test_so_it_does_where_the_end_of_the_connection_is_that_of_the_body(
    name: str, tls: bool, certificate: Certificate
) -> None:
    """HTTP/1.0: a reset tells that the body is not whole; over TLS, that no goodbye came."""
    options = {"certfile": certificate.certfile, "keyfile": certificate.keyfile} if tls else {}
    create = sync_h2.create_secure_server if tls else sync_h2.create_server
    with (
        create(WITHOUT_LENGTH[name], allow_http1=True, **options) as server,
        socket.create_connection(server.address) as sock,
    ):
        if tls:
            sock = ssl.create_default_context(cafile=certificate.cafile).wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            )
        sock.settimeout(PATIENCE)
        with sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            received = b""
            with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
                while True:
                    piece = sock.recv(1000)
                    assert piece, "it ends as if it were whole"
                    received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            assert b"content-length" not in head
            assert body == CONTENT
