"""GOAWAY sent and received."""

from __future__ import annotations

import queue
import socket
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame

from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import (
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    InvalidArgument,
    SessionClosed,
    SessionGoaway,
    StreamUnprocessed,
)
from sync_h2.constants import SettingId


@pytest.mark.parametrize(("number", "kind"), [(11, ErrorCode), (0x123, int)])
def test_its_code_is_an_error_code_where_there_is_one(number: int, kind: type) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_and_raw_server(listeners={"goaway": lambda *said: heard.put(said)}) as (session, peer):
        peer.goaway(0, number)
        code, _, _ = heard.get(timeout=10)
        with pytest.raises(SessionGoaway) as raised:
            session.request()
        assert raised.value.code == code == number
        assert type(raised.value.code) is type(code) is kind


def test_streams_up_to_the_last_id_finish_and_the_others_are_unprocessed(background: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_and_raw_server(listeners={"goaway": lambda *said: heard.put(said)}) as (session, peer):
        first, second, third = (session.request() for _ in range(3))
        readings = [background(stream.read) for stream in (first, second, third)]
        peer.goaway(3, 0, b"maintenance")
        with pytest.raises(StreamUnprocessed) as raised:
            readings[2].result(5)
        assert raised.value.retryable
        assert raised.value.stream_id == 5
        assert heard.get(timeout=5) == (0, 3, b"maintenance")
        assert session.closed
        assert not session.destroyed
        with pytest.raises(SessionClosed) as refused:
            session.request()
        assert refused.value.retryable
        for stream_id in (1, 3):
            peer.headers(stream_id, RESPONSE)
            peer.data(stream_id, b"body", end_stream=True)
        assert readings[0].result(5) == readings[1].result(5) == b"body"
        assert peer.farewell().error_code == ErrorCode.NO_ERROR
        peer.close()
        session.close(timeout=5)


def test_with_an_error_code_the_session_ends_with_it(background: Any) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_and_raw_server(listeners={"error": errors.put}) as (session, peer):
        stream = session.request()
        peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"too_many_pings")
        peer.headers(1, RESPONSE)
        peer.data(1, b"body", end_stream=True)
        assert stream.read() == b"body"  # Node would have destroyed it
        error = errors.get(timeout=5)
        assert isinstance(error, SessionGoaway)
        assert error.code == ErrorCode.ENHANCE_YOUR_CALM
        assert "too_many_pings" in str(error)
        with pytest.raises(SessionGoaway) as raised:
            session.request()
        assert raised.value is not error


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_the_reason_is_not_lost_when_the_connection_ends_with_it(background: Any, how: str) -> None:
    """A peer that says GOAWAY(ENHANCE_YOUR_CALM) and hangs up: callers must learn why."""
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        reading = background(stream.read)
        eventually(lambda: waits(stream))
        if how == "closed":
            peer.settled()
        peer.goaway(1, ErrorCode.ENHANCE_YOUR_CALM, b"stream_reset_rate")
        peer.close()  # with unread bytes it is a reset
        with pytest.raises(HTTP2Error) as raised:
            reading.result(5)
        chain: list[Any] = [raised.value]
        while chain[-1].__cause__ is not None:
            chain.append(chain[-1].__cause__)
        assert any(isinstance(error, SessionGoaway) for error in chain), chain
        assert "stream_reset_rate" in "".join(map(str, chain))


def test_requests_that_wait_for_a_slot_are_unprocessed(background: Any) -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        peer.settled()
        first = session.request()
        pending = session.request(wait=False)
        assert pending.pending
        waiting = background(session.request)
        eventually(lambda: len(session._pending) == 2)
        peer.goaway(1)
        for call in (background(pending.read), waiting):
            with pytest.raises(HTTP2Error) as raised:
                call.result(5)
            assert raised.value.retryable
        peer.headers(1, RESPONSE, end_stream=True)
        assert first.read() == b""


def test_a_second_goaway_lowers_the_last_id(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        first, second = session.request(), session.request()
        peer.goaway(2**31 - 1)
        peer.settled()
        assert not second.closed
        peer.goaway(1)
        with pytest.raises(StreamUnprocessed):
            second.read()
        peer.headers(1, RESPONSE, end_stream=True)
        assert first.read() == b""


def test_goaway_without_streams_closes_the_session() -> None:
    with client_and_raw_server() as (session, peer):
        peer.goaway(0)
        assert peer.farewell().error_code == ErrorCode.NO_ERROR
        assert session.closed


def test_sending_one_does_not_close() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"x")) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        peer.expect(DataFrame, 1)
        session.goaway(ErrorCode.NO_ERROR, 99, b"hello")
        frame = peer.expect(GoAwayFrame)
        assert (frame.error_code, frame.last_stream_id, frame.additional_data) == (0, 99, b"hello")
        session.goaway(ErrorCode.ENHANCE_YOUR_CALM)
        frame = peer.expect(GoAwayFrame)
        assert (frame.error_code, frame.last_stream_id) == (ErrorCode.ENHANCE_YOUR_CALM, 1)
        assert not session.closed
        peer.headers(3, REQUEST, end_stream=True)
        assert peer.expect(DataFrame, 3).data == b"x"


def test_closing_after_a_goaway_of_ones_own_still_closes(background: Any) -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"x")) as (session, peer):
        session.goaway()
        closing = background(session.close)
        peer.answers_pings = True
        peer.until_end()
        peer.close()
        closing.result(5)
        assert session.closed


@pytest.mark.parametrize(
    "arguments", [(-1,), (2**32,), ("x",), (0, -1), (0, 2**31), (0, None, "text"), (0, "1"), (1.5,)]
)
def test_arguments_that_are_wrong(ends: Any, arguments: Any) -> None:
    with pytest.raises((InvalidArgument, TypeError)):
        ends.client.goaway(*arguments)
    assert ends.client.ping()
    assert not ends.client.closed


def test_a_server_that_gets_one_finishes_its_streams(background: Any) -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(stream.read())) as (session, peer):
        peer.headers(1, [(":method", "POST"), *REQUEST[1:]])
        peer.settled()
        peer.goaway(0)
        peer.settled()
        assert session.closed
        assert not session.destroyed
        peer.data(1, b"the rest", end_stream=True)
        assert peer.expect(HeadersFrame, 1)
        assert peer.expect(DataFrame, 1).data == b"the rest"
        peer.until_end()


def test_what_the_peer_says_in_goaway_commands_no_terminal_and_no_log() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.send(
            GoAwayFrame(0, last_stream_id=1, error_code=ErrorCode.INTERNAL_ERROR, additional_data=b"a\n\x1b[2J\xff")
        )
        peer.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionLost) as caught:
            stream.read()
        lost = caught.value.__cause__
        assert isinstance(lost, ConnectionLost)
        assert isinstance(lost.__cause__, SessionGoaway)
        assert str(lost.__cause__).isprintable()
        assert "a\\n\\x1b[2J" in str(lost.__cause__)
