"""Checks of what callers pass, made before the lock is taken: a mistake of theirs must not look like a broken
session.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from .errors import InvalidArgument


def type_name(value: object) -> str:
    return type(value).__name__


def full_type_name(value: object) -> str:
    """With its module, where two have the same name."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def check_options(function: Callable[..., Any], given: Iterable[str], options: type) -> None:
    """What `function` collects with `**` are keys of `options`, a TypedDict. Raises TypeError, which knows its other
    arguments too.
    """
    known: frozenset[str] = options.__optional_keys__  # type: ignore[attr-defined]  # what a TypedDict has
    for name in given:
        if name not in known:
            parameters = inspect.signature(function).parameters.values()
            own = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
            raise unknown_option(name, [*own, *sorted(known)])


def unknown_option(name: str, known: Iterable[str]) -> TypeError:
    """The error for an option that is none of those `known`."""
    names = list(known)
    similar = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {similar[0]!r}?" if similar else f"; there are {', '.join(names)}"
    return TypeError(f"there is no option {name!r}{hint}")


def check_host(function: str, host: object) -> None:
    """`host` is one, and not the port that `function`, which is shown with its first argument, takes behind it."""
    if not isinstance(host, str):
        is_port = isinstance(host, int) and not isinstance(host, bool)
        hint = f"; did you mean {function}, port={host})?" if is_port else ""
        raise TypeError(f"host must be a str ('' is all addresses), not {type_name(host)}{hint}")
    if host.startswith("unix:"):  # a path, whatever it looks like
        return
    if host.isascii() and host.isdigit() and len(host) <= len("65535"):
        raise InvalidArgument(f"host {host!r} is a port; did you mean {function}, port={host})?")
    name, colon, port = host.rpartition(":")
    if colon and ":" not in name and port.isdigit():
        raise InvalidArgument(f"host {host!r} has a port; did you mean {function}, {name!r}, {port})?")


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
