"""What one connection of HTTP/1 knows at a time: what has arrived and not been taken, and a request with its response.

Under the session's lock, but for `Input.writable`, which is the reader's.
"""

from __future__ import annotations

from enum import Enum, auto

from ..protocol.frames.framing import IDLE_BUFFER_SIZE, LARGEST_BUFFER_SIZE
from .bodies import RequestBody, TunnelBody

MOST_DISCARDED = 256 * 1024
"""Octets of a body that nobody wants which are read and thrown away, so that the connection can be kept."""


class Framing(Enum):
    """How the end of a response's body is told."""

    NONE = auto()  # it has no body
    LENGTH = auto()
    CHUNKED = auto()
    END_OF_CONNECTION = auto()


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


class Exchange:
    """A request and its response."""

    def __init__(self, stream_id: int, method: str, version: str, body: RequestBody, window: int) -> None:
        self.stream_id = stream_id
        self.method = method
        self.version = version
        self.body = body
        self.window = window  # octets of the body that may be handed on before the handler has read some
        self.keep_alive = True
        self.awaits_continue = False
        self.request_ended = body.ended  # and the session was told so
        self.discards = MOST_DISCARDED
        self.discarding = False
        self.trailers_follow = False
        self.reason = ""  # a phrase of the handler's own
        self.framing: Framing | None = None  # None: the response's head has not been sent
        self.response_ended = False

    @property
    def is_tunnel(self) -> bool:
        return isinstance(self.body, TunnelBody) and self.framing is Framing.END_OF_CONNECTION
