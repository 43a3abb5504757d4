"""What a client sends is handed on to applications in time that grows with its length and not with its square, and none
of it is kept.
"""

from __future__ import annotations

import contextlib
import http.server
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.rules.growth import assert_linear
from sync_h2 import Headers, ServerStream
from sync_h2.compat.http1_text import ChunkedBody, http1_message, http2_headers, parse_fields
from sync_h2.compat.http_server import _Connection, _RequestFile
from sync_h2.compat.wsgi_environ import make_environ
from sync_h2.testing import pair

REQUEST = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/")]

# Fields of about `size` octets.
FIELDS: dict[str, Callable[[int], list[tuple[bytes, bytes]]]] = {
    "one name": lambda size: [(b"x", b"y" * 20)] * (size // 21),
    "cookies": lambda size: [(b"cookie", b"a=" + b"b" * 20)] * (size // 28),
    "empty cookies": lambda size: [(b"cookie", b"")] * (size // 6),
    "many names": lambda size: [(b"x%d" % number, b"") for number in range(size // 6)],
    "names that are left out": lambda size: [(b"x_%d" % number, b"") for number in range(size // 6)],
    "a long name": lambda size: [(b"x-" * (size // 2), b"")],
    "a long value": lambda size: [(b"x", b" y" * (size // 2))],
    "commas": lambda size: [(b"connection", b"a," * (size // 2))],
}
# And targets.
TARGETS: dict[str, Callable[[int], bytes]] = {
    "a path": lambda size: b"/" + b"a" * size,
    "slashes": lambda size: b"/" * size,
    "escapes": lambda size: b"/" + b"%41" * (size // 3),
    "broken escapes": lambda size: b"/" + b"%" * size,
    "escapes of UTF-8": lambda size: b"/" + b"%c3%a9" * (size // 6),
    "octets that are no ASCII": lambda size: b"/" + b"\xe9" * size,
    "escapes between these": lambda size: b"/" + b"\xe9%41" * (size // 4),
    "question marks": lambda size: b"/" + b"?" * size,
    "a query": lambda size: b"/?" + b"a=b&" * (size // 4),
    "dots": lambda size: b"/" + b"../" * (size // 3),
}
KINDS = [*FIELDS, *TARGETS]


def headers_of(kind: str, size: int) -> Headers:
    if kind in FIELDS:
        return Headers.from_wire([*REQUEST, *FIELDS[kind](size)])
    return Headers.from_wire([*REQUEST[:3], (b":path", TARGETS[kind](size))])


@pytest.fixture
def stream() -> Iterator[ServerStream]:
    """Of a request without a body."""
    streams = []

    def handler(stream: ServerStream, headers: Headers) -> None:
        streams.append(stream)
        stream.end(b"")

    client, server = pair(handler)
    client.request().read(timeout=10)
    yield streams[0]
    client.close()
    server.close()


@pytest.mark.parametrize("kind", KINDS)
def test_wsgi(kind: str, stream: ServerStream) -> None:
    def prepare(size: int) -> Callable[[], object]:
        headers = headers_of(kind, size)
        return lambda: make_environ(stream, headers, {"SCRIPT_NAME": "/"})

    assert_linear(prepare, 8192)


def test_wsgi_keeps_nothing_of_long_names(stream: ServerStream) -> None:
    def ask(number: int) -> None:
        make_environ(stream, Headers.from_wire([*REQUEST, (b"x" * 10_000 + b"%d" % number, b"")]), {})

    ask(0)
    tracemalloc.start()
    try:
        for number in range(1, 101):
            ask(number)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


class Handler(http.server.BaseHTTPRequestHandler):
    """Parses a request, as those do that people write."""

    def do_GET(self) -> None:
        pass

    def log_message(self, *arguments: Any) -> None:
        pass


class Unbuffered(Handler):
    """Takes the octets one by one."""

    rbufsize = 0


@pytest.mark.parametrize("handler_class", [Handler, Unbuffered])
@pytest.mark.parametrize("kind", KINDS)
def test_http_server(kind: str, handler_class: type[Handler], stream: ServerStream) -> None:
    def prepare(size: int) -> Callable[[], object]:
        headers = headers_of(kind, size)

        def job() -> None:
            connection = _Connection(stream, headers)
            connection.response.over = True
            handler_class(connection, ("127.0.0.1", 1), None)  # type: ignore[arg-type]

        return job

    assert_linear(prepare, 8192)


def test_a_request_is_not_copied_for_each_read(stream: ServerStream) -> None:
    connection = _Connection(stream, headers_of("a query", 10))
    chunk = memoryview(bytearray(1))

    def prepare(size: int) -> Callable[[], object]:
        file = _RequestFile(connection, bytes(size), False)
        return lambda: [file.readinto(chunk) for _ in range(size)]

    assert_linear(prepare, 50_000)


# What a handler writes may be what a peer has sent: it echoes it, or stands in front of another server.
SECTIONS: dict[str, Callable[[int], bytes]] = {
    "spaces in a value": lambda size: b"X: a" + b" " * size + b"b\r\n\r\n",
    "tabs in a value": lambda size: b"X: a" + b"\t" * size + b"\x0b\r\n\r\n",
    "spaces behind a value": lambda size: b"X: a" + b" " * size + b"\r\n\r\n",
    "a folded value": lambda size: b"X: a" + b" \r\n b" * (size // 5) + b"\r\n\r\n",
    "a value folded with spaces": lambda size: b"X: a\r\n" + b" " * size + b"b\r\n\r\n",
    "CRs": lambda size: b"X: a" + b"\r" * size + b"\r\n\r\n",
    "commas": lambda size: b"Connection: " + b"a," * (size // 2) + b"\r\n\r\n",
    "a name": lambda size: b"X" * size + b": a\r\n\r\n",
    "no colon": lambda size: b"X" * size + b"\r\n\r\n",
    "one name": lambda size: b"X: a\r\n" * 90 + b"X: " + b"a" * size + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_fields_that_a_handler_writes(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        section = SECTIONS[kind](min(size, 60_000))  # a longer line is refused

        def job() -> None:
            with contextlib.suppress(ValueError):  # a line that is none
                http2_headers(parse_fields(section)).pairs()

        return job

    assert_linear(prepare, 8192)


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_for_the_standard_library(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        pairs = [field for field in headers_of(kind, size).pairs() if not field[0].startswith(":")]
        return lambda: http1_message(pairs).items()

    assert_linear(prepare, 8192)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\r\n b", "a b"),
        ("a \t\r\n\t  b\n c ", "a b c"),
        ("a  b", "a  b"),
        ("a\nb", "a\nb"),  # no folded line: it is refused when it is sent
        ("a\n b\nc", "a\n b\nc"),
        ("a\r\r\n b", "a\r b"),
    ],
)
def test_folded_values_become_one_line(text: str, value: str) -> None:
    assert http2_headers(http1_message([("x", text)]))["x"] == value


@pytest.mark.parametrize(
    ("chunk", "step"), [(b"1\r\nx\r\n", 1), (b"1\r\nx\r\n", 1 << 20), (b"1;" + b" " * 50 + b"\r\nx\r\n", 7)]
)
def test_chunks(chunk: bytes, step: int) -> None:
    def prepare(size: int) -> Callable[[], object]:
        body, octets = ChunkedBody(), chunk * (size // len(chunk))
        return lambda: [body.feed(octets[start : start + step]) for start in range(0, len(octets), step)]

    assert_linear(prepare, 8192)
