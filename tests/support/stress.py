"""The soak of races: with SYNC_H2_STRESS=1 the tests that use this run 20 times over, in rounds, while threads switch
as often as the interpreter can make them.

A test that goes through all its cases by itself says `@pytest.mark.one_round`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

STRESS = os.environ.get("SYNC_H2_STRESS") == "1"
ROUNDS = 20
_SWITCH_INTERVAL = 1e-6


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_round: under SYNC_H2_STRESS=1 this test runs once all the same")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if STRESS and metafunc.definition.get_closest_marker("one_round") is None:
        metafunc.parametrize("stress_round", range(ROUNDS), ids="round{}".format, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One round after the other: what a test leaves behind meets other tests, not only itself."""
    items.sort(key=_round)


def _round(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    return 0 if callspec is None else callspec.params.get("stress_round", 0)


@pytest.fixture(autouse=True)
def stress_round() -> Iterator[None]:
    """One round of a test."""
    if not STRESS:
        yield
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    yield
    sys.setswitchinterval(interval)
