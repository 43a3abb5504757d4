"""A response's body as a file, as it came or with its content codings taken off: what `response.raw` is, with the names
that urllib3's responses have.

It is read by whoever asks for it; one thread at a time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from ...exceptions import ContentDecodingError
from ...interpreter import SharedDict
from ..values.fields import length_of
from ..values.structures import ResponseHeaders
from .answer import Answer
from .decoding import Decoding, codings_of
from .progress import Progress

_CHUNK = 64 * 1024
_VERSIONS = SharedDict({"HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20})


class _TooMuch(Exception):
    """More has come than is wanted."""


class RawResponse(io.BufferedIOBase):
    """The body of `answer`. `decode_content` says whether reading takes its content-encoding off, where a call does not
    say it; `report` is called with the octets that have come, and their total or None.

    `read(n)` waits for `n` octets, `read1(n)` and `stream(n)` for any. It counts as closed when all has been read,
    unless `auto_close` is false, as `io.TextIOWrapper` needs it. Reading raises as `Response.content` does, and
    StreamConsumedError behind a `close()` that came before the end.
    """

    def __init__(self, answer: Answer, *, report: Progress | None = None, ended: bool = False) -> None:
        self.decode_content = False
        self.auto_close = True
        self.status = answer.status
        self.reason = answer.reason
        self.version = _VERSIONS.get(answer.http_version, 0)
        self.version_string = answer.http_version
        self.headers = ResponseHeaders(answer.headers)
        self._answer = answer
        self._report = report
        self._received = 0
        self._most: int | None = None  # octets of which more are not wanted
        self._ended = ended
        self._closed = False
        self._data: bytes | None = None
        # What has come and is not read, as it came or decoded.
        self._piece = b""
        self._position = 0
        self._codings = codings_of(self.headers.get("content-encoding", ""))
        self._decoding: Decoding | None = None
        self._decoded: Iterator[bytes] = iter(())
        self._failure: ContentDecodingError | None = None

    # -- reading

    def read(self, amt: int | None = None, decode_content: bool | None = None, cache_content: bool = False) -> bytes:
        """`amt` octets, fewer only at the end, or all. With `cache_content`, `data` has them too."""
        self._choose(decode_content)
        wanted = None if amt is None or amt < 0 else amt
        content = self._gathered(lambda taken: self._taken(None if wanted is None else wanted - taken))
        if cache_content and wanted is None:
            self._data = content
        return content

    def read1(self, amt: int | None = -1, decode_content: bool | None = None) -> bytes:
        """Up to `amt` octets as soon as there are any."""
        self._choose(decode_content)
        return self._taken(None if amt is None or amt < 0 else amt)

    def stream(self, amt: int | None = _CHUNK, decode_content: bool | None = None) -> Iterator[bytes]:
        """The content in pieces of up to `amt` octets, as they come."""
        while piece := self.read1(amt, decode_content):
            yield piece

    def readinto(self, buffer: Any) -> int:
        return _copied(self.read(memoryview(buffer).nbytes), buffer)

    def readinto1(self, buffer: Any) -> int:
        return _copied(self.read1(memoryview(buffer).nbytes), buffer)

    def readline(self, size: int | None = -1) -> bytes:
        self._choose(None)
        return self._line(-1 if size is None else size)

    def __iter__(self) -> Iterator[bytes]:
        """The lines of the content, decoded as urllib3 does it here."""
        self._choose(True)
        return iter(self._line, b"")

    def read_short(self, most: int) -> bytes | None:
        """The rest of the content, decoded; None if more than `most` octets come, or come of them."""
        self._choose(True)
        self._most = most
        content = bytearray()
        try:
            while piece := self._taken(None):
                content += piece
                if len(content) > most:
                    return None
        except _TooMuch:
            return None
        finally:
            self._most = None
        return bytes(content)

    @property
    def data(self) -> bytes:
        """All of it; as often as it is asked for."""
        return self.read(cache_content=True) if self._data is None else self._data

    def tell(self) -> int:
        """How many octets have come."""
        return self._received

    def _line(self, size: int = -1) -> bytes:
        def more(taken: int) -> bytes:
            if taken == size or (taken and self._position and self._piece[self._position - 1] == _LINE_FEED):
                return b""
            if not self._fill():
                return b""
            end = self._piece.find(b"\n", self._position) + 1 or len(self._piece)
            return self._taken(end - self._position if size < 0 else min(end - self._position, size - taken))

        return self._gathered(more)

    def _gathered(self, more: Callable[[int], bytes]) -> bytes:
        """What `more`, told how much there is, gives until that is nothing. After an error nothing is lost."""
        pieces: list[bytes] = []
        taken = 0
        try:
            while piece := more(taken):
                pieces.append(piece)
                taken += len(piece)
        except BaseException:
            self._piece, self._position = b"".join([*pieces, self._piece[self._position :]]), 0
            raise
        return b"".join(pieces)

    def _taken(self, amt: int | None) -> bytes:
        if amt == 0 or not self._fill():
            return b""
        start = self._position
        data = self._piece[start:] if amt is None else self._piece[start : start + amt]
        self._position += len(data)
        return data

    def _fill(self) -> bool:
        """Wait until there is something; False at the end."""
        if self._position == len(self._piece):
            self._piece, self._position = b"", 0
            self._piece = self._next()
        return bool(self._piece)

    def _next(self) -> bytes:
        if self._decoding is None:
            return self._receive()
        if self._failure is not None:
            raise self._failure.again()
        try:
            while not (piece := next(self._decoded, b"")) and not self._ended:
                data = self._receive()
                self._decoded = self._decoding.feed(data) if data else self._decoding.finish()
        except ContentDecodingError as error:
            self._failure = error
            raise
        return piece

    def _receive(self) -> bytes:
        """The next octets; b"" is the end."""
        data = b"" if self._ended else self._answer.read(_CHUNK)
        self._ended = not data
        self._received += len(data)
        if self._most is not None and self._received > self._most:
            raise _TooMuch
        if data and self._report is not None:
            self._report(self._received, length_of(self.headers.get("content-length", "")))
        return data

    def _choose(self, decode_content: bool | None) -> None:
        """Decode from here on, or do not."""
        wanted = self.decode_content if decode_content is None else decode_content
        if not self._codings or wanted == (self._decoding is not None) or self.closed:
            return
        if not wanted:
            raise RuntimeError("what has been read was decoded: decode_content=False comes too late")
        self._decoding = Decoding(self._codings)
        self._decoded = self._decoding.feed(self._piece[self._position :])
        self._piece, self._position = b"", 0

    # -- what else a response of urllib3 has

    @property
    def closed(self) -> bool:
        return self._closed or (self.auto_close and self._ended and self._position == len(self._piece))

    def isclosed(self) -> bool:
        return self.closed

    def readable(self) -> bool:
        return True

    def flush(self) -> None:
        """There is nothing to be flushed, also when it is closed."""

    def drain_conn(self) -> None:
        """Read what is left, and drop it."""
        while self._receive():
            pass
        self._piece, self._position, self._decoded = b"", 0, iter(())

    def release_conn(self) -> None:
        """Give the connection back; the same as `close`."""
        self.close()

    def close(self) -> None:
        """Give up what is unread."""
        if not self._closed:
            self._closed = True
            self._answer.close()

    def __del__(self) -> None:
        """In place of IOBase's own, which calls `close`: a finalizer takes no lock. The dropped stream is reset."""


_LINE_FEED = 10


def _copied(data: bytes, buffer: Any) -> int:
    memoryview(buffer).cast("B")[: len(data)] = data
    return len(data)
