"""`session.ref()`: a session that keeps the interpreter from exiting.

The interpreter waits at its end for threads that are no daemons. The keeper is one, of one session, and waits in turn
for the session's end and for the listeners that hear of it, or for `unref`. From Python 3.12 on no thread can be
started once the main thread has ended, so what the session may need then runs from `ref` on and stays when idle: the
thread of its listeners, the writer, and a worker for a server's handlers.
"""

from __future__ import annotations

import threading
from typing import Protocol

from ...deadline import Deadline
from ...errors import InvalidState
from ..sending.sender import Sender
from ..shared.listeners import Dispatcher
from ..shared.monitor import Monitor, WaitQueue


class Kept(Protocol):
    """What a keeper needs of its session."""

    _monitor: Monitor
    _sender: Sender
    _dispatcher: Dispatcher
    _ended: WaitQueue
    _gone: bool

    def _stay_ready(self, stays: bool) -> None:
        """Whether what runs handlers has to be there when it is idle; called with no lock held."""


class Keeper:
    """The keeping of one session; the fields are guarded by its lock."""

    def __init__(self, session: Kept) -> None:
        self._session = session
        self._wanted = False
        self._running = False  # its thread is there, or is being started
        self._begun = False
        self._changed = WaitQueue(session._monitor)  # the thread has begun, or left
        self._failure: RuntimeError | None = None

    def ref(self) -> None:
        """Keep the interpreter from exiting; with no lock held. Raises `InvalidState` when no thread can be started."""
        session = self._session
        with session._monitor, session._monitor.lock:
            if session._gone:
                return
            self._wanted = True
            self._stay_locked(True)
            if not self._running:
                self._failure = None
                session._monitor.after_unlock(self._start)
                self._running = True
        session._stay_ready(True)
        self._wait_for_threads()
        with session._monitor, session._monitor.lock:
            failure = self._failure
            too_late = session._gone or not self._wanted
        if too_late:  # for the end, or an `unref`, that has taken back what it found
            session._stay_ready(False)
        if failure is not None:
            raise InvalidState("no thread can be started that would keep the interpreter from exiting") from failure

    def unref(self) -> None:
        """The interpreter may exit; with no lock held."""
        session = self._session
        with session._monitor, session._monitor.lock:
            if not self._wanted:
                return
            self._no_longer_locked()
        session._stay_ready(False)

    def _no_longer_locked(self) -> None:
        self._wanted = False
        self._stay_locked(False)
        self._session._ended.wake_all_locked()
        self._session._dispatcher.changed.wake_all_locked()

    def _wait_for_threads(self) -> None:
        """Wait until the threads that are being started, by whichever thread left the lock, are there: the main thread
        may end next. (Not by `Monitor.wait`, which refuses the thread that will read: this needs nothing to be read.)
        """
        session = self._session
        while True:
            with session._monitor, session._monitor.lock:
                if self._running and not self._begun:
                    waiter = self._changed.enlist_locked()
                elif session._dispatcher.starting_locked:
                    waiter = session._dispatcher.changed.enlist_locked()
                elif session._sender.writer.starting_locked:
                    waiter = session._sender.changed.enlist_locked()
                else:
                    return
            waiter.block(None)

    def _stay_locked(self, stays: bool) -> None:
        self._session._dispatcher.stay_locked(stays)
        self._session._sender.writer.stay_locked(stays)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._keep, name="sync_h2-keeper", daemon=False).start()
        except RuntimeError as error:  # the process has too many, or its main thread has ended
            with self._session._monitor, self._session._monitor.lock:
                self._failure = error
                self._running = False
                self._changed.wake_all_locked()
                self._no_longer_locked()

    # -- the keeper's thread

    def _keep(self) -> None:
        with self._session._monitor, self._session._monitor.lock:
            if self._begun or not self._running:
                return  # started twice, because an interrupt fell into the start
            self._begun = True
            self._changed.wake_all_locked()
        self._session._monitor.wait(self._may_leave_locked, Deadline(None), "the session to end")

    def _may_leave_locked(self) -> bool | WaitQueue:
        session = self._session
        if self._wanted:
            if not session._gone:
                return session._ended
            if session._dispatcher.running_locked:
                return session._dispatcher.changed
        self._running = self._begun = False
        self._changed.wake_all_locked()
        return True
