"""The first octets of a connection without TLS, by which it is found out what the client speaks."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from support.peers.sockets import tcp_pair
from sync_h2 import Timeout
from sync_h2.deadline import Deadline
from sync_h2.server.accepting.detection import read_opening

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = tcp_pair()
    with contextlib.closing(near), contextlib.closing(far):
        yield near, far


@pytest.mark.parametrize("timeout", [None, 0.01], ids=["blocking", "with a timeout of its own"])
def test_the_deadline_alone_counts(pair: Pair, timeout: float | None) -> None:
    """`socket.setdefaulttimeout` gives every socket one."""
    near, far = pair
    near.settimeout(timeout)
    sender = threading.Timer(0.1, far.sendall, (b"GET / HTTP/1.1",))
    sender.start()
    assert read_opening(near, Deadline(20)) == b"GET / HTTP/1.1"
    sender.join()


def test_octets_that_are_there_already(pair: Pair) -> None:
    near, far = pair
    far.sendall(b"GET / HTTP/1.1")
    assert near.recv(1, socket.MSG_PEEK) == b"G"
    assert read_opening(near, Deadline(20)) == b"GET / HTTP/1.1"


def test_who_says_too_little(pair: Pair) -> None:
    near, far = pair
    far.sendall(b"P")
    with pytest.raises(Timeout, match="did not begin within"):
        read_opening(near, Deadline(0.05))
    assert far.recv(4096).startswith(b"HTTP/1.1 408 ")
