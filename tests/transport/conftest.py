"""Connections for the tests of sockets and TLS: pairs whose both ends are ours, over real sockets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.tls.certificates import Certificate
from sync_h2.deadline import Deadline
from sync_h2.transport.contexts import client_context, server_context
from sync_h2.transport.tls import TLSEngine
from sync_h2.transport.transport import TLSTransport, Transport

TIMEOUT = 20.0

Pair = tuple[Transport, Transport]


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Runs what the other end of a connection does."""
    with ThreadPoolExecutor(thread_name_prefix="background") as executor:
        yield executor


@pytest.fixture
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as left:
        right, _ = listener.accept()
        with right:
            yield left, right


@pytest.fixture
def tls_contexts(certificate: Certificate) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's context that accept each other."""
    return (
        client_context(cafile=certificate.authority_pem),
        server_context(certfile=certificate.certificate_pem, keyfile=certificate.key_pem),
    )


@pytest.fixture
def shake_hands(background: ThreadPoolExecutor) -> Callable[..., tuple[TLSEngine, TLSEngine]]:
    """Both ends of a handshake at once; the first failure is raised, the client's before the server's."""

    def shake_hands(
        sockets: tuple[socket.socket, socket.socket],
        contexts: tuple[ssl.SSLContext, ssl.SSLContext],
        server_hostname: str = "localhost",
        require_h2: bool = True,
    ) -> tuple[TLSEngine, TLSEngine]:
        client = TLSEngine(contexts[0], server_side=False, server_hostname=server_hostname)
        server = TLSEngine(contexts[1], server_side=True)
        outcome = background.submit(server.handshake, sockets[1], Deadline(TIMEOUT), require_h2=require_h2)
        client.handshake(sockets[0], Deadline(TIMEOUT), require_h2=require_h2)
        outcome.result(TIMEOUT)
        return client, server

    return shake_hands


@pytest.fixture(params=["plain TCP", "plain Unix", "TLS 1.2", "TLS 1.3"])
def transports(
    request: pytest.FixtureRequest,
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    shake_hands: Callable[..., tuple[TLSEngine, TLSEngine]],
) -> Iterator[Pair]:
    """Both ends of a connection, of each kind in turn; a client's is the first."""
    left, right = request.getfixturevalue("socket_pair" if request.param == "plain Unix" else "tcp_pair")
    if request.param.startswith("TLS"):
        if request.param == "TLS 1.2":
            tls_contexts[0].maximum_version = ssl.TLSVersion.TLSv1_2
        client, server = shake_hands((left, right), tls_contexts)
        assert client.version == server.version == request.param.replace("TLS ", "TLSv")
        pair: Pair = TLSTransport(left, client), TLSTransport(right, server)
    else:
        pair = Transport(left), Transport(right)
    yield pair
    for transport in pair:
        transport.close()
