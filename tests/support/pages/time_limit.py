"""How long a page may take: all its blocks together, so that what fails names the block and not the test's timeout."""

from __future__ import annotations

import time


class TimeLimit:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def __str__(self) -> str:
        return f"the page took more than {self.seconds:g} s, and this is where it was"
