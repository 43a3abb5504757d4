"""A server that knows HTTP/3, 2 and 1.1, and tells clients of the first with Alt-Svc: hypercorn with its extra `h3`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from support.programs.others import running_server
from support.tls.certificates import Certificate

APPLICATION = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["http_version"].encode()})
"""


@contextlib.contextmanager
def http3_server(certificate: Certificate, folder: Path) -> Iterator[str]:
    """Its URL; what it answers is the version that was spoken."""
    (folder / "application.py").write_text(APPLICATION)

    def command(port: int) -> list[str]:
        values = {
            "bind": f"localhost:{port}",
            "quic_bind": f"localhost:{port}",
            "certfile": str(certificate.certfile),
            "keyfile": str(certificate.keyfile),
            "lifespan": "off",
        }
        options = folder / "options.toml"
        options.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        return [sys.executable, "-m", "hypercorn", "--config", str(options), f"{folder}/application:app"]

    with running_server(command) as port:
        yield f"https://localhost:{port}/"
