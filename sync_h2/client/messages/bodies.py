"""Request bodies: what may be sent, how long it is, and whether it can be sent once more.

A body is read by the thread that makes the request, a piece at a time; none is held in memory that was not there.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence, Set
from typing import Any

from ...arguments import type_name
from ...exceptions import UnrewindableBodyError
from ...file_size import size_of

PIECE = 64 * 1024
_OF_THE_SYSTEM = (io.BufferedReader, io.BufferedRandom)
_RECODED = (io.TextIOBase, codecs.StreamReader, codecs.StreamReaderWriter, codecs.StreamRecoder)
_COLLECTIONS = (Sequence, Set, Mapping, MappingView)
"""Of these, the length is a number of pieces."""


class Body:
    """What is sent. `length` is its octets, or None where that is not known."""

    length: int | None = None

    @property
    def rewindable(self) -> bool:
        """Whether `chunks` can begin again."""
        raise NotImplementedError

    def chunks(self) -> Iterator[bytes]:
        """The octets, from the start. Raises UnrewindableBodyError the second time where that can't be."""
        raise NotImplementedError


class BytesBody(Body):
    """Octets in memory."""

    rewindable = True

    def __init__(self, data: bytes | bytearray | memoryview | str) -> None:
        self._data = data.encode() if isinstance(data, str) else data
        self.length = memoryview(self._data).nbytes

    def chunks(self) -> Iterator[bytes]:
        if self.length:
            yield self._data  # type: ignore[misc]  # what `write` takes is enough


class FileBody(Body):
    """A file, from where it stands; text is sent as UTF-8."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._begun = False
        self._start: int | None = None
        with contextlib.suppress(AttributeError, OSError):  # a pipe, say, which can be read once
            self._start = file.tell()
        self.is_recoded = _is_recoded(file)
        self.length = _length_of_file(file, self._start)

    @property
    def rewindable(self) -> bool:
        return not self._begun or (self._start is not None and hasattr(self._file, "seek"))

    def chunks(self) -> Iterator[bytes]:
        if self._begun:
            try:
                if self._start is None:
                    raise OSError("it can't be sought in")
                self._file.seek(self._start)
            except (AttributeError, OSError) as error:
                raise UnrewindableBodyError(f"the file can't be sent once more: {error}") from error
        self._begun = True
        while piece := self._file.read(PIECE):
            yield piece.encode() if isinstance(piece, str) else piece


class IterableBody(Body):
    """Pieces as somebody makes them: bytes, or str, which is sent as UTF-8. An iterator has them once."""

    def __init__(self, pieces: Iterable[bytes | str], length: int | None = None) -> None:
        self._pieces = pieces
        self._begun = False
        self.length = length

    @property
    def rewindable(self) -> bool:
        return not self._begun or iter(self._pieces) is not self._pieces

    def chunks(self) -> Iterator[bytes]:
        if not self.rewindable:
            raise UnrewindableBodyError(f"the pieces of a {type_name(self._pieces)} can't be had once more")
        self._begun = True
        for piece in self._pieces:
            yield piece.encode() if isinstance(piece, str) else piece


def body_of(data: Any) -> Body | None:
    """The body that `data` makes: None, bytes, str, a file, an iterable, or a Body as it is."""
    if data is None or isinstance(data, Body):
        return data
    if isinstance(data, (bytes, bytearray, memoryview, str)):
        return BytesBody(data)
    if hasattr(data, "read"):
        return FileBody(data)
    with contextlib.suppress(TypeError):
        memoryview(data)
        return BytesBody(data)
    try:
        iter(data)
    except TypeError:
        raise TypeError(f"a body is bytes, str, a file or an iterable of bytes, not {type_name(data)}") from None
    return IterableBody(data, len(data) if hasattr(data, "__len__") and not isinstance(data, _COLLECTIONS) else None)


def _length_of_file(file: Any, start: int | None) -> int | None:
    """How many octets are left in a file, where that can be said."""
    if isinstance(file, io.StringIO):
        return len(file.getvalue()[start:].encode())
    if _is_recoded(file):
        return None
    ways: tuple[Callable[[], int | None], ...] = (
        lambda: len(file) - (start or 0),
        lambda: file.len - (start or 0),
        lambda: _length_in_system(file, start),
        lambda: _sought_length(file),
    )
    for way in ways:
        try:
            length = way()
        except (AttributeError, TypeError, OSError):
            continue
        if length is None:
            return None
        # Some objects say 0 whatever comes out of them.
        return length if length > 0 or (start is not None and length == 0) else None
    return None


def _is_recoded(file: Any) -> bool:
    """Whether a file has text, or comes in another encoding: how many octets that makes, only reading it tells."""
    # `tempfile`'s are no `TextIOBase`, but have its attributes; what makes octets may have an `encoding` (of a form).
    return isinstance(file, _RECODED) or (getattr(file, "encoding", None) is not None and hasattr(file, "newlines"))


def _length_in_system(file: Any, start: int | None) -> int | None:
    descriptor = file.fileno()
    if isinstance(file, io.BufferedIOBase) and not isinstance(file, _OF_THE_SYSTEM):
        return None  # what is in it (gzip) has another length
    size = size_of(descriptor, os.fstat(descriptor))
    return None if size is None else size - (start or 0)


def _sought_length(file: Any) -> int:
    start: int = file.tell()
    end: int = file.seek(0, os.SEEK_END) or file.tell()
    file.seek(start)
    return end - start
