"""Requests and responses: what goes over by itself, what the attributes say, and what is refused."""

from __future__ import annotations

import email.utils
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from support.octets.fields import RESPONSE
from support.peers.raw_peer import client_and_raw_server
from support.threads.background import PATIENCE
from sync_h2 import ErrorCode, HTTP2Error, InvalidArgument, InvalidState, Timeout


def test_a_get_and_its_answer(ends: Any) -> None:
    stream, served = ends.exchange({})
    assert dict(served.request_headers.items()) == {
        ":method": "GET",
        ":scheme": "http",
        ":authority": "localhost",
        ":path": "/",
    }
    served.respond({":status": 200, "content-type": "text/plain"})
    served.end(b"hello")
    headers = stream.wait_response()
    assert headers[":status"] == "200"
    assert headers["content-type"] == "text/plain"
    assert stream.read() == b"hello"
    assert stream.wait_closed() == ErrorCode.NO_ERROR


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_methods_without_body_end_our_side(ends: Any, method: str) -> None:
    _, served = ends.exchange({":method": method})
    assert served.end_after_headers
    assert served.read() == b""


def test_end_stream_says_otherwise(ends: Any) -> None:
    stream, served = ends.exchange({":method": "GET"}, end_stream=False)
    assert not served.end_after_headers
    stream.end(b"a body all the same")
    assert served.read() == b"a body all the same"
    stream, served = ends.exchange({":method": "POST"}, end_stream=True)
    assert served.end_after_headers
    with pytest.raises(InvalidState):
        stream.write(b"too late")


def test_bodies_in_both_directions_at_once(ends: Any, background: Any) -> None:
    size = 5_000_000
    up, down = bytes(range(256)) * (size // 256), bytes(reversed(range(256))) * (size // 256)
    stream, served = ends.exchange()
    calls = [
        background(stream.end, up),
        background(served.end, down),
        background(lambda: hashlib.sha256(served.read()).digest()),
        background(lambda: hashlib.sha256(stream.read()).digest()),
    ]
    results = [call.result(20) for call in calls]
    assert results[2:] == [hashlib.sha256(up).digest(), hashlib.sha256(down).digest()]


def test_a_date_is_added_unless_it_is_given_or_declined(ends: Any) -> None:
    stream, served = ends.exchange()
    served.respond()
    headers = stream.wait_response()
    assert headers[":status"] == "200"
    assert email.utils.parsedate_to_datetime(headers["date"])
    stream, served = ends.exchange()
    served.respond({"date": "yesterday"})
    assert stream.wait_response().get_all("date") == ["yesterday"]
    stream, served = ends.exchange()
    served.respond(send_date=False)
    assert "date" not in stream.wait_response()


@pytest.mark.parametrize("call", ["write", "end"])
def test_the_first_write_or_end_responds(ends: Any, call: str) -> None:
    stream, served = ends.exchange()
    assert not served.headers_sent
    getattr(served, call)(b"body")
    assert served.headers_sent
    assert served.sent_headers[":status"] == "200"
    assert "date" in stream.wait_response()
    with pytest.raises(InvalidState):
        served.respond()


def test_end_without_data_ends_with_the_headers(ends: Any) -> None:
    stream, served = ends.exchange()
    served.end()
    assert stream.wait_response()[":status"] == "200"
    assert stream.read() == b""
    assert stream.end_after_headers


def test_a_second_response_is_refused(ends: Any) -> None:
    stream, served = ends.exchange()
    served.respond({":status": 404})
    with pytest.raises(InvalidState) as raised:
        served.respond({":status": 200})
    assert raised.value.stream_id == served.id
    served.end(b"not here")
    assert stream.wait_response()[":status"] == "404"
    assert stream.read() == b"not here"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_without_body(ends: Any, status: int) -> None:
    stream, served = ends.exchange({})
    served.respond({":status": status})
    served.write(b"nobody gets this")
    served.end(b"nor this")
    assert stream.wait_response()[":status"] == str(status)
    assert stream.read() == b""
    assert stream.wait_closed() == 0


def test_head_has_headers_only(ends: Any) -> None:
    stream, served = ends.exchange({":method": "HEAD"})
    served.respond({"content-length": 1000})
    served.end(b"x" * 1000)
    assert stream.wait_response()["content-length"] == "1000"
    assert stream.read() == b""
    assert stream.wait_closed() == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "close"},
        {"transfer-encoding": "chunked"},
        {":status": "200"},
        {":unknown": "x"},
        {"bad name": "x"},
        {"name": "line\nbreak"},
        {"te": "gzip"},
        {":path": ""},
    ],
)
def test_headers_that_http2_forbids_are_refused_before_anything_is_sent(ends: Any, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument):
        ends.client.request(headers)
    stream, served = ends.exchange({})
    assert stream.id == 1
    served.end(b"works")
    assert stream.read() == b"works"


def test_a_response_that_http2_forbids_leaves_the_stream_usable(ends: Any) -> None:
    stream, served = ends.exchange()
    for headers in ({":status": 101}, {":status": 100}, {":status": "abc"}, {":path": "/"}, {"connection": "close"}):
        with pytest.raises(InvalidArgument):
            served.respond(headers)
    served.end(b"works")
    assert stream.read() == b"works"


def test_content_length_is_held_to(ends: Any) -> None:
    stream, served = ends.exchange({":method": "POST", "content-length": 10})
    with pytest.raises(InvalidState):
        stream.write(b"eleven byte")
    assert stream.write(b"nine byte") == 9
    with pytest.raises(InvalidState):
        stream.end()
    stream.end(b"!")
    assert served.read() == b"nine byte!"


def test_what_is_no_body_is_refused(ends: Any) -> None:
    stream, served = ends.exchange()
    for call in (stream.write, stream.end, served.write):
        with pytest.raises(TypeError):
            call("text")
    with pytest.raises(TypeError):
        stream.write(5)
    stream.end(b"works")
    assert served.read() == b"works"


def test_nothing_can_be_written_after_the_end(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"all")
    stream.end()
    with pytest.raises(InvalidState) as raised:
        stream.write(b"more")
    assert raised.value.stream_id == 1
    assert isinstance(raised.value, HTTP2Error)
    with pytest.raises(InvalidState):
        stream.end(b"more")
    assert served.read() == b"all"
    served.end()
    assert stream.wait_closed() == 0
    with pytest.raises(InvalidState):
        stream.write(b"more")


def test_the_attributes_of_a_stream_while_it_lives_and_after(ends: Any) -> None:
    stream, served = ends.exchange({":method": "POST", ":path": "/a"})
    assert (stream.id, served.id) == (1, 1)
    assert not stream.pending
    assert stream.session is ends.client
    assert served.session is ends.server
    assert not (stream.closed or stream.destroyed or stream.aborted)
    assert stream.rst_code is None
    assert stream.sent_headers[":path"] == "/a"
    assert stream.request_headers[":path"] == "/a"
    assert served.sent_headers is None
    stream.end()
    served.end(b"x")
    assert stream.read() == b"x"
    assert stream.wait_closed() == served.wait_closed() == 0
    for end in (stream, served):
        assert end.closed
        assert end.destroyed
        assert not end.aborted
        assert end.rst_code == 0
    assert stream.session is ends.client
    assert stream.response_headers is not None
    assert not stream.end_after_headers


def test_repeated_fields_and_odd_bytes_come_through(ends: Any) -> None:
    stream, served = ends.exchange([("cookie", "a=1"), ("x-odd", "caf\xe9"), ("cookie", "b=2"), ("x-list", "1")])
    assert served.request_headers["cookie"] == "a=1; b=2"
    assert served.request_headers.get_all("cookie") == ["a=1", "b=2"]
    assert served.request_headers["x-odd"] == "caf\xe9"
    served.respond([("set-cookie", "c=3"), ("set-cookie", "d=4"), ("x-list", "1"), ("x-list", "2")])
    headers = stream.wait_response()
    assert headers["set-cookie"] == ["c=3", "d=4"]
    assert headers["x-list"] == "1, 2"


def test_connect_is_a_tunnel(ends: Any) -> None:
    stream, served = ends.exchange({":method": "CONNECT", ":authority": "far:25"})
    assert ":path" not in served.request_headers
    served.respond()
    stream.write(b"ping")
    assert served.read(4) == b"ping"
    served.write(b"pong")
    assert stream.read(4) == b"pong"
    stream.end()
    assert served.read() == b""
    served.end()
    assert stream.read() == b""


def test_extended_connect_needs_the_peers_leave(open_ends: Any) -> None:
    headers = {":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", ":scheme": "http"}
    ends = open_ends()
    ends.client.ping()
    with pytest.raises(InvalidState):
        ends.client.request(headers)
    ends = open_ends(server={"settings": {"enable_connect_protocol": True}})
    ends.client.ping()
    stream, served = ends.exchange(headers)
    assert served.request_headers[":protocol"] == "websocket"
    served.respond()
    stream.end(b"frames")
    assert served.read() == b"frames"


@pytest.mark.parametrize("wait", [lambda stream: stream.wait_response(0.01), lambda stream: stream.read(-1, 0.01)])
def test_who_waits_for_an_answer_and_has_not_ended_the_request_is_told(wait: Callable[[Any], Any]) -> None:
    told = "your request's body has not ended: call end\\(\\)"
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        with pytest.raises(Timeout, match=told):
            wait(stream)
        stream.end()
        with pytest.raises(Timeout) as raised:
            wait(stream)
        assert "has not ended" not in str(raised.value)
        begun = session.request({":method": "POST"})
        peer.headers(begun.id, RESPONSE)
        begun.wait_response(PATIENCE)
        with pytest.raises(Timeout) as raised:
            begun.read(timeout=0.01)
        assert "has not ended" not in str(raised.value)


@pytest.mark.parametrize(("text", "path"), [("/news", "/news"), ("GET", "/")])
def test_headers_are_no_path(text: str, path: str) -> None:
    with client_and_raw_server() as (session, _), pytest.raises(InvalidArgument) as raised:
        session.request(text)  # type: ignore[arg-type]
    assert str(raised.value).endswith(f"not {text!r}; a path is asked for with {{':path': {path!r}}}")
