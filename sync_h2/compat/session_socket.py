"""What `HTTP2Connection.sock` is: a session in the place of a socket, and the request that it carries.

One thread at a time uses it, that of the connection or of the response; `shutdown` is for any thread.
"""

from __future__ import annotations

import http.client
import io
import ssl
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..connection.client_side.client_session import ClientSession
from ..connection.client_side.client_stream import ClientStream
from ..constants import ErrorCode
from ..errors import ALPNError, HTTP2Error, InvalidArgument, InvalidState, ProtocolError, StreamReset, Timeout, TLSError
from .http1_text import ChunkedBody

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_PIECE = 256 * 1024  # bytes that reading a whole body asks for at a time


class SessionSocket:
    """What `HTTP2Connection.sock` is: `session.socket`, which sends the body of the request that is under way, and can
    be closed.
    """

    def __init__(self, session: ClientSession, timeout: float | None) -> None:
        self.session = session
        self.exchange: Exchange | None = None
        self.finishing: ClientStream | None = None
        """One whose response has been read up to its length, and that the server has still to end."""
        self._timeout = timeout
        self._closed = False

    def sendall(self, data: ReadableBuffer) -> None:
        if self.exchange is None:
            raise http.client.ImproperConnectionState("nothing can be sent before putrequest() and endheaders()")
        self.exchange.send(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The body of the response to the last request."""
        if self.exchange is None:
            raise http.client.ResponseNotReady("no request has been sent")
        return io.BufferedReader(Body(self.exchange))

    def settimeout(self, value: float | None) -> None:
        """Seconds that each wait of the connection and its responses may take without progress."""
        self._timeout = value

    def gettimeout(self) -> float | None:
        return self._timeout

    def shutdown(self, how: int) -> None:
        """End the session at once, whoever uses it."""
        self.session.destroy()

    def close(self) -> None:
        """End the session, after the response that is being read."""
        self._closed = True
        self.end_if_unused()

    def end_if_unused(self) -> None:
        if not self._closed or (self.exchange is not None and self.exchange.is_being_read):
            return
        if self.finishing is not None:
            self.finishing.close(ErrorCode.CANCEL)
        if self.exchange is not None:
            self.exchange.stream.close(ErrorCode.CANCEL)
        self.finishing = self.exchange = None
        self.session.close(wait=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session.socket, name)


class Exchange:
    """A request and its response: a stream, and what is known of the request's body."""

    def __init__(
        self, sock: SessionSocket, stream: ClientStream, length: int | None, chunks: ChunkedBody | None
    ) -> None:
        self.stream = stream
        self.response: weakref.ref[http.client.HTTPResponse] | None = None
        self.max_response_headers: int | None = None
        self._sock = sock
        self._left = length
        self._chunks = chunks
        self._declined = False

    @property
    def timeout(self) -> float | None:
        return self._sock.gettimeout()

    @property
    def is_being_read(self) -> bool:
        response = None if self.response is None else self.response()
        return response is not None and not response.isclosed()

    def send(self, data: ReadableBuffer) -> None:
        if self._chunks is not None:
            content = self._chunks.feed(data)
            if self._chunks.ended and self._chunks.trailers():
                raise InvalidArgument("trailers behind the last chunk can't be sent", stream_id=self.stream.id)
            self._write(content, ends=self._chunks.ended)
            return
        if self._left is not None:
            self._left -= memoryview(data).nbytes
        self._write(data, ends=self._left == 0)

    def end(self) -> None:
        self._write(b"", ends=True)

    def check_chunks(self, *, whole: bool = False) -> None:
        """Raises InvalidArgument for a body that breaks off, or, if that was the `whole` of it, has no last chunk: the
        server would wait for the rest.
        """
        chunks = self._chunks
        if chunks is None or chunks.ended or not (whole or chunks.in_the_middle):
            return
        self.stream.close(ErrorCode.CANCEL)
        raise InvalidArgument(
            "transfer-encoding is chunked, but the body is not in chunks that end with one of size 0: "
            "frame it so, give encode_chunked=True, or leave the field out",
            stream_id=self.stream.id,
        )

    def _write(self, data: ReadableBuffer, *, ends: bool) -> None:
        if self._declined:
            return
        with errors_of_http_client():
            try:
                if ends:
                    self.stream.end(data, self.timeout)
                else:
                    self.stream.write(data, self.timeout)
            except StreamReset as error:
                if error.code != ErrorCode.NO_ERROR:
                    raise
                self._declined = True  # answered before all was sent (RFC 9113 section 8.1): the answer can be read

    def release(self, is_complete: bool) -> None:
        """Nobody reads the response any more; `is_complete`: for all of it has been read."""
        sock = self._sock
        if not is_complete:
            self.stream.close(ErrorCode.CANCEL)
        elif not self.stream.closed:
            # Its END_STREAM comes by itself, in an empty frame or with trailers. No more than one waits for that.
            if sock.finishing is not None:
                sock.finishing.close(ErrorCode.CANCEL)
            sock.finishing = self.stream
        sock.end_if_unused()


class Body(io.RawIOBase):
    """A response's body. A failure ends it, and is kept: buffers drop what they have read when a read raises."""

    def __init__(self, exchange: Exchange) -> None:
        self.error: HTTP2Error | None = None
        self.ended = False
        self.exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self.error is not None:
            return 0
        try:
            count = self.exchange.stream.readinto(buffer, self.exchange.timeout)
        except Timeout:
            raise
        except HTTP2Error as error:
            self.error = error
            return 0
        self.ended = not count and bool(memoryview(buffer).nbytes)
        return count

    def readall(self) -> bytes:
        pieces = []
        while piece := self.read(_PIECE):
            pieces.append(piece)
        return b"".join(pieces)


@contextmanager
def errors_of_http_client() -> Iterator[None]:
    """This package's errors as those that code written for `http.client` catches."""
    try:
        yield
    except (OSError, ValueError):
        raise  # Timeout, ConnectionLost and InvalidArgument are these already
    except ALPNError as error:
        raise http.client.UnknownProtocol(str(error)) from error
    except TLSError as error:
        cause = error.__cause__
        if not isinstance(cause, ssl.SSLError):
            raise ssl.SSLError(str(error)) from error
        failure = type(cause)(*cause.args)
        failure.__dict__.update(cause.__dict__)  # library, reason, verify_message…
        raise failure from error
    except InvalidState as error:
        raise http.client.ImproperConnectionState(str(error)) from error
    except ProtocolError as error:  # not "disconnected", after which xmlrpc.client and others ask again
        raise http.client.HTTPException(f"the response can't be understood: {error}") from error
    except HTTP2Error as error:
        raise ConnectionResetError(str(error)) from error
