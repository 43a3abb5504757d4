"""Answers of HTTP/1.1 servers that are none, or that two readers could understand differently: what is said of them,
and what of them is taken all the same. And what `connect` says of servers that answer in something else.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
from hyperframe.frame import HeadersFrame

import sync_h2
from support.peers.raw_peer import RawPeer
from support.peers.scripted_server import request_head, scripted_server
from sync_h2 import Client, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.client.opening.proxies import ProxyResponse
from sync_h2.errors import HTTP2Error
from sync_h2.exceptions import ProxyError

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = b"Content-Length: 2\r\n\r\nab"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

MALFORMED: dict[str, tuple[bytes, str]] = {
    "a page": (b"<!DOCTYPE HTML>\n<html>\n", "does not answer in HTTP/1.1: it says b'<!DOCTYPE HTML>"),
    "a long page": (b"<html>" + b"x" * 70_000, "does not answer in HTTP/1.1: it says b'<html>xxx"),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", "it says b'SSH-2.0-OpenSSH_9.6"),
    "an empty line": (b"\r\n" + OK + SHORT, "it says b'"),
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", "it speaks TLS on this port"),
    "HTTP/2": (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "it speaks HTTP/2 on this port"),
    "a later version": (b"HTTP/2.0 200 OK\r\n" + SHORT, "it says b'HTTP/2.0 200 OK"),
    "another protocol": (b"ICY 200 OK\r\n" + SHORT, "it says b'ICY 200 OK"),
    "no status": (b"HTTP/1.1\r\n" + SHORT, "it says b'HTTP/1.1"),
    "a status of words": (b"HTTP/1.1 fine OK\r\n" + SHORT, "it says b'HTTP/1.1 fine"),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n" + SHORT, "it says b'HTTP/1.1 20"),
    "a status with a sign": (b"HTTP/1.1 +200 OK\r\n" + SHORT, "it says b'HTTP/1.1 \\+200"),
    "a status that Python takes": (b"HTTP/1.1 2_0 OK\r\n" + SHORT, "it says b'HTTP/1.1 2_0"),
    "a status line that breaks off": (b"HTTP/1.1 200", "head broke off"),
    "a head that breaks off": (OK + b"Content-Length: 0\r\n", "head broke off"),
    "a field that breaks off": (OK + b"Content-Le", "head broke off"),
    "two lengths": (OK + b"Content-Length: 4\r\nContent-Length: 8\r\n\r\nabcdefgh", "content-length is '4, 8'"),
    "two lengths in one": (OK + b"Content-Length: 4, 8\r\n\r\nabcdefgh", "content-length is '4, 8'"),
    "a length with a sign": (OK + b"Content-Length: +2\r\n\r\nab", "content-length is '\\+2'"),
    "a negative length": (OK + b"Content-Length: -2\r\n\r\nab", "content-length is '-2'"),
    "a length of words": (OK + b"Content-Length: two\r\n\r\nab", "content-length is 'two'"),
    "a length that Python takes": (OK + b"Content-Length: 1_0\r\n\r\n0123456789", "content-length is '1_0'"),
    "a length of other digits": (OK + b"Content-Length: \xb2\r\n\r\nab", "content-length is "),
    "no length in the field": (OK + b"Content-Length:\r\n\r\nab", "content-length is ''"),
    "an endless length": (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nab", "content-length is '999"),
    "gzip as a transfer coding": (OK + b"Transfer-Encoding: gzip\r\n\r\nab", "transfer-encoding is 'gzip'"),
    "gzip below chunks": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding is 'gzip, chunked'",
    ),
    "an unknown coding": (OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "transfer-encoding is 'xchunked'"),
    "a coding behind a control": (OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n", "transfer-encoding is "),
    "a line without a colon": (OK + b"garbage\r\n" + SHORT, "line 1 of the response's fields is none"),
    "the last line without a colon": (
        OK + b"Content-Length: 2\r\ngarbage\r\n\r\nab",
        "line 2 of the response's fields is none",
    ),
    "a field without a name": (OK + b": value\r\n" + SHORT, "line 1 of the response's fields is none"),
    "a folded line without a field": (OK + b" X: a\r\n" + SHORT, "line 1 of the response's fields is none"),
}

BROKEN_CHUNKS: dict[str, tuple[bytes, str]] = {
    "a negative size": (b"-3\r\nabc\r\n0\r\n\r\n", "b'-3' is no chunk's size"),
    "a size with a sign": (b"+3\r\nabc\r\n0\r\n\r\n", "b'\\+3' is no chunk's size"),
    "a size with a prefix": (b"0x3\r\nabc\r\n0\r\n\r\n", "b'0x3' is no chunk's size"),
    "a size that Python takes": (b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n", "b'1_0' is no chunk's size"),
    "no size": (b"\r\nabc\r\n0\r\n\r\n", "b'' is no chunk's size"),
    "a huge size": (b"f" * 18 + b"\r\nabc", "b'f{18}' is no chunk's size"),
    "a long line": (b"3;" + b"x" * 70_000 + b"\r\nabc\r\n0\r\n\r\n", "size broke off, or is too long"),
    "more than the size": (b"2\r\nabcd\r\n0\r\n\r\n", "longer than its size"),
    "other ends": (b"3\r\nabcX\r0\r\n\r\n", "longer than its size"),
    "the end of the connection": (b"3\r\nabc\r\n", "the connection ended before its end$"),
    "the end of the connection in a chunk": (b"3\r\nab", "the connection ended before its end$"),
    "the end of the connection behind a chunk": (b"3\r\nabc", "the connection ended before its end, "),
}

TAKEN: dict[str, tuple[bytes, dict[str, str], bytes]] = {
    "a folded field": (OK + b"X: a\r\n b\r\n" + SHORT, {"x": "a b"}, b"ab"),
    "one folded with a tab": (OK + b"X: a \r\n\t b \r\n" + SHORT, {"x": "a b"}, b"ab"),
    "one folded twice": (OK + b"X: a\r\n  b\r\n \r\n\tc\r\n" + SHORT, {"x": "a b c"}, b"ab"),
    "one folded from its start": (OK + b"Content-Length:\r\n 2\r\n\r\nab", {"content-length": "2"}, b"ab"),
    "the same length twice": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", {}, b"ab"),
    "the same length in one": (OK + b"Content-Length: 2, 2\r\n\r\nab", {}, b"ab"),
    "chunks in other letters": (OK + b"Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", {}, b"abc"),
    "chunks, said twice": (
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        {},
        b"abc",
    ),
    "chunks and a length": (
        OK + b"Transfer-Encoding: chunked\r\n" + b"Content-Length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        {},
        b"abc",
    ),
    "identity": (OK + b"Transfer-Encoding: identity\r\n" + SHORT, {}, b"ab"),
    "a space before the colon": (OK + b"X : a\r\nContent-Length : 2\r\n\r\nab", {"x": "a"}, b"ab"),
    "spaces around the value": (OK + b"X: \t a  b \t\r\n" + SHORT, {"x": "a  b"}, b"ab"),
    "NUL and a lone CR": (OK + b"X: a\0b\rContent-Length: 1\r\n" + SHORT, {"x": "a b Content-Length: 1"}, b"ab"),
    "line feeds": (b"HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nab", {"x": "a"}, b"ab"),
    "no phrase": (b"HTTP/1.1 200\r\n" + SHORT, {}, b"ab"),
    "tabs in the status line": (b"HTTP/1.1\t200\tOK\r\n" + SHORT, {}, b"ab"),
    "latin-1": (OK + b"X: \xe4\r\n" + SHORT, {"x": "ä"}, b"ab"),
    "an empty value": (OK + b"X:\r\n" + SHORT, {"x": ""}, b"ab"),
    "extensions of chunks": (CHUNKED + b"3 ;a=b\r\nabc\r\n0000;x\r\n\r\n", {}, b"abc"),
    "no line behind the trailers": (CHUNKED + b"3\r\nabc\r\n0\r\n", {}, b"abc"),
    "trailers that are none": (CHUNKED + b"3\r\nabc\r\n0\r\ngarbage\r\nY: z\r\n\r\n", {}, b"abc"),
    "more than the length": (OK + SHORT + b"more", {}, b"ab"),
    "a length with 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", {"content-length": "5"}, b""),
    "chunks with 204": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", {}, b""),
}


@contextlib.contextmanager
def saying(answer: bytes) -> Iterator[str]:
    def play(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            sock.recv(1)  # until the client has seen it

    with scripted_server(play) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_answer_is_told(name: str) -> None:
    answer, message = MALFORMED[name]
    with saying(answer) as url, Client() as client, pytest.raises(exceptions.ConnectionError, match=message):
        client.get(url)


@pytest.mark.parametrize("name", ["a page", "two lengths", "gzip below chunks"])
def test_what_is_no_answer_is_told_through_adapters(name: str) -> None:
    answer, message = MALFORMED[name]
    with saying(answer) as url, requests.Session() as session:
        session.mount("http://", RequestsAdapter())
        with pytest.raises(requests.exceptions.ConnectionError, match=message):
            session.get(url)
    with (
        saying(answer) as url,
        httpx.Client(transport=HTTPXTransport()) as client,
        pytest.raises(httpx.TransportError, match=message),
    ):
        client.get(url)


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_chunks_that_are_none_are_told(name: str) -> None:
    chunks, message = BROKEN_CHUNKS[name]
    with (
        saying(CHUNKED + chunks) as url,
        Client() as client,
        pytest.raises(exceptions.ChunkedEncodingError, match=message),
    ):
        client.get(url)


def test_a_body_that_breaks_off_says_what_is_missing() -> None:
    with (
        saying(OK + b"Content-Length: 10\r\n\r\nabc") as url,
        Client() as client,
        pytest.raises(exceptions.ChunkedEncodingError, match=r"its end, which is 7 octets later$"),
    ):
        client.get(url)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_all_the_same(name: str) -> None:
    answer, fields, body = TAKEN[name]
    with saying(answer) as url, Client() as client:
        response = client.get(url)
        assert response.content == body
        assert {name: response.headers[name] for name in fields} == fields


def test_a_connection_that_speaks_something_else_now_is_used_no_more() -> None:
    def switch(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n")
        assert sock.recv(1) == b""

    def answer(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(OK + SHORT)

    with scripted_server(switch, answer) as port, Client(trust_env=False, timeout=20) as client:
        assert [client.get(f"http://127.0.0.1:{port}/").status_code for _ in range(2)] == [101, 200]


@pytest.mark.parametrize("answer", [OK + SHORT, CHUNKED + b"2\r\nab\r\n0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"])
def test_a_connection_that_has_more_than_the_answer_is_used_no_more(answer: bytes) -> None:
    """The rest of what was not asked for could come behind the next request, and be taken for its answer."""

    def say_more(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(answer + b"HTTP/1.1 200")
        assert sock.recv(1) == b""

    def say_it(sock: socket.socket) -> None:
        for _ in range(2):
            request_head(sock)
            sock.sendall(OK + SHORT)

    with scripted_server(say_more, say_it) as port, Client(trust_env=False, timeout=20) as client:
        for _ in range(3):
            client.get(f"http://127.0.0.1:{port}/")


def test_a_proxy_that_is_none() -> None:
    with (
        saying(b"<!DOCTYPE HTML>\n") as proxy,
        Client(proxies={"https": proxy}) as client,
        pytest.raises(ProxyError, match="it says b'<!DOCTYPE HTML>"),
    ):
        client.get("https://localhost:1/")


def _connect(url: str, **options: Any) -> None:
    with sync_h2.connect(url, **options) as session:
        session.request().read()


def _get(url: str) -> None:
    with Client(h2c=True, retries=0) as client:
        client.get(url)


@pytest.mark.parametrize("field", [b"Content-Length: -1", b"Transfer-Encoding: gzip", b"Content-Length: 5"])
def test_a_tunnel_has_no_length(field: bytes) -> None:
    """RFC 9110 section 9.3.6: whatever the proxy's fields say."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall(OK + field + b"\r\n\r\nof the tunnel")
        with ProxyResponse(near, method="CONNECT") as response:
            response.begin()
            assert (response.status, response.chunked, response.length) == (200, False, 0)
        assert near.recv(100) == b"of the tunnel"


OPENING: dict[str, Callable[[str], Any]] = {
    "connect": _connect,
    "connect, large frames": lambda url: _connect(url, settings={"max_frame_size": (1 << 24) - 1}),
    "a client": _get,
}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "the peer answers in HTTP/1"),
        (b"<!DOCTYPE HTML>\n<html>\n", "the peer does not speak HTTP/2: it says b'<!DOCTYPE HTML>"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the peer does not speak HTTP/2: it says b'SSH-2.0-OpenSSH_9.6"),
        (b"220 mail.example.org ESMTP\r\n", "the peer does not speak HTTP/2: it says b'220 mail"),
    ],
)
@pytest.mark.parametrize("caller", OPENING)
def test_servers_that_do_not_speak_http2_are_told(caller: str, answer: bytes, message: str) -> None:
    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.receive_preface()
        peer.expect(HeadersFrame)
        sock.sendall(answer)
        while sock.recv(65_536):
            pass

    with scripted_server(play) as port, pytest.raises(HTTP2Error, match=message):
        OPENING[caller](f"http://127.0.0.1:{port}")
