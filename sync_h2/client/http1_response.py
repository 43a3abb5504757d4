"""Heads of HTTP/1.1 responses: `http.client`'s, with bounds for what comes before the final one and for the time that
it takes, and without the parsing of `email` that takes the square of a content-type's length.

Runs on the thread that makes the request, then on the one that reads the body.
"""

from __future__ import annotations

import email.parser
import http.client
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..deadline import Deadline
from .exchange import Fields
from .timeouts import Patience

_MOST_INFORMATIONAL = 10_000  # an operation that says 102 every ten seconds may take a day
_MOST_INFORMATIONAL_OCTETS = 65_536
# As in `http.client`.
_LONGEST_LINE = 65_536
_MOST_LINES = 100
_chunk_size = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL).fullmatch  # RFC 9112 section 7.1


class EndlessHead(http.client.HTTPException):
    """More came before the final response than anybody has use for."""


class Incoming(io.RawIOBase):
    """What a socket receives, as a file. While it has a `deadline`, all of it has to come by then; otherwise each piece
    within the socket's timeout. Of more than `most` octets nothing is taken.
    """

    def __init__(self, sock: Any, most: int | None = None) -> None:
        self.deadline: Deadline | None = None
        self.patience: Patience | None = None
        """Whose timeout for reading, which may change, each piece has."""
        self.has_begun = False
        """Whether anything has come."""
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.deadline is not None:
            remaining = self.deadline.remaining()
            if remaining == 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(remaining)
        elif self.patience is not None:
            self._sock.settimeout(self.patience.read)
        count: int | None = self._file.readinto(buffer)
        if count:
            self.has_begun = True
        if self._left is not None and count:
            self._left -= count
            if self._left < 0:
                raise EndlessHead("the head of the response is too long")
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class HTTP1Response(http.client.HTTPResponse):
    """A response, read from `incoming` as it is, or through a buffer; those before the final one are in
    `informational`.
    """

    def __init__(self, incoming: Incoming, method: str | None, *, buffered: bool) -> None:
        self.incoming = incoming
        source = _Source(io.BufferedReader(incoming) if buffered else incoming)
        super().__init__(source, method=method)  # type: ignore[arg-type]  # takes its file, and no more
        self.informational: list[tuple[int, Fields]] = []
        self._informational_octets = 0
        self._status_line: tuple[str, int, str] | None = None

    @contextmanager
    def by(self, deadline: Deadline) -> Iterator[None]:
        """What is received meanwhile has to come by then."""
        self.incoming.deadline = deadline
        try:
            yield
        finally:
            self.incoming.deadline = None

    def begin(self) -> None:
        if self.headers is not None:
            return
        version, self.status, reason = self._read_status()
        if not version.startswith("HTTP/1.") and version != "HTTP/0.9":
            raise http.client.UnknownProtocol(version)
        self.code = self.status
        self.reason = reason.strip()
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self.headers = self.msg = read_fields(self.fp)
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else _length(self.headers.get("content-length", ""))
        if self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED) or self.status < 200:
            self.length = 0
        if self._method == "HEAD":
            self.length = 0
        ends_with_connection = not self.chunked and self.length is None
        self.will_close = self._check_close() or ends_with_connection

    def _read_next_chunk_size(self) -> int:
        """As `http.client`'s, which takes whatever `int` does: signs, underscores, any size."""
        line = self.fp.readline(_LONGEST_LINE + 1)
        if not line:
            raise http.client.IncompleteRead(b"")
        found = _chunk_size(line.rstrip(b"\r\n"))
        if found is None:
            raise http.client.HTTPException(f"{line[:50]!r} is no chunk's size")
        return int(found[1], 16)

    def continues(self) -> bool:
        """Wait for 100, which says that the body is wanted; False when the final response came instead."""
        while self._status_line is None:
            self._status_line = self._next_status()
            if self.informational and self.informational[-1][0] == http.client.CONTINUE:
                break
        return self._status_line is None

    def _read_status(self) -> tuple[str, int, str]:
        while self._status_line is None:
            self._status_line = self._next_status()
        return self._status_line

    def _next_status(self) -> tuple[str, int, str] | None:
        """The final response's; None for one before it, which is kept."""
        version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
        if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
            return version, status, reason
        fields = fields_of(read_fields(self.fp))
        self.informational.append((status, fields))
        self._informational_octets += sum(len(name) + len(value) for name, value in fields)
        if len(self.informational) > _MOST_INFORMATIONAL or self._informational_octets > _MOST_INFORMATIONAL_OCTETS:
            raise EndlessHead("too many informational responses")
        return None


class _Source:
    """In place of a socket: a file of what it receives."""

    def __init__(self, file: io.BufferedReader | Incoming) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader | Incoming:
        return self._file


def read_fields(file: Any) -> http.client.HTTPMessage:
    """The fields up to an empty line. Raises what is in `http.client`."""
    lines: list[bytes] = []
    while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise http.client.HTTPException(f"got more than {_MOST_LINES} headers")
    text = b"".join(lines).decode("latin-1")
    # `http.client.parse_headers` has `email` look for the parts of a body too.
    return email.parser.Parser(_class=http.client.HTTPMessage).parsestr(text, headersonly=True)


def fields_of(message: http.client.HTTPMessage) -> Fields:
    """Names in lower case, and values."""
    return [(name.lower(), value) for name, value in message.items()]


def _length(text: str) -> int | None:
    try:
        length = int(text)
    except ValueError:
        return None
    return length if length >= 0 else None
