"""Requests through proxies of HTTP: tunnels, whole URLs, and which proxy is asked."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import requests.utils

import sync_h2
from support.connections.clients import client_of, serving
from support.peers.connect_proxy import connect_proxy
from support.peers.forwarding_proxy import forwarding_proxy
from support.tls.certificates import Certificate
from sync_h2 import Client, exceptions
from sync_h2.client.options.environment import bypasses_proxies, select_proxy

pytestmark = pytest.mark.usefixtures("plain_environment")


def test_a_tunnel(certificate: Certificate) -> None:
    with serving(certificate) as server, connect_proxy() as (port, asked):
        proxies = {"https": f"http://us%20er:word@127.0.0.1:{port}"}
        with client_of(certificate, proxies=proxies) as client:
            assert [client.get(f"{server.url}/{number}").text for number in range(3)] == [
                f"GET /{n} 0" for n in range(3)
            ]
    authority = server.url.removeprefix("https://").encode()
    assert asked == [
        [b"CONNECT %s HTTP/1.1" % authority, b"Host: " + authority, b"Proxy-Authorization: Basic dXMgZXI6d29yZA=="]
    ]


def test_a_tunnel_for_cleartext() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(b"through")

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler))
        port, asked = stack.enter_context(connect_proxy())
        client = stack.enter_context(Client(h2c=True, trust_env=False, proxies={"all": f"127.0.0.1:{port}"}))
        response = client.get(server.url)
    assert (response.text, response.http_version, len(asked)) == ("through", "HTTP/2", 1)


def test_a_proxy_that_refuses(certificate: Certificate) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate))
        port, _ = stack.enter_context(connect_proxy(b"HTTP/1.1 407 Who are you\r\n\r\n"))
        client = stack.enter_context(client_of(certificate, proxies={"https": f"http://127.0.0.1:{port}"}))
        with pytest.raises(exceptions.ProxyError, match="407 Who are you") as raised:
            client.get(server.url)
    assert (raised.value.processed, raised.value.request.url) == (False, f"{server.url}/")


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://127.0.0.1:1", exceptions.ProxyError),
        ("socks5://127.0.0.1:1", exceptions.ProxyError),
        ("socks4://127.0.0.1:1", exceptions.InvalidProxyURL),
        ("http://", exceptions.InvalidProxyURL),
        ("http://:8080", exceptions.InvalidProxyURL),
        ("http:/proxy:3128", exceptions.InvalidProxyURL),
        ("https:///proxy:3128", exceptions.InvalidProxyURL),
    ],
)
def test_a_proxy_that_is_none(proxy: str, expected: type[Exception]) -> None:
    with Client(trust_env=False, proxies={"all": proxy}) as client, pytest.raises(expected):
        client.get("https://localhost:1/")


def test_plain_http_through_a_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "localhost,.example.net")
    with forwarding_proxy() as (address, asked), Client() as client:
        monkeypatch.setenv("http_proxy", f"http://user:word@{address}")
        assert client.get("http://example.org/path?query").ok
        with pytest.raises(exceptions.ConnectionError):
            client.get("http://localhost:1/")
        assert client.get("http://example.com/").ok
    assert asked == [
        ("http://example.org/path?query", ["Basic dXNlcjp3b3Jk"]),
        ("http://example.com/", ["Basic dXNlcjp3b3Jk"]),
    ]


@pytest.mark.parametrize(
    "no_proxy", ["", "*", "localhost", ".org", "org", "10.0.0.0/8", "10.1.2.3", "example.org:8080", "x, y"]
)
@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "http://example.org/", "http://example.org:8080/", "http://10.1.2.3/", "http://fororg/"],
)
def test_what_no_proxy_exempts_is_what_it_does_for_requests(
    url: str, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", no_proxy)
    ours, theirs = bypasses_proxies(url), requests.utils.should_bypass_proxies(url, None)
    # Only names of whole labels are exempt here; requests takes any end of a name.
    assert ours == (theirs and not (url == "http://fororg/" and no_proxy == "org"))


def test_the_most_special_proxy_is_chosen() -> None:
    proxies = {"https": "one", "https://a.org": "two", "all": "http://three", "all://b.org": "http://four"}
    chosen = [
        select_proxy(f"{url}/path", proxies) for url in ("https://x", "https://a.org", "http://x", "http://b.org")
    ]
    assert chosen == ["http://one", "http://two", "http://three", "http://four"]
