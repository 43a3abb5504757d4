"""RFC 9113 section 3: how a connection starts."""

from __future__ import annotations

import socket
import ssl

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from support.connections.conversations import (
    ClientConversation,
    ServerConversation,
    client_conversation,
    server_conversation,
)
from support.octets import frames
from support.peers.raw_peer import PATIENCE, RawPeer
from support.peers.sockets import tcp_pair
from support.threads.background import Background
from sync_h2 import ErrorCode, serve_socket
from sync_h2.constants import PREFACE


def _everything(peer: RawPeer) -> list[Frame]:
    peer.sock.shutdown(socket.SHUT_WR)
    return peer.until_end()


def test_section_3_4_a_server_begins_with_settings() -> None:
    """As soon as it knows that the client speaks HTTP/2: the client's SETTINGS need not have come."""
    with server_conversation(handshake=False) as server:
        server.send(PREFACE)
        assert isinstance(server.peer.receive(), SettingsFrame)


def test_section_3_4_a_server_begins_at_once_where_alpn_has_agreed_on_http_2(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext], background: Background
) -> None:
    near, far = tcp_pair()
    opening = background(serve_socket, near, context=tls_contexts[1])
    with tls_contexts[0].wrap_socket(far, server_hostname="localhost") as sock:
        session = opening.result(PATIENCE)
        assert isinstance(RawPeer(sock, client=True).receive(), SettingsFrame)
        session.destroy()


def test_section_3_4_a_client_begins_with_the_preface_and_settings_and_waits_for_nothing() -> None:
    with client_conversation(handshake=False) as client:
        client.peer.receive_preface()
        first = client.peer.receive()
        assert isinstance(first, SettingsFrame)
        assert "ACK" not in first.flags


def test_section_3_4_a_client_may_send_requests_before_the_servers_settings() -> None:
    with client_conversation(handshake=False) as client:
        stream = client.session.request()
        client.peer.receive_preface()
        client.peer.expect(HeadersFrame, 1)
        client.send(frames.settings(), frames.response(1), frames.data(1, b"hello", frames.END_STREAM))
        assert stream.read() == b"hello"


def test_section_3_4_a_server_takes_requests_that_come_with_the_preface() -> None:
    with server_conversation(handshake=False) as server:
        server.send(PREFACE, frames.settings(), frames.request(server.new_id()))
        assert server.answer(1) == ("200", b"")


def test_section_3_4_the_preface_may_come_octet_by_octet() -> None:
    with server_conversation(handshake=False) as server:
        for octet in PREFACE + frames.settings() + frames.request(server.new_id()):
            server.send(bytes((octet,)))
        assert server.answer(1) == ("200", b"")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", id="wrong in its last octet"),
        pytest.param(b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", id="another version"),
        pytest.param(frames.settings(), id="SETTINGS without it"),
        pytest.param(b"INVALID CONNECTION PREFACE\r\n\r\n", id="some text"),
    ],
)
def test_section_3_4_another_preface_is_a_connection_error(octets: bytes) -> None:
    with server_conversation(handshake=False) as server:
        server.send(octets)
        assert isinstance(server.peer.receive(), SettingsFrame)
        server.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 505 ", id="HTTP/1.1"),
        pytest.param(b"CONNECT localhost:1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 505 ", id="CONNECT of HTTP/1.1"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"", id="TLS"),
    ],
)
def test_section_3_4_who_speaks_something_else_is_sent_no_frames(octets: bytes, answer: bytes) -> None:
    """ "A GOAWAY frame MAY be omitted [...], since an invalid preface indicates that the peer is not using HTTP/2"."""
    with server_conversation(handshake=False) as server:
        server.send(octets)
        said = b"".join(iter(lambda: server.peer.sock.recv(65_536), b""))
        assert said.startswith(answer)
        assert bool(said) is bool(answer)


@pytest.mark.parametrize("octets", [b"", b"P", PREFACE[:-1], PREFACE, PREFACE + frames.settings()[:5]])
def test_section_3_4_a_preface_that_breaks_off_is_no_more_than_an_ended_connection(octets: bytes) -> None:
    with server_conversation(handshake=False) as server:
        server.send(octets)
        assert not any(isinstance(frame, HeadersFrame | DataFrame) for frame in _everything(server.peer))


NOT_SETTINGS = [
    pytest.param(frames.settings_ack(), id="the ACK of SETTINGS"),
    pytest.param(frames.ping(), id="PING"),
    pytest.param(frames.window_update(0, 1), id="WINDOW_UPDATE"),
    pytest.param(frames.goaway(0), id="GOAWAY"),
    pytest.param(frames.request(1), id="HEADERS"),
    pytest.param(frames.data(1), id="DATA"),
    pytest.param(frames.priority(1), id="PRIORITY"),
    pytest.param(frames.rst_stream(1), id="RST_STREAM"),
    pytest.param(frames.frame(frames.UNKNOWN, 0, 0), id="an unknown frame"),
]


@pytest.mark.parametrize("first", NOT_SETTINGS)
def test_section_3_4_a_clients_first_frame_is_settings(first: bytes) -> None:
    with server_conversation(handshake=False) as server:
        server.send(PREFACE, first)
        server.connection_error(ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("first", NOT_SETTINGS)
def test_section_3_4_a_servers_first_frame_is_settings(first: bytes) -> None:
    with client_conversation(handshake=False) as client:
        client.peer.receive_preface()
        client.send(first)
        client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_3_4_a_server_that_answers_in_http_1_is_told_apart() -> None:
    with client_conversation(handshake=False) as client:
        client.peer.receive_preface()
        stream = client.session.request()
        client.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        with pytest.raises(Exception, match=r"HTTP/1") as raised:
            stream.wait_response()
        assert getattr(raised.value, "code", None) == ErrorCode.HTTP_1_1_REQUIRED


def test_section_3_4_empty_settings_are_settings(server: ServerConversation, client: ClientConversation) -> None:
    """`handshake` in both fixtures sends a SETTINGS frame without a single setting."""
    server.goes_on()
    client.goes_on()
