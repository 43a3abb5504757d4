"""The command line as its users run it: `python -m sync_h2` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import sync_h2

from .forked_commands import ForkedCommands

PATIENCE = 60.0  # seconds, for what takes one: the machine may have much else to do

_PACKAGES = str(Path(sync_h2.__file__).parent.parent)


def environment(**changes: str) -> dict[str, str]:
    """A child's environment: it finds the same package, wherever it works."""
    paths = [_PACKAGES, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "100", **changes}


# The development mode reports what was left open.
_PYTHON = [sys.executable, "-X", "dev", "-W", "error"]
_forked: list[ForkedCommands] = []


@pytest.fixture(scope="session", autouse=True)
def forked_commands() -> Iterator[None]:
    """What `run` uses."""
    _forked.append(ForkedCommands(_PYTHON, environment()))
    yield
    _forked.pop().close()


def command(*arguments: object) -> list[str]:
    """A command for a process of its own, from its start."""
    return [*_PYTHON, "-m", "sync_h2", *map(str, arguments)]


def run(*arguments: object, cwd: Path | None = None, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    (commands,) = _forked
    return commands.run([*map(str, arguments)], cwd, environment(), input, PATIENCE)


def get(*arguments: object, **options: Any) -> bytes:
    """What `sync-h2 get` prints; it must succeed, without a word on stderr."""
    finished = run("get", *arguments, **options)
    errors = finished.stderr.decode()
    assert (finished.returncode, errors) == (0, ""), f"exit status {finished.returncode}: {errors}"
    return finished.stdout


class Running:
    """A command under way, whose lines on stderr can be waited for."""

    def __init__(self, *arguments: object, cwd: Path | None = None, **changes: str) -> None:
        self.process = subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environment(**changes),
            start_new_session=True,  # a terminal's Ctrl-C reaches all processes of a group
        )
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def match(self, pattern: str, count: int = 1) -> list[re.Match[str]]:
        """Wait until `count` lines match, and return the matches of all that do."""

        def found() -> list[re.Match[str]]:
            return [match for line in self._lines if (match := re.search(pattern, line))]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self._ended, PATIENCE)
            assert len(found()) >= count, f"{pattern} is not there {count} times:\n" + "\n".join(self._lines)
            return found()

    def signal(self, number: int, *, to_group: bool = False) -> None:
        if to_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end: the exit status."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def kill(self) -> None:
        """End it with all its processes, however it is."""
        if not self._ended:  # somebody still holds stderr
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.end()


@contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[tuple[Running, str]]:
    """`sync-h2 serve` on a free port, and its URL. A test that does not end it has it ended with SIGTERM."""
    server = Running("serve", "--port", "0", *arguments, **options)
    try:
        url = server.match(r"^sync-h2: serving .* at (\S+?),?( with .*)?$")[0][1]
        yield server, url
        if server.process.poll() is None:
            server.signal(signal.SIGTERM)
            assert server.end() == 0, server.lines
    finally:
        server.kill()
