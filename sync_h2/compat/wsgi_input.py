"""`wsgi.input`: a request's body, as it comes, or all of it.

Most frameworks (Django, Bottle, Falcon, whatever runs over a2wsgi) read no further than CONTENT_LENGTH says, and not at
all without. HTTP/2 needs none, and HTTP/1.1 has chunks. So a body that comes without a length is received before the
application is called: into memory, and what is long into a file that has no name.

Runs on the handler's thread, which waits for the client meanwhile; what requests share has a lock of its own.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any

from ..connection.server_side.server_stream import ServerStream
from ..errors import HTTP2Error, InvalidArgument, Timeout
from ..interpreter import Lock
from ..transport.log import Log

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

logger = Log("sync_h2.wsgi")

MAX_BUFFERED_BODY = 64 * 1024 * 1024
"""Octets of one body that comes without a length, unless an option says otherwise."""

_MOST_TOGETHER = 16  # times that, of all that one application's requests have in files
_BUFFER_SIZE = 64 * 1024


class _Body(io.RawIOBase):
    """The request's body, whose errors are `OSError`, as applications expect them of a file."""

    def __init__(self, stream: ServerStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        with _file_errors():
            return self._stream.readinto(buffer)

    def readall(self) -> bytes:
        with _file_errors():
            return self._stream.read()


@contextlib.contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except HTTP2Error as error:
        if isinstance(error, OSError):  # Timeout, ConnectionLost
            raise
        raise ConnectionResetError(str(error)) from error


def request_input(stream: ServerStream) -> io.BufferedIOBase:
    """`wsgi.input`: a binary file; `read(size)` waits for so many bytes, or the body's end."""
    if stream.end_after_headers:
        return io.BytesIO()
    return io.BufferedReader(_Body(stream), _BUFFER_SIZE)


class Unacceptable(Exception):
    """There is no room for a body, or it does not come; `status` is what to answer."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class BodyBuffers:
    """Room for bodies of one application's requests: `max_body` octets for each; with 0 they are left as they come.
    Files are made in `folder`, by default where the system has temporary ones.
    """

    def __init__(self, max_body: int = MAX_BUFFERED_BODY, folder: str | None = None) -> None:
        if not isinstance(max_body, int) or isinstance(max_body, bool) or max_body < 0:
            raise InvalidArgument(f"max_buffered_body must be a number of octets, not {max_body!r}")
        self._max_body = max_body
        self._folder = folder
        self._lock = Lock()
        self._in_files = 0

    @contextlib.contextmanager
    def receiving(self, environ: dict[str, Any], stream: ServerStream) -> Iterator[None]:
        """See to it that a body has a CONTENT_LENGTH while the application runs. Blocks until all of it has come.

        Raises `Unacceptable`, and the stream's errors.
        """
        if not self._max_body or "CONTENT_LENGTH" in environ or stream.end_after_headers:
            yield
            return
        start = _in_time(stream._read_exactly, min(_BUFFER_SIZE, self._max_body + 1))
        if len(start) < _BUFFER_SIZE and len(start) <= self._max_body:
            _give(environ, io.BytesIO(start), len(start))
            yield
            return
        size = 0
        with tempfile.TemporaryFile(dir=self._folder) as file:
            try:
                piece = start
                while piece:
                    self._reserve(len(piece), size)
                    size += len(piece)
                    file.write(piece)
                    piece = _in_time(stream.read, _BUFFER_SIZE)
                file.seek(0)
                _give(environ, file, size)
                yield
            finally:
                with self._lock:
                    self._in_files -= size

    def _reserve(self, count: int, size: int) -> None:
        """Room for `count` octets more of a body that has `size`."""
        if size + count > self._max_body:
            logger.warning(
                "a body without a length has more than max_buffered_body allows, %d bytes: 413", self._max_body
            )
            raise Unacceptable("413 Content Too Large")
        with self._lock:
            fits = self._in_files + count <= self._max_body * _MOST_TOGETHER
            if fits:
                self._in_files += count
        if not fits:
            logger.warning(
                "bodies without a length have together %d times what max_buffered_body allows, %d bytes: 503",
                _MOST_TOGETHER,
                self._max_body,
            )
            raise Unacceptable("503 Service Unavailable")


def _in_time(read: Callable[[int, float | None], bytes], count: int) -> bytes:
    try:
        return read(count, None)
    except Timeout as error:
        raise Unacceptable("408 Request Timeout") from error


def _give(environ: dict[str, Any], file: IO[bytes], length: int) -> None:
    environ["wsgi.input"] = file
    environ["CONTENT_LENGTH"] = str(length)
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # there is a length in its place
