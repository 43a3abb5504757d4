"""Checks of what callers pass, made before the lock is taken: a mistake of theirs must not look like a broken
session.
"""

from __future__ import annotations

from .errors import InvalidArgument


def type_name(value: object) -> str:
    return type(value).__name__


def check_whole_number(name: str, value: object, least: int, most: int) -> None:
    """`value`, given as the argument `name`, is an int from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type_name(value)}")
    if not least <= value <= most:
        raise InvalidArgument(f"{name} must be between {least} and {most}, not {value}")


def check_error_code(code: object) -> None:
    """An HTTP/2 error code is an unsigned number of 32 bits (RFC 9113 section 7)."""
    if not isinstance(code, int):
        raise TypeError(f"an error code must be an int, not {type_name(code)}")
    if not 0 <= code < 2**32:
        raise InvalidArgument(f"an error code must be between 0 and 2**32 - 1, not {code}")


def check_cause(error: object) -> None:
    """What `destroy` takes as its reason is chained to the errors that callers get."""
    if error is not None and not isinstance(error, BaseException):
        raise TypeError(f"the error must be an exception or None, not {type_name(error)}")
