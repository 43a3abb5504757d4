"""A plugin: what requests' tests get to ask, of their own kind, without the waiting and without a network."""

from __future__ import annotations

import functools
import socket
import socketserver
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer, make_server

import pytest
import pytest_httpbin.serve as serve


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SecureThreaded(socketserver.ThreadingMixIn, serve.SecureWSGIServer):
    daemon_threads = True


# pytest-httpbin takes one request at a time: after a `/delay/10` that timed out the next test would wait ten seconds.
serve.make_server = functools.partial(make_server, server_class=_Threaded)
serve.SecureWSGIServer = _SecureThreaded


@pytest.fixture(scope="session")
def tarpit() -> Iterator[str]:
    """The URL of a server that no connection is established to: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for sock in waiting:
            sock.close()


@pytest.fixture(autouse=True)
def _local_tarpit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # Theirs is an address that swallows packets where there is a network.
    if hasattr(request.module, "TARPIT"):
        monkeypatch.setattr(request.module, "TARPIT", request.getfixturevalue("tarpit"))
