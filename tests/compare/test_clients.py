"""Each cell of the table of clients: a program with that library is asked, and finds out what the cell says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.peers.connect_proxy import connect_proxy
from support.peers.socks_proxy import socks_proxy
from support.programs.others import program
from support.tls.certificates import Certificate

from .client_rows import COLUMNS, ROWS
from .http3_server import http3_server
from .packages import NIQUESTS
from .peer import running_peer

PROGRAMS = Path(__file__).with_name("programs")
# Whom to trust, and which proxies to use, is said by the programs alone.
OF_THE_ENVIRONMENT = ("CA_BUNDLE", "SSL_CERT", "PROXY", "COVERAGE_")


def environment_of(column: str) -> dict[str, str]:
    searched = [*([NIQUESTS] if column == "niquests" else []), str(Path(sync_h2.__file__).parent.parent)]
    inherited = {
        name: value for name, value in os.environ.items() if not any(p in name.upper() for p in OF_THE_ENVIRONMENT)
    }
    return {**inherited, "PYTHONPATH": os.pathsep.join(searched)}


def ask(column: str, question: str, places: dict[str, str]) -> Any:
    if column == "node":
        command = [program("node"), str(PROGRAMS / "as_node.js")]
    else:
        command = [sys.executable, str(PROGRAMS / f"as_{column}.py")]
    finished = subprocess.run(
        [*command, question, json.dumps(places)],
        env=environment_of(column),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.fixture
def places(certificate: Certificate) -> Iterator[dict[str, str]]:
    with running_peer(certificate) as peer, connect_proxy() as (proxy, _), socks_proxy() as (socks, _):
        yield {
            "url": peer.url,
            "plain": peer.plain,
            "cafile": str(peer.cafile),
            "proxy": f"http://127.0.0.1:{proxy}",
            "socks": f"127.0.0.1:{socks}",
            "http3": "",
        }


TESTED = [(row, column) for row in ROWS for column in COLUMNS if not row.cells[column].untested]


@pytest.mark.parametrize(
    ("row", "column"), TESTED, ids=lambda value: value if isinstance(value, str) else value.question
)
def test_a_client_does_what_its_cell_says(
    row: Any, column: str, places: dict[str, str], certificate: Certificate, tmp_path: Path
) -> None:
    if row.question == "http3":
        with http3_server(certificate, tmp_path) as url:
            found = ask(column, row.question, {**places, "http3": url})
    else:
        found = ask(column, row.question, places)
    assert found == row.expected(column)
