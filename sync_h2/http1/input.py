"""What has arrived on a connection and was not taken. Under the session's lock, but for `writable`, the reader's."""

from __future__ import annotations

from ..protocol.frames.framing import IDLE_BUFFER_SIZE, LARGEST_BUFFER_SIZE


class Input:
    """What has arrived and was not taken, and the room for the next read."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self._buffer = memoryview(bytearray(IDLE_BUFFER_SIZE))

    @property
    def memory(self) -> int:
        """The octets that wait, and those of the room."""
        return len(self.octets) + len(self._buffer)

    def writable(self) -> memoryview:
        return self._buffer

    def received(self, count: int) -> None:
        """`count` octets were read into what `writable()` gave."""
        size = len(self._buffer)
        self.octets += self._buffer[:count]
        if count == size and size < LARGEST_BUFFER_SIZE:
            self._buffer = memoryview(bytearray(size * 4))
        elif count < IDLE_BUFFER_SIZE // 4 and size > IDLE_BUFFER_SIZE:
            self._buffer = memoryview(bytearray(IDLE_BUFFER_SIZE))
