"""HTTP/1.1 and 1.0 on the port of HTTP/2: other people's clients get the same from the same handlers, whatever they
speak.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.connections import app
from support.octets import bodies
from support.programs.others import curl, h2load_http1, node_script_client
from support.tls.certificates import Certificate

LARGE = bodies.SIZES[-1]
# What belongs to the connection or the moment, or tells the end of a body in HTTP/1 alone.
_OF_HTTP_1 = ("connection", "transfer-encoding", "date")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bodies.write_pattern(tmp_path_factory.mktemp("files") / "pattern", 3_000_000)


@pytest.fixture
def origin(server_certificate: Certificate | None, file: Path) -> Iterator[str]:
    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        if not headers[":path"].startswith("/file"):
            app.handler(stream, headers)
            return

        def check(stat: Any, answer: sync_h2.Headers, span: sync_h2.FileRange) -> bool:
            if headers.get("if-none-match") == '"v1"':
                stream.respond({":status": 304, "etag": '"v1"'}, end_stream=True)
                return False
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
            if wanted:
                span.offset = int(wanted[1])
                span.length = int(wanted[2]) + 1 - span.offset
                answer[":status"] = 206
            return True

        stream.respond_with_file(file, {"etag": '"v1"'}, stat_check=check)

    options: dict[str, Any] = {"allow_http1": True, "http1_early_hints": True}
    if server_certificate is None:
        with sync_h2.create_server(handler, **options) as server:
            yield f"http://127.0.0.1:{server.address[1]}"
    else:
        options.update(certfile=server_certificate.certfile, keyfile=server_certificate.keyfile)
        with sync_h2.create_secure_server(handler, **options) as server:
            yield f"https://localhost:{server.address[1]}"


def outcome(origin: str, ca_file: str, path: str, *options: str) -> tuple[str, tuple[Any, ...]]:
    """The version of an answer, and what should not depend on it: status, fields and body; trailers and 1xx too."""
    result = curl(origin + path, *options, cafile=ca_file)
    fields = []
    for line in result.header_text.splitlines():
        name, colon, value = line.partition(": ")
        if colon and name.lower() not in _OF_HTTP_1 and (name.lower(), value) != ("content-length", "0"):
            fields.append((name.lower(), value))
        elif line.startswith("HTTP/"):
            fields.append(("status", line.split(" ")[1]))
    # With --head, curl writes the head where it would write the body.
    return result.http_version, (result.status, fields, None if "--head" in options else result.body)


ROUTES: dict[str, list[str]] = {
    "/bytes/0": [],
    "/bytes/1": [],
    "/bytes/100000": [],
    "/bytes/100001": ["--head"],
    "/slow/20": [],
    "/status/204": [],
    "/status/304": [],
    "/status/205": [],
    "/status/404": [],
    "/nowhere": [],
    "/file": [],
    "/file?head": ["--head"],
    "/file?range": ["--range", "100-200"],
    "/file?long-range": ["--range", "5-2999999"],
    "/file?unchanged": ["--header", 'if-none-match: "v1"'],
    "/sha256": ["--data-binary", "x" * 5000],
    "/echo": ["--data-binary", "x" * 5000, "--header", "content-type: text/x"],
    "/echo?empty": ["--request", "POST", "--header", "content-type: text/x"],
    "/echo?put": ["--request", "PUT", "--data", "put", "--header", "content-type: text/x"],
}
FOR_1_1: dict[str, list[str]] = {"/trailers": [], "/informational": []}


@pytest.mark.parametrize("path", [*ROUTES, *FOR_1_1])
def test_the_same_for_every_version(origin: str, ca_file: str, path: str) -> None:
    options = {**ROUTES, **FOR_1_1}[path]
    _, expected = outcome(origin, ca_file, path, *options)
    versions = {"--http1.1": "1.1", "--http2": "2" if origin.startswith("https") else "1.1"}
    if path in ROUTES:
        versions["--http1.0"] = "1.1"  # curl tells the version of the answer
    for option, version in versions.items():
        assert outcome(origin, ca_file, path, option, *options) == (version, expected)


def test_a_client_without_alpn(origin: str, ca_file: str) -> None:
    result = curl(f"{origin}/bytes/1000", "--http1.1", "--no-alpn", cafile=ca_file)
    assert (result.http_version, result.body) == ("1.1", bodies.pattern_digest(1000))


@pytest.mark.parametrize("option", ["--http1.1", "--http1.0"])
def test_large_bodies(origin: str, ca_file: str, upload_files: dict[int, str], option: str) -> None:
    assert curl(f"{origin}/bytes/{LARGE}", option, cafile=ca_file).body == bodies.pattern_digest(LARGE)
    uploaded = curl(f"{origin}/sha256", option, "--upload-file", upload_files[LARGE], cafile=ca_file)
    assert json.loads(uploaded.text or "")["sha256"] == bodies.pattern_digest(LARGE).sha256


def test_a_large_body_both_ways_at_once(origin: str, ca_file: str, upload_files: dict[int, str]) -> None:
    echoed = curl(f"{origin}/echo", "--http1.1", "--upload-file", upload_files[LARGE], cafile=ca_file)
    assert echoed.body == bodies.pattern_digest(LARGE)


def test_a_body_in_chunks(origin: str, ca_file: str, upload_files: dict[int, str]) -> None:
    fields = ["--header", "transfer-encoding: chunked", "--header", "expect:"]
    uploaded = curl(f"{origin}/sha256", "--http1.1", *fields, "--upload-file", upload_files[16_385], cafile=ca_file)
    assert json.loads(uploaded.text or "")["sha256"] == bodies.pattern_digest(16_385).sha256


def test_expect_100_continue(origin: str, ca_file: str, upload_files: dict[int, str]) -> None:
    expects = ["--header", "expect: 100-continue", "--expect100-timeout", "60"]
    uploaded = curl(f"{origin}/sha256", "--http1.1", *expects, "--upload-file", upload_files[16_385], cafile=ca_file)
    assert uploaded.header_text.startswith("HTTP/1.1 100 Continue\n")
    assert json.loads(uploaded.text or "")["sha256"] == bodies.pattern_digest(16_385).sha256


def test_an_answer_that_refuses_a_large_upload(origin: str, ca_file: str, upload_files: dict[int, str]) -> None:
    """Without waiting for it to be asked for."""
    refused = curl(f"{origin}/nowhere", "--http1.1", "--header", "expect:", "-T", upload_files[LARGE], cafile=ca_file)
    assert refused.status == 404


def test_nodes_client_keeps_its_connection(origin: str, ca_file: str) -> None:
    result = node_script_client("http1_client.js", {"origin": origin, "cafile": ca_file, "requests": 50})
    assert result["connections"] == 1
    assert result["bodies"] == [f"body {number}" for number in range(50)]
    assert result["trailers"] == {"x-checksum": "abc", "x-second": "2"}
    assert result["hints"] == ["</style.css>; rel=preload", "</script.js>; rel=preload"]
    assert result["cut"] == "ECONNRESET"


def test_h2load_speaks_http_1(origin: str) -> None:
    summary = h2load_http1(f"{origin}/bytes/1000", requests=2000, connections=20)
    assert (summary.succeeded, summary.failed, summary.errored) == (2000, 0, 0)
