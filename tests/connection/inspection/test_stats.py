"""`session.stats` and `stream.stats`: what they count, and when their times begin and end."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame

from support.octets.fields import RESPONSE, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import SessionStats, StreamStats
from sync_h2.constants import PREFACE


def octets(*frames: Frame) -> int:
    return sum(len(frame.serialize()) for frame in frames)


def settle(ends: Any) -> None:
    """Until both sides have sent and received all that their first frames cause: SETTINGS are acknowledged."""
    for session in (ends.client, ends.server):
        eventually(lambda session=session: not session.pending_settings_ack)
        session.ping()


def test_what_one_end_sends_the_other_receives(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"x" * 70_000)
    assert len(served.read()) == 70_000
    served.respond()
    served.end(b"y" * 50_000)
    assert len(stream.read()) == 50_000
    settle(ends)
    client, server = ends.client.stats, ends.server.stats
    assert client.bytes_sent == server.bytes_received > 70_000
    assert server.bytes_sent == client.bytes_received > 50_000
    assert client.frames_sent == server.frames_received
    assert server.frames_sent == client.frames_received
    assert (client.type, server.type) == ("client", "server")


def test_they_are_the_same_over_tls(open_ends: Any, tls_contexts: dict[str, Any]) -> None:
    ends = open_ends(**tls_contexts)
    stream, served = ends.exchange({})
    served.end(b"x" * 100_000)
    assert len(stream.read()) == 100_000
    settle(ends)
    client, server = ends.client.stats, ends.server.stats
    assert client.bytes_sent == server.bytes_received
    assert server.bytes_sent == client.bytes_received
    assert 100_000 < server.bytes_sent < 102_000  # frames, not records


def test_every_frame_counts_with_its_header_and_the_preface_does_not() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        before = session.stats
        assert (before.frames_sent, before.frames_received) == (5, 4)  # SETTINGS, WINDOW_UPDATE, ACK, twice PING
        sent = PingFrame(0, b"12345678")
        peer.send(sent)
        answer = peer.expect(PingFrame)
        after = session.stats
        assert after.frames_received - before.frames_received == after.frames_sent - before.frames_sent == 1
        assert after.bytes_received - before.bytes_received == octets(sent)
        assert after.bytes_sent - before.bytes_sent == octets(answer)


def test_frames_that_came_together_count_each() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(stream.read())

    with server_and_raw_client(handler) as (session, peer):
        peer.settled()
        before = session.stats
        frames = [DataFrame(1, bytes(2000))] * 30
        peer.headers(1, UPLOAD)
        peer.send(*frames)
        peer.data(1, b"", end_stream=True)
        peer.expect(HeadersFrame)
        after = session.stats
        assert after.frames_received - before.frames_received == 32
        assert after.bytes_received - before.bytes_received > octets(*frames)


def test_the_preface_is_no_frame() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        peer.receive_preface()
        first = [peer.receive(), peer.receive()]
        stats = session.stats
        assert stats.frames_sent == 2
        assert stats.bytes_sent == octets(*first) < octets(*first) + len(PREFACE)


def test_continuation_frames_count_both_ways(ends: Any) -> None:
    settle(ends)
    sent, received = ends.client.stats.frames_sent, ends.server.stats.frames_received
    ends.exchange({"x-long": "é" * 20_000})
    assert ends.client.stats.frames_sent - sent >= 3
    assert ends.server.stats.frames_received - received == ends.client.stats.frames_sent - sent


def test_each_continuation_frame_is_one() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        before = session.stats
        _stream = session.request({"x-long": "é" * 20_000})
        after = session.stats
        frames = []
        while not frames or "END_HEADERS" not in frames[-1][1]:
            header = peer._read(9)
            frame, length = Frame.parse_frame_header(memoryview(header))
            frame.parse_body(memoryview(peer._read(length)))
            assert isinstance(frame, HeadersFrame | ContinuationFrame)
            frames.append((9 + length, frame.flags))
        assert after.frames_sent - before.frames_sent == len(frames) > 2
        assert after.bytes_sent - before.bytes_sent == sum(length for length, _ in frames)


def test_streams_are_counted_with_their_peak(ends: Any) -> None:
    for session in (ends.client, ends.server):
        assert (session.stats.stream_count, session.stats.max_concurrent_streams) == (0, 0)
        assert session.stats.stream_average_duration is None
    pairs = [ends.exchange({}) for _ in range(3)]
    for stream, served in pairs:
        served.end(b"x")
        stream.read()
    stream, served = ends.exchange({})
    served.end()
    stream.read()
    for session in (ends.client, ends.server):
        eventually(lambda session=session: not session._streams)
        assert (session.stats.stream_count, session.stats.max_concurrent_streams) == (4, 3)
    durations = [stream.stats.duration for stream in ends.held[::2]]
    average = ends.client.stats.stream_average_duration
    assert average == pytest.approx(sum(durations) / 4)


def test_pushed_streams_count(ends: Any) -> None:
    stream, served = ends.exchange({})
    with served.push_stream({":path": "/pushed"}) as pushed:
        pushed.end(b"pushed")
    served.end()
    received = stream.wait_push()
    assert received.read() == b"pushed"
    assert stream.read() == b""
    assert ends.client.stats.stream_count == ends.server.stats.stream_count == 2
    assert ends.client.stats.max_concurrent_streams == 2
    assert received.stats.bytes_received == 6
    assert received.stats.time_to_first_header >= 0
    assert pushed.stats.time_to_first_header is None  # nothing comes on it


def test_the_round_trip_is_that_of_the_last_ping(ends: Any) -> None:
    assert ends.client.stats.ping_rtt is None
    for _ in range(3):
        assert ends.client.ping().duration == ends.client.stats.ping_rtt
    assert ends.server.stats.ping_rtt is None


def test_the_round_trip_may_be_that_of_keepalive(open_ends: Any) -> None:
    ends = open_ends(client={"keepalive_interval": 0.05})
    eventually(lambda: ends.client.stats.ping_rtt is not None)
    assert ends.client.stats.ping_rtt > 0


def test_the_duration_of_a_session_ends_with_its_connection(ends: Any) -> None:
    first = ends.client.stats.duration
    eventually(lambda: ends.client.stats.duration > first)
    before = time.monotonic()
    ends.client.close()
    duration = ends.client.stats.duration
    assert first < duration
    eventually(lambda: time.monotonic() > before + 0.01)
    assert ends.client.stats.duration == duration
    assert ends.client.stats == ends.client.stats


def test_times_of_a_stream_come_as_things_happen() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        fresh = stream.stats
        assert (fresh.id, fresh.bytes_sent, fresh.bytes_received) == (1, 0, 0)
        assert fresh.time_to_first_header is fresh.time_to_first_byte is fresh.time_to_first_byte_sent is None
        assert fresh.duration >= 0
        stream.write(b"abc")
        sent = stream.stats
        assert sent.bytes_sent == 3
        assert 0 <= sent.time_to_first_byte_sent <= sent.duration
        peer.headers(1, [(":status", "103")])
        eventually(lambda: stream.informational)
        hinted = stream.stats.time_to_first_header
        assert sent.time_to_first_byte_sent <= hinted <= stream.stats.duration
        peer.headers(1, RESPONSE)
        stream.wait_response()
        assert stream.stats.time_to_first_header == hinted
        peer.send(DataFrame(1, b""))
        peer.settled()
        assert stream.stats.time_to_first_byte is None  # nothing of the body yet
        peer.data(1, b"12345")
        assert stream.read(2) == b"12"
        arrived = stream.stats
        assert arrived.bytes_received == 5
        assert hinted <= arrived.time_to_first_byte <= arrived.duration
        stream.write(b"def")
        peer.data(1, b"67", end_stream=True)
        assert stream.read() == b"34567"
        stream.end()
        closed = stream.stats
        assert (closed.bytes_sent, closed.bytes_received) == (6, 7)
        assert closed.time_to_first_byte_sent == sent.time_to_first_byte_sent
        assert closed.time_to_first_byte == arrived.time_to_first_byte
        assert arrived.duration <= closed.duration
        assert stream.stats == closed


def test_a_servers_stream_begins_with_its_headers() -> None:
    accepted: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        accepted.append(stream)
        stream.read()
        stream.end()

    with server_and_raw_client(handler) as (_, peer):
        peer.headers(1, UPLOAD)
        peer.data(1, b"1234", end_stream=True)
        peer.expect(HeadersFrame)
        accepted[0].wait_closed()
        stats = accepted[0].stats
        assert stats.time_to_first_header == 0.0
        assert (stats.bytes_received, stats.bytes_sent, stats.time_to_first_byte_sent) == (4, 0, None)
        assert 0 <= stats.time_to_first_byte <= stats.duration


def test_discarded_bytes_have_come_too(ends: Any) -> None:
    stream, served = ends.exchange({})
    served.write(b"x" * 1000)
    served.end()
    stream.wait_trailers()
    assert stream.stats.bytes_received == 1000


def test_a_reset_ends_the_duration() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.reset(1, 8)
        stream.wait_closed()
        stats = stream.stats
        assert stats.duration is not None
        assert session.stats.stream_average_duration == stats.duration
        assert stream.stats == stats


def test_a_pending_stream_has_no_times(background: Any) -> None:
    with client_and_raw_server(peer_settings={0x3: 1}) as (session, peer):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 1)
        first, pending = session.request(), session.request(wait=False)
        assert (pending.stats.id, pending.stats.duration) == (None, None)
        assert session.stats.stream_count == 1
        reading = background(pending.wait_response)
        eventually(lambda: waits(pending))
        first.close()
        peer.expect(RstStreamFrame)
        peer.headers(3, RESPONSE)
        assert reading.result(5)
        assert pending.stats.duration >= pending.stats.time_to_first_header >= 0
        assert (session.stats.stream_count, session.stats.max_concurrent_streams) == (2, 1)


def test_a_request_that_never_got_a_stream_has_none() -> None:
    with client_and_raw_server(peer_settings={0x3: 0}) as (session, _):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 0)
        pending = session.request(wait=False)
        session.destroy()
        assert pending.stats == StreamStats(None, 0, 0, None, None, None, None)
        assert session.stats.stream_average_duration is None


def test_a_snapshot_can_not_be_changed(ends: Any) -> None:
    stream, _ = ends.exchange()
    for stats, kind in ((ends.client.stats, SessionStats), (stream.stats, StreamStats)):
        assert isinstance(stats, kind)
        with pytest.raises(dataclasses.FrozenInstanceError):
            stats.bytes_sent = 1
