"""Handlers on an executor that the user brings, behind the methods of `HandlerPool`.

Reader threads submit jobs; the executor's threads run them. The lock guards the table of futures alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for_futures

from ..deadline import Deadline
from ..errors import InvalidState
from .pool import Job, run_logged


class ExecutorPool:
    """Runs jobs on an executor of the user's, who decides how many run at once and which is next, and shuts it down."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._futures: dict[Hashable, set[Future[None]]] = {}
        self._shut_down = False

    def submit(self, key: Hashable, job: Job) -> bool:
        """Give `job` to the executor. Raises InvalidState when that has been shut down.

        False: nobody watches over the jobs that wait.
        """
        if self._shut_down:
            raise InvalidState("the handler pool has been shut down")
        try:
            future = self._executor.submit(run_logged, job)
        except RuntimeError as error:
            raise InvalidState(f"the executor takes no handler: {error}") from error
        with self._lock:
            self._futures.setdefault(key, set()).add(future)
        # Called at once if the job has run already.
        future.add_done_callback(lambda future: self._done(key, future))
        return False

    def forget(self, key: Hashable) -> None:
        """Cancel the jobs of `key` that have not started."""
        with self._lock:
            futures = list(self._futures.get(key, ()))
        for future in futures:
            future.cancel()

    def job_waits(self, give_up: Callable[[], None]) -> None:
        """The executor alone decides how many threads there are."""

    def waiting_jobs(self, key: Hashable) -> int:
        """None that is known of."""
        return 0

    def keep_worker(self, key: Hashable, wanted: bool) -> None:
        """The executor's threads are its own concern."""

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool:
        """Take no more jobs; True if all that were submitted have run. Not to be waited for in a job. The executor goes
        on.
        """
        self._shut_down = True
        with self._lock:
            futures = [future for of_key in self._futures.values() for future in of_key]
        return not wait_for_futures(futures, Deadline(timeout).remaining() if wait else 0).not_done

    def _done(self, key: Hashable, future: Future[None]) -> None:
        with self._lock:
            of_key = self._futures[key]
            of_key.discard(future)
            if not of_key:
                del self._futures[key]
