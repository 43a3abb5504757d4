"""`connect`: addresses, sockets, deadlines, and what it raises."""

from __future__ import annotations

import errno
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import SettingsFrame

from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer
from sync_h2 import (
    ClientSession,
    ConnectionLost,
    HTTP2Error,
    InvalidArgument,
    Timeout,
    TLSError,
    connect,
    create_server,
    serve_socket,
)


def echo(stream: Any, headers: Any) -> None:
    stream.respond({"x-authority": headers[":authority"], "x-scheme": headers[":scheme"]})
    stream.end(stream.read())


def test_it_returns_before_the_peer_has_said_anything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        session = connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert isinstance(session, ClientSession)
        assert session.connecting
        sock, _ = listener.accept()
        peer = RawPeer(sock, client=False)
        connected = threading.Event()
        session.on("connect", connected.set)
        stream = session.request()
        peer.handshake()
        assert connected.wait(5)
        assert not session.connecting
        peer.headers(1, RESPONSE, end_stream=True)
        assert stream.wait_response()[":status"] == "200"
        session.destroy()
        peer.close()


def test_listeners_are_there_before_the_first_byte() -> None:
    near, far = socket.socketpair()
    peer = RawPeer(far, client=False)
    heard = threading.Event()
    # The peer's SETTINGS are in the socket before the session is.
    peer.send(SettingsFrame(0))
    session = connect("http://localhost", sock=near, listeners={"remote_settings": lambda settings: heard.set()})
    assert heard.wait(5)
    session.destroy()
    peer.close()


@pytest.mark.parametrize(
    ("authority", "sent"),
    [
        ("http://localhost", "localhost"),
        ("http://localhost:8080/", "localhost:8080"),
        ("http://straße.localhost:81", "xn--strae-oqa.localhost:81"),
        ("http://[::1]:82", "[::1]:82"),
    ],
)
def test_scheme_and_authority_of_requests(authority: str, sent: str) -> None:
    near, far = socket.socketpair()
    server = serve_socket(far, echo)
    with connect(authority, sock=near) as session:
        stream = session.request()
        headers = stream.wait_response()
        stream.read()
        assert headers["x-authority"] == sent
        assert headers["x-scheme"] == "http"
    server.close(timeout=5)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "localhost",
        "localhost:80",
        "ftp://localhost",
        "http://",
        "http://:80",
        "http://user:secret@localhost",
        "http://localhost:port",
        "http://localhost:70000",
        "http://localhost:0x50",
        "http://localhost:0",
        "http://[::1",
        "http://[localhost]",
        "http://evil\\@localhost",
        "http://localhost\\",
        "http://local\thost",
        "http://localhost\n",
        "http://☃.net",
        "http://user:secret@local host",
        "user:secret@localhost",
        "unix:",
    ],
)
def test_an_authority_that_is_none(authority: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        connect(authority, timeout=1)
    assert "secret" not in str(raised.value)


def test_an_authority_that_is_no_string() -> None:
    with pytest.raises((TypeError, ValueError)):
        connect(b"http://localhost")  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    "options",
    [
        {"no_such_option": 1},
        {"max_outstanding_pings": "ten"},
        {"settings": {"no_such_setting": 1}},
        {"settings": {"max_frame_size": 1}},
        {"listeners": {"bogus": print}},
        {"listeners": {"close": "function"}},
    ],
)
def test_bad_options_leave_nothing_behind(options: Any) -> None:
    with create_server(echo) as server, pytest.raises((InvalidArgument, TypeError)):
        connect(f"http://127.0.0.1:{server.address[1]}", **options)


@pytest.mark.parametrize("options", [{"no_such_option": 1}, {"listeners": {"bogus": print}}, {"settings": {"x": 1}}])
def test_a_socket_that_was_given_with_bad_options_is_closed_or_still_the_callers(options: Any) -> None:
    near, far = socket.socketpair()
    with pytest.raises((InvalidArgument, TypeError)):
        connect("http://localhost", sock=near, **options)
    near.close()
    far.close()


def test_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectionLost) as raised:
        connect(f"http://127.0.0.1:{port}", timeout=5)
    assert isinstance(raised.value, ConnectionError)
    assert raised.value.retryable
    assert str(port) in str(raised.value)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.ECONNREFUSED


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(ConnectionLost, match=r"no\.such\.host\.invalid"):
        connect("http://no.such.host.invalid", timeout=5)


def test_a_unix_socket_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost) as raised:
        connect(f"unix:{tmp_path}/nothing", timeout=5)
    assert "nothing" in str(raised.value)


def test_a_connection_that_nobody_accepts_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(4):  # the backlog
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            started = time.monotonic()
            with pytest.raises(Timeout):
                connect(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)
            assert time.monotonic() - started < 5
        finally:
            for filler in fillers:
                filler.close()


def test_a_handshake_that_nobody_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(Timeout):
        connect(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3)


def test_tls_with_a_peer_that_does_not_speak_it() -> None:
    near, far = socket.socketpair()
    far.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(TLSError):
        connect("https://localhost", sock=near, timeout=5)
    assert near.fileno() == -1
    far.close()


def test_tls_with_a_peer_that_hangs_up() -> None:
    near, far = socket.socketpair()
    far.close()
    with pytest.raises(HTTP2Error):
        connect("https://localhost", sock=near, timeout=5)
    assert near.fileno() == -1


def test_a_peer_that_speaks_http1() -> None:
    near, far = socket.socketpair()
    far.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    session = connect("http://localhost", sock=near)
    with pytest.raises(HTTP2Error):
        session.request().read(timeout=5)
    session.destroy()
    far.close()


def test_an_adopted_socket_belongs_to_the_session() -> None:
    near, far = socket.socketpair()
    near.settimeout(0.01)  # whatever the socket was set to
    far.setblocking(False)
    server = serve_socket(far, echo)
    with connect("http://localhost", sock=near) as session:
        stream = session.request({":method": "POST"})
        stream.end(b"x")
        assert stream.read() == b"x"
    assert near.fileno() == -1
    server.close(timeout=5)
    assert far.fileno() == -1


def test_a_socket_that_is_not_connected() -> None:
    sock = socket.socket()
    with pytest.raises(HTTP2Error):
        session = connect("http://localhost", sock=sock)
        try:
            session.request().read(timeout=5)
        finally:
            session.destroy()
    sock.close()


def test_a_closed_socket() -> None:
    near, far = socket.socketpair()
    near.close()
    far.close()
    with pytest.raises((HTTP2Error, OSError)):
        session = connect("http://localhost", sock=near)
        try:
            session.request().read(timeout=5)
        finally:
            session.destroy()


def test_the_other_address_of_a_name_is_tried(monkeypatch: Any) -> None:
    """localhost may mean ::1 first, where nobody listens."""
    with create_server(echo) as server:
        port = server.address[1]
        addresses = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        with connect(f"http://localhost:{port}", timeout=5) as session:
            stream = session.request()
            assert stream.wait_response()[":status"] == "200"
            stream.read()


def test_its_name_in_messages() -> None:
    with create_server(echo) as server, connect(f"http://127.0.0.1:{server.address[1]}") as session:
        assert f"127.0.0.1:{server.address[1]}" in repr(session)
        assert "ClientSession" in repr(session)


@pytest.mark.parametrize("authority", ["http://localhost/path", "http://localhost?query", "unix:"])
def test_an_authority_names_a_server_and_nothing_more(authority: str) -> None:
    with pytest.raises(InvalidArgument):
        connect(authority)


def test_an_authority_is_a_str() -> None:
    with pytest.raises(TypeError, match="str"):
        connect(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_is_a_time(timeout: float) -> None:
    with pytest.raises(InvalidArgument, match="timeout"):
        connect("http://127.0.0.1:1", timeout=timeout)
