"""After every test nothing may be left over: no thread that it started, no descriptor that it opened.

The check is an autouse fixture: fixtures of a wider scope are set up before it and torn down after it, so what they
hold (a peer program's pipes) does not count, while everything that the test and its own fixtures hold does.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator

import pytest

from sync_h2.connection.shared.timers import timers
from sync_h2.transport.full_sockets import full_sockets

# Threads end, and close their sockets, a moment after the call that ended them has returned.
GRACE_SECONDS = 5.0

# One per process, made at its first use; every session shares it.
PROCESS_WIDE_THREADS = {"sync_h2-timers", "sync_h2-full-sockets"}

_DESCRIPTOR_FOLDER = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"

_call_failed = pytest.StashKey[bool]()


def open_descriptors() -> dict[int, str]:
    """Number -> what it refers to, of every descriptor this process has open."""
    descriptors = {}
    for name in os.listdir(_DESCRIPTOR_FOLDER):
        path = f"{_DESCRIPTOR_FOLDER}/{name}"
        try:
            status = os.stat(path)
            kind = os.readlink(path) if os.path.islink(path) else ""
        except OSError:  # closed by now: the one that listed the folder, or another thread's
            continue
        descriptors[int(name)] = f"{kind} (device {status.st_dev}, inode {status.st_ino})"
    return descriptors


def _wait_for_threads_to_end(before: set[threading.Thread], deadline: float) -> list[threading.Thread]:
    """Join the threads that are not in `before`; those that outlive `deadline`."""
    while started := [
        thread for thread in threading.enumerate() if thread not in before and thread.name not in PROCESS_WIDE_THREADS
    ]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            break
        if started[0].ident is None:
            time.sleep(0.001)  # it is being started: it can't be joined yet
        else:
            started[0].join(remaining)
    return started


def stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    stack = "".join(traceback.format_stack(frame)) if frame else "  (it has just ended)\n"
    return f"{thread.name}{' (daemon)' if thread.daemon else ''}:\n{stack}"


def threads_left(before: set[threading.Thread], deadline: float) -> str:
    """The stacks of the threads that are not in `before` and outlive `deadline`."""
    return "\n".join(map(stack_of, _wait_for_threads_to_end(before, deadline)))


def check_threads_end(before: set[threading.Thread], deadline: float) -> None:
    """Wait for the threads that are not in `before`; fails with the stacks of those that outlive `deadline`."""
    if left := threads_left(before, deadline):
        pytest.fail(f"threads are left behind\n{left}", pytrace=False)


def let_timers_catch_up() -> None:
    """Wait until the timer thread has done what it was left, such as closing descriptors."""
    caught_up = threading.Event()
    timers.run(caught_up.set)
    assert caught_up.wait(GRACE_SECONDS), "the timer thread does nothing"


def pytest_collection_finish() -> None:
    """What is there before the first test stays: to look through it after each would take most of the suite's time. And
    what the process has one of is not the first test's.
    """
    full_sockets.ensure_running()
    timers.ensure_running()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_call_failed] = True
    return report


@pytest.fixture(autouse=True)
def nothing_left_over(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that leaves a thread or a descriptor behind."""
    threads_before = set(threading.enumerate())
    descriptors_before = open_descriptors()
    yield
    if request.node.stash.get(_call_failed, False):
        return  # the traceback of the failure keeps objects alive, and the failure is what should be read
    check_threads_end(threads_before, time.monotonic() + GRACE_SECONDS)
    # Unreachable objects warn here (ResourceWarning is an error), not in a later test.
    gc.collect()
    let_timers_catch_up()
    deadline = time.monotonic() + GRACE_SECONDS  # what the timers were left may have become another thread's
    while opened := {item for item in open_descriptors().items() if item not in descriptors_before.items()}:
        if time.monotonic() < deadline:
            time.sleep(0.005)
            continue
        listing = "\n".join(f"{number}: {target}" for number, target in sorted(opened))
        pytest.fail(f"the test left descriptors open\n{listing}", pytrace=False)
    gc.freeze()  # see above: what is left is pytest's, and grows with each test
