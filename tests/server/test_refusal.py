"""A connection that is one too many is closed at once; a client of HTTP/2 is told why."""

from __future__ import annotations

import socket

import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame

from support.certificates import Certificate
from support.raw_peer import PATIENCE, RawPeer
from sync_h2 import ErrorCode, create_secure_server, create_server
from sync_h2.constants import PREFACE


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
