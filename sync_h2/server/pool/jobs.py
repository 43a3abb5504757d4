"""What a pool runs, and what every pool offers to those who have something to run, on whatever thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Protocol

from .readers import ReadSession

Job = Callable[[], None]

_log = logging.getLogger("sync_h2.server")


class Pool(Protocol):
    """Where jobs run: `HandlerPool`, which says what each method is for, or a user's executor behind the same ones."""

    def submit(self, key: Hashable, *new: Job) -> bool: ...

    def forget(self, key: Hashable) -> None: ...

    def reader_leaves(self, session: ReadSession) -> object | None: ...

    def job_takes_long(self) -> None: ...

    def reader_ends(self) -> None: ...

    def job_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None: ...

    def waiting_jobs(self, key: Hashable) -> int: ...

    def keep_worker(self, key: Hashable, wanted: bool) -> None: ...

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool: ...


def run_logged(job: Callable[[], object]) -> None:
    """Run a job; what it raises is logged."""
    try:
        job()
    except BaseException:  # SystemExit too: a handler that calls `sys.exit` ends itself, not its worker
        _log.exception("a job of the handler pool failed")
