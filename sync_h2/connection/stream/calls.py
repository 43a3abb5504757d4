"""How the calls on a stream wait for its session, and what they raise when it has ended. Any thread."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ...deadline import Deadline
from ...errors import HTTP2Error, InvalidState, Timeout
from ..session.session import Session
from ..shared.listeners import Observable
from ..shared.monitor import WaitQueue
from ..shared.stream_state import StreamState

T = TypeVar("T")


class StreamCalls(Observable):
    """What reading and writing have in common, and what a role adds to them."""

    __slots__ = ("__weakref__", "_listeners", "_lock", "_monitor", "_session", "_state")

    # Set by `Stream`.
    _session: Session
    _state: StreamState
    _lock: AbstractContextManager[Any]

    _answers = False  # whether our side is the answer: a server's stream

    def _wait(self, attempt: Callable[[], T | WaitQueue], deadline: Deadline, what: str) -> T:
        return self._monitor.wait(attempt, deadline, what, self._state.id, self._before_blocking)

    def _wait_for_peer(self, attempt: Callable[[], T | WaitQueue], deadline: Deadline, what: str) -> T:
        """For what the peer sends: why it does not may be known."""
        try:
            return self._wait(attempt, deadline, what)
        except Timeout as error:
            error.message += self._why_nothing_comes
            raise

    @property
    def _why_nothing_comes(self) -> str:
        return ""

    def _read_deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._session._limits.read_timeout if timeout is None else timeout)

    def _write_deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._session._limits.write_timeout if timeout is None else timeout)

    def _progress(self, deadline: Deadline, timeout: float | None, since: float) -> None:
        """The session's default is a time without progress, and the last was at `since`: whoever waits for more than
        that is not woken by it. A timeout of the caller's is for the whole call.
        """
        self._state.touch()
        if timeout is None:
            deadline.restart(since)

    def _closed_error_locked(self) -> HTTP2Error:
        error = self._state.error
        if error is None:
            return InvalidState("the stream is closed", stream_id=self._state.id)
        return error.again(self._state.id)

    def _raise_if_closed(self) -> None:
        with self._monitor, self._lock:
            self._raise_if_closed_locked()

    def _raise_if_closed_locked(self) -> None:
        if self._state.closed:
            raise self._closed_error_locked()

    # What a role does before a call blocks, and returns for when that goes on (see `Monitor.wait`).
    _before_blocking: Callable[[], Callable[[], None] | None] | None = None

    def _before_reading(self) -> None:
        """What a role does before it reads."""

    def _before_writing(self, length: int, *, ends: bool) -> None:
        """What a role does before it writes `length` bytes and has sent no headers, the last ones if it `ends` so."""
