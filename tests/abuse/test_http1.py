"""Attacks in HTTP/1 on a port that speaks both; the bystander's requests are HTTP/2's."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from support.attacks.victim import Victim
from support.peers.http1_client import GET, get

COUNT = 20
POOL = 256  # max_workers' default
SOON = 0.5  # for the timeouts that a test waits for
UPLOAD = get("/read", "Transfer-Encoding: chunked", method="POST")


@pytest.fixture
def victim(start: Callable[..., Victim]) -> Victim:
    return start(allow_http1=True)


def everything(sock: socket.socket) -> bytes:
    """What comes until the end of the connection, as far as a reset leaves it."""
    received = []
    with contextlib.suppress(ConnectionResetError):
        received += iter(lambda: sock.recv(65_536), b"")
    return b"".join(received)


def blast(sock: socket.socket, octets: bytes, times: int = 1) -> None:
    """Send octets, or as much of them as the server takes before it ends the connection."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(times):
            sock.sendall(octets)


def trickle(sock: socket.socket, octets: bytes, between: float = 0.05) -> None:
    """Send octet by octet until the server has had enough."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for position in range(len(octets)):
            sock.sendall(octets[position : position + 1])
            time.sleep(between)


@pytest.mark.parametrize("octets", [b"", b"P", b"GET / HTTP/1.1\r\n", b"\r\n"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_few_octets_and_gone(start: Callable[..., Victim], octets: bytes, tls: bool) -> None:
    victim = start(allow_http1=True, tls=tls)
    with victim.watched(connections=COUNT):
        for _ in range(COUNT):
            sock = victim.dial()
            sock.sendall(octets)
            sock.close()


def test_heads_that_do_not_come(start: Callable[..., Victim]) -> None:
    victim = start(allow_http1=True, handshake_timeout=SOON)
    with victim.watched(connections=COUNT):
        socks = [victim.dial() for _ in range(COUNT)]
        for sock in socks[: COUNT // 2]:
            sock.sendall(b"GET / HTTP/1.1\r\n")
        trickle(socks[0], b"X: " + b"y" * 20)
        for number, sock in enumerate(socks):
            assert everything(sock).startswith(b"HTTP/1.1 408 " if number < COUNT // 2 else b"")


def test_later_heads_that_do_not_end(start: Callable[..., Victim]) -> None:
    victim = start(allow_http1=True, header_timeout=SOON)
    with victim.watched(connections=COUNT):
        socks = [victim.dial() for _ in range(COUNT)]
        for sock in socks:
            sock.sendall(GET + GET[:20])
        trickle(socks[0], b"X: " + b"y" * 20)
        for sock in socks:
            assert b"HTTP/1.1 408 " in everything(sock)


def test_endless_heads(victim: Victim) -> None:
    with victim.watched(connections=COUNT):
        for number in range(COUNT):
            sock = victim.dial()
            line = b"x-%d: " % number + b"y" * 1000 + b"\r\n" if number % 2 else b"y" * 1000
            blast(sock, b"GET / HTTP/1.1\r\n" + line * 1000, 10)
            answer = everything(sock)
            assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_bodies_that_do_not_come(start: Callable[..., Victim]) -> None:
    victim = start(allow_http1=True, read_timeout=SOON, idle_timeout=2 * SOON)
    with victim.watched(connections=COUNT, handlers=COUNT):
        socks = [victim.dial() for _ in range(COUNT)]
        for sock in socks:
            sock.sendall(UPLOAD + b"5\r\nhel")
        for sock in socks:
            assert everything(sock).startswith(b"HTTP/1.1 500 ")


def test_bodies_that_nobody_reads(victim: Victim) -> None:
    with victim.watched(connections=3, handlers=3):
        socks = [victim.dial() for _ in range(3)]
        for sock in socks:
            sock.settimeout(1)
            with contextlib.suppress(TimeoutError):
                blast(sock, get("/wait/3", "Content-Length: 1000000000", method="POST") + bytes(1_000_000), 1000)


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"1;" + b"a" * 1000 + b"\r\nx\r\n"], ids=["small", "extended"])
def test_endless_chunks(victim: Victim, chunk: bytes) -> None:
    with victim.watched(connections=3, handlers=3):
        for _ in range(3):
            sock = victim.dial()
            blast(sock, UPLOAD + chunk * 1000, 1)
            blast(sock, chunk * 1000, 30)


def test_requests_of_which_no_answer_is_read(start: Callable[..., Victim]) -> None:
    victim = start(allow_http1=True, write_timeout=SOON)
    with victim.watched(connections=3, handlers=3):
        socks = [victim.dial(receive_buffer=4096) for _ in range(3)]
        for sock in socks:
            sock.settimeout(1)
            with contextlib.suppress(TimeoutError):
                blast(sock, get("/big/100000000") * 1000, 100)
        for sock in socks:
            sock.settimeout(10)
            assert len(everything(sock)) < 100_000_000


def test_a_flood_of_requests(victim: Victim) -> None:
    with victim.watched(connections=3, handlers=POOL):
        for _ in range(3):
            sock = victim.dial()
            sock.settimeout(1)
            with contextlib.suppress(TimeoutError):
                blast(sock, GET * 1000, 20)


def test_connections_that_break_at_every_place(victim: Victim) -> None:
    whole = UPLOAD + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n" + GET
    with victim.watched(connections=COUNT, handlers=COUNT):
        for length in range(0, len(whole), 3):
            sock = victim.dial()
            sock.sendall(whole[:length])
            if length % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
