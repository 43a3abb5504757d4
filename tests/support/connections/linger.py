"""Sessions that have ended wait a second for the peer to hang up; tests whose peers never do need not, and those whose
peers have much to read first give them more.
"""

from __future__ import annotations

import pytest

from sync_h2.connection.timing import watchdog


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LINGER", 0.1)


@pytest.fixture
def long_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LINGER", 30.0)
