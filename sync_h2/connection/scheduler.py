"""Which stream may send next. Every method needs the session's lock.

Strictly by urgency (RFC 9218 section 4.1); within one urgency, streams share by weight (RFC 7540 section 5.3.2) if
they asked for incremental delivery or sent no signal, and streams that explicitly asked not to be interleaved are
sent one after the other. One turn in sixteen goes to a lower urgency, so that nothing starves.

Weighted sharing is by stride: each stream's `turn` moves on by the bytes it sent divided by its weight, and the
lowest turn is next.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Protocol

DEFAULT_URGENCY = 3
DEFAULT_WEIGHT = 16
_URGENCIES = 8
_LOWER_SHARE = 16


def parse_priority(value: str) -> tuple[int, bool]:
    """Urgency, and whether the response is not to be interleaved, of a `priority` field (RFC 9218 section 4).

    What does not parse is ignored, as section 5 asks for. No `u` and no `i` at all is no signal: such streams share.
    """
    urgency = DEFAULT_URGENCY
    incremental: bool | None = None
    for member in value.split(","):
        name, _, parameter = member.partition(";")[0].strip().partition("=")
        if name == "u" and len(parameter) == 1 and parameter in "01234567":
            urgency = int(parameter)
            incremental = incremental or False
        elif name == "i" and parameter in ("", "?1", "?0"):
            incremental = parameter != "?0"
    return urgency, incremental is False


class Sendable(Protocol):
    """What the scheduler needs of a stream."""

    urgency: int
    weight: int
    sequential: bool
    turn: float
    scheduled: bool
    ticket: int


class _Level:
    """The ready streams of one urgency."""

    __slots__ = ("_count", "heap", "now", "sequence")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Sendable]] = []
        self.sequence: deque[Sendable] = deque()
        self.now = 0.0  # the turn of the stream that was served last
        self._count = 0

    def push(self, stream: Sendable) -> None:
        if stream.sequential:
            self.sequence.append(stream)
            if self.sequence[0] is not stream:
                return  # its turn comes when those before it are done
        self._enter(stream)

    def _enter(self, stream: Sendable) -> None:
        # A stream that comes anew, or back after a pause, starts now: it has no claim to the time it did not use.
        stream.turn = max(stream.turn, self.now)
        self._count += 1
        stream.ticket = self._count  # entries of the heap with an older ticket are void
        heappush(self.heap, (stream.turn, self._count, stream))

    def pop(self) -> Sendable | None:
        while self.heap:
            turn, ticket, stream = heappop(self.heap)
            if stream.ticket == ticket:
                stream.ticket = 0
                self.now = turn
                return stream
        return None

    def requeue(self, stream: Sendable) -> None:
        """Put back a stream that was just popped and has more to send."""
        self._enter(stream)

    def leave(self, stream: Sendable) -> None:
        if stream.sequential and stream in self.sequence:
            was_first = self.sequence[0] is stream
            self.sequence.remove(stream)
            if was_first and self.sequence:
                self._enter(self.sequence[0])


class Scheduler:
    """The streams that have something to send and a window to send it in."""

    __slots__ = ("_levels", "_served")

    def __init__(self) -> None:
        self._levels = [_Level() for _ in range(_URGENCIES)]
        self._served = 0

    def add(self, stream: Sendable) -> None:
        """Have `stream` take its turns until `remove`."""
        if not stream.scheduled:
            stream.scheduled = True
            self._levels[stream.urgency].push(stream)

    def remove(self, stream: Sendable) -> None:
        """`stream` has nothing to send for now. To change its urgency, weight or kind: remove, change, add."""
        if stream.scheduled:
            stream.scheduled = False
            stream.ticket = 0
            self._levels[stream.urgency].leave(stream)

    def next(self) -> Sendable | None:
        """The stream whose turn it is. The caller sends one frame of it and then says `sent` or `remove`."""
        self._served += 1
        levels = self._levels
        if self._served % _LOWER_SHARE == 0:
            busy = [level for level in levels if level.heap]
            levels = busy[1:2] + busy if len(busy) > 1 else busy
        for level in levels:
            stream = level.pop()
            if stream is not None:
                return stream
        return None

    def sent(self, stream: Sendable, count: int) -> None:
        """`stream`, got from `next`, sent `count` bytes and has more."""
        stream.turn += max(count, 1) / stream.weight
        self._levels[stream.urgency].requeue(stream)
