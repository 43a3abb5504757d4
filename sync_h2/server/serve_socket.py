"""A server's session on a socket that the user brings, without a server.

Runs on the caller's thread, which waits for the handshake.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from ..arguments import check_options
from ..connection.inspection.trace import TraceFunction, check_trace
from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_session import ServerSession
from ..connection.session.configuration import Configuration
from ..connection.shared.listeners import Listener
from ..errors import HTTP2Error
from ..interpreter import Unpack
from ..protocol.limits import LimitOptions
from ..protocol.settings import Settings
from ..transport.contexts import set_alpn
from ..transport.tls import TLSEngine
from .accepting.handshake import begin_plain, begin_secure, http1_session_class, protocols
from .handlers.request_listeners import RequestHandler, check_handler, request_handler
from .pool.pool import Pool
from .session_host import SessionHost, make_pool

# A session of `serve_socket` does its work by itself: it lives until its connection ends, whether or not anybody
# holds it.
_serving: set[ServerSession] = set()


class _SocketHost(SessionHost):
    """What a session of `serve_socket` belongs to: its handlers, one pool."""

    def __init__(self, handler: Handler | None, on_request: RequestHandler | None, pool: Pool) -> None:
        self._functions = [] if handler is None else [handler]
        if on_request is not None:
            listeners = {"request": [on_request]}
            self._functions.append(request_handler(lambda name: listeners.get(name, ())))
        self._pool = pool

    def _handlers(self) -> list[Handler]:
        return self._functions

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        super()._session_ended(session, error)
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
    **limits: Unpack[LimitOptions],
) -> ServerSession:
    """Serve HTTP/2 on an accepted or paired socket, which belongs to the session from now on (Node's
    `performServerHandshake`).

    `handler(stream, headers)` and `on_request(request, response)` are called for every stream, on a pool;
    `trace(line)` is called for each frame. With a `context` the TLS handshake is made first, and with `allow_http1` and
    no context the client's first bytes are awaited: this blocks for it, up to `handshake_timeout`. Raises `TLSError`,
    `ALPNError`, `Timeout`, `ConnectionLost`; the socket is closed then.
    """
    check_options(serve_socket, limits, LimitOptions)
    check_trace(trace)
    for function in (handler, on_request):
        if function is not None:
            check_handler(function)
    configuration = Configuration.for_server(settings, trace=trace, listeners=listeners, **limits)
    bounds = configuration.limits
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
    session = beginning.session_class(beginning.transport, host, configuration)
    _serving.add(session)
    try:
        session._begin(beginning.received)
    except BaseException:
        _serving.discard(session)
        raise
    return session
