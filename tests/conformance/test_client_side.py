"""The client against a server that misbehaves, or is about to go: what the caller is told, and that nothing hangs,
grows, or passes for whole.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from support.connections.conversations import ClientConversation, client_conversation
from support.octets import frames
from support.octets.frames import END_HEADERS, END_STREAM
from support.peers.raw_peer import PATIENCE, RawPeer
from support.threads.background import Background, eventually, waits
from sync_h2 import (
    ClientStream,
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    ProtocolError,
    SessionGoaway,
    StreamReset,
    StreamUnprocessed,
    Timeout,
    connect,
)

BODY = b"the first half"

# GOAWAY, REFUSED_STREAM: what may be sent again (RFC 9113 section 8.7)


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.INTERNAL_ERROR, ErrorCode.ENHANCE_YOUR_CALM])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_goaway_below_a_request_in_flight(client: ClientConversation, method: str, code: ErrorCode) -> None:
    """It was certainly not processed: it may be sent again whatever its method, and the exception says so."""
    stream = client.request(method)
    client.send(frames.goaway(0, code))
    with pytest.raises(StreamUnprocessed) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.retryable
    assert raised.value.stream_id == 1
    assert "safe to retry" in str(raised.value)
    with pytest.raises(HTTP2Error) as refused:
        client.session.request()
    assert refused.value.retryable


def test_goaway_above_a_request_in_flight_lets_it_finish(client: ClientConversation) -> None:
    stream = client.request()
    client.send(frames.response(1), frames.data(1, BODY), frames.goaway(1, ErrorCode.ENHANCE_YOUR_CALM))
    assert stream.read(100) == BODY
    client.send(frames.data(1, b", the second", END_STREAM))
    assert stream.read() == b", the second"


def test_goaway_and_then_nothing_more(client: ClientConversation) -> None:
    """Above the last id it may be sent again, below it may have been processed."""
    below, above = client.request("POST"), client.request("POST")
    client.send(frames.goaway(1, ErrorCode.INTERNAL_ERROR, b"out of memory"))
    client.peer.close()
    with pytest.raises(StreamUnprocessed) as raised:
        above.read(timeout=PATIENCE)
    assert raised.value.retryable
    with pytest.raises(ConnectionLost) as lost:
        below.read(timeout=PATIENCE)
    assert not lost.value.retryable
    reasons = []
    reason: BaseException | None = lost.value
    while reason is not None:
        reasons.append(reason)
        reason = reason.__cause__
    assert any(isinstance(reason, SessionGoaway) and "out of memory" in str(reason) for reason in reasons)


def test_goaway_while_a_request_waits_for_a_slot(background: Background) -> None:
    with client_conversation(peer_settings={frames.MAX_CONCURRENT_STREAMS: 1}) as client:
        client.request()
        waiting = background(client.session.request)
        eventually(lambda: client.session._pending)
        client.send(frames.goaway(1))
        error = waiting.exception(PATIENCE)
        assert isinstance(error, StreamUnprocessed)
        assert error.retryable


@pytest.mark.parametrize("when", ["before the response", "in the body"])
def test_refused_stream(client: ClientConversation, when: str) -> None:
    """A server that refuses after it has begun to answer contradicts itself; the caller hears what it said."""
    stream = client.request("POST")
    if when == "in the body":
        client.send(frames.response(1), frames.data(1, BODY))
    client.send(frames.rst_stream(1, ErrorCode.REFUSED_STREAM))
    with pytest.raises(StreamUnprocessed) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.retryable
    client.accepted()


# A body that breaks off is never taken for a whole one

Ending = Callable[[ClientConversation], None]


def _reset(code: int) -> Ending:
    return lambda client: client.send(frames.rst_stream(1, code))


def _end_of_file(client: ClientConversation) -> None:
    client.peer.close()


def _end_of_file_in_a_frame(client: ClientConversation) -> None:
    client.send(frames.data(1, b"never whole")[:-1])
    client.peer.close()


def _goaway_and_end_of_file(client: ClientConversation) -> None:
    client.send(frames.goaway(1))
    client.peer.close()


def _protocol_error(client: ClientConversation) -> None:
    client.send(frames.data(0))


def _too_little(client: ClientConversation) -> None:
    client.send(frames.data(1, b"", END_STREAM))


def _too_much(client: ClientConversation) -> None:
    client.send(frames.data(1, b"more than that"))


def _trailers_too_early(client: ClientConversation) -> None:
    client.send(frames.trailers(1))


ENDINGS = [
    *[pytest.param(_reset(code), StreamReset, id=f"RST_STREAM {code.name}") for code in ErrorCode],
    pytest.param(_end_of_file, ConnectionLost, id="the connection ends"),
    pytest.param(_end_of_file_in_a_frame, ConnectionLost, id="the connection ends in a frame"),
    pytest.param(_goaway_and_end_of_file, ConnectionLost, id="GOAWAY, then the connection ends"),
    pytest.param(_protocol_error, ProtocolError, id="an error of the connection's"),
    pytest.param(_too_little, ProtocolError, id="less than content-length"),
    pytest.param(_too_much, ProtocolError, id="more than content-length"),
    pytest.param(_trailers_too_early, ProtocolError, id="trailers before content-length is reached"),
]


def _read_all(stream: ClientStream) -> bytes:
    return stream.read(timeout=PATIENCE)


def _read_pieces(stream: ClientStream) -> bytes:
    return b"".join(stream)


def _read_lines(stream: ClientStream) -> bytes:
    return b"".join(iter(stream.readline, b""))


def _read_file(stream: ClientStream) -> bytes:
    return stream.rfile.readall()


@pytest.mark.parametrize(("ending", "error"), ENDINGS)
def test_a_body_that_breaks_off(client: ClientConversation, ending: Ending, error: type[HTTP2Error]) -> None:
    """`partial` holds what had come; the error is there again for whoever asks again."""
    stream = client.request()
    client.send(frames.response(1, ("content-length", str(len(BODY) + 5))), frames.data(1, BODY))
    ending(client)
    with pytest.raises(error) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.partial == BODY
    for _ in range(2):
        with pytest.raises(error):
            stream.read(10)


@pytest.mark.parametrize("read", [_read_all, _read_pieces, _read_lines, _read_file])
@pytest.mark.parametrize("ending", [_reset(ErrorCode.NO_ERROR), _reset(ErrorCode.CANCEL), _end_of_file])
def test_a_body_that_breaks_off_whichever_way_it_is_read(
    client: ClientConversation, background: Background, ending: Ending, read: Callable[[ClientStream], bytes]
) -> None:
    """Also without a content-length, and also for a reader that was waiting."""
    stream = client.request()
    client.send(frames.response(1), frames.data(1, BODY))
    reading = background(read, stream)
    eventually(lambda: waits(stream))
    ending(client)
    assert isinstance(reading.exception(PATIENCE), StreamReset | ConnectionLost)


def test_a_tcp_reset_in_the_body() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with connect("http://localhost", sock=near) as session:
        peer = RawPeer(far, client=False)
        peer.handshake()
        client = ClientConversation(peer, session)
        stream = client.request()
        client.send(frames.response(1), frames.data(1, BODY))
        assert stream.read(100) == BODY
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(ConnectionLost):
            stream.read(timeout=PATIENCE)


# No answer, no reading


def test_no_answer_at_all() -> None:
    with client_conversation(read_timeout=0.05) as client:
        stream = client.request()
        for wait in (stream.wait_response, stream.read, stream.readline, stream.wait_trailers, stream.wait_continue):
            with pytest.raises(Timeout):
                wait()
        with pytest.raises(Timeout):
            stream.wait_closed(0.05)
        with pytest.raises(Timeout):
            client.session.ping(timeout=0.05)
        # Nothing is lost by that.
        client.send(frames.response(1), frames.data(1, b"late", END_STREAM))
        assert stream.read(timeout=PATIENCE) == b"late"


def test_no_settings_at_all() -> None:
    with client_conversation(handshake=False, handshake_timeout=0.05) as client:
        with pytest.raises(ProtocolError) as raised:
            client.session.request().read(timeout=PATIENCE)
        assert raised.value.code == ErrorCode.SETTINGS_TIMEOUT


def test_a_header_block_that_never_ends() -> None:
    with client_conversation(header_timeout=0.05) as client:
        stream = client.request()
        client.send(frames.response(1, flags=0))
        with pytest.raises(ProtocolError) as raised:
            stream.read(timeout=PATIENCE)
        assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
        assert client.peer.farewell().additional_data == b"header_timeout"


def test_a_server_that_does_not_open_its_window() -> None:
    with client_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 10}) as client:
        stream = client.request("POST")
        with pytest.raises(Timeout) as raised:
            stream.write(b"more than ten octets", timeout=0.05)
        assert raised.value.bytes_written == 10
        assert client.peer.expect(DataFrame).data == b"more than "
        # What was not framed has been withdrawn: the caller decides how it goes on.
        client.send(frames.window_update(1, 100))
        stream.end(b"ten octets")
        assert client.peer.expect(DataFrame).data == b"ten octets"
        client.accepted()


def test_a_server_that_does_not_read(background: Background) -> None:
    """The window is open, the socket is full: writers wait no longer than they want, and other calls not at all."""
    with client_conversation(peer_settings={frames.INITIAL_WINDOW_SIZE: 2**31 - 1}) as client:
        client.send(frames.window_update(0, 2**30))
        stream = client.request("POST")
        with pytest.raises(Timeout):
            stream.write(bytes(50_000_000), timeout=0.1)
        another = client.session.request()
        with pytest.raises(Timeout):
            another.wait_response(timeout=0.05)
        assert client.session._outbox.size < 2_000_000
        for abandoned in (stream, another):
            abandoned.close(ErrorCode.CANCEL)


# After the end


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(frames.data(1, b"more"), id="DATA"),
        pytest.param(frames.trailers(1), id="HEADERS"),
        pytest.param(frames.data(1, b"", END_STREAM), id="a second END_STREAM"),
    ],
)
@pytest.mark.parametrize("upload", [True, False])
def test_frames_after_end_stream(client: ClientConversation, late: bytes, upload: bool) -> None:
    """The response is whole and stays so. With our side open it is the stream's error, otherwise the connection's."""
    stream = client.request("POST" if upload else "GET")
    client.send(frames.response(1), frames.data(1, BODY, END_STREAM), late)
    if upload:
        client.stream_error(1, ErrorCode.STREAM_CLOSED)
    else:
        client.connection_error(ErrorCode.STREAM_CLOSED)
    assert stream.read() == BODY


def test_a_response_for_a_request_that_was_never_made(client: ClientConversation) -> None:
    client.request()
    client.send(frames.response(3))
    client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_a_promise_although_push_is_switched_off() -> None:
    with client_conversation(settings={"enable_push": False}) as client:
        stream = client.request()
        client.send(frames.push_promise(1, 2))
        client.connection_error(ErrorCode.PROTOCOL_ERROR)
        with pytest.raises(ProtocolError):
            stream.read()


# Too much of something


def test_a_header_block_of_many_continuations() -> None:
    with client_conversation(max_continuation_frames=8) as client:
        stream = client.request()
        client.send(frames.response(1, flags=0), *[frames.continuation(1, flags=0)] * 9)
        goaway = client.connection_error(ErrorCode.ENHANCE_YOUR_CALM)
        assert goaway.additional_data == b"max_continuation_frames"
        with pytest.raises(ProtocolError) as raised:
            stream.read()
        assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_a_header_list_over_the_limit() -> None:
    """The stream's error as long as the block can be decoded within bounds, for the table's sake."""
    with client_conversation(max_header_list_size=2000) as client:
        stream = client.request()
        client.send(frames.response(1, ("x-long", "y" * 3000), flags=END_HEADERS | END_STREAM))
        client.stream_error(1, ErrorCode.ENHANCE_YOUR_CALM)
        with pytest.raises(ProtocolError):
            stream.wait_response()


def test_too_many_fields() -> None:
    with client_conversation(max_header_pairs=20) as client:
        client.request()
        client.send(frames.response(1, *[("x", "y")] * 20))
        client.stream_error(1, ErrorCode.ENHANCE_YOUR_CALM)


def test_an_hpack_bomb(client: ClientConversation) -> None:
    """One entry of 4 KB, and a thousand references to it of an octet each: 4 MB of fields in 5 KB."""
    stream = client.request()
    bomb = b"\x88" + b"\x40\x01x" + frames.integer(4000, 7) + b"y" * 4000 + b"\xbe" * 1000
    client.send(frames.frame(frames.HEADERS, END_HEADERS, 1, bomb))
    goaway = client.connection_error(ErrorCode.ENHANCE_YOUR_CALM)
    assert goaway.additional_data == b"max_header_list_size"
    with pytest.raises(ProtocolError):
        stream.read()


def test_a_storm_of_informational_responses(client: ClientConversation) -> None:
    """The stream is reset; a server that does not stop then loses the connection."""
    stream = client.request()
    early_hints = frames.headers(1, (":status", "103"), ("link", "</a>"))
    client.send(early_hints * 200)
    client.stream_error(1, ErrorCode.ENHANCE_YOUR_CALM)
    with pytest.raises(ProtocolError):
        stream.wait_response()
    assert len(stream.informational) <= 64
    client.send(early_hints * 2000)
    assert client.connection_error(ErrorCode.ENHANCE_YOUR_CALM).additional_data == b"max_session_invalid_frames"


def test_a_few_informational_responses_are_none(client: ClientConversation) -> None:
    stream = client.request()
    client.send(*[frames.headers(1, (":status", "103"))] * 50, frames.response(1, flags=END_HEADERS | END_STREAM))
    assert stream.read() == b""
    assert len(stream.informational) == 50
    client.accepted()


def test_a_huge_padded_body(client: ClientConversation, background: Background) -> None:
    """An octet of body in each frame of 257: padding is flow-controlled, so the windows have to return it."""
    stream = client.request()
    reading = background(stream.read)
    client.send(frames.response(1))
    padded = frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + b"x" + bytes(255))
    for _ in range(40):
        client.send(padded * 100)  # 25,700 octets; 1,028,000 in all, four times a stream's first window
        client.peer.settled()
    client.send(frames.data(1, b"", END_STREAM))
    assert reading.result(PATIENCE) == b"x" * 4000
    assert client.session._inbound.unread == 0


def test_nothing_but_padding(client: ClientConversation) -> None:
    """It is never read, and does not count as progress without end."""
    stream = client.request()
    client.send(frames.response(1))
    empty = frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255))
    client.send(empty * 2000)
    client.connection_error(ErrorCode.ENHANCE_YOUR_CALM)
    with pytest.raises(ProtocolError):
        stream.read()


def test_padding_between_content(client: ClientConversation, background: Background) -> None:
    """Half of the frames are padding, far more than frames without a purpose may be, and ten times the first window."""
    stream = client.request()
    reading = background(stream.read)
    client.send(frames.response(1))
    padding = frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255))
    for _ in range(100):
        client.send((frames.data(1, b"x") + padding) * 100)
        client.peer.settled()
    client.send(padding, frames.frame(frames.DATA, frames.PADDED | END_STREAM, 1, b"\xff" + bytes(255)))
    assert reading.result(PATIENCE) == b"x" * 10_000
    client.accepted()


@pytest.mark.parametrize("status", ["204", "304", "200 to HEAD"])
def test_padding_is_no_content(client: ClientConversation, status: str) -> None:
    stream = client.request("HEAD" if "HEAD" in status else "GET")
    padding = frames.frame(frames.DATA, frames.PADDED, 1, b"\x07" + bytes(7))
    client.send(frames.headers(1, (":status", status[:3]), ("content-length", "253")), padding)
    client.send(frames.frame(frames.DATA, frames.PADDED | END_STREAM, 1, b"\x07" + bytes(7)))
    assert stream.read() == b""
    client.accepted()


def test_a_body_that_nobody_reads_stays_within_its_window(client: ClientConversation) -> None:
    stream = client.request()
    client.send(frames.response(1))
    window = client.session._protocol.inbound_window(1)
    sent = 0
    while sent < window:
        client.send(frames.data(1, bytes(min(16_384, window - sent))))
        sent += min(16_384, window - sent)
    said = client.peer.settled()
    assert not [frame for frame in said if isinstance(frame, WindowUpdateFrame) and frame.stream_id == 1]
    client.goes_on()  # the connection's window is not held up by it
    client.send(frames.data(1))
    client.stream_error(1, ErrorCode.FLOW_CONTROL_ERROR)
    assert len(stream.read(window)) <= window


# Settings that change under a running upload


def test_windows_that_shrink_and_grow_under_an_upload(background: Background) -> None:
    body = bytes(range(256)) * 400
    with client_conversation() as client:
        stream = client.request("POST")
        uploading = background(stream.end, body)
        received = bytearray()

        def receive(count: int) -> None:
            while len(received) < count:
                frame = client.peer.receive()
                if isinstance(frame, DataFrame):
                    received.extend(frame.data)

        receive(65_535)
        client.send(frames.window_update(0, 2**20))
        largest = 65_535
        for window in (100, 0, 1, 70_000, 0, 65_535):
            client.send(frames.settings((frames.INITIAL_WINDOW_SIZE, window)))
            _collect(client, received)
            largest = max(largest, window)
            assert len(received) == largest
        client.send(frames.window_update(1, 2**20))
        receive(len(body))
        assert uploading.result(PATIENCE) is None
        assert bytes(received) == body


def test_frame_sizes_that_shrink_under_an_upload(background: Background) -> None:
    """From our acknowledgement on, no frame is larger than the new limit."""
    large = {frames.MAX_FRAME_SIZE: 60_000, frames.INITIAL_WINDOW_SIZE: 2**30}
    with client_conversation(peer_settings=large) as client:
        stream = client.request("POST")
        uploading = background(stream.end, bytes(3_000_000))
        client.send(frames.window_update(0, 1_000_000))
        assert len(client.peer.expect(DataFrame).data) > 16_384
        client.send(frames.settings((frames.MAX_FRAME_SIZE, 16_384)))
        client.send(frames.window_update(0, 3_000_000))
        client.peer.expect(SettingsFrame)
        sizes = [0]
        while True:
            frame = client.peer.expect(DataFrame)
            sizes.append(len(frame.data))
            if "END_STREAM" in frame.flags:
                break
        assert max(sizes) <= 16_384
        assert uploading.result(PATIENCE) is None


def test_a_server_that_floods_with_settings_and_does_not_read() -> None:
    """Each has to be acknowledged; what is queued for a peer that does not read is bounded."""
    with client_conversation(max_queued_control_frames=50) as client:
        while not client.session.destroyed:
            client.send(frames.settings() * 1000)
        with pytest.raises(ProtocolError) as raised:
            client.session.request()
        assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_a_server_that_answers_before_the_upload_has_ended(client: ClientConversation, background: Background) -> None:
    """413 and RST_STREAM(NO_ERROR): the writer is stopped, the response is kept (RFC 9113 section 8.1)."""
    stream = client.request("POST")
    writing = background(stream.write, bytes(1_000_000))
    eventually(lambda: waits(stream))
    client.send(frames.headers(1, (":status", "413")), frames.data(1, b"too large", END_STREAM))
    client.send(frames.rst_stream(1, ErrorCode.NO_ERROR))
    assert writing.result(PATIENCE) == 1_000_000
    assert stream.wait_response()[":status"] == "413"
    assert stream.read() == b"too large"
    client.accepted()


def test_errors_of_one_stream_do_not_touch_another(client: ClientConversation) -> None:
    good, bad = client.request(), client.request()
    client.send(frames.response(1), frames.data(1, b"one "))
    client.send(frames.headers(3, (":status", "oops")))
    with pytest.raises(ProtocolError):
        bad.read(timeout=PATIENCE)
    client.send(frames.data(1, b"two", END_STREAM))
    assert good.read() == b"one two"


def _collect(client: ClientConversation, received: bytearray) -> None:
    """Take what has come of the body by the time the client has nothing more to send."""
    for frame in client.peer.settled():
        assert isinstance(frame, DataFrame | SettingsFrame | HeadersFrame), frame
        if isinstance(frame, DataFrame):
            received.extend(frame.data)
