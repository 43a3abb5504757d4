"""A server's connections, in the order of their lives: newcomers, whose threads are no sessions yet, and sessions; and
those that were given away. How many there may be, and which of them make room for others.

Guarded by the server's monitor, which nobody takes while holding a session's. The acceptor adds, the connections' own
threads go from one table to the next, and whoever closes the server waits for the end of all.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
import weakref
from typing import Any, NamedTuple

from ..connection.server_side.server_session import ServerSession
from ..connection.shared.monitor import Monitor, WaitQueue
from ..deadline import Deadline
from ..errors import Timeout
from ..protocol.limits import Limits
from ..transport.blocking_tls import BlockingTLSConnection
from .accepting import eviction

_HANDSHAKE_GRACE = 1.0  # seconds that a handshake has to end when the server closes


class _Newcomer(NamedTuple):
    address: Any
    accepted_at: float  # infinity: it is on its way out


class Connections:
    """`max_sessions` and `max_sessions_per_address` hold for all of them together."""

    def __init__(self, monitor: Monitor, limits: Limits) -> None:
        self._monitor = monitor
        self._lock = monitor.lock
        self._limits = limits
        # Guarded by the lock:
        self._newcomers: dict[socket.socket, _Newcomer] = {}  # in the order in which they came
        self._sessions: set[ServerSession] = set()
        # Those that an `unknown_protocol` listener got, while somebody holds them, with their address. (No weak
        # dictionary: whoever drops a connection would change it, at any time.)
        self._given_away: list[tuple[weakref.ref[BlockingTLSConnection], Any]] = []
        self._changed = WaitQueue(monitor)

    # -- With no lock held --

    def sessions(self) -> list[ServerSession]:
        """The sessions at this moment."""
        with self._monitor, self._lock:
            return list(self._sessions)

    def admit(self, sock: socket.socket, address: Any) -> str | None:
        """Take a newcomer in, if there is room or somebody makes it; otherwise the limit that refuses it."""
        with self._monitor, self._lock:
            refused = self._full_limit_locked(address)
            if refused is None:
                self._newcomers[sock] = _Newcomer(address, time.monotonic())
        if refused is not None and self.make_room(address if refused == "max_sessions_per_address" else None):
            refused = None
            with self._monitor, self._lock:
                self._newcomers[sock] = _Newcomer(address, time.monotonic())
        return refused

    def make_room(self, address: Any = None) -> bool:
        """End a session (from `address`, where one is given) that is less worth than a newcomer; False if none is."""
        sessions = self.sessions()
        if sum(session._leaving for session in sessions) > self._limits.max_sessions // 8:
            return False  # who reads nothing takes his time to go: without a bound newcomers could pile these up
        candidates = [session for session in sessions if address is None or session._peer_address[:1] == address[:1]]
        return eviction.make_room(candidates) or self._hang_up_on_silent(address)

    def _hang_up_on_silent(self, address: Any) -> bool:
        """The same with a connection that has not even begun to be a session."""
        latest = time.monotonic() - eviction.LEAST_STALLED
        with self._monitor, self._lock:
            for sock, newcomer in self._newcomers.items():
                if newcomer.accepted_at <= latest and (address is None or newcomer.address[:1] == address[:1]):
                    self._newcomers[sock] = newcomer._replace(accepted_at=math.inf)
                    with contextlib.suppress(OSError):  # it has gone by itself
                        sock.shutdown(socket.SHUT_RDWR)
                    return True
        return False

    def forget_newcomer(self, sock: socket.socket) -> None:
        """Nothing came of it."""
        with self._monitor, self._lock:
            self._newcomer_left_locked(sock)

    def let_newcomers_end(self, deadline: Deadline) -> None:
        """For a moment: a client may send a request with the end of its handshake, and is to be told about it."""
        remaining = deadline.remaining()
        grace = Deadline(_HANDSHAKE_GRACE if remaining is None else min(_HANDSHAKE_GRACE, remaining))
        with contextlib.suppress(Timeout):
            self._monitor.wait(lambda: self._changed if self._newcomers else True, grace, "handshakes to end")
        with self._monitor, self._lock:
            for sock in self._newcomers:
                with contextlib.suppress(OSError):  # it may have gone already
                    sock.shutdown(socket.SHUT_RDWR)

    def wait_for_none(self, deadline: Deadline) -> None:
        """Block until no session is left, nor anything that may become one. Raises Timeout."""
        self._monitor.wait(
            lambda: self._changed if self._sessions or self._newcomers else True,
            deadline,
            "the server's sessions to end",
        )

    def close_given_away(self) -> None:
        """Whoever holds them."""
        with self._monitor, self._lock:
            given_away = self._given_away_locked()
        for connection, _ in given_away:
            connection.close()

    # -- With the lock held --

    def has_become_locked(self, sock: socket.socket, session: ServerSession) -> None:
        """A newcomer is a session from now on."""
        self._sessions.add(session)
        self._newcomer_left_locked(sock)

    def session_ended_locked(self, session: ServerSession) -> None:
        self._sessions.discard(session)
        self._changed.wake_all_locked()

    def was_given_away_locked(self, sock: socket.socket, connection: BlockingTLSConnection, address: Any) -> None:
        """A newcomer will be no session; it counts for as long as somebody holds it, open."""
        self._given_away.append((weakref.ref(connection), address))
        self._newcomer_left_locked(sock)

    def _newcomer_left_locked(self, sock: socket.socket) -> None:
        self._newcomers.pop(sock, None)
        self._changed.wake_all_locked()

    def _full_limit_locked(self, address: Any) -> str | None:
        """The limit that one more connection from `address` would break."""
        given_away = [where for _, where in self._given_away_locked()] if self._given_away else []
        if len(self._sessions) + len(self._newcomers) + len(given_away) >= self._limits.max_sessions:
            return "max_sessions"
        most = self._limits.max_sessions_per_address
        if most is not None and isinstance(address, tuple):
            addresses = [session._peer_address for session in self._sessions]
            addresses += [*(newcomer.address for newcomer in self._newcomers.values()), *given_away]
            if sum(1 for other in addresses if other[:1] == address[:1]) >= most:
                return "max_sessions_per_address"
        return None

    def _given_away_locked(self) -> list[tuple[BlockingTLSConnection, Any]]:
        """Those that are open, with their address; of the others nothing is kept."""
        held = [(reference(), where) for reference, where in self._given_away]
        found = [(connection, where) for connection, where in held if connection is not None and not connection.closed]
        self._given_away = [(weakref.ref(connection), where) for connection, where in found]
        return found
