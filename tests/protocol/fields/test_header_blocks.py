"""Header blocks: putting them together, padding, priority, decoding and the bounds."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from support.octets.http2_endpoint import END_HEADERS, END_STREAM, PADDED, PRIORITY, REQUEST
from sync_h2.constants import ErrorCode, FrameType
from sync_h2.errors import ProtocolError
from sync_h2.protocol.fields.header_blocks import HeaderBlockReader, pack_priority, parse_priority, without_padding
from sync_h2.protocol.limits import LimitReached

BLOCK = Encoder().encode(REQUEST)


def reader(*, max_continuation_frames: int = 16, max_header_pairs: int = 128, max_header_list_size: int = 65_536):
    blocks = HeaderBlockReader(
        Decoder(), max_continuation_frames=max_continuation_frames, max_header_pairs=max_header_pairs
    )
    blocks.limit(max_header_list_size)
    return blocks


def begin(blocks: HeaderBlockReader, flags: int, payload: bytes, frame_type: int = FrameType.HEADERS):
    return blocks.begin(frame_type, flags, 1, memoryview(payload))


def test_a_block_in_one_frame():
    blocks = reader()
    block = begin(blocks, END_HEADERS | END_STREAM, BLOCK)
    assert block.fields == tuple(REQUEST)
    assert (block.stream_id, block.end_stream, block.priority, block.promised_stream_id) == (1, True, None, None)
    assert not block.too_large
    assert not blocks.open


@given(st.lists(st.integers(0, len(BLOCK)), max_size=10))
def test_a_block_in_any_pieces(cuts):
    blocks = reader()
    pieces = [BLOCK[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(BLOCK)], strict=True)]
    block = begin(blocks, END_HEADERS if len(pieces) == 1 else 0, pieces[0])
    for number, piece in enumerate(pieces[1:], 2):
        assert block is None
        assert blocks.open
        block = blocks.continuation(END_HEADERS if number == len(pieces) else 0, 1, memoryview(piece))
    assert block.fields == tuple(REQUEST)
    assert not blocks.open


def test_padding_and_priority():
    payload = b"\x03" + pack_priority(True, 7, 256) + BLOCK + bytes(3)
    block = begin(reader(), END_HEADERS | PADDED | PRIORITY, payload)
    assert block.fields == tuple(REQUEST)
    assert block.priority == (True, 7, 256)


def test_a_promise():
    payload = b"\x02" + b"\x80\x00\x00\x04" + BLOCK + bytes(2)
    block = begin(reader(), END_HEADERS | PADDED | END_STREAM, payload, FrameType.PUSH_PROMISE)
    assert block.promised_stream_id == 4
    assert block.fields == tuple(REQUEST)
    assert not block.end_stream  # PUSH_PROMISE has no such flag


@given(st.booleans(), st.integers(0, 2**31 - 1), st.integers(1, 256))
def test_priority_round_trip(exclusive, depends_on, weight):
    assert parse_priority(memoryview(pack_priority(exclusive, depends_on, weight))) == (exclusive, depends_on, weight)


@pytest.mark.parametrize(
    ("flags", "payload", "frame_type"),
    [
        (END_HEADERS | PADDED, b"", FrameType.HEADERS),
        (END_HEADERS | PRIORITY, b"1234", FrameType.HEADERS),
        (END_HEADERS, b"123", FrameType.PUSH_PROMISE),
    ],
)
def test_frames_that_end_before_their_fields(flags, payload, frame_type):
    with pytest.raises(ProtocolError) as raised:
        begin(reader(), flags, payload, frame_type)
    assert raised.value.code == ErrorCode.FRAME_SIZE_ERROR


@pytest.mark.parametrize("payload", [b"\x01", b"\x04abc", b"\xff"])
def test_padding_as_long_as_the_frame(payload):
    with pytest.raises(ProtocolError) as raised:
        without_padding(memoryview(payload))
    assert raised.value.code == ErrorCode.PROTOCOL_ERROR


def test_all_of_a_frame_may_be_padding():
    assert bytes(without_padding(memoryview(b"\x03\0\0\0"))) == b""
    assert bytes(without_padding(memoryview(b"\x00abc"))) == b"abc"


def test_continuation_without_a_block_or_of_another_stream():
    for blocks in (reader(), reader()):
        with pytest.raises(ProtocolError, match="continue") as raised:
            blocks.continuation(END_HEADERS, 3, memoryview(BLOCK))
        assert raised.value.code == ErrorCode.PROTOCOL_ERROR
    begin(blocks, 0, BLOCK)
    with pytest.raises(ProtocolError, match="continue"):
        blocks.continuation(END_HEADERS, 3, memoryview(b""))


def test_continuation_frames_are_counted():
    blocks = reader(max_continuation_frames=3)
    begin(blocks, 0, b"")
    for _ in range(3):
        blocks.continuation(0, 1, memoryview(b""))
    with pytest.raises(LimitReached) as raised:
        blocks.continuation(END_HEADERS, 1, memoryview(BLOCK))
    assert (raised.value.limit, raised.value.code) == ("max_continuation_frames", ErrorCode.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize(
    "block", [b"\x80", b"\xff\xff\xff\xff\xff\xff", b"\x40", b"\x40\x01", b"\xc0", b"\x3f\xe2\x1f", b"\x00\x81\xff\x00"]
)
def test_hpack_that_cannot_be_decoded_is_a_compression_error(block):
    with pytest.raises(ProtocolError, match="HPACK") as raised:
        begin(reader(), END_HEADERS, block)
    assert raised.value.code == ErrorCode.COMPRESSION_ERROR


def test_of_a_list_over_the_announced_size_the_beginning_is_given_and_marked():
    # Each field counts 32 octets more (RFC 9113 section 6.5.2).
    size = sum(len(name) + len(value) + 32 for name, value in REQUEST)
    assert not begin(reader(max_header_list_size=size), END_HEADERS, BLOCK).too_large
    block = begin(reader(max_header_list_size=size - 1), END_HEADERS, BLOCK)
    assert block.too_large
    assert block.fields == tuple(REQUEST[:-1])
    block = begin(reader(max_header_pairs=3), END_HEADERS, BLOCK)
    assert block.too_large
    assert block.fields == tuple(REQUEST[:3])
    assert not begin(reader(max_header_pairs=4), END_HEADERS, BLOCK).too_large


def test_the_hard_bound_on_the_decoded_list():
    # One long field in the table, and references to it of one octet each: the "HPACK bomb".
    encoder = Encoder()
    bomb = encoder.encode([(b"a", b"x" * 3000)]) + encoder.encode([(b"a", b"x" * 3000)]) * 100
    with pytest.raises(LimitReached) as raised:
        begin(reader(), END_HEADERS, bomb)
    assert raised.value.limit == "max_header_list_size"


def test_the_hard_bound_on_the_encoded_block():
    blocks = reader()
    begin(blocks, 0, bytes(200 * 1024))
    with pytest.raises(LimitReached) as raised:
        blocks.continuation(0, 1, memoryview(bytes(60 * 1024)))
    assert raised.value.limit == "max_header_list_size"


def test_the_hard_bound_follows_a_larger_limit():
    blocks = reader(max_header_list_size=200 * 1024)
    begin(blocks, 0, bytes(700 * 1024))
    assert blocks.open
