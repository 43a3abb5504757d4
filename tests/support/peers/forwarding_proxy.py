"""A proxy for `http://`, on a port of the loopback."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def forwarding_proxy() -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Where it is, and what it was told; from /1 it redirects by itself."""
    asked: list[tuple[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get_all("proxy-authorization", [])))
            self.send_response(302 if self.path.endswith("/1") else 200)
            self.send_header("location", "http://b.example/2")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()
