"""What `docs/how-to/websockets.md` says that browsers do: Chromium talks to the page's own server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.pages.blocks import blocks_of
from support.programs.chromium import page_in_chromium
from support.tls.certificates import Certificate

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "websockets.md"
PATIENCE = 60.0

# Its `load` event, after which it is looked at, waits for the image.
HTML = """<!DOCTYPE html>
<title>WebSocket</title>
<link rel="icon" href="data:,">
<pre id="told"></pre>
<img src="/held" alt="">
<script>
const tell = text => { document.getElementById("told").textContent += text + "; "; };
const socket = new WebSocket("wss://localhost:PORT/chat");
socket.onopen = () => { tell("open"); socket.send("hello"); };
socket.onmessage = event => { tell(event.data); socket.close(); };
socket.onerror = () => tell("error");
socket.onclose = event => { tell("closed " + event.wasClean); fetch("/release"); };
</script>
"""


class Server:
    """Serves the page, and WebSockets by the handler that stands in the documentation; `asked` are the WebSockets that
    were asked for, as method and version of HTTP.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        namespace: dict[str, Any] = {"__name__": "page"}
        python = [block.source for block in blocks_of(PAGE) if block.kind == "python"]
        exec(compile(python[0], str(PAGE), "exec"), namespace)
        exec(compile(python[1].rpartition("\n\n\n")[0], str(PAGE), "exec"), namespace)
        self.websockets = namespace["handler"]
        self.port = port
        self.release = threading.Event()
        self.asked: list[tuple[str, str]] = []

    def __call__(self, stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        path = headers[":path"]
        if path == "/":
            stream.respond({"content-type": "text/html"})
            stream.end(HTML.replace("PORT", str(self.port())).encode())
        elif path == "/chat":
            self.asked.append((headers[":method"], stream.http_version))
            self.websockets(stream, headers)
        else:
            if path == "/release":
                self.release.set()
            else:
                self.release.wait(PATIENCE)
            stream.respond({":status": 404}, end_stream=True)


@pytest.mark.parametrize(
    ("allowed", "elsewhere", "told", "asked"),
    [
        pytest.param(True, False, "open; HELLO; closed true; ", [("CONNECT", "2.0")], id="allowed"),
        pytest.param(False, False, "error; closed false; ", [("GET", "1.1")], id="not allowed"),
        pytest.param(True, True, "error; closed false; ", [("GET", "1.1")], id="to a server without a connection"),
    ],
)
def test_a_websocket(
    allowed: bool,
    elsewhere: bool,
    told: str,
    asked: list[tuple[str, str]],
    certificate: Certificate,
    tmp_path: Path,
) -> None:
    (tmp_path / "profile").mkdir()
    with contextlib.ExitStack() as ends:

        def serve() -> tuple[Server, int]:
            handler = Server(lambda: target_port)
            secure = sync_h2.create_secure_server(
                handler,
                certfile=certificate.certfile,
                keyfile=certificate.keyfile,
                settings={"enable_connect_protocol": allowed},
                allow_http1=True,
            )
            return handler, ends.enter_context(secure).address[1]

        target, port = serve()
        target_port = port
        if elsewhere:
            _, port = serve()
        html = page_in_chromium(f"https://localhost:{port}/", certificate.certificate_pem, tmp_path / "profile")
    assert f'<pre id="told">{told}</pre>' in html
    assert target.asked == asked
