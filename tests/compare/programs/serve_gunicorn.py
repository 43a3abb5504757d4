"""A WSGI application for gunicorn's own workers, and for hypercorn and `sync-h2 serve`."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

together = threading.Barrier(3)


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)


def answer(start_response: Any, body: Iterable[bytes]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return body


def version(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return answer(start_response, [environ["SERVER_PROTOCOL"].encode()])


def process(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return answer(start_response, [str(os.getpid()).encode()])


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return answer(start_response, [b"called /wsgi"])


def come_together(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(8)
    return answer(start_response, [b"apart" if together.broken else b"together"])


def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    time.sleep(1.5)
    return answer(start_response, [b"finished"])


def hints(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return answer(start_response, [b"body"])


def trailers(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["gunicorn.http2.send_trailers"]([("x-end", "here")])
    return answer(start_response, [b"body"])


def push(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return answer(start_response, [",".join(key for key in environ if "push" in key.lower()).encode()])


def echo(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    def pieces() -> Iterator[bytes]:
        while piece := environ["wsgi.input"].read(3):
            yield piece

    return answer(start_response, pieces())
