"""Checks of what callers pass, made before the lock is taken: a mistake of theirs must not look like a broken
session.
"""

from __future__ import annotations

import math

from ..errors import InvalidArgument


def type_name(value: object) -> str:
    return type(value).__name__


def check_error_code(code: object) -> None:
    """An HTTP/2 error code is an unsigned number of 32 bits (RFC 9113 section 7)."""
    if not isinstance(code, int):
        raise TypeError(f"an error code must be an int, not {type_name(code)}")
    if not 0 <= code < 2**32:
        raise InvalidArgument(f"an error code must be between 0 and 2**32 - 1, not {code}")


def check_timeout(seconds: object) -> None:
    """A time in seconds, or None."""
    if seconds is None:
        return
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"a timeout must be a number of seconds or None, not {type_name(seconds)}")
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgument(f"a timeout must not be negative, not {seconds}")
