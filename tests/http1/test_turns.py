"""Whose chunks or requests of HTTP/1.1 are tiny and many takes turns with others; and what keeps its session open."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.peers.http1_client import get
from support.threads.background import eventually
from support.threads.turns import CountedTurns, counted
from sync_h2 import ThreadingServer, create_server
from sync_h2.connection.receiving.turns import MOST_AT_ONCE

__all__ = ["counted"]

UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENCE = 20.0

Serve = Callable[..., tuple[ThreadingServer, socket.socket]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server of HTTP/1.1 with a client's connection to it."""
    made: list[tuple[ThreadingServer, socket.socket]] = []

    def make(handler: Any, **options: Any) -> tuple[ThreadingServer, socket.socket]:
        server = create_server(handler, allow_http1=True, **options)
        server.start()
        sock = socket.create_connection(server.address, PATIENCE)
        made.append((server, sock))
        return made[-1]

    yield make
    for server, sock in made:
        sock.close()
        server.close(1)


def read_all(stream: Any, headers: Any) -> None:
    stream.end(b"%d" % len(stream.read(timeout=PATIENCE)))


def until(sock: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        octets = sock.recv(65_536)
        assert octets, received
        received += octets
    return received


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"001;a=b\r\nx\r\n"])
def test_tiny_chunks_wait_for_their_turn_and_lose_nothing(serve: Serve, counted: CountedTurns, chunk: bytes) -> None:
    _, sock = serve(read_all)
    with counted:
        sock.sendall(UPLOAD + chunk * 600 + b"0\r\n\r\n")
        eventually(lambda: counted.waiting)
    assert b"600" in until(sock, b"\r\n0\r\n\r\n")
    assert counted.taken > 3  # none of them is a long one


def test_requests_at_once_wait_for_their_turn(serve: Serve, counted: CountedTurns) -> None:
    _, sock = serve(lambda stream, headers: stream.end(b"hello"))
    sock.sendall(get("/") * 300)
    received = b""
    while received.count(b"hello") < 300:
        received += sock.recv(65_536)


def test_large_chunks_take_no_turns(serve: Serve, counted: CountedTurns) -> None:
    _, sock = serve(read_all)
    sock.sendall(UPLOAD + (b"1000\r\n" + bytes(0x1000) + b"\r\n") * 100 + b"0\r\n\r\n")
    assert b"409600" in until(sock, b"\r\n0\r\n\r\n")
    assert not counted.taken


def test_chunks_that_nobody_wants_are_thrown_away_in_short_turns(serve: Serve) -> None:
    """And the request behind them is served."""
    at_once: list[int] = []
    begun = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        if headers[":method"] == "POST" and not begun.is_set():
            session = stream.session
            take = session._protocol._take

            def counting(*arguments: Any) -> Any:
                before = session._protocol.pieces
                data = take(*arguments)
                at_once.append(session._protocol.pieces - before)
                return data

            session._protocol._take = counting
            begun.set()
        stream.end(b"hello")

    _, sock = serve(handler)
    sock.sendall(UPLOAD)
    until(sock, b"\r\n0\r\n\r\n")
    sock.sendall(b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n" + get("/"))
    until(sock, b"\r\n0\r\n\r\n")
    assert sum(at_once) > 2000
    assert max(at_once) <= MOST_AT_ONCE


@pytest.mark.parametrize("octets", [b"", b"\r\n"])
def test_blank_lines_between_requests_keep_no_session(serve: Serve, octets: bytes) -> None:
    server, sock = serve(lambda stream, headers: stream.end(b"hello"), idle_timeout=0.3)
    sock.sendall(get("/"))
    until(sock, b"\r\n0\r\n\r\n")
    (session,) = server.sessions
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not session.destroyed and time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # it ends
            sock.sendall(octets)
        pause.wait(0.02)
    assert session.destroyed
