"""Trailers in both directions."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.octets.fields import RESPONSE
from support.peers.raw_peer import client_and_raw_server
from support.threads.background import PATIENCE, eventually
from sync_h2 import ErrorCode, HTTP2Error, InvalidArgument, InvalidState, StreamReset, Timeout
from sync_h2.testing import pair


def test_a_servers_trailers_end_its_side(ends: Any) -> None:
    stream, served = ends.exchange({})
    served.respond(wait_for_trailers=True)
    served.write(b"body")
    served.send_trailers({"x-checksum": "123"})
    assert served.sent_trailers["x-checksum"] == "123"
    assert stream.read() == b"body"
    assert stream.wait_trailers()["x-checksum"] == "123"
    assert stream.trailers["x-checksum"] == "123"
    assert stream.wait_closed() == 0
    assert not served.aborted


def test_a_clients_trailers_end_its_side(ends: Any) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    stream.write(b"body")
    stream.end()
    stream.send_trailers({"x-checksum": "123"})
    assert served.wait_trailers()["x-checksum"] == "123"
    served.end(b"thanks")
    assert stream.read() == b"thanks"
    assert stream.wait_closed() == 0


def test_a_get_can_have_trailers(ends: Any) -> None:
    stream, served = ends.exchange({}, wait_for_trailers=True)
    stream.send_trailers({"x": "1"})
    assert served.wait_trailers()["x"] == "1"


def test_trailers_wait_behind_data_that_flow_control_holds(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    writing = background(stream.end, b"x" * 1_000_000)
    eventually(lambda: stream._state.end_posted)
    stream.send_trailers({"x": "last"})
    assert len(served.read()) == 1_000_000
    assert served.wait_trailers()["x"] == "last"
    writing.result(5)


def test_wait_trailers_discards_what_is_unread(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)

    def send() -> None:
        stream.write(b"x" * 1_000_000)
        stream.send_trailers({"x": "1"})

    sending = background(send)
    assert served.wait_trailers(timeout=10)["x"] == "1"
    assert served.read() == b""
    sending.result(5)


def test_without_trailers_they_are_empty(ends: Any) -> None:
    stream, served = ends.exchange({})
    served.end(b"body")
    assert len(stream.wait_trailers()) == 0
    assert stream.trailers is None


def test_the_server_can_end_without_sending_the_trailers_it_announced() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond(wait_for_trailers=True)
        stream.write(b"body")

    client, _ = pair(handler)
    with client:
        stream = client.request()
        assert stream.read() == b"body"
        assert len(stream.wait_trailers()) == 0
        assert stream.wait_closed() == 0


def test_misuse_is_refused_and_harms_nothing(ends: Any) -> None:
    stream, served = ends.exchange({":method": "POST"})
    with pytest.raises(InvalidState):
        stream.send_trailers({"x": "1"})  # without the option
    with pytest.raises(InvalidState):
        served.send_trailers({"x": "1"})  # before the headers
    served.respond(wait_for_trailers=True)
    for headers in ({":status": "200"}, {"connection": "close"}, {"bad name": "x"}):
        with pytest.raises(InvalidArgument):
            served.send_trailers(headers)
    served.send_trailers({"x": "1"})
    with pytest.raises(InvalidState):
        served.send_trailers({"x": "2"})
    with pytest.raises(InvalidState):
        served.write(b"after the trailers")
    stream.end()
    assert stream.wait_trailers()["x"] == "1"
    with pytest.raises(HTTP2Error):
        stream.send_trailers({"x": "1"})
    assert not ends.client.destroyed


def test_wait_for_trailers_excludes_end_stream(ends: Any) -> None:
    with pytest.raises(InvalidArgument):
        ends.client.request({}, end_stream=True, wait_for_trailers=True)


def test_content_length_is_held_to_before_trailers(ends: Any) -> None:
    stream, _ = ends.exchange({":method": "POST", "content-length": 5}, wait_for_trailers=True)
    stream.write(b"123")
    with pytest.raises(InvalidState):
        stream.send_trailers({"x": "1"})
    stream.write(b"45")
    stream.send_trailers({"x": "1"})


def test_a_short_body_closed_by_trailers_is_an_error() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, [*RESPONSE, ("content-length", "5")])
        peer.data(1, b"123")
        peer.headers(1, [("x", "1")], end_stream=True)
        with pytest.raises(HTTP2Error) as raised:
            stream.wait_trailers()
        assert raised.value.code == ErrorCode.PROTOCOL_ERROR
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.PROTOCOL_ERROR
        with pytest.raises(HTTP2Error):
            stream.read()


def test_on_the_wire_they_are_the_last_frame() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"}, wait_for_trailers=True)
        stream.end(b"body")
        stream.send_trailers({"x": "1"})
        first = peer.expect(HeadersFrame, 1)
        assert "END_STREAM" not in first.flags
        data = peer.expect(DataFrame, 1)
        assert data.data == b"body"
        assert "END_STREAM" not in data.flags
        trailers = peer.expect(HeadersFrame, 1)
        assert trailers.fields == [("x", "1")]
        assert "END_STREAM" in trailers.flags


def test_a_reset_wakes_wait_trailers(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({})
    waiting = background(stream.wait_trailers)
    served.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset):
        waiting.result(5)


def test_the_listeners(ends: Any, background: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    stream.on("want_trailers", lambda: stream.send_trailers({"x": "wanted"}))
    served.on("trailers", heard.put)
    stream.end(b"body")
    assert heard.get(timeout=5)["x"] == "wanted"
    assert served.read() == b"body"


def test_trailers_are_taken_back_with_the_data_before_them(ends: Any, background: Any) -> None:
    """Without the data that timed out they would have a part of the body look whole."""
    stream, served = ends.exchange({})
    wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
    served.on("want_trailers", lambda: wanted.put("again"))
    served.respond(wait_for_trailers=True)
    body = bytes(range(250)) * 8_000
    ending = background(served.end, body, timeout=0.2)
    wanted.get(timeout=PATIENCE)
    served.send_trailers({"x": "too early"})
    error = ending.exception(PATIENCE)
    assert isinstance(error, Timeout)
    assert served.sent_trailers is None
    ending = background(served.end, body[error.bytes_written :])
    wanted.get(timeout=PATIENCE)
    served.send_trailers({"x": "last"})
    assert stream.read() == body
    assert stream.wait_trailers()["x"] == "last"
    ending.result(PATIENCE)
