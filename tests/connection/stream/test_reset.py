"""RST_STREAM in both directions, `close` and `destroy` of a stream, and what leaving its `with` block does."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame

from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import ErrorCode, HTTP2Error, StreamReset, StreamUnprocessed

BLOCKING_CALLS = [
    lambda stream: stream.read(),
    lambda stream: stream.read(10),
    lambda stream: stream.readinto(bytearray(10)),
    lambda stream: stream.readline(),
    lambda stream: stream.wait_response(),
    lambda stream: stream.wait_continue(),
    lambda stream: stream.wait_trailers(),
    lambda stream: stream.write(bytes(1_000_000)),
    lambda stream: stream.end(bytes(1_000_000)),
    lambda stream: list(stream),
    lambda stream: stream.rfile.read(),
    lambda stream: stream.wfile.write(bytes(1_000_000)),
]


@pytest.mark.parametrize("call", BLOCKING_CALLS)
def test_a_reset_wakes_every_blocked_call(ends: Any, background: Any, call: Any) -> None:
    stream, served = ends.exchange()
    blocked = background(call, stream)
    eventually(lambda: waits(stream))
    served.close(ErrorCode.ENHANCE_YOUR_CALM)
    with pytest.raises(StreamReset) as raised:
        blocked.result(5)
    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
    assert raised.value.stream_id == 1
    assert not raised.value.retryable
    assert raised.value.__cause__ is not None
    assert "ENHANCE_YOUR_CALM" in str(raised.value)
    assert stream.rst_code == ErrorCode.ENHANCE_YOUR_CALM
    assert stream.aborted


@pytest.mark.parametrize(("number", "kind"), [(8, ErrorCode), (7, ErrorCode), (0x123, int)])
def test_a_code_is_an_error_code_where_there_is_one(ends: Any, number: int, kind: type) -> None:
    """Whether the peer sends it or this side gives the number."""
    for closes in ("peer", "us"):
        stream, served = ends.exchange()
        (served if closes == "peer" else stream).close(number)
        with pytest.raises(StreamReset) as raised:
            stream.read(timeout=10)
        assert raised.value.code == stream.rst_code == number
        assert type(raised.value.code) is type(stream.rst_code) is type(served.wait_closed(timeout=10)) is kind


@pytest.mark.parametrize("call", BLOCKING_CALLS)
def test_our_own_close_wakes_every_blocked_call(ends: Any, background: Any, call: Any) -> None:
    stream, served = ends.exchange()
    blocked = background(call, stream)
    eventually(lambda: waits(stream))
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset) as raised:
        blocked.result(5)
    assert raised.value.code == ErrorCode.CANCEL
    assert served.wait_closed(timeout=5) == ErrorCode.CANCEL


def test_a_refused_stream_is_safe_to_retry() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        peer.reset(1, ErrorCode.REFUSED_STREAM)
        with pytest.raises(StreamUnprocessed) as raised:
            stream.read()
        assert raised.value.retryable
        assert raised.value.code == ErrorCode.REFUSED_STREAM
        assert "safe to retry" in str(raised.value)


def test_close_lets_out_what_was_given_to_end(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        ending = background(stream.end, b"x" * 100_000)
        eventually(lambda: waits(stream))
        stream.close()
        peer.open_window(0, 100_000)
        peer.open_window(1, 100_000)
        received = 0
        while received < 100_000:
            received += len(peer.expect(DataFrame).data)
        frame = peer.expect(RstStreamFrame, 1)
        assert frame.error_code == ErrorCode.NO_ERROR
        ending.result(5)
        assert stream.wait_closed() == ErrorCode.NO_ERROR


def test_close_with_a_code_drops_what_was_not_sent(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        ending = background(stream.end, b"x" * 100_000)
        eventually(lambda: waits(stream))
        stream.close(ErrorCode.CANCEL)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.CANCEL
        with pytest.raises(StreamReset):
            ending.result(5)
        peer.open_window(0, 100_000)
        assert not [frame for frame in peer.settled() if isinstance(frame, DataFrame)]


def test_close_of_a_finished_stream_sends_nothing() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.data(1, b"body", end_stream=True)
        assert stream.wait_closed() == 0
        stream.close()
        stream.close(ErrorCode.CANCEL)
        stream.destroy()
        assert stream.read() == b"body"
        assert stream.rst_code == 0
        assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


@pytest.mark.parametrize("code", ["CANCEL", 2**32, -1, 1.5, None])
def test_a_code_that_is_none(ends: Any, code: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises((TypeError, ValueError)):
        stream.close(code)
    stream.end(b"works")
    assert served.read() == b"works"


def test_an_unknown_code_comes_through(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.close(0xABCD)
    assert served.wait_closed(timeout=5) == 0xABCD
    with pytest.raises(StreamReset, match="0xabcd"):
        served.read()


def test_destroy_with_an_error(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    reading = background(stream.read)
    eventually(lambda: waits(stream))
    cause = RuntimeError("the cache is gone")
    stream.destroy(cause)
    assert served.wait_closed(timeout=5) == ErrorCode.INTERNAL_ERROR
    with pytest.raises(HTTP2Error) as raised:
        reading.result(5)
    chain: list[BaseException | None] = [raised.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__)
    assert cause in chain
    assert stream.destroyed


def test_destroy_without_an_error_drops_what_was_not_sent(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.destroy()
    assert stream.destroyed
    assert stream.closed
    assert served.wait_closed(timeout=5) is not None
    with pytest.raises(StreamReset):
        served.read()


def test_the_events_of_a_reset_in_order(ends: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream, served = ends.exchange()
    for name in ("aborted", "error", "close"):
        stream.on(name, lambda *arguments, name=name: heard.put((name, *arguments)))
    served.close(ErrorCode.INTERNAL_ERROR)
    events = [heard.get(timeout=5) for _ in range(3)]
    assert events[0] == ("aborted",)
    assert events[1][0] == "error"
    assert isinstance(events[1][1], StreamReset)
    assert events[2] == ("close", ErrorCode.INTERNAL_ERROR)


@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL])
def test_no_error_event_for_codes_that_are_no_errors(ends: Any, code: int) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream, served = ends.exchange()
    for name in ("error", "close"):
        stream.on(name, lambda *arguments, name=name: heard.put((name, *arguments)))
    served.close(code)
    assert heard.get(timeout=5) == ("close", code)


def test_with_a_stream_that_is_read_to_its_end(ends: Any) -> None:
    stream, served = ends.exchange()
    served.end(b"answer")
    with stream:
        stream.end(b"question")
        assert stream.read() == b"answer"
    assert stream.wait_closed(timeout=5) == 0
    assert served.read() == b"question"


def test_with_ends_our_side_when_the_peer_has_finished(ends: Any) -> None:
    stream, served = ends.exchange()
    served.end(b"answer")
    with stream:
        stream.write(b"question")
        assert stream.read() == b"answer"
    assert served.read() == b"question"
    assert served.wait_closed(timeout=5) == 0


def test_with_cancels_what_is_left(ends: Any) -> None:
    stream, served = ends.exchange({})
    served.write(b"endless")
    with stream:
        assert stream.read(1) == b"e"
    assert served.wait_closed(timeout=5) == ErrorCode.CANCEL


def test_with_an_exception_resets(ends: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises(KeyError), stream:
        stream.write(b"half")
        raise KeyError
    assert served.wait_closed(timeout=5) == ErrorCode.CANCEL
    with pytest.raises(StreamReset):
        while served.read(10):
            pass


def test_a_peer_that_resets_everything_is_survived() -> None:
    answered = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        answered.put(stream.id)
        stream.end(b"x")

    # So many handlers may wait: otherwise the last request is refused if those of the others have not run yet.
    with server_and_raw_client(handler, max_concurrent_streams=300) as (session, peer):
        for number in range(200):
            peer.headers(2 * number + 1, REQUEST)
            peer.reset(2 * number + 1, ErrorCode.CANCEL)
        peer.headers(401, REQUEST, end_stream=True)
        assert peer.expect(DataFrame, 401).data == b"x"
        assert not session.destroyed


def test_frames_for_a_stream_that_we_have_reset_are_ignored() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        stream.close(ErrorCode.CANCEL)
        peer.expect(RstStreamFrame, 1)
        peer.headers(1, RESPONSE)
        peer.data(1, b"late", end_stream=True)
        peer.reset(1, ErrorCode.NO_ERROR)
        peer.settled()
        assert not session.destroyed


SENDING = [
    lambda stream: stream.write(bytes(100_000)),
    lambda stream: stream.end(bytes(100_000)),
    lambda stream: stream.end(bytearray(100_000)),
    lambda stream: stream.end(),
    lambda stream: stream.wfile.write(bytes(100_000)),
    lambda stream: stream.wfile.close(),
]


@pytest.mark.parametrize("call", SENDING)
def test_an_answer_to_what_was_not_read_counts(call: Any) -> None:
    """RFC 9113 section 8.1."""
    with client_and_raw_server() as (session, peer), session.request({":method": "POST"}) as stream:
        peer.headers(1, RESPONSE)
        peer.data(1, b"enough", end_stream=True)
        peer.reset(1, ErrorCode.NO_ERROR)
        assert stream.wait_closed(timeout=20) == ErrorCode.NO_ERROR
        assert call(stream) in (100_000, None)
        assert stream.write(b"more") == 4
        stream.end()
        assert stream.read() == b"enough"
        assert stream.aborted


@pytest.mark.parametrize("call", SENDING[:3])
def test_an_answer_to_what_is_being_sent_counts(background: Any, call: Any) -> None:
    with client_and_raw_server() as (session, peer), session.request({":method": "POST"}) as stream:
        blocked = background(call, stream)
        eventually(lambda: waits(stream))
        peer.headers(1, RESPONSE)
        peer.data(1, b"enough", end_stream=True)
        peer.reset(1, ErrorCode.NO_ERROR)
        assert blocked.result(20) in (100_000, None)
        assert stream.read() == b"enough"


def test_trailers_behind_an_answer_are_not_wanted() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"}, wait_for_trailers=True)
        peer.headers(1, RESPONSE, end_stream=True)
        peer.reset(1, ErrorCode.NO_ERROR)
        assert stream.wait_closed(timeout=20) == ErrorCode.NO_ERROR
        stream.send_trailers({"checksum": "1"})
        assert stream.sent_trailers is None
        assert stream.read() == b""


@pytest.mark.parametrize("call", SENDING)
@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.CANCEL])
@pytest.mark.parametrize("complete", [True, False])
def test_no_other_reset_is_an_answer(call: Any, code: ErrorCode, complete: bool) -> None:
    if complete and code == ErrorCode.NO_ERROR:
        return
    with client_and_raw_server() as (session, peer), session.request({":method": "POST"}) as stream:
        peer.headers(1, RESPONSE)
        peer.data(1, b"part", end_stream=complete)
        peer.reset(1, code)
        assert stream.wait_closed(timeout=20) == code
        with pytest.raises(StreamReset):
            call(stream)


def test_after_our_own_close_nothing_can_be_sent() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        peer.headers(1, RESPONSE, end_stream=True)
        eventually(lambda: stream._state.remote_ended)
        stream.close()
        with pytest.raises(StreamReset):
            stream.write(b"more")
