"""The benchmarks' application for gunicorn. Answers are those of sync_h2_server.py, save for the file and /open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

PIECE = 65536


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = b"hello world\n"
    if environ["PATH_INFO"] == "/upload":
        size = 0
        while chunk := environ["wsgi.input"].read(PIECE):
            size += len(chunk)
        body = b"%d" % size
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
