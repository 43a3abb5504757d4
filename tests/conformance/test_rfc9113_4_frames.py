"""RFC 9113 section 4: the frame format, its size, and header blocks."""

from __future__ import annotations

import pytest
from hyperframe.frame import SettingsFrame

from support.connections.conversations import ClientConversation, Conversation, ServerConversation, server_conversation
from support.octets import frames
from support.octets.fields import REQUEST
from support.octets.frames import END_HEADERS, END_STREAM
from sync_h2 import ErrorCode
from sync_h2.constants import PREFACE

# Section 4.1: frame format


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        # The flags that each type has not got (DATA: 0x1 and 0x8; HEADERS: 0x1, 0x4, 0x8 and 0x20; ...).
        pytest.param(frames.DATA, b"x", id="DATA"),
        pytest.param(frames.PRIORITY, frames.number(0) + b"\x0f", id="PRIORITY"),
        pytest.param(frames.WINDOW_UPDATE, frames.number(1), id="WINDOW_UPDATE"),
    ],
)
def test_section_4_1_undefined_flags_on_a_stream_are_ignored(either: Conversation, kind: int, payload: bytes) -> None:
    flags = 0xFF & ~(END_STREAM | frames.PADDED) if kind == frames.DATA else 0xFF
    either.send(frames.frame(kind, flags, either.in_state("open"), payload))
    either.accepted()


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        pytest.param(
            frames.SETTINGS, frames.number(frames.INITIAL_WINDOW_SIZE, 2) + frames.number(70_000), id="SETTINGS"
        ),
        pytest.param(frames.PING, b"8 octets", id="PING"),
        pytest.param(frames.WINDOW_UPDATE, frames.number(1), id="WINDOW_UPDATE"),
    ],
)
def test_section_4_1_undefined_flags_on_stream_0_are_ignored(either: Conversation, kind: int, payload: bytes) -> None:
    either.send(frames.frame(kind, 0xFF & ~frames.ACK, 0, payload))
    either.accepted()


def test_section_4_1_undefined_flags_of_headers_are_ignored(server: ServerConversation) -> None:
    server.send(frames.request(server.new_id(), flags=END_HEADERS | END_STREAM | 0xD2))
    assert server.answer(1) == ("200", b"")


def test_section_4_1_the_reserved_bit_is_ignored(server: ServerConversation) -> None:
    stream_id = server.new_id()
    server.send(frames.upload(stream_id | frames.RESERVED_BIT))
    server.send(frames.data(stream_id | frames.RESERVED_BIT, b"body", END_STREAM))
    server.send(frames.frame(frames.PING, 0, frames.RESERVED_BIT, b"8 octets"))
    assert server.answer(stream_id) == ("200", b"body")
    server.accepted()


# Section 4.2: frame size


def test_section_4_2_frames_of_2_14_octets_are_always_taken(server: ServerConversation) -> None:
    body = bytes(2**14)
    stream_id = server.new_id()
    server.send(frames.upload(stream_id), frames.data(stream_id, body, END_STREAM))
    assert server.answer(stream_id) == ("200", body)


@pytest.mark.parametrize("kind", range(10))
def test_section_4_2_a_frame_over_the_limit(either: Conversation, kind: int) -> None:
    """Refused when its header has come: the payload need not."""
    stream_id = 0 if kind in (frames.SETTINGS, frames.PING, frames.GOAWAY) else either.in_state("open")
    either.send(frames.frame(kind, 0, stream_id, length=2**14 + 1))
    either.connection_error(ErrorCode.FRAME_SIZE_ERROR)


def test_section_4_2_a_larger_limit_of_ours_is_kept_to() -> None:
    with server_conversation(settings={"max_frame_size": 20_000}) as server:
        stream_id = server.new_id()
        server.send(frames.upload(stream_id), frames.data(stream_id, bytes(20_000), END_STREAM))
        assert server.answer(stream_id) == ("200", bytes(20_000))
        stream_id = server.new_id()
        server.send(frames.upload(stream_id), frames.data(stream_id, bytes(20_001), END_STREAM))
        server.connection_error(ErrorCode.FRAME_SIZE_ERROR)


def test_section_4_2_a_lower_limit_holds_from_its_acknowledgement_on() -> None:
    with server_conversation(settings={"max_frame_size": 20_000}) as server:
        server.session.settings({"max_frame_size": 16_384})
        stream_id = server.open()
        server.send(frames.data(stream_id, bytes(20_000)))
        server.accepted()
        server.send(frames.settings_ack(), frames.data(stream_id, bytes(16_385)))
        server.connection_error(ErrorCode.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("limit", [16_384, 30_000])
def test_section_4_2_no_frame_of_ours_is_larger_than_the_peer_allows(limit: int) -> None:
    """DATA and header blocks are cut to the peer's SETTINGS_MAX_FRAME_SIZE."""
    with server_conversation(peer_settings={frames.MAX_FRAME_SIZE: limit}) as server:
        stream = server.hold()
        stream.respond({"x-long": "{~" * 9000})  # Huffman coding makes 31,500 octets of these
        stream.write(bytes(40_000))
        sizes: dict[int, list[int]] = {frames.HEADERS: [], frames.CONTINUATION: [], frames.DATA: []}
        while sum(sizes[frames.DATA]) < 40_000:
            header = server.peer._read(9)
            length = int.from_bytes(header[:3], "big")
            server.peer._read(length)
            sizes[header[3]].append(length)
        assert sizes[frames.HEADERS] == [limit]
        assert 0 < sizes[frames.CONTINUATION][0] <= limit
        assert max(sizes[frames.DATA]) == limit


# Section 4.3: header compression and blocks

BLOCK = frames.block(*REQUEST, ("x-split", "yes"))


@pytest.mark.parametrize("at", [0, 1, 7, len(BLOCK) - 1, len(BLOCK)])
def test_section_4_3_a_block_may_be_split_anywhere(server: ServerConversation, at: int) -> None:
    stream_id = server.new_id()
    server.send(frames.frame(frames.HEADERS, END_STREAM, stream_id, BLOCK[:at]))
    server.send(frames.continuation(stream_id, BLOCK[at:]))
    assert server.answer(stream_id) == ("200", b"")
    assert server.requests[-1]["x-split"] == "yes"


def test_section_4_3_a_block_may_be_split_into_many_frames(server: ServerConversation) -> None:
    stream_id = server.new_id()
    pieces = [BLOCK[start : start + 6] for start in range(0, len(BLOCK), 6)]
    assert len(pieces) > 10
    server.send(frames.frame(frames.HEADERS, END_STREAM, stream_id, pieces[0]))
    server.send(*[frames.continuation(stream_id, piece, 0) for piece in pieces[1:]], frames.continuation(stream_id))
    assert server.answer(stream_id) == ("200", b"")
    assert server.requests[-1]["x-split"] == "yes"


@pytest.mark.parametrize(
    "interruption",
    [
        pytest.param(frames.data(1), id="DATA"),
        pytest.param(frames.trailers(1), id="HEADERS of the same stream"),
        pytest.param(frames.request(5), id="HEADERS of another stream"),
        pytest.param(frames.priority(1), id="PRIORITY"),
        pytest.param(frames.rst_stream(1), id="RST_STREAM"),
        pytest.param(frames.settings(), id="SETTINGS"),
        pytest.param(frames.ping(), id="PING"),
        pytest.param(frames.goaway(0), id="GOAWAY"),
        pytest.param(frames.window_update(0, 1), id="WINDOW_UPDATE"),
        pytest.param(frames.continuation(3), id="CONTINUATION of another stream"),
        pytest.param(frames.push_promise(1, 2), id="PUSH_PROMISE"),
        pytest.param(frames.frame(frames.UNKNOWN, 0, 1), id="an unknown frame"),
    ],
)
def test_section_4_3_a_block_is_contiguous(either: Conversation, interruption: bytes) -> None:
    stream_id = either.in_state("half_closed_local")
    either.send(frames.trailers(stream_id, flags=END_STREAM), interruption)
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_4_3_a_block_that_cannot_be_decoded_is_a_connection_error(either: Conversation) -> None:
    """Wherever it comes: the compression state is the connection's. The ways to go wrong are RFC 7541's."""
    stream_id = either.in_state("half_closed_local")
    either.send(frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, stream_id, b"\x80"))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize("state", ["reset_here", "reset_by_peer"])
def test_section_4_3_also_on_a_stream_that_is_closed(either: Conversation, state: str) -> None:
    stream_id = either.in_state(state)
    either.send(frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, stream_id, b"\x80"))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_3_1_the_table_has_4096_octets_until_settings_say_otherwise() -> None:
    """Also for what the peer sends before it has seen our SETTINGS."""
    table_update_to_4096 = frames.integer(4096, 5, 0x20)
    with server_conversation(handshake=False, settings={"header_table_size": 0}) as server:
        payload = table_update_to_4096 + frames.block(*REQUEST)
        server.send(PREFACE, frames.settings(), frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, 1, payload))
        assert server.answer(1) == ("200", b"")


def test_section_4_3_1_a_smaller_table_is_acknowledged_by_the_next_block(server: ServerConversation) -> None:
    """Ours shrinks when the peer's SETTINGS say so, and the next block begins with that (RFC 7541 section 4.2)."""
    server.send(frames.settings((frames.HEADER_TABLE_SIZE, 0)))
    server.peer.expect(SettingsFrame)
    server.hold().respond({"x-indexed": "no"})
    header = server.peer._read(9)
    while header[3] != frames.HEADERS:
        server.peer._read(int.from_bytes(header[:3], "big"))
        header = server.peer._read(9)
    block = server.peer._read(int.from_bytes(header[:3], "big"))
    assert block[0] == 0x20  # dynamic table size update: 0
    server.peer._decoder.max_allowed_table_size = 0
    assert ("x-indexed", "no") in server.peer._decoder.decode(block)
    assert not server.peer._decoder.header_table.dynamic_entries


def test_section_4_3_a_response_may_be_split(client: ClientConversation) -> None:
    stream = client.request()
    client.send(frames.frame(frames.HEADERS, 0, 1), frames.continuation(1, b"\x88", 0), frames.continuation(1))
    assert stream.wait_response()[":status"] == "200"
    client.accepted()
