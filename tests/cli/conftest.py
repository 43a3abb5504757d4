"""Fixtures of the tests of the command line: a folder to serve, and a server that serves it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.octets import bodies
from support.programs.command_line import Running, forked_commands, serving
from support.tls.certificates import Certificate

__all__ = ["forked_commands"]

LARGE = 3_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a page, a compressed text, a large file, and names as people have them."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "page.html").write_text("<h1>Hello</h1>")
    (folder / "text.txt").write_text("text " * 1000)
    (folder / "text.txt.gz").write_bytes(gzip.compress(b"text " * 1000))
    (folder / "caf\xe9 \u2615.txt").write_text("coffee")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.html").write_text("index")
    bodies.write_pattern(folder / "large", LARGE)
    yield folder
    (folder / "large").unlink()  # pytest keeps the folders of the last runs


@pytest.fixture(scope="module")
def server(site: Path, certificate: Certificate) -> Iterator[tuple[Running, str]]:
    """`sync-h2 serve` over TLS, for all tests of a module; and its URL."""
    with serving(site, "--cert", certificate.certfile, "--key", certificate.keyfile) as running:
        yield running


@pytest.fixture
def url(server: tuple[Running, str]) -> str:
    return server[1]


@pytest.fixture(scope="module")
def plain_url(site: Path) -> Iterator[str]:
    """The same in cleartext."""
    with serving(site, "--h2c", "--quiet") as (_, url):
        yield url
