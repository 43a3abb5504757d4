"""The clients to compare: a program each, which does one job in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from .servers import Server
from .workplace import BODY, PROGRAMS, environment, find_program

PATIENCE = 300.0
PEERS = ("sync_h2", "node", "httpx", "niquests", "pycurl")
CALLS = "sync_h2 calls"
CALLERS = ("sync_h2", CALLS, "httpx", "niquests", "requests", "urllib3")
"""Clients that are called alike, and the session below ours; the last two speak HTTP/1.1."""


def run(peer: str, server: Server, mode: str, requests: int) -> tuple[float, float]:
    """Make so many requests, in a mode of programs/client_job.py; returns seconds and the client's CPU seconds."""
    places = server.places
    download = mode == "download"
    job = {
        "url": server.url,
        "path": "/file" if download else "/",
        "cafile": str(places.cafile) if server.tls else None,
        "mode": mode,
        "requests": requests,
        "size": places.file_size if download else len(BODY),
    }
    if peer == "node":
        program = [find_program("node") or "node", str(PROGRAMS / "node_client.js")]
    else:
        program = [sys.executable, str(PROGRAMS / f"{peer.replace(' ', '_')}_client.py")]
    finished = subprocess.run(
        [*program, json.dumps(job)],
        env=environment(places),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if finished.returncode:
        reason = finished.stderr.rstrip().rpartition("\n")[2]
        raise RuntimeError(f"the client {peer} failed: {reason}\n{finished.stderr}")
    result = json.loads(finished.stdout)
    return result["seconds"], result["cpu_seconds"]
