"""A scripted server, and a client that a test plays frame by frame."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping

import pytest

from support.peers.raw_peer import RawPeer
from sync_h2.testing import ScriptedServer

Dial = Callable[..., RawPeer]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def dial(server: ScriptedServer) -> Iterator[Dial]:
    """`dial(settings)` connects to the server, and shakes hands unless it is `dial(handshake=False)`."""
    with contextlib.ExitStack() as stack:

        def dial(settings: Mapping[int, int] | None = None, *, handshake: bool = True) -> RawPeer:
            sock = stack.enter_context(socket.create_connection(server.address))
            peer = RawPeer(sock, client=True)
            if handshake:
                peer.handshake(settings)
            return peer

        yield dial


@pytest.fixture
def peer(dial: Dial) -> RawPeer:
    """A client after the handshake."""
    return dial()
