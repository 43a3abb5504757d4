"""Making servers: the functions users call. Each runs on the caller's thread and returns with the socket bound."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

from ..arguments import check_host, check_options
from ..connection.inspection.trace import TraceFunction
from ..connection.server_side.handling_session import Handler
from ..connection.session.configuration import Configuration
from ..connection.session.origins import HasOrigin, serialized_origin
from ..connection.shared.listeners import Listener
from ..errors import InvalidArgument
from ..interpreter import Unpack
from ..protocol.limits import LimitOptions
from ..protocol.settings import Settings
from ..transport.contexts import PEM, server_context, set_alpn
from ..transport.sockets import close_listener, listen
from .accepting.handshake import http1_session_class, protocols
from .handlers.request_listeners import RequestHandler, check_handler
from .secure_server import SecureThreadingServer
from .server import ThreadingServer
from .session_host import make_pool

Server = TypeVar("Server", bound=ThreadingServer)


class ServerOptions(LimitOptions, total=False):
    """The keyword arguments that `create_server` and `create_secure_server` have in common, for type checkers."""

    sock: socket.socket | None
    settings: Settings | Mapping[str, Any] | None
    on_request: RequestHandler | None
    allow_http1: bool
    max_workers: int
    executor: Executor | None
    reuse_port: bool
    listeners: Mapping[str, Listener] | None
    trace: TraceFunction | None


class SecureServerOptions(ServerOptions, total=False):
    """Those of `create_secure_server`, but the certificate."""

    cafile: PEM | None
    context: ssl.SSLContext | None
    origins: Iterable[str | HasOrigin]


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
    **limits: Unpack[LimitOptions],
) -> ThreadingServer:
    """A server for cleartext HTTP/2 with prior knowledge, bound and listening; it accepts from `start()` on.

    `handler(stream, headers)` and `on_request(request, response)`, whichever is given, are called for every stream, on
    a pool of up to `max_workers` threads (or on `executor`), many at once. `host` may be `unix:/path`; port 0 picks a
    free one (`server.address` tells). `sock` is a listening socket to use instead: it is closed in the end, and the
    path of a Unix socket stays. `settings` is sent to clients; `trace(line)` is called for each frame of each session;
    `limits` are those of docs/reference/options.md. With `allow_http1` clients that speak HTTP/1.1 are served too, by
    the same handlers; that needs the package h11.
    Raises `OSError` when it can't listen, `InvalidArgument` for bad options, `ImportError` when h11 is missing.
    """
    arguments = dict(locals())
    check_host("create_server(handler", host)
    for name in ("certfile", "keyfile", "cafile", "context", "origins"):
        if name in limits:
            raise TypeError(f"create_server is without TLS: {name} is an option of create_secure_server")
    check_options(create_server, limits, LimitOptions)
    return _create(ThreadingServer, **arguments)


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
    **limits: Unpack[LimitOptions],
) -> SecureThreadingServer:
    """As `create_server`, over TLS with ALPN `h2`; with `allow_http1` also `http/1.1`, or without ALPN.

    `certfile` and `keyfile` are paths or PEM bytes; with `cafile` clients must show a certificate from one of its
    authorities. A `context` replaces all three. `origins` are told to every client as `session.origin` does. Raises
    `TLSError` when the certificate can't be used, `InvalidArgument` for what is no origin.
    """
    arguments = dict(locals())
    check_host("create_secure_server(handler", host)
    check_options(create_secure_server, limits, LimitOptions)
    if isinstance(origins, str):
        raise TypeError("origins must be a list of origins, not one str")
    serialized = [serialized_origin(origin) for origin in origins]
    alpn = protocols(http1_session_class(allow_http1))
    new_context = None
    if context is not None:
        if certfile is not None or cafile is not None:
            raise InvalidArgument("a context replaces certfile, keyfile and cafile")
        set_alpn(context, alpn)
    elif certfile is None:
        raise InvalidArgument("a secure server needs certfile, or a context")
    else:
        new_context = functools.partial(server_context, cafile=cafile, alpn=alpn)
        context = new_context(certfile=certfile, keyfile=keyfile)
    for name in ("certfile", "keyfile", "cafile"):
        del arguments[name]
    arguments.update(context=context, new_context=new_context, origins=serialized)
    return _create(SecureThreadingServer, **arguments)


def _create(
    server_class: type[Server],
    *,
    handler: Handler | None,
    host: str,
    port: int,
    sock: socket.socket | None,
    settings: Settings | Mapping[str, Any] | None,
    on_request: RequestHandler | None,
    allow_http1: bool,
    max_workers: int,
    executor: Executor | None,
    reuse_port: bool,
    listeners: Mapping[str, Listener] | None,
    trace: TraceFunction | None,
    limits: Mapping[str, Any],
    **of_its_class: Any,
) -> Server:
    """All that the two have in common: the arguments of `create_server`, and what only a class knows."""
    configuration = Configuration.for_server(settings, trace=trace, **limits)
    functions = dict(listeners or {})
    for argument, event, function in (("handler", "stream", handler), ("on_request", "request", on_request)):
        if function is not None:
            check_handler(function)
            if event in functions:
                raise InvalidArgument(f"{argument} is a {event!r} listener: give one or the other")
            functions[event] = function
    pool = make_pool(max_workers, configuration.limits.max_waiting_handlers, executor)
    http1 = http1_session_class(allow_http1)
    with _listening(sock, host, port, reuse_port) as listener:
        return server_class(
            listener,
            pool=pool,
            configuration=configuration,
            http1=http1,
            listeners=functions,
            adopted=sock is not None,
            **of_its_class,
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
