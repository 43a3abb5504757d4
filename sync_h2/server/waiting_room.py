"""Newcomers that find a server full whose clients seem to need their places no longer: for a moment they wait, since
one of these will have let everything wait for long enough to be ended. On the acceptor's thread alone.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .room import LEAST_STALLED

_PATIENCE = LEAST_STALLED + 0.5  # seconds
_MOST = 100  # connections; those beyond are refused at once
_TICK = 0.05  # seconds between two looks


class WaitingRoom:
    """`admit(sock, address)` gives a connection a place, or says which limit is in the way; `refuse(sock, limit)` says
    what can be said, without waiting, and closes.
    """

    def __init__(
        self,
        admit: Callable[[socket.socket, Any], str | None],
        refuse: Callable[[socket.socket, Any, str], None],
    ) -> None:
        self._admit = admit
        self._refuse = refuse
        self._waiting: deque[tuple[float, socket.socket, Any, str]] = deque()  # until when; the oldest first
        self._looked_at = 0.0

    def __enter__(self) -> WaitingRoom:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._waiting:
            _, sock, address, limit = self._waiting.popleft()
            self._refuse(sock, address, limit)

    def add(self, sock: socket.socket, address: Any, limit: str) -> bool:
        """Have this one wait for a place; False if too many do."""
        if len(self._waiting) >= _MOST:
            return False
        self._waiting.append((time.monotonic() + _PATIENCE, sock, address, limit))
        return True

    @property
    def patience(self) -> float | None:
        """Seconds until `look` is to be called; None: for ever."""
        return max(self._looked_at + _TICK - time.monotonic(), 0.0) if self._waiting else None

    def look(self) -> None:
        """Give those a place that can have one now, in the order in which they came, and refuse those whose time is
        over. Looks at all sessions, and so no more often than once in a tick.
        """
        now = time.monotonic()
        if now < self._looked_at + _TICK:
            return
        self._looked_at = now
        full: set[object] = set()  # what has no place for the next one either
        for _ in range(len(self._waiting)):
            until, sock, address, limit = self._waiting.popleft()
            where = address[:1] if limit == "max_sessions_per_address" else None
            found = limit if where in full else self._admit(sock, address)
            if found is None:
                continue
            full.add(where)
            if until <= now:
                self._refuse(sock, address, found)
            else:
                self._waiting.append((until, sock, address, found))
