"""SETTINGS: announced, acknowledged one by one, applied when acknowledged."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import SettingsFrame

from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ConnectionLost, ErrorCode, HTTP2Error, InvalidArgument, Settings, Timeout, default_settings
from sync_h2.constants import SettingId


def test_both_ends_learn_the_others_settings(open_ends: Any) -> None:
    ends = open_ends(
        client={"settings": {"initial_window_size": 100_000, "custom": {0xFFF0: 7}}},
        server={"settings": {"max_frame_size": 20_000}, "max_concurrent_streams": 33},
    )
    ends.client.ping()
    ends.server.ping()
    assert ends.server.remote_settings.initial_window_size == 100_000
    assert ends.server.remote_settings.custom[0xFFF0] == 7
    assert ends.client.remote_settings.max_frame_size == 20_000
    assert ends.client.remote_settings.max_concurrent_streams == 33
    assert ends.client.local_settings.initial_window_size == 100_000
    assert not ends.client.pending_settings_ack
    assert not ends.client.connecting
    assert ends.client.type == "client"
    assert ends.server.type == "server"
    assert ends.client.alpn_protocol == "h2c"
    assert not ends.client.encrypted


def test_local_settings_change_when_they_are_acknowledged() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        assert session.connecting
        assert session.pending_settings_ack
        before = session.local_settings.initial_window_size
        assert before == 65_535
        peer.handshake()
        peer.settled()
        assert session.local_settings.initial_window_size != before
        assert not session.pending_settings_ack
        assert not session.connecting


def test_each_ack_applies_its_own_frame() -> None:
    heard: queue.SimpleQueue[Settings] = queue.SimpleQueue()
    with client_and_raw_server() as (session, peer):
        peer.settled()
        session.on("local_settings", heard.put)
        session.settings({"header_table_size": 100})
        session.settings({"max_frame_size": 20_000})
        session.settings({"header_table_size": 200, "max_header_list_size": 1000})
        peer.acknowledge_settings()
        applied = heard.get(timeout=5)
        assert (applied.header_table_size, applied.max_frame_size) == (100, 16_384)
        assert session.local_settings.max_frame_size == 16_384
        peer.acknowledge_settings()
        applied = heard.get(timeout=5)
        assert (applied.header_table_size, applied.max_frame_size) == (100, 20_000)
        assert session.pending_settings_ack
        peer.acknowledge_settings()
        applied = heard.get(timeout=5)
        assert (applied.header_table_size, applied.max_header_list_size) == (200, 1000)
        assert not session.pending_settings_ack


def test_waiting_for_the_ack(ends: Any) -> None:
    ends.client.settings({"max_frame_size": 30_000}, wait=True, timeout=5)
    assert ends.client.local_settings.max_frame_size == 30_000
    assert ends.server.remote_settings.max_frame_size == 30_000


def test_a_wait_that_times_out_leaves_the_session_usable() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        with pytest.raises(Timeout):
            session.settings({"max_frame_size": 30_000}, wait=True, timeout=0.05)
        assert session.pending_settings_ack
        peer.acknowledge_settings()
        eventually(lambda: not session.pending_settings_ack)
        assert session.local_settings.max_frame_size == 30_000


def test_a_lost_connection_wakes_the_wait(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        waiting = background(session.settings, {"max_frame_size": 30_000}, wait=True)
        eventually(lambda: session.pending_settings_ack)
        peer.close()
        with pytest.raises(ConnectionLost):
            waiting.result(5)


@pytest.mark.parametrize(
    "values",
    [
        {"max_frame_size": 100},
        {"max_frame_size": 2**24},
        {"initial_window_size": 2**31},
        {"enable_push": 2},
        {"unknown": 1},
        {"header_table_size": -1},
        {"custom": {1: 1}},
        {"custom": {2**16: 1}},
    ],
)
def test_values_out_of_range_are_refused(ends: Any, values: Any) -> None:
    with pytest.raises(InvalidArgument) as raised:
        ends.client.settings(values)
    assert isinstance(raised.value, ValueError)
    assert not ends.client.destroyed


def test_what_a_server_may_not_say_is_left_out(ends: Any) -> None:
    """RFC 9113 section 6.5.2: no ENABLE_PUSH of 1 from a server; `default_settings()` contains it."""
    ends.server.settings(default_settings(), wait=True, timeout=5)
    ends.client.ping()
    assert not ends.server.destroyed
    assert not ends.client.destroyed


def test_remote_settings_fire_with_what_holds() -> None:
    heard: queue.SimpleQueue[Settings] = queue.SimpleQueue()
    with client_and_raw_server(handshake=False, listeners={"remote_settings": heard.put}) as (session, peer):
        peer.handshake({SettingId.MAX_CONCURRENT_STREAMS: 5})
        first = heard.get(timeout=5)
        assert (first.max_concurrent_streams, first.max_frame_size) == (5, 16_384)
        peer.send(SettingsFrame(0, settings={SettingId.MAX_FRAME_SIZE: 20_000}))
        second = heard.get(timeout=5)
        assert (second.max_concurrent_streams, second.max_frame_size) == (5, 20_000)
        assert session.remote_settings.max_frame_size == 20_000


def test_every_settings_frame_is_acknowledged() -> None:
    with server_and_raw_client() as (_, peer):
        peer.settled()
        for _ in range(5):
            peer.send(SettingsFrame(0, settings={SettingId.MAX_FRAME_SIZE: 20_000}))
        frames = peer.settled()
        assert len([frame for frame in frames if isinstance(frame, SettingsFrame) and "ACK" in frame.flags]) == 5


def test_settings_on_an_ended_session_raise_its_error(ends: Any) -> None:
    ends.client.close(timeout=5)
    with pytest.raises(HTTP2Error):
        ends.client.settings({"max_frame_size": 30_000})


def test_a_peer_that_never_acknowledges_is_ended() -> None:
    with client_and_raw_server(handshake=False, settings_timeout=0.2) as (session, peer):
        peer.receive_preface()
        peer.send(SettingsFrame(0))
        goaway = peer.farewell()
        assert goaway.error_code == ErrorCode.SETTINGS_TIMEOUT
        assert goaway.additional_data == b"settings_timeout"
        with pytest.raises(HTTP2Error) as raised:
            session.request()
        assert raised.value.code == ErrorCode.SETTINGS_TIMEOUT


def test_an_ack_in_time_keeps_the_session() -> None:
    with client_and_raw_server(settings_timeout=2.0) as (session, peer):
        peer.settled()
        with pytest.raises(Timeout):
            session.settings({"max_frame_size": 20_000}, wait=True, timeout=0.1)
        peer.acknowledge_settings()
        stream = session.request()
        with pytest.raises(Timeout):
            stream.wait_response(timeout=2.0)
        assert not session.destroyed


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_peer_that_says_nothing_is_ended(role: str) -> None:
    opened = client_and_raw_server if role == "client" else server_and_raw_client
    with opened(handshake=False, handshake_timeout=0.2) as (session, peer):
        peer.receive_preface()
        goaway = peer.farewell()
        assert goaway.error_code == ErrorCode.SETTINGS_TIMEOUT
        assert goaway.additional_data == b"handshake_timeout"
        eventually(lambda: session.destroyed)


def test_a_peer_that_does_not_speak_http2_is_told_and_ended() -> None:
    with server_and_raw_client(handshake=False) as (session, peer):
        peer.sock.sendall(b"\x00\x01 what is this?")
        goaway = peer.farewell()
        assert goaway.error_code == ErrorCode.PROTOCOL_ERROR
        assert session.destroyed
