"""Cutting received octets into frames, and packing frames' headers (RFC 9113 section 4).

Knows lengths and the client's preface, nothing of what frames mean. `FrameReader` is used by a session's reader thread
alone: the receive buffer is its own, so that the system call can fill it while no lock is held.
"""

from __future__ import annotations

import struct

from ...constants import FRAME_HEADER_LENGTH, PREFACE, ErrorCode
from ...errors import ProtocolError

IDLE_BUFFER_SIZE = 2 * 1024
LARGEST_BUFFER_SIZE = 256 * 1024
# Below this much room at the buffer's end what is left over moves to its front: a read of a few octets costs a system
# call.
_SMALLEST_READ = 4 * 1024

# The 24-bit length is read as 16 and 8 bits.
_HEADER = struct.Struct(">HBBBL")
_STREAM_ID_MASK = 0x7FFF_FFFF
_HTTP_1 = b"HTTP/1."
_TEXT = frozenset(b"\t\r\n") | frozenset(range(0x20, 0x7F))
_SHOWN = 80  # octets of what is no HTTP/2


class PrefaceError(ProtocolError):
    """The peer does not begin with HTTP/2's preface; `received` is everything that it has sent so far."""

    def __init__(self, received: bytes) -> None:
        super().__init__("the peer's first octets are not HTTP/2's connection preface", code=ErrorCode.PROTOCOL_ERROR)
        self.received = received


def frame_header(length: int, frame_type: int, flags: int, stream_id: int) -> bytes:
    """The nine octets before a frame's payload."""
    return _HEADER.pack(length >> 8, length & 0xFF, frame_type, flags, stream_id)


def parse_frame_header(buffer: bytes | memoryview) -> tuple[int, int, int, int]:
    """(length, type, flags, stream id) from the nine octets that `buffer` begins with."""
    length_high, length_low, frame_type, flags, stream_id = _HEADER.unpack_from(buffer)
    return length_high << 8 | length_low, frame_type, flags, stream_id & _STREAM_ID_MASK


class FrameReader:
    """The receive buffer, and the frames in it.

    Read into `writable()`, tell `received()` how much came, and take frames until `next_frame()` gives None.
    """

    def __init__(self, *, expect_preface: bool, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._preface_left = PREFACE if expect_preface else b""
        self._buffer = bytearray(IDLE_BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0  # of what is not yet taken
        self._end = 0  # of what was received
        self._frame_length = 0  # of the frame under way, header included; 0 while its header has not arrived
        self._partial_type: int | None = None
        self._capacity_wanted = IDLE_BUFFER_SIZE
        self.one_by_one = False  # `take_same` gives nothing: somebody looks at each frame
        self.frames_taken = 0
        self.octets_taken = 0  # of their payloads

    @property
    def memory(self) -> int:
        """The buffer's octets."""
        return len(self._buffer)

    @property
    def partial_type(self) -> int | None:
        """The type of the frame whose header has arrived and whose end has not."""
        return self._partial_type

    def peek(self, count: int) -> bytes:
        """The first `count` octets that were received and not taken, or as many as there are."""
        return bytes(self._view[self._start : min(self._end, self._start + count)])

    def writable(self) -> memoryview:
        """Room for the next read. Payloads handed out before become invalid."""
        remaining = self._end - self._start
        room_needed = max((self._frame_length or FRAME_HEADER_LENGTH) - remaining, 1)
        capacity = max(self._capacity_wanted, remaining + room_needed)
        if capacity > len(self._buffer) or (not remaining and capacity < len(self._buffer)):
            # Payloads that somebody still looks at keep the old buffer alive; a bytearray with views on it can't be
            # resized.
            buffer = bytearray(capacity)
            view = memoryview(buffer)
            view[:remaining] = self._view[self._start : self._end]
            self._buffer, self._view = buffer, view
            self._start, self._end = 0, remaining
        elif len(self._buffer) - self._end < max(room_needed, _SMALLEST_READ) or not remaining:
            self._view[:remaining] = self._view[self._start : self._end]
            self._start, self._end = 0, remaining
        return self._view[self._end :]

    def received(self, count: int) -> None:
        """`count` octets were read into what `writable()` gave."""
        if count == len(self._buffer) - self._end:
            self._capacity_wanted = min(len(self._buffer) * 4, LARGEST_BUFFER_SIZE)
        elif count < IDLE_BUFFER_SIZE // 4:
            self._capacity_wanted = IDLE_BUFFER_SIZE
        self._end += count

    def next_frame(self) -> tuple[int, int, int, memoryview] | None:
        """The next whole frame as (type, flags, stream id, payload), or None until more has arrived.

        The payload is a view that is valid until the next `writable()`. A frame longer than `max_frame_size` is refused
        when its header has arrived, before there is memory for its payload.
        """
        if self._preface_left:
            self._take_preface()
        start = self._start
        available = self._end - start
        if available < FRAME_HEADER_LENGTH:
            return None
        length_high, length_low, frame_type, flags, stream_id = _HEADER.unpack_from(self._buffer, start)
        length = length_high << 8 | length_low
        if length > self.max_frame_size:
            self._refuse_text()
            raise ProtocolError(
                f"a frame of type {frame_type} announces {length} octets; at most {self.max_frame_size} are allowed",
                code=ErrorCode.FRAME_SIZE_ERROR,
            )
        frame_length = FRAME_HEADER_LENGTH + length
        if available < frame_length:
            self._refuse_text()
            self._frame_length, self._partial_type = frame_length, frame_type
            return None
        self._frame_length, self._partial_type = 0, None
        end = self._start = start + frame_length
        self.frames_taken += 1
        self.octets_taken += length
        return frame_type, flags, stream_id & _STREAM_ID_MASK, self._view[start + FRAME_HEADER_LENGTH : end]

    def take_same(self, header: bytes, length: int, most: int) -> list[memoryview]:
        """The payloads of the whole frames that are next, for as long as they have exactly this header (which announces
        `length` octets): `most` of them, valid as `next_frame`'s.
        """
        payloads: list[memoryview] = []
        if self.one_by_one:
            return payloads
        frame_length = FRAME_HEADER_LENGTH + length
        start = self._start
        while len(payloads) < most and self._end - start >= frame_length and self._buffer.startswith(header, start):
            payloads.append(self._view[start + FRAME_HEADER_LENGTH : start + frame_length])
            start += frame_length
        self._start = start
        self.frames_taken += len(payloads)
        self.octets_taken += len(payloads) * length
        return payloads

    def _refuse_text(self) -> None:
        """Say so if what looks like a frame's header is text: no frame has such a type and such a stream."""
        said = self.peek(_SHOWN)
        if said.startswith(_HTTP_1):
            raise ProtocolError(
                "the peer answers in HTTP/1: it does not take HTTP/2 without negotiating it over TLS",
                code=ErrorCode.HTTP_1_1_REQUIRED,
            )
        if _TEXT.issuperset(said[:FRAME_HEADER_LENGTH]):
            raise ProtocolError(f"the peer does not speak HTTP/2: it says {said!r}", code=ErrorCode.PROTOCOL_ERROR)

    def _take_preface(self) -> None:
        expected = self._preface_left
        arrived = bytes(self._view[self._start : min(self._end, self._start + len(expected))])
        if not expected.startswith(arrived):
            before = PREFACE[: len(PREFACE) - len(expected)]
            raise PrefaceError(before + bytes(self._view[self._start : self._end]))
        self._preface_left = expected[len(arrived) :]
        self._start += len(arrived)
