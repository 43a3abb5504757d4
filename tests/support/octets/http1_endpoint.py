"""The protocol of HTTP/1 without a connection: octets in, events and octets out."""

from __future__ import annotations

from typing import Any

from sync_h2.http1.protocol import HTTP1Protocol
from sync_h2.protocol.fields.headers import encode_response
from sync_h2.protocol.limits import Limits


class Endpoint:
    """A protocol whose octets and events the test sees."""

    def __init__(self, window: int = 1 << 20, **limits: Any) -> None:
        self.sent = b""
        self.windows = 0
        self.lines: list[str] = []
        self.protocol = HTTP1Protocol(
            limits=Limits.for_server(**limits),
            scheme="http",
            authority=lambda: "127.0.0.1:80",
            emit=self._emit,
            stream_window=window,
            on_window=self._window_opened,
            note=self.lines.append,
        )

    def _emit(self, urgent: bool, buffers: tuple[bytes | memoryview, ...]) -> None:
        assert not urgent
        self.sent += b"".join(buffers)

    def _window_opened(self) -> None:
        self.windows += 1

    def events(self) -> list[Any]:
        return list(iter(self.protocol.next_event, None))

    def receive(self, octets: bytes, step: int = 1 << 30) -> list[Any]:
        """All events of these octets, which come in pieces of `step`."""
        found = []
        for start in range(0, len(octets), step):
            self.feed(octets[start : start + step])
            found += self.events()
        return found

    def feed(self, octets: bytes) -> None:
        """These octets arrive, and nobody looks yet."""
        while octets:
            view = self.protocol.frames.writable()
            count = min(len(view), len(octets))
            view[:count] = octets[:count]
            self.protocol.frames.received(count)
            octets = octets[count:]

    def take(self) -> bytes:
        sent, self.sent = self.sent, b""
        return sent

    def respond(self, stream_id: int = 1, headers: Any = None, end_stream: bool = False) -> None:
        self.protocol.send_response(stream_id, encode_response(headers), end_stream)
