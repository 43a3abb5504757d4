"""Frames that carry nothing of a message have a budget: what an honest peer needs of them, and some more."""

from __future__ import annotations

import pytest
from hpack import HeaderTuple

from support.octets.http2_endpoint import (
    ACK,
    REQUEST,
    RESPONSE,
    Endpoint,
    client,
    frame,
    goaway,
    reset,
    server,
    settings,
    window_update,
)
from sync_h2.constants import FrameType
from sync_h2.protocol.fields.headers import encode_request
from sync_h2.protocol.flood_guard import LimitReached
from sync_h2.protocol.settings import Settings

PRIORITY = frame(FrameType.PRIORITY, 0, 101, bytes(5))
UNKNOWN = frame(0xBB, 0, 0, b"grease")


def answered_request() -> Endpoint:
    """A server that has answered stream 1, so that it is closed."""
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True))
    endpoint.connection.send_response(1, [HeaderTuple(*field) for field in RESPONSE], True)
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
    endpoint.connection.send_response(1, [HeaderTuple(*field) for field in RESPONSE], False)
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
        endpoint.connection.send_response(stream_id, [HeaderTuple(*field) for field in RESPONSE], True)
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
