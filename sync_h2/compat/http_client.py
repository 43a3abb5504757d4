"""`http.client`'s connection and response over HTTP/2.

The state machine, the checks of what the caller gives, the automatic fields and the proxy tunnel are
`http.client.HTTPConnection`'s own: it puts a request's lines into a buffer, which is made a stream here instead of
text. `sock` stands for the session: the body's pieces are sent to it, and its file is the stream's body, from which
`http.client.HTTPResponse` reads.

As with `http.client`, one thread at a time uses a connection, and it carries one request at a time.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..client.opening.connect import connect
from ..client.opening.proxies import ProxyResponse
from ..connection.client_side.client_stream import ClientStream
from ..constants import ErrorCode
from ..deadline import Deadline
from ..errors import HTTP2Error, InvalidArgument, ProtocolError, SessionClosed, Timeout, is_unprocessed
from ..protocol.fields.headers import Headers, check_field
from ..transport.contexts import client_context
from ..transport.host_names import encode_host, in_url
from .http1_text import ChunkedBody, http1_message, http2_headers, is_chunked
from .session_socket import Body, Exchange, SessionSocket, errors_of_http_client

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# The socket module's private mark for "not given"; HTTPConnection's signature shows it to everybody.
_DEFAULT_TIMEOUT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]  # private

_PIECE = 1 << 20  # octets that are read at a time, however many there should be


class HTTP2Response(http.client.HTTPResponse):
    """The response to a request of `HTTP2Connection`. Closing it early cancels its stream and keeps the connection."""

    def __init__(
        self, sock: SessionSocket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)  # type: ignore[arg-type]  # takes its makefile(), and no more
        body: Any = self.fp.raw
        self._body: Body = body
        self._exchange = self._body.exchange

    def begin(self, **_: Any) -> None:  # CPython 3.15's limit, which the exchange knows on every version
        if self.headers is not None:
            return
        try:
            fields = self._exchange.stream.wait_response(self._exchange.timeout)
        except Timeout:
            raise
        except ProtocolError as error:  # not "disconnected", after which xmlrpc.client and others ask again
            raise http.client.HTTPException(f"the response can't be understood: {error}") from error
        except HTTP2Error as error:
            raise http.client.RemoteDisconnected(f"the connection ended without a response: {error}") from error
        most = self._exchange.max_response_headers
        if most is not None and len(fields.pairs()) - 1 > most:  # one is :status
            self._exchange.stream.close(ErrorCode.CANCEL)
            raise http.client.HTTPException(f"got more than {most} headers")
        self._exchange.response = weakref.ref(self)
        self.code = self.status = int(fields[":status"])
        self.reason = http.client.responses.get(self.status, "")
        self.version = 20
        self.headers = self.msg = http1_message(field for field in fields.pairs() if field[0] != ":status")
        self.chunked = self.will_close = False
        if self.debuglevel > 0:
            print("reply:", repr(f"HTTP/2 {self.status}"))
            for name, value in self.headers.items():
                print("header:", name + ":", value)
        announced = fields.get("content-length", "")
        self.length = int(announced) if announced.isdigit() else None
        if self._method == "HEAD" or self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED):
            self.length = 0

    def read(self, amt: int | None = None) -> bytes:
        try:
            data = super().read(amt)
        except http.client.IncompleteRead as error:
            error.__cause__ = self._body.error
            raise
        return self._unless_cut(data, all_wanted=amt is None or amt < 0)

    def read1(self, n: int = -1) -> bytes:
        return self._unless_cut(super().read1(n))

    def readline(self, limit: int = -1) -> bytes:  # type: ignore[override]  # named as http.client's
        return self._unless_cut(super().readline(limit))

    def readinto(self, b: WriteableBuffer) -> int:
        count = super().readinto(b)
        if not count:
            self._unless_cut(b"")
        return count

    def _safe_read(self, amt: int) -> bytes:
        """A piece at a time: `http.client` makes room for as much as the server has announced."""
        pieces: list[bytes] = []
        left = amt
        while left:
            piece = self.fp.read(min(left, _PIECE))
            if not piece:
                raise http.client.IncompleteRead(b"".join(pieces), left)
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _unless_cut(self, data: bytes, *, all_wanted: bool = False) -> bytes:
        """A body that was cut never looks whole: what came of it is returned first, unless all of it was wanted."""
        error = self._body.error
        if error is not None and (all_wanted or not data):
            raise http.client.IncompleteRead(data, self.length) from error
        return data

    def fileno(self) -> int:
        raise io.UnsupportedOperation("the response is a stream of a session, and has no descriptor")

    def _close_conn(self) -> None:
        super()._close_conn()  # type: ignore[misc]  # not in typeshed
        if self.headers is not None:
            self._exchange.release(self._body.ended or self.length == 0)

    def __del__(self) -> None:
        """In place of IOBase's own, which calls `close`: a finalizer takes no lock. The dropped stream is reset."""


class HTTP2Connection(http.client.HTTPConnection):
    """An `http.client.HTTPSConnection` whose requests go over one HTTP/2 session.

    `context` is an `ssl.SSLContext`, which gets ALPN set; by default certifi's authorities are trusted. `h2c` means
    cleartext with prior knowledge. `timeout` is in seconds, for connecting and for each time without progress. A
    response with more fields than `max_response_headers` is refused; None is the session's own limit of octets. What
    is different from HTTP/1.1: `response.version` is 20, `reason` is the status code's usual one, and
    `Transfer-Encoding: chunked` only says that a body follows (chunks that the caller frames are unframed). When the
    session has ended, or the server takes no more requests, the next request opens another unless `auto_open` is
    false.

    Failures are `http.client`'s exceptions, `OSError` and `TimeoutError`, with this package's error as `__cause__` or
    by being it: `RemoteDisconnected` when no response came, `IncompleteRead` for a body that was cut, `ssl.SSLError`
    for TLS, `UnknownProtocol` when the server does not choose HTTP/2, `HTTPException` for a response that can't be
    understood.
    """

    response_class = HTTP2Response
    sock: Any

    # HTTPConnection's own, which typeshed does not know
    _buffer: list[bytes]
    _method: str
    _read_readable: Callable[[Any], Iterable[bytes]]
    _tunnel_host: str | None
    _tunnel_port: int

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        timeout: float | None = _DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
        context: ssl.SSLContext | None = None,
        h2c: bool = False,
        blocksize: int = 8192,
        max_response_headers: int | None = None,
    ) -> None:
        if h2c and context is not None:
            raise InvalidArgument("h2c is cleartext, and has no use for a context")
        self._h2c = h2c
        self._context = context
        self.default_port = http.client.HTTP_PORT if h2c else http.client.HTTPS_PORT
        super().__init__(host, port, timeout, source_address, blocksize)
        self.max_response_headers = max_response_headers

    def _get_hostport(self, host: str, port: int | None) -> tuple[str, int]:
        """With the name in IDNA 2008: `http.client` would make another name of it."""
        name, number = super()._get_hostport(host, port)  # type: ignore[misc]  # not in typeshed
        try:
            return encode_host(name), number
        except InvalidArgument as error:
            raise http.client.InvalidURL(str(error)) from error

    def set_tunnel(self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        for name, value in (headers or {}).items():
            check_field(name, value)
        super().set_tunnel(host, port, headers)

    def connect(self) -> None:
        """Open the connection: TCP, the tunnel if there is one, TLS, and the session."""
        super().connect()
        plain: socket.socket = self.sock
        self.sock = None
        timeout = self._seconds
        if self._context is None and not self._h2c:
            self._context = client_context()
        host, port = (self._tunnel_host, self._tunnel_port) if self._tunnel_host else (self.host, self.port)
        authority = f"{'http' if self._h2c else 'https'}://{in_url(host)}:{port}"
        try:
            with errors_of_http_client():
                session = connect(
                    authority, sock=plain, context=self._context, timeout=timeout, settings={"enable_push": False}
                )
        except BaseException:
            plain.close()
            raise
        self.sock = SessionSocket(session, timeout)

    def close(self) -> None:
        """Close the session, and give up the request or response that is under way."""
        self._buffer.clear()  # the lines of a request that was begun would be the next one's
        super().close()

    def _tunnel(self) -> None:
        deadline = Deadline(self._seconds)

        def response_class(sock: socket.socket, *, method: str | None = None) -> ProxyResponse:
            response = ProxyResponse(sock, method=method)
            response.incoming.deadline = deadline
            return response

        self.response_class = response_class  # type: ignore[assignment]  # a function in place of a class
        try:
            super()._tunnel()  # type: ignore[misc]  # not in typeshed
        finally:
            del self.response_class

    @property
    def _seconds(self) -> float | None:
        return socket.getdefaulttimeout() if self.timeout is _DEFAULT_TIMEOUT else self.timeout

    def _send_output(self, message_body: Any = None, encode_chunked: bool = False) -> None:
        """Open a stream with the lines of the buffer, and send the body. Called by `endheaders`."""
        request_line, *lines = self._buffer
        self._buffer.clear()
        head = b"\r\n".join([request_line, *lines, b"", b""])
        if self.debuglevel > 0:
            print("send:", repr(head))
        sys.audit("http.client.send", self, head)
        message = http1_message(_fields(lines))
        headers = http2_headers(message)
        target = request_line.decode("ascii")[len(self._method) + 1 : -len(" HTTP/1.1")]
        _address(headers, self._method, target)
        if self._tunnel_host:
            headers.pop("proxy-authorization", None)  # the proxy does not see what goes through its tunnel
        chunked = is_chunked(message)
        if chunked:
            headers.pop("content-length", None)
        announced = headers.get("content-length", "")
        length = int(announced) if announced.isdigit() else None
        has_body = chunked or message_body is not None if length is None else length > 0

        stream = self._open_stream(headers, end_stream=not has_body)
        framed_by_caller = chunked and not (encode_chunked and message_body is not None)
        exchange = Exchange(self.sock, stream, length, ChunkedBody() if framed_by_caller else None)
        self.sock.exchange = exchange
        if message_body is not None:
            for piece in self._pieces(message_body):
                if piece:
                    self.send(piece)
            if has_body and length is None and not framed_by_caller:
                exchange.end()
            exchange.check_chunks(whole=True)

    def getresponse(self) -> Any:
        """Wait for the response's head. Raises InvalidArgument if the body's chunks break off."""
        exchange: Exchange | None = None if self.sock is None else self.sock.exchange
        if exchange is not None:
            exchange.max_response_headers = self.max_response_headers
            if exchange.stream.response_headers is None:
                exchange.check_chunks()
        return super().getresponse()

    def _open_stream(self, headers: Headers, *, end_stream: bool) -> ClientStream:
        """A stream of the open session; of a new one when that has ended, or does so in this very moment. No second new
        one: it would end as the first did.
        """
        is_new = False
        while True:
            self._leave_ended_session()
            if self.sock is None:
                if not self.auto_open:
                    raise http.client.NotConnected
                self.connect()
                is_new = True
            try:
                with errors_of_http_client():
                    sock: SessionSocket = self.sock
                    return sock.session.request(headers, end_stream=end_stream, timeout=sock.gettimeout())
            except ConnectionError as error:
                cause = error if isinstance(error, HTTP2Error) else error.__cause__
                if is_new or cause is None or not is_unprocessed(cause):
                    raise
                self._disconnect()

    def _leave_ended_session(self) -> None:
        try:
            if self.sock is not None and self.sock.session.closed:
                self._disconnect()
        except SessionClosed:  # a forked child has no part in it
            self.sock = None

    def _disconnect(self) -> None:
        """As `close`, but a response that is being read goes on, and the request that is begun too."""
        self.sock.close()
        self.sock = None

    def _pieces(self, body: Any) -> Iterable[Any]:
        if hasattr(body, "read"):
            return self._read_readable(body)
        try:
            memoryview(body)
        except TypeError:
            if isinstance(body, Iterable):
                return body
            raise TypeError(f"a body is bytes-like, a file or an iterable, not {type(body).__name__}") from None
        return (body,)


def _fields(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.decode("latin-1").partition(": ")
        yield name, value


def _address(headers: Headers, method: str, target: str) -> None:
    """Set the pseudo-header fields that say what is asked of whom (RFC 9113 section 8.3.1)."""
    headers[":method"] = method
    authority = headers.pop("host", None)
    if method == "CONNECT":
        headers[":authority"] = target
        return
    if target.lower().startswith(("http://", "https://")):
        parts = urlsplit(target)
        headers[":scheme"] = parts.scheme
        authority = authority or parts.netloc
        target = target[len(f"{parts.scheme}://{parts.netloc}") :]
        target = target if target.startswith("/") else f"/{target}"
    headers[":path"] = target
    if authority:
        headers[":authority"] = authority
