"""The pool: which connection takes a request, and what becomes of requests whose connection goes."""

from __future__ import annotations

import collections
import contextlib
import gc
import itertools
import os
import queue
import socket
import threading
import time
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import sync_h2
from support.connections.clients import client_of, serving
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import Client, ErrorCode, PoolLimits, Timeouts, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.connection.client_side.client_session import ClientSession
from sync_h2.connection.shared.timers import timers

THREADS = 64
REQUESTS = 10_000 if os.environ.get("SYNC_H2_STRESS") == "1" else 3_000
BETWEEN_ENDS = REQUESTS // 10


class Chaos:
    """A server's handler that counts what it has processed, and ends sessions at fixed counts of requests."""

    def __init__(self) -> None:
        self.server: Any = None
        self.processed: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self.goaways, self.drops = 0, 0

    def __call__(self, stream: Any, headers: Any) -> None:
        with self._lock:
            number = next(self._count)
        if number % 20 == 0:
            stream.close(ErrorCode.REFUSED_STREAM)
            return
        stream.read()
        with self._lock:
            self.processed[headers[":path"]] += 1
        if number % BETWEEN_ENDS == 1 and self.goaways < 10:
            self.goaways += 1
            stream.session.close(wait=False)
        elif number in (REQUESTS // 3 + 1, REQUESTS * 2 // 3 + 1):
            self.drops += 1
            with contextlib.suppress(OSError):
                stream.session._transport.sock.shutdown(socket.SHUT_RDWR)
        stream.respond({}, end_stream=True)


def test_64_threads_thousands_of_requests_and_a_server_that_goes_away_refuses_and_drops(
    certificate: Certificate,
) -> None:
    chaos = Chaos()
    sessions: list[Any] = []
    answered: queue.SimpleQueue[str] = queue.SimpleQueue()
    reported: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    listeners = {"session": sessions.append}
    with serving(certificate, chaos, listeners=listeners) as server, client_of(certificate, retries=8) as client:

        def make(number: int) -> None:
            method = "POST" if number % 4 == 0 else ("GET", "PUT", "DELETE")[number % 3]
            path = f"/{method}/{number}"
            body = b"body" if method in ("POST", "PUT") else None
            try:
                assert client.request(method, server.url + path, data=body).status_code == 200
            except exceptions.ConnectionError as error:
                reported.put((path, error.processed))
            else:
                answered.put(path)

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(make, range(REQUESTS)))
    assert (chaos.goaways, chaos.drops) == (10, 2)
    assert answered.qsize() + reported.qsize() == REQUESTS
    while not reported.empty():
        path, processed = reported.get()
        assert path.startswith("/POST/")
        assert processed is None
        assert chaos.processed[path] <= 1
    while not answered.empty():
        path = answered.get()
        assert chaos.processed[path] == 1 or not path.startswith("/POST/"), path
        assert chaos.processed[path] >= 1
    assert len(sessions) <= 1 + 10 + 2  # one at a time


def test_first_calls_share_one_connection(certificate: Certificate) -> None:
    sessions: list[Any] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate, listeners={"session": sessions.append}))
        client = stack.enter_context(client_of(certificate))
        threads = stack.enter_context(ThreadPoolExecutor(32))
        found = list(threads.map(lambda number: client.get(f"{server.url}/{number}").text, range(64)))
    assert found == [f"GET /{number} 0" for number in range(64)]
    assert len(sessions) == 1


def test_another_connection_when_one_is_full_and_waiting_when_no_more_may_be(certificate: Certificate) -> None:
    going_on = threading.Event()
    begun: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        begun.put(id(stream.session))
        going_on.wait(10)
        stream.respond({}, end_stream=True)

    limits = PoolLimits(max_connections_per_origin=2)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate, handler, max_concurrent_streams=2))
        with client_of(certificate, limits=limits) as client, ThreadPoolExecutor(8) as threads:
            # The first is answered, so that the server's SETTINGS are known.
            going_on.set()
            client.get(server.url)
            begun.get(timeout=5)
            going_on.clear()
            busy = [threads.submit(client.get, server.url) for _ in range(4)]
            used = collections.Counter(begun.get(timeout=5) for _ in busy)
            assert sorted(used.values()) == [2, 2]
            with pytest.raises(exceptions.PoolTimeout) as raised:
                client.get(server.url, timeout=sync_h2.Timeouts(pool=0.05))
            assert raised.value.processed is False
            waiting = threads.submit(client.get, server.url)
            going_on.set()
            assert [future.result(10).status_code for future in [*busy, waiting]] == [200] * 5


def test_new_requests_leave_a_connection_that_got_goaway(certificate: Certificate) -> None:
    sessions: list[Any] = []
    going_on = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/slow":
            going_on.wait(10)
        stream.end(headers[":path"].encode())

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate, handler, listeners={"session": sessions.append}))
        with client_of(certificate) as client, ThreadPoolExecutor(1) as threads:
            slow = threads.submit(client.get, f"{server.url}/slow")
            assert client.get(f"{server.url}/a").text == "/a"
            sessions[0].close(wait=False)
            eventually(lambda: next(client._pool.sessions()).closed, "that the client knows of it")
            assert client.get(f"{server.url}/b").text == "/b"
            assert len(sessions) == 2
            going_on.set()
            assert slow.result(10).text == "/slow"


def test_a_dead_idle_connection_is_found_with_ping(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[Any] = []
    monkeypatch.setattr("sync_h2.client.pool.group._PATIENCE_FOR_PING", 0.2)
    with serving(certificate, listeners={"session": sessions.append}) as server:
        with client_of(certificate, limits=PoolLimits(ping_after=0.0)) as client:
            assert client.get(server.url).ok
            with sessions[0]._lock:  # nothing of it is answered
                found: queue.SimpleQueue[Any] = queue.SimpleQueue()
                asking = threading.Thread(target=lambda: found.put(client.post(server.url, data=b"x")))
                asking.start()
                assert found.get(timeout=10).text == "POST / 1"
                asking.join()
        assert len(sessions) == 2


@pytest.mark.parametrize("timeout", [0.2, (0.2, 20), Timeouts(total=0.2)])
def test_a_dead_idle_connection_is_asked_for_no_longer_than_connecting_may_take(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, timeout: Any
) -> None:
    asked: list[float] = []
    ping = ClientSession.ping

    def recording(session: ClientSession, *, timeout: float) -> Any:
        asked.append(timeout)
        return ping(session, timeout=timeout)

    monkeypatch.setattr(ClientSession, "ping", recording)
    sessions: list[Any] = []
    with serving(certificate, listeners={"session": sessions.append}) as server:
        with client_of(certificate, limits=PoolLimits(ping_after=0.0)) as client:
            assert client.get(server.url).ok
            with sessions[0]._lock:  # nothing of it is answered
                with contextlib.suppress(exceptions.Timeout):
                    client.get(server.url, timeout=timeout)
                assert len(asked) == 1
                assert asked[0] <= 0.2
                assert client.get(server.url, timeout=20).ok
        assert len(sessions) >= 2


def test_a_failed_connection_is_everybodys(certificate: Certificate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # and nobody shakes hands
        url = f"https://localhost:{listener.getsockname()[1]}/"
        with client_of(certificate) as client, ThreadPoolExecutor(4) as threads:
            futures = [threads.submit(client.get, url, timeout=(0.3, None)) for _ in range(4)]
            errors = [future.exception(10) for future in futures]
    assert all(isinstance(error, exceptions.ConnectTimeout) for error in errors)
    assert all(error.processed is False for error in errors if isinstance(error, exceptions.RequestException))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_connection_that_is_lost(certificate: Certificate, method: str) -> None:
    count = itertools.count()

    def handler(stream: Any, headers: Any) -> None:
        if next(count) == 0:
            stream.session._transport.sock.shutdown(socket.SHUT_RDWR)
        else:
            stream.end(b"later")

    with serving(certificate, handler) as server, client_of(certificate) as client:
        if method == "GET":
            assert client.get(server.url).text == "later"
        else:
            with pytest.raises(exceptions.ConnectionError) as raised:
                client.post(server.url, data=b"x")
            assert raised.value.processed is None
            assert raised.value.request is not None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_streams_are_sent_again_a_bounded_number_of_times(certificate: Certificate, method: str) -> None:
    tries: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        tries.append(headers[":path"])
        if headers[":path"] == "/never" or tries.count(headers[":path"]) < 3:
            stream.close(ErrorCode.REFUSED_STREAM)
        else:
            stream.end(stream.read())

    with serving(certificate, handler) as server, client_of(certificate, retries=3) as client:
        data = b"body" if method == "POST" else None
        assert client.request(method, f"{server.url}/third", data=data).content == (data or b"")
        with pytest.raises(exceptions.ConnectionError) as raised:
            client.request(method, f"{server.url}/never", data=data)
        assert raised.value.processed is False
        with pytest.raises(exceptions.ConnectionError) as raised:
            client.post(f"{server.url}/once", data=iter([b"a", b"b"]))
        assert raised.value.processed is False
    assert [tries.count(path) for path in ("/third", "/never", "/once")] == [3, 4, 1]


def test_retry_after_is_respected_where_statuses_are_retried(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clock = types.SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)  # the module's alone
    monkeypatch.setattr("sync_h2.client.pool.pool.time", clock)
    tries: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        tries.append(headers[":method"])
        if len(tries) % 3:
            stream.respond({":status": 503, "retry-after": "7"}, end_stream=True)
        else:
            stream.end(b"there")

    with serving(certificate, handler) as server, client_of(certificate, retry_statuses=[503]) as client:
        assert client.get(server.url).text == "there"
        assert pauses == [7.0, 7.0]
        assert client.post(server.url).status_code == 503
    assert tries == ["GET"] * 3 + ["POST"]


def test_an_unread_response_resets_its_stream_and_a_read_one_does_not(certificate: Certificate) -> None:
    closed: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.on("close", closed.put)
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.end(b"x" * (10 if headers[":path"] == "/short" else 10_000_000))

    with serving(certificate, handler) as server, client_of(certificate) as client:
        with client.stream("GET", f"{server.url}/long") as response:
            assert len(response.raw.read(5)) == 5
        assert closed.get(timeout=5) == ErrorCode.CANCEL
        assert client.get(f"{server.url}/short").content == b"x" * 10
        assert closed.get(timeout=5) == ErrorCode.NO_ERROR


def test_an_answer_before_the_end_of_an_upload(certificate: Certificate) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": 413, "content-type": "text/plain"})
        stream.end(b"too much")

    with serving(certificate, handler, allow_http1=True) as server, client_of(certificate) as client:
        response = client.post(server.url, data=(b"x" * 65_536 for _ in range(1000)))
        assert (response.status_code, response.text) == (413, "too much")
        assert client.post(server.url).status_code == 413


@pytest.mark.parametrize("chosen", [["h2"], ["http/1.1"]])
def test_what_alpn_chooses(certificate: Certificate, chosen: list[str]) -> None:
    with serving(certificate, allow_http1=True) as server, client_of(certificate) as client:
        if chosen == ["http/1.1"]:
            server._context.set_alpn_protocols(chosen)
        versions = {client.get(server.url).http_version for _ in range(3)}
        assert versions == {"HTTP/2" if chosen == ["h2"] else "HTTP/1.1"}


def test_http2_only_says_what_is_missing(certificate: Certificate) -> None:
    with serving(certificate, allow_http1=True) as server, client_of(certificate, http1=False) as client:
        server._context.set_alpn_protocols(["http/1.1"])
        with pytest.raises(exceptions.SSLError, match="HTTP/2 was not chosen"):
            client.get(server.url)


@pytest.mark.filterwarnings("ignore:stream .* was dropped unfinished:ResourceWarning")
@pytest.mark.parametrize("http1", [False, True])
def test_forgotten_responses_give_their_places_back(http1: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.end(b"x" * 1_000_000)

    limits = PoolLimits(max_connections_per_origin=1)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler, allow_http1=True, max_concurrent_streams=1))
        client = stack.enter_context(Client(h2c=not http1, trust_env=False, limits=limits))
        for _ in range(3):
            response = client.get(server.url, stream=True, timeout=sync_h2.Timeouts(pool=10))
            assert response.status_code == 200
            del response
            gc.collect()
        told = threading.Event()
        timers.run(told.set)  # behind what the timer thread has to say of it
        assert told.wait(10)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("h2c", [True, False])
def test_what_a_body_raises_is_raised_and_nothing_is_sent_again(method: str, h2c: bool) -> None:
    made: list[str] = []

    def body() -> Iterator[bytes]:
        made.append(method)
        yield b"some"
        raise ConnectionResetError("of the body's own")

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return body()

    def handler(stream: Any, headers: Any) -> None:
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.end(stream.read())

    with sync_h2.create_server(handler, allow_http1=True) as server, Client(h2c=h2c, trust_env=False) as client:
        with pytest.raises(ConnectionResetError, match="of the body's own"):
            client.request(method, server.url, data=Body())
        assert client.post(server.url, data=b"next").text == "next"
    assert made == [method]


def test_a_place_that_becomes_free_reaches_whoever_waits_for_it(certificate: Certificate) -> None:
    """Also when others wait for places elsewhere."""
    going_on = {"/a": threading.Event(), "/b": threading.Event()}
    begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        begun.put(headers[":path"])
        going_on[headers[":path"]].wait(10)
        stream.end()

    limits = PoolLimits(max_connections_per_origin=1)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(sync_h2.create_server(handler, max_concurrent_streams=1)) for _ in range(2)]
        client = stack.enter_context(Client(h2c=True, trust_env=False, limits=limits))
        threads = stack.enter_context(ThreadPoolExecutor(8))
        futures = []
        for server, path in zip(servers, ("/a", "/b"), strict=True):
            futures.append([threads.submit(client.get, server.url + path) for _ in range(3)])
        assert {begun.get(timeout=5), begun.get(timeout=5)} == {"/a", "/b"}
        going_on["/b"].set()
        assert [future.result(10).status_code for future in futures[1]] == [200] * 3
        going_on["/a"].set()
        assert [future.result(10).status_code for future in futures[0]] == [200] * 3


@pytest.mark.parametrize("limits", [5, httpx.Limits(max_connections=10)])
@pytest.mark.parametrize("kind", [Client, HTTPXTransport, RequestsAdapter])
def test_limits_of_another_library_are_refused_at_once(kind: Any, limits: object) -> None:
    with pytest.raises(TypeError, match=r"must be a sync_h2\.PoolLimits"):
        kind(limits=limits)
