"""Threads that read and, between two reads, run the quick jobs of their sessions themselves: which may, when they do
not, and when another thread has to read in their place.

A table under the pool's lock, but for looks that need none. The watcher looks; whoever is about to wait in a job calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Protocol

from ...connection.receiving.reader import Seat
from ...interpreter import SharedDict

LOOK = 0.005
"""Seconds between two looks. Who is at the same job in two of them takes long."""
_SHORTEST_REST = 0.01  # seconds for which no reader runs jobs after one has taken long; twice as many each time ...
_LONGEST_REST = 10.0
_OFTEN = 10  # ... if that comes before so many times the last rest have passed


class ReadSession(Hashable, Protocol):
    """What is read."""

    _seat: Seat
    _handler_began_at: float

    def _read_on(self, relieve: Callable[[], bool]) -> None:
        """Have another thread read if `relieve()`, which is called when there is one; RuntimeError: there is none."""


class Readers:
    """The threads that may run jobs, at most `most`. Each stays one until it reads no more: what handlers keep for
    each thread (a connection to a database) is kept by no more threads than the pool has.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.by_thread: dict[int, ReadSession] = SharedDict()
        self._rest = _SHORTEST_REST
        self._relieved_at = self._rests_until = 0.0
        self._rests_for_good = False
        # The watcher's own:
        self._looked_at = 0.0
        self._seen: dict[int, float] = {}  # when the job began that the thread was at in the last look
        self.busy = False  # whether any has run jobs lately

    def __len__(self) -> int:
        return len(self.by_thread)

    @property
    def rest(self) -> bool:
        """Whether jobs take long these days. A look without the lock."""
        return self._rests_for_good or time.monotonic() < self._rests_until

    @property
    def anybody_away(self) -> bool:
        """Whether a reader runs jobs at this moment. A look without the lock."""
        return any(session._seat.vacant for session in list(self.by_thread.values()))

    def admit(self, thread: int, session: ReadSession) -> bool:
        """Whether this thread, which reads `session`, is one of them from now on."""
        if len(self.by_thread) >= self._most:
            return False
        self.by_thread[thread] = session
        return True

    def dismiss_idle(self) -> None:
        """Those that run no jobs now are none of them any more, until they are admitted again."""
        for thread, session in list(self.by_thread.items()):
            self._dismiss(thread, session)

    def relieve(self, thread: int, session: ReadSession) -> bool:
        """The thread's job takes long, or is about to wait; False if it has ended meanwhile."""
        if self.by_thread.get(thread) is not session or not session._seat.take():
            return False
        del self.by_thread[thread]
        now = time.monotonic()
        often = now - self._relieved_at < _OFTEN * self._rest
        self._rest = min(self._rest * 2, _LONGEST_REST) if often else _SHORTEST_REST
        self._relieved_at = now
        self._rests_until = now + self._rest
        return True

    def rest_for_good(self) -> None:
        """No reader runs jobs any more. Needs no lock."""
        self._rests_for_good = True

    def forget(self, session: object) -> None:
        """Its reader is none of them, unless it runs jobs now."""
        for thread, read in list(self.by_thread.items()):
            if read is session:
                self._dismiss(thread, read)

    def _dismiss(self, thread: int, session: ReadSession) -> None:
        del self.by_thread[thread]
        # It may have left its seat just before, and have seen that it is one of them. To be relieved it has to be.
        if session._seat.vacant:
            self.by_thread[thread] = session

    def look(self) -> list[tuple[int, ReadSession]]:
        """Those that have been at the same job since the last look. On the watcher's thread, without the lock."""
        now = time.monotonic()
        if now - self._looked_at < LOOK:
            return []
        self._looked_at = now
        readers = list(self.by_thread.items())
        self.busy = any(self._seen.get(thread) != session._handler_began_at for thread, session in readers)
        late = [
            (thread, session)
            for thread, session in readers
            if session._seat.vacant and self._seen.get(thread) == session._handler_began_at
        ]
        self.busy = self.busy or bool(late)
        self._seen = {thread: session._handler_began_at for thread, session in readers}
        return late
