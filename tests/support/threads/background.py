"""For tests of what several threads do at once: calls on threads of their own, and waiting for what they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

PATIENCE = 10.0

LONGEST_WAIT = 40.0
"""Seconds for what happens by itself: of use only to a test that fails."""


def eventually(condition: Callable[[], T], what: str = "the condition", *, seconds: float = LONGEST_WAIT) -> T:
    """Wait until `condition()` holds, and return what it gives: for what happens on another thread, or in another
    program, and leaves nothing to wait for. A program that has to start first needs more `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not (outcome := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds:g} s"
        time.sleep(0.002)
    return outcome


def waits(stream: Any) -> bool:
    """Whether some thread is blocked in a call of `stream`."""
    state = stream._state
    return bool(state.reader_waits or state.writer_waits)


Background = Callable[..., "Future[Any]"]


@pytest.fixture
def background() -> Iterator[Background]:
    """`background(function, *arguments, **named)` calls it on a new thread and returns the Future of its result.

    The threads have to end by themselves before the test's end is counted.
    """
    threads: list[threading.Thread] = []

    def call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*arguments, **named))
            except BaseException as error:
                future.set_exception(error)

        thread = threading.Thread(target=run, daemon=True)
        threads.append(thread)
        thread.start()
        return future

    yield call
    deadline = time.monotonic() + LONGEST_WAIT
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
