"""Heads of HTTP/1.1 responses, and chunks: `http.client`'s, with bounds for what comes before the final one and for the
time that it takes, and strict where two readers could see different messages (RFC 9112 sections 2.2, 5.2, 6.3 and 7.1).

Runs on the thread that makes the request, then on the one that reads the body.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ... import errors
from ...deadline import Deadline
from ..options.timeouts import Patience
from ..values.fields import Fields

_MOST_INFORMATIONAL = 10_000  # an operation that says 102 every ten seconds may take a day
_MOST_INFORMATIONAL_OCTETS = 65_536
# As in `http.client`.
_LONGEST_LINE = 65_536
_MOST_LINES = 100
_MOST_DIGITS = 40  # of a length
_MOST_OF_A_CHUNK = 16  # digits of its size
_DIGITS = frozenset(b"0123456789")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_AS_SPACES = {0: " ", 13: " "}  # RFC 9110 section 5.5
_TLS_ALERT = b"\x15\x03"
_SETTINGS = b"\x00\x00"  # how HTTP/2 begins: a frame of less than 256 octets
_SHOWN = 80  # octets of what is no HTTP


class MalformedMessage(http.client.HTTPException):
    """What came is no response, or could be taken for more than one."""


class EndlessHead(MalformedMessage):
    """More came before the final response than anybody has use for."""


BROKEN = (http.client.HTTPException, errors.HTTP2Error)
"""What an exchange over HTTP/1.1 can fail with."""


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
        self.is_over = False
        """Whether nothing more is to be taken."""
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_over:
            return 0
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
        self.code = self.status
        self.reason = reason.strip()
        self.version = 10 if version in ("HTTP/1.0", "HTTP/0.9") else 11
        self.headers = self.msg = read_fields(self.fp)
        self.chunk_left = None
        if (
            self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED)
            or self.status < 200
            or self._method == "HEAD"
            or (self._method == "CONNECT" and self.status < 300)  # RFC 9110 section 9.3.6
        ):
            self.chunked = False
            self.length = 0
        else:
            self.chunked = _is_chunked(self.headers.get_all("transfer-encoding", []))
            self.length = None if self.chunked else _length(self.headers.get_all("content-length", []))
        ends_with_connection = not self.chunked and self.length is None
        is_no_more_http = self.status == http.client.SWITCHING_PROTOCOLS
        self.will_close = self._check_close() or ends_with_connection or is_no_more_http

    def close(self) -> None:
        if self.fp is not None and self.fp.closed:
            self.fp = None  # type: ignore[assignment]  # collected with this, and finalized first
        super().close()

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
        version, status, reason = self._status_line_of(self.fp.readline(_LONGEST_LINE + 1))
        if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
            return version, status, reason
        fields = fields_of(read_fields(self.fp))
        self.informational.append((status, fields))
        self._informational_octets += sum(len(name) + len(value) for name, value in fields)
        if len(self.informational) > _MOST_INFORMATIONAL or self._informational_octets > _MOST_INFORMATIONAL_OCTETS:
            raise EndlessHead("too many informational responses")
        return None

    def _status_line_of(self, line: bytes) -> tuple[str, int, str]:
        if not line:
            raise http.client.RemoteDisconnected("Remote end closed connection without response")
        version, digits, reason = (*line.decode("latin-1").split(None, 2), "", "", "")[:3]
        if not (version.startswith("HTTP/1.") or version == "HTTP/0.9") or not _is_status(digits):
            raise MalformedMessage(f"the server does not answer in HTTP/1.1: {_what_it_speaks(line)}")
        if not line.endswith(b"\n"):
            raise MalformedMessage("the response's head broke off, or its first line is too long")
        return version, int(digits), reason

    # What `http.client` reads chunks with. Nobody else has to know, so these are no part of the interface.

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_LONGEST_LINE + 1)
        if line and not line.endswith(b"\n"):
            raise MalformedMessage("a chunk's size broke off, or is too long")
        size = line.partition(b";")[0].rstrip(b" \t\r\n")
        if not size or not _HEXADECIMAL.issuperset(size) or len(size.lstrip(b"0")) > _MOST_OF_A_CHUNK:
            raise MalformedMessage(
                f"{size[:_SHOWN]!r} is no chunk's size" if line else "the connection ended before its end"
            )
        return int(size, 16)

    def _get_chunk_left(self) -> int | None:
        left: int | None = self.chunk_left
        if not left:
            if left is not None and self._safe_read(2) != b"\r\n":  # type: ignore[attr-defined]  # not in typeshed
                raise MalformedMessage("a chunk is longer than its size")
            left = self._read_next_chunk_size()
            if left == 0:
                self._read_and_discard_trailer()  # type: ignore[attr-defined]  # private
                self._close_conn()  # type: ignore[attr-defined]  # private
                left = None
            self.chunk_left = left
        return left


class FinalResponse(HTTP1Response):
    """A server's, with the trailers, which `http.client` reads and drops."""

    def __init__(self, sock: Any, method: str) -> None:
        super().__init__(Incoming(sock), method, buffered=True)
        self.trailer_fields: Fields = []
        self.sending_failed: errors.ConnectionLost | None = None

    def _close_conn(self) -> None:
        """At the end of the body. What has come behind it answers nothing that was asked (RFC 9112 section 9.2)."""
        self.incoming.is_over = True
        if self.fp.peek(1):
            self.will_close = True
        super()._close_conn()  # type: ignore[misc]  # not in typeshed

    def _read_and_discard_trailer(self) -> None:
        self.trailer_fields = fields_of(read_fields(self.fp, trailers=True))


class _Source:
    """In place of a socket: a file of what it receives."""

    def __init__(self, file: io.BufferedReader | Incoming) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader | Incoming:
        return self._file


def read_fields(file: Any, *, trailers: bool = False) -> http.client.HTTPMessage:
    """The fields up to an empty line. Raises what is in `http.client`. Servers are careless with `trailers`, and
    nothing depends on them: what is none is left out, and the end of the connection ends them.
    """
    lines: list[bytes] = []
    while not lines or lines[-1] not in (b"\r\n", b"\n", b""):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise http.client.HTTPException(f"got more than {_MOST_LINES} headers")
    if not trailers and not lines[-1]:
        raise MalformedMessage("the response's head broke off")
    fields: list[tuple[str, list[str]]] = []  # each with the lines of its value
    for line in lines[:-1]:
        text = line.rstrip(b"\r\n").decode("latin-1").translate(_AS_SPACES)
        if text[:1] in (" ", "\t") and fields:
            fields[-1][1].append(text.strip(" \t"))
            continue
        name, colon, value = text.partition(":")
        name = name.rstrip(" \t")
        if colon and name and name[0] not in " \t":
            fields.append((name, [value.strip(" \t")]))
        elif not trailers:
            raise MalformedMessage(f"line {len(fields) + 1} of the response's fields is none")
    message = http.client.HTTPMessage()
    for name, values in fields:
        message.set_raw(name, " ".join(filter(None, values)))
    return message


def fields_of(message: http.client.HTTPMessage) -> Fields:
    """Names in lower case, and values."""
    return [(name.lower(), value) for name, value in message.items()]


def _is_status(digits: str) -> bool:
    return len(digits) == 3 and _DIGITS.issuperset(digits.encode("latin-1")) and digits[0] != "0"


def _what_it_speaks(line: bytes) -> str:
    if line.startswith(_TLS_ALERT):
        return "it speaks TLS on this port, which is what https:// is for"
    if line.startswith(_SETTINGS):
        return "it speaks HTTP/2 on this port, which is what h2c=True is for"
    return f"it says {line[:_SHOWN]!r}"


def _is_chunked(fields: list[str]) -> bool:
    """Whether the body comes in chunks, which is the only transfer coding that is asked for (RFC 9112 section 7)."""
    codings = {coding.strip(" \t").lower() for field in fields for coding in field.split(",")} - {"", "identity"}
    if codings - {"chunked"}:
        raise MalformedMessage(f"transfer-encoding is {', '.join(fields)[:_SHOWN]!a}; chunked alone can be read")
    return bool(codings)


def _length(fields: list[str]) -> int | None:
    """What content-length says; RFC 9112 section 6.3 has any other value than one number end the connection."""
    lengths = {length.strip(" \t") for field in fields for length in field.split(",")}
    if not lengths:
        return None
    length, *others = lengths
    if others or not length or not _DIGITS.issuperset(length.encode("latin-1")) or len(length) > _MOST_DIGITS:
        raise MalformedMessage(f"content-length is {', '.join(fields)[:_SHOWN]!a}, which is not one number")
    return int(length)
