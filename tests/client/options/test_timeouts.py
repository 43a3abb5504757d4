"""How long the parts of a call, and all of it, may take, and whom the end of that concerns."""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import sync_h2
from support.peers.scripted_server import playing
from support.tls.certificates import Certificate
from sync_h2 import Client, Timeouts, exceptions

PATIENCE = 20.0


def silent(sock: socket.socket) -> None:
    while sock.recv(1_000_000):
        pass


def test_the_handshake_has_its_time_in_a_client_too() -> None:
    with (
        playing(silent) as (url, accepted),
        Client(handshake_timeout=0.1, trust_env=False) as client,
        pytest.raises(exceptions.ConnectTimeout, match=r"TLS handshake .* within 0\.1 s") as raised,
    ):
        client.get(url.replace("http:", "https:"), timeout=PATIENCE)
    assert raised.value.processed is False
    assert len(accepted) == 1


class Dripping:
    """A handler whose body never ends, and comes in time for any timeout between two pieces; or no answer at all."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __call__(self, stream: Any, headers: Any) -> None:
        with contextlib.suppress(sync_h2.HTTP2Error):
            while not self.over.wait(0.01):
                if headers[":path"] == "/":
                    stream.write(b"x")


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("path", ["/", "/never"])
def test_a_total_bounds_all_of_a_call(h2c: bool, path: str) -> None:
    dripping = Dripping()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(dripping, allow_http1=True))
        stack.callback(dripping.over.set)
        client = stack.enter_context(Client(h2c=h2c, trust_env=False, timeout=Timeouts(read=PATIENCE, total=1.0)))
        with pytest.raises(exceptions.Timeout, match=r"within the total of 1\.0 s") as raised:
            client.get(f"{server.url}{path}")
        assert raised.value.processed is (True if path == "/" else None)
        assert raised.value.request.url == f"{server.url}{path}"
        if path == "/":
            with client.stream("GET", server.url) as response, pytest.raises(exceptions.Timeout, match="total"):
                for _ in response.iter_content(None):
                    pass


@pytest.mark.parametrize("h2c", [True, False])
def test_a_total_bounds_redirects_and_repeats(h2c: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/busy":
            stream.respond({":status": 503, "retry-after": "30"}, end_stream=True)
        else:
            time.sleep(0.02)
            stream.respond({":status": 302, "location": "/"}, end_stream=True)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler, allow_http1=True))
        client = stack.enter_context(
            Client(h2c=h2c, trust_env=False, retry_statuses=[503], max_redirects=10_000, timeout=Timeouts(total=1.0))
        )
        assert client.get(f"{server.url}/busy").status_code == 503  # no time for another
        with pytest.raises(exceptions.Timeout, match="total"):
            client.get(server.url)


def test_a_total_bounds_an_upload_and_a_connection() -> None:
    begun: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        begun.put(1)
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.wait_closed()

    with (
        sync_h2.create_server(handler) as server,
        Client(h2c=True, trust_env=False) as client,
        pytest.raises(exceptions.Timeout, match="total"),
    ):
        client.post(server.url, data=itertools.repeat(b"x" * 10_000), timeout=Timeouts(total=0.2))
    with (
        playing(silent) as (url, _),
        Client(trust_env=False) as client,
        pytest.raises(exceptions.ConnectTimeout, match=r"not done within the total of 0\.1 s") as raised,
    ):
        client.get(url.replace("http:", "https:"), timeout=Timeouts(total=0.1))
    assert raised.value.processed is False


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_total_that_is_over_before_anything_is_opened(scheme: str) -> None:
    with (
        Client(trust_env=False) as client,
        pytest.raises(exceptions.ConnectTimeout, match="within the total") as raised,
    ):
        client.get(f"{scheme}://127.0.0.1:1/", timeout=Timeouts(total=1e-9))
    assert raised.value.processed is False


def test_the_end_of_a_total_is_nobody_elses() -> None:
    begun = threading.Event()

    def play(sock: socket.socket) -> None:
        begun.set()
        silent(sock)

    with (
        playing(play) as (url, accepted),
        Client(handshake_timeout=None, trust_env=False) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        url = url.replace("http:", "https:")
        first = threads.submit(client.get, url, timeout=Timeouts(total=1.0))
        assert begun.wait(PATIENCE)
        with pytest.raises(exceptions.ConnectTimeout, match=r"0\.2 s"):
            client.get(url, timeout=Timeouts(connect=0.2))
        assert isinstance(first.exception(PATIENCE), exceptions.ConnectTimeout)
    assert len(accepted) == 2


@pytest.mark.parametrize("others", [PATIENCE, None])
def test_who_gives_up_early_does_so_for_nobody_more_patient(others: float | None, certificate: Certificate) -> None:
    begun = threading.Event()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)

    def play(sock: socket.socket) -> None:
        if not begun.is_set():
            begun.set()
            silent(sock)
        else:
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(65_536)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with (
        playing(play) as (url, accepted),
        Client(handshake_timeout=None, verify=certificate.cafile, trust_env=False) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        url = url.replace("http:", "https:")
        first = threads.submit(client.get, url, timeout=Timeouts(connect=1.0))
        assert begun.wait(PATIENCE)
        assert client.get(url, timeout=Timeouts(connect=others, read=PATIENCE)).status_code == 200
        assert isinstance(first.exception(PATIENCE), exceptions.ConnectTimeout)
    assert len(accepted) == 2


def test_a_total_is_a_time() -> None:
    with pytest.raises(ValueError, match="0 seconds"):
        Timeouts(total=0)
    with pytest.raises(TypeError):
        Timeouts(total="1")  # type: ignore[arg-type]
