"""A client of HTTP/1 that sends what a test tells it, octet by octet; the responses are read by `http.client`."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sync_h2 import HTTP2Error, ServerSession, serve_socket

from ..threads.background import PATIENCE, eventually
from .sockets import tcp_pair

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *fields, "", ""]).encode("latin-1")


def post(path: str, body: bytes, *fields: str, version: str = "1.1") -> bytes:
    """A request with its body, whose length is told."""
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST", version=version) + body


def chunked(path: str, *chunks: bytes, trailers: bytes = b"") -> bytes:
    """A request with its body in chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return get(path, "Transfer-Encoding: chunked", method="POST") + body + b"0\r\n" + trailers + b"\r\n"


class Reader:
    """A handler that reads all of a body, and keeps what went wrong with that."""

    def __init__(self) -> None:
        self.errors: list[HTTP2Error] = []

    def __call__(self, stream: Any, headers: Any) -> None:
        try:
            stream.read()
        except HTTP2Error as error:
            self.errors.append(error)

    def error(self) -> HTTP2Error:
        """What went wrong; waits for it."""
        eventually(lambda: self.errors)
        return self.errors[0]


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Shared(io.BufferedReader):
    """The connection's file, which `http.client` would close behind a response."""

    def close(self) -> None:
        pass


class RawHTTP1Client:
    """The client's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self._file = _Shared(socket.SocketIO(sock, "r"))

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` reads from."""
        return self._file

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def response(self, method: str = "GET") -> Response:
        """The next response, whole; raises what `http.client` raises."""
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return Response(response.status, response.headers, response.read())

    def ask(self, octets: bytes, method: str = "GET") -> Response:
        self.send(octets)
        return self.response(method)

    def read(self, count: int) -> bytes:
        """So many octets as they came."""
        return self._file.read(count)

    def read_line(self) -> bytes:
        """A line of a head, with its end."""
        return self._file.readline()

    def rest(self) -> bytes:
        """All that comes before the end of the connection; ConnectionResetError if that is a reset."""
        return self._file.read()

    def end(self) -> None:
        """Send nothing more."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        super(_Shared, self._file).close()
        self.sock.close()


@contextlib.contextmanager
def http1_session(
    handler: Any, opening: bytes, *, receive_buffer: int | None = None, **options: Any
) -> Iterator[tuple[ServerSession, RawHTTP1Client]]:
    """A session of `serve_socket`, whose options are `options`, and its client, which has sent `opening`. With
    `receive_buffer`, the kernel holds little more than so many bytes for the client.
    """
    near, far = tcp_pair(receive_buffer)
    client = RawHTTP1Client(far)
    client.send(opening)
    try:
        session = serve_socket(near, handler, allow_http1=True, **options)
        try:
            yield session, client
        finally:
            session.destroy()
    finally:
        client.close()


@contextlib.contextmanager
def dial(address: Any) -> Iterator[RawHTTP1Client]:
    """A client of the server that listens on `address`."""
    client = RawHTTP1Client(socket.create_connection(address))
    try:
        yield client
    finally:
        client.close()
