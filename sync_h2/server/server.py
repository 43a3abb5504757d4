"""The threading server: it accepts connections, gives each a thread of its own, and streams to the handler pool.

Threads: the acceptor waits for connections and does nothing that could block. Each connection's thread makes the TLS
handshake under a deadline and then becomes its session's reader. Handlers run on the pool. The server's monitor
guards the set of sessions and its listeners; nobody takes it while holding a session's.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import select
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from ..connection.inspection.trace import TraceFunction
from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_session import ServerSession
from ..connection.session.state import peer_name
from ..connection.shared.limit_log import log_limit, log_out_of_resources
from ..connection.shared.listeners import Dispatcher, Listener, Listeners, Observable, call_listener
from ..connection.shared.monitor import Monitor, WaitQueue
from ..deadline import Deadline, check_timeout
from ..errors import ALPNError, HTTP2Error, InvalidState, SessionClosed, Timeout
from ..interpreter import DROPPED_FOR_LONG, FREE_THREADED_BUILD
from ..protocol.limits import Limits
from ..protocol.settings import Settings
from ..transport.blocking_tls import BlockingTLSConnection
from ..transport.fork import close_in_forked_child
from ..transport.sockets import UNIX_PREFIX, close_listener, format_address
from ..transport.tls import PEM, TLSEngine, load_certificate
from .accepting import eviction as room
from .accepting.half_closed import answer_to, last_words
from .accepting.handshake import Beginning, begin_plain, begin_secure, refusal_of
from .accepting.refusals import Undecided
from .handlers.request_listeners import REQUEST_EVENTS, request_handler
from .memory import ServerMemory

logger = logging.getLogger("sync_h2.server")

Self = TypeVar("Self", bound="ThreadingServer")

_EVENTS = frozenset(
    {"session", "session_error", "stream", "timeout", "unknown_protocol", "error", "listening", "close"}
    | REQUEST_EVENTS
)
_KEPT_EVENTS = frozenset({"error", "close"})
_LAST_ACCEPTED = 0.5  # seconds for which a server that stops accepts what waits in the backlog
_HANDSHAKE_GRACE = 1.0  # seconds that a handshake has to end when the server closes
_MOST_AT_ONCE = 100  # connections that are accepted before anything else is looked at
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class _Newcomer(NamedTuple):
    address: Any
    accepted_at: float  # infinity: it is on its way out


class Pool(Protocol):
    """Where handlers run: `HandlerPool`, or a user's executor behind the same methods."""

    def submit(self, key: object, job: Callable[[], None]) -> bool: ...

    def forget(self, key: object) -> None: ...

    def job_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None: ...

    def waiting_jobs(self, key: object) -> int: ...

    def keep_worker(self, key: object, wanted: bool) -> None: ...

    def shutdown(self, wait: bool = True, timeout: float | None = None) -> bool: ...


class ThreadingServer(Observable):
    """A server for HTTP/2 over cleartext; made by `create_server`, bound and listening from then on.

    `with server:` starts it and closes it; or `start()` and `close()`; or `serve_forever()` and `shutdown()` from
    another thread.
    """

    _scheme = "http"
    _origins: Sequence[str] = ()
    # What serves clients that speak HTTP/1.1 (`http1.session.HTTP1Session`), if they are served. The module is imported
    # by whoever asks for it: it needs h11.
    _http1: type[ServerSession] | None

    _request_handler: Handler | None = None  # from the first listener for a request on

    def __init__(
        self,
        listening_socket: socket.socket,
        *,
        pool: Pool,
        settings: Settings,
        limits: Limits,
        http1: type[ServerSession] | None = None,
        listeners: Mapping[str, Listener] | None = None,
        trace: TraceFunction | None = None,
        adopted: bool = False,
    ) -> None:
        self._http1 = http1
        self._socket = listening_socket
        self._adopted = adopted  # the socket is the user's, and with it the path of a Unix socket
        self._address = listening_socket.getsockname()
        self._pool = pool
        self._settings = settings
        self._limits = limits
        self._memory = ServerMemory(limits.max_server_memory, self._end_greediest)
        self._trace = trace
        self._made_room_at = 0.0  # for want of descriptors
        self._monitor = Monitor(self._interrupted)
        self._lock = self._monitor.lock
        self._dispatcher = Dispatcher(self._monitor)
        self._listeners = Listeners(self._dispatcher, _EVENTS, _KEPT_EVENTS)
        # Guarded by the lock:
        self._sessions: set[ServerSession] = set()
        # Connections whose thread is not a session yet, in the order in which they came.
        self._connecting: dict[socket.socket, _Newcomer] = {}
        # Those that an `unknown_protocol` listener got, while somebody holds them, with their address. (No weak
        # dictionary: whoever drops a connection would change it, at any time.)
        self._given_away: list[tuple[weakref.ref[BlockingTLSConnection], Any]] = []
        self._changed = WaitQueue(self._monitor)
        self._stops = WaitQueue(self._monitor)  # woken once: who is woken often is often between two waits
        self._acceptor: threading.Thread | None = None
        self._undecided: Undecided  # the acceptor's
        self._acceptor_failed = False  # to start; otherwise it begins soon, be it after `shutdown`
        self._never_accepts = False  # there is no acceptor: who shuts down closes the socket
        self._stopping = False
        self._stopped = False  # the listening socket is closed
        self._closed = False
        self._idle_timeout = limits.idle_timeout
        self._register_all(listeners)
        # The acceptor wakes when one end of this pair is closed: closing a listening socket does not wake it
        # everywhere.
        self._waker, self._wake_receiver = socket.socketpair()
        close_in_forked_child(self._waker)
        close_in_forked_child(self._wake_receiver)

    @property
    def address(self) -> Any:
        """Where it listens: `(host, port)`, or the path of a Unix socket."""
        return self._address[:2] if isinstance(self._address, tuple) else self._address

    @property
    def url(self) -> str:
        """What `connect` takes to reach this server: `http://127.0.0.1:8080`, `https://[::1]:8443`, `unix:/path`."""
        address = format_address(self._address)
        return address if address.startswith(UNIX_PREFIX) else f"{self._scheme}://{address}"

    @property
    def sessions(self) -> list[ServerSession]:
        """The sessions at this moment."""
        with self._monitor, self._lock:
            return list(self._sessions)

    def _requests_under_way(self) -> list[str]:
        """Each as a person knows it: `GET /path of 127.0.0.1:50000`."""
        return [request for session in self.sessions for request in session._requests_under_way()]

    # -- running

    def start(self) -> None:
        """Accept connections from now on, on a thread in the background. A second call does nothing."""
        with self._monitor, self._lock:
            if self._stopping:
                raise InvalidState("the server was shut down and can't be started again: make another")
            if self._acceptor is not None:
                return
            # In this order: an interrupt in between must not leave one that nobody starts and `shutdown` waits for.
            self._monitor.after_unlock(self._start_acceptor)
            self._acceptor = threading.Thread(target=self._accept, name="sync_h2-acceptor", daemon=True)
            self._listeners.emit_locked("listening")

    def _start_acceptor(self) -> None:
        if self._acceptor is not None and self._acceptor.ident is None:  # an interrupt may have this called twice
            try:
                self._acceptor.start()
            except RuntimeError:  # the system has no thread for it
                self._acceptor_failed = True
                raise

    def serve_forever(self) -> None:
        """Accept connections; blocks until `shutdown` or `close` is called from elsewhere, or an interrupt strikes."""
        self.start()
        self._monitor.wait(lambda: True if self._stopped else self._stops, Deadline(None), "the server to shut down")

    def shutdown(self) -> None:
        """Stop accepting connections and close the listening socket; sessions go on (Node's `close`)."""
        with self._monitor, self._lock:
            self._stopping = True
            acceptor = self._acceptor
            if acceptor is None or self._acceptor_failed:
                self._never_accepts = True
        # Each step again in every call: an earlier one may have been interrupted.
        self._waker.close()
        if self._never_accepts:
            self._stopped_accepting()
        if acceptor is not None and threading.current_thread() is not acceptor:
            self._monitor.wait(lambda: True if self._stopped else self._stops, Deadline(None), "the acceptor to stop")

    def close(self, timeout: float | None = None) -> None:
        """Stop accepting, let the sessions finish for `timeout` seconds (None: `close_timeout`), then destroy what is
        left.

        Never raises for a session that does not finish. From one of its own handlers or listeners it only starts the
        closing.
        """
        check_timeout(timeout)
        if self._monitor.refusal is not None:
            return  # a forked child has let go of it already
        self.shutdown()
        sessions = self.sessions
        if any(session._runs_callback() for session in sessions) or threading.get_ident() == self._dispatcher.thread_id:
            threading.Thread(target=self._close, args=(timeout,), name="sync_h2-closer", daemon=True).start()
        else:
            self._close(timeout)

    def _close(self, timeout: float | None) -> None:
        deadline = Deadline(self._limits.close_timeout if timeout is None else timeout)
        for session in self.sessions:
            session.close(wait=False)
        self._let_handshakes_end(deadline)
        try:
            self._wait_for_no_sessions(deadline)
        except Timeout:
            for session in self.sessions:
                if not session._finish_now():
                    logger.warning("%r did not finish in time and is destroyed", session)
                    session.destroy()
            self._wait_for_no_sessions(Deadline(None))
        with self._monitor, self._lock:
            given_away = self._given_away_locked()
        for connection, _ in given_away:
            connection.close()
        if not self._pool.shutdown(wait=True, timeout=max(deadline.remaining() or 0.0, 1.0)):
            logger.warning("a handler still runs after its server was closed")
        with self._monitor, self._lock:
            if not self._closed:
                self._closed = True
                self._listeners.emit_locked("close")
                self._dispatcher.finish_locked()

    def _let_handshakes_end(self, deadline: Deadline) -> None:
        """For a moment: a client may send a request with the end of its handshake, and is to be told about it."""
        remaining = deadline.remaining()
        grace = Deadline(_HANDSHAKE_GRACE if remaining is None else min(_HANDSHAKE_GRACE, remaining))
        with contextlib.suppress(Timeout):
            self._monitor.wait(lambda: self._changed if self._connecting else True, grace, "handshakes to end")
        with self._monitor, self._lock:
            for sock in self._connecting:
                with contextlib.suppress(OSError):  # it may have gone already
                    sock.shutdown(socket.SHUT_RDWR)

    def _wait_for_no_sessions(self, deadline: Deadline) -> None:
        self._monitor.wait(
            lambda: self._changed if self._sessions or self._connecting else True,
            deadline,
            "the server's sessions to end",
        )

    def __enter__(self: Self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._stopping else "listening"
        return f"<{type(self).__name__} {state}>"

    # -- settings of all sessions

    def set_timeout(self, seconds: float | None = 120.0, callback: Listener | None = None) -> None:
        """How long a session may be idle: then `timeout(session)` fires, or, when nobody listens, it is closed
        gracefully.
        """
        check_timeout(seconds)
        if callback is not None:
            self.on("timeout", callback)
        self._idle_timeout = seconds or None
        for session in self.sessions:
            session.set_timeout(seconds)

    def update_settings(self, values: Settings | Mapping[str, Any]) -> None:
        """Send these SETTINGS on every session, and on those to come (Node's `updateSettings`)."""
        changes = values if isinstance(values, Settings) else Settings(values)
        with self._monitor, self._lock:
            self._settings = self._settings.merged(changes)
        for session in self.sessions:
            _update_settings(session, changes)

    # -- the acceptor

    def _accept(self) -> None:
        with self._monitor, self._lock:
            if self._never_accepts:
                return
        try:
            listening = self._socket
            with selectors.DefaultSelector() as selector, Undecided(selector, self._tell_refused) as self._undecided:
                listening.setblocking(False)
                selector.register(listening, selectors.EVENT_READ)
                selector.register(self._wake_receiver, selectors.EVENT_READ)
                while not self._stopping:
                    patience = self._undecided.patience
                    if FREE_THREADED_BUILD:  # where it finalizes the sockets that it has made and others have dropped
                        patience = min(DROPPED_FOR_LONG, DROPPED_FOR_LONG if patience is None else patience)
                    ready = {key.fileobj for key, _ in selector.select(patience)}
                    if listening in ready and not self._stopping:
                        self._accept_some()
                    self._undecided.look(ready)
                # Who waits in the backlog takes the connection for made, and closing the socket would reset it.
                until = time.monotonic() + _LAST_ACCEPTED
                while listening in {key.fileobj for key, _ in selector.select(0)} and time.monotonic() < until:
                    self._accept_one()
        finally:
            self._stopped_accepting()

    def _stopped_accepting(self) -> None:
        if self._adopted:
            self._socket.close()
        else:
            close_listener(self._socket)
        self._wake_receiver.close()
        with self._monitor, self._lock:
            self._stopped = True
            self._stops.wake_all_locked()

    def _accept_some(self) -> None:
        """One that may come to something, and those before it that can't."""
        for _ in range(_MOST_AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """True for a connection that was over already."""
        try:
            sock, address = self._socket.accept()
        except BlockingIOError:
            return False  # another process that shares the port was faster
        except OSError as error:
            self._report(error)
            if error.errno in _OUT_OF_RESOURCES:
                log_out_of_resources(self, error)
                now = time.monotonic()
                if now - self._made_room_at >= 1:  # who is closed needs about that long to give his descriptor back
                    self._made_room_at = now
                    self._make_room()
                # The connection stays in the backlog and `select` returns at once: let descriptors be given back first.
                select.select([self._wake_receiver], [], [], 0.05)
            return False
        octets = last_words(sock)
        if octets is not None and (answer := self._answer_to(octets)) is not None:
            _say_and_close(sock, answer)
            logger.info("no session with %s: its connection was over already", peer_name(address))
            return True
        self._take_on(sock, address)
        return False

    def _answer_to(self, last_words: bytes) -> bytes | None:
        """What becomes of a connection that is at its end: what is said, and no more; or None for a session."""
        return answer_to(last_words, self._http1)

    def _take_on(self, sock: socket.socket, address: Any) -> None:
        """Give a connection a thread of its own, if there is room."""
        with self._monitor, self._lock:
            refused = self._full_limit_locked(address)
            if refused is None:
                self._connecting[sock] = _Newcomer(address, time.monotonic())
        if refused is not None and self._make_room(address if refused == "max_sessions_per_address" else None):
            refused = None
            with self._monitor, self._lock:
                self._connecting[sock] = _Newcomer(address, time.monotonic())
        if refused is not None:
            log_limit(self, refused, SessionClosed(f"a connection from {peer_name(address)} is refused"))
            self._refuse(sock, refused)
            return
        try:
            threading.Thread(target=self._serve, args=(sock, address), name="sync_h2-reader", daemon=True).start()
        except RuntimeError as error:
            self._forget(sock)
            sock.close()
            self._report(error)

    def _make_room(self, address: Any = None) -> bool:
        """End a session (from `address`, where one is given) that is less worth than a newcomer; False if none is."""
        sessions = self.sessions
        if sum(session._leaving for session in sessions) > self._limits.max_sessions // 8:
            return False  # who reads nothing takes his time to go: without a bound newcomers could pile these up
        candidates = [session for session in sessions if address is None or session._peer_address[:1] == address[:1]]
        return room.make_room(candidates) or self._hang_up_on_silent(address)

    def _hang_up_on_silent(self, address: Any) -> bool:
        """The same with a connection that has not even begun to be a session."""
        latest = time.monotonic() - room.LEAST_STALLED
        with self._monitor, self._lock:
            for sock, newcomer in self._connecting.items():
                if newcomer.accepted_at <= latest and (address is None or newcomer.address[:1] == address[:1]):
                    self._connecting[sock] = newcomer._replace(accepted_at=math.inf)
                    with contextlib.suppress(OSError):  # it has gone by itself
                        sock.shutdown(socket.SHUT_RDWR)
                    return True
        return False

    def _refuse(self, sock: socket.socket, limit: str) -> None:
        """Say what the client understands, as far as that can be done without waiting, and close."""
        # Where there is a choice, the client's first octets tell, and come in a moment.
        if self._http1 is None or not self._undecided.add(sock, limit):
            self._tell_refused(sock, limit)

    def _tell_refused(self, sock: socket.socket, limit: str) -> None:
        received = b""
        with contextlib.suppress(OSError):  # it may have gone already
            sock.setblocking(False)
            received = sock.recv(65_536)
        _say_and_close(sock, refusal_of(limit, received, http1=self._http1 is not None))

    def _full_limit_locked(self, address: Any) -> str | None:
        """The limit that one more connection from `address` would break."""
        given_away = [where for _, where in self._given_away_locked()] if self._given_away else []
        if len(self._sessions) + len(self._connecting) + len(given_away) >= self._limits.max_sessions:
            return "max_sessions"
        most = self._limits.max_sessions_per_address
        if most is not None and isinstance(address, tuple):
            addresses = [session._peer_address for session in self._sessions]
            addresses += [*(newcomer.address for newcomer in self._connecting.values()), *given_away]
            if sum(1 for other in addresses if other[:1] == address[:1]) >= most:
                return "max_sessions_per_address"
        return None

    def _given_away_locked(self) -> list[tuple[BlockingTLSConnection, Any]]:
        """Those that are open, with their address; of the others nothing is kept."""
        held = [(reference(), where) for reference, where in self._given_away]
        found = [(connection, where) for connection, where in held if connection is not None and not connection.closed]
        self._given_away = [(weakref.ref(connection), where) for connection, where in found]
        return found

    # -- a connection's own thread

    def _serve(self, sock: socket.socket, address: Any) -> None:
        try:
            beginning = self._handshake(sock, address)
        except (HTTP2Error, OSError) as error:
            sock.close()
            self._forget(sock)
            logger.info("no session with %s: %s", peer_name(address), error)
            self._report(error)
            return
        if beginning is None:
            return
        settings, idle_timeout = self._settings, self._idle_timeout
        session = self._new_session(beginning, settings, idle_timeout)
        reader = session._reader_target()
        session._start()  # first: a GOAWAY of `close` comes after the preface
        with self._monitor, self._lock:
            self._connecting.pop(sock, None)
            self._sessions.add(session)
            self._changed.wake_all_locked()
            functions = self._listeners.take_locked("session")
            stopping = self._stopping
        # Those that were set before it was among the sessions, and, after them again, those that are set meanwhile.
        while settings is not self._settings:
            settings = self._settings
            _update_settings(session, settings)
        while idle_timeout != self._idle_timeout:
            idle_timeout = self._idle_timeout
            session.set_timeout(idle_timeout)
        with session._as_callback():
            for function in functions:
                call_listener(function, "session", (session,))
        if stopping:
            session.close(wait=False)
        if beginning.received:
            session._receiver.begin_with(beginning.received)
        # The reader refers to its session weakly; while it runs, `_sessions` holds it.
        del session
        reader()

    def _new_session(self, beginning: Beginning, settings: Settings, idle_timeout: float | None) -> ServerSession:
        session = beginning.session_class(
            beginning.transport,
            self,
            settings=settings,
            limits=self._limits,
            origins=self._origins,
            trace=self._trace,
        )
        session._watchdog.inactivity = idle_timeout
        return session

    def _handshake(self, sock: socket.socket, address: Any) -> Beginning | None:
        """None when the connection is not for a session, and belongs to somebody else."""
        return begin_plain(sock, self._limits, self._http1, address=address)

    def _forget(self, sock: socket.socket) -> None:
        with self._monitor, self._lock:
            self._connecting.pop(sock, None)
            self._changed.wake_all_locked()

    def _report(self, error: BaseException) -> None:
        with self._monitor, self._lock:
            self._listeners.emit_locked("error", error)

    def _interrupted(self, error: BaseException) -> None:
        logger.error("an exception struck while the server's state was being changed", exc_info=error)

    # -- what sessions ask (see connection.server_session.Host)

    def _handlers(self) -> list[Handler]:
        with self._monitor, self._lock:
            functions = list(self._listeners.take_locked("stream"))
        if self._request_handler is not None:
            functions.append(self._request_handler)
        return functions

    def _register(self, name: str, function: Listener | None, *, once: bool) -> Any:
        if name in REQUEST_EVENTS and self._request_handler is None:
            self._request_handler = request_handler(self._take_listeners)
        return super()._register(name, function, once=once)

    def _take_listeners(self, name: str) -> list[Listener]:
        with self._monitor, self._lock:
            return self._listeners.take_locked(name)

    def _submit(self, session: ServerSession, job: Callable[[], None]) -> bool:
        return self._pool.submit(session, job)

    def _handler_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        return self._pool.job_waits(give_up)

    def _handlers_that_wait(self, session: ServerSession) -> int:
        return self._pool.waiting_jobs(session)

    def _keep_worker(self, session: ServerSession, wanted: bool) -> None:
        self._pool.keep_worker(session, wanted)

    def _memory_changed(self, session: ServerSession) -> None:
        self._memory.changed(session)

    def _end_greediest(self, session: ServerSession, octets: int, together: int) -> None:
        session._out_of_memory(octets, together)
        self._pool.forget(session)  # at once: its requests that wait are what takes the memory

    def _session_idle(self, session: ServerSession) -> bool:
        with self._monitor, self._lock:
            return self._listeners.emit_locked("timeout", session)

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        self._pool.forget(session)
        self._memory.forget(session)
        with self._monitor, self._lock:
            self._sessions.discard(session)
            self._changed.wake_all_locked()
            if error is not None:
                self._listeners.emit_locked("session_error", error, session)


def _update_settings(session: ServerSession, changes: Settings) -> None:
    if session._http_version != "2.0":
        return  # it has none
    try:
        session.settings(changes)
    except HTTP2Error:
        logger.info("%r ended before its settings could be updated", session)


def _say_and_close(sock: socket.socket, farewell: bytes) -> None:
    """As far as that can be done without waiting."""
    with contextlib.suppress(OSError):  # it may have gone already
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.recv(65_536)  # what is unread when it is closed makes a reset of the end
        if farewell:
            sock.send(farewell)
            sock.shutdown(socket.SHUT_WR)
    sock.close()


class SecureThreadingServer(ThreadingServer):
    """A server for HTTP/2 over TLS; made by `create_secure_server`."""

    _scheme = "https"

    def __init__(
        self, listening_socket: socket.socket, *, context: Any, origins: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init__(listening_socket, **options)
        self._context = context
        self._origins = origins

    def reload_certificate(self, certfile: PEM, keyfile: PEM | None = None) -> None:
        """Use another certificate for handshakes from now on; sessions go on. Raises `TLSError` if it can't be used."""
        load_certificate(self._context, certfile, keyfile)

    def _answer_to(self, last_words: bytes) -> bytes | None:
        return b""  # a handshake takes answers of the client's

    def _refuse(self, sock: socket.socket, limit: str) -> None:
        # To say why, TLS would have to be set up, which takes a thread and more time than the connection is worth.
        sock.close()

    def _handshake(self, sock: socket.socket, address: Any) -> Beginning | None:
        engine = TLSEngine(self._context, server_side=True)
        with self._monitor, self._lock:
            anybody_listens = self._listeners.any_locked("unknown_protocol")
        beginning = begin_secure(
            sock, engine, self._limits, self._http1, require_known=not anybody_listens, address=address
        )
        if beginning is not None:
            return beginning
        connection = BlockingTLSConnection(sock, engine, address)
        with self._monitor, self._lock:
            # In one critical section, so that `close` finds it in one of the two tables.
            given_away = self._listeners.emit_locked("unknown_protocol", connection)
            if given_away:
                self._connecting.pop(sock, None)
                self._given_away.append((weakref.ref(connection), address))
                self._changed.wake_all_locked()
        if not given_away:  # the listener was taken off meanwhile
            connection.close()
            raise ALPNError("the client has not chosen HTTP/2, and nobody listens for unknown_protocol any more")
        return None
