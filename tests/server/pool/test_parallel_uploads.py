"""Uploads that wait for a handler do not stop those that have one."""

from __future__ import annotations

from typing import Any

from support.threads.background import Background, background
from sync_h2 import connect, create_server

__all__ = ["background"]

STREAMS, SIZE = 100, 400_000


def test_as_many_uploads_as_are_allowed_with_one_handler_at_a_time(background: Background) -> None:
    """All of them send what their windows let them, and none but one is read: the connection's credit must go on."""

    def count(stream: Any, headers: Any) -> None:
        stream.end(str(sum(len(chunk) for chunk in stream)).encode())

    with create_server(count, max_workers=4) as server, connect(server.url) as session:
        streams = [session.request({":method": "POST"}) for _ in range(STREAMS)]
        uploads = [background(stream.end, bytes(SIZE), timeout=20) for stream in streams]
        for stream, upload in zip(streams, uploads, strict=True):
            upload.result(20)
            assert stream.read(timeout=20) == str(SIZE).encode()
