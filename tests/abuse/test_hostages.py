"""Attacks on a server's threads: by clients whose windows stay shut, whose bodies never end, who read nothing, or who
do it little by little. While all that stands, a bystander on new connections is served.

The servers' own timeouts are far longer than the bystander's patience, so that waiting for them is no way out.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.attacks import hostage_server
from support.attacks import hostage_takers as attacks
from support.attacks.honest_clients import Bystander, Download
from support.attacks.hostage_server import HELLO, pieces
from support.attacks.hostage_takers import attacking
from support.attacks.raw_clients import Crowd, Where, gathered
from support.attacks.victim import Costs
from support.programs.command_line import serving
from support.programs.gunicorns import gunicorn
from support.tls.certificates import Certificate

__all__ = ["gunicorn"]

PATIENCE = 10.0
LONG = 600.0
"""Seconds, for a server's timeouts."""
ROUNDS = 10
"""How often the bystander is served in the middle of an attack."""
LARGE = 20_000_000
"""More than kernels take for a connection."""


@dataclass(frozen=True)
class Target:
    """A server, and the paths to attack: each answers, or reads, in another way."""

    where: Where
    pid: int
    large: Sequence[str]
    """Answers of more than what kernels take."""
    short: Sequence[str]
    reads: str = "/read"
    """Reads the request's body."""
    hello: str = "/"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    with path.open("wb") as opened:
        opened.writelines(pieces(LARGE))
    return path


LARGE_ANSWERS = {
    "stream": [f"/big/{LARGE}", "/file"],
    "wsgi": [f"/list/{LARGE}", f"/generator/{LARGE}", f"/write/{LARGE}", "/file"],
    "class": [f"/big/{LARGE}"],
}
Start = Callable[..., Target]


@pytest.fixture
def start(certificate: Certificate, file: Path) -> Iterator[Start]:
    """Starts a server of one kind (see hostage_server.py), with few workers."""
    processes: list[subprocess.Popen[bytes]] = []

    def make(kind: str, *, tls: bool = False, **options: Any) -> Target:
        files = {"certfile": str(certificate.certfile), "keyfile": str(certificate.keyfile)} if tls else {}
        options = {"max_workers": 4, "read_timeout": LONG, "write_timeout": LONG, **options}
        job = {"kind": kind, "tls": files, "options": options, "file": str(file)}
        command = [sys.executable, hostage_server.__file__, json.dumps(job)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(process)
        assert process.stdout is not None
        where = Where(("127.0.0.1", int(process.stdout.readline())), str(certificate.cafile) if tls else None)
        short = [f"/{way}/1000" for way in ("list", "generator", "write")] if kind == "wsgi" else ["/big/1000"]
        return Target(where, process.pid, LARGE_ANSWERS[kind], short)

    yield make
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            code = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert code == 0


def place(url: str) -> Where:
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    return Where((host, int(port)))


@pytest.fixture
def folder(file: Path) -> Iterator[Target]:
    """`sync-h2 serve`, whose workers are as many as they are by default."""
    (file.parent / "small").write_bytes(bytes(1000))
    (file.parent / "hello").write_bytes(HELLO)
    with serving("--h2c", "--quiet", file.parent) as (running, url):
        yield Target(place(url), running.process.pid, ["/large"], ["/small"], hello="/hello")


@pytest.fixture
def worker(gunicorn: Any, file: Path) -> Target:
    process = gunicorn(
        "--threads=8", "--timeout=0", app="support.attacks.hostage_server:application", HOSTAGE_FILE=str(file)
    )
    (url,) = process.addresses()
    process.says("Booting worker")
    return Target(place(url), process.workers()[0], LARGE_ANSWERS["wsgi"], ["/list/1000", "/generator/1000"])


Make = Callable[[], Any]

ATTACKS: dict[str, Callable[[Target, int], Make]] = {
    "shut windows": lambda target, count: partial(attacks.shut_windows, target.where, count, target.large),
    "shut windows, short answers": lambda target, count: partial(
        attacks.shut_windows, target.where, count, target.short
    ),
    "an octet now and then": lambda target, count: partial(
        attacks.windows_of_an_octet, target.where, count, [*target.large, *target.short], 0.3
    ),
    "a shut connection": lambda target, count: partial(attacks.shut_connection, target.where, count, target.large),
    "nobody reads": lambda target, count: partial(attacks.nobody_reads, target.where, count, target.large),
    "unfinished bodies": lambda target, count: partial(attacks.unfinished_bodies, target.where, count, target.reads),
    "bodies of an octet now and then": lambda target, count: partial(
        attacks.bodies_of_an_octet, target.where, count, target.reads, 0.3
    ),
}
WINDOWS = [name for name in ATTACKS if "bodies" not in name]
ONE_OF_A_KIND = ["shut windows", "nobody reads", "unfinished bodies"]
"""Where what differs between the attacks is not what is new."""

HTTP1_ATTACKS: dict[str, Callable[[Target], Make]] = {
    "bodies": lambda target: partial(attacks.http1_body, target.where, target.reads),
    "answers": lambda target: partial(attacks.http1_answers, target.where, target.large[0]),
    "pipelined answers": lambda target: partial(attacks.http1_answers, target.where, target.large[0], 20),
    "many short answers": lambda target: partial(attacks.http1_answers, target.where, "/big/60000", 50),
}


def serves_others(target: Target, makers: Sequence[Make]) -> None:
    """A bystander is served while these attackers stand, all of them, until no more threads come of it: an attack takes
    hold little by little.
    """
    with attacking(makers) as standing:
        at_first = standing()
        assert at_first
        with Bystander(target.where, target.hello, HELLO) as bystander:
            costs = Costs(target.pid)
            threads = 0
            while threads != (threads := costs.threads):
                bystander.served(ROUNDS)
            assert standing() == at_first, f"{at_first - standing()} of {at_first} have been given up"


@pytest.mark.parametrize("name", ATTACKS)
def test_handlers_of_streams(start: Start, name: str) -> None:
    target = start("stream")
    serves_others(target, [ATTACKS[name](target, 20)] * 5)


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_handlers_of_streams_over_tls(start: Start, name: str) -> None:
    target = start("stream", tls=True)
    serves_others(target, [ATTACKS[name](target, 20)] * 5)


@pytest.mark.parametrize("name", ATTACKS)
def test_applications(start: Start, name: str) -> None:
    target = start("wsgi")
    serves_others(target, [ATTACKS[name](target, 20)] * 5)


@pytest.mark.parametrize("name", ONE_OF_A_KIND)
def test_handler_classes(start: Start, name: str) -> None:
    target = start("class")
    serves_others(target, [ATTACKS[name](target, 20)] * 5)


@pytest.mark.parametrize("name", WINDOWS)
def test_files_of_a_folder(folder: Target, name: str) -> None:
    serves_others(folder, [ATTACKS[name](folder, 75)] * 4)


@pytest.mark.parametrize("name", [*ONE_OF_A_KIND, "shut windows, short answers"])
def test_gunicorns_worker(worker: Target, name: str) -> None:
    serves_others(worker, [ATTACKS[name](worker, 20)] * 5)


@pytest.mark.parametrize("name", HTTP1_ATTACKS)
@pytest.mark.parametrize("kind", ["stream", "wsgi"])
def test_clients_of_http1(start: Start, kind: str, name: str) -> None:
    target = start(kind)
    serves_others(target, [HTTP1_ATTACKS[name](target)] * 100)


@pytest.mark.parametrize("name", ["bodies", "answers"])
def test_clients_of_http1_over_tls(start: Start, name: str) -> None:
    target = start("stream", tls=True)
    serves_others(target, [HTTP1_ATTACKS[name](target)] * 50)


@pytest.mark.parametrize("name", ["bodies", "answers"])
def test_clients_of_http1_at_gunicorns_worker(worker: Target, name: str) -> None:
    serves_others(worker, [HTTP1_ATTACKS[name](worker)] * 50)


def test_clients_of_http1_that_read_no_file(folder: Target) -> None:
    """As many as there are workers, and more."""
    serves_others(folder, [HTTP1_ATTACKS["answers"](folder)] * 300)


@pytest.mark.parametrize("name", ["shut windows", "unfinished bodies"])
def test_as_many_as_may_wait(start: Start, name: str) -> None:
    """Ten connections of 100 streams, with the options as they are."""
    target = start("stream", max_workers=256)
    serves_others(target, [ATTACKS[name](target, 100)] * 10)


DOWNLOAD = 100_000
"""Octets: more than a handler is rid of at once."""


def honest(target: Target, path: str) -> list[Download]:
    """Clients that take two seconds for an answer, in either of two ways."""
    ways = [
        partial(Download, target.where, path, DOWNLOAD, DOWNLOAD / 2, by_reading=bool(number % 2))
        for number in range(10)
    ]
    return gathered(ways)  # type: ignore[return-value]  # all are downloads


def assert_finished(downloads: Sequence[Download]) -> None:
    """Wait until all have come whole."""
    deadline = time.monotonic() + 4 * PATIENCE
    while any(download.outcome is None for download in downloads) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [download.outcome for download in downloads] == [""] * len(downloads)
    expected = hashlib.sha256(b"".join(pieces(DOWNLOAD))).digest()
    assert all(download.digest == expected for download in downloads)


@pytest.mark.parametrize("name", ["shut windows", "nobody reads", "unfinished bodies"])
@pytest.mark.parametrize(("kind", "way"), [("stream", "big"), ("wsgi", "generator")])
def test_slow_downloads_come_whole_in_the_middle_of_it(start: Start, kind: str, way: str, name: str) -> None:
    target = start(kind)
    with attacking([ATTACKS[name](target, 20)] * 5):
        downloads = honest(target, f"/{way}/{DOWNLOAD}")
        with Crowd(downloads):
            assert_finished(downloads)


@pytest.mark.parametrize("name", ["shut windows", "unfinished bodies"])
def test_more_than_may_wait(start: Start, name: str) -> None:
    """The attackers lose streams, others nothing: slow downloads go on, and the bystander is served."""
    target = start("stream", max_waiting_handlers=50)
    downloads = honest(target, f"/big/{DOWNLOAD}")
    with (
        Crowd(downloads),
        attacking([ATTACKS[name](target, 50)] * 3) as standing,
        Bystander(target.where, target.hello, HELLO) as bystander,
    ):
        bystander.served(ROUNDS)
        assert_finished(downloads)
        assert standing() <= 50
