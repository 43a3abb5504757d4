"""The scheduler by itself: what changes leave behind. Who gets how much is measured in test_priorities.py."""

from __future__ import annotations

import weakref
from collections import Counter

import pytest

from sync_h2.connection.sending.scheduler import Scheduler
from sync_h2.connection.shared.priorities import DEFAULT_URGENCY, DEFAULT_WEIGHT


class Ready:
    """A stream with something to send."""

    def __init__(self, stream_id: int, urgency: int = DEFAULT_URGENCY) -> None:
        self.id = stream_id
        self.urgency = urgency
        self.weight = DEFAULT_WEIGHT
        self.sequential = False
        self.turn = 0.0
        self.scheduled = False
        self.ticket = 0


def test_a_stream_that_was_made_less_urgent_comes_after_the_others() -> None:
    scheduler = Scheduler()
    demoted, other = Ready(1, 0), Ready(3, 5)
    scheduler.add(demoted)
    scheduler.add(other)
    scheduler.change(demoted, 7, False)
    assert scheduler.next() is other


@pytest.mark.parametrize("again", ["change", "remove and add"])
def test_a_peer_that_changes_priorities_all_the_time_fills_no_memory(again: str) -> None:
    scheduler = Scheduler()
    streams = [Ready(2 * number + 1) for number in range(100)]
    for stream in streams:
        scheduler.add(stream)
    for number in range(20_000):
        stream = streams[number % 7]
        if again == "change":
            scheduler.change(stream, number % 2, False)
        else:
            scheduler.remove(stream)
            scheduler.add(stream)
    assert sum(len(level._heap) for level in scheduler._levels.values()) < 1000
    assert {scheduler.next() for _ in streams} == set(streams)  # nobody was lost


def test_a_stream_that_left_is_not_held() -> None:
    scheduler = Scheduler()
    stream = Ready(1)
    reference = weakref.ref(stream)
    scheduler.add(stream)
    scheduler.remove(stream)
    del stream
    assert reference() is None


def test_every_urgency_gets_a_share() -> None:
    scheduler = Scheduler()
    for number in range(4):
        scheduler.add(Ready(2 * number + 1, urgency=number))
    served = Counter[int]()
    for _ in range(4800):
        stream = scheduler.next()
        assert isinstance(stream, Ready)
        served[stream.id] += 1
        scheduler.sent(stream, 1000)
        scheduler.requeue(stream)
    assert served == {1: 4500, 3: 100, 5: 100, 7: 100}
