"""The frame reader: cutting at any chunking, lengths, the preface, the buffer's size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.octets.http2_endpoint import frame, settings
from sync_h2.constants import PREFACE, ErrorCode
from sync_h2.errors import ProtocolError
from sync_h2.protocol.frames.framing import IDLE_BUFFER_SIZE, LARGEST_BUFFER_SIZE, FrameReader, PrefaceError


def feed(reader: FrameReader, octets: bytes) -> list[tuple[int, int, int, bytes]]:
    """Give the reader `octets` in as many reads as its room takes."""
    frames = []
    while True:
        room = reader.writable()
        assert len(room) > 0
        count = min(len(room), len(octets))
        room[:count] = octets[:count]
        octets = octets[count:]
        reader.received(count)
        while (cut := reader.next_frame()) is not None:
            frames.append((*cut[:3], bytes(cut[3])))
        if not octets:
            return frames


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=300))),
    st.lists(st.integers(1, 70)),
    st.booleans(),
)
def test_any_chunking_gives_the_same_frames(frames, sizes, preface):
    octets = (PREFACE if preface else b"") + b"".join(frame(*parts) for parts in frames)
    reader = FrameReader(expect_preface=preface, max_frame_size=16_384)
    cut = []
    for size in sizes:
        cut += feed(reader, octets[:size])
        octets = octets[size:]
    cut += feed(reader, octets)
    assert cut == frames


def test_the_reserved_bit_of_the_stream_id_is_ignored():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    assert feed(reader, frame(0, 0, 0x8000_0001, b"x")) == [(0, 0, 1, b"x")]


def test_a_frame_that_is_too_long_is_refused_at_its_header():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    header = frame(0, 0, 1, bytes(16_385))[:9]
    assert feed(reader, header[:8]) == []
    with pytest.raises(ProtocolError, match="16385") as raised:
        feed(reader, header[8:])
    assert raised.value.code == ErrorCode.FRAME_SIZE_ERROR


def test_an_answer_in_http_1_is_recognised():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    with pytest.raises(ProtocolError, match="HTTP/1") as raised:
        feed(reader, b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert raised.value.code == ErrorCode.HTTP_1_1_REQUIRED


def test_max_frame_size_can_be_raised():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    reader.max_frame_size = 1_000_000
    payload = bytes(range(250)) * 4000
    assert feed(reader, frame(0, 0, 1, payload)) == [(0, 0, 1, payload)]


def test_partial_type_is_that_of_the_frame_under_way():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    octets = frame(1, 4, 1, b"abc")
    assert reader.partial_type is None
    feed(reader, octets[:8])
    assert reader.partial_type is None
    feed(reader, octets[8:10])
    assert reader.partial_type == 1
    feed(reader, octets[10:])
    assert reader.partial_type is None


def test_the_preface_may_come_octet_by_octet():
    reader = FrameReader(expect_preface=True, max_frame_size=16_384)
    frames = []
    for octet in PREFACE + settings():
        frames += feed(reader, bytes([octet]))
    assert frames == [(4, 0, 0, b"")]


@pytest.mark.parametrize("right", [0, 1, 5, 23])
def test_a_wrong_preface_is_refused_at_the_first_wrong_octet(right):
    reader = FrameReader(expect_preface=True, max_frame_size=16_384)
    for octet in PREFACE[:right]:
        assert feed(reader, bytes([octet])) == []
    with pytest.raises(PrefaceError) as raised:
        feed(reader, b"GET / HTTP/1.1\r\n")
    assert raised.value.received == PREFACE[:right] + b"GET / HTTP/1.1\r\n"


def test_the_preface_error_has_everything_from_the_first_octet():
    reader = FrameReader(expect_preface=True, max_frame_size=16_384)
    with pytest.raises(PrefaceError) as raised:
        feed(reader, b"PRI * HTTP/1.1\r\nHost: x\r\n\r\nand a body that is longer than the preface")
    assert raised.value.received == b"PRI * HTTP/1.1\r\nHost: x\r\n\r\nand a body that is longer than the preface"
    assert isinstance(raised.value, ProtocolError)


def test_the_buffer_grows_under_load_and_shrinks_when_idle():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    assert len(reader.writable()) == IDLE_BUFFER_SIZE
    payload = bytes(16_384)
    octets = frame(0, 0, 1, payload) * 100
    largest = 0
    while octets:
        room = reader.writable()
        largest = max(largest, len(room))
        count = min(len(room), len(octets))
        room[:count] = octets[:count]
        reader.received(count)
        octets = octets[count:]
        while reader.next_frame() is not None:
            pass
    assert LARGEST_BUFFER_SIZE - 16_393 < largest <= LARGEST_BUFFER_SIZE
    assert len(feed(reader, frame(6, 0, 0, bytes(8)))) == 1
    assert len(reader.writable()) == IDLE_BUFFER_SIZE


def test_there_is_room_for_the_frame_under_way():
    reader = FrameReader(expect_preface=False, max_frame_size=2**20)
    octets = frame(0, 0, 1, bytes(2**20))
    assert feed(reader, octets[:9]) == []
    assert len(reader.writable()) >= 2**20
    assert len(feed(reader, octets[9:])) == 1
    feed(reader, b"")
    assert len(reader.writable()) <= LARGEST_BUFFER_SIZE


def test_a_large_announcement_costs_no_memory_before_it_is_allowed():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    with pytest.raises(ProtocolError):
        feed(reader, frame(0, 0, 1, bytes(2**24 - 1))[:9])
    assert len(reader.writable()) <= IDLE_BUFFER_SIZE


def test_payloads_stay_valid_until_the_next_writable_even_when_the_buffer_moves():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    octets = frame(0, 0, 1, b"first") + frame(0, 0, 1, b"second")
    room = reader.writable()
    room[: len(octets)] = octets
    reader.received(len(octets))
    first, second = reader.next_frame(), reader.next_frame()
    assert first is not None and second is not None
    assert (bytes(first[3]), bytes(second[3])) == (b"first", b"second")


def test_writable_gives_room_although_frames_were_not_taken():
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    octets = frame(0, 0, 1, bytes(100)) * 500
    position = 0
    while position < len(octets):
        room = reader.writable()
        count = min(len(room), len(octets) - position)
        room[:count] = octets[position : position + count]
        reader.received(count)
        position += count
    count = 0
    while reader.next_frame() is not None:
        count += 1
    assert count == 500
