"""How long the parts of a request may take, and what is left of that. Pure values, and clocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...deadline import Deadline, check_timeout
from ...exceptions import ConnectTimeout, Timeout


@dataclass(frozen=True)
class Timeouts:
    """Seconds, each None for no limit: to `connect` (with TLS, and the server's SETTINGS or answer to a PING where they
    are waited for), between two pieces of what is `read`, of which the response's head is one, between two pieces of
    what is written (`write`), and to wait for a connection when all of the `pool` are busy. `total` is for all of a
    call, with its repeats and redirects, up to the end of the last body.
    """

    connect: float | None = None
    read: float | None = None
    write: float | None = None
    pool: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        for seconds in (self.connect, self.read, self.write, self.pool, self.total):
            check_timeout(seconds)
            if seconds == 0:
                raise ValueError("a timeout of 0 seconds leaves no time: give more, or None for no limit")

    @classmethod
    def of(cls, value: Any) -> Timeouts:
        """A number of seconds for each part, `(connect, read)` as in requests, None, or `Timeouts` as they are."""
        if value is None:
            return _WITHOUT_LIMIT
        if isinstance(value, cls):
            return value
        if hasattr(value, "start_connect"):
            value = _of_urllib3(value)
        if isinstance(value, (tuple, list)):
            if len(value) != 2:
                raise ValueError(f"a timeout is a number of seconds, (connect, read), or Timeouts, not {value!r}")
            connect, read = value
            return cls(connect, read, read)
        return cls(value, value, value, value)


def _of_urllib3(timeout: Any) -> tuple[float | None, float | None]:
    """A `urllib3.Timeout`'s limits to connect and to read; its total bounds each part, as there."""
    started = timeout.clone()
    started.start_connect()
    connect, read = started.resolve_default_timeout(started.connect_timeout), started.read_timeout
    # Without the microseconds since it was started.
    return connect, None if read is None else _in_milliseconds(read)


def _in_milliseconds(seconds: float) -> float:
    return math.ceil(seconds * 1000) / 1000


_WITHOUT_LIMIT = Timeouts()

TimeoutLike: TypeAlias = float | tuple[float | None, float | None] | Timeouts | None
"""What `Timeouts.of` takes: what users give."""


class Patience:
    """What is left to a call: each of its timeouts, or what is left of their total if that is less. Asking for one
    raises `exceptions.Timeout` once the total has run out, a `ConnectTimeout` where it is to connect.
    """

    def __init__(self, timeouts: Timeouts, total: Deadline, url: str, request: Any) -> None:
        self._timeouts = timeouts
        self._total = total
        self._url = url
        self._bounded = total.timeout is not None
        self._request = request
        self.processed: bool | None = False
        """Whether the server may have processed the request, for the exception."""

    @property
    def connect(self) -> float | None:
        return self._at_most(self._timeouts.connect, ConnectTimeout) if self._bounded else self._timeouts.connect

    @property
    def read(self) -> float | None:
        return self._at_most(self._timeouts.read) if self._bounded else self._timeouts.read

    @property
    def write(self) -> float | None:
        return self._at_most(self._timeouts.write) if self._bounded else self._timeouts.write

    @property
    def pool(self) -> float | None:
        return self._at_most(self._timeouts.pool) if self._bounded else self._timeouts.pool

    @property
    def failure(self) -> Timeout | None:
        """What the call fails with if the total has run out."""
        return self._failure(Timeout)

    def _failure(self, kind: type[Timeout]) -> Timeout | None:
        if not self._total.expired:
            return None
        return kind(
            f"{self._url}: not done within the total of {self._total.timeout} s",
            request=self._request,
            processed=self.processed,
        )

    def check(self) -> None:
        """Raise the failure if there is one."""
        failure = self.failure
        if failure is not None:
            raise failure

    def allows(self, pause: float) -> bool:
        """Whether something can still be done after a pause."""
        remaining = self._total.remaining()
        return remaining is None or pause < remaining

    def _at_most(self, seconds: float | None, kind: type[Timeout] = Timeout) -> float | None:
        failure = self._failure(kind)
        if failure is not None:
            raise failure
        remaining = self._total.remaining()
        if remaining is None:
            return seconds
        remaining = _in_milliseconds(remaining)  # for people, and so that the total is over then
        return remaining if seconds is None else min(seconds, remaining)
