"""What happens by itself after some time: `set_timeout` of sessions and streams, idle servers, header blocks."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame

from support.octets import frames
from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import PATIENCE, eventually
from sync_h2 import ErrorCode, Timeout
from sync_h2.constants import SettingId
from sync_h2.deadline import Deadline


def test_a_silent_session_fires_timeout_and_goes_on() -> None:
    with client_and_raw_server() as (session, peer):
        fired: queue.SimpleQueue[float] = queue.SimpleQueue()
        began_at = time.monotonic()
        peer.settled()
        session.set_timeout(0.1, lambda: fired.put(time.monotonic()))
        for count in (1, 2, 3):  # once for each such time, not before it is over
            assert fired.get(timeout=PATIENCE) - began_at >= count * 0.1
        assert not session.closed
        session.set_timeout(None)
        while not fired.empty():
            fired.get()
        with pytest.raises(Timeout):
            session.request().wait_response(timeout=0.3)
        assert fired.empty()


def test_what_arrives_is_activity() -> None:
    """Whatever it is, while a stream is open."""
    with client_and_raw_server() as (session, peer):
        fired: queue.SimpleQueue[float] = queue.SimpleQueue()
        stream = session.request({":method": "POST"})
        peer.settled()
        session.set_timeout(2.0, lambda: fired.put(time.monotonic()))
        pause = threading.Event()
        for _ in range(10):
            peer.settled()
            pause.wait(0.25)
        assert fired.empty()
        assert fired.get(timeout=PATIENCE)
        assert not stream.closed


def test_what_is_sent_is_activity() -> None:
    """A server that sends events, to which a client has nothing to say, is not idle."""
    with client_and_raw_server() as (session, peer):
        fired: queue.SimpleQueue[float] = queue.SimpleQueue()
        stream = session.request({":method": "POST"})
        peer.settled()
        session.set_timeout(2.0, lambda: fired.put(time.monotonic()))
        pause = threading.Event()
        for _ in range(10):
            stream.write(b"event")
            pause.wait(0.25)
        assert fired.empty()


def test_a_silent_stream_fires_timeout() -> None:
    with client_and_raw_server() as (session, peer):
        fired: queue.SimpleQueue[float] = queue.SimpleQueue()
        peer.settled()
        stream = session.request({":method": "POST"})
        stream.set_timeout(0.1, lambda: fired.put(time.monotonic()))
        assert fired.get(timeout=PATIENCE)
        assert fired.get(timeout=PATIENCE)
        stream.set_timeout(0)
        assert not stream.closed
        stream.close(ErrorCode.CANCEL)


def test_a_stream_that_waits_for_a_slot_is_silent_too() -> None:
    """And goes on to be, when it has got one."""
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        peer.settled()
        first = session.request()
        pending = session.request(wait=False)
        fired: queue.SimpleQueue[bool] = queue.SimpleQueue()
        pending.set_timeout(0.1, lambda: fired.put(pending.pending))
        assert fired.get(timeout=PATIENCE)
        assert fired.get(timeout=PATIENCE)
        first.close(ErrorCode.CANCEL)
        while fired.get(timeout=PATIENCE):
            pass
        assert not pending.closed


def test_a_stream_that_receives_is_not_silent() -> None:
    with client_and_raw_server() as (session, peer):
        fired: queue.SimpleQueue[float] = queue.SimpleQueue()
        stream = session.request()
        peer.headers(1, [(":status", "200")])
        peer.settled()
        stream.set_timeout(2.0, lambda: fired.put(time.monotonic()))
        pause = threading.Event()
        for _ in range(10):
            peer.data(1, b"event")
            pause.wait(0.25)
        assert fired.empty()
        assert fired.get(timeout=PATIENCE)


@pytest.mark.parametrize("seconds", ["1", -1])
def test_a_time_that_is_none(ends: Any, seconds: Any) -> None:
    stream, _ = ends.exchange()
    for target in (stream, ends.client):
        with pytest.raises((TypeError, ValueError)):
            target.set_timeout(seconds)
    assert ends.client.ping()


def test_an_idle_servers_session_is_closed_gracefully() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(), idle_timeout=0.2) as (_, peer):
        peer.answers_pings = True
        goaways = [frame for frame in peer.until_end() if isinstance(frame, GoAwayFrame)]
        assert {frame.error_code for frame in goaways} == {ErrorCode.NO_ERROR}
        assert goaways[-1].last_stream_id == 0


UNNECESSARY = {
    "ping": frames.ping(),
    "settings": frames.settings(),
    "priority": frames.priority(3),
    "priority update": frames.priority_update(1),
    "window": frames.window_update(0, 1),
    "window of a closed stream": frames.window_update(1, 1),
    "reset of a closed stream": frames.rst_stream(1),
    "unknown": frames.frame(frames.UNKNOWN, 0, 0),
}


@pytest.mark.parametrize("kind", UNNECESSARY)
def test_without_a_stream_nothing_keeps_a_session(kind: str) -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(), idle_timeout=0.3) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        peer.expect(HeadersFrame, 1)
        eventually(lambda: not session._streams)
        pause = threading.Event()
        sent = 0
        while not session._closing and sent < 2000:
            peer.sock.sendall(UNNECESSARY[kind])
            sent += 1
            pause.wait(0.01)
        assert session._closing


def test_our_own_pings_do_not_keep_a_session() -> None:
    with server_and_raw_client(idle_timeout=0.3, keepalive_interval=0.05) as (_, peer):
        peer.answers_pings = True
        assert peer.farewell().error_code == ErrorCode.NO_ERROR


def test_requests_keep_a_session() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(), idle_timeout=1.0) as (session, peer):
        pause = threading.Event()
        began = time.monotonic()
        stream = 1
        while time.monotonic() < began + 1.3:
            peer.headers(stream, REQUEST, end_stream=True)
            peer.expect(HeadersFrame, stream)
            stream += 2
            pause.wait(0.1)
        assert not session._closing


def test_a_timeout_listener_decides_instead() -> None:
    fired = threading.Event()
    options = {"idle_timeout": 0.1, "listeners": {"timeout": fired.set}}
    with server_and_raw_client(lambda stream, headers: stream.end(), **options) as (session, peer):
        assert fired.wait(5)
        peer.settled()
        assert not session.closed


def test_an_idle_session_with_an_open_stream_finishes_it() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(stream.read()), idle_timeout=0.2) as (_, peer):
        peer.headers(1, UPLOAD)
        peer.answers_pings = True
        assert peer.expect(GoAwayFrame)
        peer.data(1, b"late", end_stream=True)
        assert b"late" in [getattr(frame, "data", None) for frame in peer.until_end()]


def test_a_header_block_that_does_not_end_in_time_ends_the_session() -> None:
    with server_and_raw_client(header_timeout=0.2) as (session, peer):
        peer.settled()
        peer.sock.sendall(bytes.fromhex("000010 01 00 00000001") + b"\x82")  # HEADERS, one octet of sixteen
        goaway = peer.farewell()
        assert goaway.error_code == ErrorCode.ENHANCE_YOUR_CALM
        assert goaway.additional_data == b"header_timeout"
        eventually(lambda: session.destroyed)


def test_read_timeout_gives_the_handler_back() -> None:
    """A client that sends headers and then nothing must not keep a worker for ever."""
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        try:
            stream.read()
        except Timeout as error:
            outcome.put(error)
            raise

    with server_and_raw_client(handler, read_timeout=0.2) as (_, peer):
        peer.headers(1, UPLOAD)
        assert outcome.get(timeout=PATIENCE).stream_id == 1
        peer.headers(3, REQUEST, end_stream=True)
        peer.settled()


def test_the_time_without_progress_begins_with_the_last_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wakes a thread that waits for all of a body when some of it comes, nor when some of its data goes."""
    restarted: list[float] = []
    restart = Deadline.restart

    def record(self: Deadline, since: float) -> None:
        restarted.append(since)
        restart(self, since)

    monkeypatch.setattr(Deadline, "restart", record)
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        streams.put(stream)
        try:
            stream.read() if headers[":method"] == "POST" else stream.write(bytes(10_000_000))
        except Timeout as error:
            outcome.put(error)
            raise

    def last_progress(stream: Any) -> float:
        with stream._session._monitor, stream._session._monitor.lock:
            return max(stream._state.last_byte_at, stream._state.last_byte_sent_at)

    with server_and_raw_client(handler, read_timeout=2.0, write_timeout=2.0) as (_, peer):
        for stream_id, request in ((1, UPLOAD), (3, REQUEST)):
            peer.headers(stream_id, request, end_stream=stream_id == 3)
            stream = streams.get(timeout=PATIENCE)
            if stream_id == 1:
                peer.data(1, b"some")
            eventually(lambda stream=stream: last_progress(stream) > 0)
            assert outcome.get(timeout=PATIENCE).stream_id == stream_id
            assert restarted[-1] == last_progress(stream)
