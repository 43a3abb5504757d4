"""HTTP/1 as the standard library's modules write and read it, turned into HTTP/2 and back.

This is for what our own program writes; what comes from a network is not parsed here. Pure functions, and a decoder
that belongs to one thread at a time.
"""

from __future__ import annotations

import email.errors
import http.client
import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from ..protocol.fields.header_rules import CONNECTION_SPECIFIC, SINGLE_VALUE
from ..protocol.fields.headers import Headers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_CONNECTION_SPECIFIC = frozenset(name.decode() for name in CONNECTION_SPECIFIC)
_SINGLE_VALUE = frozenset(name.decode() for name in SINGLE_VALUE)
_chunk_size = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?").fullmatch


def parse_fields(section: bytes) -> http.client.HTTPMessage:
    """The fields of a header section, which an empty line ends. Raises `InvalidArgument` for a line that is none."""
    try:
        message = http.client.parse_headers(io.BytesIO(section))
    except http.client.HTTPException as error:
        raise InvalidArgument(f"the headers can't be read: {error}") from error
    if any(isinstance(defect, email.errors.MissingHeaderBodySeparatorDefect) for defect in message.defects):
        raise InvalidArgument(f"a line among the headers is no field: {section[:200]!r}")
    return message


def http2_headers(message: http.client.HTTPMessage) -> Headers:
    """The fields for HTTP/2: without those that speak of one HTTP/1 connection (RFC 9113 section 8.2.2), and the last
    one of those that can be there once.
    """
    dropped = _CONNECTION_SPECIFIC | {
        option.strip().lower() for value in message.get_all("connection", ()) for option in value.split(",")
    }
    headers = Headers()
    for name, text in message.items():
        name, value = name.lower(), _unfolded(text)
        if name in dropped or (name == "te" and value.lower() != "trailers"):
            continue
        if name in _SINGLE_VALUE and name != "content-length":
            headers[name] = value
        else:
            headers.add(name, value)
    return headers


def _unfolded(text: str) -> str:
    """A value in one line (RFC 9112 section 5.2). No pattern: it would look at each space once for each before it."""
    text = text.strip(" \t\r\n")
    first, *others = text.split("\n")
    if all(line.startswith((" ", "\t")) for line in others):  # otherwise it is no value, and will be refused
        text = " ".join([line.removesuffix("\r").strip(" \t") for line in (first, *others)])
    return text


def is_chunked(message: http.client.HTTPMessage) -> bool:
    """Whether the body is framed in chunks. Raises `InvalidArgument` for other codings, which HTTP/2 has not."""
    codings: list[str] = message.get_all("transfer-encoding", [])
    coding = ", ".join(codings).strip().lower()
    if coding not in ("", "identity", "chunked"):
        raise InvalidArgument(f"transfer-encoding {coding!r} does not exist in HTTP/2: use content-encoding")
    return coding == "chunked"


def http1_message(fields: Iterable[tuple[str, str]]) -> http.client.HTTPMessage:
    """Fields as the standard library gives them to programs."""
    message = http.client.HTTPMessage()
    for name, value in fields:
        message[name] = value
    return message


class ChunkedBody:
    """Takes the chunked coding (RFC 9112 section 7.1) off a body that is fed to it piece by piece."""

    def __init__(self) -> None:
        self.ended = False
        self._trailer_section = b""
        self._buffer = bytearray()
        self._left = 0  # octets of the current chunk
        self._after_chunk = False
        self._after_last_chunk = False

    @property
    def in_the_middle(self) -> bool:
        """Whether what has been fed breaks off within a chunk, or within its size."""
        return not self.ended and bool(self._buffer or self._left or self._after_chunk)

    def feed(self, data: ReadableBuffer) -> bytes:
        """The content that is complete with `data`. Raises `InvalidArgument` for what is no chunk."""
        self._buffer += data
        content = bytearray()
        while self._buffer and not self.ended:
            if self._left:
                piece = self._buffer[: self._left]
                content += piece
                del self._buffer[: self._left]
                self._left -= len(piece)
                continue
            line_end = self._buffer.find(b"\n")
            if line_end < 0:
                break
            line = bytes(self._buffer[:line_end]).rstrip(b"\r")
            del self._buffer[: line_end + 1]
            self._take_line(line)
        if self.ended and self._buffer:
            raise InvalidArgument(f"data follows the last chunk: {bytes(self._buffer[:50])!r}")
        return bytes(content)

    def _take_line(self, line: bytes) -> None:
        if self._after_last_chunk:
            self._trailer_section += line + b"\r\n"
            self.ended = not line
        elif self._after_chunk:
            if line:
                raise InvalidArgument(f"a chunk is longer than its size says: {line[:50]!r} follows")
            self._after_chunk = False
        else:
            size = _chunk_size(line)
            if size is None:
                raise InvalidArgument(f"transfer-encoding is chunked, but {line[:50]!r} is no chunk's size")
            self._left = int(size[1], 16)
            self._after_last_chunk = not self._left
            self._after_chunk = not self._after_last_chunk

    def trailers(self) -> Headers:
        """The fields behind the last chunk."""
        return http2_headers(parse_fields(self._trailer_section))
