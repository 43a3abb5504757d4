"""Bodies of HTTP/1 requests: where they end, and what of the received octets is theirs (RFC 9112 sections 6 and 7).

Each takes its octets from the front of the connection's input. Under the session's lock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

import h11

from ..protocol.fields.header_rules import MalformedHeaders, check_trailers
from ..protocol.limits import Limits
from .request_heads import UnreadableRequest, check_lines, next_event

_is_beginning_of_size = re.compile(rb"[0-9A-Fa-f]{1,15}(?:[;\r].*)?", re.DOTALL).fullmatch

Fields = Sequence[tuple[bytes, bytes]]

_LONGEST_CHUNK_LINE = 1024  # octets: a size, and extensions that nobody uses
_LONGEST_SIZE = 15  # digits: more do not fit into the numbers that some programs have for it
_LONGEST_BEGINNING = _LONGEST_SIZE + 1  # octets of a line, which tell whether it can be one
_MOST_LINES = 50  # of chunks that are cut at once
_MOST_FRAMING = 16 * 1024  # octets of framing beyond what chunks of the size that was sent need


class LengthBody:
    """A body with a content-length; 0 is one that has ended."""

    __slots__ = ("left",)

    in_trailers = False
    lines = 0
    trailers: Fields = ()

    def __init__(self, length: int) -> None:
        self.left: int = length

    @property
    def ended(self) -> bool:
        return not self.left

    def take(self, octets: bytearray, most: int) -> bytes:
        """The next piece, of up to `most` octets; empty if there is none yet."""
        count = min(self.left, most)
        data = bytes(octets[:count])
        del octets[:count]
        self.left -= len(data)
        return data


class TunnelBody:
    """What follows CONNECT: the tunnel's octets, once it was answered with 2xx, until the client hangs up."""

    __slots__ = ("ended",)

    in_trailers = False
    lines = 0
    left = None
    trailers: Fields = ()

    def __init__(self) -> None:
        self.ended = False

    def take(self, octets: bytearray, most: int) -> bytes:
        data = bytes(octets[:most])
        del octets[:most]
        return data


class _Awaits(Enum):
    SIZE = auto()
    DATA = auto()
    END_OF_CHUNK = auto()
    TRAILERS = auto()


class ChunkedBody:
    """A body in chunks. It is cut into lines and data here, so that no line but a whole one with CRLF counts, and h11
    says what they mean.
    """

    __slots__ = (
        "_awaits",
        "_chunk_left",
        "_failure",
        "_framing",
        "_limits",
        "_parser",
        "_seen",
        "ended",
        "lines",
        "trailers",
    )

    left = None

    def __init__(self, parser: h11.Connection, limits: Limits) -> None:
        self._parser = parser
        self._limits = limits
        self._awaits = _Awaits.SIZE
        self._chunk_left = 0
        self._seen = 0  # octets at the input's front that are fine as the beginning of a line
        self._framing = 0  # octets of it, less what is usual for chunks of such sizes
        self._failure: UnreadableRequest | None = None
        self.lines = 0
        """How many lines of framing were taken so far."""
        self.ended = False
        self.trailers: Fields = ()

    @property
    def in_trailers(self) -> bool:
        return self._awaits is _Awaits.TRAILERS and not self.ended

    def take(self, octets: bytearray, most: int) -> bytes:
        """The next piece, of up to `most` octets, perhaps of several chunks, but not of very many; empty if there is
        none yet, or none any more. Raises UnreadableRequest.
        """
        if self._failure is not None:
            raise self._failure
        pieces: list[bytes] = []
        pauses_at = self.lines + _MOST_LINES
        while most > 0 and not self.ended and not (pieces and self.lines >= pauses_at):
            if self._awaits is not _Awaits.DATA:
                try:
                    line = self._cut_line(octets)
                    if line is None:
                        break
                    self._line(line)
                except UnreadableRequest as error:
                    if not pieces:
                        raise
                    self._failure = error  # what came before it is good
                    break
                continue
            data = bytes(octets[: min(self._chunk_left, most)])
            if not data:
                break
            del octets[: len(data)]
            next_event(self._parser, data)
            most -= len(data)
            self._chunk_left -= len(data)
            if not self._chunk_left:
                self._awaits = _Awaits.END_OF_CHUNK
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _cut_line(self, octets: bytearray) -> bytes | None:
        in_trailers = self._awaits is _Awaits.TRAILERS
        longest = self._limits.max_header_list_size if in_trailers else _LONGEST_CHUNK_LINE
        seen = self._seen
        end = octets.find(b"\n", seen, longest) + 1
        known = end or min(len(octets), longest)
        first_cr = octets.find(b"\r", max(seen - 1, 0), known)
        if first_cr != end - 2 if end else -1 < first_cr < known - 1:
            raise UnreadableRequest(400, "a line of a chunked body does not end with CR and LF")
        if not seen:
            self._check_beginning(octets[:_LONGEST_BEGINNING])
        if not end:
            if known == longest:
                raise UnreadableRequest(431 if in_trailers else 400, "a line of a chunked body is too long")
            self._seen = known if known >= _LONGEST_BEGINNING else 0
            return None
        line = bytes(octets[:end])
        del octets[:end]
        self._seen = 0
        return line

    def _check_beginning(self, octets: bytearray) -> None:
        """Refuse at once what a line can't begin with: who waits for more may wait for long."""
        if self._awaits is _Awaits.END_OF_CHUNK:
            if not b"\r\n".startswith(octets[:2]):
                raise UnreadableRequest(400, "a chunk is longer than its size says")
        elif self._awaits is _Awaits.SIZE:
            if octets and not _is_beginning_of_size(octets):
                raise UnreadableRequest(400, "the size of a chunk is no number, too long, or followed by a space")
        elif octets.startswith((b" ", b"\t")):
            raise UnreadableRequest(400, "a trailer field that goes on in the next line")

    def _line(self, line: bytes) -> None:
        self.lines += 1
        if self._awaits is _Awaits.TRAILERS:
            check_lines(line)
        event = next_event(self._parser, line)
        if self._awaits is _Awaits.SIZE:
            size = int(line[:-2].partition(b";")[0], 16)
            self._count_framing(line, size)
            self._chunk_left = size
            self._awaits = _Awaits.DATA if size else _Awaits.TRAILERS
        elif self._awaits is _Awaits.END_OF_CHUNK:
            self._awaits = _Awaits.SIZE
        elif isinstance(event, h11.EndOfMessage):
            self.trailers = _checked_trailers(event, self._limits)
            self.ended = True

    def _count_framing(self, line: bytes, size: int) -> None:
        self._framing = max(self._framing + len(line) + 2 - 16 - 2 * size, 0)
        if self._framing > _MOST_FRAMING:
            raise UnreadableRequest(400, "a chunked body of little else than extensions")


RequestBody = LengthBody | ChunkedBody | TunnelBody


def _checked_trailers(event: h11.EndOfMessage, limits: Limits) -> Fields:
    trailers = list(event.headers)
    if len(trailers) > limits.max_header_pairs:
        raise UnreadableRequest(431, "more trailer fields than max_header_pairs")
    try:
        check_trailers(trailers)
    except MalformedHeaders as error:
        raise UnreadableRequest(400, str(error)) from error
    return trailers
