"""The servers that are compared, as processes on a port of the loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sync_h2
from support.programs.others import accepts, free_port, program
from support.threads.background import eventually
from support.tls.certificates import Certificate

from .server_questions import Served

PROGRAMS = Path(__file__).with_name("programs")


def command_of(column: str, application: str, port: int, certificate: Certificate | None, folder: Path) -> list[str]:
    """`application` is of programs/, as MODULE:NAME; sync_h2's and Node's programs take a word for what they have."""
    places: dict[str, Any] = {"port": port, "tls": certificate is not None, "application": application}
    files: dict[str, Any] = {}
    if certificate:
        files = {"certfile": str(certificate.certfile), "keyfile": str(certificate.keyfile)}
    if column == "sync_h2" and application == "workers":
        cli = [sys.executable, "-m", "sync_h2", "serve", "--h2c", "--host", "localhost", "--port", str(port)]
        return [*cli, "--workers", "2", "serve_gunicorn:app"]
    if column == "sync_h2":
        return [sys.executable, str(PROGRAMS / "serve_sync_h2.py"), json.dumps({**places, **files})]
    if column == "node":
        return [program("node"), str(PROGRAMS / "serve_node.js"), json.dumps({**places, **files})]
    workers = 1 if certificate else 2
    if column == "hypercorn":
        values = {"bind": f"localhost:{port}", "graceful_timeout": 30, "workers": workers, **files}
        options = folder / "options.toml"
        options.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        return [sys.executable, "-m", "hypercorn", "--config", str(options), application]
    worker = "asgi" if application.startswith("serve_asgi") else "gthread"
    options = ["-k", worker, "--bind", f"localhost:{port}", "--no-control-socket", "--http-protocols", "h2,h1"]
    options += ["--workers", str(workers), *([] if worker == "asgi" else ["--threads", "8"])]
    if certificate:
        options += ["--certfile", files["certfile"], "--keyfile", files["keyfile"]]
    else:
        options += ["--http2-cleartext", "both"]
    return [sys.executable, "-m", "gunicorn", *options, application]


@contextlib.contextmanager
def serving(column: str, application: str, certificate: Certificate, folder: Path, tls: bool) -> Iterator[Served]:
    """Runs one while the block lasts."""
    port = free_port()
    command = command_of(column, application, port, certificate if tls else None, folder)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    searched = [str(PROGRAMS), str(PROGRAMS.parents[1]), str(Path(sync_h2.__file__).parent.parent)]
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            command,
            cwd=PROGRAMS,
            env={**inherited, "PYTHONPATH": os.pathsep.join(searched), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            eventually(lambda: accepts(port) or process.poll() is not None, "a server that accepts")
            log.seek(0)
            assert process.poll() is None, log.read()
            yield Served(port, str(certificate.cafile), tls, lambda: process.send_signal(signal.SIGTERM))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
