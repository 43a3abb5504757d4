"""Fixtures of the tests of conformance: a session of each role, and its peer as raw frames (support/conversations.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.conversations import (
    ClientConversation,
    Conversation,
    ServerConversation,
    client_conversation,
    server_conversation,
)
from support.threads import background

__all__ = ["background"]


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
