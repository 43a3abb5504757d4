"""Connections that keep a server busy with next to nothing, in a process of their own. One argument, JSON: {port,
cafile, kind, connections, rate}; with `cafile` they are over TLS. A connection that the server ends is made anew. Where
`kind` is one of `SHORT`, so many are made a second that are at their end when the server gets to them. It writes a line
when it is under way.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import struct
import sys
import time
from typing import Any

from hpack import Encoder

from sync_h2.constants import PREFACE, FrameType

_LINGER_NOT = struct.pack("ii", 1, 0)
_WINDOW = 65_535
_PORTION = 65_536
_ACK = _END_STREAM = 1
_END_HEADERS = 4


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream_id) + payload


def _block(method: str, path: str) -> bytes:
    fields = ((":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path))
    return Encoder().encode([(name, value, True) for name, value in fields])  # leaves the table as it is


SETTINGS = frame(FrameType.SETTINGS, 0, 0)
OPENING = PREFACE + SETTINGS
UPLOAD = frame(FrameType.HEADERS, _END_HEADERS, 1, _block("POST", "/upload"))
_GET = _block("GET", "/")
_CANCEL = struct.pack(">I", 8)
_HTTP1_UPLOAD = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

REPEATED: dict[str, tuple[bytes, bytes]] = {
    "octets of DATA": (OPENING + UPLOAD, frame(FrameType.DATA, 0, 1, b"x")),
    "empty DATA": (OPENING + UPLOAD, frame(FrameType.DATA, 0, 1)),
    "PING": (OPENING, frame(FrameType.PING, 0, 0, bytes(8))),
    "SETTINGS": (OPENING, SETTINGS),
    "PRIORITY": (OPENING, frame(FrameType.PRIORITY, 0, 1, bytes(4) + b"\x0f")),
    "WINDOW_UPDATE": (OPENING + UPLOAD, frame(FrameType.WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))),
    "unknown frames": (OPENING, frame(0xBF, 0, 0)),
    "resets": (OPENING, b""),
    "HTTP/1.1 chunks": (_HTTP1_UPLOAD, b"1\r\nx\r\n"),
}
"""Kind -> what a connection begins with, and what it sends again and again."""

SHORT: dict[str, bytes] = {
    "preface and end": OPENING,
    "nothing and end": b"",
    "nothing and reset": b"",
    "garbage and end": b"\0garbage\r\n",
}
"""Kind -> all that a connection says."""


def _resets() -> bytes:
    return b"".join(
        frame(FrameType.HEADERS, _END_HEADERS | _END_STREAM, stream, _GET)
        + frame(FrameType.RST_STREAM, 0, stream, _CANCEL)
        for stream in range(1, 4001, 2)
    )


class Busy:
    """One connection, again and again."""

    def __init__(self, port: int, context: ssl.SSLContext | None, kind: str, selector: selectors.BaseSelector) -> None:
        self._port = port
        self._context = context
        self._kind = kind
        self._selector = selector
        self._first, unit = REPEATED[kind]
        self._unit = len(unit)
        self._repeated = memoryview(unit * (_PORTION // len(unit)) if unit else _resets())
        self._heeds_windows = kind == "octets of DATA"
        self._sock: Any = None
        self._connect()

    def _connect(self) -> None:
        if self._sock is not None:
            self._selector.unregister(self._sock)
            self._sock.close()
        sock: Any = socket.create_connection(("127.0.0.1", self._port), 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_hostname="localhost", do_handshake_on_connect=False)
        self._shaking = self._context is not None
        self._sock = sock
        self._to_send = memoryview(self._first)
        self._windows = {0: _WINDOW, 1: _WINDOW}
        self._received = bytearray()
        self._events = 0
        self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _watch(self, events: int) -> None:
        if not self._events:
            self._selector.register(self._sock, events, self)
        elif events != self._events:
            self._selector.modify(self._sock, events, self)
        self._events = events

    def act(self) -> None:
        try:
            if self._shaking:
                self._sock.do_handshake()
                self._shaking = False
            self._read()
            self._write()
        except ssl.SSLWantReadError:
            self._watch(selectors.EVENT_READ)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)
        except (OSError, EOFError):
            self._connect()

    def _read(self) -> None:
        while True:
            try:
                octets = self._sock.recv(_PORTION)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not octets:
                raise EOFError
            if self._heeds_windows:
                self._received += octets
                self._heed()

    def _heed(self) -> None:
        received = self._received
        while len(received) >= 9 and len(received) >= (end := 9 + int.from_bytes(received[:3], "big")):
            kind, stream = received[3], int.from_bytes(received[5:9], "big")
            if kind == FrameType.WINDOW_UPDATE and stream in self._windows:
                self._windows[stream] += int.from_bytes(received[9:13], "big")
            del received[:end]

    def _write(self) -> None:
        if not self._to_send:
            self._to_send = self._repeated
            if self._heeds_windows:
                count = min(*self._windows.values(), len(self._repeated) // self._unit)
                if not count:
                    self._watch(selectors.EVENT_READ)
                    return
                self._to_send = self._repeated[: count * self._unit]
                for stream in self._windows:
                    self._windows[stream] -= count
        self._to_send = self._to_send[self._sock.send(self._to_send) :]
        self._watch(selectors.EVENT_READ | selectors.EVENT_WRITE)


def keep_busy(port: int, context: ssl.SSLContext | None, kind: str, connections: int) -> None:
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            Busy(port, context, kind, selector)
        print("busy", flush=True)
        while True:
            for key, _ in selector.select():
                key.data.act()


def _hello(context: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def come_and_go(port: int, context: ssl.SSLContext | None, kind: str, rate: float) -> None:
    octets = SHORT[kind]
    if context is not None and octets:
        octets = _hello(context)
    print("busy", flush=True)
    began, made = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * rate)
        for _ in range(made, min(due, made + 100)):
            with socket.socket() as sock:
                sock.settimeout(60)
                with contextlib.suppress(OSError):
                    sock.connect(("127.0.0.1", port))
                    sock.sendall(octets)
                    if kind == "nothing and reset":
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        made = due  # those that could not be made in time are not made up for
        time.sleep(0.002)


def main() -> None:
    options = json.loads(sys.argv[1])
    context = None
    if options["cafile"]:
        context = ssl.create_default_context(cafile=options["cafile"])
        context.set_alpn_protocols(["http/1.1" if options["kind"].startswith("HTTP/1.1") else "h2"])
    if options["kind"] in SHORT:
        come_and_go(options["port"], context, options["kind"], options["rate"])
    else:
        keep_busy(options["port"], context, options["kind"], options["connections"])


if __name__ == "__main__":
    main()
