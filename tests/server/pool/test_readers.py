"""Which readers may run jobs, and how long none may after one took long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from types import SimpleNamespace
from typing import Any

import pytest

from sync_h2.connection.receiving.reader import Seat
from sync_h2.errors import InvalidState
from sync_h2.server.pool import readers as module
from sync_h2.server.pool.readers import Readers

MYSELF = threading.get_ident()


class Workers:
    """A pool with `room` for so many readers."""

    def __init__(self, room: int = 10) -> None:
        self._lock = threading.Lock()
        self._turns: list[Callable[[], None]] = []
        self.room = room
        self.watched = True
        self.workers: list[int] = []
        self.running: list[int] = []

    def _is_watched(self) -> bool:
        return self.watched

    def _admits_reader_locked(self) -> bool:
        return self.room > 0

    def _becomes_worker_locked(self, thread: int, key: Hashable) -> None:
        self.workers.append(thread)

    def _worker_ends_locked(self, thread: int) -> None:
        self.workers.remove(thread)

    def _begin_next_locked(self, thread: int) -> Callable[[], None] | None:
        if not self._turns:
            return None
        self.running.append(thread)
        return self._turns.pop(0)

    def _job_done_locked(self, thread: int) -> None:
        self.running.remove(thread)


class Session:
    """One whose next reader is there at once, unless `no_thread`."""

    def __init__(self) -> None:
        self._seat = Seat()
        self.handled_by_reader = 0
        self.no_thread = False
        self.sent = 0

    def _send_now(self) -> None:
        self.sent += 1

    def _read_on(self, relieve: Callable[[], bool]) -> None:
        if self.no_thread:
            raise InvalidState("no thread can be started to read while a handler waits")
        relieve()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_reader_leaves_its_seat_and_comes_back() -> None:
    readers, session = Readers(Workers(), 2), Session()
    absence = readers.leaves(session)
    assert readers.anybody_away
    assert session._seat.return_from(absence)
    assert not readers.anybody_away
    assert len(readers) == 1


@pytest.mark.parametrize("reason", ["most", "room", "watcher", "suspended", "long"])
def test_a_reader_that_may_not_stays(reason: str) -> None:
    workers = Workers(0 if reason == "room" else 10)
    workers.watched = reason != "watcher"
    readers, session = Readers(workers, 0 if reason == "most" else 2), Session()
    readers.suspended = reason == "suspended"
    if reason == "long":
        readers.rest_for_good()
    assert readers.leaves(session) is None
    assert not session._seat.vacant


def test_who_is_at_the_same_job_for_long_is_relieved(clock: Any) -> None:
    workers = Workers()
    readers, slow = Readers(workers, 2), Session()
    readers.leaves(slow)
    begun = clock.now
    while not workers.workers:
        assert clock.now < begun + 3 * module._PATIENCE
        readers.look()
        clock.now += module.LOOK
    assert clock.now - begun >= module._PATIENCE
    assert workers.workers == [MYSELF]
    assert not len(readers) and not slow._seat.vacant
    readers.ends()
    assert not workers.workers


@pytest.mark.parametrize("goes_on", ["job", "absence"])
def test_who_begins_another_job_or_comes_back_is_not(goes_on: str, clock: Any) -> None:
    workers = Workers()
    readers, quick = Readers(workers, 2), Session()
    absence = readers.leaves(quick)
    for _ in range(100):
        clock.now += 2 * module.LOOK
        readers.look()
        assert readers.busy
        if goes_on == "job":
            quick.handled_by_reader += 1
        else:
            assert quick._seat.return_from(absence)
            absence = readers.leaves(quick)
    assert not workers.workers


def test_nobody_is_busy_who_has_run_nothing_since(clock: Any) -> None:
    readers, session = Readers(Workers(), 2), Session()
    absence = readers.leaves(session)
    readers.look()
    assert readers.busy
    session._seat.return_from(absence)
    clock.now += 2 * module.LOOK
    readers.look()
    assert not readers.busy


def test_the_more_often_jobs_take_long_the_longer_readers_rest(clock: Any) -> None:
    readers, session = Readers(Workers(), 2), Session()

    def rest_after(seconds: float) -> float:
        """How long readers rest after the next job that waits, so long after the last rest."""
        clock.now += seconds
        assert readers.leaves(session) is not None
        readers.about_to_wait()
        begun = clock.now
        while readers.rest:
            assert readers.leaves(session) is None
            clock.now += module._SHORTEST_REST / 4
        return float(clock.now - begun)

    first, *others = [rest_after(0.001) for _ in range(15)]
    assert first == pytest.approx(module._SHORTEST_REST, rel=0.5)
    assert others[0] == pytest.approx(2 * module._SHORTEST_REST, rel=0.5)
    assert others[-1] == pytest.approx(module._LONGEST_REST, rel=0.01)
    assert sorted(others) == others
    assert rest_after(module._OFTEN * module._LONGEST_REST) == pytest.approx(first, rel=0.5)


def test_who_waits_where_no_thread_can_be_started_is_told_and_keeps_its_seat() -> None:
    workers = Workers()
    readers, session = Readers(workers, 2), Session()
    session.no_thread = True
    absence = readers.leaves(session)
    with pytest.raises(InvalidState, match="no thread can be started to read"):
        readers.about_to_wait()
    assert session._seat.return_from(absence)
    assert len(readers) == 1 and not workers.workers


def test_idle_readers_make_room_and_those_away_stay() -> None:
    """So that they can be relieved."""
    readers, session = Readers(Workers(), 2), Session()
    absence = readers.leaves(session)
    readers.dismiss_idle_locked()
    readers.forget_locked(session)
    assert len(readers) == 1
    session._seat.return_from(absence)
    readers.forget_locked(Session())
    assert len(readers) == 1
    readers.forget_locked(session)
    assert not len(readers)


def test_a_reader_helps_for_as_long_as_jobs_wait_and_are_quick(clock: Any) -> None:
    workers = Workers()
    readers, session = Readers(workers, 2), Session()
    absence = readers.leaves(session)
    assert absence is not None
    readers.help_out(session, absence, False)
    assert not session.sent
    done: list[int] = []

    def job() -> None:
        done.append(workers.running[-1])
        clock.now += module._HELP / 2

    workers._turns = [job] * 5
    readers.help_out(session, absence, False)
    assert done == [MYSELF] * 2 and not workers.running
    assert session.sent == 1  # its own answers wait for nobody

    def waits() -> None:
        readers.about_to_wait()

    workers._turns = [waits, job]
    readers.help_out(session, absence, False)
    assert workers.workers == [MYSELF]
    assert workers._turns == [job]
    assert not session._seat.return_from(absence)


def test_readers_rest_when_many_jobs_are_slow_and_not_for_a_few(clock: Any) -> None:
    """A busy machine makes any seem slow now and then."""
    readers, session = Readers(Workers(), 2), Session()
    absence = readers.leaves(session)
    assert absence is not None
    for number in range(500):
        readers.help_out(session, absence, number % (2 * module._SLOW) == 0)
    assert not readers.rest
    for _ in range(module._TOO_SLOW // module._SLOW + 1):
        readers.help_out(session, absence, True)
    assert readers.rest
    clock.now += 1
    assert not readers.rest
    readers.help_out(session, absence, True)  # and again at once
    assert readers.rest


def test_that_no_thread_can_be_started_is_said_once_and_answers_are_sent(
    clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    readers, session = Readers(Workers(), 2), Session()
    session.no_thread = True
    readers.leaves(session)
    readers.look()
    clock.now += 2 * module._PATIENCE
    for _ in range(4):
        readers.look()
        clock.now += 2 * module.LOOK
    assert session.sent == 4
    assert len(caplog.records) == 1
