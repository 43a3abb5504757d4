"""Limits: defaults, what is refused, and the counters."""

from __future__ import annotations

import dataclasses
import math

import pytest

from support.octets.http2_endpoint import Clock
from sync_h2.constants import ErrorCode
from sync_h2.errors import InvalidArgument, ProtocolError
from sync_h2.protocol.flood_guard import FloodGuard, LimitReached, RateLimit
from sync_h2.protocol.limits import Limits


def test_servers_and_clients_differ_in_patience_and_memory():
    server, client = Limits.for_server(), Limits.for_client()
    assert (server.read_timeout, server.write_timeout, server.idle_timeout) == (60, 60, 120)
    assert (client.read_timeout, client.write_timeout, client.idle_timeout) == (None, None, None)
    assert server.max_session_memory == 16 * 2**20
    assert client.max_session_memory == 64 * 2**20


def test_options_change_the_defaults():
    limits = Limits.for_server(read_timeout=None, max_concurrent_streams=7, keepalive_interval=math.inf)
    assert (limits.read_timeout, limits.max_concurrent_streams, limits.keepalive_interval) == (None, 7, math.inf)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match=r"'max_stream'.*'max_"):
        Limits.for_client(max_stream=1)
    with pytest.raises(TypeError, match="'zzz'; there are max_sessions, "):
        Limits.for_server(zzz=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_concurrent_streams", None),
        ("max_concurrent_streams", 1.5),
        ("max_concurrent_streams", -1),
        ("max_concurrent_streams", True),
        ("max_sessions_per_address", "2"),
        ("read_timeout", "soon"),
        ("read_timeout", -0.1),
        ("read_timeout", math.nan),
        ("stream_reset_rate", None),
        ("padding_strategy", "some"),
    ],
)
def test_wrong_values_name_the_option(name, value):
    with pytest.raises(InvalidArgument, match=name):
        Limits.for_server(**{name: value})


def test_limits_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits.for_server().max_settings = 1


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
