"""Room for newcomers: who does nothing goes first, and a server without descriptors says so and goes on."""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ClientSession, Headers, ServerStream, ThreadingServer
from sync_h2.connection.shared import limit_log
from sync_h2.constants import PREFACE, SettingId

Serve = Callable[..., ThreadingServer]
Visit = Callable[..., ClientSession]


def answer(stream: ServerStream, headers: Headers) -> None:
    stream.end(b"hello")


@pytest.mark.parametrize("limit", ["max_sessions", "max_sessions_per_address"])
def test_the_session_that_was_idle_for_longest_makes_room(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr("sync_h2.server.accepting.eviction.LEAST_IDLE", 0.0)
    server = serve(answer, **{limit: 2})
    first = visit(server)
    second = visit(server)
    for session in (second, first):  # the second has now been idle for longer
        assert session.request().read(timeout=10) == b"hello"
    third = visit(server)
    assert third.request().read(timeout=10) == b"hello"
    eventually(lambda: second.closed)
    assert first.request().read(timeout=10) == b"hello"


def test_a_session_with_a_request_is_not_closed_for_a_newcomer(serve: Serve, visit: Visit) -> None:
    released = threading.Event()

    def wait(stream: ServerStream, headers: Headers) -> None:
        released.wait(20)
        stream.end(b"hello")

    server = serve(wait, max_sessions=1)
    busy = visit(server)
    stream = busy.request()
    eventually(lambda: any(session._jobs for session in server.sessions))
    with socket.create_connection(server.address) as newcomer:
        newcomer.settimeout(10)
        while newcomer.recv(4096):
            pass  # refused: a GOAWAY, and the end
    released.set()
    assert stream.read(timeout=10) == b"hello"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_descriptors_the_server_says_what_helps_once_and_goes_on(
    serve: Serve,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    monkeypatch.setattr(limit_log, "_last_logged", {})
    failures = [OSError(number, "no descriptors")] * 3
    server = serve(answer)

    class Listening:
        def __getattr__(self, name: str) -> Any:
            return getattr(listening, name)

        def accept(self) -> Any:
            if failures:
                raise failures.pop()
            return listening.accept()

    listening = server._acceptor._socket
    monkeypatch.setattr(server._acceptor, "_socket", Listening())
    with caplog.at_level(logging.WARNING, "sync_h2"):
        assert visit(server).request().read(timeout=10) == b"hello"
    assert not failures
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "ulimit -n" in lines[0] and "max_sessions" in lines[0]


@pytest.mark.parametrize("on_executor", [False, True], ids=["pool", "executor"])
@pytest.mark.parametrize("kind", ["silent", "preface", "window", "body", "body of HTTP/1.1", "answer of HTTP/1.1"])
def test_a_client_that_lets_everything_wait_makes_room(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, kind: str, on_executor: bool
) -> None:
    monkeypatch.setattr("sync_h2.server.accepting.eviction.LEAST_STALLED", 0.0)
    begun = threading.Event()

    def handler(stream: ServerStream, headers: Headers) -> None:
        begun.set()
        if headers[":method"] == "POST":
            stream.read()
        stream.end(bytes(1000 if headers[":path"] == "/" else 20_000_000))

    executor = ThreadPoolExecutor(4) if on_executor else None
    server = serve(handler, max_sessions=1, allow_http1=True, executor=executor)
    with executor or contextlib.nullcontext(), socket.create_connection(server.address) as sock:
        if kind == "preface":
            sock.sendall(PREFACE)
        elif kind in ("window", "body"):
            peer = RawPeer(sock, client=True)
            peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 0})
            method = "GET" if kind == "window" else "POST"
            peer.headers(1, ((":method", method), *REQUEST[1:]), end_stream=kind == "window")
        elif kind == "body of HTTP/1.1":
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        elif kind == "answer of HTTP/1.1":
            sock.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        if kind in ("silent", "preface"):
            eventually(lambda: server._connections._newcomers or server.sessions)
        else:
            assert begun.wait(20)
            (session,) = server.sessions
            eventually(lambda: session._stalled_since is not None)
        assert visit(server).request().read(timeout=20) == bytes(1000)
        sock.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1_000_000):
                pass  # its connection ends


@pytest.mark.parametrize("sign", ["PING", "GOAWAY"])
def test_a_sign_of_life_is_no_reason_to_stay(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    monkeypatch.setattr("sync_h2.server.accepting.eviction.LEAST_STALLED", 0.0)
    server = serve(answer, max_sessions=1)
    with socket.create_connection(server.address) as sock:
        peer = RawPeer(sock, client=True)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 0})
        peer.headers(1, REQUEST, end_stream=True)
        (session,) = server.sessions
        if sign == "GOAWAY":
            peer.send(GoAwayFrame(0))
            eventually(lambda: session._closing)
        else:
            peer.settled()  # with a PING
        eventually(lambda: session._stalled_since is not None)
        assert visit(server).request().read(timeout=20) == b"hello"


def test_a_stream_of_events_is_not_ended_for_a_newcomer(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handler has returned, and nobody but the server could go on."""
    monkeypatch.setattr("sync_h2.server.accepting.eviction.LEAST_STALLED", 0.0)
    kept: queue.SimpleQueue[ServerStream] = queue.SimpleQueue()

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond()
        stream.detach()
        kept.put(stream)

    server = serve(handler, max_sessions=1)
    events = visit(server).request()
    stream = kept.get(timeout=20)
    (session,) = server.sessions
    eventually(lambda: not session._handler_threads)
    with socket.create_connection(server.address) as newcomer:
        newcomer.settimeout(10)
        while newcomer.recv(4096):
            pass
    stream.end(b"news")
    assert events.read(timeout=20) == b"news"


@pytest.mark.parametrize("status", [204, 304, 500])
@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_a_client_whose_answers_have_no_body_is_not_stalled(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, status: int, version: str
) -> None:
    """It is idle, and not for long."""
    monkeypatch.setattr("sync_h2.server.accepting.eviction.LEAST_STALLED", 0.0)
    fields = {":status": status, **({"content-length": 0} if status == 500 else {})}
    server = serve(lambda stream, headers: stream.respond(fields, end_stream=True), max_sessions=1, allow_http1=True)
    with socket.create_connection(server.address, timeout=20) as sock:
        if version == "HTTP/1.1":
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 %d" % status)
        else:
            peer = RawPeer(sock, client=True)
            peer.handshake()
            peer.headers(1, REQUEST, end_stream=True)
            peer.settled()
        (session,) = server.sessions
        eventually(lambda: session._idle_since is not None)
        assert session._stalled_since is None


def test_a_request_that_has_just_begun_is_not_stalled(serve: Serve) -> None:
    """Its body takes its time to come."""
    server = serve(answer)
    with socket.create_connection(server.address) as sock:
        peer = RawPeer(sock, client=True)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 0})
        peer.settled()
        (session,) = server.sessions
        before = time.monotonic()
        peer.headers(1, REQUEST, end_stream=True)
        eventually(lambda: session._streams and session._stalled_since is not None)
        assert session._stalled_since >= before


def test_a_header_block_that_does_not_end_is_stalled_since_it_began(serve: Serve) -> None:
    server = serve(answer)
    with socket.create_connection(server.address) as sock:
        peer = RawPeer(sock, client=True)
        peer.handshake()
        peer.settled()
        (session,) = server.sessions
        before = time.monotonic()
        assert session._stalled_since is None
        peer.send(HeadersFrame(1, b"\x82", flags=["END_STREAM"]))
        eventually(lambda: session._stalled_since is not None)
        assert before <= session._stalled_since <= time.monotonic()
