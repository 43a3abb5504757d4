"""A request as HTTP/1 code knows it (Node's `Http2ServerRequest`), over a stream of either version of HTTP.

It is a view of its stream: it has nothing to guard, and may be used by any thread, as the stream may. `request`
listeners get it on the handler pool.
"""

from __future__ import annotations

import io
import operator
from typing import TYPE_CHECKING

from ...connection.server_side.server_stream import ServerStream
from ...connection.stream.reading import CHUNK
from ...errors import InvalidArgument
from ...protocol.fields.headers import Headers
from ...protocol.fields.sensitive import printable
from .message import StreamMessage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ServerRequest(StreamMessage, io.BufferedIOBase):
    """The request, and a file with its body.

    As a file it is what `socketserver`'s buffered `rfile` is: `read(n)` waits for `n` bytes or the end, `read1(n)` for
    any; iteration gives lines. All of them block, with `timeout` as the stream's own calls have it, and raise what
    those raise. Closing it leaves the stream alone.
    """

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream
        self._headers = stream.request_headers
        self._method: str | None = None
        self._path: str | None = None

    # -- the message

    @property
    def headers(self) -> Headers:
        """The request's headers, its pseudo-header fields among them."""
        return self._headers

    @property
    def raw_headers(self) -> list[tuple[str, str]]:
        """Every field as (name, value), in the order in which they came (Node's list is flat)."""
        return self._headers.pairs()

    @property
    def trailers(self) -> Headers:
        """The trailers; empty until the body was read to its end, and when there are none."""
        return self._stream.trailers or Headers()

    @property
    def raw_trailers(self) -> list[tuple[str, str]]:
        """Every trailer as (name, value), in the order in which they came."""
        return self.trailers.pairs()

    @property
    def method(self) -> str:
        """`GET`, `POST`… It can be set, for what rewrites requests before others handle them."""
        return str(self._headers.get(":method", "")) if self._method is None else self._method

    @method.setter
    def method(self, method: str) -> None:
        if not isinstance(method, str):
            raise TypeError(f"a method must be a str, not {type(method).__name__}")
        if not method.strip():
            raise InvalidArgument("a method can't be empty")
        self._method = method

    @property
    def path(self) -> str:
        """The path with its query, `/search?q=1`; empty for CONNECT. It can be set, as `method` can."""
        return str(self._headers.get(":path", "")) if self._path is None else self._path

    @path.setter
    def path(self, path: str) -> None:
        if not isinstance(path, str):
            raise TypeError(f"a path must be a str, not {type(path).__name__}")
        self._path = path

    @property
    def url(self) -> str:
        """`path`, as Node calls it."""
        return self.path

    @url.setter
    def url(self, url: str) -> None:
        self.path = url

    @property
    def scheme(self) -> str:
        """`http` or `https`; empty for CONNECT."""
        return str(self._headers.get(":scheme", ""))

    @property
    def authority(self) -> str:
        """Whom the request is for, `host` or `host:port`: `:authority`, or the field `host`."""
        return str(self._headers.get(":authority", self._headers.get("host", "")))

    @property
    def http_version(self) -> str:
        """`"2.0"`, or what the connection speaks."""
        return self._stream.http_version

    @property
    def http_version_major(self) -> int:
        """The first number of `http_version`: 2."""
        return int(self.http_version.partition(".")[0])

    @property
    def http_version_minor(self) -> int:
        """The second number of `http_version`: 0."""
        return int(self.http_version.partition(".")[2])

    @property
    def aborted(self) -> bool:
        """True when either end closed the stream before the response had ended."""
        return self._stream.aborted

    @property
    def complete(self) -> bool:
        """True when all of the request has come, or no more of it can come."""
        return self._stream.end_after_headers or self._stream.state.remote_close

    # -- the body

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """`size` bytes of the body, fewer only at its end; all of it for -1 or None. What came before an error can
        still be read with `read1`, except for -1: then the error's `partial` has it.
        """
        self._check_open()
        if size is None or size < 0:
            return self._stream.read(-1, timeout)
        return self._stream._read_exactly(operator.index(size), timeout)

    def read1(self, size: int = -1, timeout: float | None = None) -> bytes:
        """Up to `size` bytes (-1: 64 KiB) as soon as there are any; `b""` at the end."""
        self._check_open()
        return self._stream.read(CHUNK if size < 0 else size, timeout)

    def readinto(self, buffer: WriteableBuffer, timeout: float | None = None) -> int:
        """Read up to `len(buffer)` bytes into `buffer` as soon as there are any; 0 at the end."""
        self._check_open()
        return self._stream.readinto(buffer, timeout)

    def readinto1(self, buffer: WriteableBuffer, timeout: float | None = None) -> int:
        """As `readinto`."""
        return self.readinto(buffer, timeout)

    def readline(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """One line with its line feed, at most `size` bytes of it."""
        self._check_open()
        return self._stream.readline(size, timeout)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("read of a closed file")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {printable(self.path)} of {self._stream!r}>"
