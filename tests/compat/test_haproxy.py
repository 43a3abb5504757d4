"""HAProxy in front of two of our servers, speaking HTTP/2 on both sides."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.connections.retrying_client import RetryingClient
from support.programs.gunicorns import Gunicorn, gunicorn
from support.programs.others import program, running_server
from support.threads.background import Background, background

__all__ = ["background", "gunicorn"]

CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch 1

frontend front
    bind 127.0.0.1:{port} proto h2
    default_backend back

backend back
    balance roundrobin
    server first {first} proto h2 check inter 100ms
    server second {second} proto h2 check inter 100ms
"""


@pytest.fixture
def haproxy(tmp_path: Path) -> Callable[..., Any]:
    """`with haproxy(first, second) as port` runs it in front of these two servers."""
    executable = program("haproxy")

    def run(first: str, second: str) -> Any:
        def command(port: int) -> list[str]:
            configuration = tmp_path / "haproxy.cfg"
            configuration.write_text(CONFIGURATION.format(port=port, first=first, second=second))
            return [executable, "-db", "-f", str(configuration)]

        return running_server(command)

    return run


def test_no_request_is_lost_when_a_backend_is_drained(
    gunicorn: Callable[..., Gunicorn], haproxy: Any, background: Background
) -> None:
    backends = [gunicorn(), gunicorn()]
    addresses = [process.addresses()[0].partition("//")[2] for process in backends]
    requests = [f"/{number}" for number in range(20_000)]
    with haproxy(*addresses) as port:
        client = RetryingClient(f"http://127.0.0.1:{port}")
        try:
            working = background(client.get_all, requests, 16)
            client.has(5_000)
            backends[0].signal(signal.SIGTERM)
            assert backends[0].end() == 0
            bodies = working.result(100)
        finally:
            client.close()
    assert [body.decode().split()[1] for body in bodies] == requests
    before, after = ({body.split()[0] for body in part} for part in (bodies[:4_000], bodies[-4_000:]))
    assert len(before) == 2
    assert len(after) == 1
