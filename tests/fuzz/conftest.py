"""How much is fuzzed: a fixed list in the test suite, by `tox -e fuzz` as much as SYNC_H2_FUZZ_SECONDS allow."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator

import hypothesis
import pytest

SECONDS = float(os.environ.get("SYNC_H2_FUZZ_SECONDS", "0"))

# In the suite the same examples each time: a failure there is one that a change has caused.
hypothesis.settings.register_profile(
    "fuzz",
    derandomize=not SECONDS,
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=int(50 * SECONDS) or 60,
)


@pytest.fixture
def numbers() -> Callable[[int], Iterator[int]]:
    """`numbers(count)`: from 0 up to `count`; and on, from a place of its own, while there is time."""

    def make(count: int) -> Iterator[int]:
        yield from range(count)
        if SECONDS:
            end = time.monotonic() + SECONDS
            start = time.time_ns()
            yield from itertools.takewhile(lambda _: time.monotonic() < end, itertools.count(start))

    return make
