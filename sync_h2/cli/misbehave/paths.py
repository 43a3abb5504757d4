"""What `sync-h2 misbehave` does at which path. On the main thread, before the server starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...constants import ErrorCode, FrameFlag, FrameType
from ...testing import Script, ScriptedServer

_TEXT = {"content-type": "text/plain; charset=utf-8"}
_SENTENCE = "This is a body of some length, which is sent in a way of its own.\n"


class Path(NamedTuple):
    path: str
    what: str
    play: Callable[[Script], object]


def _early_hints(script: Script) -> None:
    for name in ("style.css", "script.js"):
        script.informational(103, {"link": f"</{name}>; rel=preload"})
    script.respond(200, _TEXT, _SENTENCE)


def _many_empty_frames(script: Script) -> None:
    script.respond(200, _TEXT)
    for _ in range(100):
        script.data(b"")
    script.data(_SENTENCE)


PATHS = [
    Path("/ok", "answers, as it should", lambda script: script.respond(200, _TEXT, _SENTENCE)),
    # What is allowed.
    Path("/early-hints", "103 (Early Hints) twice, then an answer", _early_hints),
    Path(
        "/trailers",
        "a body, and trailers",
        lambda script: script.respond(200, _TEXT, _SENTENCE).trailers({"x-checksum": "7"}),
    ),
    Path(
        "/padded",
        "255 octets of padding in each DATA frame",
        lambda script: script.respond(200, _TEXT).data(_SENTENCE, frame_size=20, padding=255),
    ),
    Path(
        "/one-octet",
        "one octet in each DATA frame",
        lambda script: script.respond(200, _TEXT).data(_SENTENCE, frame_size=1),
    ),
    Path("/empty-frames", "a hundred empty DATA frames, then a body", _many_empty_frames),
    Path(
        "/slow",
        "an octet each tenth of a second",
        lambda script: script.respond(200, _TEXT).data(_SENTENCE, frame_size=1, pause=0.1),
    ),
    Path(
        "/few-streams",
        "one stream at once on this connection from now on (MAX_CONCURRENT_STREAMS)",
        lambda script: script.settings(max_concurrent_streams=1).respond(200, _TEXT, _SENTENCE),
    ),
    Path(
        "/goaway",
        "an answer, and no further request on this connection (GOAWAY)",
        lambda script: script.goaway().respond(200, _TEXT, _SENTENCE),
    ),
    Path(
        "/early-answer",
        "413 before the request's body is read, and a reset with NO_ERROR",
        lambda script: script.read(0).respond(413, _TEXT).data("too much\n", end_stream=True).reset(ErrorCode.NO_ERROR),
    ),
    # What has to be borne.
    Path("/silent", "nothing at all", lambda script: script.stall()),
    Path("/stall", "half of a body, then nothing", lambda script: script.respond(200, _TEXT).data("half of").stall()),
    Path("/stall-upload", "takes no more of an upload than the first window", lambda script: script.read(0).stall()),
    Path(
        "/goaway-unprocessed",
        "no answer: GOAWAY says that the request was not looked at",
        lambda script: script.goaway(last_stream_id=0),
    ),
    Path("/drop", "closes the connection", lambda script: script.drop()),
    Path("/drop-reset", "resets the connection", lambda script: script.drop(reset=True)),
    Path(
        "/cut",
        "closes the connection after 7 octets of a body of 100",
        lambda script: script.respond(200, {**_TEXT, "content-length": "100"}).data("7 of it").drop(),
    ),
    Path(
        "/cut-reset",
        "resets the stream after 7 octets of a body",
        lambda script: script.respond(200, _TEXT).data("7 of it").reset(ErrorCode.INTERNAL_ERROR),
    ),
    Path("/reset", "resets the stream with INTERNAL_ERROR", lambda script: script.reset()),
    # What is against the rules.
    Path(
        "/short",
        "ends a body of 100 octets after 7",
        lambda script: script.respond(200, {**_TEXT, "content-length": "100"}, "7 of it"),
    ),
    Path(
        "/malformed",
        "a field whose name has capitals",
        lambda script: script.respond(200, {"X-Capitals": "yes"}, _SENTENCE),
    ),
    Path("/no-status", "headers without :status", lambda script: script.headers(_TEXT, end_stream=True)),
    Path("/connection-field", "connection: close", lambda script: script.respond(200, {"connection": "close"})),
    Path("/data-first", "DATA before any headers", lambda script: script.data(_SENTENCE)),
    Path(
        "/hpack",
        "a block of headers that can't be decompressed",
        lambda script: script.frame(FrameType.HEADERS, b"\xff\xff\xff\x7f", flags=FrameFlag.END_HEADERS),
    ),
    Path(
        "/window-overflow",
        "a window that would be larger than one may be",
        lambda script: script.frame(FrameType.WINDOW_UPDATE, b"\x7f\xff\xff\xff").stall(),
    ),
    Path(
        "/bad-frame", "a DATA frame on stream 0", lambda script: script.frame(FrameType.DATA, b"x", stream_id=0).stall()
    ),
    Path("/http1", "HTTP/1.1 in the middle", lambda script: script.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").drop()),
]


def route_all(server: ScriptedServer) -> None:
    """Give the server all paths, and a page at / that lists them."""
    lines = [f"  {path.path:22}{path.what}\n" for path in PATHS]
    for path in PATHS:
        path.play(server.route(path.path))
    lines.append(f"\n  {'/reset/CODE':22}resets the stream with CODE: {', '.join(code.name for code in ErrorCode)}\n")
    for code in ErrorCode:
        server.route(f"/reset/{code.name}").reset(code)
    server.route("/").respond(200, _TEXT, "This server misbehaves:\n\n" + "".join(lines))
