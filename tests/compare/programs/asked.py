"""How the programs of this folder are called: `python as_NAME.py QUESTION JSON`, where JSON says where things are.

The answer is printed as JSON. Imports nothing but the standard library, as each program runs with its own library.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Places:
    url: str
    """The peer over TLS."""
    plain: str
    """The peer in cleartext."""
    cafile: str
    proxy: str
    """A proxy that knows CONNECT."""
    socks: str
    """The host and port of a SOCKS proxy."""
    http3: str
    """A server that knows HTTP/3 too, and says so with Alt-Svc."""


def answer(functions: dict[str, Any]) -> None:
    question, places = sys.argv[1:]
    print(json.dumps(functions[question](Places(**json.loads(places)))))


class Halves:
    """A body whose second half comes only when the first has come back, or when nobody can expect that any more."""

    def __init__(self) -> None:
        self.came_back = threading.Event()
        self.in_time = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        self.in_time = self.came_back.wait(5)
        yield b"two"


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI application, for calls in the same process."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"called " + environ["PATH_INFO"].encode()]
