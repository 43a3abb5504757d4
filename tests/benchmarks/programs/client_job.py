"""What the benchmarks' clients have in common. One argument, JSON: {url, path, cafile, mode, requests, size}. It makes
that many requests, one after the other (`sequence`), by 8 threads that share one session (`threads`), or for a body
of `size` bytes each (`download`), and prints the seconds and the CPU seconds that they took, as JSON. A first request,
which makes the connection, does not count.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

THREADS = 8


@dataclass(frozen=True)
class Job:
    url: str
    path: str
    cafile: str | None
    mode: str
    requests: int
    size: int


def expect(condition: bool) -> None:
    """An assertion that also holds with -O."""
    if not condition:
        raise RuntimeError("not the response that was expected")


def in_threads(act: Callable[[], None], times: int) -> None:
    """Call `act` so many times, by 8 threads."""
    failures: list[BaseException] = []

    def run(count: int) -> None:
        try:
            for _ in range(count):
                act()
        except BaseException as error:
            failures.append(error)

    shares = [times // THREADS + (number < times % THREADS) for number in range(THREADS)]
    threads = [threading.Thread(target=run, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def timed(job: Job, act: Callable[[], object]) -> None:
    """Call `act`, which makes all of the job's requests, and print what it took."""
    started, cpu_before = time.perf_counter(), time.process_time()
    act()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_before
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}))


def the_job() -> Job:
    return Job(**json.loads(sys.argv[1]))


def main(connect: Callable[[Job], Any], get: Callable[[Any, Job], None], download: Callable[[Any, Job], None]) -> None:
    """Do the job with a client's ways to connect, to fetch a small body, and to fetch a large one in pieces."""
    job = the_job()
    request = download if job.mode == "download" else get
    with connect(job) as session:
        request(session, job)

        def act() -> None:
            if job.mode == "threads":
                in_threads(lambda: request(session, job), job.requests)
            else:
                for _ in range(job.requests):
                    request(session, job)

        timed(job, act)
