"""A SOCKS proxy (RFC 1928, RFC 1929), on a port of the loopback."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

from .connect_proxy import pump

ACCEPTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


class _Proxy(socketserver.StreamRequestHandler):
    asked: list[tuple[Any, ...]]
    credentials: tuple[bytes, bytes] | None
    answer: bytes

    def handle(self) -> None:
        methods = self.rfile.read(self.rfile.read(2)[1])
        method = 0 if self.credentials is None else 2
        if method not in methods:
            self.wfile.write(b"\x05\xff")
            return
        self.wfile.write(b"\x05" + bytes([method]))
        told = None
        if self.credentials is not None:
            self.rfile.read(1)
            told = self._text(), self._text()
            self.wfile.write(b"\x01\x00" if told == self.credentials else b"\x01\x01")
            if told != self.credentials:
                return
        kind = self.rfile.read(4)[3]
        host = (
            self._text().decode() if kind == 3 else str(ipaddress.ip_address(self.rfile.read(4 if kind == 1 else 16)))
        )
        port = int.from_bytes(self.rfile.read(2), "big")
        self.asked.append((host, port, told))
        self.wfile.write(self.answer)
        if self.answer[1]:
            return
        with socket.create_connection((host, port)) as target:
            back = threading.Thread(target=pump, args=(target, self.connection))
            back.start()
            pump(self.connection, target)
            back.join()

    def _text(self) -> bytes:
        return self.rfile.read(self.rfile.read(1)[0])


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False  # joined by server_close


@contextlib.contextmanager
def socks_proxy(
    credentials: tuple[bytes, bytes] | None = None, answer: bytes = ACCEPTED
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """The proxy's port, and what it is asked for: host, port, and user name and password."""
    asked: list[tuple[Any, ...]] = []
    handler = type("Proxy", (_Proxy,), {"asked": asked, "credentials": credentials, "answer": answer})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()
