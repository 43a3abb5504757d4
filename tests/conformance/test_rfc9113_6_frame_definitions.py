"""RFC 9113 section 6: what each frame type demands, and section 7: error codes."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from support.connections.conversations import (
    ACCEPTED,
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
from support.octets.frames import END_HEADERS, END_STREAM, PADDED
from support.peers.raw_peer import PATIENCE
from support.threads.background import Background, eventually, waits
from sync_h2 import ErrorCode, StreamReset

PROTOCOL_ERROR = connection_error(ErrorCode.PROTOCOL_ERROR)
FRAME_SIZE_ERROR = connection_error(ErrorCode.FRAME_SIZE_ERROR)
FLOW_CONTROL_ERROR = connection_error(ErrorCode.FLOW_CONTROL_ERROR)
LARGEST_WINDOW = 2**31 - 1


def padded(
    kind: int, flags: int, stream_id: int, content: bytes, padding: int, *, announced: int | None = None
) -> bytes:
    length = padding if announced is None else announced
    return frames.frame(kind, flags | PADDED, stream_id, bytes((length,)) + content + bytes(padding))


# Frames that belong to a stream, and frames that belong to the connection


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(frames.data(0), id="6.1 DATA"),
        pytest.param(frames.request(0), id="6.2 HEADERS"),
        pytest.param(frames.priority(0), id="6.3 PRIORITY"),
        pytest.param(frames.rst_stream(0), id="6.4 RST_STREAM"),
        pytest.param(frames.push_promise(0, 2), id="6.6 PUSH_PROMISE"),
        pytest.param(frames.continuation(0), id="6.10 CONTINUATION"),
    ],
)
def test_section_6_frames_of_streams_on_stream_0(either: Conversation, octets: bytes) -> None:
    either.send(octets)
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "kind_and_payload",
    [
        pytest.param((frames.SETTINGS, b""), id="6.5 SETTINGS"),
        pytest.param((frames.PING, b"8 octets"), id="6.7 PING"),
        pytest.param((frames.GOAWAY, bytes(8)), id="6.8 GOAWAY"),
    ],
)
@pytest.mark.parametrize("state", ["open", "idle"])
def test_section_6_frames_of_the_connection_on_a_stream(
    either: Conversation, state: str, kind_and_payload: tuple[int, bytes]
) -> None:
    kind, payload = kind_and_payload
    either.send(frames.frame(kind, 0, either.in_state(state), payload))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("kind", "flags", "on_stream", "length", "outcome"),
    [
        pytest.param(frames.DATA, PADDED, True, 0, FRAME_SIZE_ERROR, id="6.1 padded DATA without a pad length"),
        pytest.param(frames.HEADERS, PADDED, True, 0, FRAME_SIZE_ERROR, id="6.2 padded HEADERS without a pad length"),
        pytest.param(
            frames.HEADERS, END_HEADERS | frames.HAS_PRIORITY, True, 4, FRAME_SIZE_ERROR, id="6.2 HEADERS, priority cut"
        ),
        pytest.param(frames.PRIORITY, 0, True, 4, stream_error(ErrorCode.FRAME_SIZE_ERROR), id="6.3 PRIORITY of 4"),
        pytest.param(frames.PRIORITY, 0, True, 6, stream_error(ErrorCode.FRAME_SIZE_ERROR), id="6.3 PRIORITY of 6"),
        pytest.param(frames.RST_STREAM, 0, True, 3, FRAME_SIZE_ERROR, id="6.4 RST_STREAM of 3"),
        pytest.param(frames.RST_STREAM, 0, True, 5, FRAME_SIZE_ERROR, id="6.4 RST_STREAM of 5"),
        pytest.param(frames.SETTINGS, 0, False, 1, FRAME_SIZE_ERROR, id="6.5 SETTINGS of 1"),
        pytest.param(frames.SETTINGS, 0, False, 7, FRAME_SIZE_ERROR, id="6.5 SETTINGS of 7"),
        pytest.param(frames.SETTINGS, frames.ACK, False, 6, FRAME_SIZE_ERROR, id="6.5 SETTINGS with ACK and a value"),
        pytest.param(frames.PING, 0, False, 7, FRAME_SIZE_ERROR, id="6.7 PING of 7"),
        pytest.param(frames.PING, 0, False, 9, FRAME_SIZE_ERROR, id="6.7 PING of 9"),
        pytest.param(frames.PING, frames.ACK, False, 0, FRAME_SIZE_ERROR, id="6.7 PING with ACK of 0"),
        pytest.param(frames.GOAWAY, 0, False, 7, FRAME_SIZE_ERROR, id="6.8 GOAWAY of 7"),
        pytest.param(frames.WINDOW_UPDATE, 0, True, 3, FRAME_SIZE_ERROR, id="6.9 WINDOW_UPDATE of 3 on a stream"),
        pytest.param(frames.WINDOW_UPDATE, 0, True, 5, FRAME_SIZE_ERROR, id="6.9 WINDOW_UPDATE of 5 on a stream"),
        pytest.param(frames.WINDOW_UPDATE, 0, False, 3, FRAME_SIZE_ERROR, id="6.9 WINDOW_UPDATE of 3 on stream 0"),
    ],
)
def test_section_6_frames_of_the_wrong_size(
    either: Conversation, kind: int, flags: int, on_stream: bool, length: int, outcome: Outcome
) -> None:
    stream_id = either.in_state("open") if on_stream else 0
    either.send(frames.frame(kind, flags, stream_id, bytes(length)))
    either.check(outcome, stream_id)


@pytest.mark.parametrize("state", ["idle", "ended"])
def test_section_6_3_a_priority_of_the_wrong_size_where_no_stream_is(either: Conversation, state: str) -> None:
    """A stream error by section 6.3; but section 6.4 has no RST_STREAM for idle streams, so it is one of the
    connection (section 5.4.1 allows that), as it always is in nghttp2.
    """
    either.send(frames.frame(frames.PRIORITY, 0, either.in_state(state), bytes(4)))
    either.connection_error(ErrorCode.FRAME_SIZE_ERROR)


# 6.1 DATA, and the padding of 6.1, 6.2 and 6.6


@pytest.mark.parametrize(("body", "padding"), [(b"", 0), (b"", 255), (b"padded", 0), (b"padded", 1), (b"padded", 255)])
def test_section_6_1_padding_is_no_part_of_the_body(server: ServerConversation, body: bytes, padding: int) -> None:
    stream_id = server.new_id()
    server.send(frames.upload(stream_id), padded(frames.DATA, END_STREAM, stream_id, body, padding))
    assert server.answer(stream_id) == ("200", body)


@pytest.mark.parametrize("excess", [0, 1, 200])
def test_section_6_1_padding_as_long_as_the_frame_or_longer(either: Conversation, excess: int) -> None:
    stream_id = either.in_state("open")
    either.send(padded(frames.DATA, 0, stream_id, b"", 9, announced=10 + excess))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("padding", "outcome"), [(9, ACCEPTED), (10, stream_error(ErrorCode.FLOW_CONTROL_ERROR))], ids=str
)
def test_section_6_1_padding_and_its_length_count_in_flow_control(padding: int, outcome: Outcome) -> None:
    with server_conversation(settings={"initial_window_size": 10}) as server:
        stream_id = server.open()
        server.send(padded(frames.DATA, 0, stream_id, b"", padding))
        server.check(outcome, stream_id)


def test_section_6_1_padding_of_a_stream_that_is_never_read_returns_its_credit() -> None:
    """The application never sees it, so nobody would ever read it."""
    with server_conversation(settings={"initial_window_size": 100}) as server:
        stream_id = server.open()
        server.send(padded(frames.DATA, 0, stream_id, b"", 99))
        assert server.peer.expect(WindowUpdateFrame, stream_id).window_increment == 100


@pytest.mark.parametrize("padding", [0, 255])
def test_section_6_2_headers_may_be_padded(server: ServerConversation, padding: int) -> None:
    flags, stream_id = END_HEADERS | END_STREAM, server.new_id()
    server.send(padded(frames.HEADERS, flags, stream_id, frames.block(*REQUEST), padding))
    assert server.answer(stream_id) == ("200", b"")


def test_section_6_2_padding_priority_and_continuation_together(server: ServerConversation) -> None:
    block = frames.block(*REQUEST)
    flags, stream_id = END_STREAM | frames.HAS_PRIORITY, server.new_id()
    server.send(padded(frames.HEADERS, flags, stream_id, frames.number(0) + b"\x0f" + block[:10], 30))
    server.send(frames.continuation(stream_id, block[10:]))
    assert server.answer(stream_id) == ("200", b"")


@pytest.mark.parametrize("announced", [4, 5, 255])
def test_section_6_2_padding_of_headers_as_long_as_the_frame_or_longer(either: Conversation, announced: int) -> None:
    stream_id = either.in_state("half_closed_local")
    either.send(padded(frames.HEADERS, END_HEADERS | END_STREAM, stream_id, b"", 3, announced=announced))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_2_padding_may_not_reach_into_the_priority(server: ServerConversation) -> None:
    """Six octets, of which the padding takes three: five are missing for the priority fields."""
    payload = b"\x03" + bytes(5)
    server.send(frames.frame(frames.HEADERS, END_HEADERS | PADDED | frames.HAS_PRIORITY, 1, payload))
    server.connection_error(ErrorCode.FRAME_SIZE_ERROR)


def test_section_6_6_padding_of_a_promise_as_long_as_the_frame_or_longer(client: ClientConversation) -> None:
    stream_id = client.open()
    client.send(padded(frames.PUSH_PROMISE, END_HEADERS, stream_id, frames.number(2), 0, announced=5))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


# 6.4 RST_STREAM, and section 7


@pytest.mark.parametrize("code", [*ErrorCode, 0xE, 0xFF, 2**32 - 1])
def test_section_6_4_any_code_resets_the_stream_and_nothing_else(client: ClientConversation, code: int) -> None:
    """Section 7: "Unknown or unsupported error codes MUST NOT trigger any special behavior"."""
    stream = client.request()
    client.send(frames.rst_stream(1, code))
    with pytest.raises(StreamReset) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.code == stream.rst_code == code
    assert raised.value.retryable is (code == ErrorCode.REFUSED_STREAM)
    client.accepted()


def test_section_6_4_a_handler_hears_of_the_reset(server: ServerConversation) -> None:
    stream = server.hold()
    server.send(frames.rst_stream(1, 0xE))
    with pytest.raises(StreamReset) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.code == 0xE
    server.accepted()


# 6.5 SETTINGS


def test_section_6_5_settings_are_acknowledged_at_once_and_one_by_one(either: Conversation) -> None:
    either.send(frames.settings(), frames.settings((frames.MAX_FRAME_SIZE, 20_000)), frames.settings((0xABCD, 7)))
    acknowledged = [frame for frame in either.peer.settled() if isinstance(frame, SettingsFrame)]
    assert [(set(frame.flags), frame.settings) for frame in acknowledged] == [({"ACK"}, {})] * 3


def test_section_6_5_an_acknowledgement_that_nobody_waits_for(either: Conversation) -> None:
    """The RFC names no error; nghttp2 too takes it for PROTOCOL_ERROR."""
    either.send(frames.settings_ack())
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("setting", "value", "outcome"),
    [
        (frames.HEADER_TABLE_SIZE, 0, ACCEPTED),
        (frames.HEADER_TABLE_SIZE, 2**32 - 1, ACCEPTED),
        (frames.ENABLE_PUSH, 0, ACCEPTED),
        (frames.ENABLE_PUSH, 2, PROTOCOL_ERROR),
        (frames.ENABLE_PUSH, 2**32 - 1, PROTOCOL_ERROR),
        (frames.MAX_CONCURRENT_STREAMS, 2**32 - 1, ACCEPTED),
        (frames.INITIAL_WINDOW_SIZE, 0, ACCEPTED),
        (frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW, ACCEPTED),
        (frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW + 1, FLOW_CONTROL_ERROR),
        (frames.INITIAL_WINDOW_SIZE, 2**32 - 1, FLOW_CONTROL_ERROR),
        (frames.MAX_FRAME_SIZE, 16_383, PROTOCOL_ERROR),
        (frames.MAX_FRAME_SIZE, 16_384, ACCEPTED),
        (frames.MAX_FRAME_SIZE, 2**24 - 1, ACCEPTED),
        (frames.MAX_FRAME_SIZE, 2**24, PROTOCOL_ERROR),
        (frames.MAX_HEADER_LIST_SIZE, 0, ACCEPTED),
        (frames.MAX_HEADER_LIST_SIZE, 2**32 - 1, ACCEPTED),
        (0x0, 1, ACCEPTED),
        (0x7, 2**32 - 1, ACCEPTED),
        (0xFFFF, 0, ACCEPTED),
    ],
    ids=str,
)
def test_section_6_5_2_values(either: Conversation, setting: int, value: int, outcome: Outcome) -> None:
    """What is out of range ends the connection; unknown settings are ignored; the rest is taken."""
    either.send(frames.settings((setting, value)))
    if outcome is ACCEPTED and setting == frames.INITIAL_WINDOW_SIZE and not value:
        either.send(frames.settings((setting, 100)))  # so that the request that proves it can be answered
    either.check(outcome, 0)


def test_section_6_5_2_only_clients_allow_push(server: ServerConversation, client: ClientConversation) -> None:
    """ "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as a connection error"."""
    server.send(frames.settings((frames.ENABLE_PUSH, 1)))
    server.accepted()
    client.send(frames.settings((frames.ENABLE_PUSH, 1)))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_5_2_one_bad_value_among_good_ones(either: Conversation) -> None:
    either.send(frames.settings((frames.HEADER_TABLE_SIZE, 100), (frames.MAX_FRAME_SIZE, 1), (0xABCD, 1)))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_5_3_values_are_taken_in_the_order_of_the_frame(server: ServerConversation) -> None:
    """The same setting twice: the last one counts."""
    server.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 10), (frames.INITIAL_WINDOW_SIZE, 4)))
    server.peer.expect(SettingsFrame, matching=lambda frame: "ACK" in frame.flags)
    stream = server.hold()
    stream.respond()
    stream.wfile.write(b"1234")
    assert server.peer.expect(DataFrame).data == b"1234"
    assert server.session._protocol.outbound_window(1) == 0


def test_section_6_5_3_settings_that_are_not_acknowledged() -> None:
    with server_conversation(handshake=False, settings_timeout=0.05) as server:
        server.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frames.settings())
        goaway = server.connection_error(ErrorCode.SETTINGS_TIMEOUT)
        assert goaway.additional_data == b"settings_timeout"


# 6.6 PUSH_PROMISE (the promised request's rules are section 8.4's)


def test_section_6_6_a_client_never_promises(server: ServerConversation) -> None:
    server.send(frames.push_promise(server.open(), 2))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_6_a_promise_is_refused_with_an_error_when_push_is_switched_off() -> None:
    with client_conversation(settings={"enable_push": False}) as client:
        client.send(frames.push_promise(client.open(), 2))
        client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_6_a_promise_that_crosses_the_settings_is_only_cancelled() -> None:
    """Until the server has acknowledged that push is off, it may promise."""
    with client_conversation(handshake=False, settings={"enable_push": False}) as client:
        client.peer.receive_preface()
        client.send(frames.settings())
        stream = client.request()
        client.send(frames.push_promise(_id(stream), 2))
        client.stream_error(2, ErrorCode.CANCEL)


@pytest.mark.parametrize("length", [0, 3])
def test_section_6_6_a_promise_without_its_id(client: ClientConversation, length: int) -> None:
    client.send(frames.frame(frames.PUSH_PROMISE, END_HEADERS, client.open(), bytes(length)))
    client.connection_error(ErrorCode.FRAME_SIZE_ERROR)


def test_section_6_6_the_reserved_bit_of_the_promised_id_is_ignored(client: ClientConversation) -> None:
    stream_id = client.half_closed_local()
    client.send(frames.push_promise(stream_id, 2 | frames.RESERVED_BIT), frames.response(2), frames.data(2, b"pushed"))
    client.send(frames.data(2, b"", END_STREAM))
    pushed = client.streams[0].wait_push(timeout=PATIENCE)
    assert pushed is not None
    assert (pushed.id, pushed.read()) == (2, b"pushed")


def test_section_6_6_an_id_is_promised_once(client: ClientConversation) -> None:
    stream_id = client.open()
    client.send(frames.push_promise(stream_id, 2), frames.push_promise(stream_id, 2))
    client.connection_error(ErrorCode.PROTOCOL_ERROR, last_stream_id=2)


def test_section_6_6_the_block_of_a_refused_promise_is_decoded(client: ClientConversation) -> None:
    """The compression state is the connection's."""
    stream_id = client.reset_here()
    promise = frames.number(2) + frames.block(*REQUEST) + b"\x40" + b"\x01x" + b"\x01y"
    client.send(frames.frame(frames.PUSH_PROMISE, END_HEADERS, stream_id, promise))
    stream = client.request()
    client.send(frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, _id(stream), b"\x88\xbe"))
    assert stream.wait_response()["x"] == "y"


def test_section_6_6_a_server_does_not_promise_to_a_client_that_has_switched_push_off() -> None:
    with server_conversation(peer_settings={frames.ENABLE_PUSH: 0}) as server:
        stream = server.hold()
        assert not stream.push_allowed
        with pytest.raises(Exception, match="disabled push"):
            stream.push_stream()
        server.accepted()


# 6.7 PING


def test_section_6_7_a_ping_is_answered_with_its_own_octets(either: Conversation) -> None:
    either.send(frames.ping(b"\x00\x01\xfe\xff ab\n"))
    answer = either.peer.expect(PingFrame)
    assert (answer.opaque_data, answer.flags, answer.stream_id) == (b"\x00\x01\xfe\xff ab\n", {"ACK"}, 0)


def test_section_6_7_an_answer_is_not_answered(either: Conversation) -> None:
    either.send(frames.ping(b"unasked.", frames.ACK))
    assert either.accepted() == []


def test_section_6_7_answers_go_before_data(background: Background) -> None:
    """ "PING responses SHOULD be given higher priority than any other frame": a queue of DATA does not delay them."""
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: LARGEST_WINDOW}) as server:
        server.send(frames.window_update(0, 2**30))
        stream = server.hold()
        stream.respond()
        writing = background(stream.write, bytes(50_000_000))
        eventually(lambda: waits(stream))  # the socket is full
        server.send(frames.ping())
        before = 0
        while not isinstance(frame := server.peer.receive(), PingFrame):
            before += len(getattr(frame, "data", b""))
        assert before < 10_000_000
        stream.close(ErrorCode.CANCEL)
        assert isinstance(writing.exception(PATIENCE), StreamReset)


# 6.8 GOAWAY


def test_section_6_8_a_server_goes_on_with_its_streams_after_goaway(server: ServerConversation) -> None:
    """The client takes no more pushes; what it has asked for it gets."""
    stream = server.hold()
    server.send(frames.goaway(0))
    server.send(frames.data(1, b"the rest", END_STREAM))
    assert stream.read() == b"the rest"
    stream.end(b"an answer")
    said = server.peer.until_end()
    assert [frame.data for frame in said if isinstance(frame, DataFrame)] == [b"an answer"]
    assert [frame.error_code for frame in said if isinstance(frame, GoAwayFrame)] == [ErrorCode.NO_ERROR]


def test_section_6_8_a_client_is_told_which_streams_were_not_processed(background: Background) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_conversation(listeners={"goaway": lambda *said: heard.put(said)}) as client:
        first, second = client.request(), client.request()
        client.send(frames.goaway(1 | frames.RESERVED_BIT, 0, b"see you"))
        assert heard.get(timeout=PATIENCE) == (0, 1, b"see you")
        with pytest.raises(StreamReset) as raised:
            second.read()
        assert raised.value.retryable
        client.send(frames.response(1), frames.data(1, b"answered", END_STREAM))
        assert first.read() == b"answered"


def test_section_6_8_the_last_id_may_go_down_but_not_up(client: ClientConversation) -> None:
    client.request()
    client.send(frames.goaway(LARGEST_WINDOW), frames.goaway(5), frames.goaway(5), frames.goaway(3))
    assert client.peer.settled() == []
    client.send(frames.goaway(5))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("code", [0xE, 0xFFFF_FFFF])
def test_section_6_8_an_unknown_code_is_an_error_code_like_others(client: ClientConversation, code: int) -> None:
    stream = client.request()
    client.send(frames.goaway(1, code), frames.response(1), frames.data(1, b"whole", END_STREAM))
    assert stream.read() == b"whole"
    client.peer.farewell()
    with pytest.raises(Exception, match=f"0x{code:x}") as raised:
        client.session.request()
    assert getattr(raised.value, "code", None) == code


def test_section_6_8_a_graceful_shutdown_takes_two_goaways(server: ServerConversation) -> None:
    """The first refuses nothing; the second, a round trip later, has the real last id."""
    server.hold()
    server.session.close(wait=False)
    assert server.peer.expect(GoAwayFrame).last_stream_id == LARGEST_WINDOW
    question = server.peer.expect(PingFrame)
    server.send(frames.request(3))  # was under way
    assert server.answer(3) == ("200", b"")
    server.send(frames.ping(question.opaque_data, frames.ACK))
    last = server.peer.expect(GoAwayFrame)
    assert (last.last_stream_id, last.error_code) == (3, ErrorCode.NO_ERROR)
    # What is above it is ignored, but for the compression state.
    server.send(frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, 5, frames.block(*REQUEST) + b"\x40\x01x\x01y"))
    server.send(frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, 1, b"\xbe"))
    stream = server._kept[0]
    assert stream.wait_trailers()["x"] == "y"
    stream.end(b"served")
    assert server.answer(1) == ("200", b"served")
    assert server.peer.until_end() == []


# 6.9 WINDOW_UPDATE and flow control


def test_section_6_9_an_increment_of_0_on_a_stream(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.send(frames.window_update(stream_id, 0))
    either.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("increment", [0, frames.RESERVED_BIT])
def test_section_6_9_an_increment_of_0_on_the_connection(either: Conversation, increment: int) -> None:
    either.send(frames.window_update(0, increment))
    either.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("stream_0", [True, False])
def test_section_6_9_the_reserved_bit_of_the_increment_is_ignored(either: Conversation, stream_0: bool) -> None:
    stream_id = either.in_state("open")
    either.send(frames.window_update(0 if stream_0 else stream_id, frames.RESERVED_BIT | 1))
    either.accepted()


def test_section_6_9_1_a_peer_beyond_the_streams_window() -> None:
    with server_conversation(settings={"initial_window_size": 10}) as server:
        stream_id = server.open()
        server.send(frames.data(stream_id, b"0123456789"), frames.data(stream_id, b"x"))
        server.stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


def test_section_6_9_1_a_server_beyond_the_streams_window(background: Background) -> None:
    with client_conversation(settings={"initial_window_size": 10}) as client:
        stream_id = client.open()
        client.send(frames.data(stream_id, b"0123456789"), frames.data(stream_id, b"x"))
        client.stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)
        assert client.streams[0].read(20) == b"0123456789"
        with pytest.raises(Exception, match="window") as raised:
            client.streams[0].read(20)
        assert getattr(raised.value, "code", None) == ErrorCode.FLOW_CONTROL_ERROR


def test_section_6_9_1_an_empty_frame_needs_no_window() -> None:
    with server_conversation(settings={"initial_window_size": 10}) as server:
        stream = server.hold()
        server.send(frames.data(1, b"0123456789"), frames.data(1, b""), frames.data(1, b"", END_STREAM))
        assert stream.read() == b"0123456789"


def test_section_6_9_1_a_peer_beyond_the_connections_window() -> None:
    window = 128 * 1024
    options: dict[str, Any] = {"max_session_memory": 2 * window, "settings": {"initial_window_size": 2 * window}}
    with server_conversation(**options) as server:
        stream_id = server.open()
        server.send(*[frames.data(stream_id, bytes(16_384))] * (2 * window // 16_384), frames.data(stream_id))
        server.connection_error(ErrorCode.FLOW_CONTROL_ERROR)


def test_section_6_9_1_windows_of_2_31_less_1_are_windows(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.send(
        frames.window_update(0, LARGEST_WINDOW - 65_535), frames.window_update(stream_id, LARGEST_WINDOW - 65_535)
    )
    either.accepted()


def test_section_6_9_1_a_streams_window_overflows(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.send(frames.window_update(stream_id, LARGEST_WINDOW - 65_534))
    either.stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


def test_section_6_9_1_the_connections_window_overflows(either: Conversation) -> None:
    either.in_state("open")
    either.send(frames.window_update(0, LARGEST_WINDOW), frames.window_update(0, 1))
    either.connection_error(ErrorCode.FLOW_CONTROL_ERROR)


def test_section_6_9_1_we_keep_to_the_connections_window(background: Background) -> None:
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: LARGEST_WINDOW}) as server:
        stream = server.hold()
        stream.respond()
        writing = background(stream.write, bytes(70_000))
        assert _body(server, 65_535) == 65_535
        assert server.peer.settled() == []
        server.send(frames.window_update(0, 70_000))
        assert _body(server, 70_000 - 65_535) == 70_000 - 65_535
        assert writing.result(PATIENCE) == 70_000


def test_section_6_9_2_settings_change_the_windows_of_open_streams(background: Background) -> None:
    """By the difference; what is already used up makes one negative, and it is waited until it is positive again."""
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 100}) as server:
        stream = server.hold()
        stream.respond()
        writing = background(stream.write, bytes(200))
        assert _body(server, 100) == 100
        server.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 30)))  # the window is -70 now
        server.peer.settled()
        server.send(frames.window_update(1, 70))  # 0
        assert server.peer.settled() == []
        server.send(frames.window_update(1, 1))
        assert _body(server, 1) == 1
        server.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 129)))
        assert _body(server, 99) == 99
        assert writing.result(PATIENCE) == 200


def test_section_6_9_2_settings_do_not_change_the_connections_window(background: Background) -> None:
    with server_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 0}) as server:
        server.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 200_000)))
        server.peer.expect(SettingsFrame, matching=lambda frame: "ACK" in frame.flags)
        stream = server.hold()
        stream.respond()
        writing = background(stream.write, bytes(65_536))
        assert _body(server, 65_535) == 65_535
        assert server.peer.settled() == []
        server.send(frames.window_update(0, 1))
        assert writing.result(PATIENCE) == 65_536


def test_section_6_9_2_settings_that_make_a_streams_window_overflow(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.send(frames.window_update(stream_id, 1), frames.settings((frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW)))
    either.connection_error(ErrorCode.FLOW_CONTROL_ERROR)


def test_section_6_9_2_our_own_smaller_window_holds_from_its_acknowledgement_on() -> None:
    """Section 6.9.3: what was sent before is no error, and the window that is left is negative."""
    with server_conversation(settings={"initial_window_size": 100}) as server:
        stream_id = server.open()
        server.session.settings({"initial_window_size": 10})
        server.send(frames.data(stream_id, bytes(50)))
        server.peer.expect(SettingsFrame)
        server.send(frames.settings_ack())
        server.accepted()
        server.send(frames.data(stream_id, b"x"))
        server.stream_error(stream_id, ErrorCode.FLOW_CONTROL_ERROR)


# 6.10 CONTINUATION


@pytest.mark.parametrize("after", ["HEADERS with END_HEADERS", "CONTINUATION with END_HEADERS", "DATA"])
def test_section_6_10_continuation_continues_something(server: ServerConversation, after: str) -> None:
    block = frames.block(*UPLOAD)
    if after == "CONTINUATION with END_HEADERS":
        server.send(frames.frame(frames.HEADERS, 0, server.new_id(), block[:20]), frames.continuation(1, block[20:]))
    else:
        server.send(frames.upload(server.new_id()))
        if after == "DATA":
            server.send(frames.data(1))
    server.send(frames.continuation(1))
    server.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_6_10_end_stream_stands_on_headers_and_waits_for_the_end_of_the_block(
    server: ServerConversation,
) -> None:
    block = frames.block(*REQUEST)
    server.send(frames.frame(frames.HEADERS, END_STREAM, server.new_id(), block[:20]))
    server.send(frames.continuation(1, block[20:], END_HEADERS | END_STREAM))  # there the flag is undefined
    assert server.answer(1) == ("200", b"")


def test_section_6_10_empty_continuations_are_bounded() -> None:
    with server_conversation(max_continuation_frames=3) as server:
        server.send(frames.frame(frames.HEADERS, END_STREAM, 1, frames.block(*REQUEST)))
        server.send(*[frames.continuation(1, flags=0)] * 4)
        assert server.connection_error(ErrorCode.ENHANCE_YOUR_CALM).additional_data == b"max_continuation_frames"


def _body(server: ServerConversation, count: int) -> int:
    """How much body came, once it is at least `count`."""
    size = 0
    while size < count:
        frame = server.peer.receive()
        assert isinstance(frame, DataFrame | HeadersFrame | SettingsFrame), frame
        size += len(frame.data) if isinstance(frame, DataFrame) else 0
    return size


def _id(stream: Any) -> int:
    assert isinstance(stream.id, int)
    return stream.id
