"""Each row of the tables of `docs/how-to/moving-from-httpx.md`, with httpx and with sync_h2 against one server."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import sync_h2
from support.pages.tables import row, table_after
from support.peers.answering import answering
from support.tls.certificates import Certificate
from sync_h2.adapters import HTTPXTransport

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "moving-from-httpx.md"

OF_HTTPX, OF_TRANSPORT, OF_CLIENT = "httpx", "HTTPXTransport", "sync_h2.Client"

Case = Callable[[str, Any], Any]
TRANSPORT: dict[str, tuple[Case, object, object]] = {}
"""The rows of the first table, by their first cells: what is done, and what comes of it on either side."""
CLIENT: dict[str, tuple[Case, object, object]] = {}
"""Those of the second one."""


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    path = headers[":path"]
    if path == "/redirect":
        stream.respond({":status": 302, "location": "/"}, end_stream=True)
    elif path == "/missing":
        stream.respond({":status": 404}, end_stream=True)
    else:
        stream.end(b"one\n" + stream.read())


@pytest.fixture
def servers(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """One handler over TLS and without, in both versions of HTTP. Nothing in the environment names authorities."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    plain = sync_h2.create_server(handler, allow_http1=True)
    secure = sync_h2.create_secure_server(
        handler, certfile=certificate.certfile, keyfile=certificate.keyfile, allow_http1=True
    )
    with plain, secure:
        yield SimpleNamespace(
            http=f"http://localhost:{plain.address[1]}",
            https=f"https://localhost:{secure.address[1]}",
            authority=str(certificate.cafile),
            context=ssl.create_default_context(cafile=certificate.cafile),
            environment=monkeypatch,
        )


def client_of(which: str, servers: Any, **options: Any) -> Any:
    """A client that trusts the server."""
    if which == OF_HTTPX:
        return httpx.Client(**{"http2": True, "verify": servers.context, **options})
    if which == OF_TRANSPORT:
        return httpx.Client(transport=HTTPXTransport(verify=servers.authority), **options)
    return sync_h2.Client(verify=servers.authority, **options)


def got(client: Any, url: str, **arguments: Any) -> Any:
    """The status, or the name of the exception; the client is closed."""
    with client:
        try:
            return client.get(url, **arguments).status_code
        except Exception as error:
            return type(error).__name__


# -- the transport


@row(TRANSPORT, "`verify`, `cert`, `limits`, `http1` of the client", 200, "ConnectError")
def _(which: str, servers: Any) -> Any:
    client = httpx.Client if which == OF_HTTPX else partial(httpx.Client, transport=HTTPXTransport())
    return got(client(verify=servers.context), servers.https)


@row(TRANSPORT, "`SSL_CERT_FILE` in the environment", 200, "ConnectError")
def _(which: str, servers: Any) -> Any:
    servers.environment.setenv("SSL_CERT_FILE", servers.authority)
    client = httpx.Client() if which == OF_HTTPX else httpx.Client(transport=HTTPXTransport())
    return got(client, servers.https)


@row(TRANSPORT, "`HTTPS_PROXY` in the environment", "ConnectError", 200)
def _(which: str, servers: Any) -> Any:
    servers.environment.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    return got(client_of(which, servers), servers.https)


@row(TRANSPORT, "`proxy=` of the client", "httpcore", "httpcore")
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers, proxy="http://127.0.0.1:1") as client, pytest.raises(httpx.ConnectError) as raised:
        client.get(servers.https)
    assert raised.value.__cause__ is not None
    return type(raised.value.__cause__).__module__.partition(".")[0]


@row(TRANSPORT, "`http://` over HTTP/2", "HTTP/2", "HTTP/2")
def _(which: str, servers: Any) -> Any:
    options: dict[str, Any] = {"http1": False, "http2": True}
    with httpx.Client(**options) if which == OF_HTTPX else httpx.Client(transport=HTTPXTransport(h2c=True)) as client:
        return client.get(servers.http).http_version


@row(TRANSPORT, "a request whose connection broke before an answer came", "RemoteProtocolError", 200)
def _(which: str, servers: Any) -> Any:
    with answering(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        return got(client_of(which, servers), url)


@row(
    TRANSPORT,
    "`response.extensions`",
    {"http_version", "network_stream", "stream_id"},
    {"http_version", "network_stream", "reason_phrase"},
)
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        return set(client.get(servers.https).extensions)


@row(TRANSPORT, "`AsyncClient`", 200, "AttributeError")
def _(which: str, servers: Any) -> Any:
    async def get() -> Any:
        async with httpx.AsyncClient(transport=None if which == OF_HTTPX else HTTPXTransport()) as client:  # type: ignore[arg-type]
            return (await client.get(servers.http)).status_code

    try:
        return asyncio.run(get())
    except AttributeError as error:
        return type(error).__name__


# -- the client


@row(CLIENT, "HTTP/2", ["HTTP/2", "HTTP/1.1"], ["HTTP/2", "HTTP/1.1"])
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        return [client.get(url).http_version for url in (servers.https, servers.http)]


@row(CLIENT, "time that a call may take", 5.0, None)
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        return client.timeout.read if which == OF_HTTPX else None


@row(CLIENT, "redirects", [302, 200], [200, 302])
def _(which: str, servers: Any) -> Any:
    name = "follow_redirects" if which == OF_HTTPX else "allow_redirects"
    with client_of(which, servers) as client:
        url = f"{servers.https}/redirect"
        return [client.get(url).status_code, client.get(url, **{name: which == OF_HTTPX}).status_code]


@row(CLIENT, "a body of bytes", b"one\ntwo", b"one\ntwo")
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        return client.post(servers.https, **{"content" if which == OF_HTTPX else "data": b"two"}).content


@row(CLIENT, "`response.url`", "URL", "str")
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        return type(client.get(servers.https).url).__name__


@row(CLIENT, "`is_success`, `reason_phrase`, `read()`", [True, "OK", b"one\n"], [True, "OK", b"one\n"])
def _(which: str, servers: Any) -> Any:
    with client_of(which, servers) as client:
        response = client.get(servers.https)
        if which == OF_HTTPX:
            return [response.is_success, response.reason_phrase, response.read()]
        return [response.ok, response.reason, response.content]


@row(CLIENT, "`iter_bytes()`, `iter_lines()`", [b"one\n", "one"], [b"one\n", b"one", "one"])
def _(which: str, servers: Any) -> Any:
    found: list[Any] = []
    with client_of(which, servers) as client:
        with client.stream("GET", servers.https) as response:
            found += list(response.iter_bytes() if which == OF_HTTPX else response.iter_content(65_536))
        with client.stream("GET", servers.https) as response:
            found += list(response.iter_lines())
        if which == OF_CLIENT:
            with client.stream("GET", servers.https) as response:
                response.encoding = "ascii"
                found += list(response.iter_lines(decode_unicode=True))
    return found


@row(CLIENT, "`httpx.Timeout`, `httpx.Limits`", 200, 200)
def _(which: str, servers: Any) -> Any:
    if which == OF_HTTPX:
        limits: Any = httpx.Limits(max_connections=1)
        return got(client_of(which, servers, limits=limits, timeout=httpx.Timeout(9, connect=3)), servers.https)
    limits = sync_h2.PoolLimits(max_connections=1)
    return got(client_of(which, servers, limits=limits), servers.https, timeout=sync_h2.Timeouts(connect=3, read=9))


@row(CLIENT, "`HTTPStatusError`, `ConnectError`, `TimeoutException`", [True] * 3, [True] * 3)
def _(which: str, servers: Any) -> Any:
    if which == OF_HTTPX:
        kinds: list[type[Exception]] = [httpx.HTTPStatusError, httpx.ConnectError, httpx.TimeoutException]
    else:
        kinds = [sync_h2.HTTPError, sync_h2.ConnectionError, sync_h2.exceptions.Timeout]
    found = []
    silent = sync_h2.create_server(lambda stream, headers: time.sleep(0.5), allow_http1=True)
    with client_of(which, servers) as client, silent:
        calls: list[Callable[[], Any]] = [
            lambda: client.get(f"{servers.https}/missing").raise_for_status(),
            lambda: client.get("http://127.0.0.1:1/"),
            lambda: client.get(silent.url, timeout=0.1),
        ]
        for call, kind in zip(calls, kinds, strict=True):
            with pytest.raises(kind):
                call()
            found.append(True)
    return found


@row(CLIENT, '`event_hooks={"response": [f]}`', [200], [200])
def _(which: str, servers: Any) -> Any:
    statuses: list[int] = []
    if which == OF_HTTPX:
        client = client_of(
            which, servers, event_hooks={"response": [lambda response: statuses.append(response.status_code)]}
        )
    else:
        client = client_of(which, servers)
        client.hooks["response"] = [lambda response, **keywords: statuses.append(response.status_code)]
    got(client, servers.https)
    return statuses


@pytest.mark.parametrize("name", TRANSPORT)
def test_a_row_about_the_transport(name: str, servers: SimpleNamespace) -> None:
    case, there, here = TRANSPORT[name]
    assert case(OF_HTTPX, servers) == there
    assert case(OF_TRANSPORT, servers) == here


@pytest.mark.parametrize("name", CLIENT)
def test_a_row_about_the_client(name: str, servers: SimpleNamespace) -> None:
    case, there, here = CLIENT[name]
    assert case(OF_HTTPX, servers) == there
    assert case(OF_CLIENT, servers) == here


def test_every_row_is_tried() -> None:
    assert [cells[0] for cells in table_after(PAGE, "## What is different?")] == list(TRANSPORT)
    assert [cells[0] for cells in table_after(PAGE, "## And without httpx?")] == list(CLIENT)
