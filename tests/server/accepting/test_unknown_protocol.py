"""`unknown_protocol`: TLS clients that did not choose HTTP/2 and what a listener can do for them."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import sync_h2
from support.threads.background import PATIENCE, background, eventually
from sync_h2.transport.blocking_tls import BlockingTLSConnection

__all__ = ["background"]


@pytest.fixture
def serve(certificate: Any) -> Iterator[Callable[..., Any]]:
    """Starts a secure server with these listeners; it is closed after the test."""
    started: list[Any] = []

    def make(listeners: Any, **options: Any) -> Any:
        server = sync_h2.create_secure_server(
            lambda stream, headers: stream.end(b"h2"),
            certfile=certificate.certfile,
            keyfile=certificate.keyfile,
            listeners=listeners,
            **options,
        )
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.close(timeout=1)


@pytest.fixture
def visit(certificate: Any) -> Iterator[Callable[..., ssl.SSLSocket]]:
    """Opens a TLS connection that offers these protocols."""
    opened: list[ssl.SSLSocket] = []

    def make(server: Any, *protocols: str, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(certificate.cafile))
        context.minimum_version = context.maximum_version = version
        if protocols:
            context.set_alpn_protocols(list(protocols))
        sock = socket.create_connection(server.address, PATIENCE)
        opened.append(context.wrap_socket(sock, server_hostname="localhost"))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


Given = queue.SimpleQueue[BlockingTLSConnection]


@pytest.fixture
def given() -> Given:
    return queue.SimpleQueue()


def received(sock: ssl.SSLSocket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65_536), b""))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("http/1.1", "spdy/3")])
def test_a_listener_answers(serve: Any, visit: Any, certificate: Any, protocols: Any, version: Any) -> None:
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listener(transport: Any) -> None:
        with transport:
            seen.put((transport.selected_alpn_protocol(), transport.getpeername(), transport.recv(1000)))
            transport.sendall(b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n")

    server = serve({"unknown_protocol": listener, "error": errors.put})
    client = visit(server, *protocols, version=version)
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert received(client) == b"HTTP/1.1 505 HTTP Version Not Supported\r\n\r\n"
    assert client.selected_alpn_protocol() is None
    assert server.sessions == []
    assert seen.get(timeout=PATIENCE) == (None, client.getsockname(), b"GET / HTTP/1.1\r\n\r\n")
    with sync_h2.connect(f"https://localhost:{server.address[1]}", cafile=certificate.cafile) as session:
        assert session.request().read(timeout=PATIENCE) == b"h2"
    assert errors.empty()


def test_an_answer_to_what_was_not_read_arrives(serve: Any, visit: Any, given: Given) -> None:
    client = visit(serve({"unknown_protocol": given.put}))
    with given.get(timeout=PATIENCE) as transport:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        eventually(lambda: select.select([transport._sock], [], [], 0)[0])
        transport.sendall(b"HTTP/1.1 426 Upgrade Required\r\n\r\n")
    assert received(client) == b"HTTP/1.1 426 Upgrade Required\r\n\r\n"
    # And no reset, which can take from a client what it has not read yet.
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_a_client_that_offers_both_gets_h2(serve: Any, visit: Any, given: Given) -> None:
    server = serve({"unknown_protocol": given.put})
    assert visit(server, "http/1.1", "h2").selected_alpn_protocol() == "h2"
    eventually(lambda: server.sessions)
    assert given.empty()


def test_without_a_listener_the_connection_is_closed(serve: Any, visit: Any) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve({"error": errors.put})
    assert received(visit(server)) == b""
    assert isinstance(errors.get(timeout=PATIENCE), sync_h2.ALPNError)


def test_a_listener_that_was_taken_off(serve: Any, visit: Any, given: Given) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve({"unknown_protocol": given.put, "error": errors.put})
    server.off("unknown_protocol", given.put)
    visit(server)
    assert isinstance(errors.get(timeout=PATIENCE), sync_h2.ALPNError)


def test_a_listener_that_raises_closes_what_it_held_in_a_block(serve: Any, visit: Any, caplog: Any) -> None:
    def listener(transport: Any) -> None:
        with transport:
            raise RuntimeError("a mistake")

    assert received(visit(serve({"unknown_protocol": listener}))) == b""
    eventually(lambda: "a mistake" in caplog.text)


def test_one_thread_sends_while_another_receives(serve: Any, visit: Any, given: Given) -> None:
    body = bytes(range(256)) * 10_000
    client = visit(serve({"unknown_protocol": given.put}))
    with given.get(timeout=PATIENCE) as transport, ThreadPoolExecutor(2) as threads:

        def receive() -> bytes:
            return b"".join(iter(lambda: transport.recv(70_000, timeout=PATIENCE), b""))

        sending, receiving = threads.submit(transport.sendall, body, PATIENCE), threads.submit(receive)
        answer = b""
        for start in range(0, len(body), 10_000):
            client.sendall(body[start : start + 10_000])
            answer += client.recv(10_000)
        while len(answer) < len(body):
            answer += client.recv(65_536)
        sending.result(PATIENCE)
        client.shutdown(socket.SHUT_WR)
        assert receiving.result(PATIENCE) == answer == body


def test_an_echo_of_large_data(serve: Any, visit: Any) -> None:
    body = bytes(range(256)) * 10_000

    def listener(transport: Any) -> None:
        with transport:
            for data in iter(lambda: transport.recv(100_000, timeout=PATIENCE), b""):
                transport.sendall(data, timeout=PATIENCE)

    client = visit(serve({"unknown_protocol": listener}))
    answer = b""
    for start in range(0, len(body), 10_000):
        client.sendall(body[start : start + 10_000])
        piece = b""
        while len(piece) < len(body[start : start + 10_000]):
            piece += client.recv(65_536)
        answer += piece
    assert answer == body


def test_timeouts(serve: Any, visit: Any, given: Given) -> None:
    client = visit(serve({"unknown_protocol": given.put}))
    with given.get(timeout=PATIENCE) as transport:
        with pytest.raises(sync_h2.Timeout):
            transport.recv(1, timeout=0.02)
        client.sendall(b"late")
        assert transport.recv(2, timeout=PATIENCE) == b"la"
        assert transport.recv(100, timeout=PATIENCE) == b"te"
        body = bytearray(50_000_000)
        with pytest.raises(sync_h2.Timeout) as raised:
            transport.sendall(body, timeout=0.02)
        body.clear()  # it is the caller's, although the error's traceback has seen it
        assert raised.value.__traceback__ is not None
        with pytest.raises(sync_h2.InvalidState, match="half-way"):
            transport.sendall(b"x")


def test_misuse(serve: Any, visit: Any, given: Given) -> None:
    client = visit(serve({"unknown_protocol": given.put}))
    with given.get(timeout=PATIENCE) as transport:
        with pytest.raises(sync_h2.InvalidArgument, match="size"):
            transport.recv(-1)
        with pytest.raises(TypeError):
            transport.sendall("text")
        assert transport.recv(0) == b""
        transport.sendall(b"")
        transport.sendall(memoryview(b"still here"))
        assert client.recv(100) == b"still here"
    transport.close()
    for call in (lambda: transport.recv(1), lambda: transport.sendall(b"x")):
        with pytest.raises(sync_h2.InvalidState, match="closed"):
            call()
    assert received(client) == b""


def test_a_client_that_is_gone(serve: Any, visit: Any, given: Given) -> None:
    client = visit(serve({"unknown_protocol": given.put}))
    with given.get(timeout=PATIENCE) as transport:
        client.close()
        with pytest.raises(sync_h2.ConnectionLost):
            while True:
                transport.sendall(b"x" * 100_000, timeout=PATIENCE)


def test_close_wakes_those_who_wait(serve: Any, visit: Any, given: Given, background: Any) -> None:
    visit(serve({"unknown_protocol": given.put}))
    transport = given.get(timeout=PATIENCE)
    receiving = background(transport.recv, 1)
    sending = background(transport.sendall, b"x" * 50_000_000)
    eventually(lambda: transport._receiving.locked() and transport._sending.locked())
    transport.close()
    for waiting in (receiving, sending):
        with contextlib.suppress(sync_h2.InvalidState, sync_h2.ConnectionLost):
            assert waiting.result(PATIENCE) == b""


def test_the_server_closes_what_is_left(serve: Any, visit: Any, given: Given, background: Any) -> None:
    server = serve({"unknown_protocol": given.put})
    client = visit(server)
    transport = given.get(timeout=PATIENCE)
    assert not transport.closed
    server.shutdown()
    transport.sendall(b"goes on")
    assert client.recv(100) == b"goes on"
    server.close(timeout=1)
    assert transport.closed
    assert received(client) == b""


def test_one_that_is_dropped_is_closed(serve: Any, visit: Any) -> None:
    with pytest.warns(ResourceWarning):
        assert received(visit(serve({"unknown_protocol": lambda transport: None}))) == b""


def test_they_count_as_sessions(serve: Any, visit: Any, given: Given) -> None:
    server = serve({"unknown_protocol": given.put}, max_sessions=1)
    visit(server)
    with given.get(timeout=PATIENCE), pytest.raises(OSError, match=r"\w"):
        visit(server)
    visit(server)
    given.get(timeout=PATIENCE).close()
