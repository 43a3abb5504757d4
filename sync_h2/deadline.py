"""Deadlines: how much of a timeout is left. Used by one thread at a time; no locks."""

from __future__ import annotations

import time

from .errors import InvalidArgument

# poll(2), which waits for sockets, counts milliseconds in a C int: 24 days. Whoever asks for more means for ever.
LONGEST_TIMEOUT = 2_000_000.0


def check_timeout(timeout: object) -> None:
    """Raise TypeError or InvalidArgument unless `timeout` is a time in seconds, or None."""
    if timeout is None:
        return
    if not isinstance(timeout, int | float) or isinstance(timeout, bool):
        raise TypeError(f"a timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:  # written so that NaN is refused too
        raise InvalidArgument(f"a timeout must not be negative, not {timeout}")


class Deadline:
    """The moment `timeout` seconds from now; None and `math.inf` never come."""

    __slots__ = ("_moment", "timeout")

    def __init__(self, timeout: float | None) -> None:
        self.timeout = self._moment = None
        if timeout is not None:
            check_timeout(timeout)
            if timeout <= LONGEST_TIMEOUT:
                self.timeout = timeout
                self._moment = time.monotonic() + timeout

    def restart(self, since: float) -> None:
        """Count the whole timeout again from `since`, a moment of `time.monotonic()`, if it then ends later."""
        if self._moment is not None and self.timeout is not None:
            self._moment = max(self._moment, since + self.timeout)

    def remaining(self) -> float | None:
        """Seconds left, never negative; None when there is no limit."""
        return None if self._moment is None else max(0.0, self._moment - time.monotonic())

    def at_most(self, seconds: float | None) -> Deadline:
        """The moment `seconds` from now, or this one if that is earlier."""
        remaining = self.remaining()
        return self if seconds is None or (remaining is not None and remaining <= seconds) else Deadline(seconds)

    @property
    def expired(self) -> bool:
        return self._moment is not None and time.monotonic() >= self._moment
