"""Which stream may send next. Every method needs the session's lock.

Strictly by urgency (RFC 9218 section 4.1); within one urgency, streams share by weight (RFC 7540 section 5.3.2) if
they asked for incremental delivery or sent no signal, and streams that explicitly asked not to be interleaved are
sent one after the other, in the order of their ids (RFC 9218 section 10). One turn in sixteen goes to a lower urgency,
so that nothing starves.

Weighted sharing is by stride: each stream's `turn` moves on by the bytes it sent divided by its weight, and the
lowest turn is next. Only what was sent moves turns on: streams that wait for a window keep their claims.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from operator import attrgetter
from typing import Protocol

from ...interpreter import SharedDict

_LOWER_SHARE = 16
_LEAST_CLEARING = 256
_by_id = attrgetter("id")


class Sendable(Protocol):
    """What the scheduler needs of a stream."""

    id: int | None
    urgency: int
    weight: int
    sequential: bool
    turn: float
    scheduled: bool
    ticket: int


class _Level:
    """The ready streams of one urgency."""

    __slots__ = ("_clear_at", "_heap", "_tickets", "now", "ready", "sequence")

    def __init__(self, tickets: Iterator[int]) -> None:
        self._tickets = tickets  # one for each entry of any level
        self._heap: list[tuple[float, int]] = []  # turns and tickets; one that is not in `ready` any more is void
        self.ready: dict[int, Sendable] = {}  # by ticket
        self.sequence: list[Sendable] = []  # by id; of these only the first is ready
        self.now = 0.0  # the turn of the stream that sent last
        self._clear_at = _LEAST_CLEARING

    def push(self, stream: Sendable) -> None:
        if stream.sequential:
            insort(self.sequence, stream, key=_by_id)
            if self.sequence[0] is not stream:
                return  # its turn comes when those before it are done
            if len(self.sequence) > 1:
                self._pass_on(self.sequence[1], stream)
                return
        self.enter(stream)

    def enter(self, stream: Sendable) -> None:
        # A stream that comes anew, or back after a pause, starts now: it has no claim to the time it did not use.
        stream.turn = max(stream.turn, self.now)
        stream.ticket = next(self._tickets)
        self.ready[stream.ticket] = stream
        heappush(self._heap, (stream.turn, stream.ticket))
        if len(self._heap) >= self._clear_at:
            # Of a peer that changes priorities all the time nearly all is void.
            self._heap = [entry for entry in self._heap if entry[1] in self.ready]
            heapify(self._heap)
            self._clear_at = max(_LEAST_CLEARING, 2 * len(self._heap))

    def withdraw(self, stream: Sendable) -> None:
        self.ready.pop(stream.ticket, None)

    def _pass_on(self, first: Sendable, following: Sendable) -> None:
        """The streams of the sequence share with the others as if they were one."""
        self.withdraw(first)
        following.turn = max(following.turn, first.turn)
        self.enter(following)

    def pop(self) -> Sendable | None:
        while self._heap:
            stream = self.ready.pop(heappop(self._heap)[1], None)
            if stream is not None:
                return stream
        return None

    def requeue(self, stream: Sendable) -> None:
        """Put back a stream that was just popped and has more to send."""
        if not stream.sequential or self.sequence[0] is stream:
            self.enter(stream)

    def leave(self, stream: Sendable) -> None:
        self.withdraw(stream)
        if stream.sequential and stream in self.sequence:
            was_first = self.sequence[0] is stream
            self.sequence.remove(stream)
            if was_first and self.sequence:
                self._pass_on(stream, self.sequence[0])


class Scheduler:
    """The streams that have something to send and a window to send it in."""

    __slots__ = ("_in_order", "_levels", "_served", "_tickets", "count")

    def __init__(self) -> None:
        self._tickets = count(1)
        self._levels: dict[int, _Level] = SharedDict()  # by urgency: a connection uses one, as a rule
        self._in_order: list[_Level] = []
        self._served = 0
        self.count = 0  # of the streams that take turns

    def add(self, stream: Sendable) -> None:
        """Have `stream` take its turns until `remove`."""
        if not stream.scheduled:
            stream.scheduled = True
            self.count += 1
            level = self._levels.get(stream.urgency) or self._new_level(stream.urgency)
            level.push(stream)

    def _new_level(self, urgency: int) -> _Level:
        level = self._levels[urgency] = _Level(self._tickets)
        self._in_order = [self._levels[urgency] for urgency in sorted(self._levels)]
        return level

    def remove(self, stream: Sendable) -> None:
        """`stream` has nothing to send for now, or no window."""
        if stream.scheduled:
            stream.scheduled = False
            self.count -= 1
            self._levels[stream.urgency].leave(stream)

    def change(self, stream: Sendable, urgency: int, sequential: bool) -> None:
        """Give `stream` another urgency and kind. (Its weight may be changed at any time.)"""
        scheduled = stream.scheduled
        self.remove(stream)
        if stream.urgency != urgency:
            stream.turn = 0.0  # turns of another level say nothing here
        stream.urgency, stream.sequential = urgency, sequential
        if scheduled:
            self.add(stream)

    def next(self) -> Sendable | None:
        """The stream whose turn it is. The caller sends a frame of it, if it can, and says `sent`; and then `requeue`
        or `remove`.
        """
        if not self.count:
            return None
        levels = self._in_order
        turns, place = divmod(self._served, _LOWER_SHARE)
        if place == _LOWER_SHARE - 1:
            busy = [level for level in levels if level.ready]
            if len(busy) > 1:
                lower = turns % (len(busy) - 1) + 1  # each of them in turn
                busy.insert(0, busy.pop(lower))
            levels = busy
        for level in levels:
            stream = level.pop()
            if stream is not None:
                return stream
        return None

    def sent(self, stream: Sendable, count: int) -> None:
        """`stream`, got from `next`, has sent a frame with `count` bytes."""
        self._served += 1
        self._levels[stream.urgency].now = stream.turn
        stream.turn += max(count, 1) / stream.weight

    def requeue(self, stream: Sendable) -> None:
        """`stream`, got from `next`, has more to send."""
        self._levels[stream.urgency].requeue(stream)
