"""`session.socket`: looks go through, hands stay off."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any

import pytest

import sync_h2
from support.connections.pairs import Connections, connections, plain_connections, tls_connections, tls_contexts
from support.threads.background import PATIENCE

__all__ = ["connections", "plain_connections", "tls_connections", "tls_contexts"]

HARMLESS = {
    *("family", "fileno", "get_inheritable", "getblocking", "getpeername", "getsockname", "getsockopt", "gettimeout"),
    *("proto", "set_inheritable", "setsockopt", "settimeout", "timeout", "type"),
    *("cipher", "compression", "context", "get_channel_binding", "get_unverified_chain", "get_verified_chain"),
    *("getpeercert", "pending", "selected_alpn_protocol", "selected_npn_protocol", "server_hostname", "server_side"),
    *("session", "session_reused", "shared_ciphers", "version", "group", "client_sigalg", "server_sigalg"),
}
NAMES = {name for kind in (socket.socket, ssl.SSLSocket, ssl.SSLObject) for name in dir(kind) if name[0] != "_"}
REFUSED = sorted(NAMES - HARMLESS)


@pytest.fixture(params=["client", "server"])
def session(request: pytest.FixtureRequest, connections: Connections) -> Any:
    client, server = connections.pair(lambda stream, headers: stream.end(b"x"))
    return client if request.param == "client" else server


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_disturb_the_session_is_refused(session: Any, name: str) -> None:
    call = getattr(session.socket, name)
    for arguments in ((), (1,), (b"x", 1)):
        with pytest.raises(sync_h2.SocketManipulationError, match=rf"session\.socket\.{name}\(\)"):
            call(*arguments)
    session.ping(timeout=PATIENCE)


def test_every_method_that_reads_writes_or_closes_is_among_them() -> None:
    assert {"recv", "recvmsg_into", "read", "send", "sendfile", "write", "makefile", "close", "shutdown"} < set(REFUSED)
    assert {"detach", "setblocking", "unwrap", "do_handshake", "dup", "accept"} < set(REFUSED)


def test_nothing_can_be_set_or_used_as_a_block(session: Any) -> None:
    with pytest.raises(sync_h2.SocketManipulationError, match="timeout"):
        session.socket.timeout = 1
    with pytest.raises(sync_h2.SocketManipulationError, match="context"):
        session.socket.context = None
    with pytest.raises(sync_h2.SocketManipulationError, match="family"):
        del session.socket.family
    with pytest.raises(sync_h2.SocketManipulationError), session.socket:
        pass
    for name in ("_sock", "_closed", "_real_close", "_sslobj", "nothing"):
        with pytest.raises(AttributeError):
            getattr(session.socket, name)
    session.ping(timeout=PATIENCE)


def test_what_can_be_looked_at_in_a_socket(plain_connections: Connections) -> None:
    session, peer = plain_connections.raw_server()
    proxy = session.socket
    assert proxy.getpeername() == peer.sock.getsockname()
    assert proxy.getsockname() == peer.sock.getpeername()
    assert (proxy.family, proxy.type) == (peer.sock.family, peer.sock.type)
    assert proxy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    proxy.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert proxy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert proxy.fileno() == session._transport.sock.fileno()
    assert proxy.getblocking() is True
    with pytest.raises(AttributeError):
        proxy.cipher()
    assert "ClientSession" in repr(proxy)


def test_what_can_be_looked_at_in_tls(tls_connections: Connections) -> None:
    client, server = tls_connections.pair()
    for session in (client, server):
        assert session.socket.version() == "TLSv1.3"
        assert session.socket.selected_alpn_protocol() == "h2"
        assert session.socket.cipher()[2] in (128, 256)
        assert session.socket.family == socket.AF_UNIX
    assert client.socket.server_hostname == "localhost"
    assert (client.socket.server_side, server.socket.server_side) == (False, True)
    assert client.socket.getpeercert() == client.peer_certificate
    assert isinstance(client.socket.getpeercert(binary_form=True), bytes)
    assert server.socket.getpeercert() is None


def test_a_mistake_in_a_call_leaves_the_session_as_it_was(session: Any) -> None:
    with pytest.raises(TypeError):
        session.socket.getsockopt("x")
    with pytest.raises(OSError, match=r"\w"):
        session.socket.setsockopt(-1, -1, 1)
    session.ping(timeout=PATIENCE)


def test_the_timeout_is_the_sessions(session: Any) -> None:
    expected = session.socket.gettimeout()
    assert expected == (None if session.type == "client" else 120.0)
    fired = threading.Event()
    session.on("timeout", fired.set)
    session.socket.settimeout(0.05)
    assert session.socket.gettimeout() == session.socket.timeout == 0.05
    assert fired.wait(PATIENCE)
    session.ping(timeout=PATIENCE)
    session.set_timeout(5)
    assert session.socket.gettimeout() == 5
    session.socket.settimeout(None)
    assert session.socket.gettimeout() is None
    with pytest.raises(sync_h2.InvalidArgument):
        session.socket.settimeout(-1)


def test_after_the_end(session: Any) -> None:
    proxy = session.socket
    getpeername = proxy.getpeername
    session.destroy()
    session._wait_gone(PATIENCE)
    for call in (getpeername, lambda: proxy.fileno(), lambda: proxy.family, lambda: session.socket.getsockname()):
        with pytest.raises(sync_h2.SessionClosed, match="socket is closed"):
            call()
    with pytest.raises(sync_h2.SocketManipulationError):
        proxy.recv(1)
    assert "gone" in repr(proxy)


def test_two_threads_look_while_data_flows(connections: Connections) -> None:
    body = b"x" * 3_000_000
    client, server = connections.pair(lambda stream, headers: stream.end(stream.read()))
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for session in (client, server):
                session.socket.getsockname()
                session.socket.gettimeout()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        stream = client.request({":method": "POST"})
        stream.end(body, timeout=20)
        assert stream.read(timeout=20) == body
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
