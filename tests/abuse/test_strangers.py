"""Connections of those who speak something else, or nothing, or vanish."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, SettingsFrame

from support.attacks.victim import Attacker, Victim
from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ErrorCode
from sync_h2.constants import PREFACE

COUNT = 30
UPLOADING = (*UPLOAD[:3], (":path", "/read"))


def everything(sock: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: sock.recv(65_536), b""))
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("octets", [b"", b"\x00", b"PR", b"GET", b"\x16\x03\x01"])
def test_a_few_octets_and_gone(victim: Victim, octets: bytes) -> None:
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            sock = victim.dial()
            sock.sendall(octets)
            sock.close()


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_few_octets_to_a_tls_port_and_gone(start: Callable[..., Victim], octets: bytes) -> None:
    victim = start(tls=True)
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            sock = victim.dial()
            sock.sendall(octets)
            sock.close()


def test_tls_without_alpn(start: Callable[..., Victim], without_alpn: ssl.SSLContext) -> None:
    victim = start(tls=True)
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            with victim.dial() as sock:
                try:
                    with without_alpn.wrap_socket(sock, server_hostname="localhost") as tls:
                        assert everything(tls) == b""
                except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
                    pass  # refused in the handshake


def test_http_1_to_a_port_of_http_2(victim: Victim) -> None:
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            with victim.dial() as sock:
                sock.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert everything(sock).startswith(b"HTTP/1.1 505 ")


def test_tls_to_a_port_without(victim: Victim, without_alpn: ssl.SSLContext) -> None:
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            with victim.dial() as sock, pytest.raises((ssl.SSLError, OSError)):
                without_alpn.wrap_socket(sock, server_hostname="localhost")


# What is cut off: in the preface, in a frame's header, a header block, a body, between requests.
CUTS = {
    "the preface": PREFACE[:20],
    "a frame's header": PREFACE + SettingsFrame(0).serialize()[:5],
    "a header block": PREFACE + SettingsFrame(0).serialize() + HeadersFrame(1, bytes(100)).serialize()[:50],
    "a block without its end": PREFACE + SettingsFrame(0).serialize() + HeadersFrame(1, b"\x82").serialize(),
}


@pytest.mark.parametrize("octets", CUTS.values(), ids=CUTS.keys())
def test_a_tcp_reset_in_mid_frame(victim: Victim, octets: bytes) -> None:
    with victim.watched(connections=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            peer = Attacker(victim.dial(), client=True)
            peer.blast(octets)
            peer.reset_connection()


def test_a_tcp_reset_in_mid_body(victim: Victim) -> None:
    with victim.watched(connections=COUNT, handlers=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            peer = victim.attacker()
            peer.headers(1, UPLOADING)
            peer.data(1, bytes(10_000))
            peer.blast(DataFrame(1, bytes(10_000)).serialize()[:5000])
            peer.reset_connection()


def test_a_tcp_reset_in_mid_response(victim: Victim) -> None:
    with victim.watched(connections=COUNT, handlers=COUNT, cpu_seconds=20):
        for _ in range(COUNT):
            peer = victim.attacker()
            peer.headers(1, (*REQUEST[:3], (":path", "/big/100000000")), end_stream=True)
            peer.expect(DataFrame, 1)
            peer.reset_connection()


def test_idle_connections_beyond_max_sessions(start: Callable[..., Victim]) -> None:
    """Those beyond are told so and closed; who is there already is served; there is room again when some leave."""
    victim = start(max_sessions=20, handshake_timeout=None)
    with victim.watched(connections=20):
        occupants = [victim.attacker() for _ in range(19)]  # with the bystander it is full
        for peer in occupants:
            peer.headers(1, (*REQUEST[:3], (":path", "/work")), end_stream=True)
            peer.settled()
        beyond = [RawPeer(victim.dial(), client=True) for _ in range(40)]
        for newcomer in beyond:
            last = newcomer.until_end()[-1]
            assert isinstance(last, GoAwayFrame)
            assert (last.error_code, last.additional_data) == (ErrorCode.ENHANCE_YOUR_CALM, b"max_sessions")
        for peer in occupants:
            peer.sock.close()

        def there_is_room() -> bool:
            peer = Attacker(victim.dial(), client=True)
            peer.blast(PREFACE + SettingsFrame(0).serialize())
            peer.expect(SettingsFrame)
            return not isinstance(peer.receive(), GoAwayFrame)

        eventually(there_is_room)
