"""Handlers written for the standard library's `http.server`, run unchanged on streams.

A handler class of `http.server` reads an HTTP/1.1 request from a socket and writes a response to it. Here it gets, for
each stream, something in the socket's place that does: the request's head as text and then the stream's body to read,
and what it writes is read up to the end of the head, which the standard library's own parser understands, and the rest
is the body. So every method, override and habit of such classes works as it is.

An instance lives on the pool's thread that runs the stream's handler.
"""

from __future__ import annotations

import functools
import http.server
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..connection.server_side.server_stream import ServerStream
from ..errors import HTTP2Error, InvalidArgument, InvalidState, Timeout
from ..protocol.fields.headers import Headers
from ..transport.log import Log
from .http1_text import ChunkedBody, http2_headers, is_chunked, parse_fields

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

logger = Log("sync_h2.server")

_STATUSES_WITHOUT_BODY = frozenset({204, 205, 304})
_METHODS_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
_NOT_FOR_THE_HANDLER = frozenset({"connection", "cookie", "host", "transfer-encoding"})

_TARGET_CHARACTERS = bytes(range(0x21, 0x7F)).decode()

_head_end = re.compile(rb"\r?\n\r?\n")
_status_line = re.compile(rb"HTTP/[0-9.]+[ \t]+([0-9]{3})(?:[ \t]+([^\r\n]*))?\r?\n")


def handler_for(
    handler_class: Callable[..., http.server.BaseHTTPRequestHandler], *, server: Any = None, **arguments: Any
) -> Callable[[ServerStream, Headers], None]:
    """A handler for `create_server` and its siblings that runs a subclass of `http.server.BaseHTTPRequestHandler`, or
    a `functools.partial` of one, with an instance for each stream.

    `arguments` go to the class (`directory=` of `SimpleHTTPRequestHandler`), `server` is what its instances find as
    `self.server`; by default that has `server_address`, `server_name` and `server_port`. What is different from
    HTTP/1: `self.request` and `self.connection` are `session.socket` with the files of this stream; each instance
    serves one request, whatever `close_connection` is set to; `Connection` and other fields of HTTP/1 connections are
    not sent; chunks that the handler frames itself (`Transfer-Encoding: chunked`) are unframed, trailers included;
    101 and CGI are impossible. A client that has gone is a `ConnectionResetError`, as on a socket. Raises `TypeError`
    and `InvalidArgument` for a class that can't be run.
    """
    while isinstance(handler_class, functools.partial):
        if handler_class.args:
            raise InvalidArgument("a partial of a handler class may have keyword arguments only")
        arguments = {**handler_class.keywords, **arguments}
        handler_class = handler_class.func
    if not (isinstance(handler_class, type) and issubclass(handler_class, http.server.BaseHTTPRequestHandler)):
        raise TypeError(f"not a subclass of http.server.BaseHTTPRequestHandler: {handler_class!r}")
    if issubclass(handler_class, getattr(http.server, "CGIHTTPRequestHandler", ())):
        raise InvalidArgument("CGIHTTPRequestHandler gives a socket of its own to programs: HTTP/2 has none for them")
    one_request_class = _one_request_class(handler_class)

    def handler(stream: ServerStream, headers: Headers) -> None:
        connection = _Connection(stream, headers)
        served_by = _Server(connection) if server is None else server
        try:
            one_request_class(connection, _client_address(connection), served_by, **arguments)
            connection.response.finish()
        except _ClientGone as gone:
            assert gone.__cause__ is not None
            raise gone.__cause__ from None
        finally:
            connection.response.over = True

    return handler


def _one_request_class(handler_class: type[http.server.BaseHTTPRequestHandler]) -> type[Any]:
    class OneRequest(handler_class):  # type: ignore[valid-type, misc]  # a base class that is found at run time
        # What is left of a body must never be taken for the next request.
        close_connection = property(lambda self: True, lambda self, value: None)

        requestline: str

        def parse_request(self) -> bool:
            valid: bool = super().parse_request()
            if valid:
                # The text says HTTP/1.1, for http.server refuses to read anything later.
                self.request_version = f"HTTP/{self.request.http_version}"
                self.requestline = f"{self.requestline.rpartition(' ')[0]} {self.request_version}"
            return valid

    OneRequest.__name__, OneRequest.__qualname__ = handler_class.__name__, handler_class.__qualname__
    OneRequest.__module__, OneRequest.__doc__ = handler_class.__module__, handler_class.__doc__
    return OneRequest


class _ClientGone(ConnectionResetError):
    """The stream or its session has ended; the cause says how."""


class _Connection:
    """One stream, as the socket that `socketserver.StreamRequestHandler` expects; `session.socket` in all else."""

    def __init__(self, stream: ServerStream, headers: Headers) -> None:
        self._stream = stream
        self._socket = stream.session.socket
        self._timeout: float | None = None
        chunked = _is_chunked(stream, headers)
        self._request = _RequestFile(self, _request_head(stream, headers, chunked), chunked)
        self.http_version: str = stream.http_version
        self.response = _Response(stream, self, headers)

    def makefile(self, mode: str = "rb", buffering: int | None = -1) -> io.IOBase:
        size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
        if mode == "wb":
            response = _ResponseFile(self)
            return io.BufferedWriter(response, size) if size else response
        if mode not in ("r", "rb"):
            raise InvalidArgument(f"mode {mode!r}: a handler's files are 'rb' and 'wb'")
        return io.BufferedReader(self._request, size) if size else self._request

    def sendall(self, data: ReadableBuffer) -> None:
        self.response.write(data)

    def settimeout(self, value: float | None) -> None:
        """The seconds that a read or write of this stream may take; None means the session's own limits."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def fileno(self) -> int:
        raise io.UnsupportedOperation("the descriptor carries the frames of all streams: use rfile and wfile")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    # -- what reads and writes

    def receive_into(self, buffer: WriteableBuffer) -> int:
        with _errors_of_a_socket():
            return self._stream.readinto(buffer, self._timeout)

    def receive_trailers(self) -> Headers:
        """Of the body, which has been read."""
        with _errors_of_a_socket():
            return self._stream.wait_trailers(self._timeout)

    def send(self, data: ReadableBuffer, *, ends: bool) -> None:
        with _errors_of_a_socket():
            if ends:
                self._stream.end(data, self._timeout)
            else:
                self._stream.write(data, self._timeout)


@contextmanager
def _errors_of_a_socket() -> Iterator[None]:
    """What a socket would have raised, for handlers that catch it; what the handler did wrong stays as it is."""
    try:
        yield
    except (Timeout, InvalidState, InvalidArgument):
        raise
    except HTTP2Error as error:
        raise _ClientGone(str(error)) from error


class _RequestFile(io.RawIOBase):
    """The request: its head, and then the stream's body, which is not touched before that."""

    def __init__(self, connection: _Connection, head: bytes, chunked: bool) -> None:
        self._connection = connection
        self._pending = memoryview(head)
        self._chunked = chunked

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._chunked and not self._pending:
            self._pending = memoryview(self._next_chunk())
        if not self._pending:
            return self._connection.receive_into(buffer)
        target = memoryview(buffer).cast("B")
        piece, self._pending = self._pending[: len(target)], self._pending[len(target) :]
        target[: len(piece)] = piece
        return len(piece)

    def _next_chunk(self) -> bytes:
        """What has come of the body, framed again as RFC 9112 section 7.1 has it."""
        content = bytearray(io.DEFAULT_BUFFER_SIZE)
        del content[self._connection.receive_into(content) :]
        if content:
            return b"%x\r\n%b\r\n" % (len(content), bytes(content))
        self._chunked = False
        return b"0\r\n" + _section(self._connection.receive_trailers().pairs())


class _ResponseFile(io.RawIOBase):
    """What `wfile` writes to when the class asks for a buffer. Closing it ends nothing."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        self._connection.response.write(data)
        return memoryview(data).nbytes


class _Response:
    """Makes the stream's response of the HTTP/1 response that the handler writes."""

    def __init__(self, stream: ServerStream, connection: _Connection, request_headers: Headers) -> None:
        self.over = False
        """The handler has returned. What a forgotten buffer writes in its finalizer goes nowhere."""
        self._stream = stream
        self._connection = connection
        self._to_head_request = request_headers[":method"] == "HEAD"
        self._head = bytearray()
        self._begun = False
        self._has_body = True
        self._has_excess = False
        self._left: int | None = None  # bytes that content-length announced
        self._chunks: ChunkedBody | None = None

    def write(self, data: ReadableBuffer) -> None:
        if self.over:
            return
        if self._begun:
            self._write_body(data)
            return
        self._head += memoryview(data)
        while not self._begun and (end := _head_end.search(self._head)):
            section = bytes(self._head[: end.end()])
            del self._head[: end.end()]
            self._begin(section)
        if self._begun:
            if self._head:
                self._write_body(bytes(self._head))
                self._head.clear()
        elif not b"HTTP/".startswith(self._head[:5]):
            raise InvalidState(
                f"a response begins with send_response() or a status line, not with {bytes(self._head[:50])!r}",
                stream_id=self._stream.id,
            )

    def _begin(self, section: bytes) -> None:
        found = _status_line.match(section)
        if found is None:
            raise InvalidArgument(f"not a status line: {section.splitlines()[0][:100]!r}")
        status = int(found[1])
        message = parse_fields(section[found.end() :])
        headers = http2_headers(message)
        headers[":status"] = status
        if status < 200:
            with _errors_of_a_socket():
                self._stream.additional_headers(headers)
            return
        if is_chunked(message):
            self._chunks = ChunkedBody()
        if self._chunks is not None or status in (204, 205):  # RFC 9112 section 6.2, RFC 9110 sections 8.6 and 15.3.6
            headers.pop("content-length", None)
        length = headers.get("content-length", "")
        self._left = int(length) if length.isdigit() else None  # what is no number is refused by respond()
        with _errors_of_a_socket():
            self._stream._say_reason((found[2] or b"").decode("latin-1"))
            self._stream.respond(headers, end_stream=self._left == 0, wait_for_trailers=self._chunks is not None)
        self._begun = True
        self._has_body = not self._to_head_request and status not in _STATUSES_WITHOUT_BODY

    def _write_body(self, data: ReadableBuffer) -> None:
        if not self._has_body:
            return
        size = memoryview(data).nbytes
        if self._chunks is not None:
            data = self._chunks.feed(data)
            size = len(data)
        elif self._left is not None:
            if size > self._left:
                # On a socket too this would be nobody's; a file that grows while it is served is how it happens.
                if not self._has_excess:
                    self._has_excess = True
                    logger.warning(
                        "%s: the handler wrote %d bytes more than content-length says, which are not sent, nor "
                        "what else follows",
                        self._stream._words,
                        size - self._left,
                    )
                data, size = bytes(memoryview(data).cast("B")[: self._left]), self._left
            self._left -= size
        if size:
            self._connection.send(data, ends=self._left == 0)

    def finish(self) -> None:
        """The handler has returned: end the response, if it is whole."""
        if not self._begun:
            if self._head:
                raise InvalidState(
                    "the handler returned before the empty line that ends the headers: end_headers() writes it",
                    stream_id=self._stream.id,
                )
            return  # what the server does when a handler does not answer
        if self._left and self._has_body:
            # A file that shrinks while it is served is how it happens.
            logger.warning(
                "%s: the handler wrote %d bytes less than content-length says: the stream is reset",
                self._stream._words,
                self._left,
            )
            self._stream._fail()
            return
        if self._chunks is None or not self._has_body:
            self._stream.end()
            return
        if not self._chunks.ended:
            raise InvalidState("the handler returned before the last chunk, 0", stream_id=self._stream.id)
        trailers = self._chunks.trailers()
        if trailers:
            self._stream.send_trailers(trailers)
        else:
            self._stream.end()


def _is_chunked(stream: ServerStream, headers: Headers) -> bool:
    """Whether the body came in chunks, which handlers of HTTP/1.1 take apart by themselves."""
    return stream.http_version == "1.1" and "content-length" not in headers and not stream.end_after_headers


def _request_head(stream: ServerStream, headers: Headers, chunked: bool) -> bytes:
    """The request line and the fields, as HTTP/1.1 has them (RFC 9112 sections 2 and 3)."""
    method = headers[":method"]
    authority = headers.get(":authority", headers.get("host"))
    fields = [("Host", authority)] if authority is not None else []
    fields += [field for field in headers.pairs() if field[0][0] != ":" and field[0] not in _NOT_FOR_THE_HANDLER]
    if "cookie" in headers:
        fields.append(("cookie", headers["cookie"]))
    if "content-length" not in headers and method in _METHODS_WITH_BODY and stream.end_after_headers:
        fields.append(("content-length", "0"))
    if chunked:
        fields.append(("transfer-encoding", "chunked"))
    # http.server takes some octets that are no ASCII for spaces.
    target = quote(headers.get(":path", authority or ""), _TARGET_CHARACTERS, "latin-1")
    return f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + _section(fields)


def _section(fields: Iterable[tuple[str, str]]) -> bytes:
    """Fields and the empty line behind them."""
    return "".join([*(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode("latin-1")


def _client_address(connection: _Connection) -> Any:
    """As `accept` gives it; a pair for the peer of a Unix socket too, because handlers log its first item."""
    address = connection.getpeername()
    return address if isinstance(address, tuple) else ("unix:", 0)


class _Server:
    """What `self.server` is unless one is given."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @property
    def server_address(self) -> Any:
        return self._connection.getsockname()

    @property
    def server_name(self) -> str:
        address = self.server_address
        return str(address[0]) if isinstance(address, tuple) else "localhost"

    @property
    def server_port(self) -> int:
        address = self.server_address
        return int(address[1]) if isinstance(address, tuple) else 0
