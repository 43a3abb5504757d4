"""Ctrl-C as the main thread takes a lock that is no session's: nobody may find that lock taken for ever."""

from __future__ import annotations

import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import pytest

import sync_h2
from sync_h2.client.wire.http1_connection import HTTP1Connection
from sync_h2.interpreter import Lock, RLock
from sync_h2.transport.blocking_tls import BlockingTLSConnection
from sync_h2.transport.tls import TLSEngine

STRIKES = 50
SECONDS = 0.001  # of computing until a strike, at least


class Struck(Exception):
    pass


@pytest.fixture
def arm() -> Iterator[Callable[[], None]]:
    """Have `Struck` raised soon, once."""
    armed = False

    def arm() -> None:
        nonlocal armed
        armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)

    def strike(number: int, frame: FrameType | None) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Struck

    # pytest-timeout has the other clock.
    before = signal.signal(signal.SIGVTALRM, strike)
    yield arm
    signal.signal(signal.SIGVTALRM, before)


def is_free(lock: AbstractContextManager[Any]) -> bool:
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(False)))  # type: ignore[attr-defined]
    thread.start()
    thread.join()
    return taken == [True]


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_that_is_struck_is_free(
    arm: Callable[[], None], make: Callable[[], AbstractContextManager[Any]]
) -> None:
    for _ in range(STRIKES):
        lock = make()
        with pytest.raises(Struck):
            arm()
            while True:
                with lock:
                    pass
        assert is_free(lock)


def test_a_client_has_such_locks() -> None:
    with sync_h2.Client() as client:
        connections: Any = client._pool._connections
        locks = (connections._lock, connections._opener._making_context, connections._alternatives._lock)
        assert {type(lock) for lock in locks} == {type(Lock())}
        assert type(client.cookies._cookies_lock) is type(RLock())  # type: ignore[attr-defined]


def test_what_sends_over_http1_has_such_locks() -> None:
    ours, theirs = socket.socketpair()
    engine = TLSEngine(ssl.create_default_context(), server_side=False, server_hostname="host")
    with ours, theirs:
        connections: Any = HTTP1Connection(ours, "host"), BlockingTLSConnection(ours, engine, None)
        assert {type(connections[0]._writing), type(connections[1]._sending)} == {type(Lock())}
