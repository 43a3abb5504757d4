"""Our client and servers that take few requests: on a connection (nginx), or at once (hypercorn). None is lost.

SYNC_H2_STRESS=1 makes as many requests as it takes to meet what is rare.
"""

from __future__ import annotations

import collections
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from support.programs import others
from support.tls.certificates import Certificate
from sync_h2 import Client

THREADS = 64
REQUESTS = 20_000 if os.environ.get("SYNC_H2_STRESS") == "1" else 1_000


def statuses(client: Client, url: str) -> collections.Counter[int]:
    """What that many requests from that many threads have got."""

    def make(number: int) -> int:
        return client.request(("GET", "POST", "PUT")[number % 3], f"{url}/{number}", timeout=60).status_code

    with ThreadPoolExecutor(THREADS) as threads:
        return collections.Counter(threads.map(make, range(REQUESTS)))


def test_nginx_with_ten_requests_a_connection(tmp_path: Path) -> None:
    with others.nginx(tmp_path, keepalive_requests=10) as port, Client(h2c=True, trust_env=False) as client:
        assert statuses(client, f"http://127.0.0.1:{port}") == {200: REQUESTS}


def test_hypercorn_with_five_streams_a_connection(tmp_path: Path, certificate: Certificate) -> None:
    with (
        others.hypercorn(tmp_path, certificate, streams=5) as port,
        Client(verify=str(certificate.cafile), trust_env=False) as client,
    ):
        assert statuses(client, f"https://localhost:{port}") == {200: REQUESTS}
