"""The lock of a session, and waiting for what it guards.

Rules that every user of this module keeps (debug mode checks them):

- One `Monitor` per session; its lock guards everything that the session and its streams hold. A critical section is
  always written `with monitor, monitor.lock:`; the lock is released by C code, so that no interrupt can leak it.
- A thread takes it once: a second time raises. No thread takes one monitor while it holds another.
- Inside, nothing blocks and no foreign code runs. What has to happen then (waking threads, starting them, handing
  jobs to a pool) is left with `after_unlock` and done by the thread that leaves, once the lock is free: a woken
  thread never runs into the lock that its waker still holds.
- An exception of ours (`HTTP2Error`) that leaves a critical section was raised before anything changed. Any other, a
  KeyboardInterrupt above all, may have struck in the middle of a change: `on_broken` then ends the session.
- Waiting: a waiter is enlisted before the lock is released; whoever makes its condition true takes it off the list
  under the lock and wakes it after. A woken thread takes the lock and looks again. One that times out looks once more
  before it gives up.
"""

from __future__ import annotations

import os
import threading
import weakref
from _thread import get_ident
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

from ...deadline import Deadline
from ...errors import HTTP2Error, InvalidState, SessionClosed, Timeout
from ...interpreter import FREE_THREADED_BUILD, taken_lock
from ...transport.log import Log
from .timers import timers

T = TypeVar("T")

DEBUG = os.environ.get("SYNC_H2_DEBUG", "") not in ("", "0")
"""Check the rules above at run time. On in the tests."""

logger = Log("sync_h2.connection")

_entered = threading.local()
MAIN_THREAD = threading.main_thread().ident

_LONGEST_DEAF = 0.5
"""Seconds for which the main thread is blocked at a time. A signal that comes as it is about to block, or that another
thread gets, does not wake it; the handler runs when it next runs Python. On a free-threaded build it is so with all
threads: what one has made and others have dropped is finalized then.
"""


class Monitor:
    """A session's lock with what waits for its release. `on_broken(error)` is called, unlocked, after a change was
    cut short.
    """

    __slots__ = (
        "__weakref__",
        "_after_unlock",
        "_owned",
        "_standing_by",
        "lock",
        "may_not_wait",
        "on_broken",
        "refusal",
    )

    def __init__(self, on_broken: Callable[[BaseException], None]) -> None:
        # An RLock because CPython's records its owner in C; it is never taken recursively.
        self.lock = threading.RLock()
        self._owned: Callable[[], bool] = getattr(self.lock, "_is_owned")  # noqa: B009 - missing in typeshed
        self._after_unlock: list[Callable[[], object]] = []  # a deque takes 600 octets, and most sessions are idle
        self._standing_by = False
        self.on_broken = on_broken
        # A thread whose waiting nobody could end: the one that will read, while it still runs listeners.
        self.may_not_wait = 0
        # What entering raises in a forked child: the lock may have been held by a thread that is not there.
        self.refusal: HTTP2Error | None = None
        _monitors.add(self)

    def __enter__(self) -> None:
        if self.refusal is not None:
            raise self.refusal.again()
        if self._owned():
            raise RuntimeError("a thread takes its session's lock twice")
        if DEBUG:
            other = getattr(_entered, "monitor", None)
            if other is not None and other.owned:
                raise RuntimeError("a thread takes a second session's lock")
            _entered.monitor = self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._owned():
            self.lock.release()  # the exception struck just before the lock's own release
        if DEBUG:
            _entered.monitor = None
        if self._after_unlock:
            self._run_after_unlock()
        if error is not None and not isinstance(error, HTTP2Error):
            self.on_broken(error)

    def _run_after_unlock(self) -> None:
        # Several threads may do this at once: each action is taken by one of them. Taking it is a step of the iterator,
        # in C, so that no interrupt falls between the list and `action`; an action that is interrupted is put back,
        # and may so run twice.
        action: Callable[[], object] | None = None
        failure: Exception | None = None
        try:
            for action in iter(partial(self._after_unlock.pop, 0), None):
                failure = _run(action) or failure
                action = None
        except IndexError:
            pass  # the list is empty
        except BaseException:
            if action is not None:
                self._after_unlock.insert(0, action)
                timers.run(self._stand_by)
            raise
        if failure is not None:
            self.on_broken(failure)  # somebody may wait for what was not done

    def _stand_by(self) -> None:
        """Leave a critical section in place of a main thread that was interrupted on its way out. On the timer
        thread.
        """
        with self, self.lock:
            self._standing_by = False

    @property
    def owned(self) -> bool:
        """Whether the calling thread is inside: for assertions."""
        return self._owned()

    def after_unlock(self, action: Callable[[], object], *, stand_by: bool = True) -> None:
        """Have `action()` called by the thread that leaves the critical section, after it released the lock.

        An interrupt may cause it to be called twice, or by another thread; without `stand_by` perhaps only when the
        lock is next released.
        """
        self._after_unlock.append(action)
        # The main thread is the one that a KeyboardInterrupt may stop on its way out, before it has run the actions.
        if stand_by and get_ident() == MAIN_THREAD and not self._standing_by:
            self._standing_by = True
            timers.run(self._stand_by)

    def wait(
        self,
        attempt: Callable[[], T | WaitQueue],
        deadline: Deadline,
        what: str,
        stream_id: int | None = None,
        before_blocking: Callable[[], Callable[[], None] | None] | None = None,
    ) -> T:
        """Call `attempt` under the lock until it returns a result instead of the queue to wait in; blocks.

        Each time the thread is about to block `before_blocking()` is called, and what that returns when it goes on,
        with no lock held. Raises `Timeout` ("... while waiting for `what`") when `deadline` passes, and whatever
        `attempt` raises.
        """
        while True:
            with self, self.lock:
                outcome = attempt()
                if not isinstance(outcome, WaitQueue):
                    return outcome
                if get_ident() == self.may_not_wait:
                    raise InvalidState(
                        f"waiting for {what} here would be for ever: nothing is read before this returns"
                    )
                waiter = outcome.enlist_locked()
            after_blocking = None
            try:
                try:
                    if before_blocking is not None:
                        after_blocking = before_blocking()
                    woken = waiter.block(deadline.remaining())
                finally:
                    if after_blocking is not None:
                        after_blocking()
            except BaseException:
                with self, self.lock:
                    outcome.withdraw_locked(waiter)
                raise
            if not woken:
                with self, self.lock:
                    outcome.withdraw_locked(waiter)
                    last_outcome = attempt()
                if not isinstance(last_outcome, WaitQueue):
                    return last_outcome
                if deadline.expired:  # an attempt that saw progress may have restarted it
                    raise Timeout(f"timed out while waiting for {what}", stream_id=stream_id)


def _run(action: Callable[[], object]) -> Exception | None:
    """Run an action; again if it fails, because what it is to wake stands in no queue any more."""
    failure: Exception | None = None
    for _ in range(2):
        try:
            action()
        except Exception as error:
            logger.exception("%r failed", action)
            failure = error
        else:
            break
    return failure


_monitors: weakref.WeakSet[Monitor] = weakref.WeakSet()


def _refuse_in_child() -> None:
    global MAIN_THREAD
    MAIN_THREAD = get_ident()
    for monitor in list(_monitors):
        monitor.refusal = SessionClosed("it belongs to the parent process: a forked child has no part in it")


os.register_at_fork(after_in_child=_refuse_in_child)


class Waiter:
    """One blocked thread, until somebody wakes it."""

    __slots__ = ("_wake", "thread_id")

    def __init__(self) -> None:
        self.thread_id = get_ident()
        self._wake = taken_lock()

    def block(self, timeout: float | None) -> bool:
        """Block the calling thread until woken (True) or for `timeout` seconds (False)."""
        if not FREE_THREADED_BUILD and get_ident() != MAIN_THREAD:
            if timeout is None:
                return self._wake.acquire()
            # The longest wait that the platform's lock takes (threading.TIMEOUT_MAX is about 292 years on Linux, 49
            # days elsewhere).
            return self._wake.acquire(True, min(timeout, threading.TIMEOUT_MAX))
        deadline = Deadline(timeout)
        while True:
            remaining = deadline.remaining()
            if self._wake.acquire(True, _LONGEST_DEAF if remaining is None else min(remaining, _LONGEST_DEAF)):
                return True
            if deadline.expired:
                return False

    def wake(self) -> None:
        """Wake the thread; a second time does nothing."""
        try:  # noqa: SIM105 - `suppress` takes three times as long
            self._wake.release()
        except RuntimeError:  # "release unlocked lock"
            pass


class WaitQueue:
    """Threads that wait for one condition. All methods need the monitor's lock."""

    __slots__ = ("_monitor", "_waiters")

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        # A list only while there are some: each stream has two queues, and as a rule nobody waits.
        self._waiters: list[Waiter] | tuple[()] = ()

    @property
    def waiting(self) -> bool:
        """Whether any thread waits here."""
        return bool(self._waiters)

    @property
    def thread_ids(self) -> list[int]:
        """The threads that wait here, in the order in which they came."""
        return [waiter.thread_id for waiter in self._waiters]

    def enlist_locked(self) -> Waiter:
        assert not DEBUG or self._monitor.owned
        waiter = Waiter()
        if self._waiters:
            self._waiters.append(waiter)
        else:
            self._waiters = [waiter]
        return waiter

    def withdraw_locked(self, waiter: Waiter) -> None:
        """Take back a waiter that was not woken; nothing if it was: its wake can harm nobody any more."""
        if self._waiters and waiter in self._waiters:
            self._waiters.remove(waiter)

    def wake_all_locked(self) -> None:
        assert not DEBUG or self._monitor.owned
        if self._waiters:
            for waiter in self._waiters:
                self._monitor.after_unlock(waiter.wake)
            self._waiters = ()
