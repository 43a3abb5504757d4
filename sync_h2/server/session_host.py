"""What the sessions of a server ask of it (`connection.server_side.server_session.Host`), as far as its pool answers
that. Called on readers' threads, the pool's and users', with no lock held.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from ..connection.server_side.quick_handlers import QuickHandlingSession
from ..connection.server_side.server_session import ServerSession
from ..errors import HTTP2Error, InvalidArgument
from .pool.executor_pool import ExecutorPool
from .pool.handler_pool import HandlerPool
from .pool.jobs import Job
from .pool.pool import Pool


class SessionHost:
    """The base of what sessions belong to."""

    _pool: Pool
    _workers_option = "max_workers"

    def _submit(self, session: ServerSession, *jobs: Job) -> bool:
        return self._pool.submit(session, *jobs)

    def _reader_leaves(self, session: QuickHandlingSession) -> object | None:
        readers = self._pool.readers
        return None if readers is None else readers.leaves(session)

    def _reader_helps(self, session: QuickHandlingSession, absence: object, slow: bool) -> None:
        if self._pool.readers is not None:
            self._pool.readers.help_out(session, absence, slow)

    def _reader_ends(self, session: QuickHandlingSession) -> None:
        if self._pool.readers is not None:
            self._pool.readers.ends()

    def _handler_takes_long(self) -> None:
        if self._pool.readers is not None:
            self._pool.readers.rest_for_good()

    def _handler_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        return self._pool.job_waits(give_up)

    def _handlers_that_wait(self, session: ServerSession) -> int:
        return self._pool.waiting_jobs(session)

    def _keep_worker(self, session: ServerSession, wanted: bool) -> None:
        self._pool.keep_worker(session, wanted)

    def _memory_changed(self, session: ServerSession) -> None:
        """Nobody minds."""

    def _session_idle(self, session: ServerSession) -> bool:
        """Nobody listens."""
        return False

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        self._pool.forget(session)


def make_pool(max_workers: int, max_waiting: int, executor: Executor | None) -> Pool:
    """Where the handlers of sessions run: on an executor of the user's, or on threads of ours."""
    if not isinstance(max_workers, int) or max_workers < 1:
        raise InvalidArgument(f"max_workers must be a number of at least 1, not {max_workers!r}")
    if executor is not None:
        return ExecutorPool(executor)
    return HandlerPool(
        max_workers, name="sync_h2-handler", max_waiting=max_waiting, on_waiting=ServerSession._handlers_wait
    )
