"""What PEP 3333 asks of a server, and what ours adds to the environ."""

from __future__ import annotations

import gzip
import io
import itertools
import logging
import os
import queue
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import sync_h2
from support.peers.http1_client import get, http1_session
from support.programs.others import free_port, program
from support.programs.processes import start
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import PATIENCE, Background, background, eventually
from support.tls.certificates import Certificate
from sync_h2 import compat
from sync_h2.testing import pair

__all__ = ["background", "keep_lock_rules", "lock_rules", "start"]

TEXT = ("Content-Type", "text/plain")
Serve = Callable[..., sync_h2.ClientSession]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(app)` gives a client's session with a server that runs `app`."""
    sessions = []

    def make(app: Any, environ: Any = None, max_buffered_body: int = 2**20, **options: Any) -> sync_h2.ClientSession:
        handler = sync_h2.compat.wsgi(app, environ=environ, max_buffered_body=max_buffered_body)
        client, _ = pair(handler, **options)
        sessions.append(client)
        return client

    yield make
    for session in sessions:
        session.destroy()


def fetch(session: sync_h2.ClientSession, **headers: str) -> tuple[str, bytes]:
    stream = session.request({":" + name: value for name, value in headers.items()})
    status = stream.wait_response(timeout=PATIENCE)[":status"]
    return status, stream.read(timeout=PATIENCE)


class Pieces:
    """An iterable that says when it was closed."""

    def __init__(self, pieces: Any) -> None:
        self._pieces = iter(pieces)
        self.closed = threading.Event()

    def __iter__(self) -> Any:
        return self._pieces

    def close(self) -> None:
        self.closed.set()


# -- start_response and write


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (b"200 OK", [], TypeError),
        ("200", [], None),
        ("2000 OK", [], ValueError),
        ("OK", [], ValueError),
        ("100 Continue", [], ValueError),
        ("101 Switching Protocols", [], ValueError),
        ("200 OK\r\nx: y", [], ValueError),
        ("299 ünusual", [("x-tab", "a\tb"), ("x-latin", "é"), ("x-spaces", "  a ")], None),
        ("200 OK", [(b"a", "b")], TypeError),
        ("200 OK", [("a", 1)], TypeError),
        ("200 OK", [("a b", "c")], ValueError),
        ("200 OK", [("", "c")], ValueError),
        ("200 OK", [(":status", "204")], ValueError),
        ("200 OK", [("a", "b\nc")], ValueError),
        ("200 OK", [("a", "€")], ValueError),
        ("200 OK", [("content-length", "-1")], ValueError),
        ("200 OK", [("content-length", "many")], ValueError),
    ],
)
def test_what_start_response_takes(status: Any, headers: Any, error: type[Exception] | None, serve: Serve) -> None:
    raised: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def app(environ: Any, start_response: Any) -> Any:
        try:
            start_response(status, headers)
            raised.put(None)
        except Exception as failure:
            raised.put(type(failure))
            start_response("200 OK", [])
        return [b"answer"]

    assert fetch(serve(app))[1] == b"answer"
    assert raised.get(timeout=PATIENCE) is error


def test_a_second_start_response_needs_exc_info(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        with pytest.raises(AssertionError, match="exc_info"):
            start_response("404 Not Found", [])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("503 Late", [("retry-after", "1")], sys.exc_info())
        return [b"failed"]

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"failed"
    assert stream.wait_response()[":status"] == "503"
    assert "content-type" not in stream.wait_response()
    assert stream.wait_response()["retry-after"] == "1"


def test_exc_info_raises_once_the_headers_have_gone_out(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [TEXT])
        yield b"half"
        try:
            raise ValueError("found out too late")
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
        yield b"never"

    stream = serve(app).request()
    with pytest.raises(sync_h2.StreamReset) as caught:
        stream.read(timeout=PATIENCE)
    assert caught.value.partial == b"half"
    assert caught.value.code == sync_h2.ErrorCode.INTERNAL_ERROR
    assert "found out too late" in caplog.text


@pytest.mark.parametrize("pieces", [[], [b"x"], [b""]])
def test_an_application_that_forgets_start_response(
    pieces: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    assert fetch(serve(lambda environ, start_response: pieces)) == ("500", b"")
    assert "start_response" in caplog.text


def test_an_application_that_raises(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        raise RuntimeError("oh dear")

    assert fetch(serve(app)) == ("500", b"")
    assert "oh dear" in caplog.text


def test_pieces_are_bytes(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [TEXT])
        with pytest.raises(TypeError):
            write("text")
        return ["text"]

    assert fetch(serve(app)) == ("500", b"")
    assert "must be bytes, not str" in caplog.text


def test_headers_wait_for_the_first_byte_and_no_piece_waits_for_the_next(serve: Serve) -> None:
    heard = threading.Event()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        stream = environ["sync_h2.stream"]
        yield b""
        start_response("200 OK", [TEXT])
        yield b""
        assert not stream.headers_sent
        yield b"first"
        assert stream.headers_sent
        assert heard.wait(PATIENCE)
        yield b" second"

    def late(environ: Any, start_response: Any) -> Any:
        pieces = app(environ, start_response)
        next(pieces)  # it calls start_response with its second piece
        next(pieces)
        return pieces

    stream = serve(late).request()
    assert stream.read(5, timeout=PATIENCE) == b"first"
    heard.set()
    assert stream.read(timeout=PATIENCE) == b" second"


@pytest.mark.parametrize(
    ("pieces", "length"),
    [
        ([b"12345"], "5"),
        ((b"12345",), "5"),
        ([], "0"),
        ([b""], "0"),
        ([b"12", b"345"], None),
        (iter([b"12345"]), None),
    ],
)
def test_the_length_of_one_piece_is_known(pieces: Any, length: str | None, serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        return pieces

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == (b"" if length == "0" else b"12345")
    assert stream.wait_response().get("content-length") == length


def test_a_length_that_is_wrong(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [TEXT, ("Content-Length", "5")])
        if environ["PATH_INFO"] == "/written":
            write(b"1234")
            with pytest.raises(sync_h2.InvalidState, match="content-length"):
                write(b"56")
            return [b"5"]
        return [b"1234"] if environ["PATH_INFO"] == "/short" else iter([b"123", b"4567", b"89"])

    session = serve(app)
    assert fetch(session, path="/written") == ("200", b"12345")
    assert fetch(session, path="/long") == ("200", b"12345")
    assert "beyond content-length 5" in caplog.text
    caplog.clear()
    with pytest.raises(sync_h2.StreamReset) as caught:
        fetch(session, path="/short")
    assert caught.value.code == sync_h2.ErrorCode.INTERNAL_ERROR
    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "1 bytes of content-length 5 are missing" in record.getMessage()


@pytest.mark.parametrize("way", ["write", "pieces"])
def test_headers_whose_content_is_dropped_wait_for_nothing(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """There is no content that would take them along."""
    released = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("content-length", "0"), ("trailer", "x-end")])
        if way == "write":
            with pytest.raises(sync_h2.InvalidState):
                write(b"more")
            released.wait(PATIENCE)
            return []
        return pieces()

    def pieces() -> Iterator[bytes]:
        yield b"more"
        released.wait(PATIENCE)

    client, _ = pair(compat.wsgi(app))
    with client:
        stream = client.request()
        assert stream.wait_response(timeout=PATIENCE)["content-length"] == "0"
        released.set()
        assert stream.read(timeout=PATIENCE) == b""


def test_two_lengths_are_none(serve: Serve) -> None:
    raised: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def app(environ: Any, start_response: Any) -> Any:
        for lengths in (("1", "2"), ("1", "1")):
            try:
                start_response("200 OK", [("Content-Length", length) for length in lengths])
                raised.put(None)
            except ValueError as error:
                raised.put(str(error))
        return [b"x"]

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"x"
    assert "twice" in raised.get(timeout=PATIENCE)
    assert raised.get(timeout=PATIENCE) is None
    assert stream.wait_response()["content-length"] == "1"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Content-Type", ["text/plain", "text/html"]),
        ("Content-Language", ["de", "en"]),
        ("Location", ["/a", "/b"]),
        ("ETag", ['"a"', '"b"']),
        ("Retry-After", ["1", "2"]),
    ],
)
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_what_an_application_says_twice_is_sent_twice(name: str, values: list[str], version: str) -> None:
    """As gunicorn's gthread does."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [(name, value) for value in values])
        return [b"x"]

    with sync_h2.create_server(sync_h2.compat.wsgi(app), allow_http1=True) as server:
        command = [program("curl"), "-sS", "-o", os.devnull, "-D", "-", version, server.url]
        head = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    fields = [line.partition(": ") for line in head.splitlines()]
    assert [value for found, _, value in fields if found.lower() == name.lower()] == values


def test_a_date_of_the_applications_own_is_the_only_one(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Date", "then"), ("Date", "now")])
        return [b"x"]

    stream = serve(app).request()
    assert stream.wait_response(timeout=PATIENCE).get_all("date") == ["then"]
    assert stream.read(timeout=PATIENCE) == b"x"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("200 Fine", b"HTTP/1.1 200 Fine\r\n"),
        ("404 Nothing here", b"HTTP/1.1 404 Nothing here\r\n"),
        ("299 Eigens", b"HTTP/1.1 299 Eigens\r\n"),
        ("299", b"HTTP/1.1 299 \r\n"),
        ("200", b"HTTP/1.1 200 OK\r\n"),
        ("200 tr\xe8s bien", b"HTTP/1.1 200 tr\xe8s bien\r\n"),
    ],
)
@pytest.mark.parametrize("way", ["whole", "pieces", "write", "file", "empty"])
def test_the_phrase_of_a_status_goes_to_clients_of_http1(status: str, line: bytes, way: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response(status, [TEXT])
        if way == "write":
            write(b"x")
        if way == "file":
            return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
        return iter([b"x", b"x"]) if way == "pieces" else [b"x"] if way == "whole" else []

    with http1_session(sync_h2.compat.wsgi(app), get("/")) as (_, client):
        assert client.read(len(line)) == line


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No")])
def test_nobody_asks_on_for_a_body_that_nobody_gets(method: str, status: str, serve: Serve) -> None:
    endless = Pieces(iter(lambda: b"again and again", None))

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [("content-length", "5")])
        return endless

    stream = serve(app).request({":method": method})
    assert stream.read(timeout=PATIENCE) == b""
    assert stream.wait_response().get("content-length") == (None if status[:3] == "204" else "5")
    assert endless.closed.wait(PATIENCE)


def test_fields_about_the_connection_are_dropped(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT, ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("X-Kept", "1")])
        return [b"x"]

    sync_h2.compat.wsgi_response._say_dropped.cache_clear()
    session = serve(app)
    for _ in range(2):
        stream = session.request()
        response = stream.wait_response(timeout=PATIENCE)
        assert stream.read(timeout=PATIENCE) == b"x"
        assert {"connection", "transfer-encoding"}.isdisjoint(response)
        assert response["x-kept"] == "1"
    assert len([record for record in caplog.records if "is dropped" in record.message]) == 2


def test_what_layers_of_middleware_have_each_added_is_sent_once(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        twice = [("X-Content-Type-Options", "nosniff"), ("Vary", "a"), ("Set-Cookie", "a=1")] * 2
        start_response("200 OK", twice)
        return [b"x"]

    stream = serve(app).request()
    response = stream.wait_response(timeout=PATIENCE)
    assert stream.read(timeout=PATIENCE) == b"x"
    assert [len(response.get_all(name)) for name in ("x-content-type-options", "vary", "set-cookie")] == [1, 2, 2]


# -- closing


def test_iterables_are_closed(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError("half-way")

    answers = {"/whole": Pieces([b"a", b"b"]), "/failing": Pieces(failing()), "/wrong": Pieces(["text"])}

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        return answers[environ["PATH_INFO"]]

    session = serve(app)
    assert fetch(session, path="/whole") == ("200", b"ab")
    with pytest.raises(sync_h2.StreamReset):
        fetch(session, path="/failing")
    assert fetch(session, path="/wrong") == ("500", b"")
    for pieces in answers.values():
        assert pieces.closed.wait(PATIENCE)


@pytest.mark.parametrize("begin", [[b"first"], []])
@pytest.mark.parametrize("version", ["2", "1.1"])
def test_pieces_without_content_end_when_the_client_has_gone(
    begin: list[bytes], version: str, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    def pieces() -> Iterator[bytes]:
        called.set()
        yield from begin
        while True:
            yield b""

    endless = Pieces(pieces())

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        return endless

    handler = sync_h2.compat.wsgi(app)
    if version == "2":
        client, server = pair(handler)
        with client, server:
            stream = client.request()
            assert stream.read(5, timeout=PATIENCE) == b"first" if begin else called.wait(PATIENCE)
            stream.close(sync_h2.ErrorCode.CANCEL)
            assert endless.closed.wait(PATIENCE)
    else:
        with http1_session(handler, get("/")) as (_, visitor):
            assert called.wait(PATIENCE)
            visitor.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            visitor.close()
            assert endless.closed.wait(PATIENCE)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_pieces_behind_the_length_end_with_the_stream(serve: Serve) -> None:
    endless = Pieces(iter(lambda: b"", None))
    pieces = itertools.chain([b"12"], endless)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "2")])
        answer = Pieces(pieces)
        answers.append(answer)
        return answer

    answers: list[Pieces] = []
    assert fetch(serve(app)) == ("200", b"12")
    assert answers[0].closed.wait(PATIENCE)


def test_an_iterable_is_closed_when_the_client_has_gone(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    endless = Pieces(iter(lambda: bytes(10_000), None))

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        return endless

    stream = serve(app).request()
    assert stream.read(10, timeout=PATIENCE)
    stream.close(sync_h2.ErrorCode.CANCEL)
    assert endless.closed.wait(PATIENCE)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


# -- the body


def test_the_body_is_read_as_it_comes(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        assert environ["wsgi.input_terminated"]
        assert "CONTENT_LENGTH" not in environ
        body = environ["wsgi.input"]
        start_response("200 OK", [TEXT])
        yield b"got " + body.readline()
        yield b"got " + body.read(4)
        yield b"got " + b"|".join(body)
        assert body.read() == body.read(1) == body.readline() == b""

    stream = serve(app, max_buffered_body=0).request({":method": "POST"})
    stream.write(b"one\n")
    assert stream.readline(timeout=PATIENCE) == b"got one\n"
    stream.write(b"23")
    stream.write(b"45")
    assert stream.read(8, timeout=PATIENCE) == b"got 2345"
    stream.end(b"\nsix\nseven")
    assert stream.read(timeout=PATIENCE) == b"got \n|six\n|seven"


def test_reading_answers_100_continue(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read() if environ["PATH_INFO"] == "/reads" else b"not read"
        start_response("403 Forbidden" if body == b"not read" else "200 OK", [TEXT])
        return [body]

    session = serve(app)
    asks = {":method": "POST", "expect": "100-continue", "content-length": 6}
    stream = session.request({**asks, ":path": "/reads"})
    assert stream.wait_continue(timeout=PATIENCE)
    stream.end(b"wanted")
    assert stream.read(timeout=PATIENCE) == b"wanted"
    stream = session.request({**asks, ":path": "/"})
    assert not stream.wait_continue(timeout=PATIENCE)
    assert stream.read(timeout=PATIENCE) == b"not read"
    stream.close()  # the server's own reset may still be under way


def test_what_goes_wrong_with_the_body_is_an_os_error(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    begun = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        begun.set()
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            errors.put(error)
            raise
        return []

    session = serve(app, max_buffered_body=0, server={"read_timeout": 1.0})
    reset = session.request({":method": "POST"})
    reset.write(b"half")
    assert begun.wait(PATIENCE)
    reset.close(sync_h2.ErrorCode.CANCEL)
    error = errors.get(timeout=PATIENCE)
    assert isinstance(error, ConnectionResetError)
    assert isinstance(error.__cause__, sync_h2.StreamReset)
    silent = session.request({":method": "POST"})
    assert isinstance(errors.get(timeout=PATIENCE), sync_h2.Timeout)
    assert silent.wait_response(timeout=PATIENCE)[":status"] == "500"
    silent.close()
    eventually(lambda: "failed" in caplog.text)
    assert "Traceback" not in caplog.text


# -- the environ


def look_at(session: sync_h2.ClientSession, seen: queue.SimpleQueue[Any], headers: Any = ()) -> dict[str, Any]:
    session.request([(":method", "GET"), *headers]).read(timeout=PATIENCE)
    environ: dict[str, Any] = seen.get(timeout=PATIENCE)
    return environ


@pytest.fixture
def seen() -> queue.SimpleQueue[Any]:
    return queue.SimpleQueue()


@pytest.fixture
def app(seen: queue.SimpleQueue[Any]) -> Any:
    """Keeps the environ of each request."""

    def keep(environ: Any, start_response: Any) -> Any:
        seen.put(dict(environ))
        start_response("204 No Content", [])
        return []

    return keep


def test_headers_in_the_environ(serve: Serve, app: Any, seen: Any) -> None:
    headers = [
        (":authority", "example.org:8080"),
        (":path", "/a%2fb%20%E2%82%AC?q=%20"),
        ("x-real-ip", "1.2.3.4"),
        ("x_real_ip", "6.6.6.6"),
        ("x-many", "1"),
        ("x-many", "2"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("content-type", "text/x"),
        ("content-length", "0"),
    ]
    environ = look_at(serve(app), seen, headers)
    assert environ["HTTP_HOST"] == "example.org:8080"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a/b €"
    assert environ["QUERY_STRING"] == "q=%20"
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/a%2fb%20%E2%82%AC?q=%20"
    assert environ["HTTP_X_REAL_IP"] == "1.2.3.4"
    assert environ["HTTP_X_MANY"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/x", "0")
    assert {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}.isdisjoint(environ)
    assert environ["SERVER_PROTOCOL"] == "HTTP/2"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is environ["wsgi.run_once"] is False
    assert environ["wsgi.errors"] is sys.stderr
    assert environ["sync_h2.alpn_protocol"] == "h2c"


def test_addresses_in_the_environ(app: Any, seen: Any) -> None:
    with sync_h2.create_server(sync_h2.compat.wsgi(app)) as server, sync_h2.connect(server.url) as session:
        environ = look_at(session, seen)
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("127.0.0.1", str(server.address[1]))
        client = ("127.0.0.1", str(session.socket.getsockname()[1]))
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == client
        assert (environ["wsgi.url_scheme"], environ.get("HTTPS")) == ("http", None)


@pytest.mark.parametrize(
    ("authority", "name", "port"),
    [("example.org", "example.org", "80"), ("example.org:81", "example.org", "81"), ("[::1]", "[::1]", "80")],
)
def test_a_unix_socket_is_named_by_the_request(
    authority: str, name: str, port: str, app: Any, seen: Any, tmp_path: Path
) -> None:
    handler = sync_h2.compat.wsgi(app)
    with sync_h2.create_server(handler, f"unix:{tmp_path / 's'}") as server, sync_h2.connect(server.url) as session:
        environ = look_at(session, seen, [(":authority", authority)])
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)
    assert environ["REMOTE_ADDR"] == ""


def test_tls_and_the_clients_certificate_in_the_environ(
    certificate: Certificate, certificate_authority: Any, app: Any, seen: Any
) -> None:
    issued = certificate_authority.issue_cert("client@example.com")
    chain, key = b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()
    options = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    handler = sync_h2.compat.wsgi(app)
    with (
        sync_h2.create_secure_server(handler, cafile=certificate.cafile, **options) as server,
        sync_h2.connect(server.url, cafile=certificate.cafile, certfile=chain, keyfile=key) as session,
    ):
        environ = look_at(session, seen)
    assert (environ["wsgi.url_scheme"], environ["HTTPS"], environ["sync_h2.alpn_protocol"]) == ("https", "on", "h2")
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert environ["SSL_CIPHER"].startswith("TLS_")
    assert environ["SSL_CLIENT_CERT"].strip().encode() in chain.replace(b"\r", b"")
    assert ("email", "client@example.com") in environ["sync_h2.peer_certificate"]["subjectAltName"]
    with (
        sync_h2.create_secure_server(handler, **options) as server,
        sync_h2.connect(server.url, cafile=certificate.cafile) as session,
    ):
        environ = look_at(session, seen)
    assert "SSL_CLIENT_CERT" not in environ
    assert environ["sync_h2.peer_certificate"] is None


@pytest.mark.parametrize(
    ("path", "rest"), [("/app/page", "/page"), ("/app", ""), ("/app/", "/"), ("/apple", "/apple"), ("/", "/")]
)
@pytest.mark.parametrize("name", ["/app", "/app/"])
def test_an_application_below_a_path(path: str, rest: str, name: str, serve: Serve, app: Any, seen: Any) -> None:
    session = serve(app, {"SCRIPT_NAME": name, "wsgi.multiprocess": True, "my.key": 5})
    environ = look_at(session, seen, [(":path", path)])
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", rest)
    assert environ["wsgi.multiprocess"] is True
    assert environ["my.key"] == 5


def test_an_application_at_the_root(serve: Serve, app: Any, seen: Any) -> None:
    environ = look_at(serve(app, {"SCRIPT_NAME": "/"}), seen, [(":path", "/page")])
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/page")


def test_what_is_given_for_every_request_is_not_the_clients_to_say(serve: Serve, app: Any, seen: Any) -> None:
    given = {
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_COOKIE": "mine=1",
        "HTTP_HOST": "example.org",
        "CONTENT_TYPE": "text/mine",
        "REMOTE_ADDR": "192.0.2.1",
    }
    headers = [
        (":authority", "evil.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "ftp"),
        ("cookie", "theirs=1"),
        ("content-type", "text/theirs"),
        ("remote-addr", "203.0.113.1"),
    ]
    environ = look_at(serve(app, given), seen, headers)
    assert {key: environ[key] for key in given} == given


def test_connect_is_not_for_applications(serve: Serve, app: Any, seen: Any) -> None:
    session = serve(app)
    with session.request({":method": "CONNECT", ":authority": "example.org:443"}) as stream:
        assert stream.wait_response(timeout=PATIENCE)[":status"] == "501"
    assert seen.empty()
    session.request({":method": "OPTIONS", ":path": "*"}, end_stream=True).read(timeout=PATIENCE)
    assert seen.get(timeout=PATIENCE)["PATH_INFO"] == "*"


def test_requests_of_one_connection_run_in_parallel(serve: Serve) -> None:
    together = threading.Barrier(8)

    def app(environ: Any, start_response: Any) -> Any:
        together.wait(PATIENCE)
        start_response("200 OK", [TEXT])
        return [b"together"]

    session = serve(app)
    streams = [session.request() for _ in range(8)]
    assert {stream.read(timeout=PATIENCE) for stream in streams} == {b"together"}


def test_something_that_is_no_application() -> None:
    with pytest.raises(TypeError, match="callable"):
        sync_h2.compat.wsgi("app:app")  # type: ignore[arg-type]


# -- trailers and early hints


@pytest.mark.parametrize("headers", [[], [("Content-Length", "4"), ("Trailer", "x-sum")]])
def test_trailers_behind_a_generated_body(headers: Any, serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", headers)
        yield b"bo"
        yield b"dy"
        environ["sync_h2.send_trailers"]([("X-Sum", "42")])

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"body"
    assert stream.wait_trailers(timeout=PATIENCE) == {"x-sum": "42"}


@pytest.mark.parametrize("pieces", [[], [b"body"], [b"bo", b"dy"]])
def test_trailers_that_are_known_at_once(pieces: Any, serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        environ["sync_h2.send_trailers"]([("x-sum", "42")])
        return pieces

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"".join(pieces)
    assert stream.wait_trailers(timeout=PATIENCE) == {"x-sum": "42"}
    head = serve(app).request({":method": "HEAD"})
    assert head.wait_trailers(timeout=PATIENCE) == {}


def test_trailers_that_come_too_late(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "4")])
        yield b"body"
        with pytest.raises(sync_h2.InvalidState, match="too late for trailers"):
            environ["sync_h2.send_trailers"]([("x-sum", "42")])

    assert fetch(serve(app)) == ("200", b"body")


def test_the_requests_trailers(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [TEXT])
        return [body + environ["sync_h2.trailers"]()["x-sum"].encode()]

    stream = serve(app).request({":method": "POST"}, wait_for_trailers=True)
    stream.end(b"body ")
    stream.send_trailers({"x-sum": "42"})
    assert stream.read(timeout=PATIENCE) == b"body 42"


def test_early_hints(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        hint = environ["wsgi.early_hints"]
        hint([("Link", "</a.css>; rel=preload"), ("Link", "</b.css>; rel=preload")])
        start_response("200 OK", [TEXT])
        yield b"x"
        hint([("Link", "</late.css>; rel=preload")])  # says nothing

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"x"
    (early,) = stream.informational
    assert early[":status"] == "103"
    assert early.get_all("link") == ["</a.css>; rel=preload", "</b.css>; rel=preload"]


@pytest.mark.parametrize("asked_for", [False, True])
def test_early_hints_over_http1_are_for_those_who_want_them(asked_for: bool) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        environ["wsgi.early_hints"]([("Link", "</a.css>; rel=preload")])
        start_response("200 OK", [TEXT])
        return [b"the page"]

    handler = sync_h2.compat.wsgi(app)
    with sync_h2.create_server(handler, allow_http1=True, http1_early_hints=asked_for) as server:
        command = [program("curl"), "-sS", "-i", "--http1.1", server.url]
        whole = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        assert ("103 Early Hints" in whole) is asked_for
        assert whole.endswith("the page")
        if not asked_for:
            with requests.Session() as session:
                for _ in range(2):
                    answer = session.get(server.url, timeout=PATIENCE)
                    assert (answer.status_code, answer.content) == (200, b"the page")
        with sync_h2.connect(server.url) as client:
            stream = client.request()
            assert stream.read(timeout=PATIENCE) == b"the page"
            assert [early[":status"] for early in stream.informational] == ["103"]


# -- files


@pytest.fixture
def by_position(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that were sent by `respond_with_fd`."""
    files = []
    respond = sync_h2.ServerStream.respond_with_fd

    def watched(self: Any, fd: Any, *arguments: Any, **named: Any) -> None:
        files.append(fd)
        respond(self, fd, *arguments, **named)

    monkeypatch.setattr(sync_h2.ServerStream, "respond_with_fd", watched)
    return files


class Shouting(io.FileIO):
    """A real file that is read as something else."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else size).upper()


def opened(path: Path, mode: str, **options: Any) -> Any:
    return path.open(mode, **options)


FILES: list[tuple[Any, bool, Callable[[bytes], bytes]]] = [
    (lambda path: opened(path, "rb"), True, bytes),
    (lambda path: opened(path, "rb", buffering=0), True, bytes),
    (lambda path: opened(path, "r+b"), True, bytes),
    (lambda path: io.BytesIO(path.read_bytes()), False, bytes),
    (gzip.open, False, gzip.decompress),
    (Shouting, False, bytes.upper),
    (lambda path: io.BufferedReader(Shouting(path)), False, bytes),  # which it does not call
]


@pytest.mark.parametrize(("opening", "fast", "content"), FILES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files_are_sent_by_position_where_that_is_the_same(
    method: str, opening: Any, fast: bool, content: Any, serve: Serve, by_position: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"the file" * 100_000))
    files = []

    def app(environ: Any, start_response: Any) -> Any:
        file = opening(path)
        files.append(file)
        file.read(8)
        start_response("200 OK", [TEXT])
        return environ["wsgi.file_wrapper"](file)

    stream = serve(app).request({":method": method})
    expected = content(path.read_bytes())[8:]
    assert stream.read(timeout=PATIENCE) == (expected if method == "GET" else b"")
    assert by_position == (files if fast else [])
    if fast:
        assert stream.wait_response()["content-length"] == str(len(expected))
    eventually(lambda: files[0].closed)


def test_a_part_of_a_file_with_trailers(serve: Serve, by_position: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")

    def app(environ: Any, start_response: Any) -> Any:
        file = (tmp_path / "file").open("rb")
        file.seek(3)
        start_response("206 Partial Content", [("Content-Length", "4"), ("Content-Range", "bytes 3-6/10")])
        environ["sync_h2.send_trailers"]([("x-sum", "42")])
        return environ["wsgi.file_wrapper"](file)

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b"3456"
    assert stream.wait_trailers(timeout=PATIENCE) == {"x-sum": "42"}
    assert len(by_position) == 1


def test_what_is_no_regular_file_is_read(serve: Serve, by_position: Any) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        reader, writer = os.pipe()
        os.write(writer, b"through a pipe")
        os.close(writer)
        start_response("200 OK", [TEXT])
        return environ["wsgi.file_wrapper"](open(reader, "rb"))

    assert fetch(serve(app)) == ("200", b"through a pipe")
    assert by_position == []


@pytest.mark.parametrize(
    "path",
    ["/proc/self/limits", "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled", os.devnull],
)
@pytest.mark.parametrize("length", [True, False])
def test_files_whose_size_says_nothing_are_read(path: str, length: bool, serve: Serve) -> None:
    if not os.path.exists(path):
        path = "/proc/version"

    def app(environ: Any, start_response: Any) -> Any:
        content = Path(path).read_bytes()
        start_response("200 OK", [("Content-Length", str(len(content)))] if length else [TEXT])
        return environ["wsgi.file_wrapper"](Path(path).open("rb"))

    status, body = fetch(serve(app))
    assert status == "200"
    assert body == Path(path).read_bytes()


def test_an_empty_file(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [TEXT])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    stream = serve(app).request()
    assert stream.read(timeout=PATIENCE) == b""
    assert stream.wait_response()["content-length"] == "0"


def test_a_file_that_shrinks(serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_000)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "2000")])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    with pytest.raises(sync_h2.StreamReset) as caught:
        fetch(serve(app))
    assert caught.value.code == sync_h2.ErrorCode.INTERNAL_ERROR
    (record,) = [record for record in caplog.records if record.levelno > logging.INFO]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "1000 bytes too early" in record.getMessage()


# -- serve_wsgi

PROGRAM = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield " ".join([environ["wsgi.url_scheme"], environ["my.key"], environ["SERVER_PROTOCOL"]]).encode()

sys.stderr = sys.stdout
port, certfile, keyfile = int(sys.argv[1]), *(sys.argv[2:] or (None, None))
sync_h2.serve_wsgi(app, "127.0.0.1", port, certfile=certfile, keyfile=keyfile, environ={"my.key": "!"}, max_workers=4)
"""


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_serving_until_ctrl_c(scheme: str, start: Any, certificate: Certificate, background: Background) -> None:
    files = [str(certificate.certfile), str(certificate.keyfile)] if scheme == "https" else []
    process = start(PROGRAM, str(free_port()), *files)
    url = process.line().removeprefix("sync_h2: serving at ").removesuffix(", Ctrl-C ends it")
    assert url.startswith(scheme + "://127.0.0.1:")
    with sync_h2.connect(url, cafile=certificate.cafile) as session:
        assert session.request().read(timeout=PATIENCE).decode() == f"{scheme} ! HTTP/2"
        context = ssl.create_default_context(cafile=str(certificate.cafile))
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as response:
            assert response.read().decode() == f"{scheme} ! HTTP/1.1"
        process._process.send_signal(signal.SIGINT)
        eventually(lambda: session.destroyed)
    status, output, errors = process.end()
    assert (status, output, errors) == (0, "sync_h2: finishing what is under way\n", "")


WAITING = """
import threading
released = threading.Event()

def app(environ, start_response):
    if environ["PATH_INFO"] == "/release":
        released.set()
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield b"begun"
    released.wait()

sys.stderr = sys.stdout
sync_h2.serve_wsgi(app, "127.0.0.1", int(sys.argv[1]))
"""


def test_ctrl_c_with_an_open_event_stream_says_what_it_waits_for(start: Any) -> None:
    process = start(WAITING, str(free_port()))
    url = process.line().removeprefix("sync_h2: serving at ").removesuffix(", Ctrl-C ends it")
    with sync_h2.connect(url) as session:
        stream = session.request({":path": "/events"})
        assert stream.read(5, timeout=PATIENCE) == b"begun"
        process._process.send_signal(signal.SIGINT)
        assert process.line() == "sync_h2: finishing what is under way"
        assert process.line().startswith("sync_h2: waiting for GET /events of 127.0.0.1:")
        stream.close()
    process.kill()
