"""One stream of a scripted server's connection: the request as it comes, and its script as it is played. On the
connection's thread.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from ...constants import FrameType
from . import steps as steps_module
from .frames import data_frame, frame
from .received import ReceivedRequest
from .steps import Step, Waiting


class ExchangesConnection(steps_module.Connection, Protocol):
    """The connection, as a stream knows it."""

    own_window: int
    ending: bool

    def encode(self, stream_id: int, fields: Sequence[tuple[bytes, bytes]], *, end_stream: bool) -> bytes: ...
    def open_window(self, stream_id: int, octets: int) -> None: ...


class Exchange:
    """A stream; or, with the number 0 and without a request, a connection's own script."""

    def __init__(
        self,
        connection: ExchangesConnection,
        stream_id: int,
        request: ReceivedRequest | None,
        steps: Sequence[Step],
        window: int,
    ) -> None:
        self.stream_id = stream_id
        self.window = window
        self.is_last_step = False
        self._connection = connection
        self._request = request
        self._received = 0  # octets of the body
        self._allowed = 0.0  # how many of them are taken
        self._opened = 0  # the stream's window
        self._is_complete = False  # the client's side
        self._has_answered = False
        self._has_ended = False  # this side
        self._is_reset = False
        self._is_abandoned = False
        self._is_playing = False  # at this moment
        self._waiting: Waiting | None = None
        self._playing: Generator[Waiting, None, None] | None = self._play(steps)

    # -- The script

    @property
    def is_played(self) -> bool:
        return self._playing is None

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come, nor be sent."""
        return self._is_reset or (self.is_played and self._is_complete)

    def play(self) -> float | None:
        """Go on as far as that goes; the moment when more can be done, if there is one."""
        while self._playing is not None and (self._waiting is None or self._waiting.ready()):
            playing, self._is_playing = self._playing, True
            self._waiting = next(playing, None)
            self._is_playing = False
            if self._is_abandoned:
                playing.close()
            if self._waiting is None or self._is_abandoned:
                self._playing = self._waiting = None
        return None if self._waiting is None else self._waiting.at

    def _play(self, steps: Sequence[Step]) -> Generator[Waiting, None, None]:
        for position, step in enumerate(steps):
            self.is_last_step = position == len(steps) - 1
            yield from step(self)
            if self._is_reset or self._is_abandoned or self._connection.ending:
                return
        if self._request is None:
            return
        if not self._has_ended:
            if not self._has_answered:
                self.send_headers([(b":status", b"200")], end_stream=True)
            else:
                self._connection.send(data_frame(self.stream_id, b"", padding=None, end_stream=True))
                self.ended()
        self.has_read(None)  # what still comes

    def abandon(self) -> None:
        """Play no more."""
        self._is_abandoned = True
        if self._playing is not None and not self._is_playing:  # otherwise it is a step of its own that does this
            self._playing.close()
            self._playing = self._waiting = None

    def lose(self) -> None:
        """The stream, or the connection, has ended."""
        self.abandon()
        if self._request is not None:
            self._request._note_loss()

    # -- What steps do

    @property
    def connection(self) -> ExchangesConnection:
        return self._connection

    @property
    def method(self) -> str:
        return "" if self._request is None else self._request.method

    def has_read(self, count: int | None) -> Callable[[], bool]:
        self._allowed = math.inf if count is None else self._allowed + count
        needed = self._allowed
        self._open_window()
        return lambda: self._is_complete or self._received >= needed

    def send_headers(self, fields: Sequence[tuple[bytes, bytes]], *, end_stream: bool) -> None:
        self._connection.send(self._connection.encode(self.stream_id, fields, end_stream=end_stream))
        self._has_answered = self._has_answered or not dict(fields).get(b":status", b"").startswith(b"1")
        if end_stream:
            self.ended()

    def ended(self) -> None:
        self._has_ended = True

    def reset(self, code: int) -> None:
        self._connection.send(frame(FrameType.RST_STREAM, 0, self.stream_id, struct.pack(">L", code)))
        self._is_reset = True

    # -- What the client does

    def receive(self, body: bytes, length: int, *, ends: bool) -> bool:
        """DATA whose payload has this length, padding included. False if that is more than was allowed."""
        self._received += length
        if self._received - self._opened > self._connection.own_window:
            return False
        if self._request is not None:
            self._request._add_body(body)
        if ends:
            self.receive_end()
        self._open_window()
        return True

    def receive_trailers(self, fields: list[tuple[bytes, bytes]]) -> None:
        self._is_complete = True
        if self._request is not None:
            self._request._note_end(fields)

    def receive_end(self) -> None:
        self._is_complete = True
        if self._request is not None:
            self._request._note_end()

    def receive_reset(self, code: int) -> None:
        self._is_reset = True
        self.abandon()
        if self._request is not None:
            self._request._note_reset(code)

    def _open_window(self) -> None:
        taken = int(min(self._received, self._allowed))
        if taken > self._opened and not self._is_complete:
            self._connection.open_window(self.stream_id, taken - self._opened)
            self._opened = taken
