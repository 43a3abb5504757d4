"""The threading server: it accepts connections, gives each a thread of its own, and streams to the handler pool.

Threads: the acceptor gives away what it accepts and does nothing that could block. Each connection's thread finds out
what its client speaks, with TLS by a handshake, under a deadline, and then becomes its session's reader, or starts it.
Handlers run on the pool. The server's monitor guards its connections and its listeners; nobody takes it while holding
a session's.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_session import ServerSession
from ..connection.session.configuration import Configuration
from ..connection.session.state import peer_name
from ..connection.shared.limit_log import log_limit, log_out_of_resources
from ..connection.shared.listeners import KEPT, NOT_KEPT, Dispatcher, Listener, Listeners, Observable, call_listener
from ..connection.shared.monitor import Monitor
from ..deadline import Deadline, check_timeout
from ..errors import HTTP2Error, SessionClosed, Timeout
from ..protocol.settings import Settings
from ..transport.log import Log
from ..transport.sockets import UNIX_PREFIX, format_address
from .accepting.acceptor import OUT_OF_RESOURCES, Acceptor
from .accepting.half_closed import answer_to, last_words
from .accepting.handshake import Beginning, begin_plain
from .accepting.refusals import say_and_close
from .connections import Connections
from .handlers.request_listeners import REQUEST_EVENTS, request_handler
from .memory import ServerMemory
from .pool.pool import Pool
from .session_host import SessionHost

logger = Log("sync_h2.server")

Self = TypeVar("Self", bound="ThreadingServer")

_EVENTS = {
    **dict.fromkeys(REQUEST_EVENTS, NOT_KEPT),
    "close": KEPT,
    "error": KEPT,
    "listening": NOT_KEPT,
    "session": NOT_KEPT,
    "session_error": NOT_KEPT,
    "stream": NOT_KEPT,
    "timeout": NOT_KEPT,
    "unknown_protocol": NOT_KEPT,
}
_BETWEEN_EVICTIONS = 1.0  # seconds: who is closed needs about that long to give his descriptor back


class ThreadingServer(SessionHost, Observable):
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
        configuration: Configuration,
        http1: type[ServerSession] | None = None,
        listeners: Mapping[str, Listener] | None = None,
        adopted: bool = False,
    ) -> None:
        self._http1 = http1
        self._address = listening_socket.getsockname()
        self._pool = pool
        self._configuration = configuration
        self._limits = limits = configuration.limits
        self._memory = ServerMemory(limits.max_server_memory, self._end_greediest)
        self._evicted_at = 0.0  # for want of descriptors
        self._monitor = Monitor(self._interrupted)
        self._lock = self._monitor.lock
        self._dispatcher = Dispatcher(self._monitor)
        self._listeners = Listeners(self._dispatcher, _EVENTS)
        self._connections = Connections(self._monitor, limits)
        self._closed = False  # guarded by the lock
        self._idle_timeout = limits.idle_timeout
        self._register_all(listeners)
        self._acceptor = Acceptor(
            listening_socket, self._monitor, self._take, self._accept_failed, http1=http1 is not None, adopted=adopted
        )

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
        return self._connections.sessions()

    def _requests_under_way(self) -> list[str]:
        """Each as a person knows it: `GET /path of 127.0.0.1:50000`."""
        return [request for session in self.sessions for request in session._requests_under_way()]

    # -- running

    def start(self) -> None:
        """Accept connections from now on, on a thread in the background. A second call does nothing."""
        with self._monitor, self._lock:
            if self._acceptor.start_locked():
                self._listeners.emit_locked("listening")

    def serve_forever(self) -> None:
        """Accept connections; blocks until `shutdown` or `close` is called from elsewhere, or an interrupt strikes."""
        self.start()
        self._acceptor.wait_stopped("the server to shut down")

    def shutdown(self) -> None:
        """Stop accepting connections and close the listening socket; sessions go on (Node's `close`).

        Who has connected already is accepted first. On Linux, and at Unix sockets, nobody else can connect meanwhile;
        elsewhere, or with a socket of yours, some who come in the last moment may find their connection reset.
        """
        self._acceptor.stop()

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
        self._connections.let_newcomers_end(deadline)
        try:
            self._connections.wait_for_none(deadline)
        except Timeout:
            for session in self.sessions:
                if not session._finish_now():
                    logger.warning("%r did not finish in time and is destroyed", session)
                    session.destroy()
            self._connections.wait_for_none(Deadline(None))
        self._connections.close_given_away()
        if not self._pool.shutdown(wait=True, timeout=max(deadline.remaining() or 0.0, 1.0)):
            logger.warning("a handler still runs after its server was closed")
        with self._monitor, self._lock:
            if not self._closed:
                self._closed = True
                self._listeners.emit_locked("close")
                self._dispatcher.finish_locked()

    def __enter__(self: Self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._acceptor.stopping else "listening"
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
            settings = self._configuration.settings.merged(changes)
            self._configuration = replace(self._configuration, settings=settings)
        for session in self.sessions:
            _update_settings(session, changes)

    # -- what the acceptor calls, on its thread

    def _take(self, sock: socket.socket, address: Any) -> bool:
        """Give a connection a thread of its own, if it comes to anything and there is room; True if it was over."""
        octets = last_words(sock)
        if octets is not None and (answer := self._answer_to(octets)) is not None:
            say_and_close(sock, answer)
            logger.info("no session with %s: its connection was over already", peer_name(address))
            return True
        refused = self._connections.admit(sock, address)
        if refused is not None:
            log_limit(self, refused, SessionClosed(f"a connection from {peer_name(address)} is refused"))
            self._refuse(sock, refused)
            return False
        try:
            threading.Thread(target=self._serve, args=(sock, address), name="sync_h2-reader", daemon=True).start()
        except RuntimeError as error:
            self._connections.forget_newcomer(sock)
            sock.close()
            self._report(error)
        return False

    def _answer_to(self, last_words: bytes) -> bytes | None:
        """What becomes of a connection that is at its end: what is said, and no more; or None for a session."""
        return answer_to(last_words, http1=self._http1 is not None)

    def _refuse(self, sock: socket.socket, limit: str) -> None:
        self._acceptor.refusals.refuse(sock, limit)

    def _accept_failed(self, error: OSError) -> None:
        self._report(error)
        if error.errno in OUT_OF_RESOURCES:
            log_out_of_resources(self, error)
            now = time.monotonic()
            if now - self._evicted_at >= _BETWEEN_EVICTIONS:
                self._evicted_at = now
                self._connections.make_room()

    # -- a connection's own thread

    def _serve(self, sock: socket.socket, address: Any) -> None:
        try:
            beginning = self._handshake(sock, address)
        except (HTTP2Error, OSError) as error:
            sock.close()
            self._connections.forget_newcomer(sock)
            logger.info("no session with %s: %s", peer_name(address), error)
            self._report(error)
            return
        if beginning is None:
            return
        configuration, idle_timeout = self._configuration, self._idle_timeout
        session = self._new_session(beginning, configuration, idle_timeout)
        reader = session._reader_target()
        session._start()  # first: a GOAWAY of `close` comes after the preface
        with self._monitor, self._lock:
            self._connections.has_become_locked(sock, session)
            functions = self._listeners.take_locked("session")
            stopping = self._acceptor.stopping
        # Those that were set before it was among the sessions, and, after them again, those that are set meanwhile.
        while configuration is not self._configuration:
            configuration = self._configuration
            _update_settings(session, configuration.settings)
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
        # The reader refers to its session weakly; while it runs, the server's connections hold it.
        del session
        self._read(reader)

    def _read(self, reader: Callable[[], None]) -> None:
        """Run the session's reader."""
        reader()

    def _new_session(
        self, beginning: Beginning, configuration: Configuration, idle_timeout: float | None
    ) -> ServerSession:
        session = beginning.session_class(beginning.transport, self, configuration, origins=self._origins)
        session._watchdog.inactivity = idle_timeout
        return session

    def _handshake(self, sock: socket.socket, address: Any) -> Beginning | None:
        """None when the connection is not for a session, and belongs to somebody else."""
        return begin_plain(sock, self._limits, self._http1, address=address)

    def _report(self, error: BaseException) -> None:
        with self._monitor, self._lock:
            self._listeners.emit_locked("error", error)

    def _interrupted(self, error: BaseException) -> None:
        logger.error("an exception struck while the server's state was being changed", exc_info=error)

    # -- what sessions ask (see connection.server_side.server_session.Host)

    def _handlers(self) -> list[Handler]:
        functions = self._listeners.lasting("stream")
        if functions is None:
            functions = self._take_listeners("stream")
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

    def _memory_changed(self, session: ServerSession) -> None:
        self._memory.changed(session)

    def _end_greediest(self, session: ServerSession, octets: int, together: int) -> None:
        session._out_of_memory(octets, together)
        self._pool.forget(session)  # at once: its requests that wait are what takes the memory

    def _session_idle(self, session: ServerSession) -> bool:
        with self._monitor, self._lock:
            return self._listeners.emit_locked("timeout", session)

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        super()._session_ended(session, error)
        self._memory.forget(session)
        with self._monitor, self._lock:
            self._connections.session_ended_locked(session)
            if error is not None:
                self._listeners.emit_locked("session_error", error, session)


def _update_settings(session: ServerSession, changes: Settings) -> None:
    if session._http_version != "2.0":
        return  # it has none
    try:
        session.settings(changes)
    except HTTP2Error:
        logger.info("%r ended before its settings could be updated", session)
