"""What a client sends in HTTP/1 is worked off in time that grows with its length and not with its square, whether it
comes at once or octet by octet.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from support.rules.growth import assert_linear
from sync_h2.http1.protocol import HTTP1Protocol
from sync_h2.http1.request_heads import UnreadableRequest
from sync_h2.protocol.limits import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

# Of about `size` octets each; many are refused, which takes time as well.
HEADS: dict[str, Callable[[int], bytes]] = {
    "spaces, then NUL": lambda size: GET + b"x:" + b" " * size + b"\0\r\n\r\n",
    "spaces, then a vertical tab": lambda size: GET + b"x:" + b" " * size + b"\x0b\r\n\r\n",
    "tabs, then a form feed": lambda size: GET + b"x:" + b"\t" * size + b"\x0cy\r\n\r\n",
    "spaces and nothing": lambda size: GET + b"x:" + b" " * size + b"\r\n\r\n",
    "spaces before a value": lambda size: GET + b"x:" + b" " * size + b"y\r\n\r\n",
    "spaces behind a value": lambda size: GET + b"x:y" + b" " * size + b"\r\n\r\n",
    "spaces in a value, then NUL": lambda size: GET + b"x:" + b"a " * (size // 2) + b"\0\r\n\r\n",
    "fields of spaces, then NUL": lambda size: GET + (b"x:" + b" " * 100 + b"\r\n") * (size // 104) + b"y: \0\r\n\r\n",
    "spaces before a colon": lambda size: GET + b"x" + b" " * size + b":y\r\n\r\n",
    "a name without a colon": lambda size: GET + b"x" * size + b"\r\n\r\n",
    "a long name": lambda size: GET + b"x" * size + b": y\r\n\r\n",
    "colons": lambda size: GET + b"x" + b":" * size + b"\r\n\r\n",
    "many fields": lambda size: GET + b"x: y\r\n" * (size // 6) + b"\r\n",
    "many hosts": lambda size: GET + b"host: a\r\n" * (size // 9) + b"\r\n",
    "many lengths": lambda size: GET + b"content-length: 1\r\n" * (size // 19) + b"\r\n",
    "a long length": lambda size: GET + b"content-length: " + b"1" * size + b"\r\n\r\n",
    "a list of lengths": lambda size: GET + b"content-length: 1" + b",1" * (size // 2) + b"\r\n\r\n",
    "spaces before a length": lambda size: GET + b"content-length:" + b" " * size + b"1\r\n\r\n",
    "spaces before the colon of a length": lambda size: GET + b"content-length" + b" " * size + b"1\r\n\r\n",
    "a list of connection options": lambda size: GET + b"connection: " + b"a, " * (size // 3) + b"b\r\n\r\n",
    "a list of codings": lambda size: GET + b"transfer-encoding: " + b"a, " * (size // 3) + b"b\r\n\r\n",
    "a list of te": lambda size: GET + b"te: " + b"a, " * (size // 3) + b"trailers\r\n\r\n",
    "a list of expectations": lambda size: GET + b"expect: " + b"a, " * (size // 3) + b"b\r\n\r\n",
    "a list of priorities": lambda size: GET + b"priority: " + b"u=1, " * (size // 5) + b"i\r\n\r\n",
    "a lone CR at the end": lambda size: GET + b"x: " + b"y" * size + b"\rz\r\n\r\n",
    "a lone LF at the end": lambda size: GET + b"x: " + b"y" * size + b"\nz: z\r\n\r\n",
    "a folded line at the end": lambda size: GET + b"x: " + b"y" * size + b"\r\n z\r\n\r\n",
    "folded lines": lambda size: GET + b"x: y\r\n" + b" z\r\n" * (size // 4) + b"\r\n",
    "CRs": lambda size: GET + b"x: y" + b"\r" * size + b"\n\r\n",
    "empty lines first": lambda size: b"\r\n" * (size // 2) + GET + b"\r\n",
    "a long target": lambda size: b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target of slashes": lambda size: b"GET " + b"/" * size + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with NUL": lambda size: b"GET /" + b"a" * size + b"\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target without a version": lambda size: b"GET /" + b"a" * size + b"\r\nHost: a\r\n\r\n",
    "a target of other octets": lambda size: b"GET /" + b"\xc3\xa9" * (size // 2) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "words in the request line": lambda size: b"GET " + b"/ " * (size // 2) + b"HTTP/1.1\r\nHost: a\r\n\r\n",
    "spaces in the request line": lambda size: b"GET /" + b" " * size + b"HTTP/1.1\r\nHost: a\r\n\r\n",
    "a long method": lambda size: b"G" * size + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "no request line": lambda size: b"x" * size + b"\r\n\r\n",
    "a URL's host": lambda size: b"GET http://" + b"a" * size + b"/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a URL's path": lambda size: b"GET http://a/" + b"/" * size + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target of CONNECT": lambda size: b"CONNECT " + b"a:" * (size // 2) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a port of CONNECT": lambda size: b"CONNECT a:" + b"1" * size + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a host of colons": lambda size: b"GET / HTTP/1.1\r\nHost: a" + b":" * size + b"\r\n\r\n",
    "many requests": lambda size: (GET + b"\r\n") * (size // 30),
}

BODIES: dict[str, Callable[[int], bytes]] = {
    "spaces, then NUL, in a trailer": lambda size: b"0\r\nx:" + b" " * size + b"\0\r\n\r\n",
    "spaces, then a form feed, in a trailer": lambda size: b"0\r\nx:" + b" " * size + b"\x0c\r\n\r\n",
    "a long trailer": lambda size: b"0\r\nx: " + b"y" * size + b"\r\n\r\n",
    "a trailer without an end": lambda size: b"0\r\nx: " + b"y" * size,
    "a lone CR in a trailer": lambda size: b"0\r\nx: " + b"y" * size + b"\rz\r\n\r\n",
    "many trailers": lambda size: b"0\r\n" + b"x: y\r\n" * (size // 6) + b"\r\n",
    "small chunks": lambda size: b"1\r\nx\r\n" * (size // 6),
    "chunks with extensions": lambda size: (b"10;a=" + b" " * 15 + b"\r\n" + b"x" * 16 + b"\r\n") * (size // 40),
    "a long chunk": lambda size: b"%x\r\n" % size + b"x" * size,
    "a long extension": lambda size: b"1;" + b"x" * size,
    "an extension of spaces": lambda size: b"1;" + b" " * size + b"\r\n",
    "a long size": lambda size: b"0" * size,
    "what is behind a chunk": lambda size: b"1\r\nx" + b"y" * size,
    "CRs behind a chunk": lambda size: b"1\r\nx" + b"\r" * size,
}


class CountedOctets(bytearray):
    """The protocol's input, which counts the octets that are looked for in it and copied out of it."""

    looked_at = 0

    def find(self, wanted: bytes, start: int = 0, end: int = 1 << 62) -> int:  # type: ignore[override]
        found = super().find(wanted, start, end)
        self.looked_at += (min(end, len(self)) if found < 0 else found) - start
        return found

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            self.looked_at += len(found)
        return found


def received(octets: bytes, step: int, counted: CountedOctets | None = None) -> None:
    """The protocol takes the octets, and everything that they ask for is answered, until it refuses them."""
    protocol = HTTP1Protocol(
        limits=Limits.for_server(max_header_list_size=1 << 24, max_header_pairs=1 << 20),
        scheme="http",
        authority=lambda: "a",
        emit=lambda urgent, buffers: None,
        stream_window=1 << 30,
        on_window=lambda: None,
    )
    reader = protocol.frames
    if counted is not None:
        reader.octets = protocol._input = counted
    view = memoryview(octets)
    with contextlib.suppress(UnreadableRequest):
        for start in range(0, len(octets), step):
            piece = view[start : start + step]
            while piece:
                room = reader.writable()
                count = min(len(room), len(piece))
                room[:count] = piece[:count]
                reader.received(count)
                piece = piece[count:]
                while protocol.next_event() is not None:
                    if protocol.stream_state(protocol.last_received_stream_id) == "half_closed_remote":
                        protocol.answer_error(204, "")
                        protocol.closes = False
                        protocol._exchange = None


@pytest.mark.parametrize("kind", HEADS)
def test_heads(kind: str) -> None:
    assert_linear(lambda size: lambda: received(HEADS[kind](size), 1 << 20), 4096)


@pytest.mark.parametrize("kind", HEADS)
def test_heads_octet_by_octet(kind: str) -> None:
    assert_linear(lambda size: lambda: received(HEADS[kind](size), 1), 4096)


@pytest.mark.parametrize("kind", BODIES)
def test_chunked_bodies(kind: str) -> None:
    assert_linear(lambda size: lambda: received(CHUNKED + BODIES[kind](size), 1 << 20), 4096)


@pytest.mark.parametrize("kind", [*HEADS, *BODIES])
def test_octets_are_looked_at_a_bounded_number_of_times(kind: str) -> None:
    octets = HEADS[kind](20_000) if kind in HEADS else CHUNKED + BODIES[kind](20_000)
    counted = CountedOctets()
    received(octets, 1, counted)
    assert counted.looked_at < 40 * len(octets)


@pytest.mark.parametrize("kind", BODIES)
def test_chunked_bodies_octet_by_octet(kind: str) -> None:
    assert_linear(lambda size: lambda: received(CHUNKED + BODIES[kind](size), 1), 4096)
