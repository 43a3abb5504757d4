"""How a scripted server's connections and streams end: when GOAWAY is said, and what a request's record has then."""

from __future__ import annotations

import gc
import socket
import ssl
import struct
import threading
from collections.abc import Callable

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame

from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ErrorCode, Timeout
from sync_h2.testing import ReceivedRequest, Script, ScriptedServer

# -- GOAWAY on connections that have brought so many requests already


@pytest.mark.parametrize("answers_first", [False, True])
def test_a_client_whose_connection_has_had_its_requests_goes_on_on_another(
    server: ScriptedServer, answers_first: bool
) -> None:
    server.route("/").respond(200)
    with server.client() as client:
        client.get("/")
        client.get("/")
        server.goaway_after(1, answers_first=answers_first)
        assert client.get("/").status_code == 200
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_goaway_while_more_are_under_way_than_are_wanted(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/").stall()
    for stream_id in (1, 3):
        peer.headers(stream_id, REQUEST, end_stream=True)
    server.wait_request()
    server.wait_request()
    server.goaway_after(1)
    peer.headers(5, REQUEST, end_stream=True)
    assert peer.expect(GoAwayFrame).last_stream_id == 3
    slow.release()
    assert sorted(frame.stream_id for frame in peer.until_end() if isinstance(frame, HeadersFrame)) == [1, 3]


def test_goaway_when_more_are_answered_than_are_wanted(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/").stall()
    for stream_id in (1, 3):
        peer.headers(stream_id, REQUEST, end_stream=True)
    server.wait_request()
    server.wait_request()
    server.goaway_after(1, answers_first=True)
    peer.headers(5, REQUEST, end_stream=True)
    assert [frame for frame in peer.settled() if isinstance(frame, GoAwayFrame)] == []
    slow.release()
    frames = [frame for frame in peer.until_end() if isinstance(frame, HeadersFrame | GoAwayFrame)]
    assert [frame.stream_id for frame in frames] == [1, 3, 0]
    assert frames[-1].last_stream_id == 3


# -- requests whose streams a script ends


@pytest.mark.parametrize(
    "ends",
    [
        lambda script: script.reset(ErrorCode.REFUSED_STREAM),
        lambda script: script.goaway(last_stream_id=0),
        lambda script: script.respond(413).data("x", end_stream=True).reset(ErrorCode.NO_ERROR),
    ],
)
def test_a_request_whose_stream_the_script_ends_is_lost(
    server: ScriptedServer, peer: RawPeer, ends: Callable[[Script], Script]
) -> None:
    ends(server.route("/").read(0))
    peer.headers(1, UPLOAD)
    request = server.wait_request()
    assert (request.complete, request.lost, request.reset_code) == (False, True, None)
    with pytest.raises(Timeout, match="will never be complete"):
        request.wait_complete()
    with pytest.raises(Timeout, match="the stream or the connection has ended"):
        request.wait_reset()


def test_goaway_loses_the_requests_above_its_last_stream(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/", "PUT").goaway(last_stream_id=1)
    server.route("/").read(0).stall()
    peer.headers(1, UPLOAD)
    peer.headers(3, UPLOAD)
    peer.headers(5, [(":method", "PUT"), *REQUEST[1:]], end_stream=True)
    peer.expect(GoAwayFrame)
    put, lost = server.wait_request(), server.wait_request()
    if put.stream_id == 3:
        put, lost = lost, put
    assert (put.stream_id, put.complete, put.lost) == (5, True, False)
    assert (lost.stream_id, lost.complete, lost.lost) == (3, False, True)
    assert not server.requests[0].lost


def test_a_request_that_its_client_reset_is_not_lost(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").read(0).stall()
    peer.headers(1, UPLOAD)
    peer.reset(1, ErrorCode.CANCEL)
    request = server.wait_request()
    peer.settled()
    assert (request.reset_code, request.lost) == (ErrorCode.CANCEL, False)


# -- clients of TLS that go


def test_clients_of_tls_that_reset_at_once_leave_no_warning_behind() -> None:
    """Which pytest makes an error."""
    with ScriptedServer(tls=True) as server:
        for _ in range(20):
            sock = socket.create_connection(server.address)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        with server.client() as client:
            assert client.get("/").status_code == 404
        eventually(lambda: not server._threads)
    gc.collect()


def test_a_client_that_does_not_trust_the_certificate_is_gone_with_its_thread() -> None:
    with ScriptedServer(tls=True) as server:
        for _ in range(2):
            with (
                socket.create_connection(server.address) as sock,
                pytest.raises(ssl.SSLCertVerificationError),
                ssl.create_default_context().wrap_socket(sock, server_hostname="localhost"),
            ):
                pass
        eventually(lambda: not server._threads)


def test_a_client_without_a_tls_version_in_common_is_told_so() -> None:
    with ScriptedServer(tls=True) as server:
        assert server._context is not None
        server._context.minimum_version = ssl.TLSVersion.TLSv1_3
        context = server.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(server.address) as sock,
            pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"),
            context.wrap_socket(sock, server_hostname="localhost"),
        ):
            pass


def test_a_client_of_tls_can_say_that_it_ends(server: ScriptedServer) -> None:
    with ScriptedServer(tls=True) as server:
        with socket.create_connection(server.address) as sock:
            sock.settimeout(10)
            tls = server.client_context().wrap_socket(sock, server_hostname="localhost")
            with tls, pytest.raises(ssl.SSLEOFError):  # the server cuts it
                tls.unwrap()
        eventually(lambda: not server._threads)


# -- closing while a log is told


def test_close_does_not_wait_for_a_log_that_blocks() -> None:
    told, goes_on = threading.Event(), threading.Event()

    def log(request: ReceivedRequest) -> None:
        told.set()
        goes_on.wait(60)

    server = ScriptedServer(log=log)
    server.start()
    with socket.create_connection(server.address) as sock, socket.create_connection(server.address):
        peer = RawPeer(sock, client=True)
        peer.handshake()
        peer.headers(1, REQUEST, end_stream=True)
        assert told.wait(10)
        server.close()
        assert len(server._threads) == 1
        assert not goes_on.is_set()
        goes_on.set()
        eventually(lambda: not server._threads)
        assert [frame for frame in peer.until_end() if isinstance(frame, HeadersFrame)] == []


def test_a_log_can_close_the_server() -> None:
    closed = threading.Event()

    def log(request: ReceivedRequest) -> None:
        server.close()
        closed.set()

    server = ScriptedServer(log=log)
    server.start()
    with socket.create_connection(server.address) as sock:
        peer = RawPeer(sock, client=True)
        peer.handshake()
        peer.headers(1, REQUEST, end_stream=True)
        assert closed.wait(10)
        assert [frame for frame in peer.until_end() if isinstance(frame, HeadersFrame)] == []
    eventually(lambda: not server._threads)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server.address)
