"""Threads that read and, between two reads, run the quick jobs of their sessions themselves: which may, when they do
not, and when another thread has to read in their place.

Guarded by the pool's lock, but for looks that need none. Readers ask, the watcher looks, and whoever is about to wait
in a job calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sized
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ...connection.receiving.reader import Seat
from ...errors import InvalidState
from ...interpreter import SharedDict
from ...transport.log import Log
from .jobs import Job, run_logged

LOOK = 0.005  # seconds between two looks
_PATIENCE = 0.02
"""Seconds for which a reader may be at the same job. Most that are for some milliseconds wait for the interpreter: a
busy one has no use for another thread, and who looks late has seen nothing.
"""
_HELP = 0.005  # seconds for which a reader runs others' jobs before it reads on
_SHORTEST_REST = 0.01  # seconds for which no reader runs jobs after one has taken long; twice as many each time ...
_LONGEST_REST = 10.0
_OFTEN = 10  # ... if that comes before so many times the last rest have passed

_BETWEEN_WARNINGS = 1.0  # seconds
_SLOW, _TOO_SLOW = 8, 64
"""A turn with a slow job weighs as much as so many without; beyond that many, readers rest. A busy machine makes some
seem slow.
"""

_log = Log("sync_h2.server")


class ReadSession(Hashable, Protocol):
    """A session as far as its reader runs jobs."""

    _seat: Seat
    handled_by_reader: int
    """Jobs that its reader has begun."""

    def _send_now(self) -> None:
        """Send what answers have left to be sent together."""

    def _read_on(self, relieve: Callable[[], bool]) -> None:
        """Have another thread read if `relieve()`, which is called when there is one; InvalidState: there is none."""


class Workers(Protocol):
    """What readers need of their pool."""

    @property
    def _lock(self) -> AbstractContextManager[Any]: ...

    @property
    def _turns(self) -> Sized:
        """What waits for a worker."""

    def _is_watched(self) -> bool:
        """Have the watcher look from now on, with no lock held; False if there can be none."""

    def _admits_reader_locked(self) -> bool:
        """Whether there is a place for another thread that runs jobs."""

    def _becomes_worker_locked(self, thread: int, key: Hashable) -> None:
        """A reader's job has taken long, and is a worker's now."""

    def _worker_ends_locked(self, thread: int) -> None:
        """Such a worker is one no more."""

    def _begin_next_locked(self, thread: int) -> Job | None:
        """The next job that waits for a worker is the thread's."""

    def _job_done_locked(self, thread: int) -> None:
        """That job has run."""


class Readers:
    """The threads that may run jobs, at most `most`. Each stays one until it reads no more, or a worker needs its
    place: so no more jobs run at once than the pool has threads.
    """

    def __init__(self, workers: Workers, most: int) -> None:
        self._workers = workers
        self._lock = workers._lock
        self._most = most
        self.suspended = False  # none may run jobs for now
        self._by_thread: dict[int, ReadSession] = SharedDict()
        self._rest = _SHORTEST_REST
        self._rested_at = self._rests_until = 0.0
        self._rests_for_good = False
        # The watcher's own:
        self._looked_at = 0.0
        # Of each thread that was away: for what, and how many jobs it had begun; and since when it has been so.
        self._seen: dict[int, tuple[tuple[object, int], float]] = {}
        self._begun: dict[int, int] = {}
        self.busy = False  # whether any has run jobs lately
        self._warned_at = 0.0
        # Changed without the lock: a lost count does no harm.
        self._slowness = 0

    def __len__(self) -> int:
        return len(self._by_thread)

    @property
    def rest(self) -> bool:
        """Whether jobs take long these days. A look without the lock."""
        return self._rests_for_good or time.monotonic() < self._rests_until

    @property
    def anybody_away(self) -> bool:
        """Whether a reader runs jobs at this moment. A look without the lock."""
        return any(session._seat.vacant for session in list(self._by_thread.values()))

    # -- With no lock held --

    def leaves(self, session: ReadSession) -> object | None:
        """The calling thread, which reads `session`, may run jobs itself until it reads on: it has left its seat, for
        this absence, and as soon as one of them takes long another thread reads. None: it may not.
        """
        if self.suspended or self.rest:
            return None
        thread = threading.get_ident()
        if thread not in self._by_thread:
            with self._lock:
                if len(self._by_thread) >= self._most or not self._workers._admits_reader_locked():
                    return None
                self._by_thread[thread] = session
        absence = session._seat.leave()
        # It may have been dismissed just now, or nobody can be started to watch. (Where it can't return it has been
        # relieved already, and is away.)
        if (thread not in self._by_thread or not self._workers._is_watched()) and session._seat.return_from(absence):
            session._send_now()
            return None
        return absence

    def help_out(self, session: ReadSession, absence: object, slow: bool) -> None:
        """The calling thread has run its session's jobs (one of them was `slow`), and others wait for a worker: run
        some of those. A reader that ran its own only would have them ahead of all others, again and again, and keep the
        interpreter from workers.
        """
        if slow:
            self._slowness += _SLOW
            if self._slowness > _TOO_SLOW:
                self._slowness = _TOO_SLOW
                with self._lock:
                    self._rest_longer()
        elif self._slowness:
            self._slowness -= 1
        if not self._workers._turns:
            return
        thread = threading.get_ident()
        until = time.monotonic() + _HELP
        session._send_now()
        while session._seat.is_left_for(absence) and time.monotonic() < until:
            with self._lock:
                job = self._workers._begin_next_locked(thread)
            if job is None:
                return
            session.handled_by_reader += 1
            run_logged(job)
            with self._lock:
                if thread in self._by_thread:  # otherwise it is a worker now
                    self._workers._job_done_locked(thread)

    def ends(self) -> None:
        """The calling thread has been relieved, and its job has ended."""
        with self._lock:
            self._workers._worker_ends_locked(threading.get_ident())

    def about_to_wait(self) -> None:
        """The calling thread waits in what it does. If that is a reader's job, another thread reads.

        Raises InvalidState when none can be started.
        """
        thread = threading.get_ident()
        session = self._by_thread.get(thread)
        if session is not None:
            self._relieve(thread, session)

    def rest_for_good(self) -> None:
        """The calling thread's job is not for a reader, and others are like it: from now on all are the workers'."""
        self._rests_for_good = True
        try:
            self.about_to_wait()
        except InvalidState as error:  # the watcher tries again
            _log.warning("%s", error)

    def look(self) -> None:
        """See to those that have been at the same job for long. On the watcher's thread."""
        now = time.monotonic()
        if now - self._looked_at < LOOK:
            return
        self._looked_at = now
        with self._lock:
            readers = list(self._by_thread.items())
        seen, self._seen = self._seen, {}
        begun, self._begun = self._begun, {thread: session.handled_by_reader for thread, session in readers}
        self.busy = begun != self._begun
        for thread, session in readers:
            absence = session._seat.absence
            if absence is None:
                continue
            self.busy = True
            at = (absence, self._begun[thread])
            before, since = seen.get(thread, (None, now))
            since = since if before == at else now
            self._seen[thread] = (at, since)
            if now - since >= _PATIENCE:
                try:
                    self._relieve(thread, session)
                except InvalidState as error:
                    session._send_now()  # what waits for its return
                    if now - self._warned_at >= _BETWEEN_WARNINGS:
                        self._warned_at = now
                        _log.warning("%s", error)

    def _relieve(self, thread: int, session: ReadSession) -> None:
        """Have another thread read: this one has a job that takes long."""
        session._read_on(lambda: self._take_seat(thread, session))

    def _take_seat(self, thread: int, session: ReadSession) -> bool:
        """False if the job has ended meanwhile, or somebody else has seen to it."""
        with self._lock:
            if self._by_thread.get(thread) is not session or not session._seat.take():
                return False
            del self._by_thread[thread]
            self._workers._becomes_worker_locked(thread, session)
            self._rest_longer()
        return True

    # -- With the pool's lock held --

    def _rest_longer(self) -> None:
        now = time.monotonic()
        often = now - self._rested_at < _OFTEN * self._rest
        self._rest = min(self._rest * 2, _LONGEST_REST) if often else _SHORTEST_REST
        self._rested_at = now
        self._rests_until = now + self._rest

    def forget_locked(self, session: object) -> None:
        """Its reader is none of them, unless it runs jobs now."""
        for thread, read in list(self._by_thread.items()):
            if read is session:
                self._dismiss(thread, read)

    def dismiss_idle_locked(self) -> None:
        """Those that run no jobs now are none of them any more, until they are admitted again."""
        for thread, session in list(self._by_thread.items()):
            self._dismiss(thread, session)

    def _dismiss(self, thread: int, session: ReadSession) -> None:
        del self._by_thread[thread]
        # It may have left its seat just before, and have seen that it is one of them. To be relieved it has to be.
        if session._seat.vacant:
            self._by_thread[thread] = session
