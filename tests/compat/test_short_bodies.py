"""What an application has written of a body that stays short is sent before that is cut off, over both versions."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.http1_client import GET, dial
from sync_h2 import compat

LENGTH = [("Content-Length", "100")]


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
