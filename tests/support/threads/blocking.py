"""Which threads wait: for tests that bring about what they wait for."""

from __future__ import annotations

import threading

import pytest

from sync_h2.connection.shared import monitor as waiting


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The callers' and handlers' threads that are blocked in a waiter at this moment; not the engine's own."""
    threads: set[int] = set()
    block = waiting.Waiter.block

    def watched(self: waiting.Waiter, timeout: float | None) -> bool:
        name = threading.current_thread().name
        if name.startswith("sync_h2-") and not name.startswith("sync_h2-handler"):
            return block(self, timeout)
        threads.add(threading.get_ident())
        try:
            return block(self, timeout)
        finally:
            threads.discard(threading.get_ident())

    monkeypatch.setattr(waiting.Waiter, "block", watched)
    return threads
