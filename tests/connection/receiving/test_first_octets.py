"""A server without TLS looks at what a client says first before it says anything itself."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, SettingsFrame, WindowUpdateFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import PATIENCE, RawPeer, server_and_raw_client
from support.threads.background import Background, eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, ServerSession, create_secure_server, create_server
from sync_h2.constants import PREFACE
from sync_h2.protocol.frames.first_octets import LONGEST_OPENING, Opening, recognise

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answer(stream: Any, headers: Any) -> None:
    stream.end(b"hello")


def everything(sock: socket.socket) -> bytes:
    """All that comes until the end, which comes before the test's patience ends."""
    chunks = list(iter(lambda: sock.recv(65_536), b""))
    return b"".join(chunks)


@pytest.mark.parametrize(
    ("octets", "opening"),
    [
        (b"", Opening.UNDECIDED),
        (b"P", Opening.UNDECIDED),
        (PREFACE[:-1], Opening.UNDECIDED),
        (PREFACE, Opening.HTTP_2),
        (PREFACE + bytes(8), Opening.HTTP_2),
        (b"POS", Opening.UNDECIDED),
        (b"POST /", Opening.HTTP_1),
        (b"GET ", Opening.UNDECIDED),
        (b"GET h", Opening.UNDECIDED),
        (b"GET http:/", Opening.UNDECIDED),
        (b"GET http://", Opening.HTTP_1),
        (b"GET HTTPS://a", Opening.HTTP_1),
        (b"OPTIONS *", Opening.HTTP_1),
        (b"CONNECT ", Opening.UNDECIDED),
        (b"CONNECT a", Opening.HTTP_1),
        (b"GET  /", Opening.UNKNOWN),
        (b"GET a", Opening.UNKNOWN),
        (b"GET ?", Opening.UNKNOWN),
        (b"GET httq", Opening.UNKNOWN),
        (b"INVALID CONNECTION PREFACE", Opening.UNKNOWN),
        (b"HELO example.org", Opening.UNKNOWN),
        (b"USER anonymous", Opening.UNKNOWN),
        (b"PRI ", Opening.UNDECIDED),
        (b"A" * (LONGEST_OPENING - 2) + b" ", Opening.UNDECIDED),
        (b"A" * (LONGEST_OPENING - 1) + b" ", Opening.UNKNOWN),
        (b"A" * (LONGEST_OPENING - 2) + b" /", Opening.HTTP_1),
        (b"M-SEARCH * HTTP/1.1", Opening.HTTP_1),
        (b"PRI * HTTP/3.0", Opening.UNKNOWN),
        (b"\x16", Opening.UNDECIDED),
        (b"\x16\x03\x01", Opening.TLS),
        (b"\x16\x02", Opening.UNKNOWN),
        (b" GET", Opening.UNKNOWN),
        (b"\x00\x00\x00\x04", Opening.UNKNOWN),
        (b"G\xffT /", Opening.UNKNOWN),
        (b"A" * (LONGEST_OPENING - 1), Opening.UNDECIDED),
        (b"A" * LONGEST_OPENING, Opening.UNKNOWN),
    ],
)
def test_openings_are_told_apart(octets: bytes, opening: Opening) -> None:
    assert recognise(octets) is opening


@pytest.mark.parametrize("pieces", [[GET], [b"G", b"ET", b" / HTTP/1.1\r\n\r\n"]])
def test_a_client_of_http_1_gets_an_answer_that_it_can_read(pieces: list[bytes]) -> None:
    with server_and_raw_client(answer, handshake=False) as (session, peer):
        for piece in pieces:
            peer.sock.sendall(piece)
            arrived(session, piece)
        head, _, body = everything(peer.sock).partition(b"\r\n\r\n")
        status_line, *fields = head.split(b"\r\n")
        assert status_line == b"HTTP/1.1 505 HTTP Version Not Supported"
        assert f"content-length: {len(body)}".encode() in fields
        assert b"connection: close" in fields
        for words in (b"HTTP/2 only", b"Client(h2c=True)", b"--http2-prior-knowledge", b"sync_h2[http1]", b"with TLS"):
            assert words in body
        assert session.destroyed


def arrived(session: ServerSession, piece: bytes) -> None:
    """Wait until the session has seen `piece`, so that the next one comes alone."""
    frames = session._protocol.frames
    eventually(lambda: session.destroyed or piece in frames.peek(LONGEST_OPENING))


def test_a_client_of_tls_is_hung_up_on_with_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync_h2.connection")
    with create_server(answer) as server, socket.create_connection(server.address, timeout=10) as sock:
        context = ssl.create_default_context()
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(sock, server_hostname="localhost")
        eventually(lambda: not server.sessions)
    assert [record.getMessage() for record in caplog.records if "begins with TLS" in record.getMessage()]


def test_nothing_is_said_to_a_client_of_tls() -> None:
    with server_and_raw_client(answer, handshake=False) as (_, peer):
        peer.sock.sendall(b"\x16\x03\x01\x00\x05hello")
        assert everything(peer.sock) == b""


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"PRI * HTTP/1.1\r\n\r\n",
        b"A" * 40,
        b"INVALID CONNECTION PREFACE\r\n\r\n",
        b"EHLO example.org\r\n",
    ],
)
def test_other_garbage_is_answered_with_goaway(octets: bytes) -> None:
    with server_and_raw_client(answer, handshake=False) as (_, peer):
        peer.sock.sendall(octets)
        first, *others = peer.until_end()
        assert isinstance(first, SettingsFrame)
        assert isinstance(others[-1], GoAwayFrame)
        assert others[-1].error_code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("octets", [b"", b"P", b"PR", b"PRI", b"GE", b"\x16"])
def test_a_client_that_leaves_before_it_has_said_what_it_speaks_is_told_nothing(octets: bytes) -> None:
    with server_and_raw_client(answer, handshake=False) as (session, peer):
        peer.sock.sendall(octets)
        peer.sock.shutdown(socket.SHUT_WR)
        assert everything(peer.sock) == b""
        eventually(lambda: session._gone)


def test_settings_come_first_whatever_was_called_before_the_preface(background: Background) -> None:
    with server_and_raw_client(answer, handshake=False) as (session, peer):
        waiting = background(session.ping, b"8 octets")
        eventually(lambda: session._outbox.size > 17)
        session.settings({"max_concurrent_streams": 7})
        session.goaway()
        peer.answers_pings = True
        peer.sock.sendall(PREFACE)
        peer.send(SettingsFrame(0))
        first = peer.receive()
        assert isinstance(first, SettingsFrame)
        assert 0x3 in first.settings
        assert {type(peer.receive()) for _ in range(4)} == {PingFrame, WindowUpdateFrame, GoAwayFrame, SettingsFrame}
        peer.send(PingFrame(0, b"8 octets", flags=["ACK"]))
        assert waiting.result(10).payload == b"8 octets"


def test_the_preface_may_come_octet_by_octet_and_with_everything_behind_it() -> None:
    with server_and_raw_client(answer, handshake=False) as (session, peer):
        for position in range(len(PREFACE) - 1):
            peer.sock.sendall(PREFACE[position : position + 1])
            arrived(session, PREFACE[: position + 1])
        # More PINGs than replies may be queued, and all of them in one read.
        pings = [PingFrame(0, number.to_bytes(8, "big")) for number in range(1000)]
        peer.sock.sendall(
            PREFACE[-1:]
            + b"".join(frame.serialize() for frame in [SettingsFrame(0), *pings, SettingsFrame(0, flags=["ACK"])])
        )
        assert isinstance(peer.receive(), SettingsFrame)
        for number in range(1000):
            assert peer.expect(PingFrame).opaque_data == number.to_bytes(8, "big")
        peer.headers(1, REQUEST, end_stream=True)
        assert peer.expect(DataFrame, 1).data == b"hello"


def test_the_time_for_acknowledging_settings_begins_when_they_go_out() -> None:
    with server_and_raw_client(answer, handshake=False, handshake_timeout=60, settings_timeout=10) as (session, peer):
        session._watchdog.on_timer(time.monotonic() + 11)
        assert not session.destroyed
        before = session._watchdog.settings[0]
        peer.handshake()
        eventually(lambda: not session._watchdog.settings)
        session.settings({"max_concurrent_streams": 7})
        assert session._watchdog.settings[0] > before
        session._watchdog.on_timer(time.monotonic() + 11)
        assert peer.farewell().additional_data == b"settings_timeout"


def test_a_session_that_is_destroyed_before_it_heard_anything_says_goodbye() -> None:
    with server_and_raw_client(answer, handshake=False) as (session, peer):
        session.destroy()
        first, last = peer.until_end()
        assert isinstance(first, SettingsFrame)
        assert isinstance(last, GoAwayFrame)


def test_over_tls_settings_come_at_once(certificate: Certificate) -> None:
    """It saves a round trip, and ALPN has settled what the client speaks."""
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    context.set_alpn_protocols(["h2"])
    with (
        create_secure_server(answer, certfile=certificate.certfile, keyfile=certificate.keyfile) as server,
        socket.create_connection(server.address, timeout=PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        assert isinstance(RawPeer(tls, client=True).receive(), SettingsFrame)
