"""Both ends of a connection in one process, with no port. The server's end has threads of its own, and with TLS the
handshake's other end runs on one for as long as that takes.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from ..arguments import check_options
from ..client.opening.connect import connect
from ..connection.client_side.client_session import ClientSession
from ..connection.inspection.trace import TraceFunction
from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_session import ServerSession
from ..connection.shared.listeners import Listener
from ..interpreter import Unpack
from ..protocol.limits import LimitOptions
from ..protocol.settings import Settings
from ..server.handlers.request_listeners import RequestHandler
from ..server.serve_socket import serve_socket
from .certificates import local_authority

_SERVER_ONLY = ("executor", "max_workers")


class PairOptions(LimitOptions, total=False):
    """What both ends of a pair take, and what the server's has besides, for type checkers."""

    settings: Settings | Mapping[str, Any] | None
    listeners: Mapping[str, Listener] | None
    trace: TraceFunction | None
    executor: Executor | None
    max_workers: int


def pair(
    handler: Handler | None = None,
    *,
    on_request: RequestHandler | None = None,
    tls: bool = False,
    client_context: ssl.SSLContext | None = None,
    server_context: ssl.SSLContext | None = None,
    client: Mapping[str, Any] | None = None,
    server: Mapping[str, Any] | None = None,
    **options: Unpack[PairOptions],
) -> tuple[ClientSession, ServerSession]:
    """A client's and a server's session over a `socketpair`; close the client's, and the server's goes with it.

    `handler(stream, headers)` or `on_request(request, response)` serves. `options` are for both ends (`settings`,
    limits), `client` and `server` further ones for `connect` and for `serve_socket`. With `tls`, a certificate for
    `localhost` is made on the spot, which needs the package trustme, unless both contexts are given.
    """
    check_options(pair, options, PairOptions)
    server_options: dict[str, Any] = {"on_request": on_request, **options, **(server or {})}
    both: dict[str, Any] = {name: value for name, value in options.items() if name not in _SERVER_ONLY}
    client_options = both | dict(client or {})
    if tls and (client_context is None or server_context is None):
        authority = local_authority("pair(tls=True)", "contexts")
        client_context, server_context = authority.client_context(), authority.server_context()
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
