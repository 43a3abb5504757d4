"""`sync-h2 get` with curl's habits: redirects with -L, compressed bodies, and the rest of files with -C -."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotlicffi
import pytest

import sync_h2
from support.programs.command_line import get, run
from sync_h2 import ErrorCode, Headers, ServerStream


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server with a handler, and gives its URL."""
    servers: list[sync_h2.ThreadingServer] = []

    def start(handler: Any) -> str:
        server = sync_h2.create_server(handler)
        server.start()
        servers.append(server)
        return server.url

    yield start
    for server in servers:
        server.close()


def failure(*arguments: object, **options: Any) -> tuple[int, str]:
    finished = run("get", *arguments, **options)
    (line,) = finished.stderr.decode().splitlines()
    return finished.returncode, line.removeprefix("sync-h2: ")


# -- redirects


def told(stream: ServerStream, headers: Headers) -> None:
    path = headers[":path"]
    if path.startswith("/to/"):
        status, _, location = path[4:].partition("/")
        stream.respond({":status": status, "location": location.encode().decode("latin-1")})
        stream.end(b"moved")
    else:
        stream.end(json.dumps([headers.pairs(), stream.read().decode()]).encode())


def asked(output: bytes) -> tuple[dict[str, str], str]:
    pairs, body = json.loads(output)
    return dict(pairs), body


@pytest.mark.parametrize(
    ("status", "arguments", "method", "body"),
    [
        (301, (), "GET", ""),
        (302, ("-d", "a"), "GET", ""),
        (303, ("-d", "a", "-X", "PUT"), "GET", ""),
        (307, ("-d", "a"), "POST", "a"),
        (308, ("-d", "a", "-X", "PUT"), "PUT", "a"),
    ],
)
def test_redirects_are_followed(serve: Callable[..., str], status: int, arguments: Any, method: str, body: str) -> None:
    url = serve(told)
    fields, sent = asked(get("-L", f"{url}/to/{status}//there?a=b", *arguments))
    assert (fields[":method"], fields[":path"], sent) == (method, "/there?a=b", body)
    assert ("content-type" in fields) == bool(body)


def test_without_the_option_they_are_not(serve: Callable[..., str]) -> None:
    assert get(f"{serve(told)}/to/302//there") == b"moved"


def test_locations_of_all_kinds(serve: Callable[..., str]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        locations = {"/empty": "", "/utf8": "/caf\xe9".encode().decode("latin-1"), "/latin": "/caf\xe9"}
        if headers[":path"] in locations:
            stream.respond({":status": 302, "location": locations[headers[":path"]]})
            stream.end(b"moved")
        else:
            stream.end(headers[":path"].encode())

    url = serve(handler)
    assert get("-L", f"{url}/empty") == b"moved"
    assert get("-L", f"{url}/utf8") == get("-L", f"{url}/latin") == b"/caf%C3%A9"
    url = serve(told)
    assert asked(get("-L", f"{url}/a/b"))[0][":path"] == "/a/b"
    for location in ("ftp://x/", "http://[", "http://localhost:99999/"):
        status, line = failure("-L", f"{url}/to/302/{location}")
        assert (status, "no URL" in line) == (2, True)


def test_credentials_stay_at_their_origin(serve: Callable[..., str]) -> None:
    url, other = serve(told), serve(told)
    given = ("-H", "Authorization: Bearer x", "-H", "Cookie: a=b", "-H", "X-Own: 1", "-H", "Host: name.example")
    fields, _ = asked(get("-L", f"{url}/to/302//there", *given))
    assert (fields["authorization"], fields["cookie"], fields[":authority"]) == ("Bearer x", "a=b", "name.example")
    fields, _ = asked(get("-L", f"{url}/to/302/{other}/there", *given))
    assert (fields["x-own"], fields[":authority"]) == ("1", other.removeprefix("http://"))
    assert {"authorization", "cookie"}.isdisjoint(fields)


def test_redirects_without_an_end(serve: Callable[..., str]) -> None:
    count = iter(range(1000))

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond({":status": 302, "location": f"/{next(count)}"}, end_stream=True)

    status, line = failure("-L", serve(handler))
    assert (status, line.endswith("/49: more than 50 redirects")) == (47, True)


def test_files_are_called_as_was_asked_and_heads_are_all_shown(serve: Callable[..., str], tmp_path: Path) -> None:
    url = serve(told)
    get("-L", "-O", f"{url}/to/302//there", cwd=tmp_path)
    assert os.listdir(tmp_path) == ["there"]
    heads = get("-L", "-i", f"{url}/to/302//there").decode().split("\r\n\r\n")
    assert [head.split("\r\n")[0] for head in heads[:-1]] == ["HTTP/2 302", "HTTP/2 200"]


# -- codings


def compressing(stream: ServerStream, headers: Headers) -> None:
    asked_for = headers.get("accept-encoding", "")
    coding = "br" if headers[":path"] == "/br" else "gzip"
    if coding not in asked_for:
        stream.end(b"not asked for")
        return
    data = (brotlicffi.compress if coding == "br" else gzip.compress)(b"content " * 10_000)
    stream.respond({"content-encoding": coding, "content-length": len(data)})
    if headers[":method"] == "HEAD":
        stream.end()
    else:
        stream.end(data[:-3] if headers[":path"] == "/cut" else data)


def test_compressed_bodies_are_asked_for_and_decoded(serve: Callable[..., str], tmp_path: Path) -> None:
    url = serve(compressing)
    assert get(f"{url}/gzip") == get(f"{url}/br") == b"content " * 10_000
    get("-o", "file", f"{url}/gzip", cwd=tmp_path)
    assert (tmp_path / "file").read_bytes() == b"content " * 10_000
    assert get(f"{url}/gzip", "-X", "HEAD") == b""


@pytest.mark.parametrize("arguments", [("--raw",), ("-H", "accept-encoding:"), ("-H", "Range: bytes=1-")])
def test_they_are_not_where_the_user_says_otherwise(serve: Callable[..., str], arguments: Any) -> None:
    assert get(serve(compressing), *arguments) == b"not asked for"


def test_a_coding_that_the_user_asks_for_is_left_on(serve: Callable[..., str]) -> None:
    data = get(serve(compressing), "-H", "Accept-Encoding: gzip")
    assert gzip.decompress(data) == b"content " * 10_000


def test_a_body_that_does_not_match_its_coding(serve: Callable[..., str]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond({"content-encoding": "gzip"})
        stream.end(b"no gzip")

    status, line = failure(serve(handler))
    assert (status, "content-encoding: gzip" in line) == (61, True)


# -- the rest of a file

CONTENT = bytes(range(256)) * 400


class Partly:
    """Serves ranges of CONTENT; `breaks_off` cuts answers after so many octets."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.breaks_off: int | None = None
        self.ranges = True

    def __call__(self, stream: ServerStream, headers: Headers) -> None:
        wanted = headers.get("range")
        self.asked.append(wanted)
        assert "accept-encoding" not in headers
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(CONTENT):
            stream.respond({":status": 416, "content-range": f"bytes */{len(CONTENT)}"})
            stream.end(b"no such range")
            return
        rest = CONTENT[start:]
        ranged = {":status": 206, "content-range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}
        stream.respond({**ranged, "content-length": len(rest)})
        if self.breaks_off is None:
            stream.end(rest)
        else:
            stream.write(rest[: self.breaks_off])
            stream.close(ErrorCode.INTERNAL_ERROR)


def test_what_a_file_lacks_is_asked_for(serve: Callable[..., str], tmp_path: Path) -> None:
    site = Partly()
    url = f"{serve(site)}/file"
    site.breaks_off = 30_000
    assert run("get", "-C", "-", "-O", url, cwd=tmp_path).returncode == 16
    assert (tmp_path / "file").read_bytes() == CONTENT[:30_000]
    assert run("get", "-C", "-", "-O", url, cwd=tmp_path).returncode == 16
    site.breaks_off = None
    get("-C", "-", "-O", url, cwd=tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT
    get("-C", "-", "-O", "-f", url, cwd=tmp_path)  # there is no more, which is fine
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=30000-", "bytes=60000-", f"bytes={len(CONTENT)}-"]
    assert os.listdir(tmp_path) == ["file"]


def test_a_server_without_ranges_sends_all_of_it(serve: Callable[..., str], tmp_path: Path) -> None:
    site = Partly()
    site.ranges = False
    (tmp_path / "file").write_bytes(b"x" * 200_000)
    get("-C", "-", "-o", "file", f"{serve(site)}/file", cwd=tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fields",
    [
        {":status": 404},
        {":status": 416},
        {":status": 416, "content-range": "bytes */3"},
        {":status": 206, "content-range": "bytes 3-9/10"},
        {":status": 206},
        {":status": 302},
    ],
)
def test_what_is_not_the_rest_is_not_added(serve: Callable[..., str], tmp_path: Path, fields: dict[str, Any]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond(fields)
        stream.end(b"something else")

    (tmp_path / "file").write_bytes(b"part")
    status, line = failure("-C", "-", "-o", "file", serve(handler), cwd=tmp_path)
    assert (status, "left as it is" in line) == (33, True)
    assert (tmp_path / "file").read_bytes() == b"part"


def test_the_rest_is_asked_for_where_a_redirect_leads(serve: Callable[..., str], tmp_path: Path) -> None:
    site = Partly()

    def handler(stream: ServerStream, headers: Headers) -> None:
        if headers[":path"] == "/":
            stream.respond({":status": 302, "location": "/there"}, end_stream=True)
        else:
            site(stream, headers)

    (tmp_path / "file").write_bytes(CONTENT[:1000])
    get("-L", "-C", "-", "-o", "file", serve(handler), cwd=tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("arguments", [("-C", "-"), ("-C", "-", "-o", "-"), ("-C", "100", "-o", "file")])
def test_what_can_not_be_continued(arguments: Any, tmp_path: Path) -> None:
    status, line = failure(*arguments, "http://127.0.0.1:1/", cwd=tmp_path)
    assert (status, "continue-at" in line) == (2, True)
