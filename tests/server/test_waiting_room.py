"""Newcomers that find a server full of clients that let everything wait, but not for long enough yet."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.certificates import Certificate
from support.raw_peer import REQUEST, RawPeer
from support.threads import eventually
from sync_h2 import ClientSession, HTTP2Error, ServerStream, ThreadingServer, connect, create_secure_server
from sync_h2.constants import SettingId
from sync_h2.server import room, waiting_room

Serve = Callable[..., ThreadingServer]
Visit = Callable[..., ClientSession]
LIMITS = ["max_sessions", "max_sessions_per_address"]
_EVER = 1e9  # seconds


def handler(stream: ServerStream, headers: Any) -> None:
    if headers[":method"] == "POST":
        stream.read()
    stream.end(b"hello" if headers[":path"] == "/" else bytes(1000))


def _stalls(session: Any) -> bool:
    return bool(session._streams) and session._stalled_since is not None


@contextlib.contextmanager
def stalled(server: ThreadingServer) -> Iterator[socket.socket]:
    """A client that takes nothing of its answer."""
    with socket.create_connection(server.address) as sock:
        peer = RawPeer(sock, client=True)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 0})
        peer.headers(1, REQUEST, end_stream=True)
        eventually(lambda: any(_stalls(session) for session in server.sessions))
        yield sock


@pytest.fixture
def nobody_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LEAST_STALLED", _EVER)
    monkeypatch.setattr(room, "LEAST_IDLE", _EVER)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_room, "_PATIENCE", 60.0)
    monkeypatch.setattr(room, "LEAST_STALLED", 0.3)


@pytest.mark.parametrize("limit", LIMITS)
def test_a_newcomer_waits_until_one_has_stalled_for_long_enough(
    serve: Serve, visit: Visit, patient: None, limit: str
) -> None:
    server = serve(handler, **{limit: 1})
    with stalled(server):
        session = visit(server)
        assert session.request().read(timeout=20) == b"hello"


def test_newcomers_over_tls_wait_too(patient: None, certificate: Certificate) -> None:
    with (
        create_secure_server(
            handler, certfile=certificate.certfile, keyfile=certificate.keyfile, max_sessions=1
        ) as server,
        connect(server.url, cafile=certificate.cafile) as first,
    ):
        upload = first.request({":method": "POST"}, end_stream=False)
        eventually(lambda: any(_stalls(session) for session in server.sessions))
        with connect(server.url, cafile=certificate.cafile, timeout=20) as second:
            assert second.request().read(timeout=20) == b"hello"
        with pytest.raises(HTTP2Error):
            upload.read(timeout=20)


def test_a_place_that_becomes_free_is_for_who_waits(serve: Serve, patient: None, nobody_is_ended: None) -> None:
    server = serve(handler, max_sessions=1, allow_http1=True)
    with stalled(server) as first, socket.create_connection(server.address, timeout=20) as second:
        second.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: server._waiting_room._waiting)
        first.close()
        assert second.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 503"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"max_sessions"),
        (b"", b""),
    ],
    ids=["HTTP/1.1", "HTTP/2", "silent"],
)
@pytest.mark.parametrize("end", ["patience", "close"])
def test_who_has_waited_in_vain_is_told_in_his_own_words(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    nobody_is_ended: None,
    said: bytes,
    answered: bytes,
    end: str,
) -> None:
    monkeypatch.setattr(waiting_room, "_PATIENCE", 0.2 if end == "patience" else 60.0)
    server = serve(handler, max_sessions=1, allow_http1=True)
    with stalled(server), socket.create_connection(server.address, timeout=20) as second:
        second.sendall(said)
        if end == "close":
            eventually(lambda: server._waiting_room._waiting)
            server.close(0)
        received = b""
        while octets := second.recv(4096):
            received += octets
    assert answered in received
    assert bool(answered) == bool(received)


def test_too_many_are_not_kept_waiting(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, patient: None, nobody_is_ended: None
) -> None:
    monkeypatch.setattr(waiting_room, "_MOST", 1)
    server = serve(handler, max_sessions=1)
    with stalled(server) as first, socket.create_connection(server.address, timeout=20) as second:
        eventually(lambda: server._waiting_room._waiting)
        with socket.create_connection(server.address, timeout=20) as third:
            while third.recv(4096):
                pass  # a GOAWAY, and the end
        first.close()
        peer = RawPeer(second, client=True)
        peer.handshake()
        peer.headers(1, REQUEST, end_stream=True)
        eventually(lambda: server.sessions)
        peer.settled()


def test_they_are_served_in_the_order_in_which_they_came(serve: Serve, patient: None, nobody_is_ended: None) -> None:
    server = serve(handler, max_sessions=1, allow_http1=True)
    with contextlib.ExitStack() as stack:
        occupant = stack.enter_context(stalled(server))
        waiting = []
        for number in range(3):
            waiting.append(stack.enter_context(socket.create_connection(server.address, timeout=20)))
            waiting[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            eventually(
                lambda number=number: hasattr(server, "_waiting_room") and len(server._waiting_room._waiting) > number
            )
        for place, newcomer in enumerate(waiting):
            occupant.close()
            assert newcomer.recv(4096).startswith(b"HTTP/1.1 200")
            eventually(lambda place=place: len(server._waiting_room._waiting) == len(waiting) - 1 - place)
            occupant = newcomer
