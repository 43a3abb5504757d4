"""What is measured, for whom, and the goals it is judged by.

A row is one kind of work. It has an entry for each peer and each variant of the work; `prepare` starts what the entry
needs, warms it up, and gives the function that measures it once.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from . import busy, clients, free_threading, hostages, load, raw_client, servers, waiting
from .servers import Server
from .workplace import Workplace

Sample = Mapping[str, float]
"""What one measurement found: metric, with its unit -> value."""

REQUESTS_PER_SECOND, MEGABYTES_PER_SECOND = "requests/s", "MB/s"
CPU_PER_REQUEST, CPU_PER_MEGABYTE = "CPU us/request", "CPU us/MB"
P50, P99, P99_BY_P50 = "p50 ms", "p99 ms", "p99 / p50"
KILOBYTES = "kB each"
CPU_BY_PROCESSES = "CPU us/request / processes"

OURS = "sync_h2"


@dataclass(frozen=True)
class Setting:
    """What all measurements of a sitting have in common. Each lasts about `seconds`, or `hold` seconds where attackers
    hold on for a while, but with `quick` is as short as it can be.
    """

    places: Workplace
    seconds: float
    hold: float
    quick: bool

    def fitting(self, act: Callable[[int], float], least: int = 1) -> int:
        """Warm up by `act(count)`, which says how many seconds it took; returns the count that fits."""
        count = least
        if not self.quick:
            for part in (0.1, 0.5, 1.0):
                count = max(int(count / act(count) * self.seconds * part), least)
        return count


@dataclass(frozen=True)
class Entry:
    peer: str
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.peer}, {self.variant}" if self.variant else self.peer


@dataclass(frozen=True)
class Goal:
    """A bound for the ratio of a metric of two entries, or for the metric itself."""

    metric: str
    of: Entry
    against: Entry | None
    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        sign, unit = "<=" if self.at_most else ">=", "x" if self.against else ""
        return f"{sign} {self.bound:g}{unit}"


Prepare = Callable[[Setting, Entry], AbstractContextManager[Callable[[], Sample]]]


@dataclass(frozen=True)
class Row:
    """`metric` is the one that peers are compared by."""

    name: str
    title: str
    metric: str
    prepare: Prepare
    peers: Sequence[str]
    variants: Sequence[str] = ("",)
    goals: Sequence[Goal] = ()
    needs: str = "h2load"
    free_threaded: bool = False
    """Whether it takes an interpreter that can do without the GIL."""
    most_rounds: int | None = None
    """Where a sample is the worst of many cases already."""

    def entries(self, *, quick: bool) -> list[Entry]:
        """All of them; for a quick look the first variant's, and the last one of ours."""
        if quick:
            return list(
                dict.fromkeys([*(Entry(peer, self.variants[0]) for peer in self.peers), Entry(OURS, self.variants[-1])])
            )
        return [Entry(peer, variant) for variant in self.variants for peer in self.peers]


def _against(metric: str, **bounds: float) -> list[Goal]:
    """We reach at least so many times what these peers reach."""
    return [Goal(metric, Entry(OURS), Entry(peer), bound) for peer, bound in bounds.items()]


# -- servers


def _small_gets(setting: Setting, server: Server, connections: int, streams: int) -> Callable[[], Sample]:
    """The CPU that connecting and closing take, found with one request on each connection, is not counted."""

    def act(requests: int) -> float:
        return load.h2load(server, requests, connections, streams)

    requests = setting.fitting(act, connections if setting.quick else 20 * connections)

    def measure() -> Sample:
        _, of_connecting = load.timed(server, lambda: act(connections))
        seconds, cpu = load.timed(server, lambda: act(connections + requests))
        return {
            REQUESTS_PER_SECOND: (connections + requests) / seconds,
            CPU_PER_REQUEST: max(cpu - of_connecting, 0.0) / requests * 1e6,
        }

    return measure


def _prepare_gets(connections: int, streams: int, *, tls: bool) -> Prepare:
    @contextlib.contextmanager
    def prepare(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
        with servers.running(entry.peer, setting.places, tls=tls) as server:
            yield _small_gets(setting, server, connections, streams)

    return prepare


@contextlib.contextmanager
def _prepare_connections(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    with servers.running(entry.peer, setting.places) as server:
        yield _small_gets(setting, server, _number(entry.variant), 1)


@contextlib.contextmanager
def _prepare_streams(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    with servers.running(entry.peer, setting.places) as server:
        yield _small_gets(setting, server, 1, _number(entry.variant))


@contextlib.contextmanager
def _prepare_processes(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    processes = _number(entry.variant)
    with servers.running(entry.peer, setting.places, processes=processes) as server:
        measure_gets = _small_gets(setting, server, 32, 4)

        def measure() -> Sample:
            found = measure_gets()
            return {**found, CPU_BY_PROCESSES: found[CPU_PER_REQUEST] / processes}

        yield measure


@contextlib.contextmanager
def _prepare_wsgi(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    """The same application and the same process manager, with our worker and with its own."""
    peer = servers.UNDER_GUNICORN if entry.peer == OURS else entry.peer
    with servers.running(peer, setting.places) as server:
        yield _small_gets(setting, server, 8, 16)


def _number(variant: str) -> int:
    return int(variant.split()[0].replace(",", ""))


@contextlib.contextmanager
def _prepare_latency(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    """At half of the rate that the server reaches when it is given as much as it takes."""
    connections = 8
    with servers.running(entry.peer, setting.places) as server:

        def act(requests: int) -> float:
            return load.h2load(server, requests, connections, 16)

        requests = setting.fitting(act, 200)

        def measure() -> Sample:
            rate = max(int(requests / act(requests) / 2 / connections), 1)
            found = load.latencies(server, max(requests // 2, 100), connections, 100, rate)
            p50, p99 = load.percentile(found, 50), load.percentile(found, 99)
            return {P50: p50, P99: p99, P99_BY_P50: p99 / p50, REQUESTS_PER_SECOND: float(rate * connections)}

        yield measure


@functools.cache
def _blocks(count: int) -> list[bytes]:
    return raw_client.varied_blocks(count)


@contextlib.contextmanager
def _prepare_varied(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    connections, at_once = 8, 16
    blocks = _blocks(50 if setting.quick else 2000)
    with servers.running(entry.peer, setting.places) as server:

        def act(requests: int) -> float:
            return raw_client.exchange(server.port, blocks[: requests // connections], connections, at_once)

        requests = min(setting.fitting(act, 50 * connections), len(blocks) * connections)

        def measure() -> Sample:
            seconds, cpu = load.timed(server, lambda: act(requests))
            return {REQUESTS_PER_SECOND: requests / seconds, CPU_PER_REQUEST: cpu / requests * 1e6}

        yield measure


def _prepare_transfer(act: Callable[[Server, int], float], *, tls: bool) -> Prepare:
    """`act(server, count)` carries the file so many times."""

    @contextlib.contextmanager
    def prepare(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
        with servers.running(entry.peer, setting.places, tls=tls) as server:
            count = setting.fitting(lambda count: act(server, count))
            megabytes = count * setting.places.file_size / 1e6

            def measure() -> Sample:
                seconds, cpu = load.timed(server, lambda: act(server, count))
                return {MEGABYTES_PER_SECOND: megabytes / seconds, CPU_PER_MEGABYTE: cpu / megabytes * 1e6}

            yield measure

    return prepare


def _download(server: Server, count: int) -> float:
    return load.h2load(server, count, 1, 1, path="/file")


def _upload(server: Server, count: int) -> float:
    return sum(load.curl_upload(server) for _ in range(count))


@contextlib.contextmanager
def _prepare_idle_connections(setting: Setting, entry: Entry, *, tls: bool) -> Iterator[Callable[[], Sample]]:
    """Each makes one request before it is idle, and one after the measurement. Each time on a new server."""
    count = 100 if setting.quick else _number(entry.variant)
    cafile = setting.places.cafile if tls else None

    def measure() -> Sample:
        with servers.running(entry.peer, setting.places, tls=tls) as server, contextlib.ExitStack() as stack:

            def connect() -> raw_client.RawClient:
                client = raw_client.RawClient(server.port, cafile)
                stack.callback(client.close)
                client.get()
                return client

            first = [connect() for _ in range(10)]
            server.wait_until_quiet()
            before = server.memory()
            others = [connect() for _ in range(count - len(first))]
            server.wait_until_quiet()
            growth = server.memory() - before
            for client in (*first, *others):
                client.get()
            return {KILOBYTES: growth / len(others) / 1e3}

    yield measure


@contextlib.contextmanager
def _prepare_open_streams(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
    """Responses that have begun, to requests that have not ended. Each time on a new server."""
    connections, streams = 10, 5 if setting.quick else 20

    def measure() -> Sample:
        with servers.running(entry.peer, setting.places) as server, contextlib.ExitStack() as stack:
            opened = [raw_client.RawClient(server.port) for _ in range(connections)]
            for client in opened:
                stack.callback(client.close)
                client.get()
                client.open_streams(1)
            server.wait_until_quiet()
            before = server.memory()
            for client in opened:
                client.open_streams(streams)
            server.wait_until_quiet()
            return {KILOBYTES: (server.memory() - before) / (connections * streams) / 1e3}

    yield measure


def _of_free_threading() -> Iterator[Row]:
    for name, title, path, metric, bound in (
        ("free-threaded", "GET of 12 bytes", "/", free_threading.CPU_PER_REQUEST, 1),
        ("free-threaded-computing", "a handler that computes for 1 ms", "/compute", free_threading.ALONE, 1.7),
    ):
        yield Row(
            name,
            f"Server: {title}, without the GIL and with it, h2c",
            metric,
            functools.partial(free_threading.prepare, path=path),
            (OURS, servers.WITH_GIL),
            tuple(free_threading.VARIANTS),
            [
                Goal(free_threading.ALONE, Entry(OURS, variant), Entry(servers.WITH_GIL, variant), bound)
                for variant in free_threading.VARIANTS
            ],
            free_threaded=True,
        )


# -- clients


def _prepare_client(mode: str, *, tls: bool, peer: str = "nghttpd") -> Prepare:
    @contextlib.contextmanager
    def prepare(setting: Setting, entry: Entry) -> Iterator[Callable[[], Sample]]:
        with servers.running(peer, setting.places, tls=tls) as server:
            least = 1 if mode == "download" else 20
            count = setting.fitting(lambda count: clients.run(entry.peer, server, mode, count)[0], least)

            def measure() -> Sample:
                seconds, cpu = clients.run(entry.peer, server, mode, count)
                if mode == "download":
                    megabytes = count * setting.places.file_size / 1e6
                    return {MEGABYTES_PER_SECOND: megabytes / seconds, CPU_PER_MEGABYTE: cpu / megabytes * 1e6}
                return {REQUESTS_PER_SECOND: count / seconds, CPU_PER_REQUEST: cpu / count * 1e6}

            yield measure

    return prepare


# -- servers under attack


def _of_hostages() -> Iterator[Row]:
    for tls in (False, True):
        yield Row(
            "hostages-tls" if tls else "hostages",
            "Server: a bystander's wait while others hold 1,000 streams or connections, " + ("tls" if tls else "h2c"),
            hostages.LONGEST_WAIT,
            functools.partial(hostages.prepare, tls=tls),
            (OURS, servers.FOLDER, servers.APPLICATION, servers.UNDER_GUNICORN, "node"),
            hostages.KINDS,
            [
                goal
                for entry in (Entry(OURS, kind) for kind in hostages.KINDS)
                for goal in (
                    Goal(hostages.LONGEST_WAIT, entry, None, 2000, at_most=True),
                    Goal(hostages.DOWNLOADS, entry, None, hostages.DOWNLOADERS),
                )
            ],
            needs="",
            most_rounds=1,
        )
    events = Entry(OURS, hostages.EVENT_STREAMS)
    yield Row(
        "hostages-events",
        "Server: an ordinary request's wait beside streams of events on its connection, h2c",
        hostages.LONGEST_WAIT,
        hostages.prepare_event_streams,
        (OURS, "node"),
        (events.variant,),
        [Goal(hostages.LONGEST_WAIT, events, None, 1000, at_most=True)],
        needs="",
        most_rounds=1,
    )


def _of_busy_connections() -> Iterator[Row]:
    for tls in (False, True):
        yield Row(
            "busy-tls" if tls else "busy",
            "Server: newcomers' waits beside 50 connections busy with little, or 1,000 a second that are over, "
            + ("tls" if tls else "h2c"),
            hostages.LONGEST_WAIT,
            functools.partial(busy.prepare, tls=tls),
            (OURS, "node"),
            busy.KINDS,
            [Goal(hostages.LONGEST_WAIT, Entry(OURS, kind), None, 1000, at_most=True) for kind in busy.KINDS],
            needs="",
            most_rounds=1,
        )


# -- all of it

_SERVERS = (OURS, "node", "hypercorn", "gunicorn", "nghttpd")
_STREAMS = ("1 stream", "8 streams", "32 streams", "100 streams")
_CONNECTIONS = ("1 connection", "8 connections", "10 connections", "100 connections", "500 connections")


def _both_ways() -> Iterator[Row]:
    """The rows that are measured over h2c and over TLS."""
    for tls in (False, True):
        way = "tls" if tls else "h2c"
        yield Row(
            f"server-get-8x16-{way}",
            f"Server: GET of 12 bytes, 8 connections of 16 streams, {way}",
            REQUESTS_PER_SECOND,
            _prepare_gets(8, 16, tls=tls),
            _SERVERS,
            goals=_against(REQUESTS_PER_SECOND, node=0.6, hypercorn=6, gunicorn=6),
        )
        yield Row(
            f"server-get-1x1-{way}",
            f"Server: GET of 12 bytes, one after the other, {way}",
            REQUESTS_PER_SECOND,
            _prepare_gets(1, 1, tls=tls),
            _SERVERS,
            goals=_against(REQUESTS_PER_SECOND, node=0.7),
        )
        yield Row(
            f"server-download-{way}",
            f"Server: 100 MB of a file, {way}",
            MEGABYTES_PER_SECOND,
            _prepare_transfer(_download, tls=tls),
            (OURS, "node", "hypercorn", "nghttpd"),
            goals=_against(MEGABYTES_PER_SECOND, node=1.5 if tls else 4),
        )
        yield Row(
            f"server-upload-{way}",
            f"Server: upload of 100 MB, {way}",
            MEGABYTES_PER_SECOND,
            _prepare_transfer(_upload, tls=tls),
            _SERVERS,
            goals=_against(MEGABYTES_PER_SECOND, node=1),
            needs="curl",
        )


def _of_clients() -> Iterator[Row]:
    for tls in (False, True):
        way = "tls" if tls else "h2c"
        for mode, title, metric, goals in (
            ("sequence", "GET of 12 bytes, one after the other", REQUESTS_PER_SECOND, {"httpx": 2.5, "node": 1}),
            ("threads", "GET of 12 bytes, 8 at once on one connection", REQUESTS_PER_SECOND, {"httpx": 5, "node": 0.7}),
            ("download", "100 MB", MEGABYTES_PER_SECOND, {"node": 1.5, "httpx": 2}),
        ):
            yield Row(
                f"client-{mode}-{way}",
                f"Client: {title}, {way}",
                metric,
                _prepare_client(mode, tls=tls),
                clients.PEERS,
                goals=_against(metric, **goals),
                needs="nghttpd",
            )
    calls = Entry(clients.CALLS)
    yield Row(
        "client-calls",
        "Client: what a GET of 12 bytes costs, one after the other, h2c and HTTP/1.1",
        CPU_PER_REQUEST,
        _prepare_client("sequence", tls=False, peer=servers.BOTH_VERSIONS[OURS]),
        clients.CALLERS,
        goals=[
            Goal(CPU_PER_REQUEST, calls, Entry(OURS), 2, at_most=True),
            Goal(CPU_PER_REQUEST, calls, Entry("httpx"), 0.4, at_most=True),
        ],
        needs="",
    )


ROWS = (
    *_both_ways(),
    Row(
        "server-connections",
        "Server: GET of 12 bytes on many connections, h2c",
        REQUESTS_PER_SECOND,
        _prepare_connections,
        (OURS, "node", "hypercorn"),
        _CONNECTIONS,
        [Goal(CPU_PER_REQUEST, Entry(OURS, _CONNECTIONS[-1]), Entry(OURS, "8 connections"), 1.3, at_most=True)],
    ),
    Row(
        "server-streams",
        "Server: GET of 12 bytes on many streams of one connection, h2c",
        REQUESTS_PER_SECOND,
        _prepare_streams,
        (OURS, "node", "hypercorn"),
        _STREAMS,
        [Goal(CPU_PER_REQUEST, Entry(OURS, _STREAMS[-1]), Entry(OURS, _STREAMS[0]), 1.3, at_most=True)],
    ),
    Row(
        "server-latency",
        "Server: time to answer at half load, 8 connections, h2c",
        P50,
        _prepare_latency,
        (OURS, "node", "hypercorn", "gunicorn"),
        goals=[Goal(P99_BY_P50, Entry(OURS), None, 5, at_most=True)],
    ),
    Row(
        "server-varied-headers",
        "Server: GET with 20 header fields that differ each time, 8 connections of 16 streams, h2c",
        REQUESTS_PER_SECOND,
        _prepare_varied,
        _SERVERS,
        needs="",
    ),
    *(
        Row(
            f"server-idle-connections{suffix}",
            f"Server: memory of an idle connection, {protocol}",
            KILOBYTES,
            functools.partial(_prepare_idle_connections, tls=tls),
            (OURS, "node", "hypercorn", "nghttpd"),
            (f"{count:,} connections",),
            [Goal(KILOBYTES, Entry(OURS, f"{count:,} connections"), None, most, at_most=True)],
            needs="",
        )
        for suffix, protocol, tls, count, most in (("", "h2c", False, 2000, 50), ("-tls", "TLS", True, 500, 90))
    ),
    Row(
        "server-open-streams",
        "Server: memory of an open stream, h2c",
        KILOBYTES,
        _prepare_open_streams,
        (OURS, "node", "hypercorn"),
        needs="",
    ),
    Row(
        "server-waiting-requests",
        "Server: memory of 40,000 requests that wait on 400 connections, h2c",
        waiting.MEGABYTES,
        waiting.prepare,
        (OURS, "node"),
        waiting.VARIANTS,
        [
            Goal(waiting.BEYOND_PLAIN, Entry(OURS, waiting.OTHERS[0]), None, 60, at_most=True),
            Goal(waiting.KEPT, Entry(OURS, waiting.OTHERS[0]), None, waiting.CONNECTIONS * waiting.REQUESTS),
        ],
        needs="",
        most_rounds=1,
    ),
    Row(
        "server-processes",
        "Server: GET of 12 bytes, processes that share a port, 32 connections of 4 streams, h2c",
        REQUESTS_PER_SECOND,
        _prepare_processes,
        (OURS, "hypercorn", "gunicorn"),
        ("1 process", "2 processes"),
        [Goal(CPU_BY_PROCESSES, Entry(OURS, "1 process"), Entry(OURS, "2 processes"), 1.6)],
    ),
    Row(
        "server-wsgi",
        "Server: GET of 12 bytes from a WSGI application under gunicorn, 8 connections of 16 streams, h2c",
        REQUESTS_PER_SECOND,
        _prepare_wsgi,
        (OURS, "gunicorn"),
        goals=_against(REQUESTS_PER_SECOND, gunicorn=2.5),
        needs="gunicorn",
    ),
    *_of_free_threading(),
    *_of_hostages(),
    *_of_busy_connections(),
    *_of_clients(),
)
