"""What all sessions of a server take together, and which of them ends when that is too much.

Sessions tell when what they take has changed by a step, on whatever thread that was, with no lock held. The one lock
here guards the table; nothing is called while it is held.
"""

from __future__ import annotations

from collections.abc import Callable

from ..connection.server_side.server_session import ServerSession
from ..interpreter import Lock


class ServerMemory:
    """The octets that each session takes. Beyond `most` of them together, `end(session, octets, together)` is called,
    with no lock held, for those that take most, until the others are within it; it has to end the session.
    """

    def __init__(self, most: int, end: Callable[[ServerSession, int, int], object]) -> None:
        self._most = most
        self._end = end
        self._lock = Lock()
        # Guarded by the lock: what counts is what each session took when it was last looked at.
        self._taken: dict[ServerSession, int] = {}
        self._together = 0

    @property
    def together(self) -> int:
        """Octets that are counted now, never in between: while it is found out who has to end they are too many."""
        with self._lock:
            return self._together

    def changed(self, session: ServerSession) -> None:
        """A session takes more or less than before, or is new."""
        greediest: list[tuple[ServerSession, int, int]] = []
        with self._lock:
            if session._destroyed and session not in self._taken:
                return  # it has been left out already
            self._look_locked(session)
            if self._together > self._most:
                # Sessions tell what they take on only when something comes, and what they give back perhaps not at all.
                for known in list(self._taken):
                    self._look_locked(known)
            while self._together > self._most and self._taken:
                session = max(self._taken, key=self._taken.__getitem__)
                greediest.append((session, self._taken[session], self._together))
                self._forget_locked(session)
        for found in greediest:
            self._end(*found)

    def forget(self, session: ServerSession) -> None:
        """The session is gone."""
        with self._lock:
            self._forget_locked(session)

    def _look_locked(self, session: ServerSession) -> None:
        octets = session._memory_taken()
        self._together += octets - self._taken.get(session, 0)
        self._taken[session] = octets

    def _forget_locked(self, session: ServerSession) -> None:
        self._together -= self._taken.pop(session, 0)
