"""`session.state` and `stream.state`: what they say of pending, open and closed streams, of live and dead sessions."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame, PriorityFrame

import sync_h2
from support.octets.fields import RESPONSE, UPLOAD
from support.peers.raw_peer import RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId

CONNECTION_WINDOW = 8 * 1024 * 1024
STREAM_WINDOW = 256 * 1024


def test_the_fields_are_those_of_node() -> None:
    assert [field.name for field in dataclasses.fields(sync_h2.SessionState)] == [
        "effective_local_window_size",
        "effective_recv_data_length",
        "next_stream_id",
        "local_window_size",
        "last_proc_stream_id",
        "remote_window_size",
        "outbound_queue_size",
        "deflate_dynamic_table_size",
        "inflate_dynamic_table_size",
    ]
    assert [field.name for field in dataclasses.fields(sync_h2.StreamState)] == [
        "local_window_size",
        "state",
        "local_close",
        "remote_close",
        "sum_dependency_weight",
        "weight",
    ]


def test_a_new_session() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        assert session.state == sync_h2.SessionState(
            effective_local_window_size=CONNECTION_WINDOW,
            effective_recv_data_length=0,
            next_stream_id=1,
            local_window_size=CONNECTION_WINDOW,
            last_proc_stream_id=0,
            remote_window_size=DEFAULT_WINDOW_SIZE,
            outbound_queue_size=0,
            deflate_dynamic_table_size=0,
            inflate_dynamic_table_size=0,
        )


def test_a_snapshot_stays_as_it_is() -> None:
    with client_and_raw_server() as (session, _):
        before = session.state
        with pytest.raises(dataclasses.FrozenInstanceError):
            before.next_stream_id = 7  # type: ignore[misc]  # that is the point
        stream = session.request()
        assert (before.next_stream_id, session.state.next_stream_id) == (1, 3)
        assert stream.state.state == "half_closed_local"


def test_what_is_sent_and_received_shows_in_the_sessions_state() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST", "x-new": "in the table"})
        other = session.request({":path": "/other"})
        stream.write(b"x" * 1000)
        peer.headers(3, RESPONSE)
        peer.headers(1, [*RESPONSE, ("x-theirs", "in the table")])
        peer.data(1, b"y" * 300)
        peer.settled()
        state = session.state
        assert state.remote_window_size == DEFAULT_WINDOW_SIZE - 1000
        assert state.local_window_size == CONNECTION_WINDOW - 300
        assert state.effective_recv_data_length == 300
        assert state.effective_local_window_size == CONNECTION_WINDOW
        assert (state.next_stream_id, state.last_proc_stream_id) == (5, 1)
        # RFC 7541 section 4.1: a field takes 32 octets more than its text.
        assert state.inflate_dynamic_table_size == len("x-theirs") + len("in the table") + 32
        assert state.deflate_dynamic_table_size >= len("x-new") + len("in the table") + 32
        peer.headers(3, (("x-trailer", "1"),), end_stream=True)
        peer.settled()
        assert session.state.last_proc_stream_id == 3
        other.read()


def test_the_outbound_queue_counts_frames_and_requests_without_a_slot() -> None:
    settings = {SettingId.MAX_CONCURRENT_STREAMS: 1}
    with client_and_raw_server(peer_settings=settings) as (session, _):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 1)
        held = [session.request(wait=False) for _ in range(3)]
        assert session.state.outbound_queue_size == 2
        assert held[2].pending


def test_a_stream_in_each_state() -> None:
    settings = {SettingId.MAX_CONCURRENT_STREAMS: 1}
    with client_and_raw_server(peer_settings=settings) as (session, peer):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 1)
        stream = session.request({":method": "POST"})
        pending = session.request({":method": "POST"}, weight=7, wait=False)
        assert pending.state == sync_h2.StreamState(STREAM_WINDOW, "idle", False, False, 0, 7)
        assert stream.state == sync_h2.StreamState(STREAM_WINDOW, "open", False, False, 0, 16)
        peer.headers(1, RESPONSE)
        peer.data(1, b"x" * 100)
        peer.settled()
        assert stream.state.local_window_size == STREAM_WINDOW - 100
        peer.data(1, b"", end_stream=True)
        peer.settled()
        assert (stream.state.state, stream.state.local_close, stream.state.remote_close) == (
            "half_closed_remote",
            False,
            True,
        )
        stream.end()
        closed = sync_h2.StreamState(0, "closed", True, True, 0, 16)
        assert stream.state == closed
        assert pending.state.state == "open"
        pending.end()
        assert (pending.state.state, pending.state.local_close, pending.state.remote_close) == (
            "half_closed_local",
            True,
            False,
        )
        session.destroy()
        assert stream.state == closed
        assert pending.state == dataclasses.replace(closed, weight=7)
        assert session.state.next_stream_id == 5


def test_a_cancelled_pending_stream_is_closed() -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 0}) as (session, _):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 0)
        stream = session.request(wait=False)
        stream.close(sync_h2.ErrorCode.CANCEL)
        assert stream.state.state == "closed"


def test_a_pushed_stream_is_reserved_at_both_ends(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/style.css"})
    eventually(lambda: not ends.server.pending_settings_ack)
    window = ends.server.local_settings.initial_window_size
    assert pushed.state == sync_h2.StreamState(window, "reserved_local", False, True, 0, 16)
    received = stream.wait_push(timeout=10)
    assert received.state == sync_h2.StreamState(STREAM_WINDOW, "reserved_remote", True, False, 0, 16)
    pushed.end(b"body")
    assert received.read(timeout=10) == b"body"
    assert (pushed.state.state, received.state.state) == ("closed", "closed")
    assert ends.server.state.next_stream_id == 4


def test_a_server_sees_what_its_client_said_of_dependencies() -> None:
    streams: dict[int, sync_h2.ServerStream] = {}

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        streams[stream.id] = stream

    def weights(peer: RawPeer) -> dict[int, tuple[int, int]]:
        peer.settled()
        return {key: (streams[key].state.weight, streams[key].state.sum_dependency_weight) for key in sorted(streams)}

    with server_and_raw_client(handler) as (session, peer):
        for stream_id in (1, 3, 5):
            peer.headers(stream_id, UPLOAD)
        eventually(lambda: len(streams) == 3)
        assert weights(peer) == {1: (16, 0), 3: (16, 0), 5: (16, 0)}
        peer.send(PriorityFrame(3, depends_on=1, stream_weight=99))  # one less than the weight, on the wire
        peer.send(PriorityFrame(5, depends_on=1, stream_weight=255))
        assert weights(peer) == {1: (16, 356), 3: (100, 0), 5: (256, 0)}
        peer.send(PriorityFrame(5, depends_on=1, stream_weight=9, exclusive=True))
        assert weights(peer) == {1: (16, 10), 3: (100, 0), 5: (10, 100)}
        # RFC 7540 section 5.3.3: 5 takes the place of 1, which depends on it from now on.
        peer.send(PriorityFrame(1, depends_on=5, stream_weight=1))
        assert weights(peer) == {1: (2, 0), 3: (100, 0), 5: (10, 102)}
        frame = HeadersFrame(7, peer._encoder.encode(UPLOAD), flags=["END_HEADERS", "PRIORITY"])
        frame.depends_on, frame.stream_weight = 3, 41
        peer.send(frame)
        eventually(lambda: 7 in streams)
        assert weights(peer) == {1: (2, 0), 3: (100, 42), 5: (10, 102), 7: (42, 0)}
        streams[7].close(sync_h2.ErrorCode.CANCEL)
        assert weights(peer)[3] == (100, 0)
        assert session.state.last_proc_stream_id == 7
        peer.data(1, b"x")
        peer.settled()
        assert session.state.last_proc_stream_id == 1


def test_dependencies_in_a_circle_of_streams_not_yet_open() -> None:
    """1 depends on 3, which nobody has opened; 3 opens depending on 1."""
    with client_and_raw_server() as (session, _):
        first = session.request({":method": "POST"}, parent=3)
        second = session.request({":method": "POST"}, parent=1)
        assert (first.state.sum_dependency_weight, second.state.sum_dependency_weight) == (16, 0)
        first.priority(parent=3, exclusive=True)
        assert (first.state.sum_dependency_weight, second.state.sum_dependency_weight) == (0, 16)


def test_frames_that_the_transport_has_not_taken_are_counted() -> None:
    """A peer that reads nothing: what the kernel does not take waits in the queue."""
    window = {SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with client_and_raw_server(peer_settings=window) as (session, peer):
        peer.open_window(0, 2**30)
        eventually(lambda: session.state.remote_window_size > 2**30)
        stream = session.request({":method": "POST"})
        with pytest.raises(sync_h2.Timeout):
            stream.write(b"x" * 4_000_000, timeout=0.1)
        other = session.request()
        assert session.state.outbound_queue_size == 1
        peer.expect(HeadersFrame, other.id)
        eventually(lambda: session.state.outbound_queue_size == 0)
