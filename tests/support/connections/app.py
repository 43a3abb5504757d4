"""A server for the interop tests, written with sync_h2: tests/interop/node/server.js answers the same routes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable

import sync_h2

from ..octets.bodies import pattern


def _answer_json(stream: sync_h2.ServerStream, value: object) -> None:
    stream.respond({"content-type": "application/json"})
    stream.end(json.dumps(value).encode())


def echo(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    """The request's body comes back as it arrives."""
    if headers.get("expect") == "100-continue":
        stream.additional_headers({":status": 100})
    stream.respond({"content-type": headers.get("content-type", "application/octet-stream")})
    for chunk in stream:
        stream.write(chunk)
    stream.end()


def sha256(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    """The length and checksum of the request's body, and the trailers that followed it."""
    checksum = hashlib.sha256()
    length = 0
    for chunk in stream:
        checksum.update(chunk)
        length += len(chunk)
    trailers = dict(stream.wait_trailers())
    _answer_json(stream, {"length": length, "sha256": checksum.hexdigest(), "trailers": trailers})


def send_bytes(stream: sync_h2.ServerStream, headers: sync_h2.Headers, size: str) -> None:
    stream.respond({"content-length": size})
    if headers[":method"] != "HEAD":
        for chunk in pattern(int(size)):
            stream.write(chunk)
        stream.end()


def trailers(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    stream.respond({"trailer": "x-checksum, x-second"}, wait_for_trailers=True)
    stream.end(b"trailers follow")
    stream.send_trailers({"x-checksum": "abc", "x-second": "2"})


def push(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    pushed = stream.push_stream({":path": "/bytes/16385"})
    pushed.respond({"x-pushed": "yes"})
    for chunk in pattern(16385):
        pushed.write(chunk)
    pushed.end()
    stream.respond()
    stream.end(b"one push")


def informational(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
    stream.additional_headers({":status": 103, "link": "</script.js>; rel=preload"})
    stream.respond()
    stream.end(b"after two 103")


def slow(stream: sync_h2.ServerStream, headers: sync_h2.Headers, milliseconds: str) -> None:
    """Headers and half of the body at once, the other half when the time has passed."""
    stream.respond()
    stream.write(b"first half, ")
    threading.Event().wait(int(milliseconds) / 1000)
    stream.end(b"second half")


def status(stream: sync_h2.ServerStream, headers: sync_h2.Headers, code: str) -> None:
    stream.respond({":status": code}, end_stream=True)


def reset(stream: sync_h2.ServerStream, headers: sync_h2.Headers, code: str) -> None:
    stream.close(int(code))


def goaway(stream: sync_h2.ServerStream, headers: sync_h2.Headers, code: str) -> None:
    stream.respond()
    stream.session.goaway(int(code), stream.id, b"see you")
    stream.end(b"goodbye")


def ping_me(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    pong = stream.session.ping(b"pingpong")
    _answer_json(stream, {"milliseconds": pong.duration * 1000, "payload": pong.payload.decode()})


def state(stream: sync_h2.ServerStream, headers: sync_h2.Headers, argument: str) -> None:
    """What this end says of session and stream when the request has ended."""
    stream.read()
    _answer_json(
        stream, {"session": dataclasses.asdict(stream.session.state), "stream": dataclasses.asdict(stream.state)}
    )


def window(stream: sync_h2.ServerStream, headers: sync_h2.Headers, size: str) -> None:
    stream.session.set_local_window_size(int(size))
    stream.respond(end_stream=True)


ROUTES: dict[str, Callable[[sync_h2.ServerStream, sync_h2.Headers, str], None]] = {
    "echo": echo,
    "sha256": sha256,
    "bytes": send_bytes,
    "trailers": trailers,
    "push": push,
    "informational": informational,
    "slow": slow,
    "status": status,
    "reset": reset,
    "goaway": goaway,
    "ping-me": ping_me,
    "state": state,
    "window": window,
}


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    _, name, *argument = headers[":path"].split("/")
    route = ROUTES.get(name)
    if route is None:
        stream.respond({":status": 404}, end_stream=True)
    else:
        route(stream, headers, *argument[:1] or [""])
