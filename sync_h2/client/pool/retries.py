"""When a request may be sent again, and after what pause (RFC 9110 section 9.2.2, RFC 9113 section 8.7).

Pure functions, and a count that one thread has.
"""

from __future__ import annotations

import datetime
import email.utils

from ..messages.call import Call
from ..values.fields import Fields

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
_PAUSE_WITH_PROGRESS = 0.005
_MOST_WITH_PROGRESS = 1000
_REFUSALS_WEIGH = 20  # as much: each has a pause of up to a second


def may_repeat(call: Call, processed: bool | None) -> bool:
    """Whether the request can and may be sent again: certainly not `processed`, or harmless if it was."""
    if call.body is not None and not call.body.rewindable:
        return False
    return processed is False or call.method in _IDEMPOTENT


class Tries:
    """Counts how often one request is sent again: `retries` times, or those that are certainly unprocessed `retries`
    times in a row without progress.

    A server that ends each connection after ten requests leaves forty of fifty unprocessed, time and again.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failed = 0
        self._passed_over = 0

    def pause(self, *, progress: bool = False, refused: bool = False) -> float | None:
        """The seconds before the next try, None if there is none. `progress`: the request is certainly unprocessed, and
        meanwhile the server has taken others; `refused`: it takes no more at this time.
        """
        if progress and self._retries and self._passed_over < _MOST_WITH_PROGRESS:
            self._failed = 0
            self._passed_over += _REFUSALS_WEIGH if refused else 1
            return pause_before(1 + self._passed_over // _REFUSALS_WEIGH) if refused else _PAUSE_WITH_PROGRESS
        self._failed += 1
        return pause_before(self._failed) if self._failed <= self._retries else None


def pause_before(attempt: int) -> float:
    """Seconds before the next try, which is the second for `attempt` 1: longer each time."""
    return min(_FIRST_PAUSE * 2.0 ** (attempt - 1), _LONGEST_PAUSE)


def retry_after(headers: Fields) -> float | None:
    """The seconds that a Retry-After field asks for; None if there is none, or it says nothing."""
    value = next((value.strip() for name, value in headers if name == "retry-after"), "")
    if value.isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    wait: float = (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    return max(wait, 0.0)
