"""What every pool offers to those who have something to run, on whatever thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from .jobs import Job
from .readers import Readers


class Pool(Protocol):
    """Where jobs run: `HandlerPool`, which says what each method is for, or a user's executor behind the same ones."""

    @property
    def readers(self) -> Readers | None:
        """Those who may run jobs where they read; None: nobody."""

    def submit(self, key: Hashable, *new: Job) -> bool: ...

    def forget(self, key: Hashable) -> None: ...

    def job_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None: ...

    def waiting_jobs(self, key: Hashable) -> int: ...

    def keep_worker(self, key: Hashable, wanted: bool) -> None: ...

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool: ...
