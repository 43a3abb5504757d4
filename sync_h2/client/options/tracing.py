"""Steps of an exchange, for who wants to be told when each begins and ends (httpx's extension `trace`).

Runs on the thread that makes the step, and costs nothing where nobody asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

Trace = Callable[[str, "dict[str, Any]"], object]


def step(trace: Trace | None, name: str, **values: Any) -> contextlib.AbstractContextManager[Any]:
    """A `with` block that calls `trace` with `name.started` and `values`, and in the end with `name.failed`, or
    `name.complete` and what has been set as the `value` of what `as` names, which is None where nobody asks.
    """
    return _UNTOLD if trace is None else _Step(trace, name, values)


def in_octets(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as they are told."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


class _Step:
    def __init__(self, trace: Trace, name: str, values: dict[str, Any]) -> None:
        self._trace = trace
        self._name = name
        self._values = values
        self.value: Any = None

    def __enter__(self) -> _Step:
        self._trace(f"{self._name}.started", self._values)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._trace(f"{self._name}.complete", {"return_value": self.value})
        else:
            self._trace(f"{self._name}.failed", {"exception": error})


_UNTOLD: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
