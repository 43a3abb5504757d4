"""RFC 8336: the ORIGIN frame, which has a meaning over TLS alone."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from support.connections.conversations import ClientConversation, ServerConversation
from support.connections.pairs import Connections
from support.octets import frames
from support.peers.raw_peer import PATIENCE
from sync_h2 import ErrorCode

EXAMPLE = b"https://example.org"


@pytest.fixture
def heard() -> queue.SimpleQueue[list[str]]:
    """The origins of each `origin` event of `listening`."""
    return queue.SimpleQueue()


@pytest.fixture
def listening(tls_connections: Connections, heard: queue.SimpleQueue[list[str]]) -> ClientConversation:
    """A client with a listener for `origin`, over TLS."""
    session, peer = tls_connections.raw_server(listeners={"origin": heard.put})
    peer.settled()
    return ClientConversation(peer, session)


def test_section_2_1_origins(listening: ClientConversation, heard: Any) -> None:
    listening.send(frames.origins(EXAMPLE, b"https://a.example:8443"))
    assert heard.get(timeout=PATIENCE) == ["https://example.org", "https://a.example:8443"]
    listening.accepted()


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(frames.origins(EXAMPLE, stream_id=1), id="on a stream"),
        pytest.param(frames.origins(EXAMPLE, flags=0x1), id="with flag 0x1"),
        pytest.param(frames.origins(EXAMPLE, flags=0x2), id="with flag 0x2"),
        pytest.param(frames.origins(EXAMPLE, flags=0x4), id="with flag 0x4"),
        pytest.param(frames.origins(EXAMPLE, flags=0x8), id="with flag 0x8"),
    ],
)
def test_section_2_1_what_is_ignored(listening: ClientConversation, heard: Any, octets: bytes) -> None:
    """ "a client that receives an ORIGIN frame with any of these flags set MUST ignore it"."""
    listening.send(octets, frames.origins(b"https://after.example"))
    assert heard.get(timeout=PATIENCE) == ["https://after.example"]
    listening.accepted()


def test_section_2_1_the_other_flags_have_no_meaning(listening: ClientConversation, heard: Any) -> None:
    listening.send(frames.origins(EXAMPLE, flags=0xF0))
    assert heard.get(timeout=PATIENCE) == ["https://example.org"]


def test_section_2_1_a_server_ignores_it(server: ServerConversation) -> None:
    server.send(frames.origins(EXAMPLE), frames.frame(frames.ORIGIN, 0, 0, b"\xff"))
    server.accepted()


def test_section_2_3_an_empty_frame_is_a_frame(listening: ClientConversation) -> None:
    listening.send(frames.origins())
    listening.accepted()


@pytest.mark.parametrize("payload", [b"\x00", b"\x00\x05http", b"\x00\x01x\x00"])
def test_cut_short(listening: ClientConversation, payload: bytes) -> None:
    """RFC 9113 section 4.2: a frame too small for what it must contain."""
    listening.send(frames.frame(frames.ORIGIN, 0, 0, payload))
    listening.connection_error(ErrorCode.FRAME_SIZE_ERROR)
