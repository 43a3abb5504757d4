"""What servers are asked, by clients of this package: one function a row. Each gives what it found."""

from __future__ import annotations

import http.client
import math
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

import sync_h2

PATIENCE = 40.0


@dataclass(frozen=True)
class Served:
    """One server, over TLS or not."""

    port: int
    cafile: str
    tls: bool
    terminate: Callable[[], None]

    def connect(self) -> sync_h2.ClientSession:
        if self.tls:
            return sync_h2.connect(f"https://localhost:{self.port}", cafile=self.cafile, timeout=PATIENCE)
        return sync_h2.connect(f"http://localhost:{self.port}", timeout=PATIENCE)


def get(session: sync_h2.ClientSession, path: str) -> sync_h2.ClientStream:
    return session.request({":path": path})


def http2(server: Served) -> Any:
    """What the server calls the version differs, so that the client's word counts."""
    try:
        with server.connect() as session:
            stream = get(session, "/version")
            stream.read(timeout=PATIENCE)
            return session.alpn_protocol
    except sync_h2.HTTP2Error:
        return None


def http1(server: Served) -> Any:
    if server.tls:
        context = ssl.create_default_context(cafile=server.cafile)
        context.set_alpn_protocols(["http/1.1"])
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection("localhost", server.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/version")
        response = connection.getresponse()
        response.read()
        return response.status
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()


def both(server: Served) -> Any:
    return [http2(server), http1(server)]


def wsgi(server: Served) -> Any:
    with server.connect() as session:
        return get(session, "/wsgi").read(timeout=PATIENCE).decode()


def asgi(server: Served) -> Any:
    with server.connect() as session:
        return get(session, "/asgi").read(timeout=PATIENCE).decode()


def together(server: Served) -> Any:
    with server.connect() as session, ThreadPoolExecutor(3) as threads:
        read = lambda _: get(session, "/come_together").read(timeout=PATIENCE)  # noqa: E731
        return sorted({answer.split()[0].decode() for answer in threads.map(read, range(3))})


wsgi_together = together


def processes(server: Served) -> Any:
    """Whether connections are served by more than one process: each gets one by chance."""
    seen: set[bytes] = set()
    end = time.monotonic() + PATIENCE
    while len(seen) < 2 and time.monotonic() < end:
        with server.connect() as session:
            seen.add(get(session, "/process").read(timeout=PATIENCE))
    return len(seen) > 1


def push(server: Served) -> Any:
    with server.connect() as session:
        stream = get(session, "/push")
        pushed = [one.read(timeout=PATIENCE).decode() for one in stream.pushes()]
        stream.read(timeout=PATIENCE)
    return pushed


def trailers(server: Served) -> Any:
    with server.connect() as session:
        stream = session.request({":path": "/trailers", "te": "trailers"})
        stream.read(timeout=PATIENCE)
        return dict(stream.wait_trailers(timeout=PATIENCE))


def hints(server: Served) -> Any:
    with server.connect() as session:
        stream = get(session, "/hints")
        stream.read(timeout=PATIENCE)
        return [headers[":status"] for headers in stream.informational]


def both_ways(server: Served) -> Any:
    """Whether the first half comes back before the second is sent."""
    with server.connect() as session:
        stream = session.request({":method": "POST", ":path": "/echo"})
        stream.write(b"one")
        try:
            found = stream.read(3, timeout=PATIENCE) == b"one"
        except sync_h2.Timeout:
            found = False
        stream.end(b"two")
        stream.read(timeout=PATIENCE)
    return found


def websockets(server: Served) -> Any:
    with server.connect() as session:
        first = threading.Event()
        session.once("remote_settings", lambda settings: first.set())
        first.wait(PATIENCE)
        if not session.remote_settings.enable_connect_protocol:
            return None
        stream = session.request(
            {":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13"}
        )
        stream.wait_response(timeout=PATIENCE)
        protocol = Connection(ConnectionType.CLIENT)
        stream.write(protocol.send(TextMessage("hello")))
        protocol.receive_data(stream.read(100, timeout=PATIENCE))
        return [event.data for event in protocol.events()]


def drained(server: Served) -> Any:
    """What comes of a request that is under way as TERM comes."""
    with server.connect() as session:
        stream = get(session, "/slow")
        session.ping(timeout=PATIENCE)
        server.terminate()
        try:
            return stream.read(timeout=math.inf).decode()
        except sync_h2.HTTP2Error:
            return None
