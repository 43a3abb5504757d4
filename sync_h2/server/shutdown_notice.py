"""Telling whoever ends a server what it waits for. On the thread that closes it, and one more while that lasts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

_SAYS_SO_AFTER = 1.5  # seconds; what has nothing under way has ended by then
_MOST_NAMED = 3


class _Server(Protocol):
    def _requests_under_way(self) -> list[str]: ...


@contextlib.contextmanager
def telling_what_is_waited_for(server: _Server, tell: Callable[[str], object]) -> Iterator[None]:
    """While the block closes `server`: `tell` what it waits for, once, if that takes long."""

    def look() -> None:
        requests = server._requests_under_way()
        if requests:
            named = requests[:_MOST_NAMED]
            more = f" and {len(requests) - _MOST_NAMED} more" if len(requests) > _MOST_NAMED else ""
            tell(f"waiting for {', '.join(named)}{more}")

    timer = threading.Timer(_SAYS_SO_AFTER, look)
    timer.daemon = True
    timer.name = "sync_h2-waiting"
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
