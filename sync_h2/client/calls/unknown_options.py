"""What is said of an option that calls don't have: which one was meant, or whose it is. Pure functions."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def explains_unknown(of_client: Callable[[], Collection[str]]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: the function's TypeError for an option that it does not have says more; some are `of_client`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = frozenset(inspect.signature(function).parameters)

        @functools.wraps(function)
        def explaining(*args: P.args, **kwargs: P.kwargs) -> T:
            if not kwargs.keys() <= known:
                name = next(name for name in kwargs if name not in known)
                raise TypeError(
                    f"{function.__qualname__}() got an unexpected keyword argument {name!r}"
                    f"{_hint(name, sorted(known - {'self'}), of_client())}"
                )
            return function(*args, **kwargs)

        return explaining

    return decorate


def _hint(name: str, known: Collection[str], of_client: Collection[str]) -> str:
    if name in of_client:
        return f": {name} is an option of Client"
    similar = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {similar[0]!r}?" if similar else ""
