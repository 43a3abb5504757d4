"""`response.raw`: the body as a file, as urllib3 has it, compared with what requests gives over HTTP/1.1."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

import sync_h2
from support.threads.background import eventually
from sync_h2 import Client, exceptions
from sync_h2.client.messages.lines import Lines

TEXT = b"".join(b"line %d\n" % number for number in range(5000)) + b"the last"
PATIENCE = 20.0


def _archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("member")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    return file.getvalue()


BODIES: dict[str, tuple[dict[str, str], bytes]] = {
    "/plain": ({}, TEXT),
    "/gzip": ({"content-encoding": "gzip"}, gzip.compress(TEXT)),
    "/json": ({"content-encoding": "gzip"}, gzip.compress(b'{"a": 1}')),
    "/unknown": ({"content-encoding": "rot13"}, TEXT),
    "/archive": ({}, _archive()),
    "/empty": ({}, b""),
}


@pytest.fixture
def url() -> Iterator[str]:
    def handler(stream: Any, headers: Any) -> None:
        fields, body = BODIES[headers[":path"]]
        stream.respond({**fields, "content-length": len(body)})
        stream.end(body)

    with sync_h2.create_server(handler, allow_http1=True) as server:
        yield server.url


WAYS: dict[str, Callable[[Any, Any], Any]] = {}


def way(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    WAYS[function.__name__] = function
    return function


def decoding(raw: Any) -> Any:
    raw.decode_content = True
    return raw


@way
def what_it_says(response: Any, raw: Any) -> Any:
    return raw.status, raw.reason, raw.decode_content, raw.closed, raw.readable(), raw.tell()


@way
def copied_to_a_file(response: Any, raw: Any) -> Any:
    file = io.BytesIO()
    shutil.copyfileobj(decoding(raw), file)
    return file.getvalue(), raw.closed, raw.read(), raw.read(5), raw.tell()


@way
def some_and_all(response: Any, raw: Any) -> Any:
    decoding(raw)
    return raw.read(5), raw.read(0), raw.read(7), raw.closed, raw.read(), raw.closed, raw.read()


@way
def decoded_for_a_call(response: Any, raw: Any) -> Any:
    return raw.read(10, decode_content=True), raw.read(10, True), raw.read(decode_content=True)


@way
def undecoded(response: Any, raw: Any) -> Any:
    return raw.read(-1), raw.closed


@way
def a_stream(response: Any, raw: Any) -> Any:
    return b"".join(raw.stream(100, decode_content=True)), raw.closed, list(raw.stream()), list(raw.stream(None))


@way
def an_undecoded_stream(response: Any, raw: Any) -> Any:
    return b"".join(raw.stream()), raw.closed


@way
def in_pieces_of_nothing(response: Any, raw: Any) -> Any:
    return list(raw.stream(0)), raw.closed


@way
def lines(response: Any, raw: Any) -> Any:
    return list(raw), raw.closed


@way
def line_by_line(response: Any, raw: Any) -> Any:
    decoding(raw)
    return raw.readline(), raw.readline(3), raw.readline(), raw.readline(0)


@way
def into_a_buffer(response: Any, raw: Any) -> Any:
    buffer = bytearray(20)
    return decoding(raw).readinto(buffer), buffer


@way
def as_data(response: Any, raw: Any) -> Any:
    return raw.data, raw.data


@way
def cached(response: Any, raw: Any) -> Any:
    return decoding(raw).read(cache_content=True), raw.data


@way
def as_text(response: Any, raw: Any) -> Any:
    decoding(raw).auto_close = False
    with io.TextIOWrapper(raw, encoding="latin-1") as file:
        return file.readline(), file.read(), raw.closed


@way
def buffered(response: Any, raw: Any) -> Any:
    decoding(raw).auto_close = False
    return io.BufferedReader(raw).read()


@way
def an_object_of_json(response: Any, raw: Any) -> Any:
    return json.load(decoding(raw)) if response.url.endswith("/json") else None


@way
def an_archive(response: Any, raw: Any) -> Any:
    if not response.url.endswith("/archive"):
        return None
    with tarfile.open(fileobj=raw, mode="r|gz") as archive:
        return archive.getnames()


@way
def a_file_of_gzip(response: Any, raw: Any) -> Any:
    return gzip.GzipFile(fileobj=raw).read() if response.url.endswith("/gzip") else None


@way
def drained(response: Any, raw: Any) -> Any:
    raw.drain_conn()
    return raw.read(), raw.closed


@way
def in_a_with_block(response: Any, raw: Any) -> Any:
    if response.url.endswith("/empty"):
        return None
    with raw:
        return raw.read(), raw.closed


@pytest.mark.parametrize("asked_before", [False, True])
def test_it_is_closed_with_its_response(url: str, asked_before: bool) -> None:
    with Client() as client:
        with client.get(f"{url}/plain", stream=True) as response:
            raw = response.raw if asked_before else None
        assert response.raw.closed
        assert raw is None or raw is response.raw


@way
def behind_the_content(response: Any, raw: Any) -> Any:
    return response.content, response.raw.closed, response.raw.read(), response.raw.data


@way
def between_pieces_of_the_content(response: Any, raw: Any) -> Any:
    pieces = response.iter_content(10)
    return next(pieces, None), raw.read(10, decode_content=True)[:1], next(pieces, None) is None


@way
def the_rest_of_the_content(response: Any, raw: Any) -> Any:
    if response.url.endswith("/empty"):
        return None
    pieces = response.iter_content(10)
    first = next(pieces)
    pieces.close()
    return first, response.content[:20]


@way
def not_decoded_too_late(response: Any, raw: Any) -> Any:
    raw.read(1, decode_content=True)
    if response.headers.get("content-encoding") == "gzip":
        with pytest.raises(RuntimeError, match="decode"):
            raw.read(5, decode_content=False)


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("name", WAYS)
def test_the_same_as_of_requests(url: str, name: str, h2c: bool) -> None:
    found = []
    for session in (requests.Session(), Client(h2c=h2c)):
        with session:
            found.append({})
            for path in BODIES:
                with session.get(url + path, stream=True) as response:
                    found[-1][path] = WAYS[name](response, response.raw)
    assert found[0] == found[1]


@pytest.mark.parametrize(("h2c", "version", "text"), [(True, 20, "HTTP/2"), (False, 11, "HTTP/1.1")])
def test_the_version(url: str, h2c: bool, version: int, text: str) -> None:
    with Client(h2c=h2c) as client:
        raw = client.get(f"{url}/plain").raw
        assert (raw.version, raw.version_string, raw.headers["Content-Length"]) == (version, text, str(len(TEXT)))


READING: dict[str, Callable[[Any], Any]] = {
    "content": lambda response: response.content,
    "text": lambda response: response.text,
    "json": lambda response: response.json(),
    "iter_content": lambda response: list(response.iter_content(10)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "raw": lambda response: response.raw.read(),
    "raw, some": lambda response: response.raw.read(10),
    "raw, a line": lambda response: response.raw.readline(),
    "raw.stream": lambda response: list(response.raw.stream()),
    "raw.data": lambda response: response.raw.data,
}


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("path", ["/plain", "/gzip"])
@pytest.mark.parametrize("name", READING)
def test_what_close_has_given_up_is_no_end(url: str, name: str, path: str, h2c: bool) -> None:
    """It is one for requests, where a body that was cut looks whole then."""
    with Client(h2c=h2c) as client:
        with client.get(url + path, stream=True) as response:
            pass
        for _ in range(2):
            with pytest.raises(exceptions.StreamConsumedError, match="closed before"):
                READING[name](response)


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("path", ["/plain", "/empty"])
def test_what_was_read_to_its_end_has_one_behind_close_too(url: str, path: str, h2c: bool) -> None:
    with Client(h2c=h2c) as client, client.get(url + path, stream=True) as response:
        assert response.raw.read() == BODIES[path][1]
        response.close()
        assert response.raw.read() == response.content == b""


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("name", READING)
def test_a_body_that_broke_off_never_looks_whole(name: str, coding: str, h2c: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-encoding": coding})
        stream.write(gzip.compress(b"some") if coding == "gzip" else b"some")
        stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)

    with sync_h2.create_server(handler, allow_http1=True) as server, Client(h2c=h2c) as client:
        response = client.get(server.url, stream=True)
        with contextlib.suppress(exceptions.ChunkedEncodingError):
            while response.raw.read1():  # what came before is there first
                pass
        for _ in range(2):
            with pytest.raises(exceptions.ChunkedEncodingError):
                READING[name](response)


@pytest.mark.parametrize("read", [lambda raw: raw.read(10), lambda raw: raw.readline(), lambda raw: raw.read()])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_after_a_timeout_nothing_is_lost(read: Callable[[Any], bytes], coding: str) -> None:
    goes_on = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-encoding": coding})
        stream.write(encoded(b"first"))
        assert goes_on.wait(PATIENCE)
        stream.end(encoded(b"other\n"))

    def encoded(data: bytes) -> bytes:
        return gzip.compress(data) if coding == "gzip" else data

    with sync_h2.create_server(handler) as server, Client(h2c=True) as client:
        response = client.get(server.url, stream=True, timeout=(PATIENCE, 0.2))
        response.raw.decode_content = True
        with pytest.raises(exceptions.ReadTimeout):
            read(response.raw)
        goes_on.set()
        eventually(lambda: response.raw._answer._stream._state.remote_ended)
        assert b"firstother\n".startswith(read(response.raw))
        response.raw.drain_conn()


@pytest.mark.parametrize("step", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("delimiter", [None, "\n", "\r\n", "ab"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "one",
        "one\n",
        "one\r\ntwo\r\n\r\nthree",
        "\r\r\n\n\n\r",
        "one\rtwo\r\n",
        "ababab",
        "aabbaabab a",
        "\n\n",
        "ä\u2028b\x85c",
    ],
)
def test_lines_are_the_same_wherever_a_piece_ends(text: str, delimiter: str | None, step: int) -> None:
    for whole, end in ((text, delimiter), (text.encode(), delimiter and delimiter.encode())):
        splitter = Lines(end)
        pieces = [whole[start : start + step] for start in range(0, len(whole), step)]
        found = [line for piece in pieces for line in splitter.of(piece)]
        wanted: Any = (whole.split(end) if whole else []) if end else whole.splitlines()
        assert [*found, *splitter.rest()] == wanted
