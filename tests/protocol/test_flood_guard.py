"""The counters, and that frames which carry nothing of a message have a budget: what an honest peer needs of them, and
some more.
"""

from __future__ import annotations

import pytest

from support.octets.http2_endpoint import (
    ACK,
    REQUEST,
    Clock,
    Endpoint,
    client,
    frame,
    goaway,
    reset,
    server,
    settings,
    window_update,
)
from sync_h2.constants import ErrorCode, FrameType
from sync_h2.errors import ProtocolError
from sync_h2.protocol.fields.headers import encode_request, encode_response
from sync_h2.protocol.flood_guard import FloodGuard, RateLimit
from sync_h2.protocol.limits import LimitReached, Limits
from sync_h2.protocol.settings import Settings


def test_rate_limit_allows_a_burst_and_then_the_rate():
    clock = Clock()
    limit = RateLimit(3, 2.0, clock)
    assert [limit.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.5
    assert [limit.take() for _ in range(2)] == [True, False]
    clock.now += 1000
    assert [limit.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("count", "limit"),
    [
        (FloodGuard.count_reset, "stream_reset_rate"),
        (FloodGuard.count_invalid_frame, "max_session_invalid_frames"),
        (FloodGuard.count_rejected_stream, "max_session_rejected_streams"),
    ],
)
def test_flood_guard_names_the_limit(count, limit):
    limits = Limits.for_server(stream_reset_burst=2, max_session_invalid_frames=2, max_session_rejected_streams=2)
    guard = FloodGuard(limits, Clock())
    count(guard, 1)
    count(guard, 3)
    with pytest.raises(LimitReached, match=limit) as raised:
        count(guard, 5)
    assert isinstance(raised.value, ProtocolError)
    assert (raised.value.limit, raised.value.code, raised.value.stream_id) == (limit, ErrorCode.ENHANCE_YOUR_CALM, 5)


def test_what_is_said_of_resets_names_both_of_their_limits():
    guard = FloodGuard(Limits.for_server(stream_reset_burst=0, stream_reset_rate=2.5), Clock())
    with pytest.raises(LimitReached, match=r"stream_reset_burst \(0\).*stream_reset_rate \(2\.5 a second\)"):
        guard.count_reset(1)


def test_rejected_streams_are_forgiven_once_the_peer_keeps_to_the_limit():
    guard = FloodGuard(Limits.for_server(max_session_rejected_streams=1), Clock())
    for _ in range(5):
        guard.count_rejected_stream(1)
        guard.accepted_stream()


def test_useless_frames_are_forgiven_within_minutes():
    clock = Clock()
    guard = FloodGuard(Limits.for_server(max_session_invalid_frames=60), clock)
    for _ in range(60):
        guard.count_invalid_frame(1)
    clock.now += 1.001
    guard.count_invalid_frame(1)
    with pytest.raises(LimitReached):
        guard.count_invalid_frame(1)


PRIORITY = frame(FrameType.PRIORITY, 0, 101, bytes(5))
UNKNOWN = frame(0xBB, 0, 0, b"grease")


def answered_request() -> Endpoint:
    """A server that has answered stream 1, so that it is closed."""
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True))
    endpoint.connection.send_response(1, encode_response(None), True)
    return endpoint


FLOODS = {
    "PRIORITY on an idle stream": PRIORITY,
    "PRIORITY on a closed stream": frame(FrameType.PRIORITY, 0, 1, bytes((0, 0, 0, 0, 9))),
    "RST_STREAM on a closed stream": reset(1),
    "WINDOW_UPDATE on a closed stream": window_update(1, 1),
    "WINDOW_UPDATE of the connection": window_update(0, 1),
    "an unknown type": UNKNOWN,
    "an unknown type without anything": frame(0xBB, 0, 0),
    "PRIORITY_UPDATE": frame(FrameType.PRIORITY_UPDATE, 0, 0, (3).to_bytes(4, "big") + b"u=1"),
    "SETTINGS without values": settings(),
    "SETTINGS that go back and forth": settings((4, 1)) + settings((4, 2)),
    "ALTSVC": frame(FrameType.ALTSVC, 0, 0, bytes(2)),
    "ORIGIN": frame(FrameType.ORIGIN, 0, 0),
    "PING's answer without a PING": frame(FrameType.PING, ACK, 0, bytes(8)),
    "GOAWAY": goaway(0),
}


@pytest.mark.parametrize("octets", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_of_frames_that_ask_for_nothing_ends_the_session(octets: bytes):
    endpoint = answered_request()
    with pytest.raises(LimitReached) as raised:
        for _ in range(1100):
            endpoint.receive(octets)
    assert raised.value.limit == "max_session_invalid_frames"


@pytest.mark.parametrize("octets", FLOODS.values(), ids=FLOODS.keys())
def test_so_many_as_an_honest_client_sends_are_taken(octets: bytes):
    endpoint = answered_request()
    for _ in range(400):
        endpoint.receive(octets)
    endpoint.clock.now += 60  # and again, a minute later
    for _ in range(400):
        endpoint.receive(octets)


@pytest.mark.parametrize("piece", [1, 100, 16_384])
def test_a_client_that_opens_the_windows_for_every_few_octets_is_no_flood(piece: int):
    """Stream and connection, for each DATA frame and for each 512 octets; also when the stream has ended by then."""
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True) + window_update(1, 2**30) + window_update(0, 2**30))
    endpoint.connection.send_response(1, encode_response(None), False)
    updates = 0
    for _ in range(1000):
        endpoint.connection.send_data(1, bytes(piece), False)
        updates += -(-piece // 512)
    endpoint.connection.send_data(1, b"", True)
    for _ in range(updates):
        endpoint.receive(window_update(1, 512) + window_update(0, 512))


def test_requests_earn_their_priorities():
    endpoint = server()
    for stream_id in range(1, 4001, 2):
        for _ in range(3):
            endpoint.receive(frame(FrameType.PRIORITY, 0, stream_id, bytes(5)) + UNKNOWN)
        endpoint.receive(endpoint.headers(stream_id, REQUEST, end_stream=True) + window_update(stream_id, 1000))
        endpoint.connection.send_response(stream_id, encode_response(None), True)
        endpoint.receive(window_update(0, 1))


def test_a_client_may_ping_as_often_as_it_likes():
    endpoint = client()
    for _ in range(3000):
        endpoint.connection.ping(bytes(8))
        endpoint.receive(frame(FrameType.PING, ACK, 0, bytes(8)))


def test_a_server_may_open_windows_for_what_a_client_sends():
    endpoint = client()
    stream_id = endpoint.connection.send_request(encode_request(None, scheme="https", authority="example.org"), False)
    for _ in range(2000):
        endpoint.receive(window_update(0, 1) + window_update(stream_id, 1))
        endpoint.connection.send_data(stream_id, b"x", False)


def test_settings_of_ours_are_acknowledged_for_free():
    endpoint = client()
    for _ in range(2000):
        endpoint.connection.update_settings(Settings())
        endpoint.receive(frame(FrameType.SETTINGS, ACK, 0))
