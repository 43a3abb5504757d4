"""For tests: both ends of a connection in one process, with no port."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from .client.connect import connect
from .connection.client_session import ClientSession
from .connection.server_session import Handler, ServerSession
from .server.create import serve_socket
from .server.requests import RequestHandler

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
