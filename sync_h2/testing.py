"""For tests: both ends of a connection in one process, with no port. The server's end has threads of its own."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from .client.calls.adapters import PoolAdapter
from .client.opening.connect import connect
from .client.opening.destination import Destination
from .client.opening.opener import Opener
from .client.options.tracing import Trace
from .client.pool.pool import Pool
from .compat.wsgi import wsgi
from .connection.client_side.client_session import ClientSession
from .connection.server_side.handling_session import Handler
from .connection.server_side.server_session import ServerSession
from .connection.shared.listeners import Listener
from .deadline import Deadline
from .server.handlers.request_listeners import RequestHandler
from .server.serve_socket import serve_socket
from .transport.transport import Transport

_SERVER_ONLY = ("executor", "max_workers")


def pair(
    handler: Handler | None = None,
    *,
    on_request: RequestHandler | None = None,
    tls: bool = False,
    client_context: ssl.SSLContext | None = None,
    server_context: ssl.SSLContext | None = None,
    client: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    **options: Any,
) -> tuple[ClientSession, ServerSession]:
    """A client's and a server's session over a `socketpair`; close the client's, and the server's goes with it.

    `handler(stream, headers)` or `on_request(request, response)` serves. `options` are for both ends (`settings`,
    limits), `client` and `server` further ones for `connect` and for `serve_socket`. With `tls`, a certificate for
    `localhost` is made on the spot, which needs the package trustme, unless both contexts are given.
    """
    server_options = {"on_request": on_request, **options, **(server or {})}
    client_options = {name: value for name, value in options.items() if name not in _SERVER_ONLY} | dict(client or {})
    if tls and (client_context is None or server_context is None):
        client_context, server_context = _contexts()
    near, far = socket.socketpair()
    if not tls:
        server_session = serve_socket(far, handler, **server_options)
        return connect("http://localhost", sock=near, **client_options), server_session
    # The handshake needs both ends at once.
    accepted: list[ServerSession | BaseException] = []

    def accept() -> None:
        try:
            accepted.append(serve_socket(far, handler, context=server_context, **server_options))
        except BaseException as error:
            accepted.append(error)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        client_session = connect("https://localhost", sock=near, context=client_context, **client_options)
    finally:
        accepting.join()
    outcome = accepted[0]
    if isinstance(outcome, BaseException):
        client_session.destroy()
        raise outcome
    return client_session, outcome


class HandlerTransport(PoolAdapter):
    """`client.mount("https://api.example.org", HandlerTransport(handler))`: what the client asks of such URLs is
    answered by `handler(stream, headers)`, or `on_request(request, response)`, in this process and over HTTP/2.

    No name is looked up, and no socket is opened but a pair; `https://` goes without TLS. `server` has options for
    `serve_socket`, the other options are those of a `Client` about connections. Close the client, or this.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        on_request: RequestHandler | None = None,
        server: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if handler is None and on_request is None:
            raise TypeError("a transport needs somebody who answers: handler or on_request")
        serve = functools.partial(serve_socket, handler=handler, on_request=on_request, **(server or {}))
        super().__init__(pool=_InProcessPool(serve=serve, **options))
        self._owns_pool = True


class WSGITransport(HandlerTransport):
    """The same for a WSGI application; `server` has options for `serve_socket`."""

    def __init__(self, app: Any, *, server: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(wsgi(_by_scheme(app)), server=server, **options)


def _by_scheme(app: Any) -> Any:
    """An application that is told that it is asked by https where the URL says so, though there is no TLS."""

    def told(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["sync_h2.stream"].request_headers.get(":scheme") == "https":
            environ |= {"wsgi.url_scheme": "https", "HTTPS": "on", "SERVER_PORT": "443"}
        return app(environ, start_response)

    return told


class _InProcessOpener(Opener):
    def __init__(self, *, serve: Any, **options: Any) -> None:
        super().__init__(**options)
        self.resolves = self.needs_no_proxy = True  # each origin has a connection of its own
        self.speaks_http1 = False
        self._serve = serve

    def _dial(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        near, far = socket.socketpair()
        try:
            self._serve(far)
        except BaseException:
            near.close()
            raise
        return near

    def _begin(
        self,
        sock: socket.socket,
        destination: Destination,
        deadline: Deadline,
        listeners: Mapping[str, Listener],
        trace: Trace | None,
        only_http1: bool,
    ) -> ClientSession:
        return self._session(Transport(sock), destination.origin, listeners)


class _InProcessPool(Pool):
    def _make_opener(self, **options: Any) -> Opener:
        return _InProcessOpener(**options)


@functools.cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a client that trusts, and of a server that has, a certificate made for this process."""
    try:
        import trustme
    except ImportError as error:
        raise ImportError(
            "pair(tls=True) makes a certificate with trustme: pip install trustme, or give contexts"
        ) from error
    authority = trustme.CA()
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_context)
    return client_context, server_context
