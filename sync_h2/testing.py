"""For tests: both ends of a connection in one process, with no port."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

from .client.connect import connect
from .connection.client_session import ClientSession
from .connection.server_session import Handler, ServerSession
from .server.create import serve_socket


def pair(
    handler: Handler | None = None,
    *,
    tls: bool = False,
    client_context: ssl.SSLContext | None = None,
    server_context: ssl.SSLContext | None = None,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
) -> tuple[ClientSession, ServerSession]:
    """A client's and a server's session over a `socketpair`; close the client's, and the server's goes with it.

    `handler(stream, headers)` serves. `client` and `server` are further options for `connect` and `serve_socket`.
    With `tls`, both contexts are needed: the server's with a certificate for `localhost`, the client's trusting it.
    """
    near, far = socket.socketpair()
    if not tls:
        server_session = serve_socket(far, handler, **(server or {}))
        return connect("http://localhost", sock=near, **(client or {})), server_session
    if client_context is None or server_context is None:
        raise ValueError("tls=True needs client_context and server_context")
    # The handshake needs both ends at once.
    accepted: list[ServerSession | BaseException] = []

    def accept() -> None:
        try:
            accepted.append(serve_socket(far, handler, context=server_context, **(server or {})))
        except BaseException as error:
            accepted.append(error)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        client_session = connect("https://localhost", sock=near, context=client_context, **(client or {}))
    finally:
        accepting.join()
    outcome = accepted[0]
    if isinstance(outcome, BaseException):
        client_session.destroy()
        raise outcome
    return client_session, outcome
