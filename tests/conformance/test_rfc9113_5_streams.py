"""RFC 9113 section 5: streams: which frame may come in which state, ids, limits, windows, errors, extensions."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame, PushPromiseFrame, RstStreamFrame, SettingsFrame

from support.connections.conversations import (
    ACCEPTED,
    STATES,
    ClientConversation,
    Conversation,
    Outcome,
    ServerConversation,
    client_conversation,
    connection_error,
    server_conversation,
    stream_error,
)
from support.octets import frames
from support.octets.fields import REQUEST, UPLOAD
from support.threads.background import Background, eventually
from sync_h2 import ErrorCode, StreamIDsExhausted

OK = ACCEPTED
CONNECTION = connection_error(ErrorCode.PROTOCOL_ERROR)
CONNECTION_CLOSED = connection_error(ErrorCode.STREAM_CLOSED)
STREAM_CLOSED = stream_error(ErrorCode.STREAM_CLOSED)

# Section 5.1, and for PRIORITY section 5.3.2: in which state a frame that is right in itself has which outcome.
# CONTINUATION follows no HEADERS here, and an unknown frame is ignored everywhere (section 5.5).
COLUMNS = ("DATA", "HEADERS", "PRIORITY", "RST_STREAM", "PUSH_PROMISE", "WINDOW_UPDATE", "CONTINUATION", "unknown")
SERVER = {
    # A HEADERS frame on an idle stream is a request: it has a test of its own.
    "idle": (CONNECTION, OK, OK, CONNECTION, CONNECTION, CONNECTION, CONNECTION, OK),
    "open": (OK, OK, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "half_closed_remote": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "half_closed_local": (OK, OK, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "ended": (CONNECTION_CLOSED, CONNECTION_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    # What was under way when our RST_STREAM left is ignored.
    "reset_here": (OK, OK, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "reset_by_peer": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    # After its own RST_STREAM the peer sends no more, whoever was first.
    "reset_by_both": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "reserved": (CONNECTION, CONNECTION, OK, OK, CONNECTION, OK, CONNECTION, OK),
}
CLIENT = {
    "idle": (CONNECTION, CONNECTION, OK, CONNECTION, CONNECTION, CONNECTION, CONNECTION, OK),
    "open": (OK, OK, OK, OK, OK, OK, CONNECTION, OK),
    "half_closed_remote": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "half_closed_local": (OK, OK, OK, OK, OK, OK, CONNECTION, OK),
    "ended": (CONNECTION_CLOSED, CONNECTION_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    # A promise on a stream that we have reset was under way too, but it opened a stream, which is cancelled: it has a
    # test of its own.
    "reset_here": (OK, OK, OK, OK, None, OK, CONNECTION, OK),
    "reset_by_peer": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    # After its own RST_STREAM the peer sends no more, whoever was first.
    "reset_by_both": (STREAM_CLOSED, STREAM_CLOSED, OK, OK, CONNECTION, OK, CONNECTION, OK),
    "reserved": (CONNECTION, OK, OK, OK, CONNECTION, CONNECTION, CONNECTION, OK),
}


def _cases(table: dict[str, tuple[Outcome | None, ...]]) -> list[object]:
    assert tuple(table) == STATES
    return [
        pytest.param(state, kind, outcome, id=f"{kind} in {state}: {outcome}")
        for state, outcomes in table.items()
        for kind, outcome in zip(COLUMNS, outcomes, strict=True)
        if outcome is not None
    ]


def _frame(kind: str, stream_id: int) -> bytes:
    return {
        "DATA": frames.data(stream_id),
        "HEADERS": frames.trailers(stream_id),
        "PRIORITY": frames.priority(stream_id),
        "RST_STREAM": frames.rst_stream(stream_id),
        "PUSH_PROMISE": frames.push_promise(stream_id, 1000),
        "WINDOW_UPDATE": frames.window_update(stream_id, 1),
        "CONTINUATION": frames.continuation(stream_id),
        "unknown": frames.frame(frames.UNKNOWN, 0xFF, stream_id, b"whatever"),
    }[kind]


@pytest.mark.parametrize(("state", "kind", "outcome"), _cases(SERVER))
def test_section_5_1_what_a_server_may_be_sent(
    server: ServerConversation, state: str, kind: str, outcome: Outcome
) -> None:
    stream_id = server.in_state(state)
    if (state, kind) == ("idle", "HEADERS"):
        server.send(frames.request(server.new_id()))
        assert server.answer(stream_id) == ("200", b"")
    else:
        server.send(_frame(kind, stream_id))
    server.check(outcome, stream_id)


@pytest.mark.parametrize(("state", "kind", "outcome"), _cases(CLIENT))
def test_section_5_1_what_a_client_may_be_sent(
    client: ClientConversation, state: str, kind: str, outcome: Outcome
) -> None:
    stream_id = client.in_state(state)
    client.send(frames.response(stream_id) if (state, kind) == ("reserved", "HEADERS") else _frame(kind, stream_id))
    client.check(outcome, stream_id)


def test_section_5_1_a_promise_on_a_stream_that_the_client_has_reset_is_cancelled(client: ClientConversation) -> None:
    stream_id = client.reset_here()
    client.send(frames.push_promise(stream_id, 2))
    client.stream_error(2, ErrorCode.CANCEL)


@pytest.mark.parametrize("kind", ["DATA", "HEADERS"])
def test_section_5_1_what_follows_the_peers_reset_of_a_refused_request_is_a_stream_error(
    server: ServerConversation, kind: str
) -> None:
    stream_id = server.new_id()
    server.send(frames.upload(stream_id, ("X-Upper", "1")), frames.data(stream_id), frames.rst_stream(stream_id))
    server.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)
    server.send(_frame(kind, stream_id))
    server.stream_error(stream_id, ErrorCode.STREAM_CLOSED)


def test_section_5_1_header_blocks_on_closed_streams_still_change_the_compression_state(
    server: ServerConversation,
) -> None:
    """A block that is ignored is decoded all the same (section 4.3)."""
    stream_id = server.reset_here()
    x_is_y = b"\x40" + b"\x01x" + b"\x01y"  # a literal with incremental indexing: entry 62 from here on
    server.send(frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, x_is_y))
    stream_id = server.new_id()
    server.send(
        frames.frame(
            frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, frames.block(*REQUEST) + b"\xbe"
        )
    )
    assert server.answer(stream_id) == ("200", b"")
    assert server.requests[-1]["x"] == "y"


def test_section_5_1_data_on_a_reset_stream_returns_the_connections_credit() -> None:
    """Otherwise the connection would stand still in the end: section 6.9 counts these octets too."""
    window = 128 * 1024
    with server_conversation(max_session_memory=2 * window) as server:
        stream_id = server.reset_here()
        for _ in range(4 * window // 16_384):
            server.send(frames.data(stream_id, bytes(16_384)))
            server.peer.settled()
        server.accepted()


# Section 5.1.1: stream identifiers


@pytest.mark.parametrize("stream_id", [2, 4, 2**31 - 2])
def test_section_5_1_1_a_client_opens_streams_with_odd_ids(server: ServerConversation, stream_id: int) -> None:
    server.send(frames.request(stream_id))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_id", [1, 3])
def test_section_5_1_1_ids_go_up(server: ServerConversation, stream_id: int) -> None:
    server.send(frames.request(5))
    assert server.answer(5) == ("200", b"")
    server.send(frames.request(stream_id))
    server.connection_error(ErrorCode.PROTOCOL_ERROR, last_stream_id=5)


def test_section_5_1_1_an_id_is_not_used_twice(server: ServerConversation) -> None:
    server.send(frames.request(server.ended()))
    server.connection_error(ErrorCode.STREAM_CLOSED)


def test_section_5_1_1_a_higher_id_closes_the_idle_streams_below_it(server: ServerConversation) -> None:
    """Frames on them are frames on closed streams from then on, not on idle ones."""
    server.send(frames.request(5))
    assert server.answer(5) == ("200", b"")
    server.send(frames.window_update(3, 1), frames.rst_stream(3))
    server.last_stream_id = 5
    server.accepted()


def test_section_5_1_1_the_highest_id_is_an_id(server: ServerConversation) -> None:
    server.send(frames.request(2**31 - 1))
    assert server.answer(2**31 - 1) == ("200", b"")


def test_section_5_1_1_a_client_out_of_ids_says_so_and_drains(client: ClientConversation) -> None:
    with client.session._monitor, client.session._lock:
        client.session._protocol._table.highest_outbound_stream_id = 2**31 - 3
    last = client.request()
    assert last.id == 2**31 - 1
    with pytest.raises(StreamIDsExhausted) as raised:
        client.session.request()
    assert raised.value.retryable
    client.send(frames.response(2**31 - 1), frames.data(2**31 - 1, b"the last", frames.END_STREAM))
    assert last.read() == b"the last"
    assert client.peer.farewell().error_code == ErrorCode.NO_ERROR


@pytest.mark.parametrize("promised_id", [0, 1, 3, 2**31 - 1])
def test_section_5_1_1_a_server_promises_streams_with_even_ids(client: ClientConversation, promised_id: int) -> None:
    client.send(frames.push_promise(client.open(), promised_id))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_5_1_1_promised_ids_go_up(client: ClientConversation) -> None:
    stream_id = client.open()
    client.send(frames.push_promise(stream_id, 4), frames.push_promise(stream_id, 2))
    client.connection_error(ErrorCode.PROTOCOL_ERROR, last_stream_id=4)


# Section 5.1.2: concurrency


@pytest.mark.parametrize("held", ["open", "half_closed_remote", "half_closed_local"])
def test_section_5_1_2_a_stream_over_the_limit_is_refused(held: str) -> None:
    with server_conversation(max_concurrent_streams=2) as server:
        first = server.in_state(held)
        server.in_state(held)
        server.send(frames.request(server.new_id()))
        reset = server.peer.expect(RstStreamFrame)
        assert (reset.stream_id, reset.error_code) == (server.last_stream_id, ErrorCode.REFUSED_STREAM)
        # One less, and there is room again.
        server.send(frames.rst_stream(first))
        server.accepted()


def test_section_5_1_2_the_block_of_a_refused_stream_is_decoded() -> None:
    with server_conversation(max_concurrent_streams=1) as server:
        held = server.open()
        with_indexing = frames.block(*REQUEST) + b"\x40" + b"\x01x" + b"\x01y"
        ends = frames.END_HEADERS | frames.END_STREAM
        server.send(frames.frame(frames.HEADERS, ends, server.new_id(), with_indexing))
        assert server.peer.expect(RstStreamFrame).error_code == ErrorCode.REFUSED_STREAM
        stream_id = server.new_id()
        server.send(frames.rst_stream(held))
        server.send(frames.frame(frames.HEADERS, ends, stream_id, frames.block(*REQUEST) + b"\xbe"))
        assert server.answer(stream_id) == ("200", b"")
        assert server.requests[-1]["x"] == "y"


def test_section_5_1_2_a_client_keeps_to_its_servers_limit(background: Background) -> None:
    with client_conversation(peer_settings={frames.MAX_CONCURRENT_STREAMS: 2}) as client:
        client.send(frames.ping())
        client.peer.expect(PingFrame)
        client.half_closed_local()
        client.half_closed_local()
        third = background(client.request)
        eventually(lambda: client.session._pending)
        client.send(frames.ping(b"no third"))
        said = client.peer.receive()
        assert isinstance(said, PingFrame)  # and no HEADERS
        client.send(frames.data(1, b"", frames.END_STREAM))
        assert third.result(5).id == 5


def test_section_5_1_2_a_lower_limit_does_not_touch_the_streams_that_are_open(background: Background) -> None:
    with client_conversation() as client:
        first, second = client.half_closed_local(), client.half_closed_local()
        client.send(frames.settings((frames.MAX_CONCURRENT_STREAMS, 0)))
        client.peer.expect(SettingsFrame)
        third = background(client.request)
        eventually(lambda: client.session._pending)
        client.send(frames.data(first, b"1", frames.END_STREAM), frames.data(second, b"2", frames.END_STREAM))
        assert [stream.read() for stream in client.streams] == [b"1", b"2"]
        client.send(frames.settings((frames.MAX_CONCURRENT_STREAMS, 1)))
        assert third.result(5).id == 5


def test_section_5_1_2_reserved_streams_do_not_count() -> None:
    with server_conversation(peer_settings={frames.MAX_CONCURRENT_STREAMS: 1}) as server:
        stream = server.hold()
        pushed = stream.push_stream()
        assert server.peer.expect(PushPromiseFrame).promised_stream_id == pushed.id
        pushed.respond()
        pushed.end(b"pushed")
        assert server.peer.expect(DataFrame, pushed.id).data == b"pushed"
        server.accepted()


def test_section_5_1_2_a_client_refuses_pushed_streams_over_its_limit() -> None:
    with client_conversation(max_concurrent_streams=1) as client:
        stream_id = client.half_closed_local()
        client.send(frames.push_promise(stream_id, 2), frames.response(2), frames.push_promise(stream_id, 4))
        client.stream_error(4, ErrorCode.REFUSED_STREAM)


# Section 5.2: flow control


def test_section_5_2_1_only_data_is_flow_controlled() -> None:
    """With a window of nothing, everything but DATA goes."""
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 0}) as server:
        stream = server.hold(UPLOAD)
        stream.respond(wait_for_trailers=True)
        assert server.peer.expect(HeadersFrame, stream.id)
        stream.send_trailers({"x-checksum": "0"})
        assert "END_STREAM" in server.peer.expect(HeadersFrame, stream.id).flags
        server.send(frames.ping())
        assert server.peer.expect(PingFrame).opaque_data == b"a ping.."


def test_section_5_2_1_no_octet_of_data_goes_beyond_the_peers_window(background: Background) -> None:
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 3}) as server:
        stream = server.hold()
        writing = background(stream.write, b"one two")
        assert server.peer.expect(DataFrame, stream.id).data == b"one"
        assert server.peer.settled() == []
        server.send(frames.window_update(1, 2))
        assert server.peer.expect(DataFrame, stream.id).data == b" t"
        server.send(frames.window_update(1, 100))
        assert server.peer.expect(DataFrame, stream.id).data == b"wo"
        assert writing.result(5) == 7


# Section 5.3: priorities


def test_section_5_3_1_a_stream_that_depends_on_itself_by_headers(server: ServerConversation) -> None:
    """RFC 7540 section 5.3.1, which RFC 9113 has deprecated together with the fields."""
    stream_id = server.new_id()
    payload = frames.number(stream_id) + b"\x0f" + frames.block(*UPLOAD)
    server.send(frames.frame(frames.HEADERS, frames.END_HEADERS | frames.HAS_PRIORITY, stream_id, payload))
    server.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


def test_section_5_3_1_a_stream_that_depends_on_itself_by_priority(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.send(frames.priority(stream_id, depends_on=stream_id))
    either.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("weight", [0, 255])
@pytest.mark.parametrize("depends_on", [0, 1, 7, 2**31 - 1, frames.RESERVED_BIT | 1])
def test_section_5_3_2_priority_signals_have_no_effect_on_correctness(depends_on: int, weight: int) -> None:
    with server_conversation() as server:
        payload = frames.number(depends_on) + bytes((weight,)) + frames.block(*REQUEST)
        flags = frames.END_HEADERS | frames.END_STREAM | frames.HAS_PRIORITY
        server.send(frames.priority(3, depends_on, weight), frames.frame(frames.HEADERS, flags, 5, payload))
        assert server.answer(5) == ("200", b"")
        server.last_stream_id = 5
        server.accepted()


# Section 5.4: errors


def test_section_5_4_1_goaway_names_the_last_stream_and_then_the_connection_closes(server: ServerConversation) -> None:
    server.open()
    server.half_closed_remote()
    server.send(frames.data(0))
    goaway = server.connection_error(ErrorCode.PROTOCOL_ERROR)
    assert goaway.last_stream_id == 3


def test_section_5_4_1_what_came_before_the_error_counts(server: ServerConversation) -> None:
    """In one segment: a good request, then a frame that ends the connection."""
    server.send(frames.request(1), frames.data(0), frames.request(3))
    server.connection_error(ErrorCode.PROTOCOL_ERROR, last_stream_id=1)


def test_section_5_4_2_a_reset_is_not_answered_with_a_reset(either: Conversation) -> None:
    stream_id = either.in_state("reset_by_peer")
    either.send(frames.rst_stream(stream_id), frames.rst_stream(stream_id, ErrorCode.PROTOCOL_ERROR))
    either.accepted()


def test_section_5_4_2_several_frames_on_a_bad_stream_are_reset_once(server: ServerConversation) -> None:
    stream_id = server.half_closed_remote()
    server.send(frames.data(stream_id), frames.data(stream_id), frames.data(stream_id))
    server.stream_error(stream_id, ErrorCode.STREAM_CLOSED)


@pytest.mark.parametrize("ending", ["before any frame", "in a frame's header", "in a frame's payload"])
def test_section_5_4_3_the_connection_may_end_anywhere(server: ServerConversation, ending: str) -> None:
    half_a_frame = frames.data(1, b"half of this never comes")
    server.hold()
    server.send(half_a_frame[: {"before any frame": 0, "in a frame's header": 5, "in a frame's payload": 20}[ending]])
    server.peer.close()
    eventually(lambda: server.session._gone)


# Section 5.5: extensions


@pytest.mark.parametrize("kind", [0xB, 0xD, 0xF, 0x11, 0x3A, 0xFF])
def test_section_5_5_frames_of_unknown_types_are_ignored(either: Conversation, kind: int) -> None:
    for stream_id in (0, 1, 2, 99):
        either.send(frames.frame(kind, 0xFF, stream_id, bytes(300)), frames.frame(kind, 0, stream_id))
    either.accepted()


def test_section_5_5_a_frame_of_an_unknown_type_may_not_interrupt_a_header_block(either: Conversation) -> None:
    stream_id = either.in_state("half_closed_local")
    either.send(frames.trailers(stream_id, flags=frames.END_STREAM), frames.frame(frames.UNKNOWN, 0, 0))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)
