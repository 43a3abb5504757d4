"""Request bodies on their way: beside their answers, before them, and where nobody takes them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame

import sync_h2
from support.peers.raw_peer import RawPeer
from support.peers.scripted_server import received, request_head, scripted_server
from support.programs.others import node_server
from support.tls.certificates import Certificate
from sync_h2 import Client, ErrorCode, Timeouts, exceptions
from sync_h2.client.messages.bodies import body_of
from sync_h2.client.messages.call import Call
from sync_h2.client.pool.pool import Pool
from sync_h2.testing import ScriptedServer

MEGABYTES = bytes(range(256)) * 4 * 1024 * 12  # more than all windows and socket buffers of the loopback hold


def pieces(count: int = 192) -> Iterator[bytes]:
    size = len(MEGABYTES) // count
    return (MEGABYTES[start : start + size] for start in range(0, len(MEGABYTES), size))


@contextlib.contextmanager
def duplex_server(certificate: Certificate, version: str) -> Iterator[tuple[str, Client]]:
    """A server that sends back what comes while it comes, and a client that trusts it."""

    def echo(stream: Any, headers: Any) -> None:
        stream.respond({})
        for piece in stream:
            stream.write(piece)
        stream.end()

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            sync_h2.create_secure_server(
                echo, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, allow_http1=True
            )
        )
        if version == "HTTP/1.1":
            server._context.set_alpn_protocols(["http/1.1"])
        client = stack.enter_context(Client(verify=str(certificate.cafile), trust_env=False))
        yield server.url, client


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
@pytest.mark.parametrize("kind", ["bytes", "generator"])
def test_a_body_that_comes_back_while_it_is_sent(certificate: Certificate, version: str, kind: str) -> None:
    with duplex_server(certificate, version) as (url, client):
        response = client.post(url, data=MEGABYTES if kind == "bytes" else pieces())
        assert response.http_version == version
        assert hashlib.sha256(response.content).digest() == hashlib.sha256(MEGABYTES).digest()
        assert client.post(url, data=b"once more").content == b"once more"


def test_node_sends_back_while_it_receives(certificate: Certificate) -> None:
    with node_server(certificate) as port, Client(verify=str(certificate.cafile), trust_env=False) as client:
        response = client.post(f"https://localhost:{port}/echo", data=pieces())
        assert hashlib.sha256(response.content).digest() == hashlib.sha256(MEGABYTES).digest()


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_what_a_generator_raises_reaches_the_caller(certificate: Certificate, version: str) -> None:
    class Broken(OSError):
        pass

    def broken(before: int) -> Iterator[bytes]:
        for _ in range(before):
            yield b"x" * 65_536
        raise Broken("disk on fire")

    with duplex_server(certificate, version) as (url, client):
        for before in (0, 1, 200):
            with pytest.raises(Broken, match="disk on fire"):
                client.put(url, data=broken(before))
        assert client.post(url, data=b"goes on").content == b"goes on"


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_each_piece_goes_out_before_the_next_is_made(certificate: Certificate, version: str) -> None:
    come: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        for piece in stream:
            come.put(piece)
        stream.respond({}, end_stream=True)

    def talk() -> Iterator[bytes]:
        for word in (b"one", b"two", b"three"):
            yield word
            assert come.get(timeout=5) == word

    with sync_h2.create_secure_server(
        handler, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, allow_http1=True
    ) as server:
        if version == "HTTP/1.1":
            server._context.set_alpn_protocols(["http/1.1"])
        with Client(verify=str(certificate.cafile), trust_env=False) as client:
            assert client.post(server.url, data=talk()).ok


def test_an_error_ends_the_upload_although_the_server_says_nothing_more() -> None:
    with ScriptedServer() as server, server.client() as client:
        server.route().read(0).respond(413).data("too much", end_stream=True).stall()  # and no window is opened
        response = client.post("/", data=pieces())
        assert (response.status_code, response.content) == (413, b"too much")
        assert server.requests[0].wait_reset() == ErrorCode.CANCEL


def test_an_error_ends_the_upload_in_http1_although_the_connection_stays_open() -> None:
    done = threading.Event()

    def play(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(b"HTTP/1.1 413 Too Much\r\nContent-Length: 8\r\n\r\ntoo much")
        assert done.wait(10)

    def second(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with scripted_server(play, second) as port, Client(trust_env=False) as client:
        response = client.post(f"http://127.0.0.1:{port}/", data=pieces())
        done.set()
        assert (response.status_code, response.content) == (413, b"too much")
        assert client.get(f"http://127.0.0.1:{port}/").status_code == 204  # on another connection


def test_a_success_does_not_end_the_upload() -> None:
    with ScriptedServer() as server, server.client() as client:
        server.route().read(0).headers({":status": "202"}, end_stream=True).read()
        assert client.post("/", data=pieces()).status_code == 202
        assert server.wait_request().body_length == len(MEGABYTES)


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_a_server_that_takes_nothing_is_a_write_timeout(version: str) -> None:
    done = threading.Event()

    def play(sock: socket.socket) -> None:
        if version == "HTTP/2":
            RawPeer(sock, client=False).handshake()
        assert done.wait(10)

    h2c = version == "HTTP/2"
    body = bytearray(MEGABYTES)
    with scripted_server(play) as port, Client(trust_env=False, h2c=h2c, retries=0) as client:
        with pytest.raises(exceptions.WriteTimeout) as raised:
            client.post(f"http://127.0.0.1:{port}/", data=body, timeout=Timeouts(write=0.1))
        done.set()
        assert raised.value.processed is None
        body.clear()  # it is the caller's, although the error's traceback has seen it


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
def test_a_server_that_takes_a_little_now_and_then_is_none(version: str) -> None:
    pauses = 8

    def play(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        if version == "HTTP/2":
            peer = RawPeer(sock, client=False)
            peer.handshake({4: 0})
            request = peer.expect(HeadersFrame)
            length = 16 * pauses
            for _ in range(pauses):
                time.sleep(0.1)
                peer.open_window(request.stream_id, 16)
            received = b""
            while len(received) < length:
                received += peer.expect(DataFrame).data
            peer.headers(request.stream_id, [(":status", "204")], end_stream=True)
            return
        head = request_head(sock)
        left = int(head.split(b"Content-Length: ")[1].split()[0])
        slow = pauses
        while left:
            if slow:
                slow -= 1
                time.sleep(0.1)
            left -= len(sock.recv(262_144))
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    h2c = version == "HTTP/2"
    data = b"x" * 16 * pauses if h2c else MEGABYTES
    with scripted_server(play) as port, Client(trust_env=False, h2c=h2c, retries=0) as client:
        assert client.post(f"http://127.0.0.1:{port}/", data=data, timeout=Timeouts(write=0.5)).status_code == 204


# -- Expect: 100-continue


@pytest.mark.parametrize("answer", ["continue", "refusal", "silence"])
def test_expect_in_http1(answer: str) -> None:
    def play(sock: socket.socket) -> None:
        assert b"Expect: 100-continue\r\n" in request_head(sock)
        if answer == "refusal":
            sock.sendall(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
            assert sock.recv(1) == b""  # no body has come
            return
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(10)
        if answer == "continue":
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        assert sock.recv(4) == b"body"
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with scripted_server(play) as port, Client(trust_env=False) as client:
        response = client.put(f"http://127.0.0.1:{port}/", data=b"body", headers={"Expect": "100-continue"})
    assert response.status_code == (417 if answer == "refusal" else 204)
    assert [status for status, _ in response.informational] == ([103, 100] if answer == "continue" else [])


# -- lengths


@pytest.mark.parametrize("version", ["HTTP/2", "HTTP/1.1"])
@pytest.mark.parametrize("announced", [2, 5])
def test_a_body_that_is_not_as_long_as_it_says(certificate: Certificate, version: str, announced: int) -> None:
    with duplex_server(certificate, version) as (url, client):
        with pytest.raises(exceptions.RequestException, match="content-length"):
            client.put(url, data=iter([b"a", b"bc"]), headers={"Content-Length": str(announced)})
        assert client.post(url, data=b"goes on").content == b"goes on"


def test_a_length_of_the_callers_is_sent_in_place_of_chunks() -> None:
    heads: list[bytes] = []

    def play(sock: socket.socket) -> None:
        heads.append(request_head(sock))
        assert received(sock, 3) == b"abc"
        sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with scripted_server(play) as port, Pool() as pool:
        call = Call(
            "POST",
            f"http://127.0.0.1:{port}/",
            [("Content-Length", "3")],
            body=body_of(iter([b"a", b"bc"])),
        )
        assert pool.send(call).status == http.client.NO_CONTENT
    assert b"Transfer-Encoding" not in heads[0]


def test_a_file_is_sent_whole_whatever_the_system_says_about_its_size(tmp_path: Path) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(f"{headers.get('content-length')} {hashlib.sha256(stream.read()).hexdigest()}".encode())

    packed, sparse = tmp_path / "packed.gz", tmp_path / "sparse"
    packed.write_bytes(gzip.compress(MEGABYTES[:100_000]))
    with sparse.open("wb") as file:
        file.truncate(100_000)
    files = {
        "/proc/version": (open, None),
        "/proc/sys/kernel/ostype": (open, None),
        packed: (gzip.open, None),
        sparse: (open, 100_000),
        os.devnull: (open, None),
    }
    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        for path, (opened, length) in files.items():
            with opened(path, "rb") as file:
                content = file.read()
            with opened(path, "rb") as file:
                told, digest = client.post(server.url, data=file).text.split()
            assert (told, digest) == (str(length), hashlib.sha256(content).hexdigest()), path
