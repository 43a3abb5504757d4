from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sync_h2 import deadline as deadline_module
from sync_h2.deadline import Deadline
from sync_h2.errors import ConnectionLost, InvalidArgument, Timeout
from sync_h2.transport import sockets
from sync_h2.transport.host_names import encode_host
from sync_h2.transport.sockets import (
    close_listener,
    connect_tcp,
    connect_unix,
    format_address,
    listen,
    peer_address,
    prepare,
    turn_away,
)

TIMEOUT = 20.0
SWALLOWING = "192.0.2.1"  # RFC 5737: an address for documentation, which nobody has


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    listener = listen("127.0.0.1", 0)
    yield listener
    close_listener(listener)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes every name have the given IPv4 addresses; the list returned fills with the names that were asked for."""

    def resolve(*addresses: str) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolve


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float | None]]:
    """The connects that are made: to whom, and with which timeout. The swallowing one uses it up, on a false clock."""
    attempts: list[tuple[str, float | None]] = []
    clock = SimpleNamespace(now=0.0)
    connect = socket.socket.connect

    def recording_connect(self: socket.socket, address: Any) -> None:
        attempts.append((address[0], self.gettimeout()))
        if address[0] == SWALLOWING:
            clock.now += self.gettimeout() or 0.0
            raise TimeoutError("timed out")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recording_connect)
    monkeypatch.setattr(deadline_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return attempts


# -- connect_tcp


@pytest.mark.parametrize(
    ("bind_host", "host"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "::1"), ("::1", "[::1]")],
)
@pytest.mark.parametrize("timeout", [TIMEOUT, None])
def test_connects_over_ipv4_and_ipv6(bind_host: str, host: str, timeout: float | None) -> None:
    listener = listen(bind_host, 0)
    with connect_tcp(host, listener.getsockname()[1], Deadline(timeout)) as left:
        right, _ = listener.accept()
        with right:
            assert left.getpeername() == right.getsockname()
            assert left.gettimeout() is None
            # Whoever writes a head, and then a body, must not wait in between for an ACK that the peer delays.
            assert left.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    close_listener(listener)


def test_an_address_that_refuses_is_passed_over(
    listener: socket.socket, resolve: Callable[..., list[str]], attempts: list[tuple[str, float | None]]
) -> None:
    resolve("127.0.0.2", "127.0.0.1")
    connect_tcp("example.test", listener.getsockname()[1], Deadline(TIMEOUT)).close()
    assert [address for address, _ in attempts] == ["127.0.0.2", "127.0.0.1"]


def test_an_address_that_swallows_packets_gets_its_share_of_the_time_only(
    listener: socket.socket, resolve: Callable[..., list[str]], attempts: list[tuple[str, float | None]]
) -> None:
    resolve(SWALLOWING, SWALLOWING, "127.0.0.1")
    connect_tcp("example.test", listener.getsockname()[1], Deadline(9.0)).close()
    assert attempts == [(SWALLOWING, 3.0), (SWALLOWING, 3.0), ("127.0.0.1", 3.0)]


def test_when_the_time_is_used_up_no_more_addresses_are_tried(
    resolve: Callable[..., list[str]], attempts: list[tuple[str, float | None]]
) -> None:
    resolve(SWALLOWING, SWALLOWING)
    with pytest.raises(Timeout, match=r"no connection to example.test:80 within 4.0 s") as caught:
        connect_tcp("example.test", 80, Deadline(4.0))
    assert attempts == [(SWALLOWING, 2.0), (SWALLOWING, 2.0)]
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_no_time_means_no_attempt(attempts: list[tuple[str, float | None]]) -> None:
    with pytest.raises(Timeout):
        connect_tcp("127.0.0.1", 80, Deadline(0))
    assert attempts == []


def test_a_refusal_names_the_address_and_is_safe_to_retry(resolve: Callable[..., list[str]]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening, so that it refuses
        port = unused.getsockname()[1]
        resolve("127.0.0.1")
        with pytest.raises(
            ConnectionLost, match=f"example.test:{port} .*127.0.0.1:{port}: Connection refused"
        ) as caught:
            connect_tcp("example.test", port, Deadline(TIMEOUT))
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_an_unknown_name_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for timeout in (None, TIMEOUT):
        with pytest.raises(ConnectionLost, match=r"address of example.test .*not known") as caught:
            connect_tcp("example.test", 80, Deadline(timeout))
        assert isinstance(caught.value.__cause__, socket.gaierror)


def test_a_slow_resolver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(TIMEOUT))
    try:
        with pytest.raises(Timeout, match=r"address of example.test was not found within 0.05 s"):
            connect_tcp("example.test", 80, Deadline(0.05))
    finally:
        answer.set()


def test_what_goes_wrong_on_the_resolving_thread_is_raised_on_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(MemoryError, match="no memory"):
        connect_tcp("example.test", 80, Deadline(TIMEOUT))


def test_international_names_are_resolved_in_idna(listener: socket.socket, resolve: Callable[..., list[str]]) -> None:
    asked = resolve("127.0.0.1")
    connect_tcp("bücher.test", listener.getsockname()[1], Deadline(TIMEOUT)).close()
    assert asked == ["xn--bcher-kva.test"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test"])
def test_a_name_that_cannot_be_is_refused(host: str) -> None:
    with pytest.raises(InvalidArgument, match="not a valid host name"):
        encode_host(host)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(InvalidArgument, match="not a port"):
        connect_tcp("localhost", port, Deadline(TIMEOUT))


# -- Unix sockets


def test_a_unix_socket_is_connected_and_its_path_removed(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    listener = listen(f"unix:{path}", 0)
    with connect_unix(str(path), Deadline(TIMEOUT)) as left:
        right, _ = listener.accept()
        with right:
            assert left.gettimeout() is None
            left.sendall(b"x")
            assert right.recv(1) == b"x"
    close_listener(listener)
    close_listener(listener)
    assert not path.exists()


def test_a_missing_unix_socket_is_a_lost_connection(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLost, match=r"missing.sock \(No such file") as caught:
        connect_unix(f"{tmp_path}/missing.sock", Deadline(TIMEOUT))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.skipif(sys.platform != "linux", reason="others can't turn anybody away")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", ""])
def test_who_is_turned_away_begins_nothing_and_who_waits_can_be_accepted(host: str) -> None:
    with listen(host, 0) as listener:
        there = (host or "127.0.0.1", listener.getsockname()[1])
        with socket.create_connection(there) as waiting, closing(socket.socket(waiting.family)) as late:
            assert turn_away(listener)
            late.setblocking(False)
            assert late.connect_ex(there) == errno.EINPROGRESS
            waiting.sendall(b"question")
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(100) == b"question"
                accepted.sendall(b"answer")
                assert waiting.recv(100) == b"answer"
                accepted.shutdown(socket.SHUT_WR)
                assert waiting.recv(100) == b""
            listener.close()
            assert select.select([], [late], [], 20)[1] == [late]
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_who_is_turned_away_from_a_unix_socket_finds_none(tmp_path: Path) -> None:
    path = str(tmp_path / "server.sock")
    with listen(f"unix:{path}", 0) as listener, socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(path)
        assert turn_away(listener)
        assert not os.path.exists(path)
        accepted, _ = listener.accept()
        accepted.close()
        assert waiting.recv(1) == b""


def test_connect_waits_for_room_in_a_unix_sockets_backlog(tmp_path: Path, background: ThreadPoolExecutor) -> None:
    path = f"{tmp_path}/busy.sock"
    listener = listen(f"unix:{path}", 0, backlog=0)
    waiting: list[socket.socket] = []
    error = 0
    while error != errno.EAGAIN:
        waiting.append(socket.socket(socket.AF_UNIX))
        waiting[-1].setblocking(False)
        error = waiting[-1].connect_ex(path)
    with pytest.raises(Timeout, match=r"busy.sock within 0.05 s"):
        connect_unix(path, Deadline(0.05))
    connected = background.submit(connect_unix, path, Deadline(TIMEOUT))
    accepted = [listener.accept()[0]]
    connected.result(TIMEOUT).close()
    for sock in waiting + accepted:
        sock.close()
    close_listener(listener)


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    close_listener(listen(f"unix:{path}", 0))
    assert not path.exists()


def test_a_living_server_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    listener = listen(f"unix:{path}", 0)
    with pytest.raises(OSError, match=f"while attempting to listen on unix:{path}") as caught:
        listen(f"unix:{path}", 0)
    assert caught.value.errno == errno.EADDRINUSE
    close_listener(listener)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"precious")
    with pytest.raises(OSError, match="Address already in use"):
        listen(f"unix:{path}", 0)
    assert path.read_bytes() == b"precious"


def test_closing_does_not_stumble_over_a_path_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "server.sock"
    listener = listen(f"unix:{path}", 0)
    path.unlink()
    close_listener(listener)
    assert listener.fileno() == -1


# -- listen


def test_a_port_in_use_is_an_oserror_with_its_number(listener: socket.socket) -> None:
    with pytest.raises(OSError) as caught:
        listen("127.0.0.1", listener.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


def test_ports_can_be_shared() -> None:
    first = listen("127.0.0.1", 0, reuse_port=True)
    second = listen("127.0.0.1", first.getsockname()[1], reuse_port=True)
    assert first.getsockname() == second.getsockname()
    close_listener(first)
    close_listener(second)


def test_no_host_means_every_address() -> None:
    listener = listen("", 0)
    port = listener.getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        connect_tcp(host, port, Deadline(TIMEOUT)).close()
    close_listener(listener)


# -- prepare


def test_a_tcp_connection_is_prepared(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
    sock = tcp_pair[0]
    sock.settimeout(1.0)
    prepare(sock)
    assert sock.gettimeout() is None
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        low_water = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert low_water == sockets.NOT_SENT_LOW_WATER


def test_a_unix_connection_is_only_made_blocking(socket_pair: tuple[socket.socket, socket.socket]) -> None:
    socket_pair[0].setblocking(False)
    prepare(socket_pair[0])
    assert socket_pair[0].gettimeout() is None


def test_a_connection_that_refuses_options_is_left_to_the_first_receive(
    tcp_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    tcp_pair[0].settimeout(1.0)
    prepare(tcp_pair[0])
    assert tcp_pair[0].gettimeout() is None


def test_an_ssl_socket_is_refused(socket_pair: tuple[socket.socket, socket.socket]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    wrapped = context.wrap_socket(socket_pair[0], do_handshake_on_connect=False)
    with wrapped, pytest.raises(InvalidArgument, match="plain socket and a context"):
        prepare(wrapped)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        ("/run/app.sock", "unix:/run/app.sock"),
        (os.fsencode("/run/app.sock"), "unix:/run/app.sock"),
        (b"\0name", "unix:@name"),
        ("", "unix:"),
    ],
)
def test_addresses_are_shown_as_people_write_them(address: Any, text: str) -> None:
    assert format_address(address) == text


@pytest.mark.parametrize(("host", "unknown"), [("127.0.0.1", ("0.0.0.0", 0)), ("::1", ("::", 0, 0, 0))])
def test_a_peer_that_has_gone_is_not_taken_for_a_local_one(host: str, unknown: Any) -> None:
    listener = listen(host, 0)
    client = socket.create_connection(listener.getsockname()[:2])
    accepted, address = listener.accept()
    with accepted:
        assert peer_address(accepted) == address == client.getsockname()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        with pytest.raises(ConnectionResetError):
            accepted.recv(1)
        assert peer_address(accepted) == unknown
    close_listener(listener)


def test_a_peer_without_an_address_is_a_local_one() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer_address(left) == ""
