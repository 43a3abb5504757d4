"""`stream.rfile` and `stream.wfile`: real file objects over a stream's two directions, for whatever takes a file.

They hold their stream. They block as the stream's own calls do, with the session's default timeouts.
"""

from __future__ import annotations

import functools
import gc
import io
import threading
from typing import TYPE_CHECKING, Any, Protocol

from ...interpreter import SharedDict
from ..shared.timers import timers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


# Whether the calling thread collects garbage: a buffer that is part of it calls `close()` like anybody else. The
# collector calls these with its phase and a dict of what it did; all are C's, for an interrupt that strikes a callback
# in Python would be lost.
_latest: dict[str, dict[str, int]] = SharedDict({})  # by phase, of which the last one is the latest
_own = threading.local()
gc.callbacks += [_latest.pop, _latest.__setitem__, functools.partial(setattr, _own)]


def _collecting() -> bool:
    return _latest_phase() == "start" and getattr(_own, "start", _own) is _latest.get("start")


def _latest_phase() -> str:
    while _latest:
        try:
            for phase in reversed(_latest):
                return phase
        except RuntimeError:  # as when there is none: another thread has begun or ended a collection meanwhile
            continue
    return ""


class ReadFrom(Protocol):
    """What a reader reads: a stream."""

    def read(self, n: int | None = -1) -> bytes: ...

    def readinto(self, buffer: WriteableBuffer) -> int: ...

    def readline(self, limit: int | None = -1) -> bytes: ...


class WrittenTo(Protocol):
    """What a writer writes: a stream."""

    def write(self, data: ReadableBuffer) -> int: ...

    def end(self) -> None: ...

    def _cancel(self) -> None: ...


class StreamReader(io.RawIOBase):
    """The incoming body. Closing it leaves the stream alone."""

    if TYPE_CHECKING:  # typeshed wants one of what a TextIOWrapper is made of; as a BytesIO, it has none
        name: Any

    def __init__(self, stream: ReadFrom) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        raise io.UnsupportedOperation("not writable: use the stream's wfile")

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes as soon as there are any, `b""` at the end; all of them for -1 or None. It blocks, and
        never gives None, as raw files that don't block do.
        """
        self._checkClosed()
        return self._stream.read(size)

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._checkClosed()
        return self._stream.readinto(buffer)

    def readall(self) -> bytes:
        self._checkClosed()
        return self._stream.read(-1)

    def readline(self, size: int | None = -1) -> bytes:  # RawIOBase's own reads byte by byte
        self._checkClosed()
        return self._stream.readline(-1 if size is None else size)

    def _checkClosed(self) -> None:
        if self.closed:
            raise ValueError("read of a closed file")


class StreamWriter(io.RawIOBase):
    """The outgoing body. `close()` and leaving a `with` block without an exception end it; being collected does not."""

    if TYPE_CHECKING:
        name: Any

        def read(self, size: int | None = -1, /) -> bytes: ...  # typeshed wants it of a TextIOWrapper's file, too

    def __init__(self, stream: WrittenTo) -> None:
        self._stream = stream
        self._collected = False

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        raise io.UnsupportedOperation("not readable: use the stream's rfile")

    def write(self, data: ReadableBuffer) -> int:
        if self.closed:
            raise ValueError("write to a closed file")
        if self._is_finalized():  # a buffer around this file flushes in its finalizer, where nothing may block
            return memoryview(data).nbytes
        return self._stream.write(data)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._is_finalized():
            timers.run(self._stream._cancel)
        else:
            self._end_body()

    def _end_body(self) -> None:
        self._stream.end()

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            # What was written is not all: it must not look whole.
            super().close()
            self._stream._cancel()
        self.close()

    def __del__(self) -> None:
        """In place of IOBase's own, which would call close(), and so end the body with whatever was written so far."""
        self._collected = True  # for a buffer around this file, collected with it, which may call close() yet

    def _is_finalized(self) -> bool:
        return self._collected or _collecting()

    def _dealloc_warn(self, source: object) -> None:
        # How BufferedWriter and TextIOWrapper say that the close() that follows is a finalizer's.
        self._collected = True
