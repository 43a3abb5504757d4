"""Connections that are refused and have not shown yet what they speak: for a moment they may, and are told why in their
own words. On the acceptor's thread alone, which waits for them beside all else.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Collection

_PATIENCE = 0.5  # seconds
_MOST = 100  # connections; those beyond hear nothing


class Undecided:
    """`refuse(sock, limit)` says what can be said, without waiting, and closes."""

    def __init__(self, selector: selectors.BaseSelector, refuse: Callable[[socket.socket, str], None]) -> None:
        self._selector = selector
        self._refuse = refuse
        self._waiting: dict[socket.socket, tuple[float, str]] = {}  # until when, and the limit; the oldest first

    def __enter__(self) -> Undecided:
        return self

    def __exit__(self, *exception: object) -> None:
        self.look((), last=True)

    def add(self, sock: socket.socket, limit: str) -> bool:
        """Wait for what this one says; False if too many do."""
        if len(self._waiting) >= _MOST:
            return False
        self._selector.register(sock, selectors.EVENT_READ)
        self._waiting[sock] = (time.monotonic() + _PATIENCE, limit)
        return True

    @property
    def patience(self) -> float | None:
        """Seconds until `look` is to be called, whatever the selector says; None: for ever."""
        for until, _ in self._waiting.values():
            return max(until - time.monotonic(), 0.0)
        return None

    def look(self, ready: Collection[object], *, last: bool = False) -> None:
        """Refuse those that are `ready`, or have been silent for too long; the `last` time all."""
        now = time.monotonic()
        for sock, (until, limit) in list(self._waiting.items()):
            if last or sock in ready or until <= now:
                del self._waiting[sock]
                self._selector.unregister(sock)
                self._refuse(sock, limit)
