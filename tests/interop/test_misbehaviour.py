"""What curl, httpx, Node and Go do when a server misbehaves: everything that `sync-h2 misbehave` offers, over TLS."""

from __future__ import annotations

import functools
import json
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from support.programs.others import CLIENT_TIMEOUT_SECONDS, node_script_client, program
from support.tls.certificates import Certificate
from sync_h2.cli.misbehave.paths import PATHS, route_all
from sync_h2.testing import ScriptedServer

GO_PROGRAM = Path(__file__).parent / "go" / "misbehaved_client.go"
PATIENCE = 60.0
IMPATIENCE = 6.0
UPLOAD = 5_000_000
UPLOADS = ("/early-answer", "/stall-upload")


class Outcome(NamedTuple):
    status: int | None
    length: int
    end: str
    """"done", "timeout" or "broken"."""
    details: str = ""
    """What the client says of it, which no test compares whole."""


Found = tuple[int | None, int, str]


def done(status: int = 200, length: int = 66) -> Found:
    return (status, length, "done")


BROKEN: Found = (None, 0, "broken")
TIMEOUT: Found = (None, 0, "timeout")
BROKEN_BODY: Found = (200, 7, "broken")
BROKEN_AT_ONCE: Found = (200, 0, "broken")

# What a client is expected to do at a path; by name, where one does something else; any of several, where its versions
# differ: curl 7.88 and 8.23.
EXPECTED: dict[str, dict[str, Found | set[Found]]] = {
    "/ok": {"": done()},
    "/early-hints": {"": done()},
    "/trailers": {"": done()},
    "/padded": {"": done()},
    "/one-octet": {"": done()},
    "/empty-frames": {"": done()},
    "/slow": {"": done()},
    "/few-streams": {"": done()},
    "/goaway": {"": done(), "httpx": BROKEN},
    "/early-answer": {"": done(413, 9), "curl": {BROKEN, done(413, 9)}, "httpx": TIMEOUT},
    "/silent": {"": TIMEOUT},
    "/stall": {"": (200, 7, "timeout")},
    "/stall-upload": {"": TIMEOUT},
    "/goaway-unprocessed": {"": BROKEN, "go": TIMEOUT},  # Go asks again, and again
    "/drop": {"": BROKEN},
    "/drop-reset": {"": BROKEN},
    "/cut": {"": BROKEN_BODY},
    "/cut-reset": {"": BROKEN_BODY},
    "/reset": {"": BROKEN},
    "/short": {"": BROKEN_BODY},
    "/malformed": {"": BROKEN, "curl": {BROKEN, BROKEN_AT_ONCE}, "httpx": done()},
    "/no-status": {"": BROKEN, "httpx": done(200, 0)},
    "/connection-field": {
        "": BROKEN,
        "curl": {BROKEN, BROKEN_AT_ONCE},
        "httpx": done(200, 0),
        "go": done(200, 0),
    },
    "/data-first": {"": BROKEN, "node": TIMEOUT},  # Node says GOAWAY, and nothing to its user
    "/hpack": {"": BROKEN, "node": TIMEOUT},
    "/window-overflow": {"": BROKEN},
    "/bad-frame": {"": BROKEN, "node": TIMEOUT},
    "/http1": {"": BROKEN, "node": TIMEOUT},
}
# What came before a break counts for nothing with some, and depends on what arrives together.
LESS_OF_IT = {BROKEN_BODY, BROKEN_AT_ONCE, BROKEN}


def expected(client: str, path: str) -> set[Found]:
    of_path = EXPECTED[path]
    found = of_path.get(client, of_path[""])
    if found == BROKEN_BODY:
        return LESS_OF_IT
    return found if isinstance(found, set) else {found}


def timeout_for(client: str, path: str) -> float:
    """Little where it will run out."""
    return IMPATIENCE if any(end == "timeout" for _, _, end in expected(client, path)) else PATIENCE


def job(client: str, server: ScriptedServer, certificate: Certificate) -> dict[str, Any]:
    requests = [
        {"path": path, "timeout": timeout_for(client, path), "upload": UPLOAD if path in UPLOADS else 0}
        for path in EXPECTED
    ]
    return {"authority": server.url, "cafile": str(certificate.cafile), "requests": requests}


# -- each client at all paths, at once


def all_with_curl(server: ScriptedServer, certificate: Certificate, folder: Path) -> dict[str, Outcome]:
    executable = program("curl")
    body = folder / "body"
    body.write_bytes(bytes(UPLOAD))

    def ask(path: str) -> Outcome:
        command = [executable, "-sS", "--cacert", certificate.cafile, "-m", str(timeout_for("curl", path))]
        command += ["-o", folder / path[1:], "-w", "%{http_code} %{size_download}"]
        command += ["--data-binary", f"@{body}"] if path in UPLOADS else []
        finished = subprocess.run(
            [*command, server.url + path], capture_output=True, text=True, timeout=CLIENT_TIMEOUT_SECONDS
        )
        status, length = map(int, finished.stdout.split())
        end = {0: "done", 28: "timeout"}.get(finished.returncode, "broken")
        return Outcome(status or None, length, end, finished.stderr)

    with ThreadPoolExecutor(len(EXPECTED)) as threads:
        return dict(zip(EXPECTED, threads.map(ask, EXPECTED), strict=True))


def all_with_httpx(server: ScriptedServer, certificate: Certificate, folder: Path) -> dict[str, Outcome]:
    context = ssl.create_default_context(cafile=certificate.cafile)

    def ask(path: str) -> Outcome:
        status, length, end, details = None, 0, "done", ""
        arguments = {"method": "POST", "content": bytes(UPLOAD)} if path in UPLOADS else {"method": "GET"}
        options: Any = {"http2": True, "http1": False, "verify": context, "trust_env": False}
        with httpx.Client(**options, timeout=timeout_for("httpx", path)) as client:
            try:
                with client.stream(url=server.url + path, **arguments) as response:  # type: ignore[arg-type]
                    status = response.status_code
                    for chunk in response.iter_raw():
                        length += len(chunk)
            except httpx.TimeoutException as error:
                end, details = "timeout", str(error)
            except httpx.TransportError as error:
                end, details = "broken", str(error)
        return Outcome(status, length, end, details)

    with ThreadPoolExecutor(len(EXPECTED)) as threads:
        return dict(zip(EXPECTED, threads.map(ask, EXPECTED), strict=True))


def all_with_node(server: ScriptedServer, certificate: Certificate, folder: Path) -> dict[str, Outcome]:
    results: Any = node_script_client("misbehaved_client.js", job("node", server, certificate))

    def outcome(result: dict[str, Any]) -> Outcome:
        error = result.get("error")
        # A connection that is cut ends Node's stream without an error, but for its code (CANCEL).
        end = "timeout" if error == "timeout" else "broken" if error or result["code"] else "done"
        return Outcome(result.get("status"), result["length"], end, json.dumps(result))

    return dict(zip(EXPECTED, map(outcome, results), strict=True))


def all_with_go(server: ScriptedServer, certificate: Certificate, folder: Path) -> dict[str, Outcome]:
    executable = folder / "client"
    subprocess.run([program("go"), "build", "-o", executable, GO_PROGRAM], check=True, timeout=CLIENT_TIMEOUT_SECONDS)
    arguments = [executable, json.dumps(job("go", server, certificate))]
    finished = subprocess.run(arguments, capture_output=True, check=True, timeout=CLIENT_TIMEOUT_SECONDS)

    def outcome(result: dict[str, Any]) -> Outcome:
        error = result["error"]
        end = "timeout" if "deadline exceeded" in error else "broken" if error else "done"
        return Outcome(result["status"] or None, result["length"], end, json.dumps(result))

    return dict(zip(EXPECTED, map(outcome, json.loads(finished.stdout)), strict=True))


CLIENTS: dict[str, Callable[..., dict[str, Outcome]]] = {
    "curl": all_with_curl,
    "httpx": all_with_httpx,
    "node": all_with_node,
    "go": all_with_go,
}


@pytest.fixture(scope="module")
def outcomes(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`outcomes(client)`: what that client does at each path."""

    @functools.cache
    def of(client: str) -> dict[str, Outcome]:
        with ScriptedServer(certfile=certificate.certfile, keyfile=certificate.keyfile) as server:
            route_all(server)
            return CLIENTS[client](server, certificate, tmp_path_factory.mktemp(client))

    yield of


def test_every_path_is_tried() -> None:
    assert list(EXPECTED) == [path.path for path in PATHS]


@pytest.mark.parametrize("path", EXPECTED)
@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_does(outcomes: Any, client: str, path: str) -> None:
    found: Outcome = outcomes(client)[path]
    assert found[:3] in expected(client, path), found.details


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("curl", "INTERNAL_ERROR (err 2)"),
        ("httpx", "error_code:2"),
        ("node", "NGHTTP2_INTERNAL_ERROR"),
        ("go", "INTERNAL_ERROR; received from peer"),
    ],
)
def test_a_resets_code_is_told(outcomes: Any, client: str, words: str) -> None:
    assert words in outcomes(client)["/reset"].details


@pytest.mark.parametrize("client", ["node", "go"])
def test_hints_and_trailers_are_told(outcomes: Any, client: str) -> None:
    assert json.loads(outcomes(client)["/early-hints"].details)["informational"] == [103, 103]
    trailers = json.loads(outcomes(client)["/trailers"].details)["trailers"]
    assert {name.lower(): value for name, value in trailers.items()} == {"x-checksum": "7"}
