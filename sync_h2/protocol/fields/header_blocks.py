"""Putting header blocks together from HEADERS, PUSH_PROMISE and CONTINUATION, and decoding them (RFC 9113 sections 4.3,
6.2, 6.6, 6.10).

Every block that arrives is decoded, whatever its stream's state: the compression table is the connection's. Reader
thread, session's lock.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hpack import Decoder, HPACKError, OversizedHeaderListError

from ...constants import ErrorCode, FrameFlag, FrameType
from ...errors import ProtocolError
from ..limits import LimitReached
from .field_list import FIELD_OVERHEAD, FieldList
from .hpack_memo import RememberingDecoder

HEADER_BLOCK_FRAMES = (int(FrameType.HEADERS), int(FrameType.PUSH_PROMISE), int(FrameType.CONTINUATION))
_PRIORITY = struct.Struct(">LB")
_STREAM_ID = struct.Struct(">L")
_STREAM_ID_MASK = 0x7FFF_FFFF
# Set as plain numbers: an operation on IntFlag members costs a microsecond.
_PUSH_PROMISE = int(FrameType.PUSH_PROMISE)
_END_STREAM = int(FrameFlag.END_STREAM)
_END_HEADERS = int(FrameFlag.END_HEADERS)
_PADDED = int(FrameFlag.PADDED)
_PRIORITY_FLAG = int(FrameFlag.PRIORITY)

# A block over the announced limits is still decoded, so that the request can be answered and the connection goes on, up
# to this bound.
_HARD_BOUND_FACTOR = 4
_SMALLEST_HARD_BOUND = 256 * 1024

_Beginning = tuple[int, "int | None", bool, "tuple[bool, int, int] | None"]
"""What a block's first frame says: `HeaderBlock`'s first four fields."""


@dataclass(slots=True)
class HeaderBlock:
    """A whole block.

    `promised_stream_id` is set for a PUSH_PROMISE, `priority` (exclusive, depends_on, weight) where HEADERS had it.
    `field_list` is no more than the beginning, within the limits, of a block that is `too_large`.
    """

    stream_id: int
    promised_stream_id: int | None
    end_stream: bool
    priority: tuple[bool, int, int] | None
    field_list: FieldList
    too_large: bool

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        return self.field_list.fields

    @property
    def memory(self) -> int:
        """About how many octets the field list takes as long as it is kept."""
        return self.field_list.memory


class HeaderBlockReader:
    """Collects the fragments of one block at a time and decodes it."""

    def __init__(self, decoder: Decoder, *, max_continuation_frames: int, max_header_pairs: int) -> None:
        self._decoder = decoder
        self._remembering_decoder = RememberingDecoder(decoder)
        self._max_continuation_frames = max_continuation_frames
        self._max_header_pairs = max_header_pairs
        self._max_header_list_size = 0
        self._hard_bound = 0
        # Of a block whose END_HEADERS has not come (nothing but its CONTINUATION may come now): what its first frame
        # said, and what it has of octets.
        self.open: _Beginning | None = None
        self._fragments: list[bytes] = []
        self._length = 0

    def limit(self, max_header_list_size: int) -> None:
        """The list size (RFC 9113 section 6.5.2) beyond which a block is `too_large`; the hard bound follows it."""
        self._max_header_list_size = max_header_list_size
        self._hard_bound = max(_HARD_BOUND_FACTOR * max_header_list_size, _SMALLEST_HARD_BOUND)
        self._decoder.max_header_list_size = self._hard_bound
        self._remembering_decoder.limits_changed()

    @property
    def memory(self) -> int:
        """About how many octets the block under way takes, and the blocks that are remembered."""
        return self._length + self._remembering_decoder.memory

    def begin(self, frame_type: int, flags: int, stream_id: int, payload: memoryview) -> HeaderBlock | None:
        """A HEADERS or PUSH_PROMISE frame; the block, if this was all of it."""
        if flags & _PADDED:
            payload = without_padding(payload)
        promised_stream_id = None
        priority = None
        end_stream = False
        if frame_type == _PUSH_PROMISE:
            if len(payload) < _STREAM_ID.size:
                raise _too_short("PUSH_PROMISE")
            promised_stream_id = _STREAM_ID.unpack_from(payload)[0] & _STREAM_ID_MASK
            payload = payload[_STREAM_ID.size :]
        else:
            end_stream = flags & _END_STREAM != 0
            if flags & _PRIORITY_FLAG:
                if len(payload) < _PRIORITY.size:
                    raise _too_short("HEADERS")
                priority = parse_priority(payload)
                payload = payload[_PRIORITY.size :]
        beginning = stream_id, promised_stream_id, end_stream, priority
        if flags & _END_HEADERS:
            return self._decoded(bytes(payload), beginning)
        self.open = beginning
        self._add(payload)
        return None

    def continuation(self, flags: int, stream_id: int, payload: memoryview) -> HeaderBlock | None:
        """A CONTINUATION frame; the block, if this was its end."""
        beginning = self.open
        if beginning is None or beginning[0] != stream_id:
            raise ProtocolError("CONTINUATION does not continue a header block", code=ErrorCode.PROTOCOL_ERROR)
        if len(self._fragments) > self._max_continuation_frames:
            raise LimitReached(
                "max_continuation_frames", "a header block in too many CONTINUATION frames", stream_id=stream_id
            )
        self._add(payload)
        if not flags & _END_HEADERS:
            return None
        encoded = b"".join(self._fragments)
        self.open, self._fragments, self._length = None, [], 0
        return self._decoded(encoded, beginning)

    def _add(self, payload: memoryview) -> None:
        self._fragments.append(bytes(payload))
        self._length += len(payload)
        if self._length > self._hard_bound:
            assert self.open is not None
            raise _too_long(self.open[0])

    def _decoded(self, encoded: bytes, beginning: _Beginning) -> HeaderBlock:
        stream_id = beginning[0]
        if len(encoded) > self._hard_bound:
            raise _too_long(stream_id)
        try:
            fields = self._remembering_decoder.decode(encoded)
        except OversizedHeaderListError as error:
            raise LimitReached(
                "max_header_list_size", "a header list that is too large", stream_id=stream_id
            ) from error
        # hpack promises HPACKError; h2 guards against the others, which older versions let through.
        except (HPACKError, IndexError, TypeError, ValueError) as error:
            raise ProtocolError(
                # Some of hpack's messages end with the octets of the whole block as a Python object.
                f"HPACK decoding failed: {str(error).partition(': <')[0][:100]}",
                stream_id=stream_id,
                code=ErrorCode.COMPRESSION_ERROR,
            ) from error
        too_large = fields.size > self._max_header_list_size or fields.count > self._max_header_pairs
        if too_large:
            fields = FieldList(self._within_limits(fields.fields))
        return HeaderBlock(*beginning, fields, too_large)

    def _within_limits(self, fields: Sequence[tuple[bytes, bytes]]) -> Sequence[tuple[bytes, bytes]]:
        """The beginning of a list over the announced limits."""
        size = 0
        for count, (name, value) in enumerate(fields):
            size += len(name) + len(value) + FIELD_OVERHEAD
            if size > self._max_header_list_size or count >= self._max_header_pairs:
                return fields[:count]
        return fields


def without_padding(payload: memoryview) -> memoryview:
    """The payload of a frame with the PADDED flag, less padding and its length octet (RFC 9113 section 6.1)."""
    if not payload:
        raise _too_short("padded")
    padding = payload[0]
    if padding >= len(payload):
        raise ProtocolError("a frame's padding is as long as the frame, or longer", code=ErrorCode.PROTOCOL_ERROR)
    return payload[1 : len(payload) - padding]


def parse_priority(payload: memoryview) -> tuple[bool, int, int]:
    """(exclusive, depends_on, weight) from the five octets of RFC 7540 section 6.3."""
    depends_on, weight = _PRIORITY.unpack_from(payload)
    return depends_on > _STREAM_ID_MASK, depends_on & _STREAM_ID_MASK, weight + 1


def pack_priority(exclusive: bool, depends_on: int, weight: int) -> bytes:
    """The five octets of RFC 7540 section 6.3."""
    return _PRIORITY.pack(depends_on | (0x8000_0000 if exclusive else 0), weight - 1)


def _too_long(stream_id: int) -> LimitReached:
    return LimitReached("max_header_list_size", "a header block that is too long", stream_id=stream_id)


def _too_short(frame: str) -> ProtocolError:
    return ProtocolError(f"a {frame} frame ends before its fields do", code=ErrorCode.FRAME_SIZE_ERROR)
