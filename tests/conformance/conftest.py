"""Fixtures of the tests of conformance: a session of each role, and its peer as raw frames, which
support/connections/conversations.py makes.

One test stands for one requirement and is named after its section; what is to be sent and what has to come of it are
the test's body.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from support.connections.conversations import (
    ClientConversation,
    Conversation,
    ServerConversation,
    client_conversation,
    server_conversation,
)
from support.connections.pairs import tls_connections, tls_contexts
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.rules.stress import pytest_collection_modifyitems, pytest_generate_tests, stress_round
from support.threads.background import background

__all__ = [
    "background",
    "keep_lock_rules",
    "lock_rules",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "stress_round",
    "tls_connections",
    "tls_contexts",
]


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """After each test garbage is collected (support/rules/leaks.py). What was there before a module's first test need
    not be looked at each time: that would take longer than most of these tests do.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def server() -> Iterator[ServerConversation]:
    """A server under test; the test is the client."""
    with server_conversation() as conversation:
        yield conversation


@pytest.fixture
def client() -> Iterator[ClientConversation]:
    """A client under test; the test is the server."""
    with client_conversation() as conversation:
        yield conversation


@pytest.fixture(params=["server", "client"])
def either(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A server and a client in turn: for what holds for both."""
    with server_conversation() if request.param == "server" else client_conversation() as conversation:
        yield conversation
