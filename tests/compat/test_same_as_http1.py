"""One script, two protocols: what a program does with `http.client` against `http.server` has the same outcome with
`HTTP2Connection` against the same handler class on streams, over TLS both times; and with `http.client` against those
over HTTP/1.1.
"""

from __future__ import annotations

import array
import functools
import http.client
import http.server
import io
import mmap
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.peers.stdlib_http import http1_connection, http1_server, http2_connection, http2_server
from support.tls.certificates import Certificate

TIMEOUT = 10.0
# The date differs from second to second, and the others speak of an HTTP/1.1 connection.
NOT_COMPARED = {"date", "connection", "keep-alive", "transfer-encoding"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Written for HTTP/1.1, with the habits of such handlers."""

    protocol_version = "HTTP/1.1"
    never = threading.Event()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("X-Frame-Options", "DENY")
        http.server.SimpleHTTPRequestHandler.end_headers(self)  # by its name, not super()

    def answer(self, body: bytes, *headers: tuple[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(length))
        # Over HTTP/1.1 there is none then; over HTTP/2 one of a length that nobody told is read to its end.
        return self.rfile.read() if self.request_version == "HTTP/2.0" else b""

    def do_GET(self) -> None:
        route = getattr(self, "get_" + self.path.partition("?")[0].strip("/").replace("/", "_"), None)
        if route is None:
            super().do_GET()
        else:
            route()

    def get_cookies(self) -> None:
        self.answer(b"two", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"), ("X-List", "1"), ("X-List", "2"))

    def get_headers(self) -> None:
        names = ["Host", "Accept-Encoding", "X-Int", "X-Bytes", "X-Many", "Cookie", "Content-Length", "Expect"]
        self.answer(repr([(name, self.headers.get_all(name)) for name in names]).encode())

    def get_nothing(self) -> None:
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def get_teapot(self) -> None:
        self.send_error(418, "Short <and> stout", "It is no coffee machine.")

    def get_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (b"first\n", b"second, a longer one\n", b"x" * 100_000 + b"\n"):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def get_until_close(self) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"as long as ")
        self.wfile.write(b"it lasts")

    def get_raw(self) -> None:
        self.wfile.write(b"HTTP/1.1 203 Written By Hand\r\nX-Folded: one\r\n  two\r\n")
        self.wfile.write(b"Content-Length: 5\r\n\r\nhe")
        self.wfile.write(b"llo")

    def get_cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"not all of it")
        self.wfile.flush()
        self.connection.settimeout(0)  # nothing after this
        self.close_connection = True

    def get_lines(self) -> None:
        self.answer(b"one\ntwo\n\nfour, without an end")

    def get_never(self) -> None:
        self.never.wait(TIMEOUT)
        self.answer(b"late")

    def get_large(self) -> None:
        self.answer(b"0123456789abcdef" * 65_536)

    def do_POST(self) -> None:
        self.answer(b"%s %s %s" % (self.command.encode(), self.path.encode(), self.read_body()), status=201)

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST

    def do_EXPECT(self) -> None:
        self.answer(self.read_body())


Connection = http.client.HTTPConnection
Case = Callable[[Connection], object]
CASES: list[Case] = []
case = CASES.append


class Answer(NamedTuple):
    status: int  # and no reason: HTTP/2 has only the usual one
    headers: list[tuple[str, str]]
    body: bytes


def answer(response: http.client.HTTPResponse) -> Answer:
    """What is to be compared."""
    headers = sorted((name.lower(), value) for name, value in response.getheaders() if name.lower() not in NOT_COMPARED)
    return Answer(response.status, headers, response.read())


def ask(connection: Connection, method: str, url: str, *arguments: Any, **named: Any) -> Answer:
    connection.request(method, url, *arguments, **named)
    return answer(connection.getresponse())


def failure(function: Callable[[], object]) -> type[BaseException]:
    """What a program would name to catch what it raises: our own errors are others', too."""
    with pytest.raises(Exception) as caught:
        function()
    return next(cls for cls in caught.type.__mro__ if not cls.__module__.startswith("sync_h2."))


# -- files


@case
def a_file(connection: Connection) -> object:
    return ask(connection, "GET", "/hello.txt")


@case
def a_folder_lists(connection: Connection) -> object:
    return ask(connection, "GET", "/sub/")


@case
def a_folder_without_its_slash_redirects(connection: Connection) -> object:
    return ask(connection, "GET", "/sub?a=1")


@case
def a_missing_file(connection: Connection) -> object:
    return ask(connection, "GET", "/missing")


@case
def a_file_that_has_not_changed(connection: Connection) -> object:
    return ask(connection, "GET", "/hello.txt", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})


@case
def head(connection: Connection) -> object:
    return ask(connection, "HEAD", "/hello.txt")


@case
def head_of_a_missing_file(connection: Connection) -> object:
    return ask(connection, "HEAD", "/missing")


@case
def escapes_and_traversal(connection: Connection) -> object:
    return [
        ask(connection, "GET", url) for url in ("/h%65llo.txt", "/../hello.txt", "/%2e%2e/hello.txt", "//hello.txt")
    ]


@case
def a_method_that_nobody_implements(connection: Connection) -> object:
    return [ask(connection, "BREW", "/pot", b"coffee"), connection.close()]


# -- answers


@case
def repeated_fields(connection: Connection) -> object:
    connection.request("GET", "/cookies")
    response = connection.getresponse()
    cookies = response.headers.get_all("set-cookie")
    return cookies, response.getheader("X-LIST"), response.getheader("absent"), response.getheader("absent", "0")


@case
def no_content(connection: Connection) -> object:
    connection.request("GET", "/nothing")
    response = connection.getresponse()
    return response.status, response.length, response.read()  # without content-length, which 204 may not have


@case
def send_error(connection: Connection) -> object:
    connection.request("GET", "/teapot")
    response = connection.getresponse()
    return response.status, response.getheader("content-type"), response.read()


@case
def chunks_that_the_handler_frames(connection: Connection) -> object:
    return [ask(connection, "GET", "/chunks"), ask(connection, "GET", "/hello.txt")]


@case
def a_body_without_a_length(connection: Connection) -> object:
    return [ask(connection, "GET", "/until_close"), ask(connection, "GET", "/hello.txt")]


@case
def a_status_line_written_by_hand(connection: Connection) -> object:
    connection.request("GET", "/raw")
    response = connection.getresponse()
    return response.status, " ".join(response.getheader("X-Folded", "").split()), response.length, response.read()


# -- requests


@case
def fields_that_the_connection_adds(connection: Connection) -> object:
    return ask(connection, "GET", "/headers").body.replace(str(connection.port).encode(), b"PORT")


@case
def fields_of_every_type(connection: Connection) -> object:
    headers = {"X-Int": 5, "X-Bytes": b"b", "Cookie": "a=1; b=2", "Accept-Encoding": "gzip", "Host": "example.org"}
    return ask(connection, "GET", "/headers", headers=headers)


@case
def putheader_with_several_values(connection: Connection) -> object:
    connection.putrequest("GET", "/headers", skip_accept_encoding=True)
    connection.putheader("X-Many", "1", b"2", 3)
    connection.endheaders()
    body = connection.getresponse().read().decode().replace(str(connection.port), "PORT")
    return "".join(body.replace("\\r\\n\\t", " ").split())


@case
def skip_host(connection: Connection) -> object:
    connection.putrequest("GET", "/headers", skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", "example.org:1")
    connection.endheaders()
    return answer(connection.getresponse())


@case
def methods_with_and_without_bodies(connection: Connection) -> object:
    return [ask(connection, method, "/p?q=1") for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")]


def bodies() -> Iterator[Any]:
    yield b"bytes"
    yield b""
    yield bytearray(b"bytearray")
    yield memoryview(b"memoryview")
    yield array.array("H", [1, 2, 3])
    yield "latin-1: \xe9"
    yield io.BytesIO(b"a file" * 10_000)
    yield io.StringIO("a text file: \xe9")
    yield [b"a", b"", b"list"]
    yield (piece for piece in (b"a ", b"generator"))
    anonymous = mmap.mmap(-1, 8)
    anonymous.write(b"a mapped")
    anonymous.seek(2)
    yield anonymous


@case
def every_kind_of_body(connection: Connection) -> object:
    return [ask(connection, "POST", "/body", body) for body in bodies()]


@case
def a_body_of_a_length_that_the_caller_gives(connection: Connection) -> object:
    return ask(connection, "POST", "/body", io.BytesIO(b"twelve bytes"), {"Content-Length": "12"})


@case
def chunks_that_the_connection_frames(connection: Connection) -> object:
    pieces = iter([b"one, ", b"two"])
    return ask(connection, "POST", "/body", pieces, {"Transfer-Encoding": "chunked"}, encode_chunked=True)


@case
def chunks_that_the_caller_frames(connection: Connection) -> object:
    connection.putrequest("POST", "/body")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for piece in (b"6\r\npie", b"ces\r\n", b"3\r\n of\r\n0\r", b"\n\r\n"):
        connection.send(piece)
    return answer(connection.getresponse())


@case
def a_body_piece_by_piece(connection: Connection) -> object:
    connection.putrequest("POST", "/body")
    connection.putheader("Content-Length", "17")
    connection.endheaders(b"first,")
    connection.send(io.BytesIO(b" then"))
    connection.send([b" th", b"at."])
    return answer(connection.getresponse())


@case
def expecting_a_100(connection: Connection) -> object:
    return ask(connection, "EXPECT", "/", b"go on", {"Expect": "100-continue"})


@case
def a_body_that_the_handler_does_not_read(connection: Connection) -> object:
    first = ask(connection, "GET", "/hello.txt", b"GET /headers HTTP/1.1\r\n\r\n", {"Connection": "close"})
    connection.close()
    return first, ask(connection, "GET", "/lines")


# -- reading


@case
def many_requests_on_one_connection(connection: Connection) -> object:
    answers = [ask(connection, "GET", "/lines") for _ in range(20)]
    return len(set(map(repr, answers))), answers[0]


@case
def reading_in_pieces(connection: Connection) -> object:
    connection.request("GET", "/large")
    response = connection.getresponse()
    pieces = []
    while piece := response.read(10_000):
        pieces.append(piece)
    return list(map(len, pieces)), b"".join(pieces), response.isclosed(), response.closed, response.read()


@case
def readinto(connection: Connection) -> object:
    connection.request("GET", "/large")
    response = connection.getresponse()
    buffer = bytearray(700_000)
    return [response.readinto(buffer), response.readinto(buffer), response.readinto(buffer), response.isclosed()]


@case
def read1_and_peek(connection: Connection) -> object:
    connection.request("GET", "/lines")
    response = connection.getresponse()
    body = b""
    while response.length:  # at the end of a body http.client's own peek waits for the next response
        assert response.peek(1)
        body += response.read1(3)
    return body, response.read1(0), response.read()


@case
def lines(connection: Connection) -> object:
    connection.request("GET", "/lines")
    response = connection.getresponse()
    return [response.readline(2), response.readline(), *response, response.readline(), response.isclosed()]


@case
def text(connection: Connection) -> object:
    connection.request("GET", "/lines")
    with connection.getresponse() as response, io.TextIOWrapper(response, "ascii") as file:
        return file.read().splitlines()


@case
def length_counts_down(connection: Connection) -> object:
    connection.request("GET", "/hello.txt")
    response = connection.getresponse()
    return response.length, response.read(2), response.length, response.chunked, response.read(), response.length


@case
def what_urllib_asks_of_a_response(connection: Connection) -> object:
    connection.request("GET", "/hello.txt")
    with connection.getresponse() as response:
        return response.getcode(), response.info() is response.headers is response.msg, response.readable()


@case
def a_response_closed_by_its_with_block(connection: Connection) -> object:
    connection.request("GET", "/lines")
    with connection.getresponse() as response:
        pass
    return response.isclosed(), response.closed, response.read()


# -- the wrong order


@case
def a_response_before_the_request(connection: Connection) -> object:
    return failure(connection.getresponse)


@case
def a_response_twice(connection: Connection) -> object:
    connection.request("GET", "/lines")
    first = connection.getresponse()
    return failure(connection.getresponse), first.read()


@case
def a_request_in_a_request(connection: Connection) -> object:
    connection.putrequest("GET", "/lines")
    refused = failure(lambda: connection.putrequest("GET", "/lines"))
    connection.endheaders()
    return refused, failure(lambda: connection.putrequest("GET", "/")), answer(connection.getresponse())


@case
def a_request_while_the_response_is_unread(connection: Connection) -> object:
    connection.request("GET", "/lines")
    first = connection.getresponse()
    connection.request("GET", "/hello.txt")
    return failure(connection.getresponse), first.read(), answer(connection.getresponse())


@case
def a_header_outside_of_a_request(connection: Connection) -> object:
    return failure(lambda: connection.putheader("a", "b")), failure(connection.endheaders)


@case
def no_connection_is_opened_unasked(connection: Connection) -> object:
    connection.auto_open = 0
    connection.putrequest("GET", "/hello.txt")
    refused = failure(connection.endheaders)
    connection.close()
    connection.connect()
    return refused, ask(connection, "GET", "/hello.txt")


@case
def a_tunnel_after_connecting(connection: Connection) -> object:
    connection.connect()
    return failure(lambda: connection.set_tunnel("example.org"))


# -- bad arguments


@case
def bad_arguments(connection: Connection) -> object:
    found = []
    for function in (
        lambda: connection.putrequest("GET", "/a b"),
        lambda: connection.putrequest("GET", "/a\r\nX: 1"),
        lambda: connection.putrequest("G\r\n", "/"),
        lambda: connection.putrequest("GET", "/\xe9"),
        lambda: connection.request("GET", "/", headers={"X\r\nY": "1"}),
        lambda: connection.request("GET", "/", headers={"X": "1\r\nY: 2"}),
        lambda: connection.request("GET", "/", headers={"X": "\u20ac"}),
        lambda: connection.request("POST", "/", 5),
        lambda: connection.request("POST", "/", "\u20ac"),
        lambda: connection.request("POST", "/", ["text"]),
        lambda: type(connection)("localhost:http"),
        lambda: type(connection)("local host"),
    ):
        found.append(failure(function))
        connection.close()
    return found


@case
def hosts_and_ports(connection: Connection) -> object:
    made = [type(connection)(host) for host in ("a", "a:", "a:1", "[::1]", "[::1]:1")] + [type(connection)("b", 2)]
    return [(one.host, one.port, one.sock, one.auto_open, one.timeout) for one in made]


# -- failures


@case
def a_body_that_is_cut(connection: Connection) -> object:
    connection.request("GET", "/cut")
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    return caught.value.partial, caught.value.expected, response.isclosed()


@case
def no_answer_in_time(connection: Connection) -> object:
    connection.timeout = 0.1
    connection.request("GET", "/never")
    refused = failure(connection.getresponse)
    Handler.never.set()
    connection.close()
    connection.timeout = TIMEOUT
    return refused, ask(connection, "GET", "/hello.txt")


@case
def the_timeout_of_the_socket(connection: Connection) -> object:
    connection.connect()
    connection.sock.settimeout(0.1)
    before = connection.sock.gettimeout()
    connection.request("GET", "/never")
    refused = failure(connection.getresponse)
    Handler.never.set()
    return before, refused


@case
def the_socket_as_people_look_at_it(connection: Connection) -> object:
    connection.connect()
    sock = connection.sock
    certificate: Any = sock.getpeercert()
    return (
        sock.getpeername() == ("127.0.0.1", connection.port),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0,
        certificate["subjectAltName"],
        sock.fileno() > 0,
        connection.close(),
        connection.sock,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / "sub" / "a & b <c>.txt").write_text("odd name")
    (tmp_path / "hello.txt").write_text("hello, file")
    return tmp_path


def outcome(script: Case, serve: Any, connect: Any, folder: Path, certificate: Certificate) -> object:
    Handler.never.clear()
    with serve(functools.partial(Handler, directory=str(folder)), certificate) as port:
        connection = connect(port, certificate, timeout=TIMEOUT)
        try:
            return script(connection)
        finally:
            Handler.never.set()
            connection.close()


@pytest.mark.parametrize("script", CASES, ids=lambda script: script.__name__)
def test_the_same_outcome(script: Case, folder: Path, certificate: Certificate):
    expected = outcome(script, http1_server, http1_connection, folder, certificate)
    assert outcome(script, http2_server, http2_connection, folder, certificate) == expected


# This one folds a line, which RFC 9112 section 5.2 lets a server refuse.
REFUSED = "putheader_with_several_values"


@pytest.mark.parametrize(
    "script", [one for one in CASES if one.__name__ != REFUSED], ids=lambda script: script.__name__
)
def test_the_same_outcome_over_http1_of_ours(script: Case, folder: Path, certificate: Certificate):
    expected = outcome(script, http1_server, http1_connection, folder, certificate)
    serve = functools.partial(http2_server, allow_http1=True)
    assert outcome(script, serve, http1_connection, folder, certificate) == expected
