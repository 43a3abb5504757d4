"""The connections to one destination, as a pool keeps them. Its lock guards all of it (`Connections._lock`), but
for PING, which blocks, on the thread that makes a request.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ... import errors
from ...connection.client_side.client_session import ClientSession
from ...exceptions import ConnectTimeout, RequestException
from ..messages.call import Call
from ..wire.http1_connection import HTTP1Connection
from .alt_svc import Alternative

_PATIENCE_FOR_PING = 5.0


@dataclass(eq=False)
class SharedSession:
    """A session, which takes as many requests at once as its server allows."""

    session: ClientSession
    active: int = 0
    lent: int = 0  # of these, those whose answers are read by who asked for them, when they like
    idle_since: float = 0.0
    alternative: Alternative | None = None  # where it leads to, if not to the origin itself
    has_answered: bool = False

    @property
    def has_room(self) -> bool:
        return self.active < self.session.most_streams

    @property
    def is_lent(self) -> bool:
        """Whether no place will become free by itself."""
        return 0 < self.active == self.lent and not self.has_room

    @property
    def is_open(self) -> bool:
        return self.session._takes_requests

    def answers_ping(self, patience: float | None) -> bool:
        """Whether the session still works; one that does not is ended. Blocks for `patience` seconds at most."""
        try:
            self.session.ping(timeout=_PATIENCE_FOR_PING if patience is None else min(patience, _PATIENCE_FOR_PING))
        except errors.PingLimit:
            return True
        except errors.HTTP2Error:
            self.session.destroy(errors.ConnectionLost("the server did not answer a PING"))
            return False
        return True


@dataclass(eq=False)
class Opening:
    """A connection that one thread opens, for `patience` seconds at most, while others wait for it."""

    patience: float | None
    error: RequestException | None = None

    def fails(self, call: Call) -> bool:
        """Whether it has failed for a call that waits for it too: not if that would have given it more time."""
        if self.patience is None or not isinstance(self.error, ConnectTimeout):
            return self.error is not None
        return call.timeouts.connect is not None and call.timeouts.connect <= self.patience


@dataclass(eq=False)
class Group:
    """The connections to one destination."""

    shared: list[SharedSession] = field(default_factory=list)
    idle: list[HTTP1Connection] = field(default_factory=list)  # the one used last is last
    # Those of HTTP/1.1 that have a request: the collector would finalize a socket that only a dropped answer has.
    busy: set[HTTP1Connection] = field(default_factory=set)
    lent: int = 0  # of these, as in SharedSession
    openings: list[Opening] = field(default_factory=list)
    speaks_http1: bool = False
    stands_alone: bool = False  # the server has refused requests on another origin's connection
    requires_http1: bool = False  # the server has refused requests over HTTP/2
    answered_at: float = -math.inf  # the last time
    retired: bool = False  # its connections are closed when they are free

    @property
    def size(self) -> int:
        return len(self.shared) + len(self.idle) + len(self.busy) + len(self.openings)

    @property
    def own_size(self) -> int:
        """Without those that are lent: they are the caller's, who may want many at once."""
        return self.size - self.lent - sum(shared.is_lent for shared in self.shared)

    def pick(
        self, keepalive_expiry: float | None, unwanted: list[Callable[[], None]]
    ) -> SharedSession | HTTP1Connection | None:
        """A place on a connection that is there. Those that are dead, or have been idle for too long, are dropped, into
        `unwanted`; sessions see to the latter by themselves.
        """
        picked: SharedSession | None = None
        for shared in self.shared.copy():
            if not shared.is_open:
                self.shared.remove(shared)
            elif picked is None and shared.has_room:
                picked = shared
        if picked is not None:
            picked.active += 1
            return picked
        while self.idle:
            connection = self.idle.pop()
            expired = keepalive_expiry is not None and 0 < connection.idle_since < time.monotonic() - keepalive_expiry
            if not expired and connection.is_alive:
                self.busy.add(connection)
                return connection
            unwanted.append(connection.close)
        return None

    def give_up_idle(self, unwanted: list[Callable[[], None]]) -> bool:
        """Drop a connection that nobody uses, into `unwanted`. False if there is none."""
        if self.idle:
            unwanted.append(self.idle.pop(0).close)
            return True
        for shared in self.shared:
            if not shared.active:
                self.shared.remove(shared)
                unwanted.append(functools.partial(shared.session.close, wait=False))
                return True
        return False


@dataclass(eq=False)
class Place:
    """A place for one request on one of a group's connections."""

    group: Group
    connection: SharedSession | HTTP1Connection

    @property
    def session(self) -> ClientSession | None:
        """None for HTTP/1.1."""
        return self.connection.session if isinstance(self.connection, SharedSession) else None
