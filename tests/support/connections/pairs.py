"""Connections of each kind, plain and TLS, for tests that hold over both: two sessions, or one and a peer that the test
plays.

The raw peer's end of TLS is an `ssl.SSLSocket`, which only the test's own thread uses.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from sync_h2 import ClientSession, ClientStream, Headers, ServerSession, ServerStream, connect, serve_socket
from sync_h2.testing import pair
from sync_h2.transport.contexts import client_context, server_context

from ..peers.raw_peer import PATIENCE, RawPeer
from ..peers.sockets import tcp_pair
from ..tls.certificates import Certificate


class Ends:
    """Both sessions of a connection. The server's handler hands its streams over to the test. They are held until the
    test is over, so that none is forgotten.
    """

    def __init__(self, connections: Connections, **options: Any) -> None:
        self._held: list[tuple[ClientStream, ServerStream]] = []
        self._accepted: queue.SimpleQueue[ServerStream] = queue.SimpleQueue()
        self.client, self.server = connections.pair(self._take_over, **options)

    def _take_over(self, stream: ServerStream, headers: Headers) -> None:
        stream.detach()
        self._accepted.put(stream)

    def accept(self) -> ServerStream:
        """The server's end of the next stream."""
        return self._accepted.get(timeout=PATIENCE)

    def exchange(self, headers: Mapping[str, Any] | None = None, **options: Any) -> tuple[ClientStream, ServerStream]:
        """Both ends of a new stream; a POST that has not ended, unless told otherwise."""
        stream = self.client.request({":method": "POST"} if headers is None else headers, **options)
        self._held.append((stream, self.accept()))
        return self._held[-1]


class Connections:
    """Opens connections of one kind; `close` ends them all."""

    def __init__(self, contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None) -> None:
        self._contexts = contexts  # a client's and a server's; None: no TLS
        self._closing: list[Callable[[], None]] = []
        self._ends: list[Ends] = []

    @property
    def tls(self) -> bool:
        return self._contexts is not None

    def pair(self, handler: Any = None, **options: Any) -> tuple[ClientSession, ServerSession]:
        """Both sessions over a socketpair; `options` are `sync_h2.testing.pair`'s."""
        if self._contexts is not None:
            options.update(tls=True, client_context=self._contexts[0], server_context=self._contexts[1])
        client, server = pair(handler, **options)
        self._closing += [client.destroy, server.destroy]
        return client, server

    def ends(self, **options: Any) -> Ends:
        self._ends.append(Ends(self, **options))
        return self._ends[-1]

    def raw_server(
        self, *, peer_settings: Mapping[int, int] | None = None, receive_buffer: int | None = None, **options: Any
    ) -> tuple[ClientSession, RawPeer]:
        """A client's session over TCP, and the server that the test plays, after its handshake; `options` are
        `connect`'s. With `receive_buffer`, the kernel holds little more than so many bytes for the peer.
        """
        near, far = tcp_pair(receive_buffer)

        def open_session() -> ClientSession:
            scheme, context = ("https", self._contexts[0]) if self._contexts else ("http", None)
            return connect(f"{scheme}://localhost", sock=near, context=context, **options)

        session, peer_socket = self._open(open_session, far, server_side=True)
        return session, self._peer(session, peer_socket, peer_settings, client=False)

    def raw_client(
        self,
        handler: Any = None,
        *,
        peer_settings: Mapping[int, int] | None = None,
        receive_buffer: int | None = None,
        **options: Any,
    ) -> tuple[ServerSession, RawPeer]:
        """A server's session over TCP, and the client that the test plays; `options` are `serve_socket`'s."""
        near, far = tcp_pair(receive_buffer)

        def open_session() -> ServerSession:
            context = self._contexts[1] if self._contexts else None
            return serve_socket(near, handler, context=context, **options)

        session, peer_socket = self._open(open_session, far, server_side=False)
        return session, self._peer(session, peer_socket, peer_settings, client=True)

    def close(self) -> None:
        for close in self._closing:
            close()
        self._ends.clear()

    def _open(
        self, open_session: Callable[[], Any], sock: socket.socket, *, server_side: bool
    ) -> tuple[Any, socket.socket]:
        if self._contexts is None:
            return open_session(), sock
        # The handshake needs both ends at once.
        sessions: list[Any] = []
        opening = threading.Thread(target=lambda: sessions.append(open_session()))
        opening.start()
        name = None if server_side else "localhost"
        wrapped = self._contexts[server_side].wrap_socket(sock, server_side=server_side, server_hostname=name)
        opening.join()
        return sessions[0], wrapped

    def _peer(
        self, session: ClientSession | ServerSession, sock: socket.socket, settings: Any, *, client: bool
    ) -> RawPeer:
        peer = RawPeer(sock, client=client)
        self._closing += [session.destroy, peer.close]
        peer.handshake(settings)
        return peer


@pytest.fixture(scope="session")
def tls_contexts(certificate: Certificate) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's context that accept each other."""
    return (
        client_context(cafile=certificate.authority_pem),
        server_context(certfile=certificate.certificate_pem, keyfile=certificate.key_pem),
    )


@pytest.fixture(params=["plain", "tls"])
def connections(
    request: pytest.FixtureRequest, tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> Iterator[Connections]:
    """Connections of each kind in turn; they are gone after the test."""
    opened = Connections(tls_contexts if request.param == "tls" else None)
    yield opened
    opened.close()


@pytest.fixture
def plain_connections() -> Iterator[Connections]:
    opened = Connections(None)
    yield opened
    opened.close()


@pytest.fixture
def tls_connections(tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Connections]:
    opened = Connections(tls_contexts)
    yield opened
    opened.close()
