"""Frames as octets, also those that no library would make: what the tests of conformance send.

Each function gives one frame; where a test wants a frame that is wrong in its length, flags or reserved bits, `frame`
takes them as they are. Header blocks are HPACK literals without indexing, so that they mean the same wherever they
stand; tests of HPACK write theirs octet by octet.
"""

from __future__ import annotations

from .fields import REQUEST, RESPONSE, UPLOAD

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ALTSVC, ORIGIN, PRIORITY_UPDATE = 0xA, 0xC, 0x10
UNKNOWN = 0xBF

ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

RESERVED_BIT = 0x8000_0000
CANCEL = 0x8

# Settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 0x8, 0x9

Field = tuple["str | bytes", "str | bytes"]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """RFC 9113 section 4.1; `length` where it is to lie."""
    announced = len(payload) if length is None else length
    return announced.to_bytes(3, "big") + bytes((kind, flags)) + number(stream_id) + payload


def number(value: int, octets: int = 4) -> bytes:
    return value.to_bytes(octets, "big")


def block(*fields: Field) -> bytes:
    """Fields as literals without indexing and with new names (RFC 7541 section 6.2.2)."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)


def _string(text: str | bytes) -> bytes:
    octets = text.encode("latin-1") if isinstance(text, str) else text
    return integer(len(octets), 7) + octets


def integer(value: int, prefix_bits: int, first: int = 0) -> bytes:
    """RFC 7541 section 5.1; `first` holds the bits before the prefix."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes((first | value,))
    octets = [first | most]
    value -= most
    while value >= 128:
        octets.append(value % 128 | 128)
        value //= 128
    return bytes((*octets, value))


def replaced(fields: tuple[tuple[str, str], ...], **values: str | None) -> tuple[tuple[str, str], ...]:
    """Pseudo-header fields with other values, or without those that are None: `replaced(REQUEST, path=None)`."""
    changed = [(name, values.get(name.removeprefix(":"), value)) for name, value in fields]
    return tuple((name, value) for name, value in changed if value is not None)


def data(stream_id: int, body: bytes = b"x", flags: int = 0) -> bytes:
    return frame(DATA, flags, stream_id, body)


def headers(stream_id: int, *fields: Field, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream_id, block(*fields))


def split_headers(stream_id: int, encoded: bytes, *, end_stream: bool = False) -> bytes:
    """HEADERS, and as many CONTINUATION frames as the block takes."""
    pieces = [encoded[start : start + 16_384] for start in range(0, len(encoded), 16_384)]
    kinds = [HEADERS] + [CONTINUATION] * (len(pieces) - 1)
    flags = [END_STREAM if end_stream else 0] + [0] * (len(pieces) - 1)
    flags[-1] |= END_HEADERS
    return b"".join(frame(kind, flag, stream_id, piece) for kind, flag, piece in zip(kinds, flags, pieces, strict=True))


def request(stream_id: int, *more: Field, flags: int = END_HEADERS | END_STREAM) -> bytes:
    """A GET that ends with its headers."""
    return headers(stream_id, *REQUEST, *more, flags=flags)


def upload(stream_id: int, *more: Field) -> bytes:
    """A POST whose body is still to come."""
    return headers(stream_id, *UPLOAD, *more)


def response(stream_id: int, *more: Field, flags: int = END_HEADERS) -> bytes:
    """A 200 whose body is still to come."""
    return headers(stream_id, *RESPONSE, *more, flags=flags)


def trailers(stream_id: int, *fields: Field, flags: int = END_HEADERS | END_STREAM) -> bytes:
    return headers(stream_id, *(fields or (("x-checksum", "7"),)), flags=flags)


def continuation(stream_id: int, fragment: bytes = b"", flags: int = END_HEADERS) -> bytes:
    return frame(CONTINUATION, flags, stream_id, fragment)


def priority(stream_id: int, depends_on: int = 0, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream_id, number(depends_on) + bytes((weight,)))


def rst_stream(stream_id: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream_id, number(code))


def settings(*values: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(number(setting, 2) + number(value) for setting, value in values))


def settings_ack() -> bytes:
    return frame(SETTINGS, ACK, 0)


def push_promise(stream_id: int, promised_id: int, *fields: Field, flags: int = END_HEADERS) -> bytes:
    return frame(PUSH_PROMISE, flags, stream_id, number(promised_id) + block(*(fields or REQUEST)))


def ping(payload: bytes = b"a ping..", flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


def goaway(last_stream_id: int, code: int = 0, text: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, number(last_stream_id) + number(code) + text)


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, number(increment))


def altsvc(stream_id: int, origin: bytes, value: bytes) -> bytes:
    return frame(ALTSVC, 0, stream_id, number(len(origin), 2) + origin + value)


def origins(*entries: bytes, stream_id: int = 0, flags: int = 0) -> bytes:
    return frame(ORIGIN, flags, stream_id, b"".join(number(len(entry), 2) + entry for entry in entries))


def priority_update(stream_id: int, value: bytes = b"u=1", *, on: int = 0) -> bytes:
    return frame(PRIORITY_UPDATE, 0, on, number(stream_id) + value)
