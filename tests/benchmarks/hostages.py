"""What becomes of a bystander, and of slow but honest downloads, while others hold what they can of a server: streams
with shut windows, bodies that never end, sockets that nobody reads (see support/attacks/hostage_takers.py).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from support.attacks import hostage_takers as attacks
from support.attacks.honest_clients import Bystander, Download
from support.attacks.hostage_takers import attacking
from support.attacks.raw_clients import LARGEST_WINDOW, Crowd, HTTP2Client, Where, gathered, request

from . import servers
from .workplace import BODY

if TYPE_CHECKING:
    from .rows import Entry, Setting

LONGEST_WAIT, DOWNLOADS = "longest wait ms", "downloads whole"

SHUT, BODIES, OCTETS, CONNECTION, UNREAD, BODIES_1, ANSWERS_1 = KINDS = (
    "shut windows",
    "unfinished bodies",
    "an octet every 5 s",
    "shut connections",
    "nobody reads",
    "HTTP/1.1 bodies",
    "HTTP/1.1 answers",
)
EVENT_STREAMS = "90 event streams"
DOWNLOADERS = 20

_RATE = 10_000  # octets a second that honest clients take
_LARGE = 20_000_000  # more than kernels take for a connection
_PATIENCE = 60.0  # seconds for which the bystander waits; further ones for downloads that lag behind


def _makers(kind: str, where: Where, large: str, reads: str, quick: bool) -> list[Callable[[], Any]]:
    """Ten connections of 100 streams, or 1,000 of HTTP/1.1."""
    connections, streams = (2, 10) if quick else (10, 100)
    if kind == BODIES_1:
        return [partial(attacks.http1_body, where, reads)] * (connections * streams)
    if kind == ANSWERS_1:
        return [partial(attacks.http1_answers, where, large, 1 + number % 2) for number in range(connections * streams)]
    if kind == BODIES:
        return [partial(attacks.unfinished_bodies, where, streams, reads)] * connections
    attack = {
        SHUT: attacks.shut_windows,
        OCTETS: attacks.windows_of_an_octet,
        CONNECTION: attacks.shut_connection,
        UNREAD: attacks.nobody_reads,
    }[kind]
    return [partial(attack, where, streams, [large])] * connections


@contextlib.contextmanager
def prepare(setting: Setting, entry: Entry, *, tls: bool) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Each measurement lasts as long as honest clients need for their downloads: `setting.hold` seconds."""
    size = int(_RATE * setting.hold)
    peer = servers.BOTH_VERSIONS.get(entry.peer, entry.peer)
    with servers.running(peer, setting.places, tls=tls) as server:
        where = Where(("127.0.0.1", server.port), str(setting.places.cafile) if tls else None)
        hello, large, reads, download = "/", f"/big/{_LARGE}", "/upload", f"/big/{size}"
        if entry.peer == servers.FOLDER:
            (setting.places.folder / "download").write_bytes(bytes(size))
            hello, large, reads, download = "/index.html", "/file", "/file", "/download"
        downloaders = 2 if setting.quick else DOWNLOADERS

        def measure() -> Mapping[str, float]:
            makers = [
                partial(Download, where, download, size, _RATE, by_reading=bool(number % 2))
                for number in range(downloaders)
            ]
            with (
                attacking(_makers(entry.variant, where, large, reads, setting.quick)),
                Bystander(where, hello, BODY, pause=0.1, patience=_PATIENCE) as bystander,
            ):
                bystander.served(1)
                downloads: list[Any] = gathered(makers)
                with Crowd(downloads):
                    _wait_for(downloads, setting.hold)
                bystander.served(1)
            outcomes = [download.outcome for download in downloads]
            return {LONGEST_WAIT: bystander.longest * 1e3, DOWNLOADS: float(outcomes.count(""))}

        yield measure


def _wait_for(downloads: list[Any], seconds: float) -> None:
    until = time.monotonic() + seconds + _PATIENCE
    while any(download.outcome is None for download in downloads) and time.monotonic() < until:
        time.sleep(0.02)


@contextlib.contextmanager
def prepare_event_streams(setting: Setting, entry: Entry) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Answers that have begun, whose handlers wait for news, and ordinary requests on the same connection."""
    count = int(entry.variant.split()[0])
    with servers.running(entry.peer, setting.places) as server:
        where = Where(("127.0.0.1", server.port))

        def measure() -> Mapping[str, float]:
            streams = range(1, 2 * count, 2)
            subscriptions = b"".join(request(stream, "GET", "/events") for stream in streams)
            client = HTTP2Client(where, subscriptions, window=LARGEST_WINDOW)
            with contextlib.closing(client):
                client.sock.settimeout(_PATIENCE)
                longest = 0.0
                for stream in range(2 * count + 1, 2 * count + (5 if setting.quick else 101), 2):
                    began = time.monotonic()
                    client.ask(request(stream, "GET", "/"), stream)
                    longest = max(longest, time.monotonic() - began)
            return {LONGEST_WAIT: longest * 1e3}

        yield measure
