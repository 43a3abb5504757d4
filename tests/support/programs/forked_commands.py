"""Runs commands of `python -m sync_h2` in forked children of one process that has imported it: to start the interpreter
takes ten times as long as most commands. A child has streams of its own and ends as any process does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = r"""
import json, os, socket, sys
import sync_h2.cli

def next_job(requests):
    while True:
        message, streams, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not message:
            return None
        child = os.fork()
        if not child:
            requests.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return json.loads(message)
        for stream in streams:
            os.close(stream)
        requests.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        requests.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

job = next_job(socket.socket(fileno=int(sys.argv[1])))
if job is not None:
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = ["sync-h2", *job["arguments"]]
    sys.exit(sync_h2.cli.main())
"""


class ForkedCommands:
    """The process that forks; one command at a time."""

    def __init__(self, interpreter: Sequence[str], environment: Mapping[str, str]) -> None:
        """`interpreter` is Python with its options."""
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [*interpreter, "-c", PROGRAM, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=dict(environment))
        self._answers = self._socket.makefile("r")

    def run(
        self,
        arguments: Sequence[str],
        folder: Path | None,
        environment: Mapping[str, str],
        given: bytes,
        timeout: float,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, with `given` as its standard input; it is killed after `timeout` seconds."""
        job = {"arguments": arguments, "folder": str(folder or os.curdir), "environment": dict(environment)}
        temporary = tempfile.TemporaryFile
        with self._lock, temporary() as stdin, temporary() as stdout, temporary() as stderr:
            stdin.write(given)
            stdin.seek(0)
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._socket, [json.dumps(job).encode()], streams)
            child = int(self._answers.readline())
            too_late = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
            too_late.start()
            try:
                status = int(self._answers.readline())
            finally:
                too_late.cancel()
                too_late.join()
            for stream in (stdout, stderr):
                stream.seek(0)
            return subprocess.CompletedProcess(list(arguments), status, stdout.read(), stderr.read())

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.wait()
