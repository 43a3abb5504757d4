"""Connections by origin, and the requests on them: which one takes a request, and when it is sent again.

Runs on the threads that make requests; there is none of its own. `_changed`'s lock guards all of the pool's state and
is held for moments: connecting, PING and requests happen without it. No session's lock is taken the other way round:
sessions know nothing of the pool.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .. import errors
from ..connection.client_session import ClientSession
from ..deadline import Deadline
from ..exceptions import ConnectionError, InvalidHeader, InvalidSchema, PoolTimeout, RequestException, SSLError
from ..transport.fork import renew_in_forked_child
from .alternatives import Alternatives
from .coverage import covers
from .exchange import Answer, BodyFailure, Call, Ending
from .http1_connection import BROKEN, HTTP1Connection
from .http2_exchange import send_on
from .opening import Destination, Opener
from .retries import Tries, may_repeat, retry_after

_PATIENCE_FOR_PING = 5.0
_LONGEST_RETRY_AFTER = 60.0
_LONGEST_WAIT = 0.5


@dataclass(frozen=True)
class PoolLimits:
    """How many connections a pool holds open, and for how long, in seconds, when nobody uses them: `keepalive_expiry`
    (None: for ever). One that was idle for `ping_after` must answer a PING before it is used again.
    """

    max_connections: int = 100
    max_connections_per_origin: int = 8
    keepalive_expiry: float | None = 60.0
    ping_after: float = 5.0


@dataclass(eq=False)
class _Shared:
    """A session, which takes as many requests at once as its server allows."""

    session: ClientSession
    active: int = 0
    lent: int = 0  # of these, those whose answers are read by who asked for them, when they like
    idle_since: float = 0.0

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
    """A connection that one thread opens while others wait for it."""

    error: RequestException | None = None


@dataclass(eq=False)
class _Group:
    """The connections to one destination."""

    shared: list[_Shared] = field(default_factory=list)
    idle: list[HTTP1Connection] = field(default_factory=list)  # the one used last is last
    busy: int = 0  # of HTTP/1.1
    lent: int = 0  # of these, as in _Shared
    openings: list[_Opening] = field(default_factory=list)
    speaks_http1: bool = False
    stands_alone: bool = False  # the server has refused requests on another origin's connection
    answered_at: float = -math.inf  # the last time
    retired: bool = False  # its connections are closed when they are free

    @property
    def size(self) -> int:
        return len(self.shared) + len(self.idle) + self.busy + len(self.openings)

    @property
    def own_size(self) -> int:
        """Without those that are lent: they are the caller's, who may want many at once."""
        return self.size - self.lent - sum(shared.is_lent for shared in self.shared)


class PoolUser:
    """What has a pool of its own: so has a copy."""

    _pool: Pool

    def __copy__(self) -> Any:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._pool = copy.copy(self._pool)
        return other


class Pool:
    """A pool of sessions; safe to share by threads. `retries` is how often a request may be sent again."""

    def __init__(
        self,
        limits: PoolLimits | None = None,
        *,
        http1: bool = True,
        h2c: bool = False,
        alt_svc: bool | str = True,
        retries: int = 5,
        retry_statuses: frozenset[int] = frozenset(),
        **session_options: Any,
    ) -> None:
        self._limits = limits or PoolLimits()
        self._retries = retries
        self._retry_statuses = retry_statuses
        self._options: dict[str, Any] = {
            "retries": retries,
            "retry_statuses": retry_statuses,
            "http1": http1,
            "h2c": h2c,
            "alt_svc": alt_svc,
            **session_options,
        }
        self._opener = self._make_opener(
            http1=http1, h2c=h2c, keepalive_expiry=self._limits.keepalive_expiry, **session_options
        )
        self._alternatives = Alternatives(alt_svc)
        self._changed = threading.Condition(threading.Lock())
        self._groups: dict[Destination, _Group] = {}
        # What answers that nobody has read or closed have left behind. Finalizers add to it, which must take no lock.
        self._forgotten: collections.deque[Callable[[], None]] = collections.deque()
        self._closed = False
        renew_in_forked_child(self)

    def _renew(self) -> None:
        """In a forked child, whose parent goes on using the connections, and may have held a lock."""
        for group in self._groups.values():
            group.retired = True
        self._changed = threading.Condition(threading.Lock())
        self._groups = {}
        self._forgotten = collections.deque()

    def _make_opener(self, **options: Any) -> Opener:
        return Opener(**options)

    def __reduce__(self) -> Any:
        """A copy, or what comes out of a pickle, has the same options, and connections of its own."""
        return functools.partial(type(self), self._limits, **self._options), ()

    def send(self, call: Call) -> Answer:
        """Make a request and wait for the response's head; the body is the caller's to read or close.

        Blocks as long as `call.timeouts` allow. Raises exceptions of `sync_h2.exceptions`, whose `processed` says
        whether the server may have acted on the request.
        """
        if call.origin.scheme not in ("http", "https"):
            raise InvalidSchema(f"No connection adapters were found for {call.url!r}", request=call.request)
        proxy = None if self._opener.needs_no_proxy else call.proxy
        destination = Destination(call.origin, proxy, call.verify, call.cert, call.server_name)
        tries = Tries(self._retries)
        began_at = time.monotonic()
        while True:
            since, began_at = began_at, time.monotonic()
            connection: _Shared | HTTP1Connection | None = None
            try:
                group, connection = self._acquire(call, destination)
                answer = self._attempt(call, group, connection)
            except RequestException as error:
                if error.request is None:
                    error.request = call.request
                raise
            except BodyFailure as failure:
                assert failure.__cause__ is not None
                raise failure.__cause__ from None
            except errors.InvalidArgument as error:
                raise InvalidHeader(
                    f"{call.url}: {errors.said(error)}", request=call.request, processed=False
                ) from error
            except BROKEN as error:
                pause = self._pause_after(error, call, tries, destination, connection, since)
                if pause is None or not call.patience.allows(pause):
                    raise _failure(call, error) from error
            else:
                self._note_alternatives(destination, answer)
                pause = self._pause_for(answer, call, tries, destination)
                if pause is None or not call.patience.allows(pause):
                    return answer
                answer.close()
            time.sleep(pause)

    def close(self) -> None:
        """Take no more requests, and `clear`."""
        self._closed = True
        self.clear()

    def clear(self) -> None:
        """Close the connections that nobody uses, the others when nobody does any more."""
        with self._changed:
            groups, self._groups = list(self._groups.values()), {}
            for group in groups:
                group.retired = True
            self._changed.notify_all()
        self._clear_forgotten()
        for group in groups:
            for connection in group.idle:
                connection.close()
            for shared in group.shared:
                shared.session._close_when_unused()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- one attempt

    def _attempt(self, call: Call, group: _Group, connection: _Shared | HTTP1Connection) -> Answer:
        lent = False
        if isinstance(connection, _Shared):
            shared = connection

            def done() -> None:
                self._release(shared, lent)

            ending = Ending(done, done, self._forgotten)
            try:
                answer: Answer = send_on(shared.session, call, ending)
            except BaseException:
                ending.end(reusable=True)
                raise
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
        with self._changed:
            lender.lent += 1
            self._changed.notify_all()
        return True

    def _pause_after(
        self,
        error: Exception,
        call: Call,
        tries: Tries,
        destination: Destination,
        connection: _Shared | HTTP1Connection | None,
        since: float,
    ) -> float | None:
        """The seconds after which a request that failed so is sent again; None if it is not. `since` the attempt before
        began, others may have been answered.
        """
        processed = _processed(error)
        # A reset is an answer, and TLS does not fail by chance.
        if isinstance(error, errors.TLSError) or (isinstance(error, errors.StreamReset) and processed is None):
            return None
        if not may_repeat(call, processed):
            return None
        if processed is None:
            return tries.pause()
        session = connection.session if isinstance(connection, _Shared) else None
        refused = session is not None and not session.closed
        progress = session is not None and not refused and session._has_streams  # which it took, and will answer
        if not progress:
            with self._changed:
                group = self._groups.get(destination)
                progress = group is not None and group.answered_at >= since
        return tries.pause(progress=progress, refused=refused)

    def _pause_for(self, answer: Answer, call: Call, tries: Tries, destination: Destination) -> float | None:
        """The seconds after which a request that was answered so is sent again; None if it is not."""
        if answer.status == 421 and may_repeat(call, False):  # RFC 9110 section 15.5.20: it was not processed
            with self._changed:
                group = self._groups.get(destination)
                if group is not None and not group.stands_alone:
                    group.stands_alone = True
                    group.shared = [shared for shared in group.shared if shared.session is not answer.session]
                    return tries.pause()
        if answer.status in self._retry_statuses and may_repeat(call, None):
            pause = tries.pause()
            asked = retry_after(answer.headers)
            if pause is None or asked is None:
                return pause
            return asked if asked <= _LONGEST_RETRY_AFTER else None
        return None

    def _note_alternatives(self, destination: Destination, answer: Answer) -> None:
        for name, value in answer.headers:
            if name == "alt-svc":
                self._alternatives.told(destination, value)

    # -- getting a connection

    def _acquire(self, call: Call, destination: Destination) -> tuple[_Group, _Shared | HTTP1Connection]:
        """A connection with a place for one request. Blocks for `timeouts.pool`, and `timeouts.connect`."""
        deadline: Deadline | None = None
        while True:
            opening: _Opening | None = None
            beginning: _Shared | None = None
            unwanted: list[Callable[[], None]] = []
            self._clear_forgotten()
            with self._changed:
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
                        opening = _Opening()
                        group.openings.append(opening)
                    elif deadline is None:
                        deadline = Deadline(call.patience.pool)
                    if beginning is None and opening is None:
                        assert deadline is not None
                        self._wait(group, deadline, call)
            for close in unwanted:
                close()
            if isinstance(found, _Shared) and not self._answers(found):
                continue
            if opening is not None:
                found = self._open(call, destination, group, opening)
            elif beginning is not None:
                assert deadline is not None
                self._await_settings(beginning, deadline, call)
            if found is not None:
                return group, found

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
                group.busy += 1
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

    def _wait(self, group: _Group, deadline: Deadline, call: Call) -> None:
        """Wait for a change; needs the lock. What the connection fails with that one waits for, is raised here too."""
        awaited = list(group.openings)
        self._changed.wait(_no_longer_than(deadline))
        self._check_deadline(deadline, call)
        failed = next((opening.error for opening in awaited if opening.error is not None), None)
        if failed is not None:
            again = type(failed)(*failed.args, request=call.request, processed=False)
            raise again from failed

    def _await_settings(self, shared: _Shared, deadline: Deadline, call: Call) -> None:
        """Wait until a session knows how many streams its server takes: one that gets more may drop them all."""
        try:
            shared.session._wait_for_settings(_no_longer_than(deadline))
        except errors.Timeout:
            self._check_deadline(deadline, call)
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
        shared: _Shared | None = None
        place: _Shared | HTTP1Connection | None = None
        try:
            shared = None if group.stands_alone else self._covering(destination)
            if shared is None:
                connection = self._connect(call, destination)
        except RequestException as error:
            if call.patience.allows(0.0):  # otherwise it is this call's time that has run out, and no one else's
                opening.error = error
            raise
        finally:
            with self._changed:
                group.openings.remove(opening)
                closed = self._closed or group.retired
                if closed:
                    pass
                elif isinstance(connection, HTTP1Connection):
                    group.speaks_http1 = True
                    group.busy += 1
                    place = connection
                elif connection is not None:
                    place = _Shared(connection, active=1)
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

    def _connect(self, call: Call, destination: Destination) -> ClientSession | HTTP1Connection:
        origin = destination.origin
        listeners = {"altsvc": self._heard_alternatives(destination)}
        place = self._alternatives.of(destination) if destination.proxy is None else None
        if place is not None:
            try:
                there = (place.host, place.port)
                return self._opener.open(destination, there, call.patience.connect, listeners, call.trace)
            except RequestException:
                self._alternatives.failed(destination, place)
        here = (origin.host, origin.port)
        return self._opener.open(destination, here, call.patience.connect, listeners, call.trace)

    def _heard_alternatives(self, destination: Destination) -> Any:
        alternatives = self._alternatives

        def altsvc(value: str, origin: str, stream_id: int) -> None:
            # Of others only if the certificate is theirs too: left to them.
            if origin in ("", str(destination.origin)):
                alternatives.told(destination, value)

        return altsvc

    def _covering(self, destination: Destination) -> _Shared | None:
        """A session of another origin that serves this one too."""
        if destination.origin.scheme != "https" or destination.server_name or self._opener.resolves:
            return None
        with self._changed:
            others = [
                shared
                for other, group in self._groups.items()
                if (other.proxy, other.verify, other.cert) == (destination.proxy, destination.verify, destination.cert)
                and other.server_name is None
                and destination.proxy is None
                and not group.stands_alone
                for shared in group.shared
            ]
        for shared in others:
            if shared.is_open and shared.has_room and covers(shared.session, destination.origin):
                return shared
        return None

    def _answers(self, shared: _Shared) -> bool:
        """Whether a session still works: asked with PING if it was idle for long. One that does not is given back."""
        if shared.active > 1 or time.monotonic() - shared.idle_since < self._limits.ping_after:
            return True
        try:
            shared.session.ping(timeout=_PATIENCE_FOR_PING)
        except errors.PingLimit:
            return True
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
        with self._changed:
            shared.active -= 1
            shared.lent -= lent
            if not shared.active:
                shared.idle_since = time.monotonic()
            self._changed.notify_all()  # whose turn it is, only they know: they wait for various destinations

    def _release_http1(self, group: _Group, connection: HTTP1Connection, lent: bool, *, reusable: bool) -> None:
        with self._changed:
            group.busy -= 1
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
            with contextlib.suppress(IndexError):  # another thread was faster
                self._forgotten.popleft()()

    def _forget_unused(self) -> None:
        """Groups without a connection are of no use; needs the lock."""
        unused = [known for known, group in self._groups.items() if not group.size and not group.stands_alone]
        for destination in unused:
            del self._groups[destination]

    def sessions(self) -> Iterator[ClientSession]:
        """The open sessions, each once."""
        with self._changed:
            found = {id(shared): shared.session for group in self._groups.values() for shared in group.shared}
        return iter(found.values())


def _no_longer_than(deadline: Deadline) -> float:
    """How long to wait at a time: nobody is told of forgotten answers."""
    remaining = deadline.remaining()
    return _LONGEST_WAIT if remaining is None else min(remaining, _LONGEST_WAIT)


def _processed(error: Exception) -> bool | None:
    """Whether the server may have acted on a request that failed so."""
    return False if getattr(error, "retryable", False) else None


def _failure(call: Call, error: Exception) -> ConnectionError:
    kind = SSLError if isinstance(error, errors.TLSError) else ConnectionError
    return kind(
        f"{call.method} {call.url}: {errors.said(error)}",
        request=call.request,
        processed=_processed(error),
        stream_id=getattr(error, "stream_id", None),
        code=getattr(error, "code", None),
    )
