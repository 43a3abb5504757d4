"""`padding_strategy`: what is padded and how far, and that bodies and windows come out right."""

from __future__ import annotations

from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PushPromiseFrame

import sync_h2
from support.octets.fields import REQUEST
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import constants
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId
from sync_h2.protocol.frames.padding import padding_for

STRATEGIES = ["none", "max", "aligned"]


def total_length(frame: Any) -> int:
    """Octets of the frame with its header."""
    return len(frame.serialize())


def test_the_constants_are_the_values() -> None:
    assert [
        constants.PADDING_STRATEGY_NONE,
        constants.PADDING_STRATEGY_MAX,
        constants.PADDING_STRATEGY_ALIGNED,
    ] == STRATEGIES


@pytest.mark.parametrize(
    ("strategy", "length", "room", "pad_length"),
    [
        ("max", 100, 10_000, 255),
        ("max", 0, 256, 255),
        ("max", 100, 255, 254),
        ("max", 100, 1, 0),
        ("max", 100, 0, None),
        ("max", 0, -5, None),
        ("aligned", 7, 1000, None),
        ("aligned", 6, 1000, 0),
        ("aligned", 8, 1000, 6),
        ("aligned", 8, 3, 2),
        ("aligned", 8, 0, None),
        ("aligned", 0, -1, None),
    ],
)
def test_how_far_a_payload_is_padded(strategy: str, length: int, room: int, pad_length: int | None) -> None:
    padding = padding_for(strategy)
    assert padding is not None
    assert padding(length, room) == pad_length


def test_no_padding_by_default() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        stream.end(b"body")
        assert "PADDED" not in peer.expect(HeadersFrame).flags
        assert "PADDED" not in peer.expect(DataFrame).flags


def test_an_unknown_strategy() -> None:
    with pytest.raises(sync_h2.InvalidArgument, match="padding_strategy must be one of none, max, aligned, not 'some'"):
        sync_h2.create_server(padding_strategy="some")


def test_max_pads_headers_data_and_trailers_as_far_as_there_is_room() -> None:
    with client_and_raw_server(padding_strategy="max") as (session, peer):
        stream = session.request({":method": "POST"}, wait_for_trailers=True, weight=99)
        frame = peer.expect(HeadersFrame)
        assert (frame.pad_length, frame.stream_weight, dict(frame.fields)[":method"]) == (255, 98, "POST")
        stream.write(b"x" * 1000)
        frame = peer.expect(DataFrame)
        assert (frame.data, frame.pad_length) == (b"x" * 1000, 255)
        stream.write(b"y" * (16_384 - 100))
        frame = peer.expect(DataFrame)
        assert (len(frame.data), frame.pad_length) == (16_384 - 100, 99)
        stream.write(b"z" * 16_384)
        assert "PADDED" not in peer.expect(DataFrame).flags
        stream.send_trailers({"x-trailer": "1"})
        frame = peer.expect(HeadersFrame)
        assert (frame.pad_length, frame.fields) == (255, [("x-trailer", "1")])
        # Padding counts (RFC 9113 section 6.9.1).
        assert session.state.remote_window_size == DEFAULT_WINDOW_SIZE - (1000 + 256) - 16_384 - 16_384


def test_max_pads_an_empty_frame_that_ends_the_body() -> None:
    with client_and_raw_server(padding_strategy="max") as (session, peer):
        stream = session.request({":method": "POST"})
        stream.write(b"x")
        peer.expect(DataFrame)
        stream.end()
        frame = peer.expect(DataFrame)
        assert (frame.data, frame.pad_length, "END_STREAM" in frame.flags) == (b"", 255, True)


def test_padding_keeps_within_the_window() -> None:
    with client_and_raw_server(padding_strategy="max", peer_settings={SettingId.INITIAL_WINDOW_SIZE: 1100}) as (
        session,
        peer,
    ):
        eventually(lambda: session.remote_settings.initial_window_size == 1100)
        stream = session.request({":method": "POST"})
        stream.write(b"x" * 1000)
        assert peer.expect(DataFrame).pad_length == 99
        stream.end()  # the window is used up: the end goes without padding, and does not wait
        frame = peer.expect(DataFrame)
        assert (frame.data, "PADDED" in frame.flags, "END_STREAM" in frame.flags) == (b"", False, True)


@pytest.mark.parametrize("window", [1, 2, 255, 256, 257])
def test_small_windows_and_padding(window: int, background: Any) -> None:
    """Nothing waits for padding's sake: what there is of the window is for the body first."""
    body = bytes(range(250)) * 4
    with client_and_raw_server(padding_strategy="max", peer_settings={SettingId.INITIAL_WINDOW_SIZE: window}) as (
        session,
        peer,
    ):
        eventually(lambda: session.remote_settings.initial_window_size == window)
        stream = session.request({":method": "POST"})
        ending = background(stream.end, body)
        received = b""
        while len(received) < len(body):
            frame = peer.expect(DataFrame)
            assert 0 < frame.flow_controlled_length <= window
            received += frame.data
            peer.open_window(1, frame.flow_controlled_length)
        assert received == body
        ending.result(10)


@pytest.mark.parametrize("length", [*range(1, 18), 16_383, 16_384])
def test_aligned_makes_frames_a_multiple_of_eight_octets(length: int) -> None:
    with client_and_raw_server(padding_strategy="aligned") as (session, peer):
        stream = session.request({":method": "POST", "x-length": "y" * length})
        stream.end(b"x" * length)
        frame = peer.expect(DataFrame)
        assert frame.data == b"x" * length
        assert total_length(frame) % 8 == 0 or len(frame.data) + frame.pad_length >= 16_383


def test_aligned_headers() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.additional_headers({":status": 103, "link": "<" + "x" * stream.id + ">"})
        stream.push_stream({":path": "/" + "p" * stream.id}).respond({"x-pushed": "y"}, end_stream=True)
        stream.respond({"x-long": "z" * stream.id}, end_stream=True)

    with server_and_raw_client(handler, padding_strategy="aligned") as (_, peer):
        lengths: dict[int, set[int]] = {HeadersFrame.type: set(), PushPromiseFrame.type: set()}
        for stream_id in range(1, 33, 2):
            peer.headers(stream_id, REQUEST, end_stream=True)
            for _ in range(4):  # 103, the promise, and two responses
                while True:
                    header = peer._read(9)
                    length = int.from_bytes(header[:3], "big")
                    peer._read(length)
                    if header[3] in lengths:
                        break
                assert (9 + length) % 8 == 0
                lengths[header[3]].add(length)
        assert all(len(different) > 1 for different in lengths.values())


def test_a_block_in_several_frames_is_not_padded() -> None:
    with client_and_raw_server(padding_strategy="max") as (session, peer):
        stream = session.request({"x-long": "x" * 30_000}, end_stream=False)
        frame = peer.expect(HeadersFrame)
        assert "PADDED" not in frame.flags
        assert frame.stream_id == stream.id
        assert dict(frame.fields)["x-long"] == "x" * 30_000


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [0, 1, 100, 16_384, 1_000_000])
def test_bodies_arrive_intact_at_the_other_end(open_ends: Any, background: Any, strategy: str, size: int) -> None:
    options = {"padding_strategy": strategy}
    ends = open_ends(client=options, server=options)
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    stream, served = ends.exchange(wait_for_trailers=True)
    writing, answering = background(stream.write, body), background(served.end, body)
    reading = background(stream.read)
    received = bytearray()
    while len(received) < size:
        received += served.read(size)
    writing.result(5)
    stream.send_trailers({"x-trailer": "1"})
    assert (bytes(received), served.read(timeout=10)) == (body, b"")
    assert served.wait_trailers(timeout=10) == {"x-trailer": "1"}
    assert reading.result(20) == body
    answering.result(5)


def test_all_credit_for_padding_comes_back(open_ends: Any, background: Any) -> None:
    """Far more padding than the windows hold."""
    ends = open_ends(client={"padding_strategy": "max"}, server={"settings": {"initial_window_size": 70_000}})
    ends.server.set_local_window_size(70_000)
    stream, served = ends.exchange()

    def write() -> None:
        for _ in range(2000):
            stream.write(b"x")
        stream.end()

    writing = background(write)
    assert served.read(timeout=20) == b"x" * 2000
    writing.result(5)
    assert ends.server.state.local_window_size > 0


def test_a_push_promise_is_padded() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.push_stream({":path": "/style.css"}).respond(end_stream=True)
        stream.respond(end_stream=True)

    with server_and_raw_client(handler, padding_strategy="max") as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)
        frame = peer.expect(PushPromiseFrame)
        assert (frame.pad_length, frame.promised_stream_id, dict(frame.fields)[":path"]) == (255, 2, "/style.css")
        frame = peer.expect(HeadersFrame, 1)
        assert (frame.pad_length, dict(frame.fields)[":status"]) == (255, "200")
