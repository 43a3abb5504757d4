"""A connection that is one too many is closed at once; a client of HTTP/2 is told why."""

from __future__ import annotations

import socket

import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame

from support.peers.http1_client import get
from support.peers.raw_peer import PATIENCE, RawPeer
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, create_secure_server, create_server
from sync_h2.constants import PREFACE
from sync_h2.server.accepting import refusals


def everything(sock: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: sock.recv(65_536), b""))
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("first_octets", [b"", PREFACE])
def test_a_client_of_http2_gets_a_goaway_that_names_the_limit(first_octets: bytes) -> None:
    server = create_server(max_sessions=0)
    with socket.create_connection(server.address, timeout=PATIENCE) as sock:
        sock.sendall(first_octets)
        with server:  # accepts only now
            settings, goaway = RawPeer(sock, client=True).until_end()
        assert isinstance(settings, SettingsFrame)
        assert isinstance(goaway, GoAwayFrame)
        assert (goaway.last_stream_id, goaway.error_code) == (0, ErrorCode.ENHANCE_YOUR_CALM)
        assert goaway.additional_data == b"max_sessions"


@pytest.mark.parametrize("first_octets", [PREFACE, get("/")])
def test_where_both_versions_are_served_the_first_octets_tell_also_when_they_come_later(
    first_octets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_PATIENCE", PATIENCE)
    with (
        create_server(max_sessions=0, allow_http1=True) as server,
        socket.create_connection(server.address, timeout=PATIENCE) as sock,
    ):
        eventually(
            lambda: hasattr(server._acceptor, "refusals") and server._acceptor.refusals.patience
        )  # accepted, and nothing has come yet
        sock.sendall(first_octets)
        if first_octets == PREFACE:
            _, goaway = RawPeer(sock, client=True).until_end()
            assert goaway.additional_data == b"max_sessions"
        else:
            answer = everything(sock)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"max_sessions" in answer


def test_who_is_refused_and_stays_silent_is_closed_without_a_word() -> None:
    with (
        create_server(max_sessions=0, allow_http1=True) as server,
        socket.create_connection(server.address, timeout=PATIENCE) as sock,
    ):
        assert everything(sock) == b""
        assert server._acceptor.refusals.patience is None


def test_more_than_can_be_told_are_closed_at_once() -> None:
    with create_server(max_sessions=0, allow_http1=True) as server:
        socks = [socket.create_connection(server.address, timeout=PATIENCE) for _ in range(150)]
        for sock in socks:
            with sock:
                assert everything(sock) == b""


def test_a_client_of_http1_gets_nothing_that_it_cannot_read() -> None:
    server = create_server(max_sessions=0)
    with socket.create_connection(server.address, timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with server:
            assert everything(sock) == b""


def test_over_tls_it_is_just_closed(certificate: Certificate) -> None:
    with (
        create_secure_server(certfile=certificate.certfile, keyfile=certificate.keyfile, max_sessions=0) as server,
        socket.create_connection(server.address, timeout=PATIENCE) as sock,
    ):
        assert everything(sock) == b""
