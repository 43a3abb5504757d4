"""A proxy for HTTP/1.1's CONNECT, on a port of the loopback."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

ANSWER = b"HTTP/1.1 200 OK\r\nX-Proxy: yes\r\n\r\n"


class _Proxy(socketserver.StreamRequestHandler):
    asked: list[list[bytes]]
    answer: bytes
    waits: bool

    def handle(self) -> None:
        lines = list(iter(lambda: self.rfile.readline().strip(), b""))
        self.asked.append(lines)
        host, port = lines[0].split()[1].decode().rsplit(":", 1)
        if not self.answer.split()[1].startswith(b"2"):
            self.wfile.write(self.answer)
            return
        with socket.create_connection((host, int(port))) as target:
            first = self.answer + (target.recv(65536) if self.waits else b"")
            back = threading.Thread(target=pump, args=(target, self.connection, first))
            back.start()
            pump(self.connection, target)
            back.join()


def pump(source: socket.socket, destination: socket.socket, first: bytes = b"") -> None:
    """Hand on what comes, after `first`, until the end."""
    with contextlib.suppress(OSError):
        destination.sendall(first)
        while data := source.recv(65536):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False  # joined by server_close
    allow_reuse_address = True


@contextlib.contextmanager
def connect_proxy(answer: bytes = ANSWER, *, waits: bool = False) -> Iterator[tuple[int, list[list[bytes]]]]:
    """The proxy's port, and the lines of the requests that it gets. If it `waits`, its answer comes together with the
    target's first bytes.
    """
    asked: list[list[bytes]] = []
    handler = type("Proxy", (_Proxy,), {"asked": asked, "answer": answer, "waits": waits})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()
