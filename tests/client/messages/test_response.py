"""Bodies of responses: truncation, and connections that are used again behind them."""

from __future__ import annotations

import contextlib
import gzip
import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.connections.clients import client_of, serving
from support.threads.background import eventually
from support.tls.authority import CA
from support.tls.certificates import Certificate
from sync_h2 import Client, PoolLimits, exceptions

TEXT = b"some text, some text, some more text\n" * 100


@pytest.fixture(params=["HTTP/2", "HTTP/1.1"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Client]]:
    def handler(stream: Any, headers: Any) -> None:
        path = headers[":path"]
        if path == "/cut":
            stream.respond({"content-length": 1000})
            stream.write(b"some")
            stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)
        elif path == "/cut/open":
            stream.respond({})
            stream.write(b"some")
            stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)
        elif path == "/gzip":
            stream.respond({"content-encoding": "gzip", "content-type": "application/json"})
            stream.end(gzip.compress(json.dumps({"method": headers[":method"]}).encode()))
        elif path.startswith("/status/"):
            stream.respond({":status": int(path[8:])}, end_stream=True)
        else:
            stream.end(TEXT)

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler, allow_http1=True))
        client = stack.enter_context(Client(h2c=request.param == "HTTP/2", trust_env=False, base_url=server.url))
        assert client.get("/").http_version == request.param
        yield server, client


@pytest.mark.parametrize("path", ["/cut", "/cut/open"])
def test_a_body_that_breaks_off(server: tuple[Any, Client], path: str) -> None:
    _, client = server
    with pytest.raises(exceptions.ChunkedEncodingError) as raised:
        client.get(path)
    assert raised.value.processed is True
    with client.stream("GET", path) as response, pytest.raises(exceptions.ChunkedEncodingError):
        list(response.iter_content(2))
    assert client.get("/").content == TEXT


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body(server: tuple[Any, Client], status: int) -> None:
    _, client = server
    assert client.get(f"/status/{status}").content == b""
    head = client.head("/gzip")
    assert (head.content, head.text, head.headers["content-encoding"]) == (b"", "", "gzip")
    assert client.get("/gzip").json() == {"method": "GET"}


def test_connections_are_used_again_behind_what_was_read_in_whichever_way(server: tuple[Any, Client]) -> None:
    listening, client = server
    accepted: list[Any] = []
    listening.on("session", accepted.append)
    for _ in range(3):
        assert client.get("/").content == TEXT
        with client.stream("GET", "/") as response:
            assert b"".join(response.iter_content(1000)) == TEXT
        with client.stream("GET", "/") as response:
            assert b"".join(response.iter_lines(delimiter=b"\n")) == TEXT.replace(b"\n", b"")
        with client.stream("GET", "/") as response:
            assert response.raw.read() == TEXT
        with client.stream("GET", "/status/200") as response:
            pass
    assert len(accepted) <= 3  # an empty body that nobody read costs HTTP/1.1 its connection


def test_idle_connections_are_closed_after_a_while(certificate: Certificate) -> None:
    limits = PoolLimits(keepalive_expiry=0.1)
    with serving(certificate) as server, client_of(certificate, limits=limits) as client:
        assert client.get(server.url).ok
        eventually(lambda: not server.sessions, "that the client closes it")
        assert client.get(server.url).ok


def test_an_idle_http1_connection_is_not_used_after_its_time() -> None:
    accepted: list[Any] = []
    with sync_h2.create_server(lambda stream, headers: stream.end(), allow_http1=True) as server:
        server.on("session", accepted.append)
        with Client(trust_env=False, limits=PoolLimits(keepalive_expiry=0.0)) as client:
            assert [client.get(server.url).status_code for _ in range(2)] == [200, 200]
            eventually(lambda: len(accepted) == 2, "that there was another connection")


def test_a_kept_connection_that_the_server_has_closed_is_replaced() -> None:
    answers = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    closed: queue.SimpleQueue[None] = queue.SimpleQueue()

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answers)
            closed.put(None)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with Client(trust_env=False) as client:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            for _ in range(2):
                assert client.post(url, data=b"x").text == "ok"
                closed.get(timeout=20)
        thread.join()


def test_a_clients_certificate(certificate: Certificate, certificate_authority: CA, tmp_path: Any) -> None:
    issued = certificate_authority.issue_cert("client@example.org")
    certfile, keyfile = tmp_path / "client.pem", tmp_path / "client.key"
    issued.cert_chain_pems[0].write_to_path(str(certfile))
    issued.private_key_pem.write_to_path(str(keyfile))

    def handler(stream: Any, headers: Any) -> None:
        stream.end(str(stream.session.peer_certificate["subjectAltName"]).encode())

    with serving(certificate, handler, cafile=certificate.cafile) as server:
        with client_of(certificate, cert=(str(certfile), str(keyfile))) as client:
            assert "client@example.org" in client.get(server.url).text
        with client_of(certificate) as client, pytest.raises(exceptions.ConnectionError):
            client.get(server.url)
    keyfile.unlink()


def test_nothing_is_verified_where_nothing_is_to_be(certificate: Certificate) -> None:
    with serving(certificate) as server, Client(trust_env=False) as client:
        with pytest.raises(exceptions.SSLError, match="certificate"):
            client.get(server.url)
        assert client.get(server.url, verify=False).ok
        with pytest.raises(exceptions.SSLError):  # the other's connection is not for this one
            client.get(server.url)
