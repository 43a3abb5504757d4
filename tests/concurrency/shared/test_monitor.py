"""The waiters' protocol (sync_h2/connection/shared/monitor.py): each of its arrows, forced inside `Waiter.block`.

A thread that waits calls `Waiter.block` between its two critical sections. `at_block` puts a step of the test there, so
that what could happen at that moment by chance happens each time.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame

from support.octets.fields import RESPONSE
from support.peers.raw_peer import client_and_raw_server
from support.threads.background import PATIENCE, Background, eventually
from support.threads.interrupts import Tracer
from sync_h2 import ErrorCode, StreamReset, StreamUnprocessed, Timeout
from sync_h2.connection.shared import monitor
from sync_h2.connection.shared.monitor import Monitor, Waiter, WaitQueue
from sync_h2.connection.shared.timers import timers
from sync_h2.deadline import Deadline
from sync_h2.testing import pair

Block = Callable[[Waiter, "float | None"], bool]


class Box:
    """Items that threads put in and take out, one each: the smallest thing that has a monitor."""

    def __init__(self) -> None:
        self.monitor = Monitor(self._broken)
        self.items: deque[Any] = deque()
        self.filled = WaitQueue(self.monitor)
        self.looks = 0
        self.interruptions: list[BaseException] = []

    def put(self, *items: object) -> None:
        with self.monitor, self.monitor.lock:
            self.items.extend(items)
            self.filled.wake_all_locked()

    def take(self, timeout: float | None = PATIENCE) -> Any:
        return self.monitor.wait(self._attempt, Deadline(timeout), "an item", 7)

    def _attempt(self) -> Any:
        self.looks += 1
        return self.items.popleft() if self.items else self.filled

    @property
    def waiting(self) -> int:
        with self.monitor, self.monitor.lock:
            return len(self.filled._waiters)

    def _broken(self, error: BaseException) -> None:
        # As a session does: the end is told to everybody.
        self.interruptions.append(error)
        with self.monitor, self.monitor.lock:
            self.filled.wake_all_locked()


@pytest.fixture
def box() -> Box:
    return Box()


class AtBlock:
    """Steps that stand in for `Waiter.block`, one a call; beyond them, and for the session's own threads, it is
    the real one.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._steps: deque[Callable[[Waiter, Block], bool]] = deque()
        self._real: Block = Waiter.block
        self._lock = threading.Lock()
        monkeypatch.setattr(Waiter, "block", lambda waiter, timeout: self._block(waiter, timeout))

    def _block(self, waiter: Waiter, timeout: float | None) -> bool:
        with self._lock:
            ours = not threading.current_thread().name.startswith("sync_h2-")
            step = self._steps.popleft() if self._steps and ours else None
        return self._real(waiter, timeout) if step is None else step(waiter, self._real)

    def then(self, step: Callable[[Waiter, Block], bool]) -> None:
        self._steps.append(step)


@pytest.fixture
def at_block(monkeypatch: pytest.MonkeyPatch) -> AtBlock:
    return AtBlock(monkeypatch)


def elsewhere(function: Callable[..., object], *arguments: object) -> None:
    """Call it on another thread, to its end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function(*arguments)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the call on another thread hangs"
    if errors:
        raise errors[0]


# -- one waiter


def test_what_is_there_is_taken_without_waiting(box: Box) -> None:
    box.put("item")
    assert box.take(timeout=0) == "item"


def test_a_waiter_is_enlisted_before_the_lock_is_free(box: Box, at_block: AtBlock) -> None:
    """A waker that comes between the unlock and the wait is not missed."""

    def wake_first(waiter: Waiter, block: Block) -> bool:
        assert not box.monitor.owned
        elsewhere(box.put, "item")
        return block(waiter, 0)  # has been woken: does not block

    at_block.then(wake_first)
    assert box.take() == "item"


def test_chosen_while_timing_out_takes_the_result(box: Box, at_block: AtBlock) -> None:
    def time_out_but_be_chosen(waiter: Waiter, block: Block) -> bool:
        elsewhere(box.put, "item")
        return False

    at_block.then(time_out_but_be_chosen)
    assert box.take(timeout=0) == "item"
    assert not box.waiting


def test_chosen_while_it_waits_for_the_lock_to_time_out(box: Box, at_block: AtBlock, background: Background) -> None:
    """The waker holds the lock at the moment when the time runs out; the waiter looks again behind it."""
    timed_out, chosen = threading.Event(), threading.Event()

    def time_out_during_the_wake(waiter: Waiter, block: Block) -> bool:
        timed_out.set()
        assert chosen.wait(PATIENCE)
        return False

    at_block.then(time_out_during_the_wake)
    taking = background(box.take, 0)
    assert timed_out.wait(PATIENCE)
    with box.monitor, box.monitor.lock:
        box.items.append("item")
        box.filled.wake_all_locked()
        chosen.set()
    assert taking.result(PATIENCE) == "item"


def test_a_timeout_leaves_nothing_behind(box: Box) -> None:
    with pytest.raises(Timeout, match=r"timed out while waiting for an item \[stream 7\]"):
        box.take(timeout=0.01)
    assert not box.waiting
    assert box.looks == 2  # once before it waits, once before it gives up
    box.put("item")
    assert box.take(timeout=0) == "item"


def test_an_attempt_that_saw_progress_waits_on(box: Box) -> None:
    """The last look before giving up may restart the deadline."""
    deadline = Deadline(0.01)
    looks = []

    def attempt() -> str | WaitQueue:
        looks.append(deadline.expired)
        if len(looks) == 2:
            deadline.restart(time.monotonic())
        return "result" if len(looks) == 4 else box.filled

    assert box.monitor.wait(attempt, deadline, "progress") == "result"
    assert not box.waiting


def test_woken_for_nothing_waits_again(box: Box, at_block: AtBlock) -> None:
    def wake_for_nothing(waiter: Waiter, block: Block) -> bool:
        elsewhere(box.put)
        assert block(waiter, PATIENCE)
        assert not box.waiting  # whoever is chosen is off the list
        return True

    def wake_for_something(waiter: Waiter, block: Block) -> bool:
        assert box.waiting == 1  # enlisted anew
        elsewhere(box.put, "item")
        return block(waiter, PATIENCE)

    at_block.then(wake_for_nothing)
    at_block.then(wake_for_something)
    assert box.take() == "item"
    assert box.looks == 3


def test_interrupted_while_it_waits(box: Box, at_block: AtBlock) -> None:
    def interrupt(waiter: Waiter, block: Block) -> bool:
        raise KeyboardInterrupt

    at_block.then(interrupt)
    with pytest.raises(KeyboardInterrupt):
        box.take()
    assert not box.waiting
    assert not box.interruptions  # no critical section was cut short
    box.put("item")
    assert box.take(timeout=0) == "item"


def test_chosen_while_interrupted_takes_nothing_away(box: Box, at_block: AtBlock) -> None:
    def be_chosen_and_interrupted(waiter: Waiter, block: Block) -> bool:
        elsewhere(box.put, "item")
        raise KeyboardInterrupt

    at_block.then(be_chosen_and_interrupted)
    with pytest.raises(KeyboardInterrupt):
        box.take()
    assert not box.waiting
    assert not box.interruptions
    assert box.take(timeout=0) == "item"


def test_an_error_of_the_attempt_is_the_waiters(box: Box, at_block: AtBlock) -> None:
    """Also when it comes up in the last look of one that times out."""
    looks = 0

    def attempt() -> WaitQueue:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise StreamReset("the peer reset the stream")
        return box.filled

    at_block.then(lambda waiter, block: False)
    with pytest.raises(StreamReset):
        box.monitor.wait(attempt, Deadline(0), "anything")
    assert not box.waiting
    assert not box.interruptions


# -- several waiters


def test_one_of_two_that_are_woken_finds_nothing_and_waits_on(box: Box, background: Background) -> None:
    taking = [background(box.take) for _ in range(2)]
    eventually(lambda: box.waiting == 2)
    box.put("first")
    eventually(lambda: box.looks == 4)  # both have looked twice
    eventually(lambda: box.waiting == 1)
    box.put("second")
    assert sorted(future.result(PATIENCE) for future in taking) == ["first", "second"]


@pytest.mark.parametrize("leaves_by", [Timeout, KeyboardInterrupt])
def test_the_wake_of_one_that_is_gone_reaches_the_others(
    box: Box, at_block: AtBlock, background: Background, leaves_by: type[BaseException]
) -> None:
    """The one that was chosen leaves at that moment; the item is the other's."""
    other: list[Any] = []

    def leave_as_it_is_chosen(waiter: Waiter, block: Block) -> bool:
        other.append(background(box.take))
        eventually(lambda: box.waiting == 2)
        elsewhere(box.put, "item")
        assert other[0].result(PATIENCE) == "item"
        if leaves_by is KeyboardInterrupt:
            raise KeyboardInterrupt
        return False

    at_block.then(leave_as_it_is_chosen)
    with pytest.raises(leaves_by):
        box.take(timeout=0)
    assert not box.waiting


def test_one_that_left_is_not_chosen(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[Waiter] = []
    monkeypatch.setattr(Waiter, "wake", lambda waiter: woken.append(waiter))
    with pytest.raises(Timeout):
        box.take(timeout=0)
    box.put("item")
    assert woken == []


def test_wakes_come_in_the_order_of_the_waits(monkeypatch: pytest.MonkeyPatch, box: Box) -> None:
    woken: list[Waiter] = []
    with box.monitor, box.monitor.lock:
        waiters = [box.filled.enlist_locked() for _ in range(5)]
    monkeypatch.setattr(Waiter, "wake", lambda waiter: woken.append(waiter))
    elsewhere(box.put, "item")
    assert woken == waiters


def test_a_second_wake_does_nothing(box: Box) -> None:
    waiter = Waiter()
    waiter.wake()
    waiter.wake()
    assert waiter.block(0)
    assert not waiter.block(0)


# -- after the unlock


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each wake: whether the thread that makes it holds no lock. (Whom it woke before may have taken one.)"""
    free: list[bool] = []
    wake = Waiter.wake

    def observed(waiter: Waiter) -> None:
        free.append(not any(each.owned for each in list(monitor._monitors)))
        wake(waiter)

    monkeypatch.setattr(Waiter, "wake", observed)
    yield free


def test_the_wake_comes_when_the_lock_is_free(box: Box, background: Background, wakes: list[bool]) -> None:
    taking = [background(box.take) for _ in range(3)]
    eventually(lambda: box.waiting == 3)
    elsewhere(box.put, 1, 2, 3)
    assert sorted(future.result(PATIENCE) for future in taking) == [1, 2, 3]
    assert wakes == [True, True, True]


def test_the_main_threads_wakes_come_when_it_has_left(
    box: Box, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer thread, which stands by in case an interrupt stops the main thread, is not faster than the unlock."""
    assert threading.current_thread() is threading.main_thread()
    early: list[bool] = []
    inside = False
    wake = Waiter.wake

    def observed(waiter: Waiter) -> None:
        early.append(inside)
        wake(waiter)

    timers.ensure_running()
    taking = background(box.take)
    eventually(lambda: box.waiting == 1)
    monkeypatch.setattr(Waiter, "wake", observed)
    timer_was_here: queue.SimpleQueue[None] = queue.SimpleQueue()
    with box.monitor, box.monitor.lock:
        inside = True
        box.items.append("item")
        box.filled.wake_all_locked()
        timers.run(lambda: timer_was_here.put(None))
        with contextlib.suppress(queue.Empty):  # it may as well wait for us
            timer_was_here.get(timeout=0.1)
        inside = False
    assert taking.result(PATIENCE) == "item"
    assert early == [False]


def test_an_action_that_fails_keeps_no_other_from_running(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    with box.monitor, box.monitor.lock:
        box.monitor.after_unlock(lambda: done.append(1))
        box.monitor.after_unlock(fail)
        box.monitor.after_unlock(lambda: done.append(2))
        assert done == []
    eventually(lambda: done == [1, 2])
    eventually(lambda: "failed" in caplog.text)  # another thread may have run that one


def test_an_error_in_the_section_loses_no_wake(box: Box, background: Background) -> None:
    taking = background(box.take)
    eventually(lambda: box.waiting == 1)
    with pytest.raises(ZeroDivisionError), box.monitor, box.monitor.lock:
        box.items.append("item")
        box.filled.wake_all_locked()
        raise ZeroDivisionError
    assert taking.result(PATIENCE) == "item"


# -- a wake that an interrupt would lose


def interrupted_put(box: Box, tracer: Tracer) -> Tracer:
    with contextlib.suppress(KeyboardInterrupt):
        tracer.run(lambda: box.put("item"))
    return tracer


def assert_no_wake_is_lost_at_any_line(background: Background) -> None:
    lines = interrupted_put(Box(), Tracer(within=monitor.__file__)).lines
    box = Box()
    with box.monitor, box.monitor.lock:
        box.filled.enlist_locked()
    lines |= interrupted_put(box, Tracer(within=monitor.__file__)).lines
    assert len(lines) > 15

    lost = []
    for line in sorted(lines):
        for occurrence in range(1, lines[line] + 1):
            box = Box()
            taking = background(box.take, 2.0)
            eventually(lambda box=box: box.waiting == 1)
            tracer = interrupted_put(box, Tracer(line, occurrence, within=monitor.__file__))
            assert not box.monitor.owned, line
            if box.filled._waiters:  # it struck before anything had changed
                box.put("item")
            try:
                assert taking.result(1) == "item", line
            except concurrent.futures.TimeoutError:
                lost.append(tracer.struck)
    assert lost == []


def test_no_wake_is_lost_when_an_interrupt_strikes_at_any_line(background: Background) -> None:
    timers.ensure_running()
    assert_no_wake_is_lost_at_any_line(background)


def test_no_wake_is_lost_when_the_timer_thread_looks_too_early(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer thread may run what it is given at that very moment, before the main thread takes another step."""
    run = timers.run

    def run_and_let_it_be_first(job: Callable[[], object]) -> None:
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        run(job)
        run(lambda: done.put(None))
        with contextlib.suppress(queue.Empty):  # a job that waits for the lock is not early
            done.get(timeout=0.05)

    timers.ensure_running()
    monkeypatch.setattr(timers, "run", run_and_let_it_be_first)
    assert_no_wake_is_lost_at_any_line(background)


# -- the slot that is handed over


@pytest.fixture
def one_slot() -> Iterator[tuple[Any, Any]]:
    """A client's session and its peer, which allows one stream at a time; that stream, 1, is open."""
    with client_and_raw_server(peer_settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        eventually(lambda: not session.connecting)
        first = session.request()
        peer.expect(HeadersFrame, 1)
        yield session, peer
        assert first.rst_code == 0


def finish(peer: Any, stream_id: int) -> None:
    """The response that closes a stream, and so frees its slot."""
    peer.headers(stream_id, RESPONSE, end_stream=True)


def path_of(frame: HeadersFrame) -> str:
    return str(dict(frame.fields)[":path"])


def waits_for_a_slot(session: Any, count: int) -> None:
    eventually(lambda: len(session._pending) == count, f"{count} requests that wait for a slot")


def test_slots_are_handed_over_first_come_first_served(one_slot: Any, background: Background) -> None:
    session, peer = one_slot
    requests = []
    for number in range(5):
        requests.append(background(session.request, {":path": f"/{number}"}))
        waits_for_a_slot(session, number + 1)
    for number in range(5):
        assert [future.done() for future in requests] == [True] * number + [False] * (5 - number)
        finish(peer, 2 * number + 1)
        opened = peer.expect(HeadersFrame)
        assert (opened.stream_id, path_of(opened)) == (2 * number + 3, f"/{number}")
        assert requests[number].result(PATIENCE).id == opened.stream_id
    finish(peer, 11)
    assert requests[4].result().read(timeout=PATIENCE) == b""


def test_handed_a_slot_while_timing_out(one_slot: Any, at_block: AtBlock) -> None:
    """The slot is the request's, so the call returns the stream."""
    session, peer = one_slot

    def be_handed_the_slot_too_late(waiter: Waiter, block: Block) -> bool:
        finish(peer, 1)
        peer.expect(HeadersFrame, 3)
        return False

    at_block.then(be_handed_the_slot_too_late)
    second = session.request(timeout=0)
    assert second.id == 3
    finish(peer, 3)
    assert second.read(timeout=PATIENCE) == b""


def test_handed_a_slot_and_interrupted(one_slot: Any, at_block: AtBlock, background: Background) -> None:
    """Nobody will use the stream, so it is cancelled, and the slot goes on to the next."""
    session, peer = one_slot
    next_one: list[Any] = []

    def be_handed_the_slot_and_interrupted(waiter: Waiter, block: Block) -> bool:
        next_one.append(background(session.request, {":path": "/next"}))
        waits_for_a_slot(session, 2)
        finish(peer, 1)
        peer.expect(HeadersFrame, 3)
        raise KeyboardInterrupt

    at_block.then(be_handed_the_slot_and_interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.request()
    assert peer.expect(RstStreamFrame, 3).error_code == ErrorCode.CANCEL
    assert path_of(peer.expect(HeadersFrame, 5)) == "/next"
    stream = next_one[0].result(PATIENCE)
    finish(peer, 5)
    assert stream.read(timeout=PATIENCE) == b""


@pytest.mark.parametrize("leaves_by", [Timeout, KeyboardInterrupt])
def test_gone_before_the_slot_was_free(
    one_slot: Any, at_block: AtBlock, background: Background, leaves_by: type[BaseException]
) -> None:
    session, peer = one_slot
    next_one: list[Any] = []

    def leave_the_queue(waiter: Waiter, block: Block) -> bool:
        next_one.append(background(session.request, {":path": "/next"}))
        waits_for_a_slot(session, 2)
        if leaves_by is KeyboardInterrupt:
            raise KeyboardInterrupt
        return False

    at_block.then(leave_the_queue)
    with pytest.raises(leaves_by):
        session.request({":path": "/gone"}, timeout=0)
    waits_for_a_slot(session, 1)
    finish(peer, 1)
    assert path_of(peer.expect(HeadersFrame, 3)) == "/next"
    stream = next_one[0].result(PATIENCE)
    finish(peer, 3)
    assert stream.read(timeout=PATIENCE) == b""


def test_reset_while_it_waits_for_a_slot(one_slot: Any) -> None:
    session, peer = one_slot
    gone, following = session.request({":path": "/gone"}, wait=False), session.request({":path": "/next"}, wait=False)
    assert gone.pending
    gone.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset):
        gone.read()
    assert gone.id is None
    finish(peer, 1)
    assert path_of(peer.expect(HeadersFrame, 3)) == "/next"
    finish(peer, 3)
    assert following.read(timeout=PATIENCE) == b""


# -- random interleavings


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places as often as the interpreter can have it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_random_interleavings_lose_and_double_nothing(
    restless: None, monkeypatch: pytest.MonkeyPatch, background: Background, seed: int
) -> None:
    """Consumers that time out and are interrupted at random, producers, and somebody who wakes for nothing: each item
    is taken once.
    """
    box = Box()
    block = Waiter.block
    chances = random.Random(seed)
    choices = iter([chances.random() for _ in range(1_000_000)].pop, None)

    def block_with_accidents(waiter: Waiter, timeout: float | None) -> bool:
        chance = next(choices)
        if chance < 0.03:
            raise KeyboardInterrupt  # before it waits
        woken = block(waiter, timeout)
        if chance < 0.06:
            raise KeyboardInterrupt  # as it was chosen, perhaps
        return woken and chance < 0.95  # at times it is woken and takes it for a timeout

    monkeypatch.setattr(Waiter, "block", block_with_accidents)
    most, producers, consumers = 1200, 3, 6
    accidents: Counter[str] = Counter()

    def consume() -> list[int]:
        taken = []
        while True:
            try:
                item = box.take(timeout=next(choices) / 2000)
            except Timeout:
                accidents["timeout"] += 1
            except KeyboardInterrupt:
                accidents["interrupt"] += 1
            else:
                if item is None:
                    return taken
                taken.append(item)

    consuming = [background(consume) for _ in range(consumers)]
    eventually(lambda: accidents["timeout"] and accidents["interrupt"])  # they happen to those who wait for long
    producing = [
        background(lambda first=first: [box.put(item) for item in range(first, most, producers)])  # type: ignore[misc]
        for first in range(producers)
    ]
    for _ in range(most):
        box.put()
    for future in producing:
        future.result(PATIENCE)
    box.put(*[None] * consumers)
    taken = [item for future in consuming for item in future.result(PATIENCE)]
    assert Counter(taken) == Counter(range(most))
    assert not box.waiting
    assert not box.interruptions


def test_random_requests_for_few_slots_leave_none_taken(restless: None, background: Background) -> None:
    """Requests that time out while they wait for a slot, are reset, or run through: afterwards every slot is free."""

    def handler(stream: Any, headers: Any) -> None:
        stream.end(headers[":path"].encode())

    client, server = pair(handler, server={"max_concurrent_streams": 3})
    client.ping(timeout=PATIENCE)  # behind the server's SETTINGS

    def ask(seed: int) -> Counter[str]:
        chances = random.Random(seed)
        outcomes: Counter[str] = Counter()
        for number in range(30):
            path = f"/{seed}/{number}"
            try:
                stream = client.request({":path": path}, timeout=chances.choice([0, 0.001, PATIENCE]))
            except Timeout:
                outcomes["timed out"] += 1
                continue
            if chances.random() < 0.3:
                stream.close(ErrorCode.CANCEL)
                outcomes["reset"] += 1
                continue
            try:
                assert stream.read(timeout=PATIENCE) == path.encode()
                outcomes["read"] += 1
            except StreamUnprocessed:  # the handlers of streams that were reset are not through yet
                outcomes["refused"] += 1
        return outcomes

    asking = [background(ask, seed) for seed in range(12)]
    outcomes = sum((future.result(25) for future in asking), Counter[str]())
    assert min(outcomes["read"], outcomes["reset"], outcomes["timed out"]) > 0
    assert not client._pending
    client.ping(timeout=PATIENCE)  # behind the last reset
    eventually(lambda: server._jobs == 0, "the handlers of streams that were reset")
    last = client.request({":path": "/last"}, timeout=PATIENCE)
    assert last.read(timeout=PATIENCE) == b"/last"
    eventually(lambda: not client._streams)
    client.close(timeout=PATIENCE)
