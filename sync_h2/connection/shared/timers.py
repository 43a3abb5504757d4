"""The process's one timer thread: it calls sessions back when a deadline of theirs passes, and runs small jobs for
finalizers.

Arming a timer, or leaving a job, takes no lock of ours and waits for nothing, so it is allowed under a session's lock
and while garbage is collected. It wakes the thread only where that would look too late by itself: a thread that wakes
takes the interpreter from those that work, and most deadlines of a busy process are later than some other. The heap
belongs to the timer thread alone. Sessions are held weakly, and each keeps its deadlines in its own fields: a call that
comes too early or twice is harmless.
"""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from typing import Protocol

from ...interpreter import Lock, report_unraisable
from ...transport.log import Log

logger = Log("sync_h2.timers")


class Timed(Protocol):
    """What can be armed."""

    def on_timer(self, now: float) -> None:
        """Called on the timer thread, with no lock held, at or after the time armed."""


_Entry = tuple[float, "weakref.ref[Timed]"] | Callable[[], object]


class TimerThread:
    """The thread and its queue; `arm` and `run` may be called from any thread, under any lock."""

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        # Held, and released to wake the thread. (`SimpleQueue.get` may wait for ever if its time is up at once.)
        self._wake = allocate_lock()
        self._wake.acquire()
        # When the thread next looks at the entries without being woken; it does before it waits, while it is awake.
        self._looks_at = -math.inf
        self._starting = Lock()
        self._thread: threading.Thread | None = None

    def ensure_running(self) -> None:
        """Start the thread if it is not there; to be called, with no lock held, before the first `arm`."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="sync_h2-timers", daemon=True)
                    thread.start()
                    self._thread = thread

    def arm(self, when: float, target: weakref.ref[Timed]) -> None:
        """Have `target().on_timer(now)` called once `time.monotonic()` reaches `when`."""
        self._entries.append((when, target))
        if when < self._looks_at:
            self._wake_up()

    def run(self, job: Callable[[], object]) -> None:
        """Have `job()` called on the timer thread soon."""
        self._entries.append(job)
        if self._looks_at != -math.inf:
            self._wake_up()

    def _wake_up(self) -> None:
        with suppress(RuntimeError):  # somebody else has: "release unlocked lock"
            self._wake.release()

    def _run(self) -> None:
        heap: list[tuple[float, int, weakref.ref[Timed]]] = []
        count = 0
        while True:
            entry = self._next_entry()
            if entry is None:
                entry = self._wait_until(heap[0][0] if heap else math.inf)
            if isinstance(entry, tuple):
                count += 1
                heappush(heap, (entry[0], count, entry[1]))
            elif entry is not None:
                self._call(entry)
            del entry
            now = time.monotonic()
            while heap and heap[0][0] <= now:
                target = heappop(heap)[2]()
                if target is not None:
                    self._call(partial(target.on_timer, now))
                del target

    def _next_entry(self) -> _Entry | None:
        try:
            return self._entries.popleft()
        except IndexError:
            return None

    def _wait_until(self, moment: float) -> _Entry | None:
        self._looks_at = moment
        # Who left one before that was set has woken nobody. It is the deque's own lock that orders the two: who appends
        # after this has found nothing sees the moment.
        entry = self._next_entry()
        if entry is None:
            left = max(moment - time.monotonic(), 0)
            self._wake.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        self._looks_at = -math.inf
        return entry

    def _call(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Warning as warning:
            # A warning that filters made an error, on a thread that nobody joins: reported as those of finalizers are.
            report_unraisable(warning)
        except BaseException:  # SystemExit too: all sessions hang on this thread
            logger.exception("a timer's callback failed")


timers = TimerThread()


def _forget_in_child() -> None:
    # The thread did not survive the fork, and the queue's lock may have been held by it.
    timers.__init__()  # type: ignore[misc]  # the same object: other modules hold it


os.register_at_fork(after_in_child=_forget_in_child)
