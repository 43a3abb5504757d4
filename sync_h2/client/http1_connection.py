"""HTTP/1.1, for servers that have nothing else: the standard library's `http.client` on a socket that is connected.

One exchange at a time, on the thread that makes the request, then on the one that reads the body.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
import socket
from collections.abc import Iterator
from typing import Any

from .. import errors
from ..exceptions import ChunkedEncodingError, ReadTimeout, WriteTimeout
from ..transport.blocking_tls import BlockingTLSConnection
from .exchange import CONNECTION_FIELDS, Call, Ending, Fields

BROKEN = (OSError, http.client.HTTPException, errors.HTTP2Error)
"""What an exchange over HTTP/1.1 can fail with."""


class TLSSocket:
    """A TLS connection with as much of a socket's interface as `http.client` and `socket.SocketIO` use."""

    def __init__(self, connection: BlockingTLSConnection) -> None:
        self._connection = connection
        self._timeout: float | None = None
        self._files = 0
        self._closed = False

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendall(self, data: Any) -> None:
        self._connection.sendall(data, self._timeout)

    def recv_into(self, buffer: Any) -> int:
        data = self._connection.recv(len(buffer), self._timeout)
        buffer[: len(data)] = data
        return len(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._files += 1
        return io.BufferedReader(socket.SocketIO(self, "r"))  # type: ignore[arg-type]

    def fileno(self) -> int:
        return self._connection.fileno()

    def getpeername(self) -> Any:
        return self._connection.getpeername()

    def close(self) -> None:
        """Close it once its files are closed, as a socket does."""
        self._closed = True
        if self._files == 0:
            self._connection.close()

    def _decref_socketios(self) -> None:
        self._files -= 1
        if self._closed:
            self.close()


class _Response(http.client.HTTPResponse):
    """With the responses before the final one, and the trailers, which `http.client` reads and drops."""

    informational: list[tuple[int, Fields]]
    trailer_fields: Fields

    def begin(self) -> None:
        self.informational = []
        self.trailer_fields = []
        super().begin()

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            self.informational.append((status, _fields(http.client.parse_headers(self.fp))))

    def _read_and_discard_trailer(self) -> None:
        self.trailer_fields = _fields(http.client.parse_headers(self.fp))


class HTTP1Connection:
    """A connection to a server, or to a proxy that is told whole URLs (`through_proxy`)."""

    session = None

    def __init__(self, sock: socket.socket | TLSSocket, host: str, *, proxy_fields: Fields | None = None) -> None:
        self._sock = sock
        self._proxy_fields = proxy_fields  # None: no such proxy
        self._connection = http.client.HTTPConnection(host)
        self._connection.response_class = _Response
        self._connection.auto_open = 0
        self._connection.sock = sock
        self.idle_since = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether an idle connection can be used: the server has neither closed it nor said anything."""
        poll = select.poll()
        try:
            poll.register(self._sock.fileno(), select.POLLIN)
        except ValueError:
            return False
        return not poll.poll(0)

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._connection.close()

    def send(self, call: Call, ending: Ending) -> HTTP1Answer:
        """Make the request and wait for the response's head; `ending` is told when the body has been read.

        Raises `WriteTimeout`, `ReadTimeout`, and what is in `BROKEN`. After an exception the connection is closed.
        """
        try:
            self._sock.settimeout(call.timeouts.write)
            sending_failed = self._send_request(call)
            self._sock.settimeout(call.timeouts.read)
            try:
                response = self._connection.getresponse()
            except TimeoutError as error:
                raise ReadTimeout(
                    f"{call.url}: no response within {call.timeouts.read} s", request=call.request
                ) from error
            except BROKEN as error:
                raise error from sending_failed
        except BaseException:
            self.close()
            raise
        assert isinstance(response, _Response)
        reusable = sending_failed is None and not response.will_close
        return HTTP1Answer(response, call, self, reusable, ending)

    def _send_request(self, call: Call) -> OSError | None:
        """Send it; what failed if the server stopped reading, which may be since it has answered."""
        connection = self._connection
        target = call.target
        if self._proxy_fields is not None:
            target = f"{call.origin}{target}"
        connection.putrequest(call.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", call.host)
        for name, value in [*(self._proxy_fields or ()), *call.headers]:
            if name.lower() not in CONNECTION_FIELDS and name.lower() != "host":
                connection.putheader(name, value)
        body, chunked = call.body, False
        if body is not None:
            if body.length is None:
                connection.putheader("Transfer-Encoding", "chunked")
                chunked = True
            elif not any(name.lower() == "content-length" for name, _ in call.headers):
                connection.putheader("Content-Length", str(body.length))
        try:
            connection.endheaders(None if body is None else _not_empty(call.chunks()), encode_chunked=chunked)
        except TimeoutError as error:
            raise WriteTimeout(
                f"{call.url}: the server took nothing of the request for {call.timeouts.write} s", request=call.request
            ) from error
        except (OSError, errors.ConnectionLost) as error:
            if isinstance(error, (BrokenPipeError, ConnectionResetError, errors.ConnectionLost)) and body is not None:
                connection._HTTPConnection__state = http.client._CS_REQ_SENT  # type: ignore[attr-defined]
                return error
            raise
        return None


class HTTP1Answer:
    """A response over HTTP/1.1."""

    session = None
    pushes: list[Any] = []  # noqa: RUF012 - HTTP/1.1 has none

    def __init__(
        self,
        response: _Response,
        call: Call,
        connection: HTTP1Connection,
        reusable: bool,
        ending: Ending,
    ) -> None:
        self._response = response
        self._call = call
        self._connection = connection
        self._reusable = reusable
        self._ending = ending
        self.status = response.status
        self.reason = response.reason
        self.http_version = "HTTP/1.0" if response.version == 10 else "HTTP/1.1"
        self.headers = _fields(response.msg)
        self.informational = response.informational
        if response.isclosed():  # it has no body
            self._finish(reusable)

    @property
    def trailers(self) -> Fields:
        return self._response.trailer_fields

    def read(self, size: int = -1) -> bytes:
        response = self._response
        if response.isclosed():
            return b""
        try:
            data = response.read() if size < 0 else response.read1(size)
            if not data and size and response.length:
                raise http.client.IncompleteRead(data, response.length)
        except TimeoutError as error:
            self._finish(False)
            raise ReadTimeout(
                f"{self._call.url}: nothing of the body came for {self._call.timeouts.read} s",
                request=self._call.request,
                processed=True,
            ) from error
        except (*BROKEN, ValueError) as error:
            self._finish(False)
            raise ChunkedEncodingError(
                f"{self._call.url}: the body broke off: {error}", request=self._call.request, processed=True
            ) from error
        if not data or response.isclosed() or response.length == 0:
            response.close()
            self._finish(self._reusable)
        return data

    def close(self) -> None:
        whole = self._response.isclosed()
        self._response.close()
        self._finish(whole and self._reusable)

    def _finish(self, reusable: bool) -> None:
        self._ending.end(reusable=reusable)


def _not_empty(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """An empty chunk would be the last one."""
    return (chunk for chunk in chunks if chunk)


def _fields(message: http.client.HTTPMessage) -> Fields:
    return [(name.lower(), value) for name, value in message.items()]
