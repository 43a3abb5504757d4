"""The threading server over TLS: what of a server that changes. Threads as in server.py."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import ALPNError
from ..interpreter import Lock
from ..transport.blocking_tls import BlockingTLSConnection
from ..transport.contexts import PEM, change_certificate
from ..transport.tls import TLSEngine
from .accepting.handshake import Beginning, begin_secure
from .server import ThreadingServer


class NewContext(Protocol):
    """Makes a context that differs from the server's in nothing but the certificate. Raises `TLSError`."""

    def __call__(self, *, certfile: PEM, keyfile: PEM | None) -> ssl.SSLContext: ...


class SecureThreadingServer(ThreadingServer):
    """A server for HTTP/2 over TLS; made by `create_secure_server`."""

    _scheme = "https"

    def __init__(
        self,
        listening_socket: socket.socket,
        *,
        context: ssl.SSLContext,
        new_context: NewContext | None,
        origins: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(listening_socket, **options)
        self._context = context
        self._new_context = new_context  # None: the context is the user's
        self._reloading = Lock()
        self._origins = origins

    def reload_certificate(self, certfile: PEM, keyfile: PEM | None = None) -> None:
        """Use another certificate for handshakes that begin from now on; those under way, and sessions, go on.

        `certfile` and `keyfile` are paths or PEM bytes, read before this returns, and with them the `cafile` of
        `create_secure_server`. Any thread may call it at any time. Raises `TLSError` when they can't be used; all is as
        before then. Of a `context` that was given to the server, the certificate for that type of key is replaced, and
        who uses the context for anything but sync_h2 must not do so meanwhile.
        """
        with self._reloading:  # of two calls the later one counts
            if self._new_context is None:
                change_certificate(self._context, certfile, keyfile)
            else:
                self._context = self._new_context(certfile=certfile, keyfile=keyfile)

    def _answer_to(self, last_words: bytes) -> bytes | None:
        return b""  # a handshake takes answers of the client's

    def _refuse(self, sock: socket.socket, limit: str) -> None:
        # To say why, TLS would have to be set up, which takes a thread and more time than the connection is worth.
        sock.close()

    def _read(self, reader: Callable[[], None]) -> None:
        # Much of what a handshake took from the system's allocator stays with its thread: about 18 KB.
        try:
            threading.Thread(target=reader, name="sync_h2-reader", daemon=True).start()
        except (RuntimeError, MemoryError):  # no more threads can be started
            reader()

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
                self._connections.was_given_away_locked(sock, connection, address)
        if not given_away:  # the listener was taken off meanwhile
            connection.close()
            raise ALPNError("the client has not chosen HTTP/2, and nobody listens for unknown_protocol any more")
        return None
