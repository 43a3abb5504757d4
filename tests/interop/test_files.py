"""Files that our server sends to other people's clients, over h2c and TLS; ranges, and examples/files.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import sync_h2
from support.octets import bodies
from support.programs.others import curl, nghttp, node_client
from support.tls.certificates import Certificate
from sync_h2 import Headers, ServerStream

SIZE = 3_000_000
SPANS = [(0, SIZE), (16_384, 65_537), (SIZE - 1, 1), (5, 0)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "pattern"
    path.write_bytes(b"".join(bodies.pattern(SIZE)))
    return path


@pytest.fixture
def origin(server_certificate: Certificate | None, file: Path) -> Iterator[str]:
    """A server that answers `/OFFSET/LENGTH` with that part of the file, by its path and by a descriptor in turn."""

    def handler(stream: ServerStream, headers: Headers) -> None:
        _, kind, offset, length = headers[":path"].split("/")
        if kind == "file":
            stream.respond_with_file(file, offset=int(offset), length=int(length))
        else:
            with file.open("rb") as opened:
                stream.respond_with_fd(opened, offset=int(offset), length=int(length))

    if server_certificate is None:
        with sync_h2.create_server(handler) as server:
            yield f"http://127.0.0.1:{server.address[1]}"
    else:
        files = {"certfile": server_certificate.certfile, "keyfile": server_certificate.keyfile}
        with sync_h2.create_secure_server(handler, **files) as server:
            yield f"https://localhost:{server.address[1]}"


def part(file: Path, offset: int, length: int) -> bytes:
    return file.read_bytes()[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), SPANS)
@pytest.mark.parametrize("kind", ["file", "fd"])
def test_node_downloads(origin, ca_file, file, kind, offset, length):
    paths = [f"/{kind}/{offset}/{length}"] * 3
    result = node_client(origin, [{"headers": {":path": path}} for path in paths], ca_file, parallel=3)
    expected = bodies.digest([part(file, offset, length)])
    for response in result["responses"]:
        assert (response["length"], response["sha256"]) == expected
        assert response["rstCode"] == 0
        assert response["headers"].get("content-length") == (str(length) if kind == "file" else None)


@pytest.mark.parametrize(("offset", "length"), SPANS)
@pytest.mark.parametrize("kind", ["file", "fd"])
def test_curl_downloads(origin, ca_file, file, kind, offset, length):
    downloaded = curl(f"{origin}/{kind}/{offset}/{length}", cafile=ca_file)
    assert downloaded.status == 200
    assert downloaded.body == bodies.digest([part(file, offset, length)])


def test_nghttp_downloads(origin, file):
    assert nghttp(f"{origin}/file/0/{SIZE}") == file.read_bytes()
