"""What a server's session says it takes covers what its client has it keep."""

from __future__ import annotations

import gc
import socket
import threading
import tracemalloc
from typing import Any

import pytest

from support.attacks.memory_takers import KINDS
from support.octets import frames
from support.octets.fields import UPLOAD
from support.peers.http1_client import get, http1_session
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, serve_socket

REQUESTS = 30


def taken() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.tracemalloc
@pytest.mark.parametrize("looks", [False, True], ids=["waiting", "looked at"])
@pytest.mark.parametrize("kind", KINDS)
def test_requests(kind: str, looks: bool) -> None:
    released = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        released.wait(20)

    with server_and_raw_client(handler, max_workers=1) as (session, peer):
        try:
            octets = KINDS[kind](REQUESTS, "/", 0)
            tracemalloc.start(1)
            before, counted_before = taken(), session._memory_taken()
            peer.sock.sendall(octets)
            eventually(lambda: session._jobs == REQUESTS)
            for state in list(session._streams.values()) if looks else ():
                assert state.request_headers is not None
                state.request_headers.pairs()
            counted = session._memory_taken() - counted_before
            # What others than its maker have dropped goes late without the interpreter's lock.
            eventually(lambda: taken() - before <= counted)
            if looks:
                assert counted <= 4 * (taken() - before)
        finally:
            tracemalloc.stop()
            released.set()
        eventually(lambda: session._jobs == 0)
        eventually(lambda: session._header_memory.together == 0)


def test_bodies_that_nobody_reads_and_what_is_given_back() -> None:
    released = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        released.wait(20)
        stream.end(b"%d" % len(stream.read()))

    with server_and_raw_client(handler) as (session, peer):
        empty = session._memory_taken()
        for stream_id in range(1, 11, 2):
            peer.headers(stream_id, UPLOAD)
            peer.sock.sendall(frames.data(stream_id, bytes(10_000)) * 5)
        eventually(lambda: session._memory_taken() >= empty + 250_000)
        peer.reset(1, ErrorCode.CANCEL)
        released.set()
        for stream_id in range(3, 11, 2):
            peer.sock.sendall(frames.data(stream_id, b"", frames.END_STREAM))
        eventually(lambda: not session._streams and not session._jobs)
        eventually(lambda: session._memory_taken() < empty + 250_000)
        assert session._inbound.unread == 0


def test_what_came_for_a_handler_that_is_not_begun_is_dropped_with_its_stream() -> None:
    released = threading.Event()
    begun: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        begun.append(stream.id)
        released.wait(20)
        stream.end()

    with server_and_raw_client(handler, max_workers=1) as (session, peer):
        peer.headers(1, UPLOAD, end_stream=True)
        eventually(lambda: begun)
        peer.headers(3, UPLOAD)
        peer.sock.sendall(frames.data(3, bytes(10_000)) * 5)
        eventually(lambda: session._inbound.unread == 50_000)
        held = session._streams[3].handle()  # as if whoever drops it last were slow
        assert held is not None
        peer.reset(3, ErrorCode.CANCEL)
        peer.settled()
        released.set()
        eventually(lambda: not session._jobs)
        assert session._inbound.unread == 0
        assert begun == [1]
        del held


@pytest.mark.tracemalloc
def test_an_early_priority_is_kept_without_its_text() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end()) as (session, peer):
        tracemalloc.start(1)
        try:
            before = taken()
            for stream_id in range(1, 101, 2):
                value = b"u=%d" % (stream_id % 8) + b", x" + b"y" * 16_000
                peer.sock.sendall(frames.priority_update(stream_id, value))
            eventually(lambda: len(session._early_priorities) == 50)
            peer.settled()
            assert taken() - before < 200_000
        finally:
            tracemalloc.stop()
        assert session._early_priorities[3] == (3, True)


@pytest.mark.tracemalloc
def test_a_session_without_streams_takes_what_is_counted() -> None:
    actual: list[int] = []
    for _ in range(2):  # what is loaded for the first session is no part of another
        near, far = socket.socketpair()
        tracemalloc.start(1)
        try:
            before = taken()
            session = serve_socket(near, lambda stream, headers: None)
            actual.append(taken() - before)
        finally:
            tracemalloc.stop()
        session.destroy()
        far.close()
    assert actual[-1] <= session._memory_taken() <= 3 * actual[-1]


@pytest.mark.tracemalloc
def test_a_request_of_http1_and_what_waits_behind_it() -> None:
    released = threading.Event()
    looked: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        looked.append(len(headers.pairs()))
        released.wait(20)

    fields = b"".join(b"%d:\r\n" % number for number in range(100))
    opening = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n" + fields + b"\r\n"
    with http1_session(lambda stream, headers: stream.end(), get("/")) as (_, client):
        assert client.response().status == 200  # what is loaded at the first request is no growth
    tracemalloc.start(1)
    try:
        before = taken()
        with http1_session(handler, opening) as (session, client):
            eventually(lambda: looked)
            empty = session._memory_taken()
            client.send(bytes(120_000))
            eventually(lambda: session._memory_taken() >= empty + 120_000)
            actual, counted = taken() - before, session._memory_taken()
            assert actual <= counted + 120_000  # of the test's own
            assert counted <= 2 * actual
            released.set()
    finally:
        tracemalloc.stop()
        released.set()
