"""Every end against everything that can be waiting for something: nobody is left behind, nothing is sent astray."""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame

from support.connections.pairs import Connections
from support.octets.fields import RESPONSE
from support.octets.fields import UPLOAD as UPLOAD_FIELDS
from support.peers.raw_peer import DATA_ON_STREAM_0, RawPeer
from support.threads.background import PATIENCE, eventually
from sync_h2 import (
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    ProtocolError,
    SessionClosed,
    StreamReset,
    StreamUnprocessed,
    connect,
    create_server,
)
from sync_h2.constants import SettingId
from sync_h2.transport.transport import Transport

UPLOAD = {":method": "POST"}
LARGE = b"x" * 1_000_000
WITHIN = 1.0
"""Seconds in which whoever waits hears of the end."""
BOOM = RuntimeError("boom")


# -- the table

# What waits; `stream` is the session's only one, and open in both directions.
STREAM_WAITERS: dict[str, Callable[[Any], Any]] = {
    "read": lambda stream: stream.read(10),
    "read all": lambda stream: stream.read(),
    "readinto": lambda stream: stream.readinto(bytearray(10)),
    "readline": lambda stream: stream.readline(),
    "iteration": lambda stream: list(stream),
    "wait_trailers": lambda stream: stream.wait_trailers(),
    "write": lambda stream: stream.write(LARGE),
    "end": lambda stream: stream.end(LARGE),
}
CLIENT_STREAM_WAITERS: dict[str, Callable[[Any], Any]] = {
    **STREAM_WAITERS,
    "wait_response": lambda stream: stream.wait_response(),
    "wait_continue": lambda stream: stream.wait_continue(),
}
# These two say in their result how the stream ended.
RESULT_WAITERS: dict[str, Callable[[Any], Any]] = {
    "wait_push": lambda stream: stream.wait_push(),
    "wait_closed": lambda stream: stream.wait_closed(),
}
SESSION_WAITERS: dict[str, Callable[[Any], Any]] = {
    "ping": lambda session: session.ping(),
    "settings": lambda session: session.settings({"initial_window_size": 10_000}, wait=True),
    "slot": lambda session: session.request(),
    "close": lambda session: session.close(),
}


def reset_connection(peer: RawPeer) -> None:
    """An RST segment instead of a FIN."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def keep_alive(session: Any, peer: RawPeer, stream: Any) -> None:
    """From here on as with keepalive_interval and keepalive_timeout; the peer does not answer."""
    with session._monitor, session._lock:
        session._watchdog._limits = replace(session._limits, keepalive_interval=0.1, keepalive_timeout=0.1)
        session._watchdog.rearm_locked()


class End:
    """A way to end: what brings it about, and what it means for a stream, or for the session."""

    def __init__(
        self,
        act: Callable[[Any, RawPeer, Any], object],
        stream_error: type[HTTP2Error],
        code: int,
        session_error: type[HTTP2Error] | None = None,
    ) -> None:
        self.act = act
        self.stream_error = stream_error
        self.code = code  # what `wait_closed` returns
        self.session_error = session_error


STREAM_ENDS = {
    "RST_STREAM": End(lambda session, peer, stream: peer.reset(1, ErrorCode.CANCEL), StreamReset, ErrorCode.CANCEL),
    "stream.close": End(lambda session, peer, stream: stream.close(ErrorCode.CANCEL), StreamReset, ErrorCode.CANCEL),
    "stream.destroy": End(lambda session, peer, stream: stream.destroy(BOOM), StreamReset, ErrorCode.INTERNAL_ERROR),
}
SESSION_ENDS = {
    "EOF": End(
        lambda session, peer, stream: peer.sock.shutdown(socket.SHUT_WR),
        ConnectionLost,
        ErrorCode.CANCEL,
        ConnectionLost,
    ),
    "TCP reset": End(
        lambda session, peer, stream: reset_connection(peer), ConnectionLost, ErrorCode.CANCEL, ConnectionLost
    ),
    "protocol error": End(
        lambda session, peer, stream: peer.sock.sendall(DATA_ON_STREAM_0),
        ProtocolError,
        ErrorCode.PROTOCOL_ERROR,
        ProtocolError,
    ),
    "session.destroy": End(
        lambda session, peer, stream: session.destroy(), SessionClosed, ErrorCode.CANCEL, SessionClosed
    ),
    "session.destroy(error)": End(
        lambda session, peer, stream: session.destroy(BOOM), SessionClosed, ErrorCode.INTERNAL_ERROR, SessionClosed
    ),
    "dead peer": End(keep_alive, ConnectionLost, ErrorCode.CANCEL, ConnectionLost),
}
GOAWAY = {
    "GOAWAY": End(
        lambda session, peer, stream: peer.goaway(0), StreamUnprocessed, ErrorCode.REFUSED_STREAM, SessionClosed
    )
}
CLIENT_ENDS = {**STREAM_ENDS, **SESSION_ENDS, **GOAWAY}
CELLS = [
    *((waiter, end) for waiter in (*CLIENT_STREAM_WAITERS, *RESULT_WAITERS) for end in CLIENT_ENDS),
    *((waiter, end) for waiter in SESSION_WAITERS for end in (*SESSION_ENDS, *GOAWAY)),
    *((waiter, end) for waiter in ("slot", "close") for end in STREAM_ENDS),
]


def hang_up_when_told(background: Any, peer: RawPeer) -> None:
    """Have the peer close when the session does: whoever waits in `close` waits for that too."""

    def hang_up() -> None:
        with contextlib.suppress(OSError):  # the peer may have ended it itself
            peer.until_end()
        peer.close()

    background(hang_up)


@pytest.mark.parametrize(("waiter", "end"), CELLS, ids=[f"{waiter}-{end}" for waiter, end in CELLS])
def test_whoever_waits_is_woken_by_every_end(
    connections: Connections, background: Any, blocked: set[int], waiter: str, end: str
) -> None:
    how = CLIENT_ENDS[end]
    session, peer = connections.raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1})
    peer.settled()
    stream = session.request(UPLOAD)
    peer.expect(HeadersFrame, 1)
    on_stream = {**CLIENT_STREAM_WAITERS, **RESULT_WAITERS}.get(waiter)
    call = background(on_stream, stream) if on_stream else background(SESSION_WAITERS[waiter], session)
    eventually(lambda: blocked, "a thread that waits")
    began = time.monotonic()
    how.act(session, peer, stream)
    if end not in ("EOF", "TCP reset", "dead peer"):
        hang_up_when_told(background, peer)
    error = call.exception(PATIENCE)
    seconds = time.monotonic() - began
    if waiter == "wait_push":
        assert (error, call.result()) == (None, None)
    elif waiter == "wait_closed":
        assert error is None
        assert call.result() == how.code
    elif waiter == "close" or (waiter == "slot" and end in STREAM_ENDS):
        assert error is None, repr(error)
    elif waiter == "slot":
        # The request was never sent, whatever became of the session.
        assert isinstance(error, StreamUnprocessed if end == "GOAWAY" else how.session_error), repr(error)
        assert error.retryable
    elif on_stream:
        assert isinstance(error, how.stream_error), repr(error)
        assert error.stream_id == 1
        assert error.retryable == (end == "GOAWAY")
    else:
        assert isinstance(error, how.session_error), repr(error)
    if end == "session.destroy(error)" and error is not None:
        assert caused_by(error, BOOM)
    assert seconds < WITHIN
    session.destroy()


def caused_by(error: BaseException | None, cause: BaseException) -> bool:
    while error is not None and error is not cause:
        error = error.__cause__
    return error is cause


SERVER_ENDS = {**STREAM_ENDS, **SESSION_ENDS}
SERVER_CELLS = [(waiter, end) for waiter in (*STREAM_WAITERS, "wait_closed") for end in SERVER_ENDS]


@pytest.mark.parametrize(("waiter", "end"), SERVER_CELLS, ids=[f"{waiter}-{end}" for waiter, end in SERVER_CELLS])
def test_a_handler_that_waits_is_woken_by_every_end(
    connections: Connections, background: Any, blocked: set[int], waiter: str, end: str
) -> None:
    how = SERVER_ENDS[end]
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        streams.put(stream)
        try:
            outcome.put({**STREAM_WAITERS, **RESULT_WAITERS}[waiter](stream))
        except HTTP2Error as error:
            outcome.put(error)

    session, peer = connections.raw_client(handler)
    peer.headers(1, UPLOAD_FIELDS)
    stream = streams.get(timeout=PATIENCE)
    eventually(lambda: blocked, "a handler that waits")
    began = time.monotonic()
    how.act(session, peer, stream)
    result = outcome.get(timeout=PATIENCE)
    seconds = time.monotonic() - began
    if waiter == "wait_closed":
        assert result == how.code
    else:
        assert isinstance(result, how.stream_error), repr(result)
        assert result.stream_id == 1
    assert seconds < WITHIN


@pytest.mark.parametrize("end", SESSION_ENDS)
def test_all_who_wait_are_woken_at_once_each_with_an_error_of_its_own(
    connections: Connections, background: Any, blocked: set[int], end: str
) -> None:
    how = SESSION_ENDS[end]
    count = len(CLIENT_STREAM_WAITERS)
    session, peer = connections.raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: count})
    peer.settled()
    streams = [session.request(UPLOAD) for _ in range(count)]
    calls = [background(call, stream) for call, stream in zip(CLIENT_STREAM_WAITERS.values(), streams, strict=True)]
    calls += [background(SESSION_WAITERS[name], session) for name in ("ping", "ping", "settings", "slot", "slot")]
    closing = [background(stream.wait_closed) for stream in streams]
    eventually(lambda: len(blocked) == len(calls) + len(closing), "threads that wait")
    began = time.monotonic()
    how.act(session, peer, streams[0])
    errors = [call.exception(PATIENCE) for call in calls]
    for call in closing:
        call.result(PATIENCE)
    assert time.monotonic() - began < WITHIN
    assert all(isinstance(error, how.session_error) for error in errors), errors
    assert len(set(map(id, errors))) == len(errors)


def test_a_close_elsewhere_lets_open_streams_finish_and_wakes_who_waits_for_a_slot(
    connections: Connections, background: Any, blocked: set[int]
) -> None:
    session, peer = connections.raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1})
    peer.settled()
    stream = session.request(UPLOAD)
    reading = background(stream.read)
    writing = background(stream.end, LARGE)
    pinging = background(session.ping)
    slot = background(session.request)
    eventually(lambda: len(blocked) == 4, "threads that wait")
    closing = background(session.close)
    error = slot.exception(WITHIN)
    assert isinstance(error, SessionClosed)
    assert error.retryable
    eventually(lambda: len(blocked) == 4, "the closing thread")
    assert not any(call.done() for call in (reading, writing, pinging, closing))
    peer.open_window(0, len(LARGE))
    peer.open_window(1, len(LARGE))
    peer.headers(1, RESPONSE)
    while "END_STREAM" not in peer.expect(DataFrame).flags:
        pass
    peer.data(1, b"answer", end_stream=True)
    assert reading.result(5) == b"answer"
    writing.result(5)
    peer.until_end()
    peer.close()
    closing.result(5)
    assert isinstance(pinging.exception(5), SessionClosed)


# -- one end against another


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


@pytest.mark.parametrize("open_streams", [0, 3])
def test_ends_of_all_kinds_at_once(connections: Connections, background: Any, open_streams: int) -> None:
    for round_number in range(15):
        ends = connections.ends()
        exchanges = [ends.exchange() for _ in range(open_streams)]
        reading = [background(stream.read) for stream, _ in exchanges]
        chance = random.Random(round_number)
        actions: list[Callable[[], object]] = [
            ends.client.close,
            ends.client.close,
            ends.server.close,
            ends.client.destroy,
            ends.server.destroy,
            lambda ends=ends: ends.client.destroy(BOOM),
            lambda ends=ends: ends.client._transport.shutdown_both(),
        ]
        actions = chance.sample(actions, 5)
        if not any(action == ends.client.destroy for action in actions):
            actions.append(ends.client.destroy)
        start = threading.Barrier(len(actions))

        def act(action: Callable[[], object], start: threading.Barrier = start) -> None:
            start.wait()
            action()

        for call in [background(act, action) for action in actions]:
            call.result(5)
        for call in reading:
            assert isinstance(call.exception(5), HTTP2Error)
        for session in (ends.client, ends.server):
            session.close(timeout=5)
            assert session.destroyed


class Load:
    """Threads that request until they are refused, and an account of what became of each request."""

    def __init__(self) -> None:
        self.processed: set[str] = set()  # by the handler
        self.answered: set[str] = set()
        self.refused: dict[str, HTTP2Error] = {}

    def handler(self, stream: Any, headers: Any) -> None:
        self.processed.add(headers["x-name"])
        stream.end(stream.read() + b" answered")

    def run(self, client: Any, thread: int) -> None:
        number = 0
        while True:
            name = f"{thread}.{number}"
            number += 1
            try:
                stream = client.request({":method": "POST", "x-name": name})
                stream.end(name.encode())
                body = stream.read(timeout=10)
            except HTTP2Error as error:
                self.refused[name] = error
                return
            assert body == name.encode() + b" answered"
            self.answered.add(name)

    def check(self, threads: int) -> None:
        assert len(self.refused) == threads
        assert all(error.retryable for error in self.refused.values()), self.refused
        assert not self.processed & set(self.refused), "a request that was called safe to retry had been processed"
        assert self.processed == self.answered


@pytest.mark.parametrize("who", ["client", "server", "both"])
def test_closing_against_requests_answers_each_or_calls_it_safe_to_retry(
    connections: Connections, background: Any, who: str
) -> None:
    for _ in range(8):
        load = Load()
        client, server = connections.pair(load.handler)
        threads = [background(load.run, client, number) for number in range(6)]
        eventually(lambda load=load: len(load.answered) >= 20)
        closing = [
            background(session.close, 10)
            for name, session in (("client", client), ("server", server))
            if who in (name, "both")
        ]
        for call in threads + closing:
            call.result(15)
        load.check(6)
        client.close(timeout=5)
        server.close(timeout=5)


def test_a_servers_two_step_shutdown_under_load_loses_no_request(background: Any) -> None:
    for _ in range(4):
        load = Load()
        server = create_server(load.handler)
        server.start()
        clients = [connect(server.url) for _ in range(3)]
        threads = [background(load.run, clients[number % 3], number) for number in range(9)]
        eventually(lambda load=load: len(load.answered) >= 60)
        server.close(timeout=15)
        for call in threads:
            call.result(15)
        load.check(9)
        for client in clients:
            client.close(timeout=5)


# -- from handlers and listeners


@pytest.mark.parametrize("call", ["close", "destroy"])
def test_ending_the_session_in_one_of_many_handlers(connections: Connections, background: Any, call: str) -> None:
    """`close` there only starts: the siblings finish. `destroy` wakes them."""
    everybody_is_here = threading.Barrier(5)
    ended = threading.Event()
    failed: queue.SimpleQueue[HTTP2Error] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        everybody_is_here.wait()
        if headers[":path"] == "/end":
            getattr(stream.session, call)()
            ended.set()
        else:
            try:
                stream.end(stream.read())
            except HTTP2Error as error:
                failed.put(error)
                raise

    client, server = connections.pair(handler)
    siblings = [client.request(UPLOAD) for _ in range(4)]
    reading = [background(stream.read) for stream in siblings]
    last = client.request({":path": "/end"})
    assert ended.wait(5)
    if call == "close":
        for stream in siblings:
            stream.end(b"finishes")
        assert [call.result(5) for call in reading] == [b"finishes"] * 4
        assert last.wait_response(timeout=5)[":status"] == "500"  # it has not answered
    else:
        assert all(isinstance(call.exception(5), HTTP2Error) for call in reading)
        assert isinstance(failed.get(timeout=5), SessionClosed)
    client.close(timeout=5)
    server.close(timeout=5)


def test_ending_the_session_in_a_listener_while_others_close_it(connections: Connections, background: Any) -> None:
    for call in ("close", "destroy"):
        for _ in range(10):
            ends = connections.ends()
            returned = threading.Event()

            def listen(payload: bytes, ends: Any = ends, returned: Any = returned, call: str = call) -> None:
                getattr(ends.client, call)()
                returned.set()

            ends.client.on("ping", listen)
            pinging = background(ends.server.ping)
            closing = [background(ends.client.close), background(ends.server.close)]
            for future in closing:
                future.result(5)
            assert pinging.exception(5) is None or isinstance(pinging.exception(), HTTP2Error)
            assert pinging.exception() or returned.wait(5)


def test_closing_the_server_in_a_handler(background: Any) -> None:
    returned = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        server.close()
        returned.set()
        stream.end(b"finishes")

    server = create_server(handler)
    server.start()
    with connect(server.url) as client:
        stream = client.request()
        assert stream.read(timeout=5) == b"finishes"
        assert returned.wait(5)
    server.close()
    assert server.sessions == []


# -- what the peer gets to see


@pytest.mark.usefixtures("long_linger")
@pytest.mark.parametrize("end", ["protocol error", "session.destroy", "limit"])
def test_goaway_reaches_a_peer_that_is_still_sending(connections: Connections, background: Any, end: str) -> None:
    """Its data is unread when the session ends, and the GOAWAY stands behind an upload that the peer has not read.
    Closing the descriptor then would send a TCP reset, and what stands in the kernel would be lost.
    """
    expected = {
        "protocol error": ErrorCode.PROTOCOL_ERROR,
        "session.destroy": ErrorCode.INTERNAL_ERROR,
        "limit": ErrorCode.ENHANCE_YOUR_CALM,
    }[end]
    session, peer = connections.raw_server(
        max_settings=1, peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=8_192
    )
    peer.open_window(0, 2**31 - 1 - 65_535)
    peer.settled()
    stream = session.request(UPLOAD)
    writing = background(stream.end, LARGE)
    peer.expect(DataFrame)
    eventually(lambda: session._sender.writer.active, "a writer that is blocked")
    peer.headers(1, RESPONSE)
    if end == "protocol error":
        peer.sock.sendall(DATA_ON_STREAM_0)
    elif end == "session.destroy":
        session.destroy(BOOM)
    else:
        peer.send(SettingsFrame(0, settings={3: 10, 4: 10}))
    peer.keeps_to_windows = False
    with contextlib.suppress(OSError):
        for _ in range(300):
            peer.data(1, b"x" * 16_384)
    goaway = peer.farewell()
    assert goaway.error_code == expected
    if end == "limit":
        assert goaway.additional_data == b"max_settings"
    peer.close()
    session.close(timeout=PATIENCE)
    assert isinstance(writing.exception(PATIENCE), HTTP2Error)


# -- descriptors


class Reused:
    """Takes each descriptor number as soon as a transport has closed it, and keeps watch over it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._taken: list[tuple[int, socket.socket, socket.socket]] = []
        self._sending: set[int] = set()
        self.closed_while_sending = False
        close, sendmsg = Transport.close, socket.socket.sendmsg

        def close_and_take(transport: Transport) -> None:
            number = transport.sock.fileno()
            if number < 0:
                return
            self.closed_while_sending |= number in self._sending
            ours, others = socket.socketpair()  # before, so that none of the two gets the number
            close(transport)
            os.dup2(ours.fileno(), number)
            self._taken.append((number, ours, others))

        def watched_sendmsg(sock: socket.socket, *arguments: Any) -> int:
            number = sock.fileno()
            self._sending.add(number)
            try:
                return sendmsg(sock, *arguments)
            finally:
                self._sending.discard(number)

        monkeypatch.setattr(Transport, "close", close_and_take)
        monkeypatch.setattr(socket.socket, "sendmsg", watched_sendmsg)

    def taken(self, count: int) -> bool:
        return len(self._taken) == count

    def check(self) -> None:
        assert not self.closed_while_sending, "a descriptor was closed while a thread was sending on it"
        for number, ours, others in self._taken:
            ours.close()  # the duplicate at `number` keeps the pair open
            others.setblocking(False)
            try:
                stray = others.recv(100)
            except BlockingIOError:
                continue  # nothing came, and it was not shut down either
            finally:
                others.close()
                os.close(number)
            raise AssertionError(f"on a number that was reused: {stray!r}")
        self._taken.clear()


@pytest.fixture
def reused(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reused]:
    watch = Reused(monkeypatch)
    yield watch
    watch.check()


@pytest.mark.parametrize("end", SESSION_ENDS)
def test_a_descriptor_number_that_is_reused_is_never_touched(
    connections: Connections, background: Any, reused: Reused, end: str
) -> None:
    how = SESSION_ENDS[end]
    for closed in range(1, 4):
        session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.settled()
        streams = [session.request(UPLOAD) for _ in range(3)]
        stop = threading.Event()

        def hammer(call: Callable[[], object], stop: threading.Event = stop) -> None:
            while not stop.is_set():
                with contextlib.suppress(HTTP2Error):
                    call()

        calls: list[Callable[[], object]] = [
            lambda session=session: session.ping(timeout=0.01),
            lambda session=session: session.goaway(),
            lambda stream=streams[0]: stream.write(b"x" * 100, timeout=0.01),
            lambda stream=streams[1]: stream.write(b"x" * 50_000, timeout=0.01),
            lambda stream=streams[2]: stream.close(ErrorCode.CANCEL),
        ]
        hammering = [background(hammer, call) for call in calls]
        how.act(session, peer, streams[0])
        if end not in ("EOF", "TCP reset"):
            hang_up_when_told(background, peer)
        eventually(lambda closed=closed: reused.taken(closed), "the descriptor's end")
        # What may come late: the timer, finalizers, another end.
        for _ in range(3):
            session._watchdog.on_timer(time.monotonic() + 100)
            session._transport.shutdown_both()
            session._transport.shutdown_write()
            session.destroy()
        stop.set()
        for call in hammering:
            call.result(5)
        peer.close()
        del session, streams, calls, hammering
        gc.collect()


@pytest.mark.parametrize("reads", [False, True], ids=["a peer that reads nothing", "a peer that has read"])
@pytest.mark.parametrize("end", SESSION_ENDS)
def test_a_descriptor_is_closed_only_after_the_writer_has_left(
    connections: Connections, background: Any, reused: Reused, end: str, reads: bool
) -> None:
    """Whether the writer is in the middle of a send, or is to be started when the peer has read."""
    how = SESSION_ENDS[end]
    session, peer = connections.raw_server(
        peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=4_096
    )
    peer.open_window(0, 2**31 - 1 - 65_535)
    peer.settled()
    stream = session.request(UPLOAD)
    writing = background(stream.write, b"x" * 5_000_000)
    eventually(lambda: session._sender.writer.awaits_writable_locked, "data that the kernel does not take")
    if reads:
        while session._sender.writer.awaits_writable_locked:
            peer.expect(DataFrame)
        eventually(lambda: session._transport._in_hand, "a writer that is blocked")
    began = time.monotonic()
    how.act(session, peer, stream)
    assert isinstance(writing.exception(PATIENCE), how.stream_error)
    assert time.monotonic() - began < WITHIN
    peer.close()
    eventually(lambda: reused.taken(1), "the descriptor's end")
    session.close(timeout=5)
