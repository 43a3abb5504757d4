"""Handlers on an executor that the user brings, behind the methods of `HandlerPool`.

Reader threads submit jobs; the executor's threads run them. The lock guards the futures, and how many jobs
wait; each thread has an entry of its own among the keys.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for_futures
from functools import partial

from ...connection.server_side.handling_session import JobsRefused
from ...deadline import Deadline
from ...errors import InvalidState
from ...interpreter import Lock
from .jobs import Job, run_logged


class ExecutorPool:
    """Runs jobs on an executor of the user's, who decides how many run at once and which is next, and shuts it down."""

    readers = None

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = Lock()
        self._futures: dict[Hashable, set[Future[None]]] = {}
        self._keys: dict[int, Hashable] = {}  # by thread, the key of the job that it runs
        self._at_peers: Counter[Hashable] = Counter()  # jobs that wait for their peers
        self._shut_down = False

    def submit(self, key: Hashable, *new: Job) -> bool:
        """Give these jobs to the executor. Raises `JobsRefused` for those that it does not take, and InvalidState when
        this has been shut down.

        False: nobody watches over the jobs that wait.
        """
        if self._shut_down:
            raise InvalidState("the handler pool has been shut down")
        refused: list[Job] = []
        reason: RuntimeError | None = None
        for job in new:
            try:
                future = self._executor.submit(self._run, key, job)
            except RuntimeError as error:
                reason = error
                refused.append(job)
                continue
            with self._lock:
                self._futures.setdefault(key, set()).add(future)
            # Called at once if the job has run already.
            future.add_done_callback(lambda future: self._done(key, future))
        if reason is not None:
            refusal = JobsRefused(f"the executor takes no handler: {reason}")
            refusal.jobs = refused
            raise refusal from reason
        return False

    def forget(self, key: Hashable) -> None:
        """Cancel the jobs of `key` that have not started."""
        with self._lock:
            futures = list(self._futures.get(key, ()))
        for future in futures:
            future.cancel()

    def job_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        """As in `HandlerPool`; but the executor alone decides how many threads there are, so nobody has to give up."""
        key = self._keys.get(threading.get_ident())
        if key is None:
            return None
        with self._lock:
            self._at_peers[key] += 1
        return partial(self._goes_on, key)

    def _goes_on(self, key: Hashable) -> None:
        with self._lock:
            self._at_peers[key] -= 1
            if not self._at_peers[key]:
                del self._at_peers[key]

    def waiting_jobs(self, key: Hashable) -> int:
        """How many jobs of `key` wait for their peer. A look without the lock."""
        return self._at_peers[key]

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

    def _run(self, key: Hashable, job: Job) -> None:
        thread = threading.get_ident()
        self._keys[thread] = key
        try:
            run_logged(job)
        finally:
            self._keys.pop(thread, None)  # gone if the executor ran another job within this one

    def _done(self, key: Hashable, future: Future[None]) -> None:
        with self._lock:
            of_key = self._futures[key]
            of_key.discard(future)
            if not of_key:
                del self._futures[key]
