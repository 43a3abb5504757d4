"""Our SETTINGS on their way: each ACK applies its own frame."""

from __future__ import annotations

from sync_h2.protocol.local_settings import LocalSettings
from sync_h2.protocol.settings import Settings


def test_each_ack_applies_exactly_its_own_frame():
    local = LocalSettings()
    local.sent(Settings(initial_window_size=1000))
    local.sent(Settings(max_frame_size=20_000))
    assert local.pending_count == 2
    assert local.acknowledged == Settings.defaults()
    assert local.acknowledge() == {"initial_window_size": 1000}
    assert local.acknowledged.initial_window_size == 1000
    assert local.acknowledged.max_frame_size == 16_384
    assert local.acknowledge() == {"max_frame_size": 20_000}
    assert local.acknowledged.max_frame_size == 20_000
    assert local.pending_count == 0


def test_an_ack_that_nothing_awaits():
    assert LocalSettings().acknowledge() is None


def test_latest_is_what_was_stated_last():
    local = LocalSettings()
    assert local.latest("max_concurrent_streams") is None
    local.sent(Settings(max_concurrent_streams=5))
    local.sent(Settings(max_concurrent_streams=3))
    local.sent(Settings(enable_push=False))
    assert local.latest("max_concurrent_streams") == 3
    for _ in range(3):
        local.acknowledge()
    assert local.latest("max_concurrent_streams") == 3


def test_the_peer_may_go_by_larger_values_at_once_and_by_smaller_ones_until_it_acknowledges():
    local = LocalSettings()
    local.sent(Settings(initial_window_size=100_000))
    assert local.largest("initial_window_size") == 100_000
    local.sent(Settings(initial_window_size=10))
    assert local.largest("initial_window_size") == 100_000
    local.acknowledge()
    assert local.largest("initial_window_size") == 100_000
    local.acknowledge()
    assert local.largest("initial_window_size") == 10
