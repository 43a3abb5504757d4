"""Requests through SOCKS proxies, over both versions of HTTP."""

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
from support.connections.clients import client_of, serving
from support.peers.socks_proxy import socks_proxy
from support.tls.certificates import Certificate
from sync_h2 import Client, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter

USER, PASSWORD = b"us er", b"w@rd"


@pytest.fixture
def plain_server() -> Iterator[Any]:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(headers[":path"].encode())

    with sync_h2.create_server(handler, allow_http1=True) as server:
        yield server


@pytest.mark.parametrize(("scheme", "looked_up"), [("socks5", "127.0.0.1"), ("socks5h", "localhost")])
def test_who_looks_up_the_name(certificate: Certificate, scheme: str, looked_up: str) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate))
        port, asked = stack.enter_context(socks_proxy())
        proxies = {"https": f"{scheme}://127.0.0.1:{port}"}
        client = stack.enter_context(client_of(certificate, proxies=proxies))
        target = server.address[1]
        response = client.get(f"https://localhost:{target}/a")
        assert (response.text, response.http_version) == ("GET /a 0", "HTTP/2")
    assert {(host if host != "::1" else "127.0.0.1", port) for host, port, _ in asked} == {(looked_up, target)}


@pytest.mark.parametrize(("h2c", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_cleartext_is_asked_as_without_a_proxy(plain_server: Any, h2c: bool, version: str) -> None:
    with socks_proxy((USER, PASSWORD)) as (port, asked):
        proxy = f"socks5h://us%20er:w%40rd@127.0.0.1:{port}"
        with Client(trust_env=False, h2c=h2c, proxies={"all": proxy}) as client:
            response = client.get(f"{plain_server.url}/a", headers={"Proxy-Authorization": "secret"})
    assert (response.text, response.http_version) == ("/a", version)
    assert asked == [("127.0.0.1", plain_server.address[1], (USER, PASSWORD))]


def test_in_the_adapters(plain_server: Any) -> None:
    with socks_proxy() as (port, asked):
        proxy = f"socks5://127.0.0.1:{port}"
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", RequestsAdapter())
            assert session.get(f"{plain_server.url}/a", proxies={"http": proxy}).text == "/a"
        with httpx.Client(transport=HTTPXTransport(proxy=proxy)) as client:
            assert client.get(f"{plain_server.url}/b").text == "/b"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("credentials", "given", "answer", "message"),
    [
        ((USER, PASSWORD), "", b"", "wants another authentication"),
        ((USER, PASSWORD), "other:secret@", b"", "does not accept user name and password"),
        (None, "", b"\x05\x05\x00\x01" + bytes(6), "makes no tunnel to https://localhost:1: connection refused"),
        (None, "", b"\x05\x63\x00\x01" + bytes(6), "makes no tunnel to https://localhost:1: error 99"),
        (None, "", b"\x05\x00\x00", "hung up"),
        (None, "", b"\x05\x00\x00\x07" + bytes(6), "answers no SOCKS5"),
    ],
)
def test_a_proxy_that_refuses(credentials: Any, given: str, answer: bytes, message: str) -> None:
    with contextlib.ExitStack() as stack:
        port, _ = stack.enter_context(socks_proxy(credentials, answer or b"\x05\x01"))
        client = stack.enter_context(Client(trust_env=False, proxies={"all": f"socks5h://{given}127.0.0.1:{port}"}))
        with pytest.raises(exceptions.ProxyError, match=message) as raised:
            client.get("https://localhost:1/")
    assert raised.value.processed is False
    assert "secret" not in str(raised.value)


@pytest.fixture
def saying() -> Iterator[Callable[[bytes], int]]:
    """The port of a server that says these octets to whoever connects, and then nothing."""
    with contextlib.ExitStack() as stack:

        def say(octets: bytes) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                    connection.sendall(octets)
                    while connection.recv(1024):
                        pass

            thread = threading.Thread(target=run)
            stack.callback(thread.join)
            thread.start()
            return int(listener.getsockname()[1])

        yield say


@pytest.mark.parametrize("octets", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x07", b"\x05\x02", b"\x04\x00"])
def test_what_speaks_no_socks(saying: Callable[[bytes], int], octets: bytes) -> None:
    proxies = {"all": f"socks5h://127.0.0.1:{saying(octets)}"}
    with Client(trust_env=False, proxies=proxies) as client, pytest.raises(exceptions.ProxyError, match="no SOCKS5"):
        client.get("http://localhost:1/")


def test_a_silent_proxy_counts_as_connecting(saying: Callable[[bytes], int]) -> None:
    proxies = {"all": f"socks5h://127.0.0.1:{saying(b'')}"}
    with Client(trust_env=False, proxies=proxies) as client, pytest.raises(exceptions.ConnectTimeout):
        client.get("http://localhost:1/", timeout=(0.05, 20))


def test_credentials_that_cannot_be_told(saying: Callable[[bytes], int]) -> None:
    proxies = {"all": f"socks5://user:{'x' * 256}@127.0.0.1:{saying(b'')}"}
    with Client(trust_env=False, proxies=proxies) as client, pytest.raises(exceptions.InvalidProxyURL) as raised:
        client.get("http://localhost:1/")
    assert "xxx" not in str(raised.value)
