"""ServerRequest: what it tells of a request, and its body as a file."""

from __future__ import annotations

import io
import json
import queue
from typing import Any

import pytest

from support.connections.exchanges import exchange
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import background, eventually, waits
from sync_h2 import ErrorCode, Headers, InvalidArgument, ServerRequest, SocketManipulationError, StreamReset, Timeout
from sync_h2.testing import pair

__all__ = ["background", "exchange", "keep_lock_rules", "lock_rules"]


def test_what_it_tells(exchange: Any) -> None:
    fields = [(":path", "/search?q=1"), ("x-a", "1"), ("cookie", "a=1"), ("x-a", "2"), ("cookie", "b=2")]
    _, request, response = exchange(fields)
    assert (request.method, request.path, request.url) == ("GET", "/search?q=1", "/search?q=1")
    assert (request.scheme, request.authority) == ("http", "localhost")
    assert request.headers["X-A"] == "1, 2"
    assert request.headers["cookie"] == "a=1; b=2"
    assert request.headers[":method"] == "GET"
    assert [field for field in request.raw_headers if not field[0].startswith(":")] == fields[1:]
    assert (request.http_version, request.http_version_major, request.http_version_minor) == ("2.0", 2, 0)
    assert request.stream is response.stream
    assert request.stream.http_version == "2.0"
    assert repr(request) == "<ServerRequest GET /search?q=1 of <ServerStream 1 open>>"


def test_host_stands_in_for_a_missing_authority(exchange: Any) -> None:
    _, request, _ = exchange({"host": "example.org"})
    assert request.authority == "example.org"


def test_connect_has_no_path_and_no_scheme() -> None:
    seen: queue.SimpleQueue[ServerRequest] = queue.SimpleQueue()
    client, server = pair(lambda stream, headers: seen.put(ServerRequest(stream)))
    with client, server:
        _stream = client.request({":method": "CONNECT", ":authority": "example.org:443"})
        request = seen.get(timeout=5)
        assert (request.method, request.path, request.scheme) == ("CONNECT", "", "")
        assert request.authority == "example.org:443"


def test_method_and_path_can_be_rewritten(exchange: Any) -> None:
    _, request, _ = exchange({":path": "/old"}, end_stream=True)
    request.url = "/new"
    assert (request.path, request.url) == ("/new", "/new")
    request.path = "/newer"
    request.method = "PUT"
    assert (request.url, request.method) == ("/newer", "PUT")
    assert request.headers[":path"] == "/old"  # what the client said, and the log says
    for name, value, error in (
        ("method", " ", InvalidArgument),
        ("method", 1, TypeError),
        ("path", None, TypeError),
        ("url", b"/", TypeError),
    ):
        with pytest.raises(error):
            setattr(request, name, value)
    assert (request.url, request.method) == ("/newer", "PUT")


def test_trailers(exchange: Any) -> None:
    client, server = pair(on_request=trailers_back)
    with client, server:
        stream = client.request({":method": "POST"}, wait_for_trailers=True)
        stream.end(b"body")
        stream.send_trailers([("x-a", "1"), ("x-b", "2"), ("x-a", "3")])
        assert json.loads(stream.read()) == [[], "1, 3", [["x-a", "1"], ["x-b", "2"], ["x-a", "3"]]]


def trailers_back(request: Any, response: Any) -> None:
    before = list(request.trailers) if not request.complete else []
    request.read()
    response.end(json.dumps([before, request.trailers["x-a"], request.raw_trailers]).encode())


def test_no_trailers(exchange: Any) -> None:
    stream, request, _ = exchange()
    assert request.trailers == Headers()
    stream.end(b"body")
    assert request.read() == b"body"
    assert (request.trailers, request.raw_trailers) == (Headers(), [])


def test_complete(exchange: Any) -> None:
    stream, request, _ = exchange()
    assert not request.complete
    stream.end(b"body")
    assert request.read() == b"body"
    assert request.complete
    assert exchange({}, end_stream=True)[1].complete


def test_aborted(exchange: Any) -> None:
    stream, request, _ = exchange()
    assert not request.aborted
    stream.close(ErrorCode.CANCEL)
    assert request.stream.wait_closed(timeout=5) == ErrorCode.CANCEL
    assert request.aborted
    assert request.complete


@pytest.mark.parametrize("which", [1, 2])
def test_listeners_of_either(exchange: Any, which: int) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    ends = exchange()
    message = ends[which]
    message.on("aborted", lambda: heard.put(("aborted",)))
    message.once("close", lambda code: heard.put(("close", code)))
    removed = message.on("close", lambda code: heard.put(("removed", code)))
    message.off("close", removed)
    ends[0].close(ErrorCode.CANCEL)
    assert [heard.get(timeout=5) for _ in range(2)] == [("aborted",), ("close", ErrorCode.CANCEL)]
    assert heard.empty()


def test_events_are_the_streams(exchange: Any) -> None:
    _, request, response = exchange()
    with pytest.raises(InvalidArgument, match="read"):
        request.on("data", print)
    with pytest.raises(InvalidArgument, match="wait_closed"):
        response.on("finish", print)


def test_set_timeout(exchange: Any) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    _, request, response = exchange()
    request.set_timeout(0.02, lambda: heard.put("request"))
    assert heard.get(timeout=5) == "request"
    response.set_timeout(0.02, lambda: heard.put("response"))
    kinds: set[str] = set()
    while kinds != {"request", "response"}:
        kinds.add(heard.get(timeout=5))
    request.set_timeout(None)


def test_the_socket_is_there_to_look_at(exchange: Any) -> None:
    _, request, response = exchange()
    for message in (request, response):
        assert message.socket.fileno() == message.stream.session.socket.fileno()
        assert message.connection.fileno() == message.socket.fileno()
        with pytest.raises(SocketManipulationError):
            message.socket.send(b"x")


def test_destroy(exchange: Any) -> None:
    for which, error, code in ((1, None, ErrorCode.CANCEL), (2, RuntimeError("bad"), ErrorCode.INTERNAL_ERROR)):
        ends = exchange()
        ends[which].destroy(error)
        assert ends[0].wait_closed(timeout=5) == code


# -- the body as a file


def test_read_waits_for_all_that_was_asked_for(exchange: Any, background: Any) -> None:
    stream, request, _ = exchange()
    reading = background(request.read, 10)
    for piece in (b"01", b"2345", b"678"):
        stream.write(piece)
    eventually(lambda: len(request.stream._state.buffer) == 9 and waits(request.stream))
    assert not reading.done()
    stream.end(b"9ab")
    assert reading.result(5) == b"0123456789"
    assert request.read(10) == b"ab"
    assert request.read(10) == b""
    assert request.read(0) == b""


def test_read_of_more_than_the_window(exchange: Any, background: Any) -> None:
    stream, request, _ = exchange(settings={"initial_window_size": 1000})
    writing = background(stream.end, b"x" * 100_000)
    assert request.read(50_000, timeout=10) == b"x" * 50_000
    assert request.read(60_000, timeout=10) == b"x" * 50_000
    writing.result(5)


def test_read_with_no_window_at_all(exchange: Any, background: Any) -> None:
    stream, request, _ = exchange(server={"settings": {"initial_window_size": 0}})
    writing = background(stream.end, b"x" * 100_000)
    assert request.read(100_000, timeout=10) == b"x" * 100_000
    writing.result(5)


def test_read_that_times_out_loses_nothing(exchange: Any) -> None:
    stream, request, _ = exchange()
    stream.write(b"half")
    with pytest.raises(Timeout):
        request.read(8, timeout=0.01)
    for call in (request.read1, request.readline):
        with pytest.raises(Timeout):
            exchange()[1].__getattribute__(call.__name__)(timeout=0.01)
    with pytest.raises(Timeout):
        exchange()[1].readinto(bytearray(1), timeout=0.01)
    stream.end(b"half")
    assert request.read(8) == b"halfhalf"


def test_what_came_before_a_reset(exchange: Any) -> None:
    stream, request, _ = exchange()
    stream.write(b"half")
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset):
        request.read(8)
    assert request.read1() == b"half"
    with pytest.raises(StreamReset):
        request.read1()
    stream, request, _ = exchange()
    stream.write(b"half")
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset) as raised:
        request.read()
    assert raised.value.partial == b"half"


def test_read1_and_readinto_take_what_is_there(exchange: Any) -> None:
    stream, request, _ = exchange()
    stream.write(b"hello")
    assert request.read1() == b"hello"
    stream.write(b"hello")
    assert request.read1(2) == b"he"
    buffer = bytearray(10)
    assert request.readinto(buffer) == 3
    stream.end(b"world")
    assert request.readinto1(memoryview(buffer)[3:]) == 5
    assert buffer[:8] == b"lloworld"
    assert request.read1() == b""
    assert request.readinto(buffer) == 0


def test_lines(exchange: Any) -> None:
    stream, request, _ = exchange()
    stream.end(b"one\ntwo\nthree\nfour\nend")
    assert request.readline() == b"one\n"
    assert request.readline(2) == b"tw"
    assert next(request) == b"o\n"
    assert request.readlines(5) == [b"three\n"]
    assert list(request) == [b"four\n", b"end"]


def test_what_takes_a_file_takes_it(exchange: Any) -> None:
    stream, request, _ = exchange()
    stream.end('{"name": "Zoë"}'.encode())
    assert json.load(request) == {"name": "Zoë"}
    stream, request, _ = exchange()
    stream.end("Zoë\r\nOther\n".encode())
    assert list(io.TextIOWrapper(request, encoding="utf-8")) == ["Zoë\n", "Other\n"]
    stream, request, _ = exchange()
    stream.end(b"0123456789")
    with io.BufferedReader(request) as buffered:
        assert (buffered.peek(1)[:1], buffered.read(4), buffered.read()) == (b"0", b"0123", b"456789")


def test_it_is_a_file_to_read(exchange: Any) -> None:
    stream, request, response = exchange()
    assert isinstance(request, io.BufferedIOBase)
    assert request.readable()
    assert not request.writable()
    assert not request.seekable()
    with pytest.raises(io.UnsupportedOperation):
        request.write(b"x")
    with request:
        pass
    for call in (request.read, request.read1, request.readline, lambda: request.readinto(bytearray(1))):
        with pytest.raises(ValueError, match="closed"):
            call()
    stream.end(b"the stream goes on")  # closing the file left it alone
    assert response.stream.read() == b"the stream goes on"
