"""The payloads of ALTSVC, ORIGIN and PRIORITY_UPDATE, parsed and built (RFC 7838, RFC 8336, RFC 9218).

Pure functions; a payload that is cut short raises ProtocolError, an argument that does not fit InvalidArgument.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ...constants import ErrorCode
from ...errors import InvalidArgument, ProtocolError

_LENGTH = struct.Struct(">H")
_STREAM_ID = struct.Struct(">L")
_LARGEST_LENGTH = 0xFFFF


def parse_altsvc(payload: bytes) -> tuple[str, str]:
    """The (origin, value) of an ALTSVC frame."""
    if len(payload) < _LENGTH.size:
        raise _cut_short("ALTSVC")
    end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    if end > len(payload):
        raise _cut_short("ALTSVC")
    return payload[_LENGTH.size : end].decode("latin-1"), payload[end:].decode("latin-1")


def build_altsvc(origin: str, value: str) -> bytes:
    """An ALTSVC payload."""
    return _length_and_text("origin", origin) + _ascii("alternative service", value)


def parse_origin(payload: bytes) -> list[str]:
    """The origins in an ORIGIN frame."""
    origins = []
    position = 0
    while position < len(payload):
        start = position + _LENGTH.size
        if start > len(payload):
            raise _cut_short("ORIGIN")
        position = start + _LENGTH.unpack_from(payload, position)[0]
        if position > len(payload):
            raise _cut_short("ORIGIN")
        origins.append(payload[start:position].decode("latin-1"))
    return origins


def build_origin(origins: Iterable[str], max_length: int) -> list[bytes]:
    """The payloads of as many ORIGIN frames as it takes for each to have at most `max_length` octets.

    An empty list gives one empty payload: it says that the server is authoritative for nothing more (RFC 8336 section
    2.3).
    """
    payloads = [b""]
    for origin in origins:
        entry = _length_and_text("origin", origin)
        if len(entry) > max_length:
            raise InvalidArgument(f"the origin {origin[:100]!r}... does not fit into a frame")
        if len(payloads[-1]) + len(entry) > max_length:
            payloads.append(b"")
        payloads[-1] += entry
    return payloads


def parse_priority_update(payload: bytes) -> tuple[int, str]:
    """The (prioritized stream id, value) of a PRIORITY_UPDATE frame."""
    if len(payload) < _STREAM_ID.size:
        raise _cut_short("PRIORITY_UPDATE")
    return _STREAM_ID.unpack_from(payload)[0] & 0x7FFF_FFFF, payload[_STREAM_ID.size :].decode("latin-1")


def build_priority_update(stream_id: int, value: str) -> bytes:
    """A PRIORITY_UPDATE payload."""
    return _STREAM_ID.pack(stream_id) + _ascii("priority", value)


def _cut_short(frame: str) -> ProtocolError:
    return ProtocolError(f"{frame} frame ends before its fields do", code=ErrorCode.FRAME_SIZE_ERROR)


def _ascii(what: str, text: str) -> bytes:
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{what} must be ASCII, not {text!r}") from error


def _length_and_text(what: str, text: str) -> bytes:
    encoded = _ascii(what, text)
    if len(encoded) > _LARGEST_LENGTH:
        raise InvalidArgument(f"{what} has {len(encoded)} octets; at most {_LARGEST_LENGTH} fit")
    return _LENGTH.pack(len(encoded)) + encoded
