"""The server that clients are compared on: over TLS it speaks HTTP/2 and HTTP/1.1, and so it does in cleartext.

Handlers run on the servers' threads.
"""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

import sync_h2
from support.tls.certificates import Certificate

TOGETHER_SECONDS = 20.0
"""How long one of several requests waits for the others: long enough where they come at once, and else in vain."""


@dataclass
class Peer:
    """Where the servers are, and what they have seen of a client."""

    url: str = ""
    plain: str = ""
    cafile: Path = Path()
    refused: int = 0
    together_seconds: float = TOGETHER_SECONDS
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _together: threading.Barrier = field(default_factory=lambda: threading.Barrier(3))

    def handle(self, stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        path = urllib.parse.urlsplit(headers.get(":path", "/")).path
        {
            "/version": self._version,
            "/trailers": self._trailers,
            "/hints": self._hints,
            "/push": self._push,
            "/together": self._come_together,
            "/come_together": self._come_together,
            "/refused": self._refuse_once,
            "/unprocessed": self._refuse_always,
            "/echo": self._echo,
            "/chat": self._chat,
        }[path](stream)

    def _version(self, stream: sync_h2.ServerStream) -> None:
        stream.read()
        stream.end(stream.http_version.encode())

    def _trailers(self, stream: sync_h2.ServerStream) -> None:
        stream.respond({"trailer": "x-end"}, wait_for_trailers=True)
        stream.write(b"body")
        stream.send_trailers({"x-end": "here"})

    def _hints(self, stream: sync_h2.ServerStream) -> None:
        stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
        stream.end(b"body")

    def _push(self, stream: sync_h2.ServerStream) -> None:
        if stream.push_allowed:
            with stream.push_stream({":path": "/style.css"}) as pushed:
                pushed.end(b"style")
        stream.end(b"body")

    def _come_together(self, stream: sync_h2.ServerStream) -> None:
        """Answers with the connection, once three requests are under way."""
        with contextlib.suppress(threading.BrokenBarrierError):
            self._together.wait(self.together_seconds)
        came = "apart" if self._together.broken else "together"
        stream.end(f"{came} {stream.session.socket.getpeername()[1]}".encode())

    def _refuse_once(self, stream: sync_h2.ServerStream) -> None:
        with self._lock:
            self.refused += 1
            first = self.refused == 1
        if first:
            stream.close(sync_h2.ErrorCode.REFUSED_STREAM)
        else:
            stream.read()
            stream.end(b"processed")

    def _refuse_always(self, stream: sync_h2.ServerStream) -> None:
        stream.close(sync_h2.ErrorCode.REFUSED_STREAM)

    def _echo(self, stream: sync_h2.ServerStream) -> None:
        """Each piece goes back before the next one has to come."""
        while piece := stream.read(65536):
            stream.write(piece)
        stream.end()

    def _chat(self, stream: sync_h2.ServerStream) -> None:
        if ":protocol" not in stream.request_headers:
            stream.respond({":status": 400}, end_stream=True)
            return
        stream.respond()
        protocol = Connection(ConnectionType.SERVER)
        while data := stream.read(65536):
            protocol.receive_data(data)
            for event in protocol.events():
                if isinstance(event, TextMessage):
                    stream.write(protocol.send(TextMessage(event.data.upper())))
                elif isinstance(event, CloseConnection):
                    stream.write(protocol.send(event.response()))
        stream.end()


@contextlib.contextmanager
def running_peer(certificate: Certificate) -> Iterator[Peer]:
    """Both servers, while the block lasts."""
    peer = Peer(cafile=certificate.cafile)
    options = {"allow_http1": True, "http1_early_hints": True, "settings": {"enable_connect_protocol": True}}
    tls = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    with (
        sync_h2.create_secure_server(peer.handle, **tls, **options) as secure,
        sync_h2.create_server(peer.handle, **options) as plain,
    ):
        peer.url = f"https://localhost:{secure.address[1]}"
        peer.plain = f"http://localhost:{plain.address[1]}"
        yield peer
