"""Other places than the names say: `resolve` and `unix_socket`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from support.connections.clients import echo_url
from support.tls.certificates import Certificate
from sync_h2 import exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.testing import HandlerTransport


@pytest.mark.parametrize("h2c", [False, True])
def test_names_lead_where_resolve_says(server: sync_h2.ThreadingServer, h2c: bool) -> None:
    host, port = server.address
    asked: list[Any] = []

    def where(name: str, number: int) -> str | None:
        asked.append((name, number))
        return f"{host}:{port}" if name == "a.example" else None

    for international in ("bücher.example", "Bücher.example:80", "xn--bcher-kva.example"):
        resolve = {international: f"{host}:{port}"}
        with sync_h2.Client(h2c=h2c, trust_env=False, resolve=resolve) as client:
            assert client.get("http://bücher.example").ok
    for resolve in ({"a.example": f"{host}:{port}"}, {"A.example:80": f"{host}:{port}"}, where):
        with sync_h2.Client(h2c=h2c, trust_env=False, resolve=resolve) as client:
            assert client.get("http://a.example/x").text == "GET http://a.example/x "
            assert client.get(f"{server.url}/y").text.startswith("GET ")
    assert asked == [("a.example", 80), (host, port)]
    with sync_h2.Client(h2c=h2c, trust_env=False, resolve={"a.example": host}) as client:
        assert client.get(f"http://a.example:{port}/").ok


def test_a_certificate_is_checked_for_the_urls_name(certificate: Certificate) -> None:
    server = sync_h2.create_secure_server(echo_url, certfile=certificate.certificate_pem, keyfile=certificate.key_pem)
    with server:
        place = f"127.0.0.1:{server.address[1]}"
        options: Any = {"trust_env": False, "verify": str(certificate.cafile)}
        with sync_h2.Client(resolve={"localhost": place, "other.example": place}, **options) as client:
            assert client.get("https://localhost/").text == "GET https://localhost/ "
            with pytest.raises(exceptions.SSLError, match="mismatch"):
                client.get("https://other.example/")


@pytest.mark.parametrize(
    ("raised", "kind", "kind_of_requests", "kind_of_httpx"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "no such name"),
            exceptions.ConnectionError,
            requests.exceptions.ConnectionError,
            httpx.ConnectError,
        ),
        (
            sync_h2.ConnectionError("no such name"),
            exceptions.ConnectionError,
            requests.exceptions.ConnectionError,
            httpx.ConnectError,
        ),
        (
            TimeoutError("no such name in time"),
            exceptions.ConnectTimeout,
            requests.exceptions.ConnectTimeout,
            httpx.ConnectTimeout,
        ),
    ],
)
def test_a_name_that_resolve_does_not_find(
    raised: OSError, kind: type[Exception], kind_of_requests: type[Exception], kind_of_httpx: type[Exception]
) -> None:
    def resolve(host: str, port: int) -> str:
        raise raised

    said = r"resolve.*a\.example:80.*no such name"
    with sync_h2.Client(resolve=resolve, trust_env=False) as client:
        with pytest.raises(kind, match=said) as found:
            client.get("http://a.example/")
        assert found.value.processed is False  # type: ignore[attr-defined]
        with pytest.raises((exceptions.ProxyError, exceptions.ConnectTimeout), match=r"resolve.*proxy\.example:8080"):
            client.get("http://a.example/", proxies={"http": "http://proxy.example:8080"})
    with requests.Session() as session:
        session.mount("http://", RequestsAdapter(resolve=resolve))
        with pytest.raises(kind_of_requests, match=said):
            session.get("http://a.example/")
    with (
        httpx.Client(transport=HTTPXTransport(resolve=resolve)) as other,
        pytest.raises(kind_of_httpx, match=said),
    ):
        other.get("http://a.example/")


@pytest.mark.parametrize("h2c", [False, True])
def test_a_unix_socket(tmp_path: Path, h2c: bool) -> None:
    path = tmp_path / "socket"
    with sync_h2.create_server(echo_url, f"unix:{path}", allow_http1=True):
        for options in ({"unix_socket": path}, {"unix_socket": str(path)}, {"resolve": {"docker": f"unix:{path}"}}):
            with sync_h2.Client(h2c=h2c, trust_env=False, **options) as client:
                response = client.post("http://docker/containers", data=b"x")
                assert response.text == "POST http://docker/containers x"
                assert response.http_version == ("HTTP/2" if h2c else "HTTP/1.1")
    with sync_h2.Client(unix_socket=path) as client, pytest.raises(exceptions.ConnectionError, match="unix:"):
        client.get("http://docker/")


def test_what_is_here_needs_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    path = tmp_path / "socket"
    with sync_h2.create_server(echo_url, f"unix:{path}", allow_http1=True), sync_h2.Client(unix_socket=path) as client:
        assert client.get("http://docker/").text == "GET http://docker/ "
        client.mount("http://in-process", HandlerTransport(echo_url))
        assert client.get("http://in-process/").text == "GET http://in-process/ "


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"resolve": "127.0.0.1"}, TypeError),
        ({"resolve": 1}, TypeError),
        ({"unix_socket": b"/x"}, TypeError),
        ({"unix_socket": ""}, TypeError),
        ({"unix_socket": "/x", "resolve": {}}, ValueError),
    ],
)
def test_places_that_are_none(options: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        sync_h2.Client(**options)
    for place in ("b:c", "127.0.0.1:99999", ""):
        client = sync_h2.Client(resolve=lambda *_, place=place: place, trust_env=False)
        with client, pytest.raises(exceptions.InvalidURL, match="resolve gives"):
            client.get("http://a/")
    nowhere: Any = 1
    for resolve in ({"a": nowhere}, lambda *_: nowhere):
        with sync_h2.Client(resolve=resolve, trust_env=False) as client, pytest.raises(TypeError, match="not int"):
            client.get("http://a/")
