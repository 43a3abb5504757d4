"""The soak of races: with SYNC_H2_STRESS=1 the tests that use this run 20 times over (SYNC_H2_STRESS_ROUNDS, if that is
set), in rounds, while threads switch as often as the interpreter can make them.

A test with more cases than a round has time for asks for the fixture `stress_round` and takes one of `PARTS` in each
round: all of them in 20.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from sync_h2.connection.server_side import quick_handlers

STRESS = os.environ.get("SYNC_H2_STRESS") == "1"
PARTS = 20
ROUNDS = int(os.environ.get("SYNC_H2_STRESS_ROUNDS", PARTS))
_SWITCH_INTERVAL = 1e-6


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if STRESS:
        metafunc.parametrize("stress_round", range(ROUNDS), ids="round{}".format, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One round after the other: what a test leaves behind meets other tests, not only itself."""
    items.sort(key=_round)


def _round(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    return 0 if callspec is None else callspec.params.get("stress_round", 0)


@pytest.fixture(autouse=True)
def stress_round(request: pytest.FixtureRequest) -> Iterator[int | None]:
    """The number of the round that a test runs in; None without SYNC_H2_STRESS."""
    if not STRESS:
        yield None
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    used_before = quick_handlers._USED_BEFORE
    if request.param % 2:  # in every other round readers run handlers from a connection's first request on
        quick_handlers._USED_BEFORE = -1
    yield request.param
    quick_handlers._USED_BEFORE = used_before
    sys.setswitchinterval(interval)
