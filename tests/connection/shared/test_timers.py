"""The timer thread: whoever arms it is called, although it is woken only where it would look too late by itself."""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any, NoReturn

import pytest

from support.threads.background import eventually
from sync_h2.connection.shared.timers import TimerThread, timers


class Target:
    def __init__(self) -> None:
        self.called_at: list[float] = []

    def on_timer(self, now: float) -> None:
        self.called_at.append(now)


@pytest.fixture
def busy_switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def arm(seconds: float, target: Target) -> float:
    moment = time.monotonic() + seconds
    timers.arm(moment, weakref.ref(target))
    return moment


def at_rest() -> bool:
    """Whether the thread waits for a later moment than now."""
    return timers._looks_at > time.monotonic()


def test_an_earlier_moment_than_the_one_it_waits_for() -> None:
    timers.ensure_running()
    late, soon = Target(), Target()
    arm(3600, late)
    eventually(at_rest)
    moment = arm(0.01, soon)
    eventually(lambda: soon.called_at)
    assert soon.called_at[0] >= moment
    assert not late.called_at


def test_a_later_moment_wakes_nobody() -> None:
    timers.ensure_running()
    first, second = Target(), Target()
    arm(3600, first)
    eventually(lambda: timers._looks_at > 0 and timers._wake.locked())
    arm(3601, second)
    assert timers._wake.locked()


def test_moments_that_were_left_while_it_slept_are_kept_in_order() -> None:
    timers.ensure_running()
    first, second, third = Target(), Target(), Target()
    arm(0.1, first)
    last = arm(0.3, third)
    arm(0.2, second)
    eventually(lambda: third.called_at)
    assert first.called_at[0] <= second.called_at[0] <= third.called_at[0]
    assert third.called_at[0] >= last


def test_a_job_is_run_at_once_whatever_it_waits_for() -> None:
    timers.ensure_running()
    done = threading.Event()
    arm(3600, Target())
    eventually(at_rest)
    timers.run(done.set)
    assert done.wait(20)


@pytest.mark.parametrize("seconds", [1e10, 1e300])
def test_a_moment_that_is_too_far_for_the_platform_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """On a thread of its own, whose only moment it is."""
    own = TimerThread()
    ended: list[object] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)
    own.ensure_running()
    far, soon = Target(), Target()
    own.arm(time.monotonic() + seconds, weakref.ref(far))
    eventually(lambda: ended or own._looks_at > time.monotonic())
    own.arm(time.monotonic() + 0.01, weakref.ref(soon))
    eventually(lambda: ended or soon.called_at)
    assert not ended
    assert not far.called_at


def fail_with(error: BaseException) -> NoReturn:
    raise error


def fail_in_hook(unraisable: object) -> NoReturn:
    raise RuntimeError("the hook fails, too")


@pytest.mark.parametrize(
    ("hook", "printed"),
    [
        (sys.__unraisablehook__, "ResourceWarning: a stream was dropped"),
        (fail_in_hook, "RuntimeError: the hook fails, too"),
    ],
    ids=["the interpreter's", "one that fails"],
)
def test_a_warning_that_is_an_error_is_reported_and_stops_nobody(
    hook: Any, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `python -W error::ResourceWarning` makes one of a stream that was dropped."""
    own = TimerThread()
    own.ensure_running()
    done = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "unraisablehook", hook)
        patched.setattr(threading, "excepthook", lambda ended: None)
        own.run(partial(fail_with, ResourceWarning("a stream was dropped")))
        own.run(done.set)
        assert done.wait(20)
    assert printed in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError(), SystemExit()], ids=repr)
def test_a_job_and_a_log_handler_that_fail_stop_nobody(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit("the log is full")

    reported: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(str(unraisable.exc_value)))
    own = TimerThread()
    own.ensure_running()
    handler = Refusing()
    logger = logging.getLogger("sync_h2.timers")
    logger.addHandler(handler)
    done = threading.Event()
    try:
        own.run(partial(fail_with, error))
        own.run(done.set)
        assert done.wait(20)
    finally:
        logger.removeHandler(handler)
    assert reported == ["the log is full"]


def test_a_wait_for_a_moment_that_passes_meanwhile_ends() -> None:
    """`SimpleQueue.get` may then wait for ever (CPython 3.11), and nobody would wake the thread for a later moment."""
    own = TimerThread()
    target = Target()

    def wait_often() -> None:
        for _ in range(20_000):
            own._looks_at = time.monotonic() + 20
            own.arm(0, weakref.ref(target))
            own._entries.clear()
            own._wait_until(time.monotonic() + 20)
            own._wait_until(time.monotonic() + 1e-6)

    thread = threading.Thread(target=wait_often, daemon=True)
    thread.start()
    thread.join(20)
    hangs = thread.is_alive()
    while thread.is_alive():
        own.run(Target)
        thread.join(0.01)
    assert not hangs


@pytest.mark.usefixtures("busy_switching")
def test_none_is_lost_however_many_arm_at_the_same_time() -> None:
    """Each of its kind is the earliest for a moment, and left while the thread is on its way to sleep."""
    timers.ensure_running()
    targets = [Target() for _ in range(4 * 300)]

    def arm_some(mine: list[Target]) -> None:
        for number, target in enumerate(mine):
            arm((number * 7 % 11) / 2000, target)
            if number % 5 == 0:
                eventually(lambda: target.called_at)  # noqa: B023 - it is called here alone

    threads = [threading.Thread(target=arm_some, args=(targets[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: all(target.called_at for target in targets))
