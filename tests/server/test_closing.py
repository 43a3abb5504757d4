"""What a server that closes does with clients that have nothing under way, and with what they have just sent."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame

from support.octets.fields import REQUEST
from support.peers.http1_client import RawHTTP1Client, dial, get, http1_session
from support.peers.raw_peer import PATIENCE, RawPeer, server_and_raw_client
from support.threads.background import Background, eventually
from support.tls.certificates import Certificate
from sync_h2 import Client, connect, create_secure_server, create_server
from sync_h2.constants import MAX_STREAM_ID, PREFACE
from sync_h2.exceptions import RequestException
from sync_h2.server.accepting import acceptor
from sync_h2.server.shutdown_notice import telling_what_is_waited_for
from sync_h2.transport.sockets import turn_away

FOREVER = 1000.0  # seconds; no test lasts so long


def hello(stream: Any, headers: Any) -> None:
    stream.end(b"hello")


def silent(sock: Any) -> None:
    pass


def preface_only(sock: Any) -> None:
    sock.sendall(PREFACE + SettingsFrame(0).serialize())


def http2_request(sock: Any) -> None:
    """Its answer is read, and then nothing any more."""
    peer = RawPeer(sock, client=True)
    peer.handshake()
    peer.headers(1, REQUEST, end_stream=True)
    peer.expect(HeadersFrame)


def http1_request(sock: Any) -> None:
    assert RawHTTP1Client(sock).ask(get("/")).body == b"hello"


IDLE = [silent, preface_only, http2_request, http1_request]


@pytest.fixture
def warnings_of_the_server(caplog: Any) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.usefixtures("short_linger")
@pytest.mark.parametrize("behave", IDLE)
@pytest.mark.parametrize("tls", [False, True])
def test_who_has_nothing_under_way_and_does_not_read_is_not_waited_for(
    behave: Any, tls: bool, certificate: Certificate, warnings_of_the_server: Any
) -> None:
    if tls:
        server: Any = create_secure_server(
            hello, certfile=certificate.certfile, keyfile=certificate.keyfile, allow_http1=True, close_timeout=FOREVER
        )
    else:
        server = create_server(hello, allow_http1=True, close_timeout=FOREVER)
    server.start()
    with socket.create_connection(server.address, timeout=PATIENCE) as sock:
        if tls:
            context = ssl.create_default_context(cafile=str(certificate.cafile))
            context.set_alpn_protocols(["http/1.1" if behave is http1_request else "h2"])
            sock = context.wrap_socket(sock, server_hostname="localhost")
        with sock:
            behave(sock)
            eventually(lambda: server._connections._newcomers or server.sessions)
            server.close(FOREVER)
    assert warnings_of_the_server() == []


@pytest.mark.parametrize("behave", IDLE)
def test_a_timeout_that_is_shorter_is_kept_without_a_warning(behave: Any, warnings_of_the_server: Any) -> None:
    def duration(timeout: float) -> float:
        server = create_server(hello, allow_http1=True)
        server.start()
        with socket.create_connection(server.address, timeout=PATIENCE) as sock:
            behave(sock)
            eventually(lambda: server._connections._newcomers or server.sessions)
            began = time.monotonic()
            server.close(timeout)
            return time.monotonic() - began

    assert duration(0.1) < duration(FOREVER)
    assert warnings_of_the_server() == []


def test_what_takes_longer_than_the_timeout_is_named(warnings_of_the_server: Any) -> None:
    server = create_server(lambda stream, headers: stream.wait_closed(), allow_http1=True)
    server.start()
    with dial(server.address) as client:
        client.send(get("/"))
        eventually(lambda: any(session._streams for session in server.sessions))
        server.close(0.1)
    assert "did not finish in time" in warnings_of_the_server()[0]


# -- HTTP/1.1


def test_a_request_that_crosses_the_closing_is_answered_and_the_answer_says_so() -> None:
    with http1_session(hello, get("/")) as (session, client):
        assert client.response().headers["connection"] is None
        session.close(wait=False)
        answer = client.ask(get("/"))
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert client.rest() == b""
        session.close(timeout=PATIENCE)


def test_a_first_request_that_crosses_the_closing_is_answered() -> None:
    server = create_server(hello, allow_http1=True, close_timeout=PATIENCE)
    server.start()
    with dial(server.address) as client:
        eventually(lambda: server._connections._newcomers)
        server.shutdown()
        client.send(get("/"))
        server.close()
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert client.rest() == b""


def test_who_hangs_up_instead_is_not_waited_for() -> None:
    with http1_session(hello, get("/")) as (session, client):
        client.response()
        session.close(wait=False)
        client.end()
        session._wait_gone(PATIENCE)
        assert session._watchdog.drain is None


def test_a_session_whose_closing_was_begun_twice_ends_once() -> None:
    with server_and_raw_client(hello) as (session, peer):
        session.close(wait=False)
        session.close(wait=False)
        ping = peer.expect(PingFrame)
        peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
        assert [type(frame) for frame in peer.until_end()].count(GoAwayFrame) == 1  # the second


# -- HTTP/2


def test_no_goaway_before_the_client_has_our_settings() -> None:
    """HAProxy has requests wait for them on a new connection, and gives these up at a GOAWAY, whatever that says."""
    with server_and_raw_client(hello, handshake=False) as (session, peer):
        peer.send_preface_without_acknowledging()
        assert isinstance(peer.receive(), SettingsFrame)
        session.close(wait=False)
        peer.headers(1, REQUEST, end_stream=True)
        frames = []
        while not (frames and "END_STREAM" in frames[-1].flags):
            frames.append(peer.receive())
        assert not any(isinstance(frame, GoAwayFrame) for frame in frames)
        peer.acknowledge_settings()
        assert peer.expect(GoAwayFrame).last_stream_id == MAX_STREAM_ID


def test_a_client_that_never_acknowledges_our_settings_is_not_waited_for() -> None:
    with server_and_raw_client(hello, handshake=False) as (session, peer):
        peer.send_preface_without_acknowledging()
        session.close(timeout=PATIENCE)
        assert peer.farewell().last_stream_id == 0


def test_a_request_under_way_is_finished_for_a_client_that_does_not_read_meanwhile() -> None:
    body = bytes(1_000_000)
    with server_and_raw_client(lambda stream, headers: stream.end(body)) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        eventually(lambda: session._streams)
        session.close(wait=False)
        first = session._watchdog.drain
        eventually(lambda: session._watchdog.drain != first)  # it was looked at, and goes on
        assert session._draining
        peer.open_window(0, len(body))
        peer.open_window(1, len(body))
        received = 0
        while received < len(body):
            frame = peer.receive()
            received += len(getattr(frame, "data", b"")) if frame.stream_id == 1 else 0
        session.close(timeout=PATIENCE)
        assert peer.farewell().last_stream_id == 1


# -- connections that nobody has accepted yet


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_what_waits_in_the_backlog_is_served(version: str) -> None:
    server = create_server(hello, allow_http1=True, close_timeout=PATIENCE)
    socks = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(30)]
    try:
        peers = [RawPeer(sock, client=True) for sock in socks]
        for sock, peer in zip(socks, peers, strict=True):
            if version == "1.1":
                sock.sendall(get("/"))
            else:
                peer.send_preface_without_acknowledging()
                peer.headers(1, REQUEST, end_stream=True)
        server.start()
        server.shutdown()
        for sock, peer in zip(socks, peers, strict=True):
            if version == "1.1":
                assert RawHTTP1Client(sock).response().body == b"hello"
            else:
                assert ("status", "200") in [(name[1:], value) for name, value in peer.expect(HeadersFrame).fields]
    finally:
        for sock in socks:
            sock.close()
        server.close()


@pytest.mark.parametrize("family", ["tcp", "unix"])
@pytest.mark.parametrize("version", ["1.1", "2"])
def test_who_comes_while_a_server_closes_is_served_or_refused(
    version: str, family: str, tmp_path: Path, background: Background
) -> None:
    """Each client opens a connection for each request, so that there are always some that nobody has accepted yet."""
    host = f"unix:{tmp_path}/server.sock" if family == "unix" else "127.0.0.1"
    server = create_server(hello, host, allow_http1=True, close_timeout=PATIENCE)
    served = threading.Semaphore(0)
    options: dict[str, Any] = {"unix_socket": str(server.address)} if family == "unix" else {}
    url = "http://localhost" if family == "unix" else server.url

    def ask_until_refused() -> RequestException:
        while True:
            try:
                with Client(h2c=version == "2", retries=0, **options) as client:
                    assert client.get(url, timeout=PATIENCE).content == b"hello"
            except RequestException as error:
                return error
            served.release()

    with server:
        clients = [background(ask_until_refused) for _ in range(30)]
        for _ in range(60):
            assert served.acquire(timeout=PATIENCE)
    assert [error for error in (client.result(PATIENCE) for client in clients) if error.processed is not False] == []


def test_a_server_that_closes_leaves_the_path_to_its_successor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"unix:{tmp_path}/server.sock"
    successors: list[Any] = []

    def turn_away_and_begin(listener: socket.socket) -> bool:
        turned_away = turn_away(listener)
        successors.append(create_server(hello, host))
        return turned_away

    with create_server(hello, host):
        monkeypatch.setattr(acceptor, "turn_away", turn_away_and_begin)
    monkeypatch.undo()
    with successors[0], connect(host) as session:
        assert session.request().read(timeout=PATIENCE) == b"hello"


# -- what is waited for


def test_what_a_server_waits_for_is_told() -> None:
    released = threading.Event()

    def wait(stream: Any, headers: Any) -> None:
        released.wait(PATIENCE)
        stream.end(b"")

    server = create_server(wait, allow_http1=True)
    server.start()
    told: list[str] = []
    with dial(server.address) as client, dial(server.address) as other:
        client.send(get("/events"))
        other.send(get("/others"))
        eventually(lambda: len(server._requests_under_way()) == 2)

        def tell(text: str) -> None:
            told.append(text)
            released.set()

        with telling_what_is_waited_for(server, tell):
            server.close(FOREVER)
    (text,) = told
    assert text.startswith("waiting for GET /")
    assert "GET /events of 127.0.0.1:" in text
    assert "GET /others of 127.0.0.1:" in text


def test_nothing_is_told_when_nothing_is_waited_for() -> None:
    server = create_server(hello)
    server.start()
    told: list[str] = []
    with telling_what_is_waited_for(server, told.append):
        server.close()
    assert told == []
