"""How the time that something takes grows with its input: what a peer sends is worked off in linear time.

Measured is this thread's own processor time, so that other processes do not count, and the shortest of several runs,
so that what disturbs one does not either.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

FACTOR = 4
MOST = 9.0
"""Twice the input takes at most three times the work: four times the input nine times. What is linear takes four, what
is quadratic sixteen.
"""

_RUNS = 2  # between two looks: mostly they suffice
_ATTEMPTS = 15
_SHORTEST = 0.0005  # seconds that a measured run takes at least
_SHORT = 0.05  # seconds: what takes longer is not tried with more

Prepare = Callable[[int], Callable[[], object]]


def assert_linear(prepare: Prepare, size: int) -> None:
    """`prepare(size)` gives what works off an input of that size once; it is prepared anew for each call of it.

    What grows too fast does so from each size on, and what has a step somewhere (a buffer that no longer fits, another
    read) only across that: so of two steps one may be too large.
    """
    small, large = _shortest(prepare, size)
    if large <= MOST * small:
        return
    if large < _SHORT:
        larger_small, larger = _shortest(prepare, size * FACTOR)
        if larger <= MOST * larger_small:
            return
    raise AssertionError(f"{FACTOR} times the input takes {large / small:.1f} times as long: {large:.4f} s")


def _shortest(prepare: Prepare, size: int) -> tuple[float, float]:
    """The seconds for an input of that size, and for one of FACTOR times that; at most MOST times as long if it can."""
    repeats = 1
    while _seconds(prepare, size, repeats) < _SHORTEST:
        repeats *= 2
    small = large = float("inf")
    for _ in range(_ATTEMPTS):
        for _ in range(_RUNS):
            small = min(small, _seconds(prepare, size, repeats))
            large = min(large, _seconds(prepare, size * FACTOR, repeats))
            if large > 1.0:
                break  # nobody needs to wait for more of that
        if large <= MOST * small:
            break
    return small / repeats, large / repeats


def assert_each_linear(shapes: Mapping[str, Prepare], size: int) -> None:
    """The same for inputs of many shapes, in less time: what looks linear at once is not measured again."""
    for name, prepare in shapes.items():
        prepare(size)()
        small = min(_seconds(prepare, size, 1) for _ in range(2))
        if _seconds(prepare, size * FACTOR, 1) > MOST * small / 2:
            try:
                assert_linear(prepare, size)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None


def _seconds(prepare: Prepare, size: int, repeats: int) -> float:
    jobs = [prepare(size) for _ in range(repeats)]
    gc.disable()  # free-threaded, it looks at all that there is each time: a step, and not the job's
    try:
        began = time.thread_time()
        for job in jobs:
            job()
        return time.thread_time() - began
    finally:
        gc.enable()
