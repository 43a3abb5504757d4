"""Turns of busy readers that a test can hold up and count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sync_h2.connection.receiving.turns import Turns


class CountedTurns(Turns):
    """How often a turn was asked for, and had."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.taken = 0

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for his turn, for whoever has it."""
        return self.asked > self.taken

    def __enter__(self) -> None:
        self.asked += 1
        super().__enter__()
        self.taken += 1


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountedTurns]:
    these = CountedTurns()
    monkeypatch.setattr("sync_h2.connection.receiving.receiver.turns", these)
    return these
