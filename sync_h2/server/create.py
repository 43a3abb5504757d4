"""Making servers: the functions users call. Each runs on the caller's thread and returns with the socket bound, or
the handshake done.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

from ..connection.inspection.trace import TraceFunction, check_trace
from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_session import ServerSession
from ..connection.session.configuration import configuration
from ..connection.session.origins import HasOrigin, serialized_origin
from ..connection.shared.listeners import Listener
from ..errors import HTTP2Error, InvalidArgument
from ..protocol.limits import Limits
from ..protocol.settings import Settings
from ..transport.sockets import close_listener, listen
from ..transport.tls import PEM, TLSEngine, server_context, set_alpn
from .accepting.handshake import begin_plain, begin_secure, http1_session_class, protocols
from .handlers.request_listeners import RequestHandler, request_handler
from .pool.executor_pool import ExecutorPool
from .pool.handler_pool import HandlerPool
from .server import Pool, SecureThreadingServer, ThreadingServer


def create_server(
    handler: Handler | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    on_request: RequestHandler | None = None,
    allow_http1: bool = False,
    max_workers: int = 256,
    executor: Executor | None = None,
    reuse_port: bool = False,
    listeners: Mapping[str, Listener] | None = None,
    trace: TraceFunction | None = None,
    **limits: Any,
) -> ThreadingServer:
    """A server for cleartext HTTP/2 with prior knowledge, bound and listening; it accepts from `start()` on.

    `handler(stream, headers)` and `on_request(request, response)`, whichever is given, are called for every stream, on
    a pool of up to `max_workers` threads (or on `executor`), many at once. `host` may be `unix:/path`; port 0 picks a
    free one (`server.address` tells). `sock` is a listening socket to use instead: it is closed in the end, and the
    path of a Unix socket stays. `settings` is sent to clients; `trace(line)` is called for each frame of each session;
    `limits` are the options of the README's table. With `allow_http1` clients that speak HTTP/1.1 are served too, by
    the same handlers; that needs the package h11.
    Raises `OSError` when it can't listen, `InvalidArgument` for bad options, `ImportError` when h11 is missing.
    """
    options = _server_options(handler, on_request, settings, max_workers, executor, listeners, trace, limits)
    http1 = http1_session_class(allow_http1)
    with _listening(sock, host, port, reuse_port) as listener:
        return ThreadingServer(listener, adopted=sock is not None, http1=http1, **options)


def create_secure_server(
    handler: Handler | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    certfile: PEM | None = None,
    keyfile: PEM | None = None,
    cafile: PEM | None = None,
    context: ssl.SSLContext | None = None,
    origins: Iterable[str | HasOrigin] = (),
    sock: socket.socket | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    on_request: RequestHandler | None = None,
    allow_http1: bool = False,
    max_workers: int = 256,
    executor: Executor | None = None,
    reuse_port: bool = False,
    listeners: Mapping[str, Listener] | None = None,
    trace: TraceFunction | None = None,
    **limits: Any,
) -> SecureThreadingServer:
    """As `create_server`, over TLS with ALPN `h2`; with `allow_http1` also `http/1.1`, or without ALPN.

    `certfile` and `keyfile` are paths or PEM bytes; with `cafile` clients must show a certificate from one of its
    authorities. A `context` replaces all three. `origins` are told to every client as `session.origin` does. Raises
    `TLSError` when the certificate can't be used, `InvalidArgument` for what is no origin.
    """
    if isinstance(origins, str):
        raise TypeError("origins must be a list of origins, not one str")
    serialized = [serialized_origin(origin) for origin in origins]
    http1 = http1_session_class(allow_http1)
    if context is not None:
        if certfile is not None or cafile is not None:
            raise InvalidArgument("a context replaces certfile, keyfile and cafile")
        set_alpn(context, protocols(http1))
    elif certfile is None:
        raise InvalidArgument("a secure server needs certfile, or a context")
    else:
        context = server_context(certfile=certfile, keyfile=keyfile, cafile=cafile, alpn=protocols(http1))
    options = _server_options(handler, on_request, settings, max_workers, executor, listeners, trace, limits)
    with _listening(sock, host, port, reuse_port) as listener:
        return SecureThreadingServer(
            listener, context=context, origins=serialized, adopted=sock is not None, http1=http1, **options
        )


@contextlib.contextmanager
def _listening(sock: socket.socket | None, host: str, port: int, reuse_port: bool) -> Iterator[socket.socket]:
    """The caller's socket, or one that is closed again if no server comes of it."""
    if sock is not None:
        yield sock
        return
    if not isinstance(port, int) or not 0 <= port < 65536:
        raise InvalidArgument(f"port must be a number from 0 (any free one) to 65535, not {port!r}")
    listener = listen(host, port, reuse_port=reuse_port)
    try:
        yield listener
    except BaseException:
        close_listener(listener)
        raise


def _server_options(
    handler: Handler | None,
    on_request: RequestHandler | None,
    settings: Settings | Mapping[str, Any] | None,
    max_workers: int,
    executor: Executor | None,
    listeners: Mapping[str, Listener] | None,
    trace: TraceFunction | None,
    limits: Mapping[str, Any],
) -> dict[str, Any]:
    check_trace(trace)
    bounds, values = configuration(Limits.for_server(**limits), settings, server=True)
    functions = dict(listeners or {})
    for argument, event, function in (("handler", "stream", handler), ("on_request", "request", on_request)):
        if function is not None:
            _check_handler(function)
            if event in functions:
                raise InvalidArgument(f"{argument} is a {event!r} listener: give one or the other")
            functions[event] = function
    return {
        "pool": make_pool(max_workers, bounds.max_waiting_handlers, executor),
        "settings": values,
        "limits": bounds,
        "listeners": functions,
        "trace": trace,
    }


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")


def make_pool(max_workers: int, max_waiting: int, executor: Executor | None) -> Pool:
    if not isinstance(max_workers, int) or max_workers < 1:
        raise InvalidArgument(f"max_workers must be a number of at least 1, not {max_workers!r}")
    if executor is not None:
        return ExecutorPool(executor)
    return HandlerPool(
        max_workers, name="sync_h2-handler", max_waiting=max_waiting, on_waiting=ServerSession._handlers_wait
    )


# A session of `serve_socket` does its work by itself: it lives until its connection ends, whether or not anybody
# holds it.
_serving: set[ServerSession] = set()


class _SocketHost:
    """What a session of `serve_socket` belongs to: its handlers, one pool."""

    def __init__(self, handler: Handler | None, on_request: RequestHandler | None, pool: Pool) -> None:
        self._functions = [] if handler is None else [handler]
        if on_request is not None:
            listeners = {"request": [on_request]}
            self._functions.append(request_handler(lambda name: listeners.get(name, ())))
        self._pool = pool

    def _handlers(self) -> list[Handler]:
        return self._functions

    def _submit(self, session: ServerSession, job: Callable[[], None]) -> bool:
        return self._pool.submit(session, job)

    def _handler_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        return self._pool.job_waits(give_up)

    def _handlers_that_wait(self, session: ServerSession) -> int:
        return self._pool.waiting_jobs(session)

    def _keep_worker(self, session: ServerSession, wanted: bool) -> None:
        self._pool.keep_worker(session, wanted)

    def _memory_changed(self, session: ServerSession) -> None:
        pass  # it is alone

    def _session_idle(self, session: ServerSession) -> bool:
        return False

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        self._pool.forget(session)
        self._pool.shutdown(wait=False)
        _serving.discard(session)


def serve_socket(
    sock: socket.socket,
    handler: Handler | None = None,
    *,
    on_request: RequestHandler | None = None,
    context: ssl.SSLContext | None = None,
    allow_http1: bool = False,
    executor: Executor | None = None,
    max_workers: int = 256,
    settings: Settings | Mapping[str, Any] | None = None,
    listeners: Mapping[str, Listener] | None = None,
    trace: TraceFunction | None = None,
    **limits: Any,
) -> ServerSession:
    """Serve HTTP/2 on an accepted or paired socket, which belongs to the session from now on (Node's
    `performServerHandshake`).

    `handler(stream, headers)` and `on_request(request, response)` are called for every stream, on a pool;
    `trace(line)` is called for each frame. With a `context` the TLS handshake is made first, and with `allow_http1` and
    no context the client's first bytes are awaited: this blocks for it, up to `handshake_timeout`. Raises `TLSError`,
    `ALPNError`, `Timeout`, `ConnectionLost`; the socket is closed then.
    """
    check_trace(trace)
    for function in (handler, on_request):
        if function is not None:
            _check_handler(function)
    bounds, values = configuration(Limits.for_server(**limits), settings, server=True)
    try:
        http1 = http1_session_class(allow_http1)
        if context is None:
            beginning = begin_plain(sock, bounds, http1)
        else:
            set_alpn(context, protocols(http1))
            engine = TLSEngine(context, server_side=True)
            found = begin_secure(sock, engine, bounds, http1, require_known=True)
            assert found is not None, "ALPN chooses only what it was told to offer"
            beginning = found
    except BaseException:
        sock.close()
        raise
    host = _SocketHost(handler, on_request, make_pool(max_workers, bounds.max_waiting_handlers, executor))
    session = beginning.session_class(
        beginning.transport, host, settings=values, limits=bounds, listeners=listeners, trace=trace
    )
    _serving.add(session)
    try:
        session._begin(beginning.received)
    except BaseException:
        _serving.discard(session)
        raise
    return session
