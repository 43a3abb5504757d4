"""What a server sends is worked off in time that grows with its length and not with its square."""

from __future__ import annotations

import collections
import contextlib
import gzip
import http.client
import importlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from support.rules.growth import Prepare, assert_each_linear, assert_linear
from sync_h2 import exceptions
from sync_h2.client.calls.redirects import redirected
from sync_h2.client.messages.decoding import decoded
from sync_h2.client.messages.prepared_request import PreparedRequest
from sync_h2.client.messages.response import Response
from sync_h2.client.opening.proxies import ProxyResponse
from sync_h2.client.options.auth import HTTPDigestAuth
from sync_h2.client.options.environment import bypasses_proxies
from sync_h2.client.pool.alt_svc import parse_alternatives
from sync_h2.client.pool.retries import retry_after
from sync_h2.client.values.origin import Origin
from sync_h2.client.wire.http1_response import FinalResponse

ORIGIN = Origin("https", "example.org", 443)
REQUEST = PreparedRequest()
REQUEST.prepare("GET", "https://example.org/a/b")


class Answer:
    """What is under a response."""

    reason, http_version = "", "HTTP/2"
    trailers: list[Any] = []  # noqa: RUF012 - nobody adds to it
    informational = pushes = trailers

    def __init__(self, status: int, headers: list[tuple[str, str]], pieces: Iterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        pass


def response(status: int = 200, pieces: Iterable[bytes] = (), **fields: str) -> Response:
    pairs = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Response(REQUEST, Answer(status, pairs, iter(pieces)))


def take_challenge(value: str) -> None:
    """As far as the answer to it, which is that request once more."""

    class Repeated:
        def send(self, request: Any, **_: Any) -> Response:
            return response()

    answer = response(401, www_authenticate="Digest " + value)
    answer.connection = Repeated()
    hooks = HTTPDigestAuth("me", "word")(REQUEST.copy()).hooks["response"]
    hooks[0](answer)


# Who works it off, and what the value begins with.
FIELDS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "alt-svc": (lambda value: parse_alternatives(value, ORIGIN), ("", 'h2=":1"', 'h2=":1";a=')),
    "www-authenticate": (take_challenge, ("", 'realm="', "realm", 'qop="auth,')),
    "link": (lambda value: response(link=value).links, ("", "<a>; rel", '<a>; rel="')),
    "set-cookie": (
        lambda value: response(set_cookie=value),
        ("", 'a="', "a=b; expires=Mon, 01-Jan-2030 ", "a=b; domain="),
    ),
    "content-type": (lambda value: response(content_type=value), ("", "text/html; charset", 'a; charset="')),
    "retry-after": (lambda value: retry_after([("retry-after", value)]), ("", "Mon, 01 Jan 2030 ", "1")),
    "location": (lambda value: redirected(response(302, location=value), value), ("", "/", "//", "https://a:", "?")),
    "content-encoding": (lambda value: list(decoded(iter([b""]), value)), ("", "gzip,", "gzip")),
}
PIECES = [" ", '"', "\\", ",", ";", "=", ";a= ", '="', '";"', 'a="b", ', "1", "%", "../", "<", ":", "\xb2"]


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name: str) -> None:
    work_off, beginnings = FIELDS[name]

    def shape(beginning: str, piece: str) -> Prepare:
        def prepare(size: int) -> Callable[[], object]:
            value = beginning + piece * (size // len(piece)) + "x x"

            def job() -> None:
                with contextlib.suppress(exceptions.RequestException):
                    work_off(value)

            return job

        return prepare

    assert_each_linear({ascii(begin + piece): shape(begin, piece) for begin in beginnings for piece in PIECES}, 2048)


def test_many_fields_of_one_name() -> None:
    def prepare(size: int) -> Callable[[], object]:
        fields = [("x", "y" * 20)] * (size // 20)
        return lambda: Response(REQUEST, Answer(200, fields, iter(())))

    assert_linear(prepare, 65_536)


def test_hosts_that_no_proxy_may_exempt() -> None:
    def shape(piece: str) -> Prepare:
        def prepare(size: int) -> Callable[[], object]:
            url = "https://" + piece * (size // len(piece))

            def job() -> None:
                with contextlib.suppress(ValueError):
                    bypasses_proxies(url, "10.0.0.0/8,a.a,*.b")

            return job

        return prepare

    assert_each_linear({piece: shape(piece) for piece in ("1.", "a.", ":", "*")}, 8192)


# -- HTTP/1.1


class Socket:
    """One that has received all of it."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, mode: str, buffering: int = -1) -> io.BytesIO:
        return io.BytesIO(self._octets)


HEADS: dict[str, Callable[[int], bytes]] = {
    "parameters in quotes": lambda size: b"Content-Type: multipart/x;" + b'";"' * (size // 3),
    "parameters in a quote": lambda size: b'Content-Type: multipart/x; boundary="' + b";" * size,
    "parameters": lambda size: b"Content-Type: multipart/x" + b";" * size,
    "parameters of a message": lambda size: b"Content-Type: message/rfc822" + b";a=" * (size // 3),
    "spaces in a value": lambda size: b"X: a" + b" " * size + b"\0",
    "spaces before a colon": lambda size: b"X" + b" " * size + b": a",
    "no colon": lambda size: b"X" * size,
    "carriage returns": lambda size: b"X: " + b"\r" * size,
    "folded lines": lambda size: b"X: a" + b"\r\n b" * 90 + b"b" * size,
    "codings": lambda size: b"Transfer-Encoding: " + b"a, " * (size // 3),
    "a length": lambda size: b"Content-Length: " + b"1" * size,
    "options": lambda size: b"Connection: " + b"a, " * (size // 3),
}
BODIES: dict[str, Callable[[int], bytes]] = {
    "small chunks": lambda size: b"1\r\nx\r\n" * (size // 6),
    "a chunk's size": lambda size: b"0" * size + b"1\r\nx\r\n",
    "a chunk's extension": lambda size: b"1;" + b" " * size + b"\r\nx\r\n",
    "a trailer": lambda size: b"0\r\nX: " + b" " * size + b"\0\r\n\r\n",
    "parameters of a trailer": lambda size: b"0\r\nContent-Type: multipart/x;" + b'";"' * (size // 3) + b"\r\n\r\n",
}


@pytest.mark.parametrize("response_class", [FinalResponse, ProxyResponse])
def test_heads(response_class: Any) -> None:
    def shape(head: Callable[[int], bytes]) -> Prepare:
        def prepare(size: int) -> Callable[[], object]:
            octets = b"HTTP/1.1 200 \r\n" + head(size) + b"\r\n\r\n"

            def job() -> None:
                with contextlib.suppress(http.client.HTTPException):
                    response_class(Socket(octets), method="GET").begin()

            return job

        return prepare

    assert_each_linear({kind: shape(head) for kind, head in HEADS.items()}, 8192)


def test_chunked_bodies() -> None:
    def shape(body: Callable[[int], bytes]) -> Prepare:
        def prepare(size: int) -> Callable[[], object]:
            octets = b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n" + body(size)

            def job() -> None:
                answer = FinalResponse(Socket(octets), method="GET")
                answer.begin()
                with contextlib.suppress(http.client.HTTPException):
                    while answer.read1(1 << 16):
                        pass

            return job

        return prepare

    assert_each_linear({kind: shape(body) for kind, body in BODIES.items()}, 8192)


# -- bodies


def in_pieces(read: Callable[[Response], object], piece: bytes, **fields: str) -> Prepare:
    """A body comes as `piece` again and again."""

    def prepare(size: int) -> Callable[[], object]:
        answer = response(pieces=iter([piece] * (size // len(piece))), **fields)
        return lambda: read(answer)

    return prepare


@pytest.mark.parametrize("delimiter", [None, b"\n", b"\r\n\r\n", b"aab"])
def test_lines(delimiter: Any) -> None:
    def read(answer: Response) -> None:
        collections.deque(answer.iter_lines(None, delimiter=delimiter), 0)

    assert_each_linear({"octets": in_pieces(read, b"a")}, 4096)
    assert_each_linear({ascii(piece): in_pieces(read, piece) for piece in (b"a" * 500, b"a\r\n" * 100)}, 200_000)


@pytest.mark.parametrize("chunk_size", [1, 100, 1 << 30])
def test_pieces_of_another_size(chunk_size: int) -> None:
    def read(answer: Response) -> None:
        collections.deque(answer.iter_content(chunk_size), 0)

    assert_each_linear({"octets": in_pieces(read, b"a")}, 4096)
    assert_each_linear({"more": in_pieces(read, b"a" * 500)}, 1000 * min(chunk_size, 200))


@pytest.mark.parametrize("charset", ["utf-7", "punycode", "idna", "iso-2022-jp", "hz", "zlib", "x" * 10_000])
def test_text(charset: str) -> None:
    def whole(answer: Response) -> None:
        answer.content  # noqa: B018 - reads it
        answer.text  # noqa: B018 - decodes it

    def piecemeal(answer: Response) -> None:
        collections.deque(answer.iter_content(None, decode_unicode=True), 0)

    shapes = {}
    for piece in (b"+AA", b"xn--a-", b"~{", b"\x1b$B", b"\xe2"):
        for read in (whole, piecemeal):
            shapes[f"{piece!r}, {read.__name__}"] = in_pieces(read, piece, content_type=f"a/b; charset={charset}")
    assert_each_linear(shapes, 2048)


@pytest.mark.parametrize("name", ["utf8", "Latin-1", "shift_jis", "UTF-16", "koi8-r"])
def test_charsets_that_there_are(name: str) -> None:
    assert response(pieces=iter(["ä".encode(name, "ignore")]), content_type=f"a/b; charset={name}").text in "ä"


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_codings_of_many_small_parts(coding: str) -> None:
    if coding == "gzip":
        part = gzip.compress(b"")
    else:
        compressor = importlib.import_module("brotlicffi").Compressor()
        compressor.process(b"a")
        compressor.flush()
        part = compressor.process(b"a") + compressor.flush()

    def read(answer: Response) -> None:
        with contextlib.suppress(exceptions.ContentDecodingError):
            answer.content  # noqa: B018 - reads it

    parts = {"a part": part, "many parts": part * (8192 // len(part))}
    assert_each_linear({name: in_pieces(read, piece, content_encoding=coding) for name, piece in parts.items()}, 8192)
