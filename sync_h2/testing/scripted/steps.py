"""The steps of scripts: each is a generator that does something to a stream of a connection, and gives what it waits
for in between. On the connection's thread; none of them blocks.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from ...constants import FrameType
from ...protocol.settings import Settings
from .frames import data_frame
from .frames import frame as any_frame

_LONGEST_FRAME = 2**24 - 1


class Waiting(NamedTuple):
    """What a step waits for: `ready()` is asked whenever something has happened, and at the moment `at`."""

    ready: Callable[[], bool]
    at: float | None = None


class Exchange(Protocol):
    """A stream, as steps know it; that of a connection's own script has the number 0."""

    stream_id: int
    is_last_step: bool
    window: int  # what the client takes of DATA on the stream

    @property
    def method(self) -> str: ...
    @property
    def connection(self) -> Connection: ...
    def has_read(self, count: int | None) -> Callable[[], bool]:
        """Take so much more of the body; what is given says whether it has come."""

    def send_headers(self, fields: Sequence[tuple[bytes, bytes]], *, end_stream: bool) -> None: ...
    def reset(self, code: int) -> None: ...
    def ended(self) -> None:
        """END_STREAM has been sent."""


class Connection(Protocol):
    """The connection, as steps know it."""

    window: int  # what the client takes of DATA
    max_frame_size: int

    @property
    def full(self) -> bool: ...
    def send(self, octets: bytes) -> None: ...
    def greet(self) -> None:
        """Send the server's SETTINGS, if that has not been done."""

    def send_settings(self, settings: Settings) -> None: ...
    def go_away(self, last_stream_id: int) -> None:
        """Take no stream above this one, and end when the others have."""

    def drop(self, *, reset: bool) -> None: ...


class Stall(Protocol):
    """The script that a stall is in."""

    def _is_released(self) -> bool: ...
    def _count_stalled(self, change: int) -> None: ...


Step = Callable[[Exchange], Iterator[Waiting]]


def _at_once(act: Callable[[Exchange], None]) -> Step:
    """A step that waits only for the client to take what was sent before."""

    def play(exchange: Exchange) -> Iterator[Waiting]:
        if exchange.connection.full:
            yield Waiting(lambda: not exchange.connection.full)
        act(exchange)

    return play


# -- of connections


def settings(values: Settings) -> Step:
    def act(exchange: Exchange) -> None:
        exchange.connection.greet()
        exchange.connection.send_settings(values)

    return _at_once(act)


def goaway(code: int, last_stream_id: int | None, message: bytes) -> Step:
    def act(exchange: Exchange) -> None:
        last = exchange.stream_id if last_stream_id is None else last_stream_id
        exchange.connection.greet()
        exchange.connection.send(any_frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", last, code) + message))
        exchange.connection.go_away(last)

    return _at_once(act)


def frame(kind: int, flags: int, stream_id: int | None, payload: bytes) -> Step:
    def act(exchange: Exchange) -> None:
        exchange.connection.greet()
        target = exchange.stream_id if stream_id is None else stream_id
        exchange.connection.send(any_frame(kind, flags, target, payload))

    return _at_once(act)


def raw(octets: bytes) -> Step:
    return _at_once(lambda exchange: exchange.connection.send(octets))


def drop(reset: bool) -> Step:
    return _at_once(lambda exchange: exchange.connection.drop(reset=reset))


def pause(seconds: float) -> Step:
    return lambda exchange: _pause(seconds)


def stall(script: Stall) -> Step:
    def play(exchange: Exchange) -> Iterator[Waiting]:
        script._count_stalled(1)
        try:
            yield Waiting(script._is_released)
        finally:
            script._count_stalled(-1)

    return play


# -- of streams


def read(count: int | None) -> Step:
    def play(exchange: Exchange) -> Iterator[Waiting]:
        yield Waiting(exchange.has_read(count))

    return play


def headers(fields: list[tuple[bytes, bytes]], *, end_stream: bool) -> Step:
    return _at_once(lambda exchange: exchange.send_headers(fields, end_stream=end_stream))


def respond(fields: list[tuple[bytes, bytes]], body: bytes) -> Step:
    def play(exchange: Exchange) -> Iterator[Waiting]:
        content = b"" if exchange.method == "HEAD" else body
        yield from headers(fields, end_stream=not content and exchange.is_last_step)(exchange)
        if content:
            yield from data(content, None, None, 0.0, False, False)(exchange)

    return play


def data(
    body: bytes, frame_size: int | None, padding: int | None, pause: float, ignore_windows: bool, end_stream: bool
) -> Step:
    more = 0 if padding is None else 1 + padding

    def play(exchange: Exchange) -> Iterator[Waiting]:
        connection = exchange.connection
        # Padding counts towards the windows and the frame's size (RFC 9113 section 6.1).
        most = max(min(frame_size or _LONGEST_FRAME, connection.max_frame_size - more), 1)
        left = memoryview(body)

        def windows() -> int:
            return min(exchange.window, connection.window)

        def ready() -> bool:
            needs = min(1, len(left)) + more
            return not connection.full and (ignore_windows or windows() >= needs or not needs)

        while True:
            if not ready():
                yield Waiting(ready)
            size = most if ignore_windows else min(most, max(windows() - more, 0))
            piece, left = left[:size], left[size:]
            ends = (end_stream or exchange.is_last_step) and not left
            exchange.window -= len(piece) + more
            connection.window -= len(piece) + more
            connection.send(data_frame(exchange.stream_id, bytes(piece), padding=padding, end_stream=ends))
            if ends:
                exchange.ended()
            if pause:
                yield from _pause(pause)
            if not left:
                return

    return play


def _pause(seconds: float) -> Iterator[Waiting]:
    moment = time.monotonic() + seconds
    yield Waiting(lambda: time.monotonic() >= moment, moment)


def reset(code: int) -> Step:
    return _at_once(lambda exchange: exchange.reset(code))
