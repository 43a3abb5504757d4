"""What requests take that wait in a server, by what their header lists are like (see support/attacks/memory_takers.py):
400 connections with 100 requests each, whose handlers never return.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from support.attacks.memory_takers import KINDS
from support.attacks.raw_clients import HTTP2Client, Where

from . import servers

if TYPE_CHECKING:
    from .rows import Entry, Setting

MEGABYTES, BEYOND_PLAIN, KEPT = "MB", "MB beyond plain", "requests kept"
PLAIN, *OTHERS = VARIANTS = tuple(KINDS)
CONNECTIONS, REQUESTS = 400, 100

_WINDOW = 65_535
_SETTLES = 1.0  # seconds that the server has to begin what it will


@contextlib.contextmanager
def prepare(setting: Setting, entry: Entry) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Each time on new servers, of which one gets plain requests."""

    def measure() -> Mapping[str, float]:
        plain, of_plain = _taken(setting, entry.peer, PLAIN)
        taken, kept = (plain, of_plain) if entry.variant == PLAIN else _taken(setting, entry.peer, entry.variant)
        return {MEGABYTES: taken, BEYOND_PLAIN: taken - plain, KEPT: float(kept)}

    yield measure


def _taken(setting: Setting, peer: str, kind: str) -> tuple[float, int]:
    """By how many megabytes the server grows, and how many of the requests it has not refused."""
    connections, requests = (8, 20) if setting.quick else (CONNECTIONS, REQUESTS)
    with servers.running(peer, setting.places) as server, contextlib.ExitStack() as stack:
        where = Where(("127.0.0.1", server.port))
        stack.enter_context(contextlib.closing(HTTP2Client(where, b"", window=_WINDOW)))
        before = server.memory()
        kept = 0
        for number in range(connections):
            octets = KINDS[kind](requests, "/events", number)
            try:
                client = HTTP2Client(where, octets, window=_WINDOW)
            except ConnectionError:
                continue  # thrown out
            stack.enter_context(contextlib.closing(client))
            kept += requests - len(client.reset)
        time.sleep(0.1 if setting.quick else _SETTLES)
        return (server.memory() - before) / 1e6, kept
