"""What a peer sends in HTTP/2 is worked off in time that grows with its length and not with its square."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from support.octets import frames
from support.octets.fields import REQUEST, RESPONSE
from support.octets.http2_endpoint import client, server
from support.rules.growth import assert_linear
from sync_h2 import ProtocolError
from sync_h2.protocol.events import RequestReceived, ResponseReceived, TrailersReceived
from sync_h2.protocol.fields.headers import encode_request
from sync_h2.protocol.frames.frame_lines import FrameLines

GET = encode_request(None, scheme="https", authority="example.org")
LIMITS: dict[str, Any] = {
    "max_header_list_size": 1 << 24,
    "max_header_pairs": 1 << 20,
    "max_continuation_frames": 1 << 20,
    "max_session_invalid_frames": 1 << 20,
    "stream_reset_burst": 1 << 20,
}
END = frames.END_HEADERS | frames.END_STREAM
BEGINNING = frames.block(*REQUEST)
INDEXED = 0x40


def literal(name: str | bytes, value: str | bytes) -> bytes:
    """A field that goes into the dynamic table."""
    return bytes((INDEXED,)) + frames.block((name, value))[1:]


def value(of: Callable[[int], str | bytes], name: str = "x") -> Callable[[int], bytes]:
    return lambda size: BEGINNING + frames.block((name, of(size)))


def pseudo(name: str, of: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda size: frames.block(*frames.replaced(REQUEST, **{name: of(size)}))


def twice_named(name: str, of: Callable[[int], str]) -> Callable[[int], bytes]:
    """In a pseudo-header field and in one that says the same."""
    return lambda size: frames.block(*frames.replaced(REQUEST, authority=of(size)), (name, of(size)))


# Blocks of about `size` octets; many are refused, which takes time as well.
BLOCKS: dict[str, Callable[[int], bytes]] = {
    "spaces": value(lambda size: " " * size),
    "spaces, then a letter": value(lambda size: " " * size + "x"),
    "spaces between letters": value(lambda size: "x" + " " * size + "x"),
    "spaces, then NUL": value(lambda size: "x" + " " * size + "\0"),
    "letters, then CR": value(lambda size: "x" * size + "\r"),
    "octets that can't be printed": value(lambda size: "\x01" * size),
    "a name": lambda size: BEGINNING + frames.block(("x" * size, "")),
    "a name in upper case": lambda size: BEGINNING + frames.block(("x" * size + "X", "")),
    "a pseudo-header field": lambda size: frames.block((":" + "x" * size, "")),
    "a path": pseudo("path", lambda size: "/" + "a" * size),
    "a path of slashes": pseudo("path", lambda size: "/" * size),
    "a path without its slash": pseudo("path", lambda size: "a" * size),
    "a path with a space at its end": pseudo("path", lambda size: "/" + "a" * size + " "),
    "a path of other octets": pseudo("path", lambda size: "/" + "\xe9" * size),
    "a method": pseudo("method", lambda size: "A" * size),
    "a method with a space": pseudo("method", lambda size: "A" * size + " A"),
    "a scheme": pseudo("scheme", lambda size: "a" * size),
    "a scheme with a space": pseudo("scheme", lambda size: "a" * size + " a"),
    "an authority": pseudo("authority", lambda size: "a" * size),
    "an authority of colons": pseudo("authority", lambda size: ":" * size),
    "an authority with a slash": pseudo("authority", lambda size: "a" * size + "/"),
    "a host of colons": twice_named("host", lambda size: "a" + ":" * size + "80"),
    "a host of brackets": twice_named("host", lambda size: "[" * size + "]:"),
    "a length": value(lambda size: "1" * size, "content-length"),
    "priorities": value(lambda size: "u=1," * (size // 4), "priority"),
    "priorities of spaces": value(lambda size: "u" + " " * size + "=1", "priority"),
    "te": value(lambda size: "x" * size, "te"),
    "many fields": lambda size: BEGINNING + frames.block(("x", "y")) * (size // 5),
    "many priorities": lambda size: BEGINNING + frames.block(("priority", "u")) * (size // 12),
    "many cookies": lambda size: BEGINNING + frames.block(("cookie", "a=b")) * (size // 12),
    "many names": lambda size: BEGINNING + b"".join(frames.block((f"x{n}", "")) for n in range(size // 8)),
    "references": lambda size: BEGINNING + literal("x", "y" * 100) + b"\xbe" * size,
    "references to an empty field": lambda size: BEGINNING + literal("x", "") + b"\xbe" * size,
    "references to the static table": lambda size: BEGINNING + b"\x90" * size,
    "new entries": lambda size: BEGINNING + b"".join(literal("x", str(n)) for n in range(size // 8)),
    "new entries, and references": lambda size: (
        BEGINNING + b"".join(literal("x", "") + b"\xff\x00" for _ in range(size // 6))
    ),
    "large entries that drop others": lambda size: BEGINNING + literal("x", "y" * 2000) * (size // 2000),
    "changes of the table's size": lambda size: b"\x20" * size + BEGINNING,
    "changes of the table's size, back and forth": lambda size: b"\x20\x3f\xe1\x1f" * (size // 4) + BEGINNING,
    "a long integer": lambda size: BEGINNING + b"\xff" * size,
    "a long integer of zeros": lambda size: BEGINNING + b"\xff" + b"\x80" * size + b"\x01",
    "Huffman's code": lambda size: BEGINNING + b"\x00\x01x" + frames.integer(size, 7, 0x80) + b"\x18\xc6" * (size // 2),
    "Huffman's code, padded": lambda size: BEGINNING + b"\x00\x01x" + frames.integer(size, 7, 0x80) + b"\xff" * size,
    "a block that breaks off": lambda size: BEGINNING + b"\x00\x01x" + frames.integer(size * 2, 7) + b"y" * size,
}

PREFACED = frames.upload(1)

# Frames to a server, of about `size` octets together; stream 1 is open.
FRAMES: dict[str, Callable[[int], bytes]] = {
    "DATA of an octet": lambda size: frames.data(1) * (size // 10),
    "empty DATA": lambda size: frames.data(1, b"") * (size // 9),
    "DATA on a stream that is gone": lambda size: frames.rst_stream(1) + frames.data(1) * (size // 10),
    "CONTINUATION of an octet": lambda size: (
        frames.headers(3, *REQUEST, flags=0)
        + b"".join(
            frames.continuation(3, octet.to_bytes(1, "big"), 0) for octet in frames.block(("x", "y" * (size // 10)))
        )
    ),
    "empty CONTINUATION": lambda size: (
        frames.headers(3, *REQUEST, flags=0) + frames.continuation(3, b"", 0) * (size // 9)
    ),
    "requests": lambda size: b"".join(frames.request(2 * n + 3) for n in range(size // 60)),
    "requests that are malformed": lambda size: b"".join(
        frames.request(2 * n + 3, ("X", "y")) for n in range(size // 60)
    ),
    "trailers of a stream that is gone": lambda size: frames.rst_stream(1) + frames.trailers(1) * (size // 24),
    "PRIORITY": lambda size: frames.priority(1) * (size // 14),
    "PRIORITY of idle streams": lambda size: b"".join(frames.priority(2 * n + 3) for n in range(size // 14)),
    "a long PRIORITY_UPDATE": lambda size: (
        frames.priority_update(1, b"u=1," * (min(size, 16_000) // 4)) * (size // min(size, 16_000))
    ),
    "PRIORITY_UPDATE": lambda size: frames.priority_update(1) * (size // 16),
    "PRIORITY_UPDATE of idle streams": lambda size: b"".join(
        frames.priority_update(2 * n + 3) for n in range(size // 16)
    ),
    "RST_STREAM": lambda size: frames.rst_stream(1) * (size // 13),
    "SETTINGS": lambda size: frames.settings((0xF000, 1)) * (size // 15),
    "SETTINGS of new names": lambda size: b"".join(frames.settings((0xF000 + n % 30, 1)) for n in range(size // 15)),
    "a long SETTINGS": lambda size: (
        frames.settings(*((0xF000 + n % 4000, n) for n in range(min(size, 16_000) // 6))) * (size // min(size, 16_000))
    ),
    "SETTINGS that move windows": lambda size: frames.settings((4, 70_000)) * (size // 15),
    "PING": lambda size: frames.ping() * (size // 17),
    "GOAWAY": lambda size: frames.goaway(0, 0, b"x" * 100) * (size // 117),
    "WINDOW_UPDATE": lambda size: frames.window_update(0, 1) * (size // 13),
    "WINDOW_UPDATE of a stream": lambda size: frames.window_update(1, 1) * (size // 13),
    "frames of unknown types": lambda size: frames.frame(frames.UNKNOWN, 0, 1) * (size // 9),
    "padding": lambda size: frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255)) * (size // 265),
}

CLIENT_FRAMES: dict[str, Callable[[int], bytes]] = {
    "origins": lambda size: (
        frames.origins(*[b"https://example.org"] * (min(size, 16_000) // 21)) * (size // min(size, 16_000))
    ),
    "origins without text": lambda size: (
        frames.origins(*[b""] * (min(size, 16_000) // 2)) * (size // min(size, 16_000))
    ),
    "alternatives": lambda size: (
        frames.altsvc(0, b"https://a", b"h2=':1'," * (min(size, 16_000) // 8)) * (size // min(size, 16_000))
    ),
    "informational responses": lambda size: frames.headers(1, (":status", "103"), ("x", "y")) * (size // 30),
    "a response's fields": lambda size: frames.split_headers(
        1, frames.block(*RESPONSE) + frames.block(("x", "y")) * (size // 5)
    ),
    "a status": lambda size: frames.split_headers(1, frames.block((":status", "2" * size))),
    "promises": lambda size: b"".join(frames.push_promise(1, 2 * n + 2, *REQUEST) for n in range(size // 60)),
}


def all_of(endpoint: Any, octets: bytes) -> None:
    """The events of these octets, and what a program finds out about them, until the connection refuses them."""
    with contextlib.suppress(ProtocolError):
        for event in endpoint.receive(octets):
            if isinstance(event, RequestReceived | ResponseReceived | TrailersReceived):
                event.headers.copy()
                event.headers.get("cookie")


@pytest.mark.parametrize("kind", BLOCKS)
def test_header_blocks(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        endpoint, octets = server(**LIMITS), frames.split_headers(1, BLOCKS[kind](size), end_stream=True)
        return lambda: all_of(endpoint, octets)

    assert_linear(prepare, 4096)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_a_client(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        endpoint = server(max_concurrent_streams=1 << 20, **LIMITS)
        endpoint.receive(PREFACED)
        octets = FRAMES[kind](size)
        return lambda: all_of(endpoint, octets)

    assert_linear(prepare, 4096)


@pytest.mark.parametrize("kind", CLIENT_FRAMES)
def test_frames_of_a_server(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        endpoint = client(max_concurrent_streams=1 << 20, **LIMITS)
        endpoint.connection.send_request(GET, True)
        octets = CLIENT_FRAMES[kind](size)
        return lambda: all_of(endpoint, octets)

    assert_linear(prepare, 4096)


@pytest.mark.parametrize("kind", [*BLOCKS, *FRAMES, *CLIENT_FRAMES])
def test_a_traces_lines(kind: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        lines = FrameLines()
        octets = (
            frames.split_headers(1, BLOCKS[kind](size)) if kind in BLOCKS else {**FRAMES, **CLIENT_FRAMES}[kind](size)
        )

        def job() -> None:
            view, position = memoryview(octets), 0
            while position < len(octets):
                length = int.from_bytes(octets[position : position + 3], "big")
                stream_id = int.from_bytes(octets[position + 5 : position + 9], "big")
                payload = view[position + 9 : position + 9 + length]
                lines.received(octets[position + 3], octets[position + 4], stream_id, payload)
                position += 9 + length

        return job

    assert_linear(prepare, 4096)
