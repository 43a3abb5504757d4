from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from support.threads.interrupts import Tracer
from sync_h2.connection.server_side.handling_session import JobsRefused
from sync_h2.connection.shared.monitor import Waiter
from sync_h2.errors import InvalidState
from sync_h2.server.pool import handler_pool as pool_module
from sync_h2.server.pool.executor_pool import ExecutorPool
from sync_h2.server.pool.handler_pool import HandlerPool
from sync_h2.server.pool.pace import Pace

TIMEOUT = 20.0

MakePool = Callable[..., HandlerPool]


class Jobs:
    """Jobs that note that they started, in order, and stay until they are let go."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._free: set[str] = set()
        self.started: list[str] = []
        self.ended: list[str] = []
        self.threads: set[threading.Thread] = set()

    def job(self, name: str) -> Callable[[], None]:
        def run() -> None:
            with self._condition:
                self.started.append(name)
                self.threads.add(threading.current_thread())
                self._condition.notify_all()
                assert self._condition.wait_for(lambda: name in self._free, TIMEOUT)
                self.ended.append(name)
                self._condition.notify_all()

        return run

    def let_go(self, *names: str) -> None:
        with self._condition:
            self._free.update(names)
            self._condition.notify_all()

    def wait_started(self, *names: str) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: set(names) <= set(self.started), TIMEOUT), self.started

    def wait_ended(self, *names: str) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: set(names) <= set(self.ended), TIMEOUT), self.ended


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    pools: list[HandlerPool] = []

    def make_pool(max_workers: int, **options: Any) -> HandlerPool:
        pools.append(HandlerPool(max_workers, name="pool under test", **options))
        return pools[-1]

    yield make_pool
    for pool in pools:
        assert pool.shutdown(timeout=TIMEOUT)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pool under test-")]


def call(pool: HandlerPool | ExecutorPool, key: str = "caller") -> None:
    """Run one job and wait for it."""
    done = threading.Event()
    pool.submit(key, done.set)
    assert done.wait(TIMEOUT)


# -- HandlerPool: how many jobs run, and which


def test_workers_are_started_as_jobs_need_them_up_to_the_limit(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(3)
    assert workers() == []
    for name in "abcd":
        pool.submit(name, jobs.job(name))
    jobs.wait_started("a", "b", "c")
    assert len(workers()) == 3
    assert all(thread.daemon for thread in workers())
    jobs.let_go("b")
    jobs.wait_started("d")
    assert len(workers()) == len(jobs.threads) == 3
    jobs.let_go("a", "c", "d")


def test_an_idle_worker_is_used_again(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(10)
    for name in "abc":
        jobs.let_go(name)
        pool.submit("key", jobs.job(name))
        jobs.wait_ended(name)
        wait_until_idle(pool, 1)
    assert len(jobs.threads) == 1


def wait_until_idle(pool: HandlerPool, count: int) -> None:
    """Wait until so many workers have gone back to waiting, which happens a moment after their job has ended."""
    changed = threading.Event()
    while len(pool._idle) < count:
        changed.wait(0.001)


def test_one_key_gets_all_workers_while_nobody_else_wants_them(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(8)
    names = [f"a{number}" for number in range(8)]
    for name in names:
        pool.submit("a", jobs.job(name))
    jobs.wait_started(*names)
    pool.submit("a", jobs.job("more"))
    pool.submit("b", jobs.job("b1"))
    jobs.let_go("a0", "a1")
    jobs.wait_started("more", "b1")
    assert len(workers()) == 8
    jobs.let_go(*names, "more", "b1")


@pytest.mark.parametrize(
    ("quick", "expected"),
    [(False, ["a1", "b1", "c1", "a2", "b2", "a3"]), (True, ["a1", "a2", "b1", "b2", "c1", "a3"])],
    ids=["slow jobs", "quick jobs"],
)
def test_keys_take_turns(
    make_pool: MakePool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, quick: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(Pace, "is_now", lambda pace, tick: quick)
    monkeypatch.setattr(pool_module, "_IN_A_ROW", 1)
    pool = make_pool(1)
    pool.submit("first", jobs.job("first"))
    jobs.wait_started("first")
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        pool.submit(name[0], jobs.job(name))
    jobs.let_go("first", "a1", "a2", "a3", "b1", "b2", "c1")
    jobs.wait_ended("a1", "a2", "a3", "b1", "b2", "c1")
    assert jobs.started == ["first", *expected]


def test_many_submitters_lose_no_job(make_pool: MakePool) -> None:
    pool = make_pool(16)
    lock = threading.Lock()
    runs = dict.fromkeys(range(8), 0)
    running = dict.fromkeys(range(8), 0)
    most = [0]
    finished = threading.Event()

    def job(key: int) -> None:
        with lock:
            running[key] += 1
            most[0] = max(most[0], running[key])
        with lock:
            running[key] -= 1
            runs[key] += 1
            if sum(runs.values()) == 8 * 500:
                finished.set()

    def submit_all(key: int) -> None:
        for _ in range(500):
            pool.submit(key, lambda: job(key))

    with ThreadPoolExecutor() as executor:
        list(executor.map(submit_all, range(8)))
    assert finished.wait(TIMEOUT)
    assert set(runs.values()) == {500}
    assert most[0] <= 4
    assert pool.shutdown(timeout=TIMEOUT)
    assert not pool._turns


# -- The workers' lives


def test_idle_workers_leave(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(8, idle_timeout=0.01)
    for name in "abc":
        pool.submit(name, jobs.job(name))
    jobs.wait_started("a", "b", "c")
    left = workers()
    jobs.let_go("a", "b", "c")
    for worker in left:
        worker.join(TIMEOUT)
        assert not worker.is_alive()
    assert workers() == []
    call(pool)


def test_a_worker_that_is_chosen_as_its_time_runs_out_does_the_job(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    class TimesOut(Waiter):
        """Its first timeout comes true just after a job was given to the worker."""

        timeouts = 0

        def block(self, timeout: float | None) -> bool:
            TimesOut.timeouts += 1
            if TimesOut.timeouts == 1:
                pool.submit("late", done.set)
                return False
            return super().block(timeout)

    pool = make_pool(1, idle_timeout=1000.0)
    monkeypatch.setattr(pool_module, "Waiter", TimesOut)
    call(pool)
    assert done.wait(TIMEOUT)


def test_a_worker_whose_wake_was_lost_comes_by_itself(make_pool: MakePool) -> None:
    """An exception on the submitting thread may fall between the choice and the wake."""
    pool = make_pool(1, idle_timeout=0.05)
    call(pool)
    wait_until_idle(pool, 1)
    with pool._lock:
        pool._idle.pop()
    call(pool)


# -- how many workers run at once


def test_jobs_that_wait_for_one_another_all_run(make_pool: MakePool) -> None:
    pool = make_pool(400)
    together = threading.Barrier(100)
    for _ in range(100):
        pool.submit("key", partial(together.wait, TIMEOUT))
    call(pool, "key")
    assert not together.broken
    assert pool._worker_count >= 100


def test_short_jobs_do_with_few_workers(make_pool: MakePool) -> None:
    pool = make_pool(400)
    for _ in range(20):
        for _ in range(100):
            pool.submit("key", int)
        call(pool, "key")
    assert pool._workers_made < 50


def test_keys_whose_jobs_wait_are_told_until_none_does(jobs: Jobs) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    pool = HandlerPool(1, name="telling", on_waiting=told.put)
    pool.submit("busy", jobs.job("busy"))
    jobs.wait_started("busy")
    assert pool.submit("waits", jobs.job("waits"))
    for _ in range(5):
        assert told.get(timeout=TIMEOUT) == "waits"
    jobs.let_go("busy")
    jobs.wait_started("waits")
    jobs.let_go("waits")
    assert pool.shutdown(timeout=TIMEOUT)
    while not told.empty():
        assert told.get() == "waits"


def test_a_pool_that_once_got_no_thread_watches_over_later_jobs(
    make_pool: MakePool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(8)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail_to_start)
        with pytest.raises(InvalidState):
            pool.keep_worker("key", True)
    pool._pace.allowed = 1
    pool.submit("blocks", jobs.job("blocks"))
    call(pool)
    jobs.let_go("blocks")


def test_a_job_that_comes_as_the_watcher_goes_to_sleep_is_seen(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(8, idle_timeout=1000.0)
    tick_until_quiet = pool._tick_until_quiet
    late = threading.Event()

    def then_a_job_comes() -> None:
        tick_until_quiet()
        if "blocks" not in jobs.started:
            pool._pace.allowed = 1
            pool.submit("blocks", jobs.job("blocks"))
            pool.submit("late", late.set)

    pool._tick_until_quiet = then_a_job_comes  # type: ignore[method-assign]
    pool.submit("a", jobs.job("a"))
    pool.submit("b", jobs.job("b"))
    jobs.let_go("a", "b")
    assert late.wait(TIMEOUT)
    jobs.let_go("blocks")


def test_a_watcher_that_fails_is_followed_by_another(
    make_pool: MakePool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(4)

    def fail(*arguments: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(pool, "_tick_until_quiet", fail)
        pool.submit("a", jobs.job("a"))
        pool.submit("b", jobs.job("b"))
        eventually(lambda: "watcher" in caplog.text)
    pool.submit("c", jobs.job("c"))
    jobs.wait_started("a", "b", "c")
    jobs.let_go("a", "b", "c")


def test_without_a_thread_for_the_watcher_jobs_get_their_workers_at_once(
    make_pool: MakePool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def fail_to_start_watchers(self: threading.Thread) -> None:
        if "watcher" in self.name:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", fail_to_start_watchers)
    pool = make_pool(4)
    for name in "abc":
        assert not pool.submit(name, jobs.job(name))
    jobs.wait_started("a", "b", "c")
    jobs.let_go("a", "b", "c")
    assert "watch over" in caplog.text


def test_a_job_that_raises_is_logged_and_the_worker_goes_on(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(1)

    def fail() -> None:
        raise LookupError("no such thing")

    pool.submit("key", fail)
    pool.submit("key", sys.exit)
    call(pool, "key")  # of the same key, so that it runs last
    assert len(workers()) == 1
    assert [(record.name, record.levelno) for record in caplog.records] == [("sync_h2.server", logging.ERROR)] * 2
    assert "no such thing" in caplog.text
    assert "in fail" in caplog.text
    assert "SystemExit" in caplog.text


class Session:
    """One that can be held weakly."""


def test_an_idle_worker_keeps_nothing_of_its_last_job(make_pool: MakePool) -> None:
    pool = make_pool(1)
    session = Session()
    gone = weakref.ref(session)
    done = threading.Event()
    pool.submit(session, lambda session=session: done.set())  # type: ignore[misc]  # a default is how a lambda holds it
    del session
    assert done.wait(TIMEOUT)
    wait_until_idle(pool, 1)
    assert gone() is None


def fail_to_start(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def start_watchers_only(self: threading.Thread, start: Callable[..., None] = threading.Thread.start) -> None:
    if "watcher" not in self.name:
        fail_to_start(self)
    start(self)


def test_without_a_thread_for_any_worker_the_submitter_is_told(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(4)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail_to_start)
        with pytest.raises(InvalidState, match="no thread can be started") as caught:
            pool.submit("key", pytest.fail)
    assert isinstance(caught.value.__cause__, RuntimeError)
    call(pool)
    assert len(workers()) == 1


def test_without_a_thread_for_one_more_worker_the_job_waits_for_another(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks: list[str] = []
    pool = HandlerPool(4, name="short of threads", on_waiting=looks.append)
    pool.submit("a", jobs.job("a"))
    jobs.wait_started("a")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_watchers_only)
        pool.submit("b", jobs.job("b"))
        eventually(lambda: len(looks) > 20)  # the watcher goes on looking, and says it once
    assert caplog.text.count("no thread can be started") == 1
    assert jobs.started == ["a"]
    jobs.let_go("a", "b")
    jobs.wait_ended("b")
    assert pool.shutdown(timeout=TIMEOUT)


@pytest.mark.parametrize("count", [1, 3])
def test_jobs_for_which_no_thread_could_be_started_are_tried_again(
    make_pool: MakePool, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """There is a worker, which may run for ever; so it is not raised, and the watcher has to see to them."""
    monkeypatch.setattr(pool_module, "_RETRY", 0.01)
    pool = make_pool(8)
    pool.submit("a", jobs.job("a"))
    jobs.wait_started("a")
    eventually(lambda: not pool._watching)
    pool._pace.allowed = 8
    names = [f"b{number}" for number in range(count)]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start_watchers_only)
        pool.submit("b", *map(jobs.job, names))
    jobs.wait_started(*names)
    jobs.let_go("a", *names)
    jobs.wait_ended("a", *names)


def test_jobs_that_come_together_run_at_once_and_in_order(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(1)
    pool.submit("a", *map(jobs.job, ["a1", "a2", "a3"]))
    jobs.wait_started("a1")
    pool.submit("a", jobs.job("a4"))
    jobs.let_go("a1", "a2", "a3", "a4")
    jobs.wait_ended("a4")
    assert jobs.started == ["a1", "a2", "a3", "a4"]


# -- forget and shutdown


def test_a_forgotten_keys_waiting_jobs_are_dropped(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(1)
    pool.submit("a", jobs.job("a1"))
    jobs.wait_started("a1")
    for name in ("a2", "a3", "b1"):
        pool.submit(name[0], jobs.job(name))
    pool.forget("a")
    pool.forget("never seen")
    pool.submit("a", jobs.job("a4"))
    jobs.let_go("a1", "a2", "a3", "a4", "b1")
    jobs.wait_ended("a4", "b1")
    assert sorted(jobs.started) == ["a1", "a4", "b1"]


def test_a_forgotten_key_without_a_running_job_leaves_no_trace(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(1)
    pool.submit("a", jobs.job("a"))
    jobs.wait_started("a")
    pool.submit("b", jobs.job("b"))
    pool.forget("b")
    assert set(pool._turns) == set()
    jobs.let_go("a")
    call(pool)
    assert jobs.started == ["a"]


def test_shutdown_runs_what_was_submitted_and_takes_no_more(make_pool: MakePool, jobs: Jobs) -> None:
    pool = make_pool(2)
    call(pool)
    wait_until_idle(pool, 1)
    for name in ("a1", "b1", "a2"):
        pool.submit(name[0], jobs.job(name))
    jobs.wait_started("a1", "b1")
    assert not pool.shutdown(wait=False)
    with pytest.raises(InvalidState, match="shut down"):
        pool.submit("a", pytest.fail)
    assert not pool.shutdown(timeout=0.01)
    jobs.let_go("a1", "a2", "b1")
    assert pool.shutdown(timeout=TIMEOUT)
    assert sorted(jobs.ended) == ["a1", "a2", "b1"]


def test_shutdown_wakes_idle_workers(make_pool: MakePool) -> None:
    pool = make_pool(2, idle_timeout=1000.0)
    call(pool)
    wait_until_idle(pool, 1)
    assert pool.shutdown(timeout=TIMEOUT)


def test_a_worker_that_shuts_the_pool_down_does_not_wait_for_itself(make_pool: MakePool) -> None:
    pool = make_pool(2)
    result: list[bool] = []
    done = threading.Event()

    def job() -> None:
        result.append(pool.shutdown())
        done.set()

    pool.submit("key", job)
    assert done.wait(TIMEOUT)
    assert result == [True]


def test_a_stuck_job_does_not_keep_the_interpreter_alive() -> None:
    script = """
import threading
from sync_h2.server.pool.pace import Pace
from sync_h2.server.pool.handler_pool import HandlerPool
pool = HandlerPool(4, name="stuck")
started = threading.Event()
pool.submit("idle", int)
pool.submit("stuck", lambda: (started.set(), threading.Event().wait()))
started.wait()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT)
    assert (run.returncode, run.stderr) == (0, "")


# -- ExecutorPool


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as executor:
        yield executor


def test_jobs_run_on_the_users_executor(executor: ThreadPoolExecutor, jobs: Jobs) -> None:
    pool = ExecutorPool(executor)
    pool.submit("a", jobs.job("a"))
    jobs.wait_started("a")
    assert {thread.name for thread in jobs.threads} <= {thread.name for thread in executor._threads}
    assert not pool.shutdown(wait=False)
    assert not pool.shutdown(timeout=0.01)
    jobs.let_go("a")
    assert pool.shutdown(timeout=TIMEOUT)
    with pytest.raises(InvalidState, match="shut down"):
        pool.submit("a", pytest.fail)
    # It is the user's: it goes on.
    assert executor.submit(lambda: "still there").result(TIMEOUT) == "still there"
    assert pool._futures == {}


def test_a_forgotten_keys_waiting_jobs_are_cancelled(executor: ThreadPoolExecutor, jobs: Jobs) -> None:
    pool = ExecutorPool(executor)
    pool.submit("a", jobs.job("a1"))
    jobs.wait_started("a1")
    pool.submit("a", jobs.job("a2"))
    pool.submit("b", jobs.job("b1"))
    pool.forget("a")
    pool.forget("never seen")
    jobs.let_go("a1", "a2", "b1")
    jobs.wait_ended("b1")
    assert jobs.started == ["a1", "b1"]


def test_a_job_that_raises_on_the_executor_is_logged(
    executor: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    pool = ExecutorPool(executor)
    pool.submit("key", lambda: 1 / 0)  # type: ignore[arg-type]  # it returns nothing
    call(pool)
    assert "ZeroDivisionError" in caplog.text


def test_an_executor_that_was_shut_down_is_an_invalid_state(executor: ThreadPoolExecutor) -> None:
    executor.shutdown()
    with pytest.raises(InvalidState, match="cannot schedule new futures") as caught:
        ExecutorPool(executor).submit("key", pytest.fail)
    assert isinstance(caught.value.__cause__, RuntimeError)


class TakesThree(ThreadPoolExecutor):
    """One whose queue is full after three jobs."""

    given = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        self.given += 1
        if self.given > 3:
            raise RuntimeError("the queue is full")
        return super().submit(*arguments, **options)


def test_of_jobs_that_come_together_an_executor_may_refuse_some(jobs: Jobs) -> None:
    given = [jobs.job(name) for name in "abcde"]
    with TakesThree(3) as executor:
        with pytest.raises(JobsRefused, match="the queue is full") as caught:
            ExecutorPool(executor).submit("key", *given)
        assert caught.value.jobs == given[3:]
        jobs.wait_started("a", "b", "c")
        jobs.let_go("a", "b", "c")


def test_a_stream_that_an_executor_refuses_takes_no_other_with_it() -> None:
    refused = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        assert refused.wait(TIMEOUT)
        stream.end(b"x")

    with TakesThree(1) as executor, server_and_raw_client(handler, executor=executor) as (_, peer):
        flags = ["END_HEADERS", "END_STREAM"]
        peer.send(*[HeadersFrame(number, peer._encoder.encode(REQUEST), flags=flags) for number in (1, 3, 5, 7)])
        assert peer.expect(RstStreamFrame).stream_id == 7
        refused.set()
        for number in (1, 3, 5):
            assert peer.expect(DataFrame, number).data == b"x"


# -- a worker that stays


def test_the_last_worker_stays_while_it_is_wanted() -> None:
    pool = HandlerPool(4, name="staying", idle_timeout=0.02)

    def workers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("staying-")]

    pool.keep_worker("first", True)
    pool.keep_worker("second", True)
    jobs = Jobs()
    for name in ("a", "b", "c"):
        pool.submit(name, jobs.job(name))
    jobs.wait_started("a", "b", "c")
    jobs.let_go("a", "b", "c")
    eventually(lambda: len(workers()) == 1)
    workers()[0].join(0.2)  # ten times as long as an idle one stays
    assert len(workers()) == 1
    pool.submit("d", jobs.job("d"))
    jobs.let_go("d")
    jobs.wait_ended("d")
    pool.keep_worker("first", False)
    eventually(lambda: len(workers()) == 1)
    workers()[0].join(0.2)
    assert len(workers()) == 1
    pool.forget("second")
    eventually(lambda: not workers())
    assert pool.shutdown(timeout=TIMEOUT)
    pool.keep_worker("late", True)
    assert workers() == []


def test_a_pool_that_shuts_down_lets_its_last_worker_go() -> None:
    pool = HandlerPool(4, name="staying", idle_timeout=0.02)
    pool.keep_worker("key", True)
    assert pool.shutdown(timeout=TIMEOUT)


def test_an_interrupt_at_every_line_of_submit(make_pool: MakePool) -> None:
    """No worker finds a key without a job, and dies of it: whoever submits next is served."""

    def strike(tracer: Tracer) -> None:
        pool = make_pool(4)
        call(pool)
        wait_until_idle(pool, 1)
        with contextlib.suppress(KeyboardInterrupt):
            tracer.run(lambda: pool.submit("struck", lambda: None))
        call(pool)

    counting = Tracer()
    strike(counting)
    for line in counting.lines:
        strike(Tracer(line))
