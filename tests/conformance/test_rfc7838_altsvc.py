"""RFC 7838 section 4: the ALTSVC frame."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from support.connections.conversations import ClientConversation, ServerConversation, client_conversation
from support.octets import frames
from support.peers.raw_peer import PATIENCE
from sync_h2 import ErrorCode

ALTERNATIVE = b'h2="alt.example:8000"'


@pytest.fixture
def heard() -> queue.SimpleQueue[tuple[Any, ...]]:
    """The arguments of each `altsvc` event of `listening`."""
    return queue.SimpleQueue()


@pytest.fixture
def listening(heard: queue.SimpleQueue[tuple[Any, ...]]) -> Iterator[ClientConversation]:
    """A client with a listener for `altsvc`."""
    with client_conversation(listeners={"altsvc": lambda *arguments: heard.put(arguments)}) as client:
        yield client


def test_on_stream_0_it_names_an_origin(listening: ClientConversation, heard: Any) -> None:
    listening.send(frames.altsvc(0, b"https://example.org", ALTERNATIVE))
    assert heard.get(timeout=PATIENCE) == (ALTERNATIVE.decode(), "https://example.org", 0)
    listening.accepted()


def test_on_a_stream_it_is_for_the_streams_origin(listening: ClientConversation, heard: Any) -> None:
    stream_id = listening.half_closed_local()
    listening.send(frames.altsvc(stream_id, b"", b"clear"))
    assert heard.get(timeout=PATIENCE) == ("clear", "", stream_id)
    listening.accepted()


@pytest.mark.parametrize(
    ("state", "origin"),
    [
        pytest.param(None, b"", id="on stream 0 without an origin"),
        pytest.param("half_closed_local", b"https://example.org", id="on a stream with an origin"),
        pytest.param("ended", b"", id="on a closed stream"),
        pytest.param("idle", b"", id="on an idle stream"),
    ],
)
def test_otherwise_it_is_ignored(listening: ClientConversation, heard: Any, state: str | None, origin: bytes) -> None:
    stream_id = 0 if state is None else listening.in_state(state)
    listening.send(frames.altsvc(stream_id, origin, ALTERNATIVE))
    listening.send(frames.altsvc(0, b"https://after.example", b"after"))
    assert heard.get(timeout=PATIENCE) == ("after", "https://after.example", 0)
    listening.accepted()


def test_a_server_ignores_it(server: ServerConversation) -> None:
    server.send(frames.altsvc(0, b"https://example.org", ALTERNATIVE), frames.altsvc(server.open(), b"", ALTERNATIVE))
    server.accepted()


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x05http", b"\xff\xff"])
def test_cut_short(client: ClientConversation, payload: bytes) -> None:
    """RFC 9113 section 4.2: a frame too small for what it must contain."""
    client.send(frames.frame(frames.ALTSVC, 0, 0, payload))
    client.connection_error(ErrorCode.FRAME_SIZE_ERROR)
