"""The threads that handlers run on: daemons, as many as it takes, shared fairly by the sessions.

Reader threads submit jobs, or run them themselves (see pool/readers.py); workers run the others, and while jobs wait a
watcher looks once a millisecond whether another worker would help (see pool/pace.py). A worker whose job waits for its
peer leaves the count until it goes on: how long that takes is the peer's choice, and a few octets would hold every
worker otherwise. The pool's one lock guards its tables and is never held while a job runs, a thread is started or
woken; callers hold no lock.
`concurrent.futures.ThreadPoolExecutor` would keep the interpreter from exiting while a handler is stuck, and would
serve whoever asks most.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from ...connection.shared.monitor import Waiter
from ...deadline import Deadline
from ...errors import InvalidState
from ...interpreter import Lock, SharedDict, threads_at_once
from ...transport.log import Log
from .jobs import Job, run_logged
from .pace import Pace
from .peer_waits import PeerWaits
from .readers import LOOK, Readers

IDLE_TIMEOUT = 5.0

_TICK = 0.001
_TICK_OF_A_THREAD = 2e-6  # to ask what the process has computed takes longer with each of its threads
_LONGEST_TICK = 0.01  # while nothing can be done for the jobs that wait
_IN_A_ROW = 7
"""How many more jobs of the same key a worker takes, as long as they are quick: answers of one session share sends."""
_RETRY = 1.0  # seconds until another worker is started after the system had no thread for one
_QUIET = 0.02  # seconds without a job that waits, or is a reader's: the watcher goes to sleep, or ends

_log = Log("sync_h2.server")


class HandlerPool:
    """Runs jobs on up to `max_workers` threads, beside those whose jobs wait for a peer, at most `max_waiting`.

    Keys whose jobs wait for a worker take turns, with one job each or some quick ones. A worker leaves after
    `idle_timeout` seconds without work. A job that raises is logged. `on_waiting(key)` is called, with no lock held,
    every few milliseconds for as long as jobs of `key` wait for a worker.
    """

    def __init__(
        self,
        max_workers: int,
        *,
        name: str,
        max_waiting: int = 1000,
        idle_timeout: float = IDLE_TIMEOUT,
        on_waiting: Callable[[Any], object] | None = None,
    ) -> None:
        self._max_workers = max_workers
        self._max_waiting = max_waiting
        self._name = name
        self._idle_timeout = idle_timeout
        self._on_waiting = on_waiting
        self._lock = Lock()
        # All below is guarded by the lock.
        # Keys that have jobs without a worker, with these; the next one first. (A dict finds its first key the later
        # the more were taken out before. Of an OrderedDict's calls those that look and take in one are slow where
        # `SharedDict` says so.)
        self._turns: OrderedDict[Hashable, deque[Job]] = OrderedDict()
        self._assigned: dict[int, Hashable] = SharedDict()  # the key of the job that a thread runs
        self._peer_waits = PeerWaits()
        self.readers = Readers(self, max_workers // 2)
        # Idle workers. Who became idle last is woken first, so that the others' time runs out. Whoever wakes one takes
        # it off the list first: a worker that is not on it when it wakes has been chosen.
        self._idle: list[Waiter] = []
        self._workers: dict[threading.Thread, Waiter] = {}  # those that have begun
        self._worker_count = 0  # those that are being started too
        self._workers_made = 0
        self._start_again_at = 0.0
        self._left = threading.Condition(self._lock)
        self._pace = Pace()
        self._shut_down = False
        # Who needs a worker to be there even when there is no work: at the interpreter's end none can be started.
        self._keeping: set[Hashable] = set()
        # The watcher's thread, whether it looks at the jobs or is about to be woken to do so, and whether it does. Who
        # is interrupted as it wakes it leaves one that sleeps: the next that needs it wakes it again.
        self._watcher: threading.Thread | None = None
        self._watching = False
        self._watcher_awake = False
        self._wake_watcher = Waiter()

    # -- Any thread, with no lock held --

    def submit(self, key: Hashable, *new: Job) -> bool:
        """Have each of these jobs run when it is its turn, without waiting for that. Raises InvalidState when they
        never can.

        True if `on_waiting` is called for as long as one of them waits.
        """
        with self._lock:
            if self._shut_down:
                raise InvalidState("the handler pool has been shut down")
            if key in self._turns:
                jobs = self._turns[key]
                jobs.extend(new)
            else:
                jobs = self._turns[key] = deque(new)  # in one step: none may be there without a job
            woken, starting = self._staff_locked(len(new))
            # They are as good as taken if there is a worker for each.
            watch = len(jobs) > len(woken) + starting and self._must_wake_watcher_locked()
        for waiter in woken:
            waiter.wake()
        for _ in range(starting):
            self._start_worker(partial(self._take_back_locked, key, new))
        if watch:
            self._watch_from_now_on()
        return self._watching

    def forget(self, key: Hashable) -> None:
        """Drop the jobs of `key` that have not started."""
        with self._lock:
            self._keep_locked(key, False)
            self.readers.forget_locked(key)
            dropped = self._turns.pop(key, None)
        # Out of the lock, because what the jobs refer to may go with them.
        del dropped

    def job_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        """The calling thread's job is about to wait for its peer: another may run meanwhile. To be called afterwards is
        what this returns, None on a thread that is no worker with a job.

        Beyond `max_waiting` of them, `give_up()` of the one that has waited for longest among those of the key that has
        most is called, with no lock held; it has to end that one's wait.
        """
        thread = threading.get_ident()
        self.readers.about_to_wait()
        with self._lock:
            key = self._assigned.get(thread)
            if key is None:
                return None
            self._peer_waits.begin(thread, key, give_up)
            ends = self._peer_waits.longest() if self._peer_waits.count > self._max_waiting else None
            woken, starting = self._staff_locked(1)
        for waiter in woken:
            waiter.wake()
        if starting:
            self._start_worker()
        if ends is not None:
            ends()
        return partial(self._job_goes_on, thread, key)

    def waiting_jobs(self, key: Hashable) -> int:
        """How many jobs of `key` wait for their peer. A look without the lock."""
        return self._peer_waits.of(key)

    def _job_goes_on(self, thread: int, key: Hashable) -> None:
        with self._lock:
            self._peer_waits.end(thread, key)

    def keep_worker(self, key: Hashable, wanted: bool) -> None:
        """Have at least one worker, and let the last one and the watcher stay when they are idle, from now on or, when
        not `wanted` or after `forget`, no longer.
        """
        with self._lock:
            self._keep_locked(key, wanted)
            wanted = wanted and not self._shut_down
            watch = wanted and self._must_wake_watcher_locked()
        if watch:
            self._watch_from_now_on()
        if wanted:
            self.submit(key, _nothing)

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool:
        """Take no more jobs, and let the workers leave when all that were submitted have run.

        True if they have; without `wait` that is unlikely yet. A worker that calls this does not wait for itself.
        """
        myself = threading.current_thread()
        with self._lock:
            self._shut_down = True
            self._idle = []
            waiters = [*self._workers.values(), self._wake_watcher]
        for waiter in waiters:
            waiter.wake()
        with self._lock:
            remaining = Deadline(timeout).remaining() if wait else 0
            return self._left.wait_for(
                lambda: self._worker_count <= (myself in self._workers) and self._watcher is None, remaining
            )

    # -- Workers --

    def _work(self) -> None:
        waiter = Waiter()
        with self._lock:
            self._workers[threading.current_thread()] = waiter
        thread = threading.get_ident()
        tick = -1
        in_a_row = 0
        job: Job | None
        while True:
            job = None
            with self._lock:
                done = self._assigned.pop(thread, None)
                if self._turns and self._active_locked() <= self._most_active_locked():
                    goes_on = in_a_row < _IN_A_ROW and self._pace.is_now(tick)
                    key, job = self._next_locked(done if goes_on else None)
                    self._assigned[thread] = key
                    in_a_row = in_a_row + 1 if key is done else 0
                    del key
                    tick = self._pace.began(tick)
                elif self._shut_down:
                    self._leave_locked()
                    return
                else:
                    self._idle.append(waiter)
                # The worker may be idle for long now, and this is a session.
                del done
            if job is not None:
                run_logged(job)
                del job
            elif not self._rest(waiter):
                return

    def _rest(self, waiter: Waiter) -> bool:
        """Wait for work; False is to leave."""
        while True:
            woken = waiter.block(self._idle_timeout)
            with self._lock:
                if waiter not in self._idle:  # chosen
                    return True
                # A wake that came too late for the last choice says nothing.
                if not woken and not (self._keeping and self._worker_count - self._peer_waits.count == 1):
                    self._idle.remove(waiter)
                    self._leave_locked()
                    return False

    # -- The watcher --

    def _watch(self) -> None:
        with self._lock:
            if self._watcher is not threading.current_thread():
                return  # another was started before this one had begun
        try:
            while True:
                woken = self._watching or self._wake_watcher.block(self._idle_timeout)
                self._watcher_awake = True
                self._tick_until_quiet()
                with self._lock:
                    self._watching = self._watcher_awake = bool(self._turns)
                    # A reader leaves its seat before it looks whether it is watched.
                    self._watching = self._watcher_awake = self._watching or self.readers.anybody_away
                    stays = self._keeping or (woken and len(self.readers))
                    if not self._watching and (self._shut_down or not stays):
                        self._watcher_left_locked()
                        return
        except BaseException:  # a MemoryError, say: the next job that waits gets another watcher
            with self._lock:
                self._watcher_left_locked()
            _log.exception("the watcher of the handler pool failed")

    def _tick_until_quiet(self) -> None:
        quiet = 0.0
        interval = _TICK
        moment, computed = time.monotonic(), time.process_time()
        while quiet < _QUIET:
            time.sleep(interval)
            now, computed_now = time.monotonic(), time.process_time()
            with self._lock:
                waiting = list(self._turns)
                if waiting:
                    passed = max(now - moment, _TICK)
                    cores_used = (computed_now - computed) / passed
                    self._pace.tick(self._active_locked(), passed, passed / interval, cores_used, threads_at_once())
                if self._shut_down and not waiting and not self.readers.anybody_away:
                    return
            moment, computed = now, computed_now
            self.readers.look()
            quiet = 0 if waiting or self.readers.busy else quiet + interval
            helped = self._staff()
            tick = max(threading.active_count() * _TICK_OF_A_THREAD, _TICK if waiting else LOOK)
            interval = tick if helped or not waiting else max(min(interval * 1.5, _LONGEST_TICK), tick)
            if self._on_waiting is not None:
                for key in waiting:
                    try:
                        self._on_waiting(key)
                    except Exception:
                        _log.exception("what waits for handlers was not told so")
                    del key
            del waiting

    def _is_watched(self) -> bool:
        """Have the watcher look from now on; False if there can be none."""
        if not self._watcher_awake:
            with self._lock:
                watch = self._must_wake_watcher_locked()
            if watch:
                self._watch_from_now_on()
        return self._watching

    # -- With the pool's lock held --

    def _keep_locked(self, key: Hashable, wanted: bool) -> None:
        (self._keeping.add if wanted else self._keeping.discard)(key)
        self.readers.suspended = bool(self._keeping)  # no thread might be had to read in place of one

    def _admits_reader_locked(self) -> bool:
        return not self._shut_down and self._worker_count + len(self.readers) < self._max_workers

    def _becomes_worker_locked(self, thread: int, key: Hashable) -> None:
        self._worker_count += 1
        self._assigned.setdefault(thread, key)

    def _worker_ends_locked(self, thread: int) -> None:
        del self._assigned[thread]
        self._worker_count -= 1
        self._left.notify_all()

    def _begin_next_locked(self, thread: int) -> Job | None:
        if not self._turns:
            return None
        self._assigned[thread], job = self._next_locked(None)
        return job

    def _job_done_locked(self, thread: int) -> None:
        del self._assigned[thread]

    def _active_locked(self) -> int:
        """How many workers have a job that does not wait for its peer, or are about to look for one."""
        return self._worker_count - len(self._idle) - self._peer_waits.count

    def _most_active_locked(self) -> int:
        return min(self._pace.allowed, self._max_workers - len(self.readers))

    def _staff_locked(self, most: int) -> tuple[list[Waiter], int]:
        """Up to `most` workers more where jobs wait for them: those to wake, and how many are to be started."""
        wanted = 0
        if self._turns:
            if self.readers and self._active_locked() >= self._max_workers - len(self.readers):
                self.readers.dismiss_idle_locked()
            # An active one may be about to take a job; then this one finds none, and rests again.
            wanted = min(most, self._most_active_locked() - self._active_locked())
        if wanted > 1:
            wanted = min(wanted, sum(len(jobs) for jobs in self._turns.values()))
        woken = [self._idle.pop() for _ in range(min(wanted, len(self._idle)))]
        starting = max(wanted - len(woken), 0)
        if starting and self._worker_count and time.monotonic() < self._start_again_at:
            starting = 0
        self._worker_count += starting
        return woken, starting

    def _next_locked(self, preferred: Hashable | None) -> tuple[Hashable, Job]:
        key = preferred if preferred in self._turns else next(iter(self._turns))
        jobs = self._turns[key]
        job = jobs.popleft()
        if jobs:
            self._turns.move_to_end(key)
        else:
            del self._turns[key]
        return key, job

    def _take_back_locked(self, key: Hashable, given: Sequence[Job]) -> bool:
        jobs = self._turns.get(key)
        if jobs is None or given[0] not in jobs:
            return False
        left = [job for job in jobs if job not in given]
        if left:
            self._turns[key] = deque(left)
        else:
            del self._turns[key]
        return True

    def _must_wake_watcher_locked(self) -> bool:
        """Whether the watcher has to be woken, or started; the caller does it."""
        if self._watcher_awake:
            return False
        self._watching = True
        return True

    def _watcher_left_locked(self) -> None:
        self._watcher = None
        self._watching = self._watcher_awake = False
        self._left.notify_all()

    def _leave_locked(self) -> None:
        self._workers.pop(threading.current_thread(), None)
        self._worker_count -= 1
        self._left.notify_all()

    # -- A submitting thread or the watcher, with no lock held --

    def _staff(self) -> bool:
        """Wake or start all the workers that may run and have something to do; whether there were any."""
        with self._lock:
            woken, starting = self._staff_locked(self._max_workers)
        for waiter in woken:
            waiter.wake()
        for _ in range(starting):
            self._start_worker()
        return bool(woken) or starting > 0

    def _start_worker(self, on_nobody: Callable[[], bool] | None = None) -> None:
        """Start a worker that has been counted. When that fails and there is no other, `on_nobody` may take the job
        back: then the failure is raised.
        """
        with self._lock:
            self._workers_made += 1
            name = f"{self._name}-{self._workers_made}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError as error:  # the system has no more threads, or the interpreter is about to exit
            with self._lock:
                self._worker_count -= 1
                self._start_again_at = time.monotonic() + _RETRY
                self._left.notify_all()
                stranded = not self._worker_count and on_nobody is not None and on_nobody()
            if stranded:
                raise InvalidState("no thread can be started to run a handler") from error
            _log.warning("no thread can be started for one more worker; handlers wait for the others")
            with self._lock:
                watch = bool(self._turns) and self._must_wake_watcher_locked()
            if watch:  # it tries again
                self._watch_from_now_on()

    def _watch_from_now_on(self) -> None:
        watcher = threading.Thread(target=self._watch, name=f"{self._name}s-watcher", daemon=True)
        with self._lock:
            start = self._watcher is None or not self._watcher.is_alive()
            if start:
                self._watcher = watcher
        if start:
            try:
                watcher.start()
            except RuntimeError:
                with self._lock:
                    self._watcher_left_locked()
                    self._pace.allowed = self._max_workers  # nobody is there to raise it
                _log.warning("no thread can be started to watch over the handlers that wait")
                self._staff()
        self._wake_watcher.wake()


def _nothing() -> None:
    """A job that only takes a worker to run."""
