"""Many calls at once, and their outcomes as they come: the threads of `Client.map`.

Each call runs on one of a few daemon threads, which take the next when they are done. The thread that wants the
outcomes waits for these only: when it wants no more, the calls that run are left to themselves, and the threads close
what comes of them. It takes no lock then, for it may be a finalizer's.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

from ..messages.response import Response

_Outcome = tuple["Response | None", "BaseException | None"]


class Calls:
    """Calls `make(item)` on up to `max_workers` threads."""

    def __init__(self, make: Callable[[Any], Response], max_workers: int) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers}")
        self._make = make
        self._most = max_workers
        self._threads = 0
        self._items: SimpleQueue[list[Any]] = SimpleQueue()  # each in a list; an empty one ends a thread
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()

    def outcomes(self, items: Iterable[Any], return_exceptions: bool) -> Iterator[Any]:
        """The responses as they come; what a call raises is raised, or with `return_exceptions` given instead. Up to
        twice as many calls as there are threads are asked for ahead.
        """
        ahead = 0
        try:
            for item in items:
                self._begin(item)
                ahead += 1
                if ahead >= 2 * self._most:
                    ahead -= 1
                    yield self._next(return_exceptions)
            for _ in range(ahead):
                yield self._next(return_exceptions)
        finally:
            self._end()

    def _begin(self, item: Any) -> None:
        self._items.put([item])
        if self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name="sync_h2-map", daemon=True).start()

    def _next(self, return_exceptions: bool) -> Any:
        response, error = self._outcomes.get()
        if error is None:
            return response
        if return_exceptions:
            return error
        try:
            raise error
        finally:
            del error  # it refers to this frame

    def _end(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._items.get_nowait()
        for _ in range(self._threads):
            self._items.put([])

    def _work(self) -> None:
        for (item,) in iter(self._items.get, []):
            try:
                outcome: _Outcome = self._make(item), None
            except BaseException as error:
                outcome = None, error
            self._outcomes.put(outcome)
            del item, outcome
        with contextlib.suppress(Empty):
            while True:  # what nobody has taken
                response, _ = self._outcomes.get_nowait()
                if response is not None:
                    response.close()
