"""How long the parts of a request may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..deadline import check_timeout


@dataclass(frozen=True)
class Timeouts:
    """Seconds, each None for no limit: to `connect` (with TLS), between two pieces of what is `read`, of which the
    response's head is one, between two pieces of what is written (`write`), and to wait for a connection when all of
    the `pool` are busy.
    """

    connect: float | None = None
    read: float | None = None
    write: float | None = None
    pool: float | None = None

    def __post_init__(self) -> None:
        for seconds in (self.connect, self.read, self.write, self.pool):
            check_timeout(seconds)
            if seconds == 0:
                raise ValueError("a timeout of 0 seconds leaves no time: give more, or None for no limit")

    @classmethod
    def of(cls, value: Any) -> Timeouts:
        """A number of seconds for each part, `(connect, read)` as in requests, None, or `Timeouts` as they are."""
        if isinstance(value, cls):
            return value
        if hasattr(value, "connect_timeout"):  # urllib3's
            value = (value.connect_timeout, value.read_timeout)
        if isinstance(value, (tuple, list)):
            if len(value) != 2:
                raise ValueError(f"a timeout is a number of seconds, (connect, read), or Timeouts, not {value!r}")
            connect, read = value
            return cls(connect, read, read)
        return cls(value, value, value, value)
