"""The Python of one page: a process of its own, as one interactive session. See interactive.py, which it runs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from .blocks import Block, PageError
from .time_limit import TimeLimit

PROGRAM = Path(__file__).with_name("interactive.py")
MARK = "  # "


class Interpreter:
    """Runs Python blocks. What it writes on stderr goes to the file `log`."""

    def __init__(self, directory: Path, environment: dict[str, str], log: Path, limit: TimeLimit) -> None:
        self._log, self._limit = log, limit
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", str(PROGRAM)],
                cwd=directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def run(self, block: Block, matches: Any) -> None:
        """Raises PageError unless the block prints what its comments say; `matches(expected, lines)` compares."""
        assert self._process.stdin is not None
        request = {"source": block.source, "page": str(block.page), "line": block.line}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._answer(block.place)
        if answer["raised"] is not None:
            raise PageError(f"{block.place}: the block raised\n{answer['raised']}{self._said()}")
        expected = [
            line.rsplit(MARK, 1)[1]
            for line in block.source.splitlines()
            if line.strip().startswith("print(") and MARK in line
        ]
        printed = answer["printed"].splitlines()
        if not matches(expected, printed):
            raise PageError(
                f"{block.place}: the block printed\n{shown(printed)}and its comments say\n{shown(expected)}"
            )

    def finish(self, page: Path) -> None:
        """Ends the session; raises PageError for what failed unseen, such as a ResourceWarning or a thread."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if failures := self._answer(str(page))["failures"]:
            raise PageError(f"{page}: besides what its blocks say there came\n" + "\n".join(failures))
        try:
            status = self._process.wait(self._limit.left())
        except subprocess.TimeoutExpired:
            raise PageError(f"{page}: {self._limit}: its Python does not end{self._said()}") from None
        if status:
            raise PageError(f"{page}: its Python ended with {status}{self._said()}")

    def kill(self) -> None:
        """Ends it, and what it has started."""
        with contextlib.suppress(ProcessLookupError):  # none is left
            os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what was not taken is not of interest
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _answer(self, place: str) -> Any:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], self._limit.left())[0]:
            raise PageError(f"{place}: {self._limit}{self._said()}")
        if not (line := self._process.stdout.readline()):
            raise PageError(f"{place}: the interpreter ended{self._said()}")
        return json.loads(line)

    def _said(self) -> str:
        said = self._log.read_text()
        return f"\nOn stderr:\n{said}" if said else ""


def shown(lines: list[str]) -> str:
    return "".join(f"    {line}\n" for line in lines) or "    nothing\n"
