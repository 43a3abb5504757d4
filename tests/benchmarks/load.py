"""How servers are put to work: h2load and curl, run to their end."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from .servers import Server
from .workplace import find_program

PATIENCE = 300.0
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def h2load(
    server: Server,
    requests: int,
    clients: int,
    streams: int,
    *,
    path: str = "/",
    window_bits: int = 30,
    rate: int | None = None,
    log_file: Path | None = None,
) -> float:
    """So many requests by so many connections with so many streams at once; with a `rate`, each connection starts that
    many a second. Returns the seconds from the first connection to the last response.
    """
    command = [find_program("h2load") or "h2load", f"-n{requests}", f"-c{clients}", f"-m{streams}"]
    command += [f"-w{window_bits}", f"-W{window_bits}"]
    if rate is not None:
        command.append(f"--rps={rate}")
    if log_file is not None:
        command.append(f"--log-file={log_file}")
    output = _run([*command, server.url + path])
    succeeded = re.search(r"(\d+) succeeded, 0 failed, 0 errored, 0 timeout", output)
    good = re.search(r"status codes: (\d+) 2xx", output)
    took = re.search(r"finished in ([\d.]+)(us|ms|s)\b", output)
    if not (succeeded and good and took and int(succeeded[1]) == int(good[1]) == requests):
        raise RuntimeError(f"requests failed:\n{output}")
    return float(took[1]) * _SECONDS[took[2]]


def timed(server: Server, act: Callable[[], float]) -> tuple[float, float]:
    """The seconds that `act` says it took, and the server's CPU seconds until it has come to rest again."""
    server.wait_until_quiet()
    before = server.cpu_seconds()
    seconds = act()
    server.wait_until_quiet()
    return seconds, server.cpu_seconds() - before


def latencies(server: Server, requests: int, clients: int, streams: int, rate: int) -> list[float]:
    """Milliseconds from each request to its response's end, in order of size."""
    with tempfile.NamedTemporaryFile("r") as log:
        h2load(server, requests, clients, streams, rate=rate, log_file=Path(log.name))
        return sorted(int(line.split()[2]) / 1e3 for line in log)


def percentile(sorted_values: list[float], percent: int) -> float:
    return statistics.quantiles(sorted_values, n=100, method="inclusive")[percent - 1]


def curl_upload(server: Server) -> float:
    """PUT the file; returns the seconds from the connection's readiness to the response's end."""
    places = server.places
    command = [find_program("curl") or "curl", "--silent", "--show-error", "--upload-file", str(places.file)]
    command += ["--http2", "--cacert", str(places.cafile)] if server.tls else ["--http2-prior-knowledge"]
    command += ["--write-out", "\n%{json}", f"{server.url}/upload"]
    body, _, written = _run(command).rpartition("\n")
    report = json.loads(written)
    # nghttpd answers with the file of that name, which is empty.
    received = report["http_code"] == 200 and body in ("", str(places.file_size))
    if not received or report["size_upload"] != places.file_size:
        raise RuntimeError(f"the upload failed: {body} {written}")
    seconds: float = report["time_total"] - report["time_pretransfer"]
    return seconds


def _run(command: list[str]) -> str:
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    if finished.returncode:
        raise RuntimeError(f"{command} ended with {finished.returncode}\n{finished.stdout}\n{finished.stderr}")
    return finished.stdout
