"""Connections by destination: which one takes a request, and what becomes of its place there.

Runs on the threads that make requests; there is none of its own. `_lock` guards all of the state and is held for
moments: connecting, PING and requests happen without it. No session's lock is taken the other way round: sessions
know nothing of this.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

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
from ..wire.ending import Ending, Forgotten
from ..wire.http1_connection import HTTP1Connection
from ..wire.http2_exchange import send_on
from .alt_svc import Alternative, Alternatives
from .coalescing import covers
from .group import Group, Opening, Place, SharedSession
from .limits import PoolLimits

_LONGEST_WAIT = 0.5


class Connections:
    """The connections of a pool, which `opener` opens."""

    def __init__(self, limits: PoolLimits, opener: Opener, alternatives: Alternatives) -> None:
        self._limits = limits
        self._opener = opener
        self._alternatives = alternatives
        self._lock = Lock()  # an interrupt in a Condition's own Python code would leave it taken
        self._changed = threading.Condition(self._lock)
        self._waiting = 0  # threads, for a change
        self._groups: dict[Destination, Group] = SharedDict()
        self._forgotten = Forgotten()
        self._may_be_held = False  # connections, by responses that were dropped and are not finalized yet
        self._closed = False
        renew_in_forked_child(self)

    def _renew(self) -> None:
        """In a forked child, whose parent goes on using the connections, and may have held a lock."""
        for group in self._groups.values():
            group.retired = True
        self._lock = Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0
        self._groups = SharedDict()
        self._forgotten = Forgotten()

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
        self._forgotten.give_back()
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
        if isinstance(connection, SharedSession):
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
            if call.streams:
                lent = self._lend(shared, ending)
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
        if call.streams:
            lent = self._lend(group, ending)
        return answer

    def _lend(self, lender: SharedSession | Group, ending: Ending) -> bool:
        """Whether the answer's place is the caller's from now on, who reads it when they like."""
        if ending.has_come:
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

    # -- getting a connection

    def acquire(self, call: Call, destination: Destination) -> Place:
        """A connection with a place for one request. Blocks for `timeouts.pool`, and `timeouts.connect`."""
        deadline: Deadline | None = None
        greeting: Deadline | None = None
        while True:
            opening: Opening | None = None
            beginning: SharedSession | None = None
            unwanted: list[Callable[[], None]] = []
            told = True
            if self._forgotten:
                self._forgotten.give_back()
            try:
                with self._lock:
                    if self._closed:
                        raise ConnectionError("the client is closed", request=call.request, processed=False)
                    group = self._groups.get(destination)
                    if group is None:
                        self._forget_unused_locked()
                        group = self._groups[destination] = Group()
                    found = group.pick(self._limits.keepalive_expiry, unwanted)
                    if found is None:
                        beginning = next((shared for shared in group.shared if shared.session._awaits_settings), None)
                        if beginning is None and self._may_open_locked(group, unwanted):
                            opening = Opening(call.timeouts.connect)
                            group.openings.append(opening)
                        elif deadline is None:
                            deadline = Deadline(call.patience.pool)
                        if beginning is None and opening is None:
                            assert deadline is not None
                            told = self._wait_locked(group, deadline, call)
                for close in unwanted:
                    close()
                if opening is not None or not told:
                    self._may_be_held = True
                if self._may_be_held:
                    self._may_be_held = False
                    if not finalize_dropped():
                        self._may_be_held = True
                if isinstance(found, SharedSession) and not self._answers(found, call):
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

    def _may_open_locked(self, group: Group, unwanted: list[Callable[[], None]]) -> bool:
        """Whether one more connection may be opened. A full pool gives up an idle one for it."""
        if group.openings and not group.speaks_http1:
            return False  # the one that is being opened will do for many
        if group.own_size >= self._limits.max_connections_per_origin:
            return False
        if sum(other.own_size for other in self._groups.values()) < self._limits.max_connections:
            return True
        return any(other.give_up_idle(unwanted) for other in self._groups.values())

    def _wait_locked(self, group: Group, deadline: Deadline, call: Call) -> bool:
        """Wait for a change. False if none came in a while. What the connection fails with that one
        waits for, is raised here too.
        """
        awaited = list(group.openings)
        self._waiting += 1
        try:
            told = self._changed.wait(_no_longer_than(deadline))
        finally:
            self._waiting -= 1
        self._check_deadline(deadline, call)
        failed = next((opening.error for opening in awaited if opening.fails(call)), None)
        if failed is not None:
            again = type(failed)(*failed.args, request=call.request, processed=False)
            raise again from failed
        return told

    def _await_settings(self, shared: SharedSession, deadline: Deadline, greeting: Deadline, call: Call) -> None:
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
        self, call: Call, destination: Destination, group: Group, opening: Opening
    ) -> SharedSession | HTTP1Connection | None:
        """Open the connection that others may be waiting for already, and put it into the group. Who has opened it gets
        a place on it, whatever has become of it meanwhile: otherwise a server that hangs up at once would be called
        again and again. None if there is no place, which only a session of another origin's has not.
        """
        connection: ClientSession | HTTP1Connection | None = None
        alternative: Alternative | None = None
        shared: SharedSession | None = None
        place: SharedSession | HTTP1Connection | None = None
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
                    place = SharedSession(connection, active=1, alternative=alternative)
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

    def _withdraw(self, group: Group, opening: Opening) -> None:
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
        listeners = {"altsvc": self._alternatives.listener(destination)}
        alternative = self._alternatives.of(destination) if destination.proxy is None and not only_http1 else None
        if alternative is not None:
            with contextlib.suppress(RequestException):
                there = (alternative.host, alternative.port)
                connection = self._opener.open(destination, there, call.patience.connect, listeners, call.trace)
                if isinstance(connection, ClientSession):
                    return connection, alternative
                connection.close()  # HTTP/2 was announced (RFC 7838 section 2.4)
            self._alternatives.failed(destination, alternative)
        here = (origin.host, origin.port)
        patience = call.patience.connect
        return self._opener.open(destination, here, patience, listeners, call.trace, only_http1=only_http1), None

    def _covering(self, destination: Destination, call: Call) -> SharedSession | None:
        """A session of another origin that serves this one too."""
        if destination.origin.scheme != "https" or self._opener.resolves:
            return None
        with self._lock:
            others = [
                shared
                for other, group in self._groups.items()
                if destination.may_share_with(other) and not group.stands_alone
                for shared in group.shared
            ]
        deadline = Deadline(call.patience.connect)
        for shared in others:
            if shared.is_open and shared.has_room and covers(shared.session, destination.origin, deadline):
                return shared
        return None

    def _answers(self, shared: SharedSession, call: Call) -> bool:
        """Whether a session still works: asked with PING if it was idle for long, for as long as connecting may take.
        One that does not is given back.
        """
        if shared.active > 1 or time.monotonic() - shared.idle_since < self._limits.ping_after:
            return True
        answers = False
        try:
            answers = shared.answers_ping(call.patience.connect)
        finally:
            if not answers:
                self._release(shared)
        return answers

    # -- giving it back

    def _release(self, shared: SharedSession, lent: bool = False) -> None:
        with self._lock:
            shared.active -= 1
            shared.lent -= lent
            if not shared.active:
                shared.idle_since = time.monotonic()
            if self._waiting:
                self._changed.notify_all()  # whose turn it is, only they know: they wait for various destinations

    def _release_http1(self, group: Group, connection: HTTP1Connection, lent: bool, *, reusable: bool) -> None:
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

    def _forget_unused_locked(self) -> None:
        """Groups without a connection are of no use."""
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
