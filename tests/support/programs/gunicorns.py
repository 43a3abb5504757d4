"""gunicorn with our worker, as a process with its children."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2

from ..threads.background import PATIENCE, eventually

TESTS = Path(__file__).parents[2]


class Gunicorn:
    """A master process and its workers, started with these options; `log` has what they say."""

    def __init__(self, folder: Path, options: tuple[str, ...], app: str, environ: dict[str, str]) -> None:
        self._log = folder / f"gunicorn-{len(list(folder.iterdir()))}.log"
        # Not measured by coverage, whose data a worker that is killed would lose.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        searched = [str(TESTS), str(Path(sync_h2.__file__).parent.parent), *sys.path]
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "sync_h2.gunicorn.Worker", "--no-control-socket"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *options, app],
                cwd=folder,
                env={**inherited, "PYTHONPATH": os.pathsep.join(searched), **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def addresses(self) -> list[str]:
        """Where it listens, as URLs."""
        self.says("Listening at: ")
        found = re.search(r"Listening at: (\S+) \(", self.log)
        assert found, self.log
        return found[1].split(",")

    def workers(self) -> list[int]:
        """The processes that it has started so far, the dead ones too."""
        return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", self.log)]

    def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said `text` so often."""
        eventually(lambda: self.log.count(text) >= times or self._process.poll() is not None, f"{text!r} in {self.log}")
        assert self.log.count(text) >= times, self.log

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait(PATIENCE * 2)

    def kill(self) -> None:
        for _ in range(2):  # a second time for a worker that the first found being forked
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.01)
        self._process.wait()


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Any]:
    """`gunicorn("--workers=2", …)` starts one, with a port of its own unless it is told where to `--bind`."""
    started = []
    folder = tmp_path / "gunicorn"
    folder.mkdir()

    def start(*options: str, app: str = "compat.applications.workload:app", **environ: str) -> Gunicorn:
        if not any(option.startswith("--bind") for option in options):
            options = ("--bind=127.0.0.1:0", *options)
        started.append(Gunicorn(folder, options, app, environ))
        return started[-1]

    yield start
    for process in started:
        process.kill()
