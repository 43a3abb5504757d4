"""Body bytes that arrived and have not been read. Knows nothing of streams; every method needs the session's lock."""

from __future__ import annotations

from collections import deque

_SMALL = 1024  # bytes; pieces below are joined
_TAIL = 16 * 1024  # bytes up to which
_NOTHING: deque[bytes | bytearray] = deque()  # is never changed


class ReceiveBuffer:
    """A queue of byte chunks, read from the front; `len()` is the number of bytes."""

    __slots__ = ("_chunks", "_position", "_size", "consumed")

    def __init__(self) -> None:
        # Made when something comes: a deque takes 600 bytes, and most requests have no body.
        self._chunks: deque[bytes | bytearray] = _NOTHING
        self._position = 0  # how much of the first chunk has been read
        self._size = 0
        self.consumed = 0  # bytes that were ever read or dropped: where the front is in the whole body

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        if not data:
            return
        chunks = self._chunks
        if not chunks:
            self._chunks = deque((data,))
        elif len(data) >= _SMALL:
            chunks.append(data)
        else:
            # An object for each of many small pieces would take many times their size.
            last = chunks[-1]
            if isinstance(last, bytearray) and len(last) < _TAIL:
                last += data
            else:
                chunks.append(bytearray(data))
        self._size += len(data)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes from the front; all there are when `count` is negative."""
        if not self._size or not count:
            return b""
        if count < 0 or count >= self._size:
            first = self._chunks[0]
            if self._position:
                self._chunks[0] = first = first[self._position :]
            data = bytes(first) if len(self._chunks) == 1 else b"".join(self._chunks)
            self.clear()
            return data
        # Copied once, at C's speed: whole chunks by reference, and what is needed of the last.
        pieces = []
        missing = count
        while missing:
            piece = self._chunks[0][self._position : self._position + missing]
            pieces.append(piece)
            missing -= len(piece)
            self._position += len(piece)
            if self._position == len(self._chunks[0]):
                self._chunks.popleft()
                self._position = 0
        self._size -= count
        self.consumed += count
        self._let_go()
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, target: memoryview) -> int:
        """Fill `target` (bytes, writable) from the front; returns how many bytes were copied."""
        filled = 0
        room = len(target)
        while self._chunks and filled < room:
            chunk = self._chunks[0]
            # Released at once: a bytearray that somebody looks at can't grow.
            with memoryview(chunk)[self._position : self._position + room - filled] as piece:
                length = len(piece)
                target[filled : filled + length] = piece
            filled += length
            self._position += length
            if self._position == len(chunk):
                self._chunks.popleft()
                self._position = 0
        self._size -= filled
        self.consumed += filled
        self._let_go()
        return filled

    def _let_go(self) -> None:
        """Keep no large chunk for a little that is left of it: what is unread is what counts as memory."""
        if self._position > _TAIL and self._position > 3 * len(self._chunks[0]) // 4:
            self._chunks[0] = self._chunks[0][self._position :]
            self._position = 0

    def find_line_end(self, limit: int, searched: int = 0) -> int:
        """The length of the first line with its line feed, or -1 when it has not ended yet.

        `limit` bytes (negative: any number) always count as a line. The first `searched` bytes are known to hold no
        line feed.
        """
        if 0 <= limit <= searched:
            return limit
        searched = max(searched, 0)
        # From the end, where what is new is: there may be thousands of chunks, and a call for each of them.
        new = []
        passed = self._size
        for chunk in reversed(self._chunks):
            if passed <= searched:
                break
            passed -= len(chunk)
            new.append(chunk)
        if len(new) == len(self._chunks):
            passed = -self._position
        for chunk in reversed(new):
            found = chunk.find(b"\n", max(searched - passed, 0))
            if found >= 0:
                length = passed + found + 1
                return length if limit < 0 else min(length, limit)
            passed += len(chunk)
        return limit if 0 <= limit <= self._size else -1

    def clear(self) -> int:
        """Drop everything; returns how many bytes that was."""
        dropped = self._size
        self.consumed += dropped
        self._chunks = _NOTHING
        self._position = self._size = 0
        return dropped
