"""What one free-threaded interpreter reaches without the GIL and with it: the same server, in turns."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import load, servers

if TYPE_CHECKING:
    from .rows import Entry, Setting

VARIANTS = {"2 connections of 16": (2, 16), "8 connections of 16": (8, 16), "64 connections of 4": (64, 4)}
"""Each with the connections and the streams that each of them has open at once."""

REQUESTS_PER_SECOND, ALONE = "requests/s", "requests/s alone"
CPU_PER_REQUEST = "CPU us/request"
CORES, CORES_OF_LOAD, CORES_OF_OTHERS = "cores", "cores of h2load", "cores of others"


@contextlib.contextmanager
def prepare(setting: Setting, entry: Entry, *, path: str) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Without the GIL for the peer `sync_h2`. The CPU that connecting and closing take is not counted. Where others use
    much of the machine the rates tell nothing.
    """
    gil = entry.peer == servers.WITH_GIL
    connections, streams = VARIANTS[entry.variant]
    with servers.running(servers.WITH_GIL if gil else servers.WITHOUT_GIL, setting.places) as server:

        def act(requests: int) -> float:
            return load.h2load(server, requests, connections, streams, path=path)

        requests = setting.fitting(act, connections if setting.quick else 4 * connections * streams)

        def measure() -> Mapping[str, float]:
            _, of_connecting = load.timed(server, lambda: act(connections))
            began, of_load, of_all = time.monotonic(), _cpu_of_load(), _cpu_of_all()
            seconds, cpu = load.timed(server, lambda: act(connections + requests))
            of_load, of_all = _cpu_of_load() - of_load, _cpu_of_all() - of_all
            of_others = max(of_all - of_load - cpu, 0.0) / (time.monotonic() - began)
            rate = (connections + requests) / seconds
            return {
                CPU_PER_REQUEST: max(cpu - of_connecting, 0.0) / requests * 1e6,
                REQUESTS_PER_SECOND: rate,
                ALONE: alone(rate, of_load / seconds, len(os.sched_getaffinity(0)), gil=gil),
                CORES: cpu / seconds,
                CORES_OF_LOAD: of_load / seconds,
                CORES_OF_OTHERS: of_others,
            }

        yield measure


def alone(rate: float, cores_of_load: float, cores: int, *, gil: bool) -> float:
    """The rate that the server would have reached, had it not shared the machine's cores with who asks. With the GIL
    one core is all that it has use for.
    """
    useful = 1 if gil else cores
    left = max(min(cores - cores_of_load, useful), 0.1)
    return rate * useful / left


def _cpu_of_load() -> float:
    """Of all children that have ended: h2load's seconds, as servers go on."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of_all() -> float:
    """Seconds for which anybody, the kernel and other machines too, had the cores that this process may use."""
    cores = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in cores:
            user, nice, system, _idle, _waiting, interrupt, soft, stolen = map(int, fields[:8])
            ticks += user + nice + system + interrupt + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK")
