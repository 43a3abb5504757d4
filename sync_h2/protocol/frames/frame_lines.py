"""Frames as lines of text for people, with the values of sensitive header fields hidden.

Works on the octets of frames alone and shares nothing with the connection: header blocks are decoded a second time, by
decoders of its own, so that those which the connection refuses are seen too. Called under the session's lock, in each
direction in the order of the wire, and only where somebody asked for lines.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

from hpack import HPACKError

from ...constants import FRAME_HEADER_LENGTH, PREFACE, FrameFlag, FrameType, SettingId, error_code_name
from ...errors import ProtocolError
from ...interpreter import SharedDict
from ..fields.header_blocks import HEADER_BLOCK_FRAMES, parse_priority, without_padding
from ..fields.sensitive import HIDDEN, shown_fields
from ..h2_overrides import HeaderDecoder
from .extension_frames import parse_altsvc, parse_origin, parse_priority_update
from .framing import parse_frame_header

_LONGEST_VALUE = 1000  # characters of one value
_LONGEST_LINE = 16_000  # characters, about: each octet of a peer's block can stand for a long field of the table
# Wide enough for everything that a connection lets through; what it does not let through ends it.
_LARGEST_HEADER_LIST = 4 * 1024 * 1024
_LARGEST_TABLE = 2**32 - 1

_END_HEADERS = int(FrameFlag.END_HEADERS)
_PADDED = int(FrameFlag.PADDED)
_PRIORITY = int(FrameFlag.PRIORITY)
_FLAGS: dict[int, dict[int, str]] = SharedDict(
    {
        FrameType.DATA: {0x1: "END_STREAM", _PADDED: "PADDED"},
        FrameType.HEADERS: {0x1: "END_STREAM", _END_HEADERS: "END_HEADERS", _PADDED: "PADDED", _PRIORITY: "PRIORITY"},
        FrameType.SETTINGS: {0x1: "ACK"},
        FrameType.PUSH_PROMISE: {_END_HEADERS: "END_HEADERS", _PADDED: "PADDED"},
        FrameType.PING: {0x1: "ACK"},
        FrameType.CONTINUATION: {_END_HEADERS: "END_HEADERS"},
    }
)

_SETTINGS_ENTRY = struct.Struct(">HL")
_UNSIGNED_32 = struct.Struct(">L")
_GOAWAY = struct.Struct(">LL")
_STREAM_ID_MASK = 0x7FFF_FFFF


class FrameLines:
    """The lines of one connection, both ways."""

    def __init__(self) -> None:
        self._sent_blocks = _HeaderBlocks()
        self._received_blocks = _HeaderBlocks()

    def received(self, frame_type: int, flags: int, stream_id: int, payload: memoryview) -> str:
        """The line of a frame that the peer sent."""
        details = _details(frame_type, flags, payload, self._received_blocks)
        return _line("received", frame_type, flags, stream_id, len(payload), details)

    def sent(self, buffers: Iterable[bytes | memoryview]) -> Iterator[str]:
        """The lines of the frames in `buffers`, as they go to the transport: whole frames, each beginning with a
        buffer.
        """
        rest = iter(buffers)
        for buffer in rest:
            if not buffer or buffer == PREFACE:  # padding of no octets is a buffer too
                continue
            length, frame_type, flags, stream_id = parse_frame_header(buffer)
            pieces = [buffer[FRAME_HEADER_LENGTH:]]
            missing = length - len(pieces[0])
            while missing > 0:
                pieces.append(next(rest))
                missing -= len(pieces[-1])
            payload = memoryview(b"" if frame_type == FrameType.DATA else b"".join(pieces))
            details = _details(frame_type, flags, payload, self._sent_blocks)
            yield _line("sent", frame_type, flags, stream_id, length, details)


class _HeaderBlocks:
    """The header blocks of one direction."""

    def __init__(self) -> None:
        self._decoder = HeaderDecoder(max_header_list_size=_LARGEST_HEADER_LIST)
        self._decoder.max_allowed_table_size = _LARGEST_TABLE
        self._fragments: list[bytes] = []
        self._in_step = True  # with the peer's encoder, or ours

    def details(self, flags: int, fragment: memoryview) -> Iterator[str]:
        """One frame's part of a block; the fields are known with the last."""
        self._fragments.append(bytes(fragment))
        if not flags & _END_HEADERS:
            return
        block = b"".join(self._fragments)
        self._fragments = []
        if self._in_step:
            try:
                fields = tuple(self._decoder.decode(block, raw=True))
            except (HPACKError, IndexError, TypeError, ValueError):  # as HeaderBlockReader says
                self._in_step = False
        if not self._in_step:
            yield "fields unknown"
            return
        for name, value in shown_fields(fields):
            plain = name.isascii() and name.isprintable() and " " not in name and "=" not in name
            yield f"{name if plain else ascii(name)}={value if value == HIDDEN else _text(value)}"


def _line(direction: str, frame_type: int, flags: int, stream_id: int, length: int, details: Iterator[str]) -> str:
    words = [direction, _type_name(frame_type), f"stream={stream_id}", f"length={length}"]
    if flags:
        words.append(f"flags={_flag_names(frame_type, flags)}")
    room = _LONGEST_LINE
    left_out = 0
    try:
        for detail in details:
            room -= len(detail)
            if room >= 0:
                words.append(detail)
            else:
                left_out += 1
    except (ProtocolError, struct.error):
        words.append("malformed")
    if left_out:
        words.append(f"(and {left_out} more)")
    return " ".join(words)


def _details(frame_type: int, flags: int, payload: memoryview, blocks: _HeaderBlocks) -> Iterator[str]:
    """What matters of a frame. Raises ProtocolError or struct.error for a payload that is cut short."""
    if frame_type in HEADER_BLOCK_FRAMES:
        yield from _block_details(frame_type, flags, payload, blocks)
    elif frame_type in DETAILS:
        yield from DETAILS[frame_type](payload)


def _block_details(frame_type: int, flags: int, payload: memoryview, blocks: _HeaderBlocks) -> Iterator[str]:
    if frame_type != FrameType.CONTINUATION and flags & _PADDED:
        payload = without_padding(payload)
    if frame_type == FrameType.PUSH_PROMISE:
        yield f"promised={_UNSIGNED_32.unpack_from(payload)[0] & _STREAM_ID_MASK}"
        payload = payload[_UNSIGNED_32.size :]
    elif frame_type == FrameType.HEADERS and flags & _PRIORITY:
        yield from _priority(payload)
        payload = payload[5:]
    yield from blocks.details(flags, payload)


def _priority(payload: memoryview) -> Iterator[str]:
    exclusive, depends_on, weight = parse_priority(payload)
    yield f"exclusive={exclusive} depends_on={depends_on} weight={weight}"


def _rst_stream(payload: memoryview) -> Iterator[str]:
    yield f"error={error_code_name(_UNSIGNED_32.unpack(payload)[0])}"


def _settings(payload: memoryview) -> Iterator[str]:
    for setting_id, value in _SETTINGS_ENTRY.iter_unpack(bytes(payload)):
        yield f"{_setting_name(setting_id)}={value}"


def _ping(payload: memoryview) -> Iterator[str]:
    yield f"payload={_octets(payload)}"


def _goaway(payload: memoryview) -> Iterator[str]:
    last_stream_id, code = _GOAWAY.unpack_from(payload)
    yield f"last_stream_id={last_stream_id & _STREAM_ID_MASK} error={error_code_name(code)}"
    if len(payload) > _GOAWAY.size:
        yield f"data={_octets(payload[_GOAWAY.size :])}"


def _window_update(payload: memoryview) -> Iterator[str]:
    yield f"increment={_UNSIGNED_32.unpack(payload)[0] & _STREAM_ID_MASK}"


def _altsvc(payload: memoryview) -> Iterator[str]:
    origin, value = parse_altsvc(bytes(payload))
    yield f"origin={_text(origin)} value={_text(value)}"


def _origin(payload: memoryview) -> Iterator[str]:
    for origin in parse_origin(bytes(payload)):
        yield f"origin={_text(origin)}"


def _priority_update(payload: memoryview) -> Iterator[str]:
    prioritized, value = parse_priority_update(bytes(payload))
    yield f"prioritized={prioritized} value={_text(value)}"


DETAILS: dict[int, Callable[[memoryview], Iterator[str]]] = {
    FrameType.PRIORITY: _priority,
    FrameType.RST_STREAM: _rst_stream,
    FrameType.SETTINGS: _settings,
    FrameType.PING: _ping,
    FrameType.GOAWAY: _goaway,
    FrameType.WINDOW_UPDATE: _window_update,
    FrameType.ALTSVC: _altsvc,
    FrameType.ORIGIN: _origin,
    FrameType.PRIORITY_UPDATE: _priority_update,
}
"""What a line says of a payload, by the type of its frame. Header blocks are apart; of DATA nothing is said."""


def _type_name(frame_type: int) -> str:
    try:
        return FrameType(frame_type).name
    except ValueError:
        return f"0x{frame_type:x}"


def _setting_name(setting_id: int) -> str:
    try:
        return SettingId(setting_id).name.lower()
    except ValueError:
        return f"0x{setting_id:x}"


def _flag_names(frame_type: int, flags: int) -> str:
    names = []
    for bit, name in _FLAGS.get(frame_type, {}).items():
        if flags & bit:
            names.append(name)
            flags &= ~bit
    if flags:
        names.append(f"0x{flags:x}")
    return ",".join(names)


def _text(value: str) -> str:
    """Quoted, and nothing but printable ASCII: what a peer sends must not command a terminal."""
    if len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]!a}...({len(value)} characters)"
    return ascii(value)


def _octets(value: memoryview) -> str:
    if len(value) > _LONGEST_VALUE:
        return f"{bytes(value[:_LONGEST_VALUE])!r}...({len(value)} octets)"
    return repr(bytes(value))
