"""Bodies in pieces, and in lines of what comes in pieces. Each octet is copied a bounded number of times,
however small the pieces that a server sends.

What is here belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def sliced(content: bytes, size: int | None) -> Iterator[bytes]:
    size = size or max(len(content), 1)
    return (content[start : start + size] for start in range(0, len(content), size))


class Lines:
    """Lines, or what stands between delimiters, of what comes in pieces, bytes or str: the same as of all of it at
    once, wherever a piece ends. Each piece is looked at once, however long a line grows.
    """

    def __init__(self, delimiter: Any) -> None:
        self._delimiter = delimiter
        self._pending: list[Any] = []
        self._tail: Any = None  # of what is pending: as much as a delimiter may begin with
        self._returned = False  # the last line has ended with a carriage return, maybe with half of its end

    def of(self, piece: Any) -> list[Any]:
        """The lines that end in `piece`."""
        return self._split(piece) if self._delimiter else self._split_lines(piece)

    def rest(self) -> list[Any]:
        """The last line, if nothing has ended it; what is behind the last delimiter, be it empty."""
        return [self._taken()] if self._pending else []

    def _split_lines(self, piece: Any) -> list[Any]:
        carriage_return, line_feed = ("\r", "\n") if isinstance(piece, str) else (b"\r", b"\n")
        if self._returned and piece[:1] == line_feed:
            piece = piece[1:]  # it belongs to the end that was there already
            self._returned = False
        if not piece:
            return []
        self._returned = piece[-1:] == carriage_return
        lines: list[Any] = piece.splitlines()
        has_ended = not piece[-1:].splitlines()[0]
        rest = None if has_ended else lines.pop()
        if self._pending and lines:
            self._pending.append(lines[0])
            lines[0] = self._taken()
        if rest is not None:
            self._pending.append(rest)
        return lines

    def _split(self, piece: Any) -> list[Any]:
        kept = len(self._delimiter) - 1
        window = piece if self._tail is None else self._tail + piece
        self._pending.append(piece)
        if self._delimiter not in window:
            self._tail = window[max(len(window) - kept, 0) :]
            return []
        lines: list[Any] = self._taken().split(self._delimiter)
        rest = lines.pop()
        self._pending.append(rest)
        self._tail = rest[max(len(rest) - kept, 0) :]
        return lines

    def _taken(self) -> Any:
        pending, self._pending = self._pending, []
        return pending[0][:0].join(pending)
