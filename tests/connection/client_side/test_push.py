"""Server push, from both ends."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import RstStreamFrame

from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server
from support.threads.background import eventually
from sync_h2 import ErrorCode, InvalidArgument, InvalidState, ProtocolError, StreamReset


def test_a_push_and_its_response(ends: Any) -> None:
    stream, served = ends.exchange({":path": "/page"})
    assert served.push_allowed
    pushed = served.push_stream({":path": "/style.css", "accept": "text/css"})
    assert pushed.id == 2
    assert pushed.request_headers[":path"] == "/style.css"
    promised = stream.wait_push(timeout=5)
    assert promised.id == 2
    assert promised.request_headers[":method"] == "GET"
    assert promised.request_headers[":path"] == "/style.css"
    assert promised.request_headers[":scheme"] == "http"
    assert promised.request_headers[":authority"] == "localhost"
    assert promised.request_headers["accept"] == "text/css"
    pushed.respond({"content-type": "text/css"})
    pushed.end(b"body {}")
    assert promised.wait_response()["content-type"] == "text/css"
    assert promised.read() == b"body {}"
    assert promised.wait_closed() == 0
    served.end(b"page")
    assert stream.read() == b"page"
    assert stream.wait_push(timeout=5) is None


def test_pushes_iterates_over_all(ends: Any) -> None:
    stream, served = ends.exchange({})
    for number in range(3):
        pushed = served.push_stream({":path": f"/{number}"})
        pushed.end(str(number).encode())
    served.end()
    bodies = {promised.request_headers[":path"]: promised.read() for promised in stream.pushes()}
    assert bodies == {"/0": b"0", "/1": b"1", "/2": b"2"}


def test_a_pushed_stream_can_be_refused(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/unwanted"})
    stream.wait_push(timeout=5).close(ErrorCode.CANCEL)
    assert pushed.wait_closed(timeout=5) == ErrorCode.CANCEL
    with pytest.raises(StreamReset):
        pushed.end(b"unwanted")
    served.end(b"page")
    assert stream.read() == b"page"


def test_a_client_that_disabled_push(open_ends: Any) -> None:
    ends = open_ends(client={"settings": {"enable_push": False}})
    stream, served = ends.exchange({})
    assert not served.push_allowed
    with pytest.raises(InvalidState):
        served.push_stream({":path": "/x"})
    served.end(b"page")
    assert stream.read() == b"page"
    assert stream.wait_push(timeout=5) is None


def test_a_pushed_stream_cant_push(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/a"})
    assert not pushed.push_allowed
    with pytest.raises(InvalidState):
        pushed.push_stream({":path": "/b"})
    pushed.end()
    served.end()
    assert stream.read() == b""
    assert [promised.read() for promised in stream.pushes()] == [b""]


@pytest.mark.parametrize("headers", [{":method": "POST"}, {":status": "200"}, {"content-length": "5"}, {":path": ""}])
def test_what_cant_be_pushed(ends: Any, headers: Any) -> None:
    stream, served = ends.exchange({})
    with pytest.raises(InvalidArgument):
        served.push_stream(headers)
    served.end(b"page")
    assert stream.read() == b"page"


def test_the_listeners(open_ends: Any) -> None:
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()
    responses: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def promised(stream: Any, headers: Any) -> None:
        stream.on("push", responses.put)
        streams.put((stream, headers))

    ends = open_ends(client={"listeners": {"stream": promised}})
    _, served = ends.exchange({})
    pushed = served.push_stream({":path": "/a"})
    stream, headers = streams.get(timeout=5)
    assert headers[":path"] == "/a"
    pushed.respond({"x": "1"})
    assert responses.get(timeout=5)["x"] == "1"
    pushed.end(b"x")
    assert stream.read() == b"x"


def test_a_stream_listener_that_comes_late_hears_of_earlier_pushes(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/a"})
    pushed.end(b"a")
    promised = stream.wait_push(timeout=5)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ends.client.on("stream", lambda stream, headers: heard.put((stream, headers)))
    again, headers = heard.get(timeout=5)
    assert again.id == promised.id
    assert headers[":path"] == "/a"
    served.end()


def test_a_pushed_head_request_has_no_body(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":method": "HEAD", ":path": "/a"})
    pushed.respond({"content-length": 10})
    pushed.end()
    promised = stream.wait_push(timeout=5)
    assert promised.read() == b""
    assert promised.wait_response()["content-length"] == "10"
    served.end()


def test_a_push_is_independent_of_its_parents_reset(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/a"})
    promised = stream.wait_push(timeout=5)
    stream.close(ErrorCode.CANCEL)
    pushed.end(b"still here")
    assert promised.read() == b"still here"


def test_a_push_that_nobody_takes_is_cancelled_with_its_parent(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/a"})
    served.end(b"page")
    assert stream.read() == b"page"
    del stream
    ends.held.clear()
    assert pushed.wait_closed(timeout=5) == ErrorCode.CANCEL


def test_a_promise_that_was_not_allowed_is_an_error() -> None:
    with client_and_raw_server() as (session, peer):
        session.settings({"enable_push": False})
        peer.acknowledge_settings()
        stream = session.request()
        peer.promise(1, 2, REQUEST)
        last = peer.farewell()
        assert last.error_code == ErrorCode.PROTOCOL_ERROR
        with pytest.raises(ProtocolError):
            stream.read()


def test_a_promise_on_a_stream_that_we_have_reset_is_refused() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        stream.close(ErrorCode.CANCEL)
        peer.promise(1, 2, REQUEST)
        frame = peer.expect(RstStreamFrame, 2)
        assert frame.error_code in (ErrorCode.CANCEL, ErrorCode.REFUSED_STREAM)
        other = session.request()
        peer.headers(3, RESPONSE, end_stream=True)
        assert other.wait_response()[":status"] == "200"


def test_promises_beyond_our_limit_are_refused() -> None:
    with client_and_raw_server(max_concurrent_streams=2) as (session, peer):
        stream = session.request()
        for promised_id in (2, 4, 6):
            peer.promise(1, promised_id, REQUEST)
        assert peer.expect(RstStreamFrame).stream_id == 6
        eventually(lambda: len(stream._state.pushes) == 2)
        assert not session.destroyed


@pytest.mark.parametrize("field", [(":authority", "evil.example"), (":scheme", "https")])
def test_a_promise_for_an_origin_the_server_does_not_speak_for_is_refused(field: tuple[str, str]) -> None:
    """RFC 9113 section 8.4: a stream error of type PROTOCOL_ERROR; the connection goes on."""
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.promise(1, 2, tuple({**dict(REQUEST), field[0]: field[1]}.items()))
        assert peer.expect(RstStreamFrame, 2).error_code == ErrorCode.PROTOCOL_ERROR
        peer.headers(1, RESPONSE, end_stream=True)
        assert stream.wait_push(timeout=5) is None
        assert not session.destroyed
