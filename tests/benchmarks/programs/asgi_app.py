"""The benchmarks' application for hypercorn. Answers are those of sync_h2_server.py; the file is held in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FILE = Path(os.environ["BENCHMARK_FILE"]).read_bytes()
PIECE = 65536
HEADERS = [(b"content-type", b"text/plain")]


async def body_size(receive: Any) -> int:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return size


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    start = {"type": "http.response.start", "status": 200, "headers": HEADERS}
    if scope["path"] == "/upload":
        body = b"%d" % await body_size(receive)
        await send(start)
    elif scope["path"] == "/file":
        body = b""
        await send({**start, "headers": [(b"content-length", b"%d" % len(FILE))]})
        for offset in range(0, len(FILE), PIECE):
            piece = FILE[offset : offset + PIECE]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    elif scope["path"] == "/open":
        body = b""
        await send(start)
        await send({"type": "http.response.body", "body": b"", "more_body": True})  # the headers go out with this
        await body_size(receive)
    else:
        body = b"hello world\n"
        await send(start)
    await send({"type": "http.response.body", "body": body})
