"""Transports for a `Client` whose server is in this process. The server's sessions have threads of their own."""

from __future__ import annotations

import functools
import socket
from collections.abc import Mapping
from typing import Any

from ..arguments import check_options
from ..client.calls.adapters import PoolAdapter
from ..client.opening.destination import Destination
from ..client.opening.opener import Opener
from ..client.options.tracing import Trace
from ..client.pool.options import TransportOptions
from ..client.pool.pool import Pool
from ..compat.wsgi import wsgi
from ..compat.wsgi_response import Application
from ..connection.client_side.client_session import ClientSession
from ..connection.server_side.handling_session import Handler
from ..connection.shared.listeners import Listener
from ..deadline import Deadline
from ..interpreter import Unpack
from ..server.handlers.request_listeners import RequestHandler
from ..server.serve_socket import serve_socket
from ..transport.transport import Transport


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
        **options: Unpack[TransportOptions],
    ) -> None:
        check_options(HandlerTransport.__init__, options, TransportOptions)
        if handler is None and on_request is None:
            raise TypeError("a transport needs somebody who answers: handler or on_request")
        serve = functools.partial(serve_socket, handler=handler, on_request=on_request, **(server or {}))
        super().__init__(pool=_InProcessPool(serve=serve, **options))
        self._owns_pool = True


class WSGITransport(HandlerTransport):
    """The same for a WSGI application; `server` has options for `serve_socket`."""

    def __init__(
        self, app: Application, *, server: Mapping[str, Any] | None = None, **options: Unpack[TransportOptions]
    ) -> None:
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
