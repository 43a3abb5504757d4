"""The servers to compare: how each is started, as plainly as a good user would, and what its processes take."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from support.programs.others import accepts, free_port

from .workplace import PROGRAMS, Workplace, environment, find_program

START_SECONDS = 20.0

UNDER_GUNICORN = "sync_h2 under gunicorn"
FOLDER, APPLICATION = "sync_h2 serve FOLDER", "sync_h2 serve MODULE:APP"
WITHOUT_GIL, WITH_GIL = "sync_h2 without the GIL", "sync_h2 with the GIL"
"""Both on the same interpreter, a free-threaded one."""
BOTH_VERSIONS = {"sync_h2": "sync_h2 with HTTP/1.1", "node": "node with HTTP/1.1"}
"""Peer -> its server when that has clients of HTTP/1.1, too."""


def _cpu_clock(pid: int) -> int:
    """The clock of a process' CPU time, as clock_getcpuclockid(3) has it on Linux: finer than /proc/PID/stat."""
    return ~pid << 3 | 2


class Server:
    """A running server: a process with all its descendants."""

    def __init__(self, pid: int, port: int, places: Workplace, *, tls: bool) -> None:
        self.port = port
        self.tls = tls
        self.places = places
        self.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        self._pid = pid

    def _processes(self) -> Iterator[int]:
        found = [self._pid]
        while found:
            pid = found.pop()
            yield pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
                    found += map(int, (task / "children").read_text().split())

    def cpu_seconds(self) -> float:
        """Spent since it was started."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self._processes())

    def memory(self) -> int:
        """Resident, in bytes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._processes())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_until_quiet(self) -> None:
        """Wait until it does nothing: for what follows from requests that were answered already."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(0.05)
            if self.cpu_seconds() - before < 0.002:
                return
        raise RuntimeError("the server does not come to rest")


Command = Callable[[int, Workplace, bool, int], list[str]]


def _ours(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    return [sys.executable, str(PROGRAMS / "sync_h2_server.py"), _options(port, places, tls, processes)]


def _without_gil(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    _, *program = _ours(port, places, tls, processes)
    return [places.free_threaded or "python3t", "-X", "gil=0", *program]


def _with_gil(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    _, *program = _ours(port, places, tls, processes)
    return [places.free_threaded or "python3t", "-X", "gil=1", *program]


def _node(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    return [find_program("node") or "node", str(PROGRAMS / "node_server.js"), _options(port, places, tls, processes)]


def _with_http1(command: Command) -> Command:
    """The same server, for clients of HTTP/1.1 too."""

    def changed(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
        *program, options = command(port, places, tls, processes)
        return [*program, json.dumps({**json.loads(options), "http1": True})]

    return changed


def _folder(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    return _serve(str(places.folder), port, places, tls)


def _application(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    return _serve("wsgi_app:app", port, places, tls)


def _serve(target: str, port: int, places: Workplace, tls: bool) -> list[str]:
    options = ["--cert", str(places.certfile), "--key", str(places.keyfile)] if tls else ["--h2c"]
    return [sys.executable, "-m", "sync_h2", "serve", *options, "--quiet", "--port", str(port), target]


def _options(port: int, places: Workplace, tls: bool, processes: int) -> str:
    return json.dumps(
        {
            "port": port,
            "file": str(places.file),
            "certfile": str(places.certfile) if tls else None,
            "keyfile": str(places.keyfile) if tls else None,
            "processes": processes,
            "http1": False,
        }
    )


def _hypercorn(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--workers", str(processes)]
    command += ["--config", "python:hypercorn_config"]
    if tls:
        command += ["--certfile", str(places.certfile), "--keyfile", str(places.keyfile)]
    return [*command, "asgi_app:app"]


def _gunicorn(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    options = ["--worker-class", "gthread", "--threads", "16", "--http-protocols", "h2,h1"]
    if not tls:
        options += ["--http2-cleartext", "prior-knowledge"]
    return _under_gunicorn(port, places, tls, processes, options)


def _our_worker(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    return _under_gunicorn(port, places, tls, processes, ["--worker-class", "sync_h2.gunicorn.Worker"])


def _under_gunicorn(port: int, places: Workplace, tls: bool, processes: int, options: list[str]) -> list[str]:
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(processes), *options]
    command += ["--log-level", "critical"]
    if tls:
        command += ["--certfile", str(places.certfile), "--keyfile", str(places.keyfile)]
    return [*command, "wsgi_app:app"]


def _nghttpd(port: int, places: Workplace, tls: bool, processes: int) -> list[str]:
    command = [find_program("nghttpd") or "nghttpd", "--address=127.0.0.1", f"--htdocs={places.folder}"]
    if tls:
        return [*command, str(port), str(places.keyfile), str(places.certfile)]
    return [*command, "--no-tls", str(port)]


COMMANDS: dict[str, Command] = {
    "sync_h2": _ours,
    "node": _node,
    "hypercorn": _hypercorn,
    "gunicorn": _gunicorn,
    UNDER_GUNICORN: _our_worker,
    FOLDER: _folder,
    APPLICATION: _application,
    WITHOUT_GIL: _without_gil,
    WITH_GIL: _with_gil,
    BOTH_VERSIONS["sync_h2"]: _with_http1(_ours),
    BOTH_VERSIONS["node"]: _with_http1(_node),
    "nghttpd": _nghttpd,
}


@contextlib.contextmanager
def running(peer: str, places: Workplace, *, tls: bool = False, processes: int = 1) -> Iterator[Server]:
    """The peer's server while the block lasts, from when it accepts connections on.

    Between the choice of a free port and the program's bind another process can take it; then another is tried.
    """
    with tempfile.TemporaryFile("w+") as log:
        for _attempt in range(5):
            port = free_port()
            process = subprocess.Popen(
                COMMANDS[peer](port, places, tls, processes),
                cwd=PROGRAMS,
                env=environment(places),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                deadline = time.monotonic() + START_SECONDS
                while process.poll() is None and time.monotonic() < deadline:
                    if accepts(port):
                        yield Server(process.pid, port, places, tls=tls)
                        return
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.02)
            finally:
                # Its children too; Ctrl-C does not reach them, as they are a session of their own.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        raise RuntimeError(f"{peer} did not start:\n{log.read()}")
