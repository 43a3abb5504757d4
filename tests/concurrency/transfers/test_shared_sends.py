"""Threads that share a client's session send for each other, without the lock: what one sends, others wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame

from support.connections.pairs import Connections
from support.threads.background import PATIENCE, eventually
from sync_h2 import ConnectionLost, HTTP2Error, SessionClosed
from sync_h2.transport.transport import Transport

UPLOAD = {":method": "POST"}


class Gate:
    """Holds up the sends that threads make without the lock."""

    def __init__(self, send: Callable[..., int]) -> None:
        self._send = send
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        self.sent_by: list[int] = []
        self.failure: BaseException | None = None

    def __call__(self, transport: Transport, taken: list[bytes | memoryview]) -> int:
        self.sent_by.append(threading.get_ident())
        self.entered.release()
        assert self.open.acquire(timeout=PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self._send(transport, taken)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(Transport.send_without_waiting)
    monkeypatch.setattr(Transport, "send_without_waiting", lambda *arguments: gate(*arguments))
    yield gate
    for _ in range(1_000):
        gate.open.release()


def test_who_sends_sends_what_others_queued_meanwhile(connections: Connections, background: Any, gate: Gate) -> None:
    session, peer = connections.raw_server()
    first = background(session.request)
    assert gate.entered.acquire(timeout=PATIENCE)
    others = [background(session.request) for _ in range(5)]
    for other in others:
        other.result(PATIENCE)  # not one of them waits for the send
    assert len(set(gate.sent_by)) == 1
    for _ in range(2):
        gate.open.release()
    streams = sorted(peer.expect(HeadersFrame).stream_id for _ in range(6))
    assert streams == [1, 3, 5, 7, 9, 11]
    first.result(PATIENCE)
    assert len(gate.sent_by) == 2
    assert len(set(gate.sent_by)) == 1
    session.destroy()


def test_who_sends_for_others_may_stop(connections: Connections, background: Any, gate: Gate) -> None:
    """Another thread writes without an end; the request of the one that sends for it returns all the same."""
    session, peer = connections.raw_server()
    uploading = session.request(UPLOAD)  # the main thread sends under the lock
    turns = 0
    while not turns:
        requesting = background(session.request)
        while not requesting.done() and turns < 100:
            if gate.entered.acquire(timeout=0.01):
                turns += 1
                uploading._write(b"x", None, ends=False)  # queued while the other sends
                gate.open.release()
        requesting.result(PATIENCE)
        if not turns:  # the reader, which left the lock at that moment, sends for it: once, for it has nothing to do
            assert gate.entered.acquire(timeout=PATIENCE)
            gate.open.release()
    assert 1 < turns < 100
    uploading.end()
    received = 0
    while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
        received += len(frame.data)
    assert received + len(frame.data) == turns
    session.destroy()


def test_the_descriptor_is_not_closed_while_a_thread_sends(
    connections: Connections, background: Any, gate: Gate
) -> None:
    session, peer = connections.raw_server()
    requesting = background(session.request)
    assert gate.entered.acquire(timeout=PATIENCE)
    session.destroy()
    peer.close()
    eventually(lambda: session.destroyed)
    assert session._transport.sock.fileno() >= 0
    assert not session._gone
    gate.open.release()  # the request
    gate.open.release()  # the GOAWAY
    eventually(lambda: session._gone, "the end of the session")
    assert session._transport.sock.fileno() == -1
    with pytest.raises((ConnectionLost, SessionClosed)):
        requesting.result(PATIENCE).read()


@pytest.mark.usefixtures("short_linger")
@pytest.mark.parametrize("failure", [ConnectionLost("gone"), MemoryError("none left")])
def test_a_send_that_fails_ends_the_session_for_all(
    connections: Connections, background: Any, gate: Gate, failure: BaseException
) -> None:
    """How much of it has gone is not known after an exception that the kernel has not made."""
    session, _peer = connections.raw_server()
    waiting = background(lambda: session.request(UPLOAD).read())
    assert gate.entered.acquire(timeout=PATIENCE)
    other = background(lambda: session.request(UPLOAD).read())
    eventually(lambda: len(session._streams) == 2)
    gate.failure = failure
    gate.open.release()
    for future in (waiting, other):
        assert isinstance(future.exception(PATIENCE), HTTP2Error)
    eventually(lambda: session._gone, "the end of the session")


@pytest.mark.usefixtures("short_linger")
def test_an_end_that_comes_while_a_thread_sends_comes_after_it(
    connections: Connections, background: Any, gate: Gate
) -> None:
    session, peer = connections.raw_server()
    requesting = background(session.request)
    assert gate.entered.acquire(timeout=PATIENCE)
    closing = background(session.close)
    eventually(lambda: session.closed)
    gate.open.release()
    gate.open.release()
    assert peer.expect(HeadersFrame).stream_id == 1
    peer.headers(1, [(":status", "200")], end_stream=True)
    assert requesting.result(PATIENCE).read() == b""
    closing.result(PATIENCE)
