"""`session.ref()`: a session that keeps the interpreter from exiting.

The interpreter waits at its end for threads that are no daemons. The keeper is one, of one session, and waits in turn
for the session's end and for the listeners that hear of it, or for `unref`. From Python 3.12 on no thread can be
started once the main thread has ended, so what the session may need then runs from `ref` on and stays when idle: the
thread of its listeners, the writer, and a worker for a server's handlers.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..deadline import Deadline
from ..errors import InvalidState
from .waiting import WaitQueue

if TYPE_CHECKING:
    from .session import SessionCore


class Keeper:
    """The keeping of one session; the fields are guarded by its lock."""

    def __init__(self, session: SessionCore) -> None:
        self._session = session
        self._wanted = False
        self._thread: threading.Thread | None = None  # until it has left

    def ref(self) -> None:
        """Keep the interpreter from exiting; with no lock held. Raises `InvalidState` when no thread can be started."""
        session = self._session
        with session._monitor, session._lock:
            if session._gone:
                return
            self._wanted = True
            self._stay_locked(True)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="sync_h2-keeper", daemon=False)
            thread = self._thread
        session._stay_ready(True)
        with session._monitor, session._lock:
            too_late = session._gone or not self._wanted
        if too_late:  # for the end, or an `unref`, that has taken back what it found
            session._stay_ready(False)
        if thread.ident is None:
            try:
                thread.start()
            except RuntimeError as error:
                if thread.ident is not None:
                    return  # another thread's `ref` was faster
                with session._monitor, session._lock:
                    self._thread = None
                self.unref()
                raise InvalidState("no thread can be started that would keep the interpreter from exiting") from error

    def unref(self) -> None:
        """The interpreter may exit; with no lock held."""
        session = self._session
        with session._monitor, session._lock:
            if not self._wanted:
                return
            self._wanted = False
            self._stay_locked(False)
            session._ended.wake_all_locked()
            session._dispatcher.left.wake_all_locked()
        session._stay_ready(False)

    def _stay_locked(self, stays: bool) -> None:
        self._session._dispatcher.stay_locked(stays)
        self._session._sender.stay_locked(stays)

    def _keep(self) -> None:
        """The keeper's thread."""
        self._session._monitor.wait(self._may_leave_locked, Deadline(None), "the session to end")

    def _may_leave_locked(self) -> bool | WaitQueue:
        session = self._session
        if self._wanted:
            if not session._gone:
                return session._ended
            if session._dispatcher.running_locked:
                return session._dispatcher.left
        self._thread = None
        return True
