"""Each row of the table of `docs/how-to/moving-from-requests.md`, with requests and with sync_h2 against one server."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
import pytest
import requests
import requests.adapters
import requests_mock
import responses

import sync_h2
import sync_h2.adapters
import sync_h2.testing
from support.pages.tables import row, table_after
from support.peers.answering import answering
from support.tls.certificates import Certificate
from sync_h2.adapters import RequestsAdapter
from sync_h2.client.calls.api import close_connections

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "moving-from-requests.md"

Case = Callable[[Any, Any], Any]
CASES: dict[str, tuple[Case, object, object]] = {}
"""By a row's first cell: what is done with a library and the servers, and what comes of it with requests and here."""


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    path = headers[":path"]
    if path.startswith("/to?"):
        stream.respond({":status": 302, "location": path.partition("?")[2]}, end_stream=True)
        return
    stream.respond({"content-type": "application/json"})
    port = stream.session.socket.getpeername()[1]
    stream.end(json.dumps({"port": port, "host": headers.get(":authority"), "version": stream.http_version}).encode())


@pytest.fixture
def servers(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """One handler over TLS and without, in both versions of HTTP. Nothing in the environment names authorities."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    plain = sync_h2.create_server(handler, allow_http1=True)
    secure = sync_h2.create_secure_server(
        handler, certfile=certificate.certfile, keyfile=certificate.keyfile, allow_http1=True
    )
    with plain, secure:
        yield SimpleNamespace(
            http=f"http://localhost:{plain.address[1]}",
            other=f"http://127.0.0.1:{plain.address[1]}",
            https=f"https://localhost:{secure.address[1]}",
            authority=str(certificate.cafile),
            environment=monkeypatch,
        )
        close_connections()


def kind(function: Callable[[], Any]) -> Any:
    """What it returns, or the name of what it raises."""
    try:
        return function()
    except Exception as error:
        return type(error).__name__


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"


@row(CASES, "`get(url)` without a session", there=3, here=1)
def _(library: Any, servers: Any) -> int:
    return len({library.get(servers.http).json()["port"] for _ in range(3)})


@row(CASES, "version of HTTP", there=["1.1", "1.1", None], here=["2.0", "1.1", "2.0"])
def _(library: Any, servers: Any) -> list[Any]:
    secure = library.get(servers.https, verify=servers.authority).json()["version"]
    prior_knowledge = None
    if library is sync_h2:
        with library.Session(h2c=True) as session:
            prior_knowledge = session.get(servers.http).json()["version"]
    return [secure, library.get(servers.http).json()["version"], prior_knowledge]


@row(CASES, "a session that was closed", there=200, here="ConnectionError")
def _(library: Any, servers: Any) -> Any:
    session = library.Session()
    session.get(servers.http)
    session.close()
    found = kind(lambda: session.get(servers.http).status_code)
    session.close()
    return found


@row(CASES, "`session.verify` and the environment's `REQUESTS_CA_BUNDLE`", there="SSLError", here=200)
def _(library: Any, servers: Any) -> Any:
    servers.environment.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    with library.Session() as session:
        session.verify = servers.authority
        return kind(lambda: session.get(servers.https).status_code)


@row(CASES, "`verify=False`", there=["InsecureRequestWarning"], here=[])
def _(library: Any, servers: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert library.get(servers.https, verify=False).status_code == 200
    return [warning.category.__name__ for warning in warned]


def verified(library: Any, url: str, verify: Any) -> int:
    status: int = library.get(url, verify=verify).status_code
    return status


@row(CASES, '`verify=0`, `verify=""`', there=[200, 200], here=["TypeError", "SSLError"])
def _(library: Any, servers: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [kind(partial(verified, library, servers.https, value)) for value in (0, "")]


@row(CASES, "a subclass's `init_poolmanager`, `cert_verify`", there=["init_poolmanager", "cert_verify"], here=[])
def _(library: Any, servers: Any) -> list[str]:
    called = []

    class Adapter(library.adapters.HTTPAdapter):  # type: ignore[misc]
        def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
            called.append("init_poolmanager")
            super().init_poolmanager(*arguments, **keywords)

        def cert_verify(self, *arguments: Any) -> None:
            called.append("cert_verify")
            super().cert_verify(*arguments)

    with library.Session() as session:
        session.mount("https://", Adapter())
        assert session.get(servers.https, verify=servers.authority).status_code == 200
    return called


@row(CASES, "a request whose connection broke before an answer came", there="ConnectionError", here=b"a")
def _(library: Any, servers: Any) -> Any:
    with answering(b"", ANSWER + b"\r\na") as url:
        return kind(lambda: library.get(url).content)


@row(CASES, "`response.reason`", there="Gone Fishing", here=["Not Found", "Gone Fishing"])
def _(library: Any, servers: Any) -> Any:
    with answering(ANSWER.replace(b"200 OK", b"404 Gone Fishing") + b"\r\na") as url:
        reason = library.get(url).reason
    if library is requests:
        return reason
    nothing = sync_h2.testing.HandlerTransport(lambda stream, headers: stream.respond({":status": 404}))
    with sync_h2.Session() as session:
        session.mount("https://example.org", nothing)
        return [session.get("https://example.org").reason, reason]


@row(CASES, "names in `response.headers`", there=["X-Case", "1"], here=["x-case", "1"])
def _(library: Any, servers: Any) -> list[str]:
    with answering(ANSWER + b"X-Case: 1\r\n\r\na") as url:
        headers = library.get(url).headers
    return [next(name for name in headers if name.lower() == "x-case"), headers["X-CASE"]]


@row(CASES, "`response.raw`", there=[True, True], here=[True, False])
def _(library: Any, servers: Any) -> list[bool]:
    with library.get(servers.http, stream=True) as response:
        there = [hasattr(response.raw, name) for name in ("read", "stream", "data", "headers", "version")]
        return [all(there), hasattr(response.raw, "getheaders")]


@row(CASES, "`content` after `close()`", there=b"", here="StreamConsumedError")
def _(library: Any, servers: Any) -> Any:
    response = library.get(servers.http, stream=True)
    response.close()
    return kind(lambda: response.content)


def content(library: Any, url: str) -> bytes:
    octets: bytes = library.get(url).content
    return octets


@row(
    CASES,
    "an answer with two lengths, or a line that is no field",
    there=["InvalidHeader", b"a"],
    here=["ConnectionError", "ConnectionError"],
)
def _(library: Any, servers: Any) -> list[Any]:
    found = []
    for head in (ANSWER + b"Content-Length: 2\r\n\r\n", b"HTTP/1.1 200 OK\r\nno field\r\n\r\n"):
        with answering(head + b"a") as url:
            found.append(kind(partial(content, library, url)))
    return found


@row(CASES, "a `Host` that was given", there=["example.org", "example.org"], here=["example.org", "other"])
def _(library: Any, servers: Any) -> list[str]:
    hosts = []
    for target in (servers.http, servers.other):
        url = f"{servers.http}/to?{target}/"
        host = library.get(url, headers={"Host": "example.org"}).json()["host"]
        hosts.append("other" if host == servers.other.removeprefix("http://") else host)
    return hosts


@row(CASES, '`mount("https://a.org", …)`', there=True, here=False)
def _(library: Any, servers: Any) -> bool:
    with library.Session() as session:
        adapter = library.adapters.HTTPAdapter()
        session.mount("https://a.org", adapter)
        assert session.get_adapter("https://a.org/") is adapter
        return session.get_adapter("https://a.org.example/") is adapter


@row(CASES, "a timeout that is no number", there="ValueError", here="TypeError")
def _(library: Any, servers: Any) -> Any:
    return kind(lambda: library.get(servers.http, timeout="soon"))


@row(CASES, "a backslash before the path", there=200, here="InvalidURL")
def _(library: Any, servers: Any) -> Any:
    return kind(lambda: library.get(f"{servers.http}\\a").status_code)


@row(CASES, "`body` of a prepared form with a file", there=True, here=False)
def _(library: Any, servers: Any) -> bool:
    prepared = library.Request("POST", servers.http, files={"file": io.BytesIO(b"content")}).prepare()
    return isinstance(prepared.body, bytes)


@row(CASES, "modules `models`, `sessions`, `utils`, `packages`, `hooks`, `compat`", there=True, here=False)
def _(library: Any, servers: Any) -> bool:
    there = {hasattr(library, name) for name in ("models", "sessions", "utils", "packages", "hooks")}
    assert len(there) == 1
    assert hasattr(library.compat, "urljoin") in there  # here it is another module
    return there.pop()


@pytest.mark.parametrize("name", CASES)
def test_a_row(name: str, servers: SimpleNamespace) -> None:
    case, of_requests, here = CASES[name]
    assert case(requests, servers) == of_requests
    assert case(sync_h2, servers) == here


def test_every_row_is_tried() -> None:
    assert [cells[0] for cells in table_after(PAGE, "## What is different?")] == list(CASES)


NOWHERE = {"api.example": "unix:/nowhere"}


def test_what_mocks_see() -> None:
    url = "http://api.example/"
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock, requests.Session() as session:
        mock.get(url, body="mocked")
        assert session.get(url).text == "mocked"
        session.mount("http://", RequestsAdapter(resolve=NOWHERE))
        with pytest.raises(requests.ConnectionError):
            session.get(url)
        with sync_h2.Session(resolve=NOWHERE) as ours, pytest.raises(sync_h2.ConnectionError):
            ours.get(url)
    with requests_mock.Mocker() as mocker, requests.Session() as session:
        mocker.get(url, text="mocked")
        session.mount("http://", RequestsAdapter(resolve=NOWHERE))
        assert session.get(url).text == "mocked"
        with sync_h2.Session(resolve=NOWHERE) as ours, pytest.raises(sync_h2.ConnectionError):
            ours.get(url)


def test_an_adapter_of_requests_is_refused(servers: SimpleNamespace) -> None:
    with sync_h2.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter())
        with pytest.raises(TypeError, match="returns a sync_h2"):
            session.get(servers.http)
