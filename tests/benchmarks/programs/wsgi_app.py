"""The benchmarks' application for gunicorn. Answers are those of sync_h2_server.py, as far as WSGI has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PIECE = 65536
ZEROS = bytes(PIECE)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = b"hello world\n"
    if environ["PATH_INFO"] == "/upload":
        size = 0
        while chunk := environ["wsgi.input"].read(PIECE):
            size += len(chunk)
        body = b"%d" % size
    if environ["PATH_INFO"].startswith("/big/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        count = int(environ["PATH_INFO"][5:])
        return (ZEROS[: count - start] for start in range(0, count, PIECE))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
