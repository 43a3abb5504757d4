"""Errors are for people: they say what happened, each thing once, and what to do about it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from support.peers.scripted_server import scripted_server
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, HTTP2Error, compat
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.testing import ScriptedServer

REASON = b'{"reason":"BadCertificateEnvironment"}'


def resetting(stream: Any, headers: Any) -> None:
    if headers[":path"] == "/cut":
        stream.respond({})
        stream.write(b"some")
    stream.close(ErrorCode.INTERNAL_ERROR)


def by_client(url: str) -> None:
    with sync_h2.Client(h2c=True, retries=0, trust_env=False) as client:
        client.get(url)


def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", RequestsAdapter(h2c=True, retries=0))
        session.mount("https://", RequestsAdapter(retries=0))
        session.get(url)


def by_httpx(url: str) -> None:
    with httpx.Client(transport=HTTPXTransport(h2c=True, retries=0)) as client:
        client.get(url)


def by_session(url: str) -> None:
    authority, _, path = url.rpartition("/")
    with sync_h2.connect(authority) as session:
        session.request({":path": f"/{path}"}).read()


def by_http_client(url: str) -> None:
    address, _, path = url.partition("//")[2].partition("/")
    connection = compat.HTTP2Connection(address, h2c=True)
    try:
        connection.request("GET", f"/{path}")
        connection.getresponse().read()
    finally:
        connection.close()


WAYS = (by_client, by_requests, by_httpx, by_session)


@pytest.mark.parametrize("make", WAYS)
@pytest.mark.parametrize("path", ["/reset", "/cut"])
def test_details_stand_there_once(make: Callable[[str], None], path: str) -> None:
    with sync_h2.create_server(resetting) as server, pytest.raises(Exception, match="INTERNAL_ERROR") as raised:
        make(server.url + path)
    assert "] [" not in str(raised.value)


def test_that_it_may_be_sent_again_is_said_once_and_where_it_helps(certificate: Certificate) -> None:
    with sync_h2.create_secure_server(
        resetting, certfile=certificate.certificate_pem, keyfile=certificate.key_pem
    ) as server:
        for make in WAYS:
            with pytest.raises(Exception, match="not accepted") as raised:
                make(server.url.replace("127.0.0.1", "localhost") + "/")
            assert "retry" not in str(raised.value)
            assert str(raised.value).count("verify=False") == 1
            assert ("pass verify='authority.pem'" in str(raised.value)) == (make is not by_session)
            assert ("cafile=" in str(raised.value)) == (make is by_session)
            assert "--cacert" not in str(raised.value)
    for make in WAYS:
        with pytest.raises(Exception, match="cannot connect") as raised:
            make("https://localhost:1/")
        assert str(raised.value).count("safe to retry") == 1
    with pytest.raises(sync_h2.exceptions.InvalidHeader) as refused, sync_h2.create_server(resetting) as plain:
        sync_h2.Client(h2c=True).get(plain.url, headers={"a b": "c"})
    assert (refused.value.processed, refused.value.retryable) == (False, False)


def test_advice_is_for_what_it_helps_against(certificate: Certificate) -> None:
    server = sync_h2.create_secure_server(certfile=certificate.certificate_pem, keyfile=certificate.key_pem)
    with server, socket.create_connection(server.address) as sock, pytest.raises(sync_h2.TLSError) as raised:
        sync_h2.connect("https://example.org", sock=sock, cafile=certificate.cafile)
    assert "mismatch" in str(raised.value)
    assert "cafile=" not in str(raised.value)


@pytest.mark.parametrize("make", [*WAYS, by_http_client])
@pytest.mark.parametrize("last_stream_id", [0, 1])
@pytest.mark.parametrize("code", [ErrorCode.NO_ERROR, ErrorCode.ENHANCE_YOUR_CALM])
def test_a_goaways_code_and_reason(make: Callable[[str], None], last_stream_id: int, code: ErrorCode) -> None:
    """Apple's push service says why it refuses a client's certificate nowhere else."""
    with ScriptedServer() as server, pytest.raises(Exception, match="GOAWAY") as raised:
        server.route().goaway(code, last_stream_id=last_stream_id, message=REASON).drop()
        make(f"{server.url}/")
    assert f"GOAWAY with {code.name}: '{REASON.decode()}'" in str(raised.value)


def test_a_later_request_is_told_too() -> None:
    with ScriptedServer() as server, sync_h2.connect(server.url) as session:
        server.route().goaway(last_stream_id=0, message=REASON)
        with pytest.raises(HTTP2Error, match="BadCertificate"):
            session.request().read()
        with pytest.raises(HTTP2Error, match="BadCertificate"):
            session.request()


def test_a_goaway_that_says_nothing_adds_nothing() -> None:
    with sync_h2.create_server(lambda stream, headers: stream.session.close(wait=False)) as server:
        session = sync_h2.connect(server.url)
        assert session.request().wait_response()[":status"] == "500"
        session.close()
        with pytest.raises(HTTP2Error) as raised:
            session.request()
    assert "GOAWAY" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "hung up: Remote end closed connection"),
        (b"\x05\x00", r"answer to CONNECT that can't be understood: the server does not answer in HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\na b\r\n\r\n", "answer to CONNECT that can't be understood: line 1 of"),
    ],
)
def test_what_a_proxy_does_with_connect(answer: bytes, message: str) -> None:
    def play(sock: socket.socket) -> None:
        sock.recv(65_536)
        sock.sendall(answer)

    with scripted_server(play) as port:
        proxies = {"https": f"http://127.0.0.1:{port}"}
        with (
            sync_h2.Client(proxies=proxies, retries=0, trust_env=False) as client,
            pytest.raises(sync_h2.exceptions.ProxyError, match=message),
        ):
            client.get("https://localhost:1/", timeout=20)


def hang_up(sock: socket.socket) -> None:
    sock.recv(65_536)


def say(data: bytes) -> Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        sock.recv(65_536)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass

    return play


def reset(sock: socket.socket) -> None:
    sock.recv(1)  # the rest is unread


@contextlib.contextmanager
def always(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does the same with each connection, one after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def accept() -> None:
            while True:
                sock, _ = listener.accept()
                with sock:
                    if ended.is_set():
                        return
                    play(sock)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            socket.create_connection(listener.getsockname()).close()
            accepting.join()


@pytest.mark.parametrize("make", [*WAYS, by_http_client])
@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (say(bytes.fromhex("15030100020246")), "it speaks TLS on this port, which is what https:// is for"),
        (say(bytes.fromhex("1503030002020a")), "it speaks TLS on this port, which is what https:// is for"),
        (hang_up, r"does it speak TLS \(https://\) or HTTP/1"),
        (reset, r"does it speak TLS \(https://\) or HTTP/1"),
    ],
)
def test_a_server_that_speaks_something_else(make: Callable[[str], None], play: Any, expected: str) -> None:
    with always(play) as port, pytest.raises(Exception, match=expected):
        make(f"http://127.0.0.1:{port}/")


def test_a_server_that_hangs_up_on_http1_may_want_tls() -> None:
    with (
        always(hang_up) as port,
        sync_h2.Client(retries=0, trust_env=False) as client,
        pytest.raises(sync_h2.exceptions.ConnectionError, match=r"does it speak TLS\? try https://"),
    ):
        client.get(f"http://127.0.0.1:{port}/")


def test_a_server_that_has_answered_without_tls_speaks_none() -> None:
    def play(sock: socket.socket) -> None:
        sock.recv(65_536)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        sock.recv(65_536)

    with always(play) as port, sync_h2.Client(retries=0, trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port}/").status_code == 200
        with pytest.raises(sync_h2.exceptions.ConnectionError) as raised:
            client.get(f"http://127.0.0.1:{port}/")
    assert "TLS" not in str(raised.value)


def test_a_server_without_tls() -> None:
    with sync_h2.create_server() as server, pytest.raises(HTTP2Error, match="does it speak plain HTTP"):
        sync_h2.connect(server.url.replace("http:", "https:"))
