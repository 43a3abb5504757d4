"""RFC 9218: the priority field, PRIORITY_UPDATE, and the setting that ends RFC 7540's scheme."""

from __future__ import annotations

from typing import Any

import pytest
from hyperframe.frame import DataFrame, SettingsFrame

from support.connections.conversations import (
    STATES,
    ClientConversation,
    Conversation,
    ServerConversation,
    server_conversation,
)
from support.octets import frames
from support.octets.fields import REQUEST
from support.octets.frames import END_HEADERS, END_STREAM, NO_RFC7540_PRIORITIES
from support.threads.background import Background, eventually, waits
from sync_h2 import ErrorCode
from sync_h2.constants import PREFACE


@pytest.mark.parametrize(("value", "right"), [(0, True), (1, True), (2, False), (2**32 - 1, False)])
def test_section_2_1_values_of_the_setting(either: Conversation, value: int, right: bool) -> None:
    either.send(frames.settings((NO_RFC7540_PRIORITIES, value)))
    if right:
        either.accepted()
    else:
        either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"u=0",
        b"u=7, i",
        b"u=8",
        b"u=-1",
        b"u=abc",
        b"i=?0",
        b"i=1",
        b"x=y, u=2",
        b"u=1, u=2",
        b"u=1,",
        b"(",
        b"\x00\xff",
        b"u=" + b"9" * 5000,
    ],
)
def test_section_4_what_cannot_be_understood_is_ignored(server: ServerConversation, value: bytes) -> None:
    """In the frame and in the field alike: a priority is never an error."""
    server.send(frames.priority_update(1, value))
    field = [("priority", value)] if b"\0" not in value and value != b"" else []
    server.send(frames.request(server.new_id(), *field))
    assert server.answer(1) == ("200", b"")
    server.accepted()


@pytest.mark.parametrize("stream_id", [0, frames.RESERVED_BIT])
def test_section_7_1_for_stream_0(server: ServerConversation, stream_id: int) -> None:
    server.send(frames.priority_update(stream_id))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_7_1_on_a_stream(server: ServerConversation) -> None:
    server.send(frames.priority_update(1, on=server.open()))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [0, 3])
def test_section_7_1_cut_short(server: ServerConversation, length: int) -> None:
    server.send(frames.frame(frames.PRIORITY_UPDATE, 0, 0, bytes(length)))
    server.connection_error(ErrorCode.FRAME_SIZE_ERROR)


def test_section_7_1_servers_do_not_send_it(client: ClientConversation) -> None:
    client.send(frames.priority_update(client.open()))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("state", STATES)
def test_section_7_1_in_any_state_of_the_stream(server: ServerConversation, state: str) -> None:
    """An idle stream's is kept for it, a closed one's is discarded."""
    server.send(frames.priority_update(server.in_state(state)))
    server.accepted()


def test_section_7_1_a_push_that_was_never_promised(server: ServerConversation) -> None:
    server.send(frames.priority_update(2))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_7_1_for_more_streams_than_may_be_open() -> None:
    with server_conversation(max_concurrent_streams=3) as server:
        server.send(*[frames.priority_update(stream_id) for stream_id in (3, 5, 7, 3, 5)])
        server.accepted()
    with server_conversation(max_concurrent_streams=3) as server:
        server.send(*[frames.priority_update(stream_id) for stream_id in (3, 5, 7, 9)])
        server.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("how", ["by its field", "by a frame before its request", "by a frame after it"])
def test_section_10_the_more_urgent_stream_goes_first(background: Background, how: str) -> None:
    """Two responses wait for the connection's window; the one that came later is the more urgent one."""
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 2**20}) as server:
        ordinary = _request(server)
        writing = [background(ordinary.write, bytes(200_000))]
        _take(server, 65_535)
        if how == "by a frame before its request":
            server.send(frames.priority_update(3, b"u=0"))
        urgent = _request(server, *([("priority", "u=0")] if how == "by its field" else []))
        if how == "by a frame after it":
            server.send(frames.priority_update(3, b"u=0"))
        server.peer.settled()
        writing.append(background(urgent.write, bytes(100_000)))
        eventually(lambda: waits(ordinary) and waits(urgent))
        server.peer.settled()
        server.send(frames.window_update(0, 60_000))
        taken = _take(server, 60_000)
        assert taken[3] > 2 * taken.get(1, 0)  # others keep a small share, so that they do not starve
        server.send(frames.window_update(0, 2**20))
        assert [future.result(10) for future in writing] == [200_000, 100_000]


def test_section_2_1_the_setting_goes_out_with_the_first_settings() -> None:
    with server_conversation(handshake=False, settings={"no_rfc7540_priorities": True}) as server:
        server.send(PREFACE)
        assert server.peer.expect(SettingsFrame).settings[NO_RFC7540_PRIORITIES] == 1


def _request(server: ServerConversation, *fields: tuple[str, str]) -> Any:
    stream = server.hold((*REQUEST, *fields), END_HEADERS | END_STREAM)
    stream.respond()
    return stream


def _take(server: ServerConversation, count: int) -> dict[int, int]:
    """Octets of DATA by stream, up to `count` of them."""
    taken: dict[int, int] = {}
    while sum(taken.values()) < count:
        frame = server.peer.receive()
        if isinstance(frame, DataFrame):
            taken[frame.stream_id] = taken.get(frame.stream_id, 0) + len(frame.data)
    return taken
