"""Fixtures of the tests of servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.connections.linger import short_linger
from support.connections.pairs import tls_contexts
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import background
from sync_h2 import ClientSession, ThreadingServer, connect, create_server

__all__ = ["background", "keep_lock_rules", "lock_rules", "short_linger", "tls_contexts"]


def url(server: ThreadingServer, scheme: str = "http") -> str:
    host, port = server.address
    return f"{scheme}://{host}:{port}"


@pytest.fixture
def serve() -> Iterator[Callable[..., ThreadingServer]]:
    """Starts a server with the options of `create_server`; it is closed after the test."""
    started: list[ThreadingServer] = []

    def make(*arguments: Any, **options: Any) -> ThreadingServer:
        server = create_server(*arguments, **options)
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.close(timeout=1)


@pytest.fixture
def visit() -> Iterator[Callable[..., ClientSession]]:
    """Opens a session with a server; it ends with the test."""
    opened: list[ClientSession] = []

    def make(server: ThreadingServer, **options: Any) -> ClientSession:
        session = connect(url(server), **options)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.destroy()
