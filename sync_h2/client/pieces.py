"""Bodies in pieces of other sizes than they come in, and in lines. Each octet is copied a bounded number of times,
however small the pieces that a server sends.

What is here belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sliced(content: bytes, size: int | None) -> Iterator[bytes]:
    size = size or max(len(content), 1)
    return (content[start : start + size] for start in range(0, len(content), size))


def resized(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same octets in pieces of `size`, but for the last."""
    rest = bytearray()
    for chunk in chunks:
        data = chunk
        if rest:
            rest += chunk
            if len(rest) < size:
                continue
            data = bytes(rest)
            rest.clear()
        whole = len(data) - len(data) % size
        for start in range(0, whole, size):
            yield data[start : start + size]
        rest += data[whole:]
    if rest:
        yield bytes(rest)


class Lines:
    """Lines, or what stands between delimiters, of what comes in pieces, bytes or str. Each piece is looked at once,
    however long a line grows.
    """

    def __init__(self, delimiter: Any) -> None:
        self._delimiter = delimiter
        self._pending: list[Any] = []
        self._tail: Any = None  # of what is pending: as much as a delimiter may begin with

    def of(self, piece: Any) -> list[Any]:
        """The lines that end in `piece`; as in requests, a delimiter at its very end has an empty one behind it."""
        lines = self._split(piece) if self._delimiter else self._split_lines(piece)
        if lines and lines[-1] and lines[-1][-1] == piece[-1]:
            last = lines.pop()
            self._pending.append(last)
        return lines

    def rest(self) -> list[Any]:
        """The last line, if nothing has ended it."""
        return [self._taken()] if self._pending else []

    def _split_lines(self, piece: Any) -> list[Any]:
        lines: list[Any] = piece.splitlines()
        if self._pending and lines and lines != [piece]:
            self._pending.append(lines[0])
            lines[0] = self._taken()
        return lines

    def _split(self, piece: Any) -> list[Any]:
        kept = len(self._delimiter) - 1
        window = piece if self._tail is None else self._tail + piece
        if self._delimiter not in window:
            self._tail = window[max(len(window) - kept, 0) :]
            return [piece]
        self._pending.append(piece)
        lines: list[Any] = self._taken().split(self._delimiter)
        self._tail = lines[-1][max(len(lines[-1]) - kept, 0) :]
        return lines

    def _taken(self) -> Any:
        pending, self._pending = self._pending, []
        return pending[0][:0].join(pending)
