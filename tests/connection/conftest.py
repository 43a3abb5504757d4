"""Fixtures of the tests of sessions and streams: both ends of a connection in the test's hands."""

from __future__ import annotations

import queue
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import PATIENCE, background
from support.tls.certificates import Certificate
from sync_h2 import ClientStream, Headers, ServerStream, Stream
from sync_h2.testing import pair

__all__ = ["background", "keep_lock_rules", "lock_rules"]


class Ends:
    """A client's and a server's session over a socketpair. The server's handler hands its streams over to the test.

    Streams are held until the sessions have ended, so that a test may leave them unfinished; one that wants them to be
    forgotten clears `held`.
    """

    def __init__(self, **options: Any) -> None:
        self.held: list[Stream] = []
        self._accepted: queue.SimpleQueue[ServerStream] = queue.SimpleQueue()
        self.client, self.server = pair(self._take_over, **options)

    def _take_over(self, stream: ServerStream, headers: Headers) -> None:
        stream.detach()
        self._accepted.put(stream)

    def accept(self) -> ServerStream:
        """The server's end of the next stream."""
        stream = self._accepted.get(timeout=PATIENCE)
        self.held.append(stream)
        return stream

    def exchange(self, headers: dict[str, Any] | None = None, **options: Any) -> tuple[ClientStream, ServerStream]:
        """Both ends of a new stream; a POST that has not ended, unless told otherwise."""
        stream = self.client.request({":method": "POST"} if headers is None else headers, **options)
        self.held.append(stream)
        return stream, self.accept()

    def destroy(self) -> None:
        self.client.destroy()
        self.server.destroy()


@pytest.fixture
def open_ends() -> Iterator[Callable[..., Ends]]:
    """Opens `Ends` with options of `pair`; they are gone after the test."""
    opened: list[Ends] = []

    def make(**options: Any) -> Ends:
        ends = Ends(**options)
        opened.append(ends)
        return ends

    yield make
    for ends in opened:
        ends.destroy()


@pytest.fixture
def ends(open_ends: Callable[..., Ends]) -> Ends:
    return open_ends()


@pytest.fixture
def tls_contexts(certificate: Certificate) -> dict[str, Any]:
    """The options of `pair` for TLS."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate.certfile, certificate.keyfile)
    client = ssl.create_default_context(cafile=str(certificate.cafile))
    return {"tls": True, "client_context": client, "server_context": server}
