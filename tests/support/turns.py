"""Turns of busy readers that a test can hold up and count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_h2.connection.turns import Turns


class CountedTurns(Turns):
    """`taken` says how often a reader has waited for its turn, and had it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def __enter__(self) -> None:
        super().__enter__()
        self.taken += 1


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountedTurns]:
    these = CountedTurns()
    monkeypatch.setattr("sync_h2.connection.receiver.turns", these)
    return these
