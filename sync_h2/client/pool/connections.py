"""Connections by destination: which one takes a request, and what becomes of its place there.

Runs on the threads that make requests; there is none of its own. `_lock` guards all of the state and is held for
moments: connecting, PING and requests happen without it. No session's lock is taken the other way round: sessions
know nothing of this.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ... import errors
from ...connection.client_side.client_session import ClientSession
from ...deadline import Deadline
from ...exceptions import ConnectionError, ConnectTimeout, PoolTimeout, RequestException
from ...interpreter import Lock, SharedDict, finalize_dropped
from ...transport.fork import renew_in_forked_child
from ..messages.answer import Answer
from ..messages.call import Call
from ..opening.destination import Destination
from ..opening.opener import Opener
from ..wire.ending import Ending
from ..wire.http1_connection import HTTP1Connection
from ..wire.http2_exchange import send_on
from .alt_svc import Alternative, Alternatives
from .coalescing import covers
from .limits import PoolLimits

logger = logging.getLogger("sync_h2.client")

_PATIENCE_FOR_PING = 5.0
_LONGEST_WAIT = 0.5


@dataclass(eq=False)
class _Shared:
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
        return not self.session.closed


@dataclass(eq=False)
class _Opening:
    """A connection that one thread opens, for `patience` seconds at most, while others wait for it."""

    patience: float | None
    error: RequestException | None = None

    def fails(self, call: Call) -> bool:
        """Whether it has failed for a call that waits for it too: not if that would have given it more time."""
        if self.patience is None or not isinstance(self.error, ConnectTimeout):
            return self.error is not None
        return call.timeouts.connect is not None and call.timeouts.connect <= self.patience


@dataclass(eq=False)
class _Group:
    """The connections to one destination."""

    shared: list[_Shared] = field(default_factory=list)
    idle: list[HTTP1Connection] = field(default_factory=list)  # the one used last is last
    # Those of HTTP/1.1 that have a request: the collector would finalize a socket that only a dropped answer has.
    busy: set[HTTP1Connection] = field(default_factory=set)
    lent: int = 0  # of these, as in _Shared
    openings: list[_Opening] = field(default_factory=list)
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


@dataclass(eq=False)
class Place:
    """A place for one request on one of a group's connections."""

    group: _Group
    connection: _Shared | HTTP1Connection

    @property
    def session(self) -> ClientSession | None:
        """None for HTTP/1.1."""
        return self.connection.session if isinstance(self.connection, _Shared) else None


class Connections:
    """The connections of a pool, which `opener` opens; `alt_svc` is a `Client`'s."""

    def __init__(self, limits: PoolLimits, opener: Opener, alt_svc: bool | str) -> None:
        self._limits = limits
        self._opener = opener
        self._alternatives = Alternatives(alt_svc)
        self._lock = Lock()  # an interrupt in a Condition's own Python code would leave it taken
        self._changed = threading.Condition(self._lock)
        self._groups: dict[Destination, _Group] = SharedDict()
        # What answers that nobody has read or closed have left behind. Finalizers add to it, which must take no lock.
        self._forgotten: collections.deque[Callable[[], None]] = collections.deque()
        self._may_be_held = False  # connections, by responses that were dropped and are not finalized yet
        self._closed = False
        renew_in_forked_child(self)

    def _renew(self) -> None:
        """In a forked child, whose parent goes on using the connections, and may have held a lock."""
        for group in self._groups.values():
            group.retired = True
        self._lock = Lock()
        self._changed = threading.Condition(self._lock)
        self._groups = SharedDict()
        self._forgotten = collections.deque()

    def close(self) -> None:
        """Open no more, and `clear`."""
        self._closed = True
        self.clear()

    def clear(self) -> None:
        """Close the connections that nobody uses, the others when nobody does any more."""
        with self._lock:
            groups, self._groups = list(self._groups.values()), SharedDict()
            for group in groups:
                group.retired = True
            self._changed.notify_all()
        self._clear_forgotten()
        for group in groups:
            for connection in group.idle:
                connection.close()
            for shared in group.shared:
                shared.session._close_when_unused()

    def sessions(self) -> Iterator[ClientSession]:
        """The open sessions, each once."""
        with self._lock:
            found = {id(shared): shared.session for group in self._groups.values() for shared in group.shared}
        return iter(found.values())

    # -- requests

    def send(self, call: Call, destination: Destination, place: Place) -> Answer:
        """Make a request on a place, which comes back when the answer needs it no more. Raises as the connections."""
        group, connection, lent = place.group, place.connection, False
        if isinstance(connection, _Shared):
            shared = connection

            def done() -> None:
                self._release(shared, lent)

            ending = Ending(done, done, self._forgotten)
            try:
                answer: Answer = send_on(shared.session, call, ending)
            except BaseException as error:
                ending.end(reusable=True)
                serves_nobody = not shared.has_answered and (shared.session.closed or isinstance(error, errors.Timeout))
                if shared.alternative is not None and serves_nobody:
                    self._leave(destination, shared.session, shared.alternative)
                raise
            shared.has_answered = True
            group.answered_at = time.monotonic()
            lent = self._lend(shared, call, ending)
            return answer

        def reuse() -> None:
            self._release_http1(group, connection, lent, reusable=True)

        def drop() -> None:
            self._release_http1(group, connection, lent, reusable=False)

        ending = Ending(reuse, drop, self._forgotten)
        try:
            answer = connection.send(call, ending)
        except BaseException:
            ending.end(reusable=False)
            raise
        lent = self._lend(group, call, ending)
        return answer

    def _lend(self, lender: _Shared | _Group, call: Call, ending: Ending) -> bool:
        """Whether the answer's place is the caller's from now on."""
        if not call.streams or ending.has_come:
            return False
        with self._lock:
            lender.lent += 1
            self._changed.notify_all()
        return True

    def has_answered(self, destination: Destination, since: float) -> bool:
        """Whether requests have been answered there since that moment of `time.monotonic`."""
        with self._lock:
            group = self._groups.get(destination)
            return group is not None and group.answered_at >= since

    def misdirected(self, destination: Destination, session: ClientSession | None) -> bool:
        """The server of a connection will not answer for the destination (421). Returns whether there is another way
        to it, which is taken from now on.
        """
        with self._lock:
            group = self._groups.get(destination)
            if group is None:
                return False
            refusing = next((shared for shared in group.shared if shared.session is session), None)
            alternative = None if refusing is None else refusing.alternative
            if alternative is None:
                if group.stands_alone:
                    return False
                group.stands_alone = True
            group.shared = [shared for shared in group.shared if shared is not refusing]
        if refusing is not None and alternative is not None:
            self._leave(destination, refusing.session, alternative)
        return True

    def downgrade(self, destination: Destination) -> bool:
        """The server answers what it was asked over HTTP/1.1 only (HTTP_1_1_REQUIRED, RFC 9113 section 7). Returns
        whether that is spoken from now on.
        """
        if not self._opener.speaks_http1:
            return False
        with self._lock:
            group = self._groups.get(destination)
            if group is None:
                return False
            group.requires_http1 = True
            left, group.shared = group.shared, []
            used = {id(shared) for other in self._groups.values() for shared in other.shared}
        for shared in left:
            if id(shared) not in used:  # for another origin
                shared.session._close_when_unused()
        return True

    def _leave(self, destination: Destination, session: ClientSession, alternative: Alternative) -> None:
        """What an alternative leads to is of no use: from now on the origin itself is asked."""
        self._alternatives.failed(destination, alternative)
        session._close_when_unused()

    def note_alternatives(self, destination: Destination, answer: Answer) -> None:
        """Remember what an answer says with Alt-Svc; nothing with 421 (RFC 7838 section 6)."""
        for name, value in answer.headers:
            if name == "alt-svc" and answer.status != 421:
                self._alternatives.told(destination, value)

    # -- getting a connection

    def acquire(self, call: Call, destination: Destination) -> Place:
        """A connection with a place for one request. Blocks for `timeouts.pool`, and `timeouts.connect`."""
        deadline: Deadline | None = None
        greeting: Deadline | None = None
        while True:
            opening: _Opening | None = None
            beginning: _Shared | None = None
            unwanted: list[Callable[[], None]] = []
            told = True
            self._clear_forgotten()
            try:
                with self._lock:
                    if self._closed:
                        raise ConnectionError("the client is closed", request=call.request, processed=False)
                    group = self._groups.get(destination)
                    if group is None:
                        self._forget_unused()
                        group = self._groups[destination] = _Group()
                    found = self._pick(group, unwanted)
                    if found is None:
                        beginning = next((shared for shared in group.shared if shared.session._awaits_settings), None)
                        if beginning is None and self._may_open(group, unwanted):
                            opening = _Opening(call.timeouts.connect)
                            group.openings.append(opening)
                        elif deadline is None:
                            deadline = Deadline(call.patience.pool)
                        if beginning is None and opening is None:
                            assert deadline is not None
                            told = self._wait(group, deadline, call)
                for close in unwanted:
                    close()
                if opening is not None or not told:
                    self._may_be_held = True
                if self._may_be_held:
                    self._may_be_held = False
                    if not finalize_dropped():
                        self._may_be_held = True
                if isinstance(found, _Shared) and not self._answers(found, call):
                    continue
                if opening is not None:
                    found = self._open(call, destination, group, opening)
                elif beginning is not None:
                    assert deadline is not None
                    greeting = greeting or Deadline(call.patience.connect)
                    self._await_settings(beginning, deadline, greeting, call)
                if found is not None:
                    return Place(group, found)
            except BaseException:
                if opening is not None and group is not None:
                    self._withdraw(group, opening)
                raise

    def _pick(self, group: _Group, unwanted: list[Callable[[], None]]) -> _Shared | HTTP1Connection | None:
        """A place on a connection that is there; needs the lock. Dead connections are dropped, into `unwanted`."""
        if not all(shared.is_open for shared in group.shared):
            group.shared = [shared for shared in group.shared if shared.is_open]
        for shared in group.shared:
            if shared.has_room:
                shared.active += 1
                return shared
        while group.idle:
            connection = group.idle.pop()
            if not self._has_expired(connection) and connection.is_alive:
                group.busy.add(connection)
                return connection
            unwanted.append(connection.close)
        return None

    def _has_expired(self, connection: HTTP1Connection) -> bool:
        """Whether it was idle for too long. Sessions see to that by themselves."""
        expiry = self._limits.keepalive_expiry
        return expiry is not None and 0 < connection.idle_since < time.monotonic() - expiry

    def _may_open(self, group: _Group, unwanted: list[Callable[[], None]]) -> bool:
        """Whether one more connection may be opened; needs the lock. A full pool gives up an idle one for it."""
        if group.openings and not group.speaks_http1:
            return False  # the one that is being opened will do for many
        if group.own_size >= self._limits.max_connections_per_origin:
            return False
        if sum(other.own_size for other in self._groups.values()) < self._limits.max_connections:
            return True
        for other in self._groups.values():
            if other.idle:
                unwanted.append(other.idle.pop(0).close)
                return True
            for shared in other.shared:
                if not shared.active:
                    other.shared.remove(shared)
                    unwanted.append(functools.partial(shared.session.close, wait=False))
                    return True
        return False

    def _wait(self, group: _Group, deadline: Deadline, call: Call) -> bool:
        """Wait for a change; needs the lock. False if none came in a while. What the connection fails with that one
        waits for, is raised here too.
        """
        awaited = list(group.openings)
        told = self._changed.wait(_no_longer_than(deadline))
        self._check_deadline(deadline, call)
        failed = next((opening.error for opening in awaited if opening.fails(call)), None)
        if failed is not None:
            again = type(failed)(*failed.args, request=call.request, processed=False)
            raise again from failed
        return told

    def _await_settings(self, shared: _Shared, deadline: Deadline, greeting: Deadline, call: Call) -> None:
        """Wait until a session knows how many streams its server takes: one that gets more may drop them all. A server
        that does not say it has not shaken hands.
        """
        try:
            shared.session._wait_for_settings(min(_no_longer_than(deadline), _no_longer_than(greeting)))
        except errors.Timeout:
            self._check_deadline(deadline, call)
            if greeting.expired:
                raise ConnectTimeout(
                    f"{call.url}: no SETTINGS came within {call.timeouts.connect} s",
                    request=call.request,
                    processed=False,
                ) from None
        except errors.ProtocolError as error:  # it speaks something else, or does not speak
            raise ConnectionError(
                f"{call.method} {call.url}: {errors.said(error)}", request=call.request, processed=False
            ) from error

    def _check_deadline(self, deadline: Deadline, call: Call) -> None:
        call.patience.check()
        if deadline.expired:
            raise PoolTimeout(
                f"{call.url}: no connection became free within {call.timeouts.pool} s",
                request=call.request,
                processed=False,
            )

    def _open(
        self, call: Call, destination: Destination, group: _Group, opening: _Opening
    ) -> _Shared | HTTP1Connection | None:
        """Open the connection that others may be waiting for already, and put it into the group. Who has opened it gets
        a place on it, whatever has become of it meanwhile: otherwise a server that hangs up at once would be called
        again and again. None if there is no place, which only a session of another origin's has not.
        """
        connection: ClientSession | HTTP1Connection | None = None
        alternative: Alternative | None = None
        shared: _Shared | None = None
        place: _Shared | HTTP1Connection | None = None
        try:
            if not group.stands_alone and not group.requires_http1:
                shared = self._covering(destination, call)
            if shared is None:
                connection, alternative = self._connect(call, destination, group.requires_http1)
        except RequestException as error:
            failure = call.patience.failure
            if failure is None:  # otherwise it is this call's time that has run out, and no one else's
                opening.error = error
            elif isinstance(error, ConnectTimeout):
                raise ConnectTimeout(*failure.args, request=call.request, processed=False) from error
            raise
        finally:
            with self._lock:
                group.openings.remove(opening)
                closed = self._closed or group.retired
                if closed:
                    pass
                elif isinstance(connection, HTTP1Connection):
                    group.speaks_http1 = True
                    group.busy.add(connection)
                    place = connection
                elif connection is not None:
                    place = _Shared(connection, active=1, alternative=alternative)
                    group.shared.append(place)
                elif shared is not None:
                    if shared not in group.shared:
                        group.shared.append(shared)
                    if shared.has_room:
                        shared.active += 1
                        place = shared
                self._changed.notify_all()
            if closed and connection is not None:
                connection.close()
        return place

    def _withdraw(self, group: _Group, opening: _Opening) -> None:
        """Nobody opens it: an interrupt may have struck before `_open` could say so, and others wait for it."""
        with self._lock:
            if opening in group.openings:
                group.openings.remove(opening)
                self._changed.notify_all()

    def _connect(
        self, call: Call, destination: Destination, only_http1: bool
    ) -> tuple[ClientSession | HTTP1Connection, Alternative | None]:
        """A connection, and the alternative that it leads to if it does not to the origin itself."""
        origin = destination.origin
        listeners = {"altsvc": self._heard_alternatives(destination)}
        place = self._alternatives.of(destination) if destination.proxy is None and not only_http1 else None
        if place is not None:
            with contextlib.suppress(RequestException):
                there = (place.host, place.port)
                connection = self._opener.open(destination, there, call.patience.connect, listeners, call.trace)
                if isinstance(connection, ClientSession):
                    return connection, place
                connection.close()  # HTTP/2 was announced (RFC 7838 section 2.4)
            self._alternatives.failed(destination, place)
        here = (origin.host, origin.port)
        patience = call.patience.connect
        return self._opener.open(destination, here, patience, listeners, call.trace, only_http1=only_http1), None

    def _heard_alternatives(self, destination: Destination) -> Any:
        alternatives = self._alternatives

        def altsvc(value: str, origin: str, stream_id: int) -> None:
            # Of others only if the certificate is theirs too: left to them.
            if origin in ("", str(destination.origin)):
                alternatives.told(destination, value)

        return altsvc

    def _covering(self, destination: Destination, call: Call) -> _Shared | None:
        """A session of another origin that serves this one too."""
        if destination.origin.scheme != "https" or destination.server_name or self._opener.resolves:
            return None
        with self._lock:
            others = [
                shared
                for other, group in self._groups.items()
                if (other.proxy, other.verify, other.cert) == (destination.proxy, destination.verify, destination.cert)
                and other.server_name is None
                and destination.proxy is None
                and not group.stands_alone
                for shared in group.shared
            ]
        deadline = Deadline(call.patience.connect)
        for shared in others:
            if shared.is_open and shared.has_room and covers(shared.session, destination.origin, deadline):
                return shared
        return None

    def _answers(self, shared: _Shared, call: Call) -> bool:
        """Whether a session still works: asked with PING if it was idle for long, for as long as connecting may take.
        One that does not is given back.
        """
        if shared.active > 1 or time.monotonic() - shared.idle_since < self._limits.ping_after:
            return True
        try:
            patience = call.patience.connect
            shared.session.ping(timeout=_PATIENCE_FOR_PING if patience is None else min(patience, _PATIENCE_FOR_PING))
        except errors.PingLimit:
            return True
        except RequestException:  # the call's total had run out before
            self._release(shared)
            raise
        except errors.HTTP2Error:
            shared.session.destroy(errors.ConnectionLost("the server did not answer a PING"))
            self._release(shared)
            return False
        except BaseException:
            self._release(shared)
            raise
        return True

    # -- giving it back

    def _release(self, shared: _Shared, lent: bool = False) -> None:
        with self._lock:
            shared.active -= 1
            shared.lent -= lent
            if not shared.active:
                shared.idle_since = time.monotonic()
            self._changed.notify_all()  # whose turn it is, only they know: they wait for various destinations

    def _release_http1(self, group: _Group, connection: HTTP1Connection, lent: bool, *, reusable: bool) -> None:
        with self._lock:
            group.busy.remove(connection)
            group.lent -= lent
            keeps = reusable and not group.retired and group.size < self._limits.max_connections_per_origin
            if keeps:
                connection.idle_since = time.monotonic()
                group.idle.append(connection)
            self._changed.notify_all()
        if not keeps:
            connection.close()

    def _clear_forgotten(self) -> None:
        """Give back what forgotten answers held."""
        while self._forgotten:
            try:
                drop = self._forgotten.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                drop()
            except Exception:  # the request that is made now has no part in it
                logger.exception("the connection of a response that was dropped can't be closed")

    def _forget_unused(self) -> None:
        """Groups without a connection are of no use; needs the lock."""
        unused = [
            known
            for known, group in self._groups.items()
            if not group.size and not group.stands_alone and not group.requires_http1
        ]
        for destination in unused:
            del self._groups[destination]


def _no_longer_than(deadline: Deadline) -> float:
    """How long to wait at a time: nobody is told of forgotten answers."""
    remaining = deadline.remaining()
    return _LONGEST_WAIT if remaining is None else min(remaining, _LONGEST_WAIT)
