"""What HAProxy hands on of HTTP/2, with the edge of docs/deployment/haproxy.md in front of a handler."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import sync_h2
from support.pages.blocks import blocks_of
from support.programs.others import program, running_server
from support.threads.background import PATIENCE
from support.tls.certificates import Certificate

PAGE = Path(__file__).parents[2] / "docs" / "deployment" / "haproxy.md"


def test_hints_and_trailers_pass_and_pushes_do_not(certificate: Certificate, tmp_path: Path) -> None:
    push_allowed = []

    def handler(stream: Any, headers: Any) -> None:
        push_allowed.append(stream.push_allowed)
        stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
        stream.respond(wait_for_trailers=True)
        stream.write(b"body")
        stream.send_trailers({"x-end": "here"})

    [configuration] = [block.source for block in blocks_of(PAGE) if block.name == "haproxy.cfg"]
    # Its checks would take the hints for their answer, as the page says.
    configuration = re.sub(r" check inter 1s|.*httpchk.*\n|.*http-check.*\n|.*server two.*\n", "", configuration)
    (tmp_path / "edge.pem").write_bytes(certificate.certificate_pem + certificate.key_pem)
    with sync_h2.create_server(handler) as server:

        def command(port: int) -> list[str]:
            replacements = {"edge.pem": str(tmp_path / "edge.pem"), ":8443": f":{port}"}
            replacements["127.0.0.1:9000"] = f"127.0.0.1:{server.address[1]}"
            text = configuration
            for name, value in replacements.items():
                text = text.replace(name, value)
            (tmp_path / "haproxy.cfg").write_text(text)
            return [program("haproxy"), "-db", "-f", str(tmp_path / "haproxy.cfg")]

        with (
            running_server(command) as port,
            sync_h2.connect(f"https://localhost:{port}", cafile=str(certificate.cafile)) as session,
        ):
            stream = session.request()
            assert stream.read(timeout=PATIENCE) == b"body"
            assert stream.wait_trailers(timeout=PATIENCE)["x-end"] == "here"
            assert [headers["link"] for headers in stream.informational] == ["</style.css>; rel=preload"]
    assert push_allowed == [False]
