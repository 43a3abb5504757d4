"""The trace and the figures of sessions with other people's servers: what their encoders send is told in full."""

from __future__ import annotations

from typing import Any

import pytest

import sync_h2
from support.threads.background import eventually


@pytest.mark.parametrize(("server", "prefix"), [("nghttpd", "/"), ("node", "/bytes/")])
def test_every_frame_is_told(server: str, prefix: str, nghttpd_origin: str, node_origin: str, ca_file: str) -> None:
    origin = nghttpd_origin if server == "nghttpd" else node_origin
    options: dict[str, Any] = {"cafile": ca_file} if origin.startswith("https:") else {}
    lines: list[str] = []
    # A table of our own size: what the peer's encoder makes of that is in its first block.
    settings = {"header_table_size": 256, "enable_push": False}
    with sync_h2.connect(origin, trace=lines.append, settings=settings, **options) as session:
        for number in range(30):
            stream = session.request(
                {":path": f"{prefix}16383", "x-number": number, "authorization": f"secret-{number}"}
            )
            assert len(stream.read()) == 16_383
            assert stream.stats.bytes_received == 16_383
        eventually(lambda: len(lines) == session.stats.frames_sent + session.stats.frames_received)
    sent = [line for line in lines if " sent HEADERS " in line]
    received = [line for line in lines if " received HEADERS " in line and ":status='200'" in line]
    assert [f"x-number='{number}'" in line for number, line in enumerate(sent)] == [True] * 30
    assert len(received) == 30
    text = "\n".join(lines)
    assert "unknown" not in text
    assert "malformed" not in text
    assert "secret" not in text
