"""Waiting for a stream at the peer's MAX_CONCURRENT_STREAMS: first come, first served."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, HTTP2Error, SessionClosed, StreamIDsExhausted, StreamReset, StreamUnprocessed, Timeout
from sync_h2.constants import MAX_STREAM_ID, SettingId


@pytest.fixture
def one_at_a_time(monkeypatch: Any) -> Any:
    """A client whose server takes one stream at a time, and the server."""
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        peer.settled()
        held = []  # until the session has ended, so that a test may leave streams unfinished
        request = session.request

        def keep(*arguments: Any, **options: Any) -> Any:
            held.append(request(*arguments, **options))
            return held[-1]

        monkeypatch.setattr(session, "request", keep)
        yield session, peer


def answer(peer: Any, stream_id: int, body: bytes = b"") -> None:
    peer.headers(stream_id, RESPONSE)
    peer.data(stream_id, body, end_stream=True)


def waiting(session: Any, count: int) -> None:
    eventually(lambda: len(session._pending) == count)


def test_a_request_waits_for_its_slot(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    requesting = background(session.request)
    waiting(session, 1)
    assert not requesting.done()
    answer(peer, first.id)
    assert requesting.result(5).id == 3


def test_first_come_first_served(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    _first = session.request({":path": "/0"})
    second = session.request({":path": "/1"}, wait=False)
    requests = []
    for number in range(2, 6):
        waiting(session, number - 1)
        requests.append(background(session.request, {":path": f"/{number}"}))
    waiting(session, 5)
    paths = []
    for stream_id in range(1, 13, 2):
        frame = peer.expect(HeadersFrame, stream_id)
        paths.append(dict(frame.fields)[":path"])
        answer(peer, stream_id)
    assert paths[1:] == ["/1", "/2", "/3", "/4", "/5"]
    assert [call.result(5).id for call in requests] == [5, 7, 9, 11]
    assert second.id == 3


def test_without_waiting_the_stream_is_pending(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    first = session.request()
    stream = session.request({":method": "POST"}, wait=False, listeners={"ready": lambda: ready.put("ready")})
    assert stream.pending
    assert stream.id is None
    assert "pending" in repr(stream)
    ending = background(stream.end, b"written while it was pending")
    reading = background(stream.read)
    answer(peer, first.id)
    assert peer.expect(DataFrame, 3).data == b"written while it was pending"
    assert ready.get(timeout=5) == "ready"
    assert not stream.pending
    assert stream.id == 3
    answer(peer, 3, b"body")
    ending.result(5)
    assert reading.result(5) == b"body"


def test_a_request_that_times_out_gives_up_its_place(one_at_a_time: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    with pytest.raises(Timeout):
        session.request({":path": "/given-up"}, timeout=0.05)
    stream = session.request({":path": "/next"}, wait=False)
    answer(peer, first.id)
    frame = peer.expect(HeadersFrame, 3)
    assert dict(frame.fields)[":path"] == "/next"
    answer(peer, 3)
    assert stream.read() == b""


def test_a_write_to_a_pending_stream_can_time_out(one_at_a_time: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    stream = session.request({":method": "POST"}, wait=False)
    with pytest.raises(Timeout) as raised:
        stream.write(b"x" * 100, timeout=0.05)
    assert raised.value.bytes_written == 0
    with pytest.raises(Timeout):
        stream.wait_response(timeout=0.05)
    answer(peer, first.id)
    stream.end(b"y")
    assert peer.expect(DataFrame, 3).data == b"y"


def test_a_pending_stream_can_be_closed(one_at_a_time: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    stream = session.request({":path": "/closed"}, wait=False)
    stream.close(ErrorCode.CANCEL)
    assert stream.closed
    assert not stream.pending
    with pytest.raises(StreamReset):
        stream.read()
    answer(peer, first.id)
    assert {frame.stream_id for frame in peer.settled()} <= {0, 1}
    following = session.request()
    assert following.id == 3
    following.close()


def test_a_reset_frees_the_slot(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    requesting = background(session.request)
    waiting(session, 1)
    first.close(ErrorCode.CANCEL)
    second = requesting.result(5)
    requesting = background(session.request)
    waiting(session, 1)
    peer.reset(second.id, ErrorCode.REFUSED_STREAM)
    assert requesting.result(5).id == 5


def test_a_stream_whose_peer_has_not_ended_keeps_its_slot(one_at_a_time: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    peer.headers(first.id, RESPONSE)
    peer.settled()
    with pytest.raises(Timeout):
        session.request(timeout=0.05)


def test_new_settings_free_waiting_requests(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    streams = [session.request()]
    requests = [background(session.request) for _ in range(4)]
    waiting(session, 4)
    peer.send(SettingsFrame(0, settings={SettingId.MAX_CONCURRENT_STREAMS: 3}))
    waiting(session, 2)
    peer.send(SettingsFrame(0, settings={SettingId.MAX_CONCURRENT_STREAMS: 100}))
    streams += [call.result(5) for call in requests]
    assert sorted(stream.id for stream in streams) == [1, 3, 5, 7, 9]


def test_a_server_that_takes_none(background: Any) -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 0}) as (session, peer):
        peer.settled()
        with pytest.raises(Timeout):
            session.request(timeout=0.05)
        requesting = background(session.request)
        peer.send(SettingsFrame(0, settings={SettingId.MAX_CONCURRENT_STREAMS: 1}))
        assert requesting.result(5).id == 1


def test_before_the_peers_settings_a_hundred_may_go() -> None:
    with client_and_raw_server(handshake=False, peer_max_concurrent_streams=3) as (session, peer):
        streams = [session.request() for _ in range(3)]
        assert [stream.id for stream in streams] == [1, 3, 5]
        fourth = session.request(wait=False)
        assert fourth.pending
        peer.handshake()
        peer.settled()
        assert not fourth.pending


def test_the_end_of_the_session_fails_those_that_wait(one_at_a_time: Any, background: Any) -> None:
    session, _ = one_at_a_time
    _first = session.request()
    pending = session.request(wait=False)
    requesting = background(session.request)
    waiting(session, 2)
    session.destroy()
    for call in (requesting, background(pending.read)):
        with pytest.raises(SessionClosed) as raised:
            call.result(5)
        assert raised.value.retryable


def test_close_fails_those_that_wait(one_at_a_time: Any, background: Any) -> None:
    session, peer = one_at_a_time
    first = session.request()
    requesting = background(session.request)
    waiting(session, 1)
    session.close(wait=False)
    with pytest.raises(SessionClosed) as raised:
        requesting.result(5)
    assert raised.value.retryable
    answer(peer, first.id, b"body")
    assert first.read() == b"body"


def test_past_the_last_id_the_session_drains() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        with session._monitor, session._lock:  # 2**30 requests would take a day
            session._protocol._table.highest_outbound_stream_id = MAX_STREAM_ID - 2
        last = session.request()
        assert last.id == MAX_STREAM_ID
        with pytest.raises(StreamIDsExhausted) as raised:
            session.request()
        assert raised.value.retryable
        assert session.closed
        answer(peer, MAX_STREAM_ID, b"last")
        assert last.read() == b"last"
        peer.until_end()


def test_a_server_refuses_what_is_over_its_limit() -> None:
    held: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        held.put(stream)
        stream.read()

    with server_and_raw_client(handler, max_concurrent_streams=2) as (_, peer):
        for stream_id in (1, 3, 5):
            peer.headers(stream_id, [(":method", "POST"), *REQUEST[1:]])
        frame = peer.expect(RstStreamFrame)
        assert (frame.stream_id, frame.error_code) == (5, ErrorCode.REFUSED_STREAM)


def test_a_slot_is_the_handlers_until_it_returns() -> None:
    """Resets must not buy unlimited work."""
    started: queue.SimpleQueue[Any] = queue.SimpleQueue()
    let_go: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        started.put(stream.id)
        let_go.get(timeout=10)

    with server_and_raw_client(handler, max_concurrent_streams=2) as (session, peer):
        for stream_id in (1, 3):
            peer.headers(stream_id, REQUEST, end_stream=True)
            assert started.get(timeout=5) == stream_id
            peer.reset(stream_id, ErrorCode.CANCEL)
        peer.headers(5, REQUEST, end_stream=True)
        assert peer.expect(RstStreamFrame, 5).error_code == ErrorCode.REFUSED_STREAM
        for _ in range(2):
            let_go.put(None)
        eventually(lambda: not session._jobs)
        peer.headers(7, REQUEST, end_stream=True)
        assert started.get(timeout=5) == 7
        let_go.put(None)


def test_our_client_keeps_to_the_servers_limit(open_ends: Any, background: Any) -> None:
    def one(ends: Any) -> bytes:
        stream = ends.client.request({":method": "POST"})
        stream.end(b"x")
        return bytes(stream.read())

    def serve(ends: Any) -> None:
        for _ in range(40):
            served = ends.accept()
            served.read()
            served.end(b"y")

    ends = open_ends(server={"max_concurrent_streams": 3})
    ends.client.ping()
    serving = background(serve, ends)
    calls = [background(one, ends) for _ in range(40)]
    assert [call.result(10) for call in calls] == [b"y"] * 40
    serving.result(5)


def test_errors_of_pending_streams_are_of_this_package(one_at_a_time: Any) -> None:
    session, peer = one_at_a_time
    _first = session.request()
    pending = session.request(wait=False)
    peer.close()
    with pytest.raises(HTTP2Error) as raised:
        pending.wait_response()
    assert raised.value.retryable
    assert not isinstance(raised.value, StreamUnprocessed) or raised.value.code is not None
