"""The peers of the interop tests, each over h2c and over TLS, started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.octets import bodies
from support.programs import others
from support.tls.certificates import Certificate


@pytest.fixture(scope="session", params=["h2c", "tls"])
def server_certificate(request: pytest.FixtureRequest, certificate: Certificate) -> Certificate | None:
    """What the servers of a test use: each test that asks runs without TLS (None) and with it."""
    return certificate if request.param == "tls" else None


@pytest.fixture(scope="session")
def document_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What nghttpd serves: a pattern under each size's name, and two small files."""
    folder = tmp_path_factory.mktemp("document_root")
    for size in bodies.SIZES:
        bodies.write_pattern(folder / str(size), size)
    (folder / "index.html").write_text("index")
    (folder / "style.css").write_text("style")
    yield folder
    for size in bodies.SIZES:
        (folder / str(size)).unlink()  # pytest keeps the folders of the last runs


@pytest.fixture(scope="session")
def upload_files(document_root: Path) -> dict[int, str]:
    """Size -> a file to upload."""
    return {size: str(document_root / str(size)) for size in bodies.SIZES}


def origin(port: int, certificate: Certificate | None) -> str:
    return f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def node_origin(server_certificate: Certificate | None) -> Iterator[str]:
    """Where tests/interop/node/server.js answers."""
    with others.node_server(server_certificate) as port:
        yield origin(port, server_certificate)


@pytest.fixture(scope="session")
def nghttpd_origin(server_certificate: Certificate | None, document_root: Path) -> Iterator[str]:
    """Where nghttpd answers: /SIZE is a pattern; /index.html pushes /style.css; every body is followed by a trailer."""
    options = ["--push=/index.html=/style.css", "--trailer=x-trailer: from nghttpd"]
    with others.nghttpd(document_root, server_certificate, *options) as port:
        yield origin(port, server_certificate)
