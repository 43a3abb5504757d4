"""README.md is short, and its GET, which needs the internet, gets what a server on this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

import sync_h2
from support.pages.blocks import blocks_of
from support.tls.certificates import Certificate

README = Path(__file__).parent.parent.parent / "README.md"


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_get(certificate: Certificate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [block for block in blocks_of(README) if block.kind == "python" and block.not_run]
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.cafile))
    with sync_h2.create_secure_server(
        lambda stream, headers: stream.end(b"hello"), certfile=certificate.certfile, keyfile=certificate.keyfile
    ) as server:
        source = block.source.replace("https://pypi.org", f"https://localhost:{server.address[1]}")
        assert source != block.source
        exec(compile(source, "README.md", "exec", dont_inherit=True), {})
    assert capsys.readouterr().out == "200 HTTP/2 5\n"
