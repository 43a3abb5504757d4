"""PING: round trips, limits, and who is woken."""

from __future__ import annotations

import queue
import struct
import time
from typing import Any

import pytest
from hyperframe.frame import PingFrame

from support.peers.raw_peer import client_and_raw_server
from support.threads.background import eventually
from sync_h2 import ConnectionLost, ErrorCode, HTTP2Error, InvalidArgument, PingLimit, SessionClosed, Timeout


def test_a_round_trip_from_both_ends(ends: Any) -> None:
    for session in (ends.client, ends.server):
        before = time.time()
        pong = session.ping()
        assert 0 < pong.duration < 5
        (started,) = struct.unpack("<Q", pong.payload)
        assert before - 1 < started / 1000 < time.time() + 1
        assert session.ping(b"12345678").payload == b"12345678"
        assert session.ping(bytearray(b"abcdefgh"), timeout=5).payload == b"abcdefgh"


@pytest.mark.parametrize("payload", [b"", b"short", b"far too long", "12345678", 12345678])
def test_a_payload_is_eight_bytes(ends: Any, payload: Any) -> None:
    with pytest.raises((InvalidArgument, TypeError)):
        ends.client.ping(payload)
    assert ends.client.ping(b"12345678").payload == b"12345678"


def test_the_peer_hears_it(open_ends: Any) -> None:
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    ends = open_ends(server={"listeners": {"ping": heard.put}})
    ends.client.ping(b"12345678")
    assert heard.get(timeout=5) == b"12345678"


def test_more_than_the_limit_are_refused(background: Any) -> None:
    with client_and_raw_server(max_outstanding_pings=3) as (session, peer):
        pings = [background(session.ping, bytes([number]) * 8) for number in range(3)]
        for _ in range(3):
            peer.expect(PingFrame)
        with pytest.raises(PingLimit):
            session.ping()
        assert issubclass(PingLimit, HTTP2Error)
        for number in (2, 0, 1):  # answers find their ping whatever the order
            peer.send(PingFrame(0, bytes([number]) * 8, flags=["ACK"]))
        assert [call.result(5).payload[0] for call in pings] == [0, 1, 2]


def test_pings_with_the_same_payload(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        pings = [background(session.ping, b"the same") for _ in range(3)]
        for _ in range(3):
            peer.expect(PingFrame)
        for answered in (1, 2, 3):
            peer.send(PingFrame(0, b"the same", flags=["ACK"]))
            eventually(lambda answered=answered: sum(call.done() for call in pings) == answered)


def test_a_timeout_leaves_the_session_usable() -> None:
    with client_and_raw_server() as (session, peer):
        with pytest.raises(Timeout):
            session.ping(timeout=0.05)
        late = peer.expect(PingFrame)
        peer.send(PingFrame(0, late.opaque_data, flags=["ACK"]), PingFrame(0, b"unasked!", flags=["ACK"]))
        peer.settled()
        assert not session.destroyed


def test_a_lost_connection_wakes_it(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        ping = background(session.ping)
        peer.expect(PingFrame)
        peer.close()
        with pytest.raises(ConnectionLost):
            ping.result(5)
        with pytest.raises(ConnectionLost):
            session.ping()


def test_the_sessions_end_wakes_it(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        ping = background(session.ping)
        peer.expect(PingFrame)
        session.destroy()
        with pytest.raises(SessionClosed):
            ping.result(5)


def test_answers_overtake_data(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({})
    sending = background(served.end, b"x" * 20_000_000)
    reading = background(stream.read)
    while not reading.done():
        assert ends.client.ping(timeout=5).duration < 5
    sending.result(5)
    assert len(reading.result(5)) == 20_000_000


def test_a_dead_peer_is_noticed_by_keepalive(background: Any) -> None:
    with client_and_raw_server(keepalive_interval=0.1, keepalive_timeout=0.1) as (session, peer):
        stream = session.request()
        reading = background(stream.read)
        assert peer.expect(PingFrame).flags == set()
        with pytest.raises(ConnectionLost) as raised:
            reading.result(5)
        assert "PING" in str(raised.value)
        with pytest.raises(ConnectionLost):
            session.request()


def test_a_peer_that_answers_is_kept_alive() -> None:
    with client_and_raw_server(keepalive_interval=0.05, keepalive_timeout=0.5) as (session, peer):
        for _ in range(4):
            ping = peer.expect(PingFrame)
            peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
        assert not session.destroyed


@pytest.mark.parametrize("patience", [600, None])
def test_an_answer_starts_the_next_silence(patience: float | None) -> None:
    """However long the answer might have taken."""
    with client_and_raw_server(keepalive_interval=0.05, keepalive_timeout=patience) as (session, peer):
        for _ in range(3):
            ping = peer.expect(PingFrame)
            peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
        assert not session.destroyed


def test_a_flood_of_pings_from_a_peer_that_reads_nothing_ends_the_session(background: Any) -> None:
    with client_and_raw_server(max_queued_control_frames=100) as (session, peer):
        burst = PingFrame(0, b"12345678").serialize() * 1000

        def flood() -> None:
            try:
                while True:
                    peer.sock.sendall(burst)
            except OSError:
                pass

        flooding = background(flood)
        eventually(lambda: session.destroyed)
        with pytest.raises(HTTP2Error) as raised:
            session.ping()
        assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
        flooding.result(10)
