"""How often a request is sent, over how many connections, and what its failure says of that."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame

import sync_h2
from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer
from support.peers.scripted_server import playing, request_head
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import Client, Timeouts, exceptions
from sync_h2.client.pool.retries import Tries
from sync_h2.constants import FrameFlag, FrameType
from sync_h2.testing import Script, ScriptedServer

PATIENCE = 20.0


# -- connections


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(("goes_away", "h2c"), [(False, True), (True, True), (False, False)])
def test_every_connection_counts_as_an_attempt(
    goes_away: bool, h2c: bool, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("sync_h2.client.pool.pool.time.sleep", pauses.append)
    with ScriptedServer() as server, server.client(h2c=h2c, retries=retries) as client:
        script = server.on_connect()
        script.goaway() if goes_away else script.drop()
        with pytest.raises(exceptions.ConnectionError) as raised:
            client.get("/", timeout=PATIENCE)
        assert server.connection_count == 1 + retries
    assert len(pauses) == retries
    assert all(0 < pause < later for pause, later in itertools.pairwise(pauses))
    if goes_away:
        assert raised.value.processed is False


def test_a_server_that_refuses_the_certificate_after_the_handshake_is_asked_once(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate.certfile, certificate.keyfile)

    def play(sock: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(sock, server_side=True).recv(1)

    options = {"verify": str(certificate.cafile), "retries": 0, "trust_env": False}
    with playing(play) as (url, accepted), Client(**options) as client:
        for count in range(1, 4):
            with pytest.raises(exceptions.ConnectionError):
                client.get(url.replace("http://127.0.0.1", "https://localhost"), timeout=PATIENCE)
            assert len(accepted) == count


def test_many_threads_and_a_server_that_hangs_up() -> None:
    with ScriptedServer() as server, server.client(retries=2) as client, ThreadPoolExecutor(16) as threads:
        server.on_connect().drop()
        futures = [threads.submit(client.get, "/", timeout=PATIENCE) for _ in range(16)]
        assert all(isinstance(future.exception(PATIENCE), exceptions.ConnectionError) for future in futures)
        assert server.connection_count <= 16 * 3


# -- broken answers


def play_over_http1(octets: bytes, *, resets: bool = False) -> Callable[[socket.socket, list[str]], None]:
    def play(sock: socket.socket, requests: list[str]) -> None:
        request_head(sock)
        requests.append("request")
        sock.sendall(octets)
        if resets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return play


BROKEN_ANSWERS: dict[str, Callable[[Script], object]] = {
    "connection-specific": lambda script: script.respond(200, {"connection": "close"}),
    "no status": lambda script: script.headers({"server": "x"}),
    "DATA first": lambda script: script.data(b"x"),
    "too large": lambda script: script.respond(200, [("a", "b" * 99)] * 1000),
    "HPACK": lambda script: script.frame(FrameType.HEADERS, b"\xff\xff\x7f", flags=FrameFlag.END_HEADERS).stall(),
    "103 and no more": lambda script: script.informational().drop(),
}
BROKEN_ANSWERS_IN_HTTP1 = {
    "half a status line": play_over_http1(b"HTTP/1.1 20"),
    "none": play_over_http1(b"\0\0\0\0\r\n\r\n"),
    "half a head and a reset": play_over_http1(b"HTTP/1.1 200 OK\r\nname: ", resets=True),
    "a long line": play_over_http1(b"HTTP/1.1 200 OK\r\nname: " + b"a" * 100_000 + b"\r\n\r\n"),
    "many fields": play_over_http1(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000 + b"\r\n"),
    "100 and no more": play_over_http1(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


def assert_is_an_answer(client: Client, method: str, url: str) -> None:
    with pytest.raises(exceptions.ConnectionError) as raised:
        client.request(method, url, data=b"body" if method == "PUT" else None, timeout=PATIENCE)
    assert raised.value.processed is True
    assert raised.value.request.url == url


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("kind", BROKEN_ANSWERS)
def test_a_broken_answer_is_an_answer(kind: str, method: str) -> None:
    with ScriptedServer() as server, server.client() as client:
        BROKEN_ANSWERS[kind](server.route())
        assert_is_an_answer(client, method, f"{server.url}/")
        assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
@pytest.mark.parametrize("kind", BROKEN_ANSWERS_IN_HTTP1)
def test_a_broken_answer_in_http1_is_an_answer(kind: str, method: str) -> None:
    requests: list[str] = []
    play = BROKEN_ANSWERS_IN_HTTP1[kind]
    with playing(lambda sock: play(sock, requests)) as (url, _), Client(trust_env=False) as client:
        assert_is_an_answer(client, method, url)
    assert requests == ["request"]


def test_a_fault_of_the_connection_is_nobodys_answer() -> None:
    """And nobody's reason to try again: the server would do the same."""
    with ScriptedServer() as server, server.client() as client:
        server.route().frame(FrameType.RST_STREAM, bytes(4), stream_id=99).stall()
        with pytest.raises(exceptions.ConnectionError) as raised:
            client.get("/", timeout=PATIENCE)
        assert raised.value.processed is None
        assert len(server.requests) == 1


@contextlib.contextmanager
def losing(h2c: bool) -> Iterator[tuple[str, list[str]]]:
    """A server that hangs up on each request, and the requests so far."""
    requests: list[str] = []
    if h2c:
        with ScriptedServer(log=lambda request: requests.append("request")) as server:
            server.route().drop()
            yield f"{server.url}/", requests
    else:
        with playing(lambda sock: play_over_http1(b"")(sock, requests)) as (url, _):
            yield url, requests


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_what_was_lost_before_an_answer_began_is_sent_again_if_that_is_harmless(method: str, h2c: bool) -> None:
    with (
        losing(h2c) as (url, requests),
        Client(h2c=h2c, retries=2, trust_env=False) as client,
        pytest.raises(exceptions.ConnectionError) as raised,
    ):
        client.request(method, url, timeout=PATIENCE)
    assert raised.value.processed is None
    assert len(requests) == (1 if method == "POST" else 3)


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("sent", [True, False])
def test_a_last_attempt_that_was_not_sent_says_nothing_of_an_earlier_one(sent: bool, h2c: bool) -> None:
    with losing(h2c) as (url, requests):
        nobody = "127.0.0.1:1"
        places = iter([url.strip("/").rpartition("/")[2] if sent else nobody, nobody])
        with (
            Client(h2c=h2c, retries=1, trust_env=False, resolve=lambda host, port: next(places)) as client,
            pytest.raises(exceptions.ConnectionError, match="cannot connect") as raised,
        ):
            client.put("http://example.org/", timeout=PATIENCE)
    assert requests == ["request"] * sent
    assert (raised.value.processed, raised.value.retryable) == ((None, False) if sent else (False, True))


# -- what is unprocessed


@pytest.mark.parametrize("answers_first", [True, False])
def test_unprocessed_requests_are_sent_again_as_long_as_the_server_takes_others(answers_first: bool) -> None:
    """What nginx does after `keepalive_requests`, with more threads than that."""
    with ScriptedServer() as server, server.client(retries=2) as client, ThreadPoolExecutor(32) as threads:
        server.goaway_after(4, answers_first=answers_first)
        server.route()
        calls = [threads.submit(client.post, "/", data=b"x", timeout=PATIENCE) for _ in range(160)]
        assert [call.result(PATIENCE).status_code for call in calls] == [200] * 160
        assert 40 <= server.connection_count <= 60


def test_tries() -> None:
    assert Tries(0).pause(progress=True) is None
    tries = Tries(2)
    pauses = [tries.pause(progress=progress) for progress in (True, False, True, False, False, False)]
    assert [pause is not None for pause in pauses] == [True] * 5 + [False]
    tries = Tries(1)
    assert 100 < len(list(iter(lambda: tries.pause(progress=True), None))) < 100_000
    tries = Tries(1)
    assert 10 < len(list(iter(lambda: tries.pause(progress=True, refused=True), None))) < 100


def test_a_stream_that_is_open_is_no_progress_of_what_is_refused() -> None:
    tries: list[str] = []
    over = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        tries.append(headers[":path"])
        if headers[":path"] == "/never":
            stream.close(sync_h2.ErrorCode.REFUSED_STREAM)
        else:
            stream.respond({})
            over.wait(PATIENCE)
            stream.end()

    with (
        sync_h2.create_server(handler) as server,
        Client(h2c=True, retries=2, trust_env=False) as client,
        client.stream("GET", f"{server.url}/events"),
    ):
        with pytest.raises(exceptions.ConnectionError) as raised:
            client.get(f"{server.url}/never", timeout=PATIENCE)
        over.set()
    assert raised.value.processed is False
    assert tries.count("/never") == 3


@pytest.mark.parametrize("options", [{}, {"peer_max_concurrent_streams": 3}])
def test_a_burst_waits_for_the_settings(options: Any) -> None:
    before: list[int] = []
    go_on = threading.Event()
    most = options.get("peer_max_concurrent_streams", 1)

    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.receive_preface()
        mine: list[int] = []
        while len(before) < most:
            before.append(peer.expect(HeadersFrame).stream_id)
            mine.append(before[-1])
        assert go_on.wait(PATIENCE)
        peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 5}))
        for stream_id in mine:
            peer.headers(stream_id, RESPONSE, end_stream=True)
        while (frame := peer.receive()) is not None:
            if isinstance(frame, HeadersFrame):
                peer.headers(frame.stream_id, RESPONSE, end_stream=True)

    with (
        playing(play) as (url, accepted),
        Client(h2c=True, trust_env=False, **options) as client,
        ThreadPoolExecutor(20) as threads,
    ):
        calls = [threads.submit(client.post, url, timeout=PATIENCE) for _ in range(20)]
        eventually(lambda: len(before) == most)
        go_on.set()
        assert [call.result(PATIENCE).status_code for call in calls] == [200] * 20
    assert len(before) == most
    assert 1 <= len(accepted) <= 4


@pytest.mark.parametrize("ends", ["hangs up", "speaks HTTP/1.1", "is silent"])
def test_what_waits_for_settings_that_do_not_come(ends: str) -> None:
    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.receive_preface()
        peer.expect(HeadersFrame)
        if ends == "speaks HTTP/1.1":
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif ends == "is silent":
            while sock.recv(1_000_000):
                pass

    options = {"handshake_timeout": 0.3} if ends == "is silent" else {}
    with (
        playing(play) as (url, accepted),
        Client(h2c=True, retries=1, trust_env=False, **options) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        calls = [threads.submit(client.get, url, timeout=PATIENCE) for _ in range(8)]
        assert all(isinstance(call.exception(PATIENCE), exceptions.ConnectionError) for call in calls)
    assert len(accepted) <= 16


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(Timeouts(pool=0.1), exceptions.PoolTimeout), ((0.1, PATIENCE), exceptions.ConnectTimeout)],
)
def test_timeouts_count_while_settings_are_awaited(timeout: Any, expected: type[Exception]) -> None:
    begun, over = threading.Event(), threading.Event()

    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.receive_preface()
        peer.expect(HeadersFrame)
        begun.set()
        over.wait(PATIENCE)

    with (
        playing(play) as (url, _),
        Client(h2c=True, retries=0, trust_env=False) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(client.get, url, timeout=PATIENCE)
        assert begun.wait(PATIENCE)
        with pytest.raises(expected) as raised:
            client.get(url, timeout=timeout)
        assert getattr(raised.value, "processed", None) is False
        over.set()
        assert isinstance(first.exception(PATIENCE), exceptions.ConnectionError)
