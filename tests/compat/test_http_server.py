"""Handlers of `http.server` on streams: what is not the same as over HTTP/1.1, and what goes wrong."""

from __future__ import annotations

import functools
import http.client
import http.server
import io
import logging
import socketserver
import threading
import xmlrpc.client
import xmlrpc.server
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import sync_h2
from support.peers.http1_client import chunked, get, http1_session
from support.peers.stdlib_http import http2_connection, http2_server
from support.tls.certificates import Certificate
from sync_h2 import compat
from sync_h2.compat.http1_text import ChunkedBody
from sync_h2.testing import pair


class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def handler_class(**methods: Callable[..., Any]) -> type[Any]:
    """A handler class with these methods and attributes."""
    return type("Handler", (Quiet,), methods)


@contextmanager
def serving(handler: type[Any], server: Any = None, **arguments: Any) -> Iterator[sync_h2.ClientSession]:
    client, _ = pair(compat.handler_for(handler, server=server, **arguments), tls=False)
    with client:
        yield client


def ask(client: sync_h2.ClientSession, body: bytes | None = None, **headers: str) -> tuple[sync_h2.Headers, bytes]:
    """A request whose header names have _ for -, and its response."""
    fields = [(":method", "GET" if body is None else "POST"), *((n.replace("_", "-"), v) for n, v in headers.items())]
    stream = client.request(fields, end_stream=body is None)
    if body is not None:
        stream.end(body)
    return stream.wait_response(), stream.read()


def fails(handler: type[Any], caplog: pytest.LogCaptureFixture, message: str) -> sync_h2.Headers:
    """The answer of a handler that fails, which says `message` in the log."""
    with serving(handler) as client:
        headers, _ = ask(client)
    assert message in caplog.text
    caplog.clear()
    return headers


# -- what a handler sees


def test_a_chunked_body_of_http1_is_the_handlers_to_take_apart():
    seen: list[Any] = []

    def do_post(self: Any) -> None:
        seen.append((self.request_version, self.headers["Transfer-Encoding"], self.rfile.read()))
        self.answer(b"", Content_Length="0")

    opening = chunked("/", b"hello, ", b"body", trailers=b"X-Sum: 1\r\n")
    with http1_session(compat.handler_for(handler_class(do_POST=do_post)), opening) as (_, client):
        assert client.response().status == 200
    [(version, coding, body)] = seen
    assert (version, coding) == ("HTTP/1.1", "chunked")
    decoder = ChunkedBody()
    assert decoder.feed(body) == b"hello, body"
    assert decoder.ended
    assert decoder.trailers() == {"x-sum": "1"}


def test_the_version_is_the_streams_and_stands_in_the_log(capsys: pytest.CaptureFixture[str]):
    def do_get(self: Any) -> None:
        self.answer(f"{self.request_version} {self.requestline} {self.raw_requestline!r}".encode())

    logging_handler = type("Handler", (handler_class(do_GET=do_get),), {})
    logging_handler.log_message = http.server.BaseHTTPRequestHandler.log_message
    with serving(logging_handler) as client:
        _, body = ask(client)
    assert body == b"HTTP/2.0 GET / HTTP/2.0 b'GET / HTTP/1.1\\r\\n'"
    assert '"GET / HTTP/2.0" 200 -' in capsys.readouterr().err


def test_fields_of_the_request():
    seen: list[Any] = []

    def do_post(self: Any) -> None:
        seen.append(self.headers)
        self.answer(self.rfile.read())

    with serving(handler_class(do_POST=do_post)) as client:
        fields = [(":method", "POST"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-many", "1"), ("x-many", "2")]
        assert client.request(fields, end_stream=True).read() == b""
        stream = client.request([(":method", "POST"), ("host", "localhost"), ("te", "trailers")])
        stream.write(b"of a length ")
        stream.end(b"that nobody told")
        assert stream.read() == b"of a length that nobody told"
    first, second = seen
    assert isinstance(first, http.client.HTTPMessage)
    assert first.items() == [
        ("Host", "localhost"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("cookie", "a=1; b=2"),
        ("content-length", "0"),
    ]
    assert second.items() == [("Host", "localhost"), ("te", "trailers")]


@pytest.mark.parametrize(
    "value", ["a\x0bX-Evil: 1", "a\x0cb", "a\x1cX: 1", "a\x85X-Evil: 1", "\xa0", "\xe9", "a: b", ":", '"']
)
def test_a_value_stays_one_value(value: str):
    """There are characters that some of Python's functions take for the end of a line."""

    def do_get(self: Any) -> None:
        self.answer(repr((len(self.headers), self.headers["x-odd"])).encode())

    with serving(handler_class(do_GET=do_get)) as client:
        assert ask(client, x_odd=value)[1].decode() == repr((2, value))


@pytest.mark.parametrize("character", ["\xa0", "\x85", "\xc3\xa0", "\xff", "%20", "~"])
def test_a_path_is_one_word(character: str):
    """`http.server` splits the request line at what Unicode counts as a space."""
    with serving(handler_class(do_GET=lambda self: self.answer(self.path.encode()))) as client:
        answer = client.request({":path": f"/a{character}b?{character}"})
        shown = quote(character, "%~", "latin-1")
        assert answer.read().decode() == f"/a{shown}b?{shown}"


def test_address_and_server(tmp_path: Path, certificate: Certificate):
    def do_get(self: Any) -> None:
        server = self.server
        self.answer(repr((self.client_address, server.server_address, server.server_name, server.server_port)).encode())

    handler = compat.handler_for(handler_class(do_GET=do_get))
    with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as client:
        ours = client.socket.getsockname()
        assert ask(client)[1].decode() == repr((ours, server.address, *server.address))
    path = str(tmp_path / "socket")
    with sync_h2.create_server(handler, f"unix:{path}"), sync_h2.connect(f"unix:{path}") as client:
        assert ask(client)[1].decode() == repr((("unix:", 0), path, "localhost", 0))


def test_the_connection_is_the_sessions_socket(certificate: Certificate):
    def do_get(self: Any) -> None:
        assert self.connection is self.request
        for refused in (self.connection.recv, self.connection.close, self.connection.detach):
            with pytest.raises(sync_h2.SocketManipulationError):
                refused()
        with pytest.raises(io.UnsupportedOperation):
            self.wfile.fileno()
        self.send_response(200)
        self.end_headers()
        self.connection.sendall(self.connection.version().encode())

    with http2_server(handler_class(do_GET=do_get), certificate) as port:
        connection = http2_connection(port, certificate)
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"TLSv1.")
        connection.close()


def test_arguments_go_to_the_class(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_text("found")

    class Handler(Quiet, http.server.SimpleHTTPRequestHandler):
        pass

    for handler in (
        compat.handler_for(Handler, directory=tmp_path / "b"),
        compat.handler_for(functools.partial(Handler, directory=tmp_path / "b")),
        compat.handler_for(functools.partial(Handler, directory=tmp_path / "a"), directory=tmp_path / "b"),
    ):
        client, _ = pair(handler)
        with client:
            assert client.request({":path": "/file"}).read() == b"found"


def test_each_stream_has_an_instance_and_they_run_at_once():
    both = threading.Barrier(2)

    def do_get(self: Any) -> None:
        both.wait(10)
        self.answer(str(id(self)).encode())

    with serving(handler_class(do_GET=do_get)) as client:
        streams = [client.request() for _ in range(2)]
        first, second = (stream.read() for stream in streams)
    assert first != second


def test_overridden_steps_are_respected():
    steps: list[str] = []

    def step(name: str) -> Callable[[Any], Any]:
        def method(self: Any) -> Any:
            steps.append(name)
            return getattr(super(Handler, self), name)()

        return method

    names = ["setup", "handle", "handle_one_request", "parse_request", "end_headers", "flush_headers", "finish"]
    Handler = type(
        "Handler",
        (handler_class(do_GET=lambda self: self.answer(b"")),),
        {name: step(name) for name in names},
    )
    with serving(Handler) as client:
        assert ask(client)[0][":status"] == "200"
    assert steps == names


def test_a_class_keeps_its_name():
    with serving(handler_class(do_GET=lambda self: self.answer(type(self).__name__.encode()))) as client:
        assert ask(client)[1] == b"Handler"


# -- the answer


def test_fields_of_the_answer():
    def do_get(self: Any) -> None:
        self.send_response(200)
        for name, value in [
            ("Connection", "keep-alive, X-Hop"),
            ("Keep-Alive", "timeout=5"),
            ("X-Hop", "1"),
            ("Content-Type", "text/plain"),
            ("Content-Type", "text/html"),
            ("X-Twice", "1"),
            ("X-Twice", "2"),
            ("X-Padded", "  a  "),
        ]:
            self.send_header(name, value)
        self.end_headers()

    with serving(handler_class(do_GET=do_get)) as client:
        headers, _ = ask(client)
    assert headers.pop("server").startswith(http.server.BaseHTTPRequestHandler.server_version)
    assert headers.pop("date").endswith(" GMT")
    assert headers.pairs() == [
        (":status", "200"),
        ("content-type", "text/html"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x-padded", "a"),
    ]


def test_informational_answers():
    def do_get(self: Any) -> None:
        self.send_response_only(103)
        self.send_header("Link", "</a.css>; rel=preload")
        self.end_headers()
        self.answer(b"page")

    with serving(handler_class(do_GET=do_get)) as client:
        stream = client.request()
        assert stream.read() == b"page"
        assert [hints.pairs() for hints in stream.informational] == [
            [(":status", "103"), ("link", "</a.css>; rel=preload")]
        ]


@pytest.mark.parametrize("protocol_version", ["HTTP/1.0", "HTTP/1.1"])
def test_100_continue_comes_once(protocol_version: str):
    def do_post(self: Any) -> None:
        self.answer(self.rfile.read())

    with serving(handler_class(do_POST=do_post, protocol_version=protocol_version)) as client:
        stream = client.request({":method": "POST", "expect": "100-continue", "content-length": 4})
        assert stream.wait_continue()
        stream.end(b"body")
        assert stream.read() == b"body"
        assert len(stream.informational) == 1


def test_a_handler_may_refuse_what_is_expected():
    def handle_expect_100(self: Any) -> bool:
        self.send_error(417)
        return False

    with serving(handler_class(handle_expect_100=handle_expect_100, protocol_version="HTTP/1.1")) as client:
        stream = client.request({":method": "POST", "expect": "100-continue", "content-length": 4})
        assert not stream.wait_continue()
        assert stream.wait_response()[":status"] == "417"


def test_head_204_and_304_have_no_body_whatever_is_written():
    def do_head(self: Any) -> None:
        self.answer(b"unwanted", content_length="8")

    def do_get(self: Any) -> None:
        self.answer(b"unwanted", int(self.path[1:]), content_length="0")

    with serving(handler_class(do_HEAD=do_head, do_GET=do_get)) as client:
        stream = client.request({":method": "HEAD"})
        assert (stream.wait_response()["content-length"], stream.read()) == ("8", b"")
        for status in ("204", "304"):
            stream = client.request({":path": f"/{status}"})
            assert (stream.wait_response()[":status"], stream.read()) == (status, b"")


def test_chunks_may_end_with_trailers():
    def do_get(self: Any) -> None:
        self.answer(b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n", transfer_encoding="chunked", content_length="5")

    with serving(handler_class(do_GET=do_get)) as client:
        stream = client.request()
        assert stream.read() == b"hello"
        assert stream.wait_trailers().pairs() == [("x-checksum", "1")]
        assert "content-length" not in stream.wait_response()


@pytest.mark.parametrize("buffer_size", [-1, 0, 1, 100])
def test_files_of_every_buffer_size(buffer_size: int):
    def do_post(self: Any) -> None:
        self.answer(self.rfile.readline() + self.rfile.read())
        self.wfile.flush()

    handler = handler_class(do_POST=do_post, rbufsize=buffer_size, wbufsize=buffer_size)
    with serving(handler) as client:
        assert ask(client, b"line\n" + b"x" * 50_000)[1] == b"line\n" + b"x" * 50_000


def test_headers_go_out_before_the_body():
    go_on = threading.Event()

    def do_get(self: Any) -> None:
        self.answer(b"")
        go_on.wait(10)
        self.wfile.write(b"event")

    with serving(handler_class(do_GET=do_get)) as client:
        stream = client.request()
        assert stream.wait_response()[":status"] == "200"
        go_on.set()
        assert stream.read() == b"event"


def test_an_answer_of_no_length_ends_with_its_headers():
    with serving(handler_class(do_GET=lambda self: self.answer(b"", content_length="0"))) as client:
        stream = client.request()
        assert stream.read() == b""
        assert stream.end_after_headers


def test_what_is_left_of_a_body_is_no_request():
    served: list[str] = []

    def do_any(self: Any) -> None:
        served.append(self.path)
        self.answer(b"", connection="keep-alive", content_length="0")

    handler = handler_class(do_POST=do_any, do_GET=do_any, protocol_version="HTTP/1.1")
    with serving(handler) as client:
        assert ask(client, b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")[0][":status"] == "200"
    assert served == ["/"]


def test_the_phrase_of_an_answer_goes_to_clients_of_http1():
    def do_get(self: Any) -> None:
        self.send_response(404, "Nothing Here")
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(b"x")

    handler = sync_h2.compat.handler_for(handler_class(do_GET=do_get))
    with http1_session(handler, get("/")) as (_, client):
        line = b"HTTP/1.1 404 Nothing Here\r\n"
        assert client.read(len(line)) == line


def test_an_answer_longer_than_it_says_is_cut_and_noted(caplog: pytest.LogCaptureFixture):
    def do_get(self: Any) -> None:
        self.answer(b"a log file", content_length="5")
        for _ in range(10):
            self.wfile.write(b"that grows")

    with serving(handler_class(do_GET=do_get)) as client:
        assert ask(client)[1] == b"a log"
    (record,) = caplog.records  # not one for each write
    assert "5 bytes more than content-length says" in record.getMessage()


# -- failures


def test_what_a_handler_raises_is_a_500_and_in_the_log(caplog: pytest.LogCaptureFixture):
    def do_get(self: Any) -> None:
        raise LookupError("no such thing")

    assert fails(handler_class(do_GET=do_get), caplog, "LookupError: no such thing")[":status"] == "500"


def test_a_handler_that_raises_later_resets(caplog: pytest.LogCaptureFixture):
    def do_get(self: Any) -> None:
        self.answer(b"some")
        raise LookupError("no such thing")

    with serving(handler_class(do_GET=do_get)) as client, pytest.raises(sync_h2.StreamReset) as caught:
        ask(client)
    assert caught.value.code == sync_h2.ErrorCode.INTERNAL_ERROR
    assert "LookupError" in caplog.text


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "no handler answered"),
        (b"<html>", "begins with send_response() or a status line, not with b'<html>'"),
        (b"HTTP/1.1 OK\r\n\r\n", "not a status line: b'HTTP/1.1 OK'"),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", "before the empty line that ends the headers"),
        (b"HTTP/1.1 200 OK\r\nX-A\r\n\r\n", "a line among the headers is no field: b'X-A"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n", "the headers can't be read: got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\nX A: 1\r\n\r\n", "a line among the headers is no field: b'X A: 1"),
        (b"HTTP/1.1 200 OK\r\nX(A): 1\r\n\r\n", "'x(a)' is not the name of a field"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "content-length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer-encoding 'gzip' does not exist"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ":status 101 does not exist in HTTP/2"),
    ],
)
def test_no_answer_or_a_bad_one_is_a_500_that_says_why(caplog: pytest.LogCaptureFixture, written: bytes, message: str):
    headers = fails(handler_class(do_GET=lambda self: self.wfile.write(written)), caplog, message)
    assert headers[":status"] == "500"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"5\r\nhel", "before the last chunk"),
        (b"5\r\nhello, world\r\n", "longer than its size"),
        (b"hello\r\n", "b'hello' is no chunk's size"),
        (b"0\r\n\r\n5\r\nhello\r\n", "data follows the last chunk"),
    ],
)
def test_chunks_that_are_none_reset(caplog: pytest.LogCaptureFixture, written: bytes, message: str):
    handler = handler_class(do_GET=lambda self: self.answer(written, transfer_encoding="chunked"))
    with serving(handler) as client, pytest.raises(sync_h2.StreamReset):
        ask(client)
    assert message in caplog.text


def test_an_answer_shorter_than_it_says_resets(caplog: pytest.LogCaptureFixture):
    handler = handler_class(do_GET=lambda self: self.answer(b"hel", content_length="5"))
    with serving(handler) as client, pytest.raises(sync_h2.StreamReset):
        ask(client)
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "2 bytes less than content-length says" in record.getMessage()


def test_a_handlers_timeout(caplog: pytest.LogCaptureFixture):
    said: list[str] = []
    handler = handler_class(
        timeout=0.05,
        do_POST=lambda self: self.rfile.read(),
        log_error=lambda self, format, *args: said.append(format % args),
    )
    with serving(handler) as client:
        stream = client.request({":method": "POST"})
        assert stream.wait_response()[":status"] == "500"
    assert said[0].startswith("Request timed out: Timeout(")


def test_a_buffer_is_the_handlers_although_its_error_is_kept():
    lengths: list[int] = []

    def do_get(self: Any) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        buffer = bytearray(b"no chunk\n")
        with pytest.raises(sync_h2.InvalidArgument) as raised:
            self.wfile.write(buffer)
        buffer.clear()
        assert raised.value.__traceback__ is not None
        lengths.append(len(buffer))

    with serving(handler_class(do_GET=do_get)) as client, pytest.raises(sync_h2.StreamReset):
        ask(client)
    assert lengths == [0]


def test_a_client_that_goes_is_a_connection_reset(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    caught: list[Exception] = []
    gone, done = threading.Event(), threading.Event()

    def do_get(self: Any) -> None:
        self.send_response(200)
        self.end_headers()
        gone.wait(10)
        try:
            while True:
                self.wfile.write(b"x" * 1000)
        except OSError as error:
            caught.append(error)
            raise
        finally:
            done.set()

    with serving(handler_class(do_GET=do_get)) as client:
        stream = client.request()
        stream.wait_response()
        stream.close(sync_h2.ErrorCode.CANCEL)
        client.ping()  # the reset has arrived with it
        gone.set()
        done.wait(10)
    assert isinstance(caught[0], ConnectionResetError)
    assert isinstance(caught[0].__cause__, sync_h2.StreamReset)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_buffer_that_outlives_the_handler_writes_nothing():
    files: list[Any] = []

    def do_get(self: Any) -> None:
        self.answer(b"in time")
        files.append(self.wfile)

    with serving(handler_class(do_GET=do_get, finish=lambda self: None, wbufsize=-1)) as client:
        assert ask(client)[1] == b"in time"
        client.ping()
        [wfile] = files
        assert wfile.write(b"too late") == 8
        wfile.close()


def test_a_class_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TypeError, match=r"not a subclass of http\.server\.BaseHTTPRequestHandler"):
        compat.handler_for(socketserver.StreamRequestHandler)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        compat.handler_for(lambda *arguments: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(sync_h2.InvalidArgument, match="keyword arguments only"):
        compat.handler_for(functools.partial(Quiet, 1))
    for_programs = type("CGIHTTPRequestHandler", (http.server.SimpleHTTPRequestHandler,), {})
    monkeypatch.setattr(http.server, "CGIHTTPRequestHandler", for_programs, raising=False)  # not every version has it
    with pytest.raises(sync_h2.InvalidArgument, match="CGIHTTPRequestHandler"):
        compat.handler_for(type("Programs", (for_programs,), {}))
    with pytest.raises(sync_h2.InvalidArgument, match="mode 'r\\+'"):

        def do_get(self: Any) -> None:
            self.connection.makefile("r+")

        raise_in_handler(do_get)


def raise_in_handler(do_get: Callable[[Any], None]) -> None:
    """Run `do_get` in a handler, and raise what it raises."""
    raised: list[Exception] = []

    def watched(self: Any) -> None:
        try:
            do_get(self)
        except Exception as error:
            raised.append(error)
        self.answer(b"")

    with serving(handler_class(do_GET=watched)) as client:
        ask(client)
    raise raised[0]


# -- others' handlers


class _Dispatcher(xmlrpc.server.SimpleXMLRPCDispatcher):
    logRequests = False


class _Transport(xmlrpc.client.Transport):
    """xmlrpc's own, with a connection of ours."""

    def make_connection(self, host: Any) -> Any:
        if self._connection is None or host != self._connection[0]:  # type: ignore[has-type]
            self._connection = host, compat.HTTP2Connection(host, h2c=True)
        return self._connection[1]


def test_xmlrpc():
    dispatcher = _Dispatcher(allow_none=True)
    dispatcher.register_function(lambda *numbers: sum(numbers), "add")
    dispatcher.register_function(lambda text: text * 1000, "long")
    dispatcher.register_multicall_functions()
    handler = compat.handler_for(xmlrpc.server.SimpleXMLRPCRequestHandler, server=dispatcher)
    with sync_h2.create_server(handler) as server:
        with xmlrpc.client.ServerProxy(server.url, transport=_Transport()) as proxy:
            assert proxy.add(1, 2, 3) == 6
            assert proxy.long("compressed ") == "compressed " * 1000
            calls = xmlrpc.client.MultiCall(proxy)
            calls.add(1, 1)
            calls.add(2, 2)
            assert tuple(calls()) == (2, 4)
            with pytest.raises(xmlrpc.client.Fault, match="is not supported"):
                proxy.absent()
            assert len(server.sessions) == 1
        with xmlrpc.client.ServerProxy(f"{server.url}/elsewhere", transport=_Transport()) as proxy:
            with pytest.raises(xmlrpc.client.ProtocolError) as caught:
                proxy.add()
            assert caught.value.errcode == 404
