"""ASGI applications, for hypercorn and for gunicorn's worker of ASGI."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from asked import application

__all__ = ["application"]


class Together:
    """Three requests that wait for each other."""

    def __init__(self) -> None:
        self.count = 0
        self.all_here = asyncio.Event()

    async def wait(self) -> bytes:
        self.count += 1
        if self.count == 3:
            self.all_here.set()
        try:
            await asyncio.wait_for(self.all_here.wait(), 8)
        except asyncio.TimeoutError:
            return b"apart"
        return b"together"


together = Together()


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await chat(receive, send)
        return
    if scope["type"] != "http":
        return
    path = scope["path"]
    extensions = scope.get("extensions") or {}
    if path == "/hints":
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    if path == "/push" and "http.response.push" in extensions:
        await send({"type": "http.response.push", "path": "/style.css", "headers": []})
    body = {
        "/asgi": b"called /asgi",
        "/process": str(os.getpid()).encode(),
        "/version": scope["http_version"].encode(),
        "/style.css": b"style",
        "/slow": b"finished",
    }.get(path, b"body")
    if path == "/come_together":
        body = await together.wait()
    if path == "/slow":
        await asyncio.sleep(1.5)
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    await send({**start, "trailers": path == "/trailers"})
    if path == "/echo":
        while True:
            event = await receive()
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": True})
            if not event.get("more_body"):
                break
        body = b""
    await send({"type": "http.response.body", "body": body})
    if path == "/trailers":
        await send({"type": "http.response.trailers", "headers": [(b"x-end", b"here")], "more_trailers": False})


async def chat(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"].upper()})
