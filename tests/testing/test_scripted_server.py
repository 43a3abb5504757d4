"""The scripted server around its scripts: routes, what is recorded, connections, bounds, and its end."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import ContinuationFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

import sync_h2
from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from support.threads.background import Background, background, eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, InvalidArgument, Timeout
from sync_h2.constants import PREFACE, SettingId
from sync_h2.testing import ScriptedServer, certificates

from .conftest import Dial

__all__ = ["background"]


def of_path(path: str, method: str = "GET") -> list[tuple[str, str]]:
    return [(":method", method), *REQUEST[1:3], (":path", path)]


# -- routes


def test_the_closest_route_answers(server: ScriptedServer) -> None:
    for status, arguments in enumerate([("/a",), ("/a", "POST"), ("/a?q=1",), (None, "PUT"), ()], 201):
        server.route(*arguments).respond(status)
    with server.client() as client:
        assert client.get("/a").status_code == 201
        assert client.get("/a?q=2").status_code == 201
        assert client.post("/a").status_code == 202
        assert client.get("/a?q=1").status_code == 203
        assert client.put("/b").status_code == 204
        assert client.get("/b").status_code == 205


def test_scripts_of_a_route_answer_one_after_another_and_the_last_stays(server: ScriptedServer) -> None:
    for status in (503, 500, 200):
        server.route("/").respond(status)
    with server.client() as client:
        assert [client.get("/").status_code for _ in range(4)] == [503, 500, 200, 200]
        server.route("/").respond(404)
        assert [client.get("/").status_code for _ in range(2)] == [404, 404]


def test_what_has_no_route_is_answered_with_404_and_recorded(server: ScriptedServer) -> None:
    with server.client() as client:
        response = client.delete("/nowhere?x=1")
    assert (response.status_code, response.text) == (404, "no route for DELETE /nowhere?x=1\n")
    [request] = server.requests
    assert (request.method, request.path, request.routed) == ("DELETE", "/nowhere?x=1", False)


# -- what is recorded


def test_requests_are_recorded_whole(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/")
    peer.headers(1, [*UPLOAD, ("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")])
    peer.data(1, b"bo")
    peer.data(1, b"dy")
    peer.headers(1, [("x-checksum", "7")], end_stream=True)
    request = server.wait_request()
    assert (request.method, request.path, request.body, request.body_length) == ("POST", "/", b"body", 4)
    assert (request.headers[":authority"], request.headers["x-a"], request.headers["cookie"]) == (
        "localhost",
        "1",
        "a=1; b=2",
    )
    assert request.trailers is not None
    assert dict(request.trailers) == {"x-checksum": "7"}
    assert (request.complete, request.routed, request.lost, request.reset_code) == (True, True, False, None)
    assert (request.connection, request.stream_id) == (1, 1)
    assert repr(request) == "<POST / of connection 1>"


def test_requests_are_handed_out_once_when_they_are_complete(server: ScriptedServer, peer: RawPeer) -> None:
    server.route().read(0).stall()
    for stream_id, path in ((1, "/first"), (3, "/second"), (5, "/third")):
        peer.headers(stream_id, of_path(path, "POST"))
    assert server.wait_request(complete=False).path == "/first"
    peer.data(3, b"", end_stream=True)
    assert server.wait_request().path == "/second"
    peer.reset(5, ErrorCode.CANCEL)
    assert server.wait_request().path == "/third"
    with pytest.raises(Timeout, match="no request came within 0 s"):
        server.wait_request(0)
    assert [request.path for request in server.requests] == ["/first", "/second", "/third"]


def test_a_request_is_waited_for_on_another_thread(server: ScriptedServer, background: Background) -> None:
    waiting = background(server.wait_request)
    with server.client() as client:
        client.get("/now")
    assert waiting.result().path == "/now"


def test_a_reset_of_the_clients_is_recorded(server: ScriptedServer, peer: RawPeer) -> None:
    script = server.route("/").respond().stall()
    peer.headers(1, REQUEST, end_stream=True)
    request = server.wait_request()
    script.wait_stalled()
    with pytest.raises(Timeout, match="was not reset within 0 s"):
        request.wait_reset(0)
    peer.reset(1, ErrorCode.CANCEL)
    assert request.wait_reset() == request.reset_code == ErrorCode.CANCEL
    assert request.complete
    with pytest.raises(Timeout, match="the script has not stalled"):
        script.wait_stalled(0)


def test_a_connection_that_ends_loses_what_was_not_complete(server: ScriptedServer, dial: Dial) -> None:
    server.route("/").stall()
    peer = dial()
    peer.headers(1, REQUEST, end_stream=True)
    peer.headers(3, UPLOAD)
    eventually(lambda: len(server.requests) == 2)
    peer.close()
    whole, half = server.requests
    with pytest.raises(Timeout, match="will never be complete"):
        half.wait_complete()
    with pytest.raises(Timeout, match="the connection has ended"):
        whole.wait_reset()
    assert (half.lost, whole.lost) == (True, False)


def test_log_is_told_of_each_request() -> None:
    told: list[str] = []
    with ScriptedServer(log=lambda request: told.append(request.path)) as server, server.client() as client:
        client.get("/a")
        client.get("/b")
    assert told == ["/a", "/b"]


# -- connections


def test_goaway_after_so_many_requests(server: ScriptedServer, peer: RawPeer) -> None:
    server.goaway_after(2, ErrorCode.ENHANCE_YOUR_CALM)
    slow = server.route("/").stall()
    for stream_id in (1, 3, 5):
        peer.headers(stream_id, REQUEST, end_stream=True)
    goaway = peer.expect(GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code) == (3, ErrorCode.ENHANCE_YOUR_CALM)
    slow.release()
    assert sorted(frame.stream_id for frame in peer.until_end() if isinstance(frame, HeadersFrame)) == [1, 3]
    assert len(server.requests) == 2


def test_goaway_when_so_many_are_answered(server: ScriptedServer, peer: RawPeer) -> None:
    server.goaway_after(2, answers_first=True)
    server.route("/")
    for stream_id in (1, 3, 5):
        peer.headers(stream_id, REQUEST, end_stream=True)
    frames = [frame for frame in peer.until_end() if isinstance(frame, HeadersFrame | GoAwayFrame)]
    assert [frame.stream_id for frame in frames] == [1, 3, 0]
    assert frames[-1].last_stream_id == 3
    with pytest.raises(InvalidArgument, match="at least 1"):
        server.goaway_after(0)


def test_a_client_goes_on_on_another_connection(server: ScriptedServer) -> None:
    server.goaway_after(2)
    server.route("/").respond(200, {}, "hello")
    with server.client() as client:
        assert [client.get("/").text for _ in range(5)] == ["hello"] * 5
    assert server.connection_count == 3
    assert [request.connection for request in server.requests] == [1, 1, 2, 2, 3]


def test_what_connections_do_first(server: ScriptedServer, dial: Dial) -> None:
    server.on_connect().drop()
    server.on_connect().raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").drop()
    server.on_connect().settings(initial_window_size=5).goaway(ErrorCode.INTERNAL_ERROR, message=b"not now")
    server.on_connect()
    server.route("/").respond(204)
    assert dial(handshake=False).until_end() == []
    assert dial(handshake=False).sock.makefile("rb").read() == b"HTTP/1.1 400 Bad Request\r\n\r\n"
    peer = dial(handshake=False)
    first, second, goaway = peer.until_end()
    assert first.settings == {SettingId.MAX_CONCURRENT_STREAMS: 100}
    assert second.settings == {SettingId.INITIAL_WINDOW_SIZE: 5}
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (0, 2, b"not now")
    for _ in range(2):
        peer = dial()
        peer.headers(1, REQUEST, end_stream=True)
        assert peer.expect(HeadersFrame).fields[0] == (":status", "204")


def test_a_connection_can_be_silent(server: ScriptedServer, dial: Dial) -> None:
    script = server.on_connect().stall()
    server.route("/").respond(204)
    peer = dial(handshake=False)
    peer.send_preface_without_acknowledging()
    peer.headers(1, REQUEST, end_stream=True)
    script.wait_stalled()
    peer.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    peer.sock.settimeout(10)
    server.release()
    assert isinstance(peer.receive(), SettingsFrame)
    assert peer.expect(HeadersFrame).fields[0] == (":status", "204")


def test_a_client_of_http1_is_told(server: ScriptedServer, dial: Dial) -> None:
    peer = dial(handshake=False)
    peer.sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert peer.sock.makefile("rb").read().startswith(b"HTTP/1.1 505 ")


# -- clients that misbehave


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (HeadersFrame(1, b"\xff\xff\xff\xff\x7f", flags=["END_HEADERS"]).serialize(), ErrorCode.COMPRESSION_ERROR),
        (HeadersFrame(2, b"\x82", flags=["END_HEADERS"]).serialize(), ErrorCode.PROTOCOL_ERROR),
        (ContinuationFrame(1, b"\x82").serialize(), ErrorCode.PROTOCOL_ERROR),
        (bytes.fromhex("000001 01 0c 00000001 05"), ErrorCode.PROTOCOL_ERROR),  # more padding than octets
        (bytes.fromhex("000003 03 00 00000001 000000"), ErrorCode.PROTOCOL_ERROR),  # a short RST_STREAM
        (bytes.fromhex("004001 00 00 00000001"), ErrorCode.FRAME_SIZE_ERROR),
    ],
)
def test_a_broken_rule_ends_the_connection(peer: RawPeer, octets: bytes, code: ErrorCode) -> None:
    peer.sock.sendall(octets)
    assert peer.farewell().error_code == code


def test_endless_headers_end_the_connection(peer: RawPeer) -> None:
    frames: list[Frame] = [HeadersFrame(1, b"\x82"), *[ContinuationFrame(1, b"\x82" * 16_384) for _ in range(4)]]
    peer.send(*frames)
    assert peer.farewell().error_code == ErrorCode.ENHANCE_YOUR_CALM


def test_too_many_streams_are_refused() -> None:
    with ScriptedServer(settings={"max_concurrent_streams": 2}) as server:
        server.route("/").stall()
        with socket.create_connection(server.address) as sock:
            peer = RawPeer(sock, client=True)
            assert peer.handshake().settings == {SettingId.MAX_CONCURRENT_STREAMS: 2}
            for stream_id in (1, 3, 5):
                peer.headers(stream_id, REQUEST, end_stream=True)
            reset = peer.expect(RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (5, ErrorCode.REFUSED_STREAM)


def test_a_client_that_reads_nothing_is_not_read_from(server: ScriptedServer, dial: Dial) -> None:
    """Its PINGs' answers pile up in the kernel's buffers, and no further."""
    peer = dial()
    pings = bytes.fromhex("000008 06 00 00000000") + b"12345678"
    peer.sock.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += peer.sock.send(pings * 10_000)
    [connection] = server._connections
    assert len(connection.channel._outgoing) < 1_000_000


# -- bounds


def test_few_requests_and_little_of_bodies_are_kept() -> None:
    with ScriptedServer(max_requests=3, max_body=10) as server, server.client() as client:
        for number in range(5):
            client.post(f"/{number}", data=b"x" * 100)
        assert [(request.path, request.body, request.body_length) for request in server.requests] == [
            (f"/{number}", b"x" * 10, 100) for number in (2, 3, 4)
        ]
        assert server.wait_request().path == "/2"


@pytest.mark.parametrize("options", [{"max_requests": 0}, {"max_body": -1}])
def test_bounds_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(InvalidArgument, match="must be between"):
        ScriptedServer(**options)


def test_all_bodies_together_are_bounded() -> None:
    with ScriptedServer(max_body=10) as server, server.client() as client:
        for number in range(100):
            client.post(f"/{number}", data=b"x" * 10)
        assert len(server.requests) == 64
        assert server.requests[-1].path == "/99"


# -- its end


def test_it_closes_while_everything_waits(dial: Dial, server: ScriptedServer) -> None:
    server.route("/stall").stall()
    server.route("/pause").pause(1_000_000)
    server.route("/window").respond(200, {}, b"x" * 1_000_000)
    for path in ("/stall", "/pause", "/window"):
        peer = dial()
        peer.headers(1, of_path(path), end_stream=True)
    dial(handshake=False)
    eventually(lambda: len(server.requests) == 3)
    server.close()
    assert [thread.name for thread in threading.enumerate() if "scripted" in thread.name] == []
    assert [request.lost for request in server.requests] == [False] * 3
    server.close()
    server.start()  # does nothing any more
    assert repr(server) == f"<ScriptedServer {server.url} closed>"


def test_it_closes_while_a_dropped_client_stays(server: ScriptedServer, peer: RawPeer) -> None:
    """Which the server gives a moment to read what was sent."""
    server.route("/").drop()
    peer.headers(1, REQUEST, end_stream=True)
    peer.until_end()
    server.close()


def test_a_client_that_goes_takes_its_thread_along(server: ScriptedServer, dial: Dial) -> None:
    server.route("/").stall()
    peer = dial()
    peer.headers(1, REQUEST, end_stream=True)
    server.wait_request()
    peer.close()
    eventually(lambda: not server._threads)


def test_a_server_that_was_never_started_is_closed() -> None:
    server = ScriptedServer()
    assert server.port == server.address[1]
    server.close()


# -- where it listens


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with ScriptedServer(f"unix:{path}") as server, server.client() as client:
        server.route("/").respond(200, {}, "hello")
        assert client.get("/").text == "hello"
        assert (server.url, server.address, server.port) == (f"unix:{path}", str(path), 0)
    assert not path.exists()


def test_tls_with_a_certificate_made_on_the_spot() -> None:
    with ScriptedServer(tls=True) as server, server.client() as client:
        server.route("/").respond(200, {}, b"x" * 1_000_000)
        assert server.url.startswith("https://127.0.0.1:")
        assert len(client.get("/").content) == 1_000_000
        with sync_h2.connect(server.url, cafile=server.authority_pem) as session:
            assert session.alpn_protocol == "h2"


def test_tls_with_a_certificate_that_was_given(certificate: Certificate) -> None:
    with ScriptedServer(certfile=certificate.certfile, keyfile=certificate.keyfile) as server:
        with server.client(verify=str(certificate.cafile)) as client:
            assert client.get("/").status_code == 404
        with pytest.raises(InvalidArgument, match="no certificate was made"):
            server.client_context()


def test_tls_with_a_context(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    context.set_alpn_protocols(["h2"])
    with ScriptedServer(context=context) as server, server.client(verify=str(certificate.cafile)) as client:
        assert client.get("/").status_code == 404


def test_a_client_that_does_not_trust_it_ends_the_handshake() -> None:
    with ScriptedServer(tls=True) as server:
        with pytest.raises(sync_h2.TLSError):
            sync_h2.connect(server.url)
        eventually(lambda: server.connection_count == 1 and not server._threads)


def test_a_drop_over_tls_is_a_cut(certificate: Certificate) -> None:
    with ScriptedServer(tls=True) as server, server.client(retries=0) as client:
        server.route("/").respond(200, {}, "half").drop()
        with pytest.raises(sync_h2.RequestException, match="cut off"):
            client.get("/")


def test_arguments_that_contradict_each_other(certificate: Certificate) -> None:
    arguments: list[dict[str, Any]] = [
        {"keyfile": certificate.keyfile},
        {"certfile": certificate.certfile, "context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)},
        {"settings": {"no_such": 1}},
    ]
    for options in arguments:
        with pytest.raises(InvalidArgument):
            ScriptedServer(**options)


def test_a_port_that_is_taken(server: ScriptedServer) -> None:
    with pytest.raises(OSError, match="in use"):
        ScriptedServer(port=server.port)


def test_without_trustme_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_made", certificates.LocalAuthority)
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ImportError, match=r"pip install 'sync_h2\[cli\]', or give certfile and keyfile"):
        ScriptedServer(tls=True)


def test_it_says_nothing_before_the_client_does(server: ScriptedServer, dial: Dial) -> None:
    peer = dial(handshake=False)
    peer.sock.sendall(PREFACE[:10])
    peer.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    peer.sock.settimeout(10)
    peer.sock.sendall(PREFACE[10:])
    assert isinstance(peer.receive(), SettingsFrame)
