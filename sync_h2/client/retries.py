"""When a request may be sent again, and after what pause (RFC 9110 section 9.2.2, RFC 9113 section 8.7)."""

from __future__ import annotations

import datetime
import email.utils

from .exchange import Call, Fields

_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


def may_repeat(call: Call, processed: bool | None) -> bool:
    """Whether the request can and may be sent again: certainly not `processed`, or harmless if it was."""
    if call.body is not None and not call.body.rewindable:
        return False
    return processed is False or call.method in _IDEMPOTENT


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
