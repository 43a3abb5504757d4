"""A client of raw frames for what h2load does not do: connections and streams that stay open, and requests whose
header fields differ each time. It runs on the caller's thread.
"""

from __future__ import annotations

import random
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hpack import Encoder

from sync_h2.constants import PREFACE, FrameType, SettingId

PATIENCE = 20.0
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1
_WINDOW = 2**24


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream_id) + payload


class RawClient:
    """A connection that never reads a body, only counts. Cleartext, or TLS that trusts what is in `cafile`."""

    def __init__(self, port: int, cafile: Path | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if cafile is not None:
            context = ssl.create_default_context(cafile=str(cafile))
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.sent = 0
        """Requests so far."""
        self.done = 0
        """Responses that have ended."""
        self.responded = 0
        """Responses whose headers came."""
        self._received = b""
        self._encoder = Encoder()
        settings = struct.pack(">HI", SettingId.INITIAL_WINDOW_SIZE, _WINDOW)
        window = struct.pack(">I", _WINDOW)
        self.sock.sendall(
            PREFACE + frame(FrameType.SETTINGS, 0, 0, settings) + frame(FrameType.WINDOW_UPDATE, 0, 0, window)
        )

    def request(self, method: str, path: str) -> None:
        """Send a GET, or the head of a request whose body stays open."""
        block = self._encoder.encode(
            [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)]
        )
        self.send_blocks([block], end_stream=method == "GET")

    def send_blocks(self, blocks: Sequence[bytes], *, end_stream: bool = True) -> None:
        """Send a request for each header block."""
        flags = _END_HEADERS | (_END_STREAM if end_stream else 0)
        first = 2 * self.sent + 1
        self.sent += len(blocks)
        self.sock.sendall(
            b"".join(frame(FrameType.HEADERS, flags, first + 2 * n, block) for n, block in enumerate(blocks))
        )

    def receive(self) -> None:
        """Wait for octets, and count what they say."""
        octets = self.sock.recv(262_144)
        if not octets:
            raise RuntimeError("the server closed the connection")
        received = self._received + octets
        place = 0
        while len(received) >= place + 9:
            length = int.from_bytes(received[place : place + 3], "big")
            if len(received) < place + 9 + length:
                break
            kind, flags = received[place + 3], received[place + 4]
            if kind == FrameType.HEADERS:
                self.responded += 1
                self.done += flags & _END_STREAM
            elif kind == FrameType.DATA:
                self.done += flags & _END_STREAM
            elif kind == FrameType.SETTINGS and not flags & _ACK:
                self.sock.sendall(frame(FrameType.SETTINGS, _ACK, 0))
            elif kind == FrameType.PING and not flags & _ACK:
                self.sock.sendall(frame(FrameType.PING, _ACK, 0, received[place + 9 : place + 17]))
            elif kind in (FrameType.RST_STREAM, FrameType.GOAWAY):
                code = received[place + 9 : place + 9 + length][-4:]
                raise RuntimeError(f"the server refuses: frame {kind}, {code!r}")
            place += 9 + length
        self._received = received[place:]

    def get(self) -> None:
        """A request for 12 bytes and its response."""
        self.request("GET", "/")
        while self.done < self.sent:
            self.receive()

    def open_streams(self, count: int) -> None:
        """So many requests whose response has begun and whose body is still to come."""
        for _ in range(count):
            self.request("POST", "/open")
        while self.responded < self.sent:
            self.receive()

    def close(self) -> None:
        self.sock.close()


def exchange(port: int, blocks: Sequence[bytes], connections: int, at_once: int) -> float:
    """Send all of the blocks on each connection, so many requests at a time; returns the seconds it took."""
    clients = [RawClient(port) for _ in range(connections)]
    try:
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.sock, selectors.EVENT_READ, client)
            started = time.perf_counter()
            for client in clients:
                client.send_blocks(blocks[:at_once])
            left = len(clients)
            while left:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise RuntimeError("the server does not answer")
                for key, _ in ready:
                    client = key.data
                    client.receive()
                    if client.sent < len(blocks):
                        client.send_blocks(blocks[client.sent : client.done + at_once])
                    elif client.done == client.sent:
                        selector.unregister(client.sock)
                        left -= 1
            return time.perf_counter() - started
    finally:
        for client in clients:
            client.close()


def varied_blocks(count: int) -> list[bytes]:
    """Header blocks of one connection's requests for `/`, of 20 fields each: about half of them differ every time, the
    others come from a few values, as they do behind a proxy that serves many users.
    """
    chance = random.Random(20)
    encoder = Encoder()

    def token(length: int) -> str:
        return f"{chance.getrandbits(4 * length):0{length}x}"

    def fields() -> Iterator[tuple[str, str]]:
        yield from ((":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/"))
        yield "user-agent", f"Mozilla/5.0 (X11; Linux x86_64; rv:{chance.randrange(100, 110)}.0) Gecko/20100101"
        yield "accept", chance.choice(("*/*", "text/html,application/xhtml+xml", "image/avif,image/webp"))
        yield "accept-encoding", chance.choice(("gzip, deflate, br", "gzip, deflate, br, zstd"))
        yield "accept-language", f"en-GB,en;q=0.{chance.randrange(1, 10)}"
        yield "cache-control", chance.choice(("no-cache", "max-age=0"))
        yield "cookie", f"session={token(32)}"
        yield "cookie", f"seen={token(16)}"
        yield "referer", f"https://localhost/articles/{chance.randrange(100_000)}"
        yield "x-request-id", token(32)
        yield "traceparent", f"00-{token(32)}-{token(16)}-01"
        yield "tracestate", f"vendor={token(16)}"
        yield "x-forwarded-for", ".".join(str(chance.randrange(256)) for _ in range(4))
        yield "x-forwarded-proto", "https"
        yield "x-real-ip", ".".join(str(chance.randrange(256)) for _ in range(4))
        yield "if-none-match", f'"{token(24)}"'
        yield "if-modified-since", f"Mon, 02 Jun 2025 10:{chance.randrange(60):02}:{chance.randrange(60):02} GMT"
        yield "sec-fetch-dest", chance.choice(("document", "image", "script"))
        yield "sec-fetch-mode", chance.choice(("navigate", "no-cors", "cors"))
        yield "priority", f"u={chance.randrange(8)}"
        yield "authorization", f"Bearer {token(48)}"

    return [encoder.encode(list(fields())) for _ in range(count)]
