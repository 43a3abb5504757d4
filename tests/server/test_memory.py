"""The sessions of a server are bounded together: the one that takes most ends, and what it took is given back."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.attacks.memory_takers import literals
from support.attacks.victim import Attacker
from support.octets import frames
from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ErrorCode, ThreadingServer
from sync_h2.connection.shared import limit_log
from sync_h2.server.memory import ServerMemory

MEMORY = 3_000_000
TIMEOUT = 20.0

Serve = Callable[..., ThreadingServer]


class Fake:
    """A session, as the table of memory sees it."""

    def __init__(self, octets: int) -> None:
        self.octets = octets
        self._destroyed = False

    def _memory_taken(self) -> int:
        return self.octets


def table_of(most: int) -> tuple[Any, list[Any]]:
    ended: list[Any] = []

    def end(session: Any, octets: int, together: int) -> None:
        ended.append((session, octets, together))
        session._destroyed = True

    return ServerMemory(most, end), ended


def test_those_that_take_most_end_until_the_others_are_within() -> None:
    memory, ended = table_of(100)
    sessions = [Fake(octets) for octets in (20, 40, 10, 30)]
    for session in sessions:
        memory.changed(session)
    assert (memory.together, ended) == (100, [])
    sessions[2].octets = 60
    memory.changed(sessions[2])
    assert ended == [(sessions[2], 60, 150)]
    sessions[0].octets = 90
    memory.changed(sessions[0])
    assert ended[1:] == [(sessions[0], 90, 160)]
    assert memory.together == 70


def test_what_others_have_given_back_meanwhile_does_not_count() -> None:
    memory, ended = table_of(100)
    first, second = Fake(80), Fake(10)
    memory.changed(first)
    memory.changed(second)
    first.octets, second.octets = 20, 70
    memory.changed(second)
    assert (memory.together, ended) == (90, [])


def test_who_was_ended_or_has_gone_is_not_counted_again() -> None:
    memory, ended = table_of(100)
    first, second = Fake(80), Fake(110)
    memory.changed(first)
    memory.changed(second)
    assert ended == [(second, 110, 190)]
    memory.changed(second)
    first._destroyed = True
    memory.changed(first)  # it takes that until it has gone
    assert memory.together == 80
    memory.forget(first)
    memory.forget(first)
    memory.changed(first)
    assert (memory.together, len(ended)) == (0, 1)


# -- with clients


class Handler:
    """Waits, where that is asked for, until the test lets it go on."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.waiting = 0

    def __call__(self, stream: Any, headers: Any) -> None:
        if headers[":path"] == "/wait" or headers[":method"] == "POST":
            self.waiting += 1
            self.released.wait(TIMEOUT)
        stream.end(b"hello")


@pytest.fixture
def handler() -> Iterator[Handler]:
    limit_log._last_logged.clear()
    made = Handler()
    yield made
    made.released.set()


@contextlib.contextmanager
def attacker(server: ThreadingServer) -> Iterator[Attacker]:
    with socket.create_connection(server.address, TIMEOUT) as sock:
        peer = Attacker(sock, client=True)
        peer.handshake()
        yield peer


def bodies(peer: Attacker) -> None:
    """Fifty of 60 kB, which nobody reads."""
    for stream_id in range(1, 101, 2):
        peer.headers(stream_id, UPLOAD)
        peer.blast(frames.data(stream_id, bytes(15_000)), 4)


def headers(peer: Attacker) -> None:
    """As many small fields as go."""
    peer.blast(literals(100, "/wait", 0))


@pytest.mark.parametrize("attack", [bodies, headers])
def test_the_greediest_ends_and_others_go_on(
    attack: Callable[[Attacker], None], serve: Serve, visit: Any, handler: Handler, caplog: Any
) -> None:
    server = serve(handler, max_server_memory=MEMORY if attack is bodies else MEMORY // 2)
    modest = visit(server)
    waiting = modest.request({":method": "POST", ":path": "/wait"})
    waiting.write(bytes(30_000))
    eventually(lambda: handler.waiting == 1)
    with caplog.at_level(logging.WARNING, "sync_h2"), attacker(server) as greedy:
        attack(greedy)
        assert greedy.thrown_out() == (ErrorCode.ENHANCE_YOUR_CALM, b"max_server_memory")
        assert visit(server).request().read(timeout=TIMEOUT) == b"hello"
        eventually(lambda: len(server.sessions) == 2)
        handler.released.set()
        waiting.end()
        assert waiting.read(timeout=TIMEOUT) == b"hello"
    eventually(lambda: server._memory.together < 600_000, "memory given back")
    lines = [record.getMessage() for record in caplog.records if "max_server_memory" in record.getMessage()]
    assert len(lines) == 1
    assert "octets that the server's sessions take together" in lines[0]


def test_many_that_take_little_each_are_bounded_together(serve: Serve, visit: Any, handler: Handler) -> None:
    server = serve(handler, max_server_memory=MEMORY)
    octets = b"".join(
        frames.headers(stream_id, *UPLOAD) + frames.data(stream_id, bytes(15_000)) * 4 for stream_id in range(1, 21, 2)
    )
    with contextlib.ExitStack() as stack:
        for _ in range(6):  # 600 kB each
            peer = stack.enter_context(attacker(server))
            peer.blast(octets)
            with contextlib.suppress(Exception):  # it may be the one that ends
                peer.settled()
        eventually(lambda: len(server.sessions) < 6)
        assert len(server.sessions) >= 3
        assert visit(server).request().read(timeout=TIMEOUT) == b"hello"
        assert server._memory.together <= MEMORY


@pytest.mark.parametrize("kind", ["a preface", "a request of HTTP/1.1", "requests that wait"])
def test_those_that_have_said_next_to_nothing_are_bounded_together(serve: Serve, handler: Handler, kind: str) -> None:
    """A session takes more by itself than its first octets."""
    server = serve(handler, max_server_memory=MEMORY // 4, allow_http1=True)
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            sock = stack.enter_context(socket.create_connection(server.address, TIMEOUT))
            if kind == "a request of HTTP/1.1":
                sock.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
                continue
            with contextlib.suppress(Exception):  # it may be the one that ends
                peer = RawPeer(sock, client=True)
                peer.handshake()
                if kind == "requests that wait":
                    peer.headers(1, REQUEST, end_stream=True)
                peer.settled()
        eventually(lambda: 0 < len(server.sessions) < 30)
        eventually(lambda: server._memory.together >= len(server.sessions) * 40 * 1024)
        assert server._memory.together <= MEMORY // 4


def test_one_that_speaks_http1_is_told_why(serve: Serve, visit: Any, handler: Handler) -> None:
    server = serve(handler, max_server_memory=240_000, allow_http1=True)
    assert visit(server).request().read(timeout=TIMEOUT) == b"hello"
    with socket.create_connection(server.address, TIMEOUT) as greedy:
        greedy.sendall(b"POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 10000000\r\n\r\n")
        eventually(lambda: handler.waiting == 1)
        with contextlib.suppress(OSError):
            greedy.sendall(bytes(9_000_000))
        with contextlib.suppress(ConnectionResetError):
            assert greedy.recv(1000).startswith(b"HTTP/1.1 503 ")
    assert visit(server).request().read(timeout=TIMEOUT) == b"hello"
    eventually(lambda: server._memory.together < 240_000)


@pytest.mark.parametrize("end", ["closed", "reset", "destroyed by the server", "half a frame"])
@pytest.mark.parametrize("http1", [False, True], ids=["h2c", "HTTP/1.1"])
def test_memory_is_given_back_however_a_session_ends(end: str, http1: bool, serve: Serve, handler: Handler) -> None:
    server = serve(handler, allow_http1=True)
    sock = socket.create_connection(server.address, TIMEOUT)
    peer = Attacker(sock, client=True)
    if http1:
        sock.sendall(b"POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n" + bytes(100_000))
    else:
        peer.handshake()
        bodies(peer)
    eventually(lambda: server._memory.together > 100_000 and handler.waiting)
    if end == "closed":
        sock.close()
    elif end == "reset":
        peer.reset_connection()
    elif end == "half a frame":
        sock.sendall(frames.data(1, bytes(100))[:50])
        sock.close()
    else:
        server.sessions[0].destroy()
    handler.released.set()
    eventually(lambda: not server.sessions)
    eventually(lambda: server._memory.together == 0 and not server._memory._taken)
    sock.close()
