"""Frames as octets, right or wrong. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...arguments import type_name
from ...constants import FrameFlag, FrameType
from ...protocol.frames.framing import frame_header

Fields = Mapping[str, "str | int | Sequence[str | int]"] | Iterable["tuple[str | bytes, str | bytes | int]"]
"""Header fields, as they are to be sent: a mapping of names to a value or several, or pairs."""


def pairs(fields: Fields) -> list[tuple[bytes, bytes]]:
    """As HPACK's encoder takes them; nothing is checked but the types."""
    if isinstance(fields, Mapping):
        given: list[tuple[str | bytes, str | bytes | int]] = []
        for name, values in fields.items():
            given += [(name, value) for value in ([values] if isinstance(values, str | bytes | int) else values)]
    else:
        given = list(fields)
    return [(octets(name, "a header's name"), _value(value, f"header {name!r}")) for name, value in given]


def _value(value: str | bytes | int, what: str) -> bytes:
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value  # an HTTPStatus too
    if not isinstance(value, str | bytes):
        raise TypeError(f"{what} must be a str, bytes or int, not {type(value).__name__}")
    return octets(value, what)


def response_fields(status: int, headers: Fields, function: str) -> list[tuple[bytes, bytes]]:
    """`:status` and the headers that `function` was given behind it."""
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"{function}(): the status must be an int, not {type_name(status)}")
    try:
        return [(b":status", b"%d" % status), *pairs(headers)]
    except (TypeError, ValueError) as error:
        why = "" if isinstance(headers, str | bytes) else f" ({error})"
        body = "; a body is body=, JSON is json=" if function == "respond" else ""
        raise TypeError(
            f"{function}(): the second argument is headers, a mapping or pairs of str or bytes{body}{why}"
        ) from error


def body_octets(body: str | bytes, what: str) -> bytes:
    """A body; text goes out in UTF-8."""
    if isinstance(body, str):
        return body.encode()
    try:
        return bytes(memoryview(body))
    except TypeError:
        raise TypeError(f"{what} must be a str or bytes, not {type_name(body)}") from None


def octets(text: str | bytes, what: str) -> bytes:
    """Text as headers have it: latin-1, and UTF-8 where that can't."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str or bytes, not {type_name(text)}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Any frame."""
    return frame_header(len(payload), kind, flags, stream_id) + payload


def header_frames(stream_id: int, block: bytes, most: int, *, end_stream: bool) -> bytes:
    """HEADERS, and as many CONTINUATIONs as it takes for none to have more than `most` octets."""
    pieces = [block[start : start + most] for start in range(0, len(block), most)] or [b""]
    kinds = [FrameType.HEADERS, *[FrameType.CONTINUATION] * (len(pieces) - 1)]
    flags = [int(FrameFlag.END_STREAM) if end_stream else 0, *[0] * (len(pieces) - 1)]
    flags[-1] |= FrameFlag.END_HEADERS
    return b"".join(frame(kind, flag, stream_id, piece) for kind, flag, piece in zip(kinds, flags, pieces, strict=True))


def data_frame(stream_id: int, body: bytes, *, padding: int | None, end_stream: bool) -> bytes:
    """DATA; `padding` octets make its payload longer by one more than that."""
    flags = int(FrameFlag.END_STREAM) if end_stream else 0
    if padding is None:
        return frame(FrameType.DATA, flags, stream_id, body)
    return frame(FrameType.DATA, flags | FrameFlag.PADDED, stream_id, bytes([padding]) + body + bytes(padding))


def without_padding(payload: bytes, flags: int) -> bytes:
    """A received payload's content; ValueError if the padding is longer than the frame."""
    if not flags & FrameFlag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ValueError("more padding than there are octets")
    return payload[1 : len(payload) - payload[0]]
