"""The threads that handlers run on: daemons, as many as there is work for, shared fairly by the sessions.

Reader threads submit jobs, workers run them. The pool's one lock guards its tables and is never held while a job runs,
a thread is started or a worker woken; callers hold no lock. `concurrent.futures.ThreadPoolExecutor` would keep the
interpreter from exiting while a handler is stuck, and would serve whoever asks most.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for_futures

from ..deadline import Deadline
from ..errors import InvalidState

Job = Callable[[], None]

IDLE_TIMEOUT = 5.0

_log = logging.getLogger("sync_h2.server")


class _Account:
    """The jobs of one key: those that wait, and how many run."""

    __slots__ = ("key", "running", "waiting")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.waiting: deque[Job] = deque()
        self.running = 0


_Assignment = tuple[_Account, Job]
_Inbox = queue.SimpleQueue[_Assignment | None]


class HandlerPool:
    """Runs jobs on up to `max_workers` threads; the jobs of one key on at most a quarter of them.

    Keys whose jobs wait take turns. A worker is started when a job finds none idle, and leaves after `idle_timeout`
    seconds without work. A job that raises is logged.
    """

    def __init__(self, max_workers: int, *, name: str, idle_timeout: float = IDLE_TIMEOUT) -> None:
        self._max_workers = max_workers
        self._share = max(1, max_workers // 4)
        self._name = name
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        # All below is guarded by the lock.
        self._accounts: dict[Hashable, _Account] = {}
        # Accounts that have a waiting job and may run one more, the next one first.
        self._turns: OrderedDict[Hashable, _Account] = OrderedDict()
        # The inboxes of idle workers. Who became idle last is served first, so that the others' time runs out.
        self._idle: list[_Inbox] = []
        self._workers: set[threading.Thread] = set()
        self._worker_left = threading.Condition(self._lock)
        self._workers_made = 0
        self._shut_down = False
        # Who needs a worker to be there even when there is no work: at the interpreter's end none can be started.
        self._keeping: set[Hashable] = set()

    # -- Any thread, with no lock held --

    def submit(self, key: Hashable, job: Job) -> None:
        """Have `job` run when it is its turn, without waiting for that. Raises InvalidState when it never can."""
        with self._lock:
            if self._shut_down:
                raise InvalidState("the handler pool has been shut down")
            account = self._accounts.get(key)
            if account is None:
                account = self._accounts[key] = _Account(key)
            account.waiting.append(job)
            if account.running == self._share:
                return
            self._turns[key] = account
            if self._idle:
                assignment = self._next_locked()
                inbox = self._idle.pop()
                worker = None
            elif len(self._workers) < self._max_workers:
                self._workers_made += 1
                worker = threading.Thread(target=self._work, name=f"{self._name}-{self._workers_made}", daemon=True)
                self._workers.add(worker)
            else:
                return
        if worker is None:
            inbox.put(assignment)
        else:
            self._start(worker, account, job)

    def forget(self, key: Hashable) -> None:
        """Drop the jobs of `key` that have not started."""
        with self._lock:
            self._keeping.discard(key)
            account = self._accounts.get(key)
            if account is None:
                return
            dropped, account.waiting = account.waiting, deque()
            self._settle_locked(account)
        # Out of the lock, because what the jobs refer to may go with them.
        dropped.clear()

    def keep_worker(self, key: Hashable, wanted: bool) -> None:
        """Have at least one worker, and let the last one stay when it is idle, from now on or, when not `wanted` or
        after `forget`, no longer.
        """
        with self._lock:
            (self._keeping.add if wanted else self._keeping.discard)(key)
            wanted = wanted and not self._shut_down
        if wanted:
            self.submit(key, _nothing)

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool:
        """Take no more jobs, and let the workers leave when all that were submitted have run.

        True if they have; without `wait` that is unlikely yet. A worker that calls this does not wait for itself.
        """
        myself = {threading.current_thread()}
        with self._lock:
            self._shut_down = True
            for inbox in self._idle:
                inbox.put(None)  # never blocks, so it may stand under the lock; one that gets two leaves at the first
            self._idle.clear()
            remaining = Deadline(timeout).remaining() if wait else 0
            return self._worker_left.wait_for(lambda: self._workers <= myself, remaining)

    # -- Workers --

    def _work(self) -> None:
        inbox: _Inbox = queue.SimpleQueue()
        while assignment := self._next(inbox):
            account, job = assignment
            _run(job)
            with self._lock:
                account.running -= 1
                self._settle_locked(account)
            # The worker may be idle for long now, and these refer to a session.
            del assignment, account, job

    def _next(self, inbox: _Inbox) -> _Assignment | None:
        """Wait for something to do; None is to leave."""
        with self._lock:
            if assignment := self._next_locked():
                return assignment
            if self._shut_down:
                self._leave_locked(threading.current_thread())
                return None
            self._idle.append(inbox)
        while True:
            try:
                assignment = inbox.get(timeout=self._idle_timeout)
                break
            except queue.Empty:
                with self._lock:
                    # If it is not among the idle, somebody chose it just now, and the assignment is on its way.
                    if inbox in self._idle and not (self._keeping and len(self._workers) == 1):
                        self._idle.remove(inbox)
                        self._leave_locked(threading.current_thread())
                        return None
        if assignment is None:
            with self._lock:
                self._leave_locked(threading.current_thread())
        return assignment

    # -- With the pool's lock held --

    def _next_locked(self) -> _Assignment | None:
        if not self._turns:
            return None
        _, account = self._turns.popitem(last=False)
        job = account.waiting.popleft()
        account.running += 1
        self._settle_locked(account)
        return account, job

    def _settle_locked(self, account: _Account) -> None:
        """Put `account` into the tables it belongs to, and only those."""
        if account.waiting and account.running < self._share:
            self._turns.setdefault(account.key, account)
        else:
            self._turns.pop(account.key, None)
        if not account.waiting and not account.running:
            del self._accounts[account.key]

    def _leave_locked(self, worker: threading.Thread) -> None:
        self._workers.discard(worker)
        self._worker_left.notify_all()

    # -- A submitting thread, with no lock held --

    def _start(self, worker: threading.Thread, account: _Account, job: Job) -> None:
        try:
            worker.start()
        except RuntimeError as error:  # the system has no more threads, or the interpreter is about to exit
            with self._lock:
                self._leave_locked(worker)
                stranded = not self._workers and job in account.waiting
                if stranded:
                    account.waiting.remove(job)
                    self._settle_locked(account)
            if stranded:
                raise InvalidState("no thread can be started to run a handler") from error
            _log.warning("no thread can be started for one more worker; handlers wait for the others")


class ExecutorPool:
    """The same over an executor of the user's, who decides how many jobs run at once and which is next, and who shuts
    it down.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._futures: dict[Hashable, set[Future[None]]] = {}
        self._shut_down = False

    def submit(self, key: Hashable, job: Job) -> None:
        """Give `job` to the executor. Raises InvalidState when that has been shut down."""
        if self._shut_down:
            raise InvalidState("the handler pool has been shut down")
        try:
            future = self._executor.submit(_run, job)
        except RuntimeError as error:
            raise InvalidState(f"the executor takes no handler: {error}") from error
        with self._lock:
            self._futures.setdefault(key, set()).add(future)
        # Called at once if the job has run already.
        future.add_done_callback(lambda future: self._done(key, future))

    def forget(self, key: Hashable) -> None:
        """Cancel the jobs of `key` that have not started."""
        with self._lock:
            futures = list(self._futures.get(key, ()))
        for future in futures:
            future.cancel()

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


def _nothing() -> None:
    """A job that only takes a worker to run."""


def _run(job: Job) -> None:
    try:
        job()
    except BaseException:  # SystemExit too: a handler that calls `sys.exit` ends itself, not its worker
        _log.exception("a job of the handler pool failed")
