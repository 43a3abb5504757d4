"""A server that says its next line only when the client has seen the one before: event streams, watches, answers of
language models. Whoever waits for more than has come waits for ever, in whichever way it reads.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import socket
import subprocess
import threading
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from support.peers.scripted_server import request_head
from support.programs.command_line import command, environment
from sync_h2 import Client
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.compat import HTTP2Handler

LINES = [b"event %d\n" % number for number in range(4)]
PATIENCE = 2.0


class _Zlib:
    def __init__(self, bits: int) -> None:
        self._state = zlib.compressobj(wbits=bits)

    def of(self, line: bytes) -> bytes:
        return self._state.compress(line) + self._state.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._state.flush()


class _Brotli:
    def __init__(self) -> None:
        self._state = importlib.import_module("brotlicffi").Compressor()

    def of(self, line: bytes) -> bytes:
        return bytes(self._state.process(line) + self._state.flush())

    def finish(self) -> bytes:
        return bytes(self._state.finish())


class _Nothing:
    def of(self, line: bytes) -> bytes:
        return line

    def finish(self) -> bytes:
        return b""


CODINGS: dict[str, Callable[[], Any]] = {
    "identity": _Nothing,
    "gzip": lambda: _Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "br": _Brotli,
}


class Server:
    """`coding` is for the next answer; `seen()` lets the server say the next line."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.coding = "identity"
        self._seen = threading.Semaphore()

    def seen(self) -> None:
        self._seen.release()

    def pieces(self) -> Iterator[bytes]:
        coder = CODINGS[self.coding]()
        for line in LINES:
            assert self._seen.acquire(timeout=PATIENCE), "the client waits for more than one line"
            yield coder.of(line)
        yield coder.finish()


@contextlib.contextmanager
def _ours() -> Iterator[Server]:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({} if server.coding == "identity" else {"content-encoding": server.coding})
        for piece in server.pieces():
            stream.write(piece)

    with sync_h2.create_server(handler, allow_http1=True) as listening:
        server = Server(listening.url)
        yield server


@contextlib.contextmanager
def _without_chunks() -> Iterator[Server]:
    """A server of HTTP/1.1 whose body ends with the connection."""

    def run() -> None:
        with listener.accept()[0] as sock:
            request_head(sock)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\n\r\n" % server.coding.encode())
            for piece in server.pieces():
                sock.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server
        thread.join(PATIENCE)


@contextlib.contextmanager
def _of_length() -> Iterator[Server]:
    """The same with a length, over HTTP/2."""

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": sum(map(len, LINES))})
        for piece in server.pieces():
            stream.write(piece)

    with sync_h2.create_server(handler) as listening:
        server = Server(listening.url)
        yield server


SERVERS = {"http/2": _ours, "http/1.1": _ours, "http/1.1 without chunks": _without_chunks, "with a length": _of_length}


def read_live(server: Server, pieces: Iterator[Any]) -> None:
    """Take pieces, with their line ends or without, and say of each line that it was seen."""
    lines = [line.strip() for line in LINES]
    so_far = b""
    for number in range(len(lines)):
        while so_far != b"".join(lines[: number + 1]):
            so_far += _without_ends(next(pieces))
        server.seen()
    assert b"".join(map(_without_ends, pieces)) == b""


def _without_ends(piece: Any) -> bytes:
    data: bytes = piece.encode() if isinstance(piece, str) else piece
    return data.replace(b"\n", b"")


def repeated(read: Callable[[], Any]) -> Iterator[Any]:
    return iter(read, b"")


OF_RESPONSES: dict[str, Callable[[Any], Iterator[Any]]] = {
    "iter_lines": lambda response: response.iter_lines(),
    "iter_lines of text": lambda response: response.iter_lines(decode_unicode=True),
    "iter_lines with a delimiter": lambda response: response.iter_lines(delimiter=b"\n"),
    "iter_lines, octet by octet": lambda response: response.iter_lines(chunk_size=1),
    "iter_content": lambda response: response.iter_content(1000),
    "iter_content, octet by octet": lambda response: response.iter_content(),
    "iter_content as it comes": lambda response: response.iter_content(None),
    "iter_content of text": lambda response: response.iter_content(1000, decode_unicode=True),
    "iteration": lambda response: iter(response),
    "raw.stream": lambda response: response.raw.stream(1000, decode_content=True),
    "raw.stream as it comes": lambda response: response.raw.stream(None, decode_content=True),
    "raw.read1": lambda response: repeated(lambda: response.raw.read1(1000, decode_content=True)),
    "raw, line by line": lambda response: iter(response.raw),
}


@pytest.mark.parametrize(
    ("kind", "coding"),
    [
        *(("http/2", coding) for coding in CODINGS),
        ("http/1.1", "identity"),
        ("http/1.1", "gzip"),
        ("http/1.1 without chunks", "gzip"),
        ("with a length", "identity"),
    ],
)
@pytest.mark.parametrize("way", OF_RESPONSES)
@pytest.mark.parametrize("caller", ["client", "requests"])
def test_of_clients_and_of_requests(caller: str, way: str, coding: str, kind: str) -> None:
    h2c = kind in ("http/2", "with a length")
    with SERVERS[kind]() as server:
        server.coding = coding
        with contextlib.ExitStack() as stack:
            session: Any
            if caller == "client":
                session = stack.enter_context(Client(h2c=h2c))
            else:
                session = stack.enter_context(requests.Session())
                session.mount("http://", RequestsAdapter(h2c=h2c))
            response = session.get(server.url, stream=True)
            response.encoding = "utf-8"
            read_live(server, OF_RESPONSES[way](response))


def test_with_a_report() -> None:
    with _ours() as server, Client(h2c=True) as client:
        reports: list[int] = []
        response = client.get(server.url, stream=True, on_download=lambda received, total: reports.append(received))
        read_live(server, response.iter_lines())
        assert reports == [sum(map(len, LINES[: number + 1])) for number in range(len(LINES))]


def test_as_a_file_of_text() -> None:
    with _ours() as server, Client(h2c=True) as client:
        response = client.get(server.url, stream=True)
        response.raw.auto_close = False
        read_live(server, iter(io.TextIOWrapper(response.raw, encoding="utf-8", line_buffering=True)))


OF_HTTPX: dict[str, Callable[[httpx.Response], Iterator[Any]]] = {
    "iter_lines": lambda response: response.iter_lines(),
    "iter_bytes": lambda response: response.iter_bytes(),
    "iter_text": lambda response: response.iter_text(),
}


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("way", OF_HTTPX)
def test_of_httpx(way: str, coding: str, h2c: bool) -> None:
    with _ours() as server, httpx.Client(transport=HTTPXTransport(h2c=h2c)) as client:
        server.coding = coding
        with client.stream("GET", server.url) as response:
            read_live(server, OF_HTTPX[way](response))


OF_URLLIB: dict[str, Callable[[Any], Iterator[Any]]] = {
    "iteration": lambda response: iter(response),
    "readline": lambda response: repeated(response.readline),
    "read1": lambda response: repeated(lambda: response.read1(1000)),
    "readinto1": lambda response: repeated(lambda: _into(response)),
    "text": lambda response: iter(io.TextIOWrapper(response, encoding="utf-8")),
}


def _into(response: Any) -> bytes:
    buffer = bytearray(1000)
    return bytes(buffer[: response.readinto1(buffer)])


@pytest.mark.parametrize("way", OF_URLLIB)
def test_of_urllib(way: str) -> None:
    with _ours() as server:
        opener = urllib.request.build_opener(HTTP2Handler(h2c=True))
        with opener.open(server.url, timeout=PATIENCE) as response:
            read_live(server, OF_URLLIB[way](response))


@pytest.mark.parametrize("place", ["stdout", "a pipe"])
def test_of_the_command_line(place: str, tmp_path: Any) -> None:
    with _ours() as server:
        arguments: list[object] = ["get", server.url]
        if place == "a pipe":
            os.mkfifo(tmp_path / "pipe")
            arguments += ["-o", tmp_path / "pipe"]
        process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, env=environment())
        assert process.stdout is not None
        with process.stdout, open(tmp_path / "pipe", "rb") if place == "a pipe" else process.stdout as output:
            read_live(server, iter(output))
        assert process.wait(60) == 0


def test_objects_of_json_line_by_line() -> None:
    with _ours() as server, Client(h2c=True) as client:
        server.pieces = lambda: (b'{"number": %d}\r\n' % number for number in range(3))  # type: ignore[method-assign]
        response = client.get(server.url, stream=True)
        assert [json.loads(line)["number"] for line in response.iter_lines()] == [0, 1, 2]
