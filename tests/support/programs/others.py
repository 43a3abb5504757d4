"""Other people's HTTP/2 programs: started as servers on loopback ports, or run as clients to their end.

A test that needs a program which is not installed is skipped with that reason (under CI=true this fails it).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..octets.bodies import Digest, file_digest
from ..tls.certificates import Certificate

NODE_SCRIPTS = Path(__file__).parents[2] / "interop" / "node"
CLIENT_TIMEOUT_SECONDS = 100


def program(name: str) -> str:
    """The path of the program, or a skip."""
    # Debian keeps servers in sbin, which is not on everybody's PATH.
    path = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    return path or pytest.skip(f"{name} is not installed")


# -- servers


def free_port() -> int:
    """A port of the loopback that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on that port of the loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            # A connect to a free port that picks the same port for its own end connects to itself.
            return connection.getsockname() != connection.getpeername()
    except ConnectionRefusedError:
        return False


@contextlib.contextmanager
def running_server(command_for_port: Callable[[int], list[str]]) -> Iterator[int]:
    """Runs a server program while the block lasts, and gives the port on which it accepts connections.

    Between the choice of a free port and the program's bind another process can take it; then another is tried.
    """
    with tempfile.TemporaryFile("w+") as log:
        for _attempt in range(5):
            port = free_port()
            process = subprocess.Popen(
                command_for_port(port), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                while process.poll() is None:
                    if accepts(port):
                        yield port
                        return
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.02)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its workers too
                process.wait()
        log.seek(0)
        pytest.fail(f"{command_for_port(0)[0]} did not start:\n{log.read()}")


def node_server(
    certificate: Certificate | None, script: str = "server.js", **more: Any
) -> contextlib.AbstractContextManager[int]:
    """A script of tests/interop/node, with `more` options of its own; h2c without a certificate."""
    node = program("node")

    def command(port: int) -> list[str]:
        options: dict[str, Any] = {"port": port, **more}
        if certificate:
            options.update(certfile=str(certificate.certfile), keyfile=str(certificate.keyfile))
        return [node, str(NODE_SCRIPTS / script), json.dumps(options)]

    return running_server(command)


def nghttpd(
    document_root: Path, certificate: Certificate | None, *options: str
) -> contextlib.AbstractContextManager[int]:
    """nghttpd on a folder, sending back what is uploaded; h2c without a certificate."""
    executable = program("nghttpd")

    def command(port: int) -> list[str]:
        common = [executable, "--address=127.0.0.1", f"--htdocs={document_root}", "--echo-upload", *options]
        if certificate:
            return [*common, str(port), str(certificate.keyfile), str(certificate.certfile)]
        return [*common, "--no-tls", str(port)]

    return running_server(command)


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests {keepalive_requests};
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} http2; location / {{ return 200 "there"; }} }}
}}
"""


def nginx(folder: Path, *, keepalive_requests: int) -> contextlib.AbstractContextManager[int]:
    """nginx, speaking h2c, whose connections end after so many requests; its files are in `folder`."""
    executable = program("nginx")

    def command(port: int) -> list[str]:
        configuration = folder / "nginx.conf"
        values = {"folder": folder, "port": port, "keepalive_requests": keepalive_requests}
        configuration.write_text(NGINX.format(**values))
        return [executable, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]

    return running_server(command)


HYPERCORN_APPLICATION = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(0.002)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"there"})
"""


def hypercorn(folder: Path, certificate: Certificate, *, streams: int) -> contextlib.AbstractContextManager[int]:
    """hypercorn, over TLS, which takes so many streams at once on a connection; its files are in `folder`."""
    (folder / "application.py").write_text(HYPERCORN_APPLICATION)

    def command(port: int) -> list[str]:
        values = {
            "h2_max_concurrent_streams": streams,
            # After the thousandth it drops what is under way, when one more comes, and who can tell what became of it?
            "keep_alive_max_requests": 1_000_000_000,
            "certfile": str(certificate.certfile),
            "keyfile": str(certificate.keyfile),
            "bind": f"127.0.0.1:{port}",
            "loglevel": "CRITICAL",
            "lifespan": "off",
        }
        options = folder / "options.toml"
        options.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
        return [sys.executable, "-m", "hypercorn", "--config", str(options), f"{folder}/application:app"]

    return running_server(command)


# -- clients


def _run(command: list[str]) -> bytes:
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=CLIENT_TIMEOUT_SECONDS)
    if finished.returncode:
        output = (finished.stdout[-5000:] + finished.stderr[-5000:]).decode("latin-1")
        pytest.fail(f"{command} ended with {finished.returncode}\n{output}")
    return finished.stdout


def node_client(authority: str, requests: list[dict[str, Any]], cafile: str, **options: Any) -> dict[str, Any]:
    """Runs tests/interop/node/client.js, whose first lines explain `requests`, the options and the result."""
    return _node("client.js", {"authority": authority, "requests": requests, "cafile": cafile, **options})


def node_connection_client(authority: str, cafile: str, **job: Any) -> dict[str, Any]:
    """Runs tests/interop/node/connection_client.js, whose first lines explain the `job` and the result."""
    return _node("connection_client.js", {"authority": authority, "cafile": cafile, **job})


def _node(script: str, job: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(_run([program("node"), str(NODE_SCRIPTS / script), json.dumps(job)]))
    return result


def node_script_client(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """Runs another of Node's clients in tests/interop/node/."""
    result: dict[str, Any] = json.loads(_run([program("node"), str(NODE_SCRIPTS / script), json.dumps(job)]))
    return result


@dataclass(frozen=True)
class CurlResult:
    http_version: str
    status: int
    header_text: str
    """All header blocks as they came: informational ones, the response's, the trailers."""
    body: Digest
    text: str | None
    """The body, when it is short."""


def curl(url: str, *options: str, cafile: str) -> CurlResult:
    """Runs curl, which speaks HTTP/2 by prior knowledge on http, and as negotiated by ALPN on https."""
    with tempfile.TemporaryDirectory() as folder:
        body, headers = Path(folder, "body"), Path(folder, "headers")
        body.touch()
        written = _run(
            [program("curl"), "--silent", "--show-error", "--output", str(body), "--dump-header", str(headers)]
            + ["--write-out", "%{http_version} %{http_code}"]
            + (["--http2", "--cacert", cafile] if url.startswith("https:") else ["--http2-prior-knowledge"])
            + [*options, url]
        )
        http_version, status = written.decode().split()
        received = file_digest(body)
        text = body.read_text("latin-1") if received.length < 10_000 else None
        return CurlResult(http_version, int(status), headers.read_text("latin-1"), received, text)


def nghttp(url: str, *options: str) -> bytes:
    """Runs nghttp: gives the response's body, or with --verbose an account of all frames."""
    return _run([program("nghttp"), "--no-verify-peer", *options, url])


@dataclass(frozen=True)
class LoadSummary:
    total: int
    succeeded: int
    failed: int
    errored: int
    timeout: int
    status_2xx: int
    requests_per_second: float


def h2load(url: str, *, requests: int, connections: int, streams: int) -> LoadSummary:
    """Runs h2load, `streams` requests at once on each of `connections`."""
    return _h2load(f"-n{requests}", f"-c{connections}", f"-m{streams}", url)


def h2load_http1(url: str, *, requests: int, connections: int) -> LoadSummary:
    """The same in HTTP/1.1, one request at a time on each connection."""
    return _h2load("--h1", f"-n{requests}", f"-c{connections}", url)


def _h2load(*options: str) -> LoadSummary:
    output = _run([program("h2load"), *options]).decode()
    counts = re.search(
        r"requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output,
    )
    statuses = re.search(r"status codes: (\d+) 2xx", output)
    rate = re.search(r"finished in .*, ([\d.]+) req/s", output)
    if not (counts and statuses and rate):
        pytest.fail(f"h2load's summary cannot be read:\n{output}")
    return LoadSummary(*map(int, counts.groups()), int(statuses[1]), float(rate[1]))
