"""ServerResponse: the head, the body, trailers, and what is wrong to do when."""

from __future__ import annotations

import gc
import io
import json
import logging
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.connections.exchanges import exchange
from support.octets.fields import REQUEST, UPLOAD
from support.peers.http1_client import get, http1_session
from support.peers.raw_peer import server_and_raw_client
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import background, eventually
from sync_h2 import (
    ErrorCode,
    Headers,
    InvalidArgument,
    InvalidState,
    ServerResponse,
    StreamReset,
    Timeout,
)
from sync_h2.server.handlers import response_fields as fields
from sync_h2.testing import pair
from sync_h2.transport.transport import Transport

__all__ = ["background", "exchange", "keep_lock_rules", "lock_rules"]

# -- the head


def test_headers_that_are_set(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_header("Content-Type", "text/plain")
    response.set_header(" X-Number ", 5)
    response.set_header("x-list", ["a", "b"])
    response.set_header("x-gone", "1")
    response.remove_header("X-Gone")
    response.set_header("x-padded", " value\t")
    assert response.get_header("CONTENT-TYPE") == "text/plain"
    assert response.get_header("x-number") == 5
    assert response.get_header("x-list") == ["a", "b"]
    assert response.get_header("x-gone") is None
    assert response.get_header_names() == ["content-type", "x-number", "x-list", "x-padded"]
    assert response.get_headers() == {
        "content-type": "text/plain",
        "x-number": 5,
        "x-list": ["a", "b"],
        "x-padded": "value",
    }
    assert response.has_header("Content-Type")
    assert not response.has_header("x-gone")
    response.get_headers().clear()
    assert not response.headers_sent
    response.end(b"body")
    assert response.headers_sent
    headers = stream.wait_response()
    assert headers.pop("date")
    assert headers.pairs() == [
        (":status", "200"),
        ("content-type", "text/plain"),
        ("x-number", "5"),
        ("x-list", "a"),
        ("x-list", "b"),
        ("x-padded", "value"),
        ("content-length", "4"),
    ]
    assert stream.read() == b"body"


def test_append_header(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.append_header("Set-Cookie", "a=1")
    assert response.get_header("set-cookie") == "a=1"
    response.append_header("set-cookie", ["b=2", "c=3"])
    response.append_header("set-cookie", "d=4")
    assert response.get_header("set-cookie") == ["a=1", "b=2", "c=3", "d=4"]
    given = ["1"]
    response.set_header("x-a", given)
    response.append_header("x-a", 2)
    assert given == ["1"]
    response.end()
    assert stream.wait_response()["set-cookie"] == ["a=1", "b=2", "c=3", "d=4"]
    assert stream.wait_response()["x-a"] == "1, 2"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("", "x", InvalidArgument),
        ("a b", "x", InvalidArgument),
        ("a:b", "x", InvalidArgument),
        ("käse", "x", InvalidArgument),
        ("coo\u212aie", "x", InvalidArgument),
        (":status", "200", InvalidArgument),
        (b"x", "x", TypeError),
        (None, "x", TypeError),
        ("x", None, InvalidArgument),
        ("x", b"bytes", InvalidArgument),
        ("x", 1.5, InvalidArgument),
        ("x", True, InvalidArgument),
        ("x", ["a", None], InvalidArgument),
        ("x", "a\r\nset-cookie: b", InvalidArgument),
        ("x", "\N{SNOWMAN}", InvalidArgument),
        ("etag", ["a", "b"], InvalidArgument),
    ],
)
def test_what_can_be_no_header(exchange: Any, name: Any, value: Any, error: type[Exception]) -> None:
    stream, _, response = exchange({})
    for call in (response.set_header, response.append_header, response.set_trailer):
        with pytest.raises(error):
            call(name, value)
    with pytest.raises(error):
        response.add_trailers({name: value})
    with pytest.raises(error):
        response.write_head(200, [(name, value)])
    assert response.get_headers() == {}
    response.end(b"fine")
    assert stream.read() == b"fine"


def test_odd_values_that_can_be_sent(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_header("x-latin", "Zoë")
    response.set_header("x~odd", "a\tb")
    response.set_header("x-status", HTTPStatus.NOT_FOUND)
    response.set_header("x-none", [])
    response.end()
    headers = stream.wait_response()
    assert (headers["x-latin"], headers["x~odd"], headers["x-status"]) == ("Zoë", "a\tb", "404")
    assert "x-none" not in headers


def test_fields_of_a_connection_that_is_not_there_are_left_out(exchange: Any, caplog: Any) -> None:
    fields._told.clear()
    caplog.set_level(logging.INFO, "sync_h2.server")
    for _ in range(2):
        stream, _, response = exchange({})
        for name in ("Connection", "keep-alive", "Proxy-Connection", "transfer-encoding", "upgrade", "HTTP2-Settings"):
            response.set_header(name, "close")
            response.append_header(name, "x")
            assert not response.has_header(name)
        response.set_header("te", "gzip")
        response.set_trailer("connection", "close")
        response.write_head(200, {"Connection": "keep-alive", "x-kept": "1"})
        response.end()
        headers = stream.wait_response()
        assert sorted(headers) == [":status", "date", "x-kept"]
    said = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(said) == 7
    assert said[0] == (
        "the header 'connection' speaks of an HTTP/1.1 connection and is left out (RFC 9113 section 8.2.2); "
        "this is said once"
    )


@pytest.mark.parametrize("code", [200, 204, 404, 599, HTTPStatus.IM_A_TEAPOT])
def test_status_code(exchange: Any, code: int) -> None:
    stream, _, response = exchange({})
    assert response.status_code == 200
    response.status_code = code
    assert response.status_code == int(code)
    assert type(response.status_code) is int
    assert repr(response) == f"<ServerResponse {int(code)} of <ServerStream 1 open>>"
    response.end()
    assert stream.wait_response()[":status"] == str(int(code))


@pytest.mark.parametrize("code", [0, 99, 100, 101, 103, 199, 600, 1000, -1, "404", 404.0, None, True])
def test_what_can_be_no_status_code(exchange: Any, code: Any) -> None:
    stream, _, response = exchange({})
    error = InvalidArgument if type(code) is int else TypeError
    with pytest.raises(error, match="status code"):
        response.status_code = code
    with pytest.raises(error, match="status code"):
        response.write_head(code)
    response.end()
    assert stream.wait_response()[":status"] == "200"


@pytest.mark.parametrize("way", ["set", "write_head"])
def test_the_status_message_goes_out_over_http1(way: str) -> None:
    def listener(request: Any, response: Any) -> None:
        if way == "set":
            response.status_code = 201
            response.status_message = "Very Fine"
            assert response.status_message == "Very Fine"
            response.end(b"x")
        else:
            response.write_head(201, "Very Fine").end(b"x")

    with http1_session(None, get("/"), on_request=listener) as (_, client):
        line = b"HTTP/1.1 201 Very Fine\r\n"
        assert client.read(len(line)) == line


@pytest.mark.parametrize(
    ("message", "error"), [("a\r\nb", InvalidArgument), ("\u20ac", InvalidArgument), (5, TypeError)]
)
def test_what_is_no_status_message(exchange: Any, message: Any, error: type[Exception]) -> None:
    stream, _, response = exchange({})
    with pytest.raises(error, match="status message"):
        response.status_message = message
    response.end(b"x")
    assert stream.read() == b"x"


def test_the_status_message_is_left_out(exchange: Any, caplog: Any) -> None:
    fields._told.clear()
    caplog.set_level(logging.INFO, "sync_h2.server")
    stream, _, response = exchange({})
    response.status_message = "Fine"
    assert response.status_message == ""
    response.write_head(201, "Very Fine").end(b"x")
    assert stream.wait_response()[":status"] == "201"
    assert [record.getMessage() for record in caplog.records] == [
        "HTTP/2 has no status message, and a response's is left out; this is said once"
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "new", "set-cookie": ["a=1", "b=2"]},
        [("X-A", "new"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
        [["X-A", "new"], ["set-cookie", ["a=1", "b=2"]]],
        ["X-A", "new", "set-cookie", "a=1", "set-cookie", "b=2"],
        Headers([("x-a", "new"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]),
    ],
)
@pytest.mark.parametrize("message", [True, False])
def test_write_head(exchange: Any, headers: Any, message: bool) -> None:
    stream, _, response = exchange({})
    response.set_header("x-a", "old")
    response.set_header("x-b", "kept")
    assert response.write_head(201, *(["Created"] if message else []), headers) is response
    assert response.headers_sent
    response.end(b"body")
    received = stream.wait_response()
    assert (received[":status"], received["x-a"], received["x-b"]) == ("201", "new", "kept")
    assert received["set-cookie"] == ["a=1", "b=2"]
    assert "content-length" not in received
    assert response.get_header("x-a") == "new"


@pytest.mark.parametrize("headers", [["x-a"], [("x-a",)], 5, "x-a: 1", [1, 2]])
def test_what_can_be_no_head(exchange: Any, headers: Any) -> None:
    _, _, response = exchange({})
    with pytest.raises((InvalidArgument, TypeError)):
        response.write_head(200, None, headers)
    assert not response.headers_sent


def test_write_head_takes_headers_once(exchange: Any) -> None:
    _, _, response = exchange({})
    with pytest.raises(TypeError, match="status_message"):
        response.write_head(200, {"x": "1"}, {"y": "2"})


def test_flush_headers(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_header("x-a", "1")
    response.flush_headers()
    assert stream.wait_response()["x-a"] == "1"
    response.flush_headers()
    response.end(b"later")
    assert stream.read() == b"later"


def test_send_date(exchange: Any) -> None:
    def headers_after(change: Any) -> Headers:
        stream, _, response = exchange({})
        change(response)
        response.end()
        received: Headers = stream.wait_response()
        return received

    def switch_off(response: Any) -> None:
        assert response.send_date is True
        response.send_date = False
        assert response.send_date is False

    assert "date" in headers_after(lambda response: None)
    assert "date" not in headers_after(switch_off)
    assert "date" not in headers_after(lambda response: response.remove_header("Date"))
    assert headers_after(lambda response: response.set_header("date", "today"))["date"] == "today"


def test_headers_come_before_the_body(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.write(b"begun")
    for call in (
        lambda: response.set_header("x", "1"),
        lambda: response.append_header("x", "1"),
        lambda: response.remove_header("x"),
        lambda: response.write_head(200),
        lambda: setattr(response, "status_code", 404),
    ):
        with pytest.raises(InvalidState, match="sent already"):
            call()
    response.end()
    assert stream.read() == b"begun"
    assert stream.wait_response()[":status"] == "200"


# -- informational responses and pushes


def test_write_continue(exchange: Any) -> None:
    stream, _, response = exchange()
    assert response.write_continue() is True
    assert stream.wait_continue(timeout=5)
    response.flush_headers()
    assert response.write_continue() is False
    response.destroy()
    assert response.write_continue() is False


def test_write_early_hints(exchange: Any) -> None:
    stream, _, response = exchange({})
    assert response.write_early_hints({"link": "</a.css>; rel=preload", "X-Trace": "1"}) is True
    assert response.write_early_hints({"Link": ["</b.css>; rel=preload", "</c.js>; rel=preload"]}) is True
    assert response.write_early_hints({"link": []}) is False
    response.end()
    assert response.write_early_hints({"link": "</late.css>"}) is False
    assert stream.wait_response()[":status"] == "200"
    assert [dict(headers) for headers in stream.informational] == [
        {":status": "103", "link": "</a.css>; rel=preload", "x-trace": "1"},
        {":status": "103", "link": "</b.css>; rel=preload, </c.js>; rel=preload"},
    ]


@pytest.mark.parametrize("hints", [{}, {"link": "style.css"}, {"link": [5]}, {"x": "1"}, "link", None])
def test_what_can_be_no_hint(exchange: Any, hints: Any) -> None:
    _, _, response = exchange({})
    with pytest.raises(TypeError if not isinstance(hints, dict) else InvalidArgument):
        response.write_early_hints(hints)


def test_create_push_response(exchange: Any) -> None:
    stream, request, response = exchange({})
    assert response.request is request
    assert response.req is request
    pushed = response.create_push_response({":path": "/style.css"})
    assert isinstance(pushed, ServerResponse)
    assert pushed.request is None
    pushed.set_header("content-type", "text/css")
    pushed.end(b"body {}")
    response.end(b"page")
    received = stream.wait_push(timeout=5)
    assert received.request_headers[":path"] == "/style.css"
    assert (received.wait_response()["content-type"], received.read()) == ("text/css", b"body {}")
    assert stream.read() == b"page"


def test_a_push_that_the_client_does_not_want(exchange: Any) -> None:
    _, _, response = exchange({}, client={"settings": {"enable_push": False}})
    with pytest.raises(InvalidState, match="disabled push"):
        response.create_push_response({":path": "/style.css"})


# -- the body


def test_write_and_end(exchange: Any) -> None:
    stream, _, response = exchange({})
    assert response.write(b"one ") == 4
    assert response.write(memoryview(b"two ")) == 4
    assert not response.finished
    assert not response.writable_ended
    response.end(bytearray(b"three"))
    assert response.finished
    assert response.writable_ended
    assert stream.read() == b"one two three"
    assert "content-length" not in stream.wait_response()
    assert response.stream.wait_closed(timeout=5) == 0


@pytest.mark.parametrize("body", [b"", b"whole", memoryview(b"words").cast("B"), bytearray(100_000)])
def test_end_alone_says_the_length(exchange: Any, body: Any) -> None:
    stream, _, response = exchange({})
    response.end(body)
    assert stream.wait_response()["content-length"] == str(len(body))
    assert stream.read() == bytes(body)


def test_a_length_of_ones_own_is_kept_and_kept_to(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_header("Content-Length", "5")
    response.end(b"whole")
    assert stream.wait_response().get_all("content-length") == ["5"]
    assert stream.read() == b"whole"
    for body in (b"too much", b"few", b""):
        stream, _, response = exchange({})
        response.set_header("Content-Length", "5")
        with pytest.raises(InvalidState, match="content-length"):
            response.end(body)
        assert not response.finished
        assert stream.wait_response(timeout=5)["content-length"] == "5"  # they did not wait for the data in vain


def test_a_bad_timeout_sends_nothing(exchange: Any) -> None:
    stream, _, response = exchange({})
    for call in (response.write, response.end):
        with pytest.raises(InvalidArgument, match="timeout"):
            call(b"body", timeout=-1)
    assert not response.headers_sent
    response.end(b"fine")
    assert stream.read() == b"fine"


@pytest.mark.parametrize("send", ["write", "end"])
def test_headers_are_sent_along_with_the_first_data(exchange: Any, monkeypatch: Any, send: str) -> None:
    stream, _, response = exchange({})
    transport = response.stream.session._transport
    sends = []
    send_some = Transport.send_some_locked

    def counted(self: Transport) -> bool:
        if self is transport:
            sends.append(self.unsent_locked)
        return send_some(self)

    monkeypatch.setattr(Transport, "send_some_locked", counted)
    getattr(response, send)(b"body")
    assert stream.read(4) == b"body"
    assert len(sends) == 1


def test_nothing_is_written_after_the_end(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.end(b"whole")
    response.end()
    with pytest.raises(InvalidState, match="ended"):
        response.end(b"more")
    with pytest.raises(InvalidState, match="ended"):
        response.write(b"more")
    with pytest.raises(InvalidState, match="ended"):
        response.set_trailer("x", "1")
    assert stream.read() == b"whole"


@pytest.mark.parametrize("body", ["text", None, 5, ["x"]])
def test_what_is_no_body(exchange: Any, body: Any) -> None:
    stream, _, response = exchange({})
    for call in (response.write, response.end):
        with pytest.raises(TypeError):
            call(body)
    assert not response.headers_sent
    response.end(b"fine")
    assert stream.read() == b"fine"


def test_a_write_that_times_out(exchange: Any) -> None:
    stream, _, response = exchange({}, client={"settings": {"initial_window_size": 10}})
    with pytest.raises(Timeout) as raised:
        response.write(b"x" * 100, timeout=0.02)
    assert raised.value.bytes_written == 10
    with pytest.raises(Timeout):
        response.end(b"x" * 90, timeout=0.02)
    assert not response.finished
    assert stream.read(10) == b"x" * 10
    response.end()
    assert stream.read() == b""


def test_writing_to_a_client_that_is_gone(exchange: Any) -> None:
    stream, _, response = exchange({})
    stream.close(ErrorCode.CANCEL)
    assert response.stream.wait_closed(timeout=5) == ErrorCode.CANCEL
    for call in (lambda: response.write(b"x"), response.end, response.flush_headers, lambda: response.write_head(200)):
        with pytest.raises(StreamReset):
            call()


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_body_where_there_is_none_is_dropped(exchange: Any, status: int) -> None:
    for method in ("GET", "HEAD"):
        stream, _, response = exchange({":method": method})
        response.status_code = status
        response.set_header("content-length", 5)
        response.set_trailer("x-a", "1")
        assert response.write(b"hello") == 5
        response.end(b"world")
        headers = stream.wait_response()
        assert headers[":status"] == str(status)
        assert headers.get("content-length") == ("5" if status == 304 else None)
        assert (stream.read(), stream.wait_trailers()) == (b"", Headers())
        assert response.stream.wait_closed(timeout=5) == 0


def test_head(exchange: Any) -> None:
    for body, length in ((b"hello", "5"), (b"", None)):
        stream, _, response = exchange({":method": "HEAD"})
        response.set_trailer("x-a", "1") if not body else None
        response.end(body)
        assert stream.wait_response().get("content-length") == length
        assert stream.read() == b""
        assert response.stream.wait_closed(timeout=5) == 0
        with pytest.raises(InvalidState):
            response.write(b"more")


def test_one_frame_for_an_answer_without_a_body() -> None:
    with server_and_raw_client(on_request=lambda request, response: response.end()) as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)
        headers = peer.expect(HeadersFrame, 1)
        assert dict(headers.fields)["content-length"] == "0"
        assert "END_STREAM" in headers.flags


# -- trailers


def test_trailers(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_trailer("X-A", "1")
    response.write(b"body")
    response.add_trailers({"x-b": 2})
    response.add_trailers([("x-c", "3")])
    response.set_trailer("x-a", "4")
    response.end(b" ends")
    assert stream.read() == b"body ends"
    assert stream.wait_trailers().pairs() == [("x-a", "4"), ("x-b", "2"), ("x-c", "3")]


def test_trailers_behind_a_body_in_one_call(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.add_trailers({"x-a": "1"})
    response.end(b"body")
    assert "content-length" not in stream.wait_response()  # HTTP/1.1 has no trailers then
    assert (stream.read(), stream.wait_trailers()["x-a"]) == (b"body", "1")


def test_trailers_without_a_body(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_trailer("x-a", "1")
    response.end()
    assert (stream.read(), stream.wait_trailers()["x-a"]) == (b"", "1")


def test_http_1_has_no_trailers_behind_a_length(exchange: Any, monkeypatch: Any) -> None:
    for known, expected in ((False, Headers()), (True, {"x-a": "1"})):
        stream, _, response = exchange({})
        monkeypatch.setattr(type(response.stream.session), "_http_version", "1.1")
        response.set_header("content-length", 4)
        if known:
            response.set_trailer("x-a", "1")
        response.write(b"body")
        if not known:
            response.set_trailer("x-a", "1")
        response.end()
        assert (stream.read(), stream.wait_trailers()) == (b"body", expected)


def test_without_trailers_the_last_data_ends_the_stream() -> None:
    def answer(request: Any, response: Any) -> None:
        response.write(b"begun ")
        response.end(b"ended")

    with server_and_raw_client(on_request=answer) as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)
        assert "END_STREAM" not in peer.expect(HeadersFrame, 1).flags
        assert peer.expect(DataFrame, 1).data == b"begun "
        last = peer.expect(DataFrame, 1)
        assert (last.data, "END_STREAM" in last.flags) == (b"ended", True)


def test_what_can_be_no_trailer_ends_nothing(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.set_trailer("content-length", 5)
    response.write(b"body")
    with pytest.raises(InvalidArgument, match="trailers"):
        response.end()
    assert not response.finished
    response.destroy()
    with pytest.raises(StreamReset):
        stream.read()


def test_trailers_need_headers_of_the_response(exchange: Any) -> None:
    _, _, response = exchange({})
    response.stream.respond()
    response.set_trailer("x-a", "1")
    with pytest.raises(InvalidState, match="send_trailers"):
        response.end()


def test_a_stream_that_was_ended_by_its_own_call(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.write(b"body")
    response.stream.end()
    response.end()
    assert stream.read() == b"body"
    assert stream.wait_closed(timeout=5) == 0


# -- the response as a file


def test_what_takes_a_file_takes_it(exchange: Any) -> None:
    stream, _, response = exchange({})
    with io.TextIOWrapper(response, encoding="utf-8") as text:
        json.dump({"name": "Zoë"}, text, ensure_ascii=False)
        print(file=text)
    assert response.finished
    assert stream.read() == '{"name": "Zoë"}\n'.encode()
    stream, _, response = exchange({})
    with response:
        shutil.copyfileobj(io.BytesIO(b"x" * 200_000), response)
    assert stream.read() == b"x" * 200_000


def test_it_is_a_file_to_write(exchange: Any) -> None:
    stream, _, response = exchange({})
    assert isinstance(response, io.RawIOBase)
    assert response.writable()
    assert not response.readable()
    with pytest.raises(io.UnsupportedOperation):
        response.readinto(bytearray(1))
    response.writelines([b"one ", b"two"])
    response.flush()
    response.close()
    response.close()
    assert response.closed
    assert response.finished
    with pytest.raises(InvalidState):
        response.write(b"x")
    assert stream.read() == b"one two"


def test_an_exception_inside_its_block_resets_what_has_begun(exchange: Any) -> None:
    stream, _, response = exchange({})
    with pytest.raises(RuntimeError), response:
        response.write(b"half")
        raise RuntimeError
    with pytest.raises(ValueError, match="closed"):
        response.write(b"x")
    with pytest.raises(StreamReset) as raised:
        stream.read()
    assert raised.value.partial == b"half"


def test_an_exception_inside_its_block_before_the_headers_can_be_answered(exchange: Any) -> None:
    stream, _, response = exchange({})
    with pytest.raises(RuntimeError), response:
        raise RuntimeError
    response.status_code = 503
    response.end(b"sorry")
    assert (stream.wait_response()[":status"], stream.read()) == ("503", b"sorry")


def test_a_forgotten_file_ends_nothing(exchange: Any) -> None:
    stream, _, response = exchange({})
    response.write(b"half")
    text = io.TextIOWrapper(response)
    text.write("more")
    del text, response
    gc.collect()
    with pytest.raises(StreamReset):
        stream.read()


# -- when handlers have returned


@pytest.fixture
def answered() -> Iterator[Any]:
    """`answered(handler)` gives the client's end of a request that `handler(request, response)` serves."""
    sessions: list[Any] = []

    def make(handler: Any, headers: Any = None, **options: Any) -> Any:
        sessions.extend(pair(on_request=handler, **options))
        return sessions[-2].request(headers)

    yield make
    for session in sessions:
        session.destroy()


def test_what_was_begun_ends_with_its_trailers(answered: Any) -> None:
    def handler(request: Any, response: Any) -> None:
        response.set_trailer("x-a", "1")
        response.write(b"body")

    stream = answered(handler)
    assert (stream.read(), stream.wait_trailers()["x-a"]) == (b"body", "1")
    assert stream.wait_closed(timeout=5) == 0


def test_a_head_alone_is_ended(answered: Any) -> None:
    stream = answered(lambda request, response: response.write_head(201))
    assert (stream.wait_response()[":status"], stream.read()) == ("201", b"")


def test_no_answer_is_a_500(answered: Any, caplog: Any) -> None:
    stream = answered(lambda request, response: response.set_header("x", "1"), {":path": "/page"})
    assert (stream.wait_response()[":status"], stream.read()) == ("500", b"")
    eventually(lambda: 'no handler answered stream 1 ("GET /page" of ' in caplog.text)


@pytest.mark.parametrize("begun", [False, True])
def test_one_that_raises(answered: Any, caplog: Any, begun: bool) -> None:
    def handler(request: Any, response: Any) -> None:
        response.set_trailer("x-a", "1")
        if begun:
            response.write(b"half")
        raise RuntimeError("the handler's own fault")

    stream = answered(handler)
    if begun:
        with pytest.raises(StreamReset) as raised:
            stream.read()
        assert raised.value.code == ErrorCode.INTERNAL_ERROR
    else:
        assert stream.wait_response()[":status"] == "500"
    eventually(lambda: "the handler's own fault" in caplog.text)


def test_a_body_shorter_than_announced_is_a_reset(answered: Any, caplog: Any) -> None:
    def handler(request: Any, response: Any) -> None:
        response.write_head(200, {"content-length": 10})
        response.write(b"short")

    with pytest.raises(StreamReset) as raised:
        answered(handler).read()
    assert (raised.value.code, raised.value.partial) == (ErrorCode.INTERNAL_ERROR, b"short")
    eventually(lambda: "5 bytes of content-length are missing" in caplog.text)


def test_a_detached_stream_goes_on(answered: Any, background: Any) -> None:
    def handler(request: Any, response: Any) -> None:
        response.write(b"begun ")
        response.set_trailer("x-a", "1")
        assert not response.stream.detached
        response.stream.detach()
        assert response.stream.detached
        background(lambda: (request.read(), response.end(b"ended")))

    stream = answered(handler, {":method": "POST"})
    assert stream.read(10) == b"begun "
    stream.end()
    assert (stream.read(), stream.wait_trailers()["x-a"]) == (b"ended", "1")


def test_an_early_answer_on_the_wire() -> None:
    early: dict[str, Any] = {
        "on_request": lambda request, response: response.end(b"early"),
        "max_discarded_body": 0,
    }
    with server_and_raw_client(**early) as (_, peer):
        peer.headers(1, UPLOAD)
        assert dict(peer.expect(HeadersFrame, 1).fields)["content-length"] == "5"
        assert peer.expect(DataFrame, 1).data == b"early"
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR  # once the listener has returned
