"""Limits: defaults, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import pytest

from sync_h2.errors import InvalidArgument
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
