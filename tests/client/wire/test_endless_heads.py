"""Heads, a proxy's too, that a server sends without an end have one all the same."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

import sync_h2
from support.octets import frames
from support.peers.scripted_server import request_head, scripted_server
from sync_h2 import Client, compat, exceptions
from sync_h2.transport.blocking_tls import BlockingTLSConnection


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
