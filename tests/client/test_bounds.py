"""What a server sends without an end has one all the same, and what is small on the wire stays small in memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import http.client
import importlib
import importlib.machinery
import itertools
import socket
import sys
import threading
import tracemalloc
import types
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

import sync_h2
from support import frames
from support.scripted_server import request_head, scripted_server
from sync_h2 import Client, compat, exceptions
from sync_h2.client.messages import decoding
from sync_h2.client.messages.decoding import MOST_CODINGS, PIECE, decoded
from sync_h2.client.messages.prepared_request import PreparedRequest
from sync_h2.client.options.auth import HTTPDigestAuth
from sync_h2.client.options.cookies import CookieJar, take_cookies
from sync_h2.client.values.structures import ResponseHeaders
from sync_h2.transport.blocking_tls import BlockingTLSConnection

SIZE = 64 << 20


# -- codings


def compressed(compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> bytes:
    return b"".join([*(compress(bytes(1 << 20)) for _ in range(SIZE >> 20)), finish()])


def bomb(coding: str) -> bytes:
    if coding == "br":
        brotli = importlib.import_module("brotlicffi").Compressor(quality=1, lgwin=24)
        return compressed(brotli.process, brotli.finish)
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS + (16 if coding == "gzip" else 0))
    return compressed(compressor.compress, compressor.flush)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_small_body_that_stands_for_a_large_one(coding: str) -> None:
    data = bomb(coding)
    pieces = decoded(iter([data]), coding)
    tracemalloc.start()
    try:
        first = next(pieces)
        assert len(first) + sum(map(len, pieces)) == SIZE
        assert tracemalloc.get_traced_memory()[1] < 20 * PIECE
    finally:
        tracemalloc.stop()


PACKAGES: dict[str, tuple[Callable[[], Any], Callable[[bytes], bytes]]] = {
    # With the interfaces of those for zstd, which the tests do not need.
    "bounded": (lambda: decoding._Frames(bz2.BZ2Decompressor), bz2.compress),
    "unbounded": (lambda: decoding._UnboundedFrames(lambda: zlib.decompressobj(31)), gzip.compress),
}


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("kind", PACKAGES)
def test_frames_of_zstd(kind: str, step: int) -> None:
    make, compress = PACKAGES[kind]
    decoder = make()
    data = compress(b"a" * 200_000) + compress(b"") + compress(b"b" * 600)
    pieces = [piece for start in range(0, len(data), step) for piece in decoder.decode(data[start : start + step])]
    assert b"".join([*pieces, *decoder.finish()]) == b"a" * 200_000 + b"b" * 600
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_frames_of_zstd_with_the_packages_that_are_there(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in decoding._PACKAGES["zstd"]:  # which the tests do not need
        with contextlib.suppress(ModuleNotFoundError):
            compress = importlib.import_module(name).compress
            monkeypatch.setattr(decoding, "_installed", lambda coding, name=name: name)
            data = compress(b"a" * 200_000) + compress(b"") + compress(b"b" * 600)
            pieces = list(decoded((data[start : start + step] for start in range(0, len(data), step)), "zstd"))
            assert b"".join(pieces) == b"a" * 200_000 + b"b" * 600
            assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize(("bound", "found"), [("can_accept_more_data", "brotli"), ("process", None)])
def test_packages_for_br_need_a_bound(bound: str, found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("brotli")
    module.__spec__ = importlib.machinery.ModuleSpec("brotli", None)
    module.Decompressor = type("Decompressor", (), {bound: None})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "brotli", module)
    monkeypatch.setitem(decoding._PACKAGES, "br", ("brotli",))
    assert decoding._installed.__wrapped__("br") == found


def test_as_many_codings_as_others_take() -> None:
    data = b"content"
    for _ in range(MOST_CODINGS):
        data = gzip.compress(data)
    codings = ["gzip"] * MOST_CODINGS
    assert b"".join(decoded(iter([data]), ", ".join(["identity", *codings, ""]))) == b"content"
    with pytest.raises(exceptions.ContentDecodingError, match="6 content codings"):
        decoded(iter([data]), ", ".join([*codings, "br"]))


@pytest.mark.parametrize("stream", [False, True])
def test_thousands_of_codings(stream: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-encoding": ", ".join(["gzip"] * 3000)})
        stream.end(b"content")

    with (
        sync_h2.create_server(handler) as server,
        Client(h2c=True, trust_env=False) as client,
        pytest.raises(exceptions.ContentDecodingError, match="3000 content codings"),
    ):
        if stream:
            with client.stream("GET", server.url) as answer:
                answer.content  # noqa: B018 - reads it
        else:
            client.get(server.url)


# -- heads


@contextlib.contextmanager
def answering(version: str, pieces: Iterable[bytes], pause: float = 0.0) -> Iterator[tuple[str, Client]]:
    """A server that sends these pieces, behind its preface, to whoever has asked, and a client for it."""
    gone = threading.Event()

    def play(sock: socket.socket) -> None:
        if version == "HTTP/1.1":
            request_head(sock)
        else:
            sock.sendall(frames.frame(frames.SETTINGS, 0, 0))
            file = sock.makefile("rb")
            file.read(24)
            while (head := file.read(9))[3] != frames.HEADERS:
                file.read(int.from_bytes(head[:3], "big"))
        with contextlib.suppress(OSError):
            for piece in pieces:
                sock.sendall(piece)
                if gone.wait(pause):
                    return

    with contextlib.ExitStack() as stack:
        port = stack.enter_context(scripted_server(play))
        client = stack.enter_context(Client(trust_env=False, h2c=version == "HTTP/2", retries=0))
        stack.callback(gone.set)
        yield f"http://127.0.0.1:{port}/", client


DRIPPING = [bytes((octet,)) for octet in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000]
EARLY = {
    "HTTP/1.1": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/2": frames.headers(1, (":status", "103"), ("link", "</a>")),
}
LARGE = {
    "HTTP/1.1": b"HTTP/1.1 103 Early Hints\r\n" + b"Link: %b\r\n" % (b"a" * 9000) * 2 + b"\r\n",
    "HTTP/2": frames.headers(1, (":status", "103"), ("link", "a" * 14_000)),
}


@pytest.mark.parametrize("early", [EARLY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("version", EARLY)
def test_endless_informational_responses(version: str, early: dict[str, bytes]) -> None:
    with answering(version, itertools.repeat(early[version])) as (url, client):
        with pytest.raises(exceptions.ConnectionError, match="too many informational responses") as raised:
            client.get(url, timeout=20)
        assert raised.value.request.url == url


@pytest.mark.parametrize("version", EARLY)
def test_informational_responses_do_not_prolong_a_timeout(version: str) -> None:
    pieces = itertools.repeat(EARLY[version])
    with answering(version, pieces, 0.05) as (url, client), pytest.raises(exceptions.ReadTimeout, match="no response"):
        client.get(url, timeout=0.3)


@pytest.mark.parametrize("expects", [False, True])
def test_a_head_that_comes_octet_by_octet(expects: bool) -> None:
    headers = {"Expect": "100-continue"} if expects else {}
    with (
        answering("HTTP/1.1", DRIPPING, 0.05) as (url, client),
        pytest.raises(exceptions.ReadTimeout, match="no response"),
    ):
        client.put(url, data=b"a", headers=headers, timeout=0.3)


def test_a_body_may_take_longer_than_the_head() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"]
    with answering("HTTP/1.1", pieces) as (url, client), client.stream("GET", url, timeout=20) as answer:
        assert answer._answer._response.incoming.deadline is None
        assert answer._answer.socket.gettimeout() == 20
        assert answer.content == b"a"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1%b" % (b"0" * 17),
        b"Content-Length: 1%b" % (b"0" * 30),
        b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff",
        b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff",
    ],
)
def test_a_length_that_nobody_has_room_for(head: bytes) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nabc"]
    with answering("HTTP/1.1", pieces) as (url, client), pytest.raises(exceptions.ChunkedEncodingError):
        client.get(url, timeout=20)


def test_a_length_that_nobody_has_room_for_in_http_client() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": 10**18})
        stream.write(b"abc")
        stream.close(sync_h2.ErrorCode.CANCEL)

    with sync_h2.create_server(handler) as server:
        connection = compat.HTTP2Connection("127.0.0.1", server.address[1], h2c=True, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            with pytest.raises(http.client.IncompleteRead) as raised:
                connection.getresponse().read()
            assert raised.value.partial == b"abc"


class Tickets:
    """The socket, and the engine, of a peer that sends what is for TLS alone for as long as anybody receives."""

    def __init__(self) -> None:
        self.count = 0

    def setblocking(self, value: bool) -> None:
        pass

    def recv(self, size: int) -> bytes:
        self.count += 1
        assert self.count < 1_000_000
        return b"ticket"

    def feed(self, data: bytes) -> None:
        pass

    def read_into(self, view: memoryview) -> int:
        return 0


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_what_tls_sends_for_itself_does_not_prolong_a_timeout(timeout: float) -> None:
    tickets: Any = Tickets()
    with pytest.raises(sync_h2.Timeout):
        BlockingTLSConnection(tickets, tickets, None).recv(1, timeout)


# -- proxies


PROXY_ANSWERS = {
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "status line": (b"HTTP/1.1 200 ", b"a" * 1000),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}
ENDLESS = r"too long|too many|more than"


@contextlib.contextmanager
def proxy(kind: str) -> Iterator[str]:
    """One whose answer to CONNECT never ends, or takes for ever."""
    if kind == "dripping":
        with answering("HTTP/1.1", DRIPPING, 0.05) as (url, _):
            yield url
    else:
        first, again = PROXY_ANSWERS[kind]
        with answering("HTTP/1.1", itertools.chain([first], itertools.repeat(again))) as (url, _):
            yield url


@pytest.mark.parametrize("kind", [*PROXY_ANSWERS, "dripping"])
def test_a_proxys_endless_answer(kind: str) -> None:
    with proxy(kind) as url, Client(proxies={"https": url}, trust_env=False) as client:
        if kind == "dripping":
            with pytest.raises(exceptions.ConnectTimeout):
                client.get("https://example.org/", timeout=0.3)
        else:
            with pytest.raises(exceptions.ProxyError, match=ENDLESS):
                client.get("https://example.org/", timeout=20)


@pytest.mark.parametrize("kind", [*PROXY_ANSWERS, "dripping"])
def test_a_proxys_endless_answer_in_http_client(kind: str) -> None:
    with proxy(kind) as url:
        seconds = 0.3 if kind == "dripping" else 20.0
        connection = compat.HTTP2Connection("127.0.0.1", urlsplit(url).port, timeout=seconds)
        with contextlib.closing(connection):
            connection.set_tunnel("example.org", 443)
            if kind == "dripping":
                with pytest.raises(TimeoutError):
                    connection.connect()
            else:
                with pytest.raises(http.client.HTTPException, match=ENDLESS):
                    connection.connect()


# -- bodies that nobody has asked for


@pytest.mark.parametrize("kind", ["endless", "endless and nothing", "bomb", "short"])
@pytest.mark.parametrize("status", [302, 401])
def test_bodies_of_what_is_not_the_answer(status: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_h2.client.messages.response._MOST_UNASKED", 1 << 20)
    data = bomb("gzip")
    piece = gzip.compress(b"") * 3000 if kind == "endless and nothing" else bytes(100_000)
    coding = {} if kind in ("endless", "short") else {"content-encoding": "gzip"}

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/there" or "authorization" in headers:
            stream.end(b"the answer")
            return
        fields = {"location": "/there", "www-authenticate": 'Digest realm="a", nonce="b"'}
        stream.respond({":status": status, **fields, **coding})
        with contextlib.suppress(sync_h2.StreamReset):
            while kind.startswith("endless"):
                stream.write(piece)
            stream.end(data if kind == "bomb" else b"short")

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        answer = client.get(server.url, timeout=20, auth=HTTPDigestAuth("me", "word"))
        assert answer.content == b"the answer"
        (before,) = answer.history
        if kind == "short":
            assert before.content == b"short"
        else:
            with pytest.raises(exceptions.StreamConsumedError):
                before.content  # noqa: B018 - is not there


# -- cookies


def test_a_server_can_not_fill_the_jar() -> None:
    count = itertools.count()

    def handler(stream: Any, headers: Any) -> None:
        fields = [("set-cookie", f"a{next(count)}={'b' * 100}; path=/{number % 3}") for number in range(100)]
        stream.respond([(":status", "200"), ("set-cookie", "long=" + "b" * 10_000), *fields], end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        client.cookies.set("mine", "stays", domain="other.example")
        for _ in range(5):
            client.get(server.url)
        assert len(client.cookies) == 180 + 1
        assert "mine" in client.cookies
        assert "a499" in client.cookies
        assert "long" not in client.cookies


def test_servers_of_many_domains_can_not_fill_the_jar() -> None:
    jar = CookieJar()
    for number in range(1100):
        request = PreparedRequest()
        request.prepare("GET", f"https://{number}.example/")
        take_cookies(jar, types.SimpleNamespace(request=request, headers=ResponseHeaders([("set-cookie", "a=b")])))
    assert len(jar.list_domains()) == 1000
    assert "1099.example" in jar.list_domains()


def test_a_cookie_that_is_set_anew_is_no_old_one() -> None:
    paths = iter(["first", "others", "again"])

    def handler(stream: Any, headers: Any) -> None:
        fields = [("set-cookie", f"a{number}=b") for number in range(179)] if next(paths) == "others" else []
        stream.respond([(":status", "200"), *fields, ("set-cookie", "session=c")], end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False, max_header_pairs=1000) as client:
        for number in range(200):
            client.cookies.set(f"own{number}", "x")
        for _ in range(3):
            client.get(server.url)
        assert client.cookies.get("session", domain="127.0.0.1") == "c"
        assert sum(cookie.name.startswith("own") for cookie in client.cookies) == 200
