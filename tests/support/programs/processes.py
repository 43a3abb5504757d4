"""Programs that tests run as processes of their own: for the end of an interpreter, and what follows a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

PRELUDE = """
import gc, os, queue, signal, socket, sys, threading, time, warnings
import sync_h2
from sync_h2.testing import pair

if os.environ.get("SYNC_H2_STRESS") == "1":
    sys.setswitchinterval(1e-6)

def echo(stream, headers):
    stream.end(stream.read())

def exchange(session, body=b"hello"):
    stream = session.request({":method": "POST"}, timeout=10)
    stream.write(body, timeout=10)
    stream.end(timeout=10)
    assert stream.read(timeout=10) == body

def in_background(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread

def eventually(condition):
    deadline = time.monotonic() + 40
    while not (outcome := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.002)
    return outcome

def waits(stream):
    return stream._state.reader_waits or stream._state.writer_waits

def say(line):
    print(line, flush=True)
"""


class Process:
    """A program that says something line by line."""

    def __init__(self, program: str, *arguments: str, takes_input: bool = False) -> None:
        # Not measured by coverage, which takes seconds to save what it counted while other threads go on at exit.
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_PROCESS_")}
        # Since Python 3.12 forking with threads warns; doing it well is what is tested here.
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELUDE + program, *arguments],
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**unmeasured, "SYNC_H2_DEBUG": "1", "PYTHONFAULTHANDLER": "1"},
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate()[1]
        return line.rstrip("\n")

    def says(self, expected: str) -> None:
        """Its next line is this one; otherwise what it says of its end is shown."""
        line = self.line()
        assert line == expected, (line, self.end())

    def end(self, timeout: float = 60.0) -> tuple[int, str, str]:
        """Exit status, the rest of the output, and stderr."""
        out, errors = self._process.communicate(timeout=timeout)
        return self._process.returncode, out, errors

    def seconds_to_exit(self) -> tuple[float, int, str]:
        """From now on; with the exit status and stderr."""
        started = time.monotonic()
        status, _, errors = self.end()
        return time.monotonic() - started, status, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start() -> Iterator[Any]:
    processes: list[Process] = []

    def run(program: str, *arguments: str, **options: bool) -> Process:
        processes.append(Process(program, *arguments, **options))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()


FORK = """
def fork(child):
    \"\"\"Run `child()` in a forked child, and return its pid; what it raises is printed and gives status 1.\"\"\"
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        child()
        status = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

def ended(pid):
    \"\"\"Wait for the child; it may need 30 s, for what takes milliseconds.\"\"\"
    deadline = time.monotonic() + 30
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            assert status == 0, status
            return
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGABRT)
            raise AssertionError("the child hangs")
        time.sleep(0.002)

def refuses(call):
    try:
        call()
    except sync_h2.SessionClosed as error:
        assert "parent" in str(error), error
    else:
        raise AssertionError("the call went through in a child")
"""


def succeeds(start: Any, program: str, *arguments: str) -> None:
    status, _, errors = start(FORK + program, *arguments).end()
    assert (status, errors) == (0, "")
