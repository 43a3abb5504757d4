from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from sync_h2 import deadline as deadline_module
from sync_h2.deadline import Deadline


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(deadline_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.mark.parametrize("timeout", [None, math.inf, 1e12])
def test_some_deadlines_never_come(clock: Clock, timeout: float | None) -> None:
    deadline = Deadline(timeout)
    clock.now += 1e9
    assert deadline.remaining() is None
    assert not deadline.expired


def test_time_runs_out_and_is_never_negative(clock: Clock) -> None:
    deadline = Deadline(3.0)
    assert deadline.remaining() == 3.0
    clock.now += 2.0
    assert deadline.remaining() == 1.0
    assert not deadline.expired
    clock.now += 1.0
    assert deadline.expired
    clock.now += 1.0
    assert deadline.remaining() == 0.0


def test_a_deadline_can_start_again(clock: Clock) -> None:
    deadline = Deadline(3.0)
    clock.now += 4.0
    deadline.restart(clock.now - 1.0)
    assert deadline.remaining() == 2.0
    assert not deadline.expired
    deadline.restart(clock.now - 2.0)  # does not end it sooner
    assert deadline.remaining() == 2.0


def test_no_time_at_all_has_run_out(clock: Clock) -> None:
    assert Deadline(0).expired
    assert Deadline(0.0).expired


def test_at_most(clock: Clock) -> None:
    assert Deadline(None).at_most(3.0).remaining() == 3.0
    assert Deadline(5.0).at_most(3.0).timeout == 3.0
    short = Deadline(2.0)
    assert short.at_most(3.0) is short
    assert short.at_most(None) is short
