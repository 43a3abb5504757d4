"""Who makes a client's requests: adapters by the beginnings of URLs, those for tests too."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

import sync_h2
from support.connections.clients import echo_url
from sync_h2 import exceptions
from sync_h2.adapters import BaseAdapter, HTTPAdapter, HTTPXTransport, RequestsAdapter
from sync_h2.testing import HandlerTransport, WSGITransport


@pytest.fixture
def client() -> Iterator[sync_h2.Client]:
    with sync_h2.Client(trust_env=False) as client:
        yield client


# -- mounting


def test_adapters_stand_in_the_order_of_requests() -> None:
    found = []
    for module, adapter in ((requests, requests.adapters.HTTPAdapter), (sync_h2, HTTPAdapter)):
        with module.Session() as session:  # type: ignore[attr-defined]
            orders = [list(session.adapters)]
            for prefix in ("http://git", "http://github", "http://github.com/about/", "http://github.com", "http://"):
                session.mount(prefix, adapter())
                orders.append(list(session.adapters))
            found.append(orders)
    assert found[0] == found[1]


def test_the_longest_prefix_counts_whatever_its_case(client: sync_h2.Client) -> None:
    general, special = HandlerTransport(echo_url), HandlerTransport(echo_url)
    client.mount("https://api.example.org", general)
    client.mount("hTTps://API.example.org/v2/", special)
    assert client.get_adapter("https://api.example.org/v1") is general
    assert client.get_adapter("https://api.example.org:8443/") is general
    assert client.get_adapter("https://api.example.org?a=b") is general
    assert client.get_adapter("https://api.example.ORG/V2/x") is special
    client.adapters.pop("https://")
    with pytest.raises(exceptions.InvalidSchema, match="No connection adapters"):
        client.get("https://other.example.org/")


def test_a_prefix_ends_no_host_in_its_middle(client: sync_h2.Client) -> None:
    """Where requests lets https://api.example.org.evil.example have the adapter, and what it was made with."""
    adapter = HandlerTransport(echo_url)
    client.mount("https://api.example.org", adapter)
    for url in (
        "https://api.example.org.evil.example/",
        "https://api.example.organ/",
        "https://api.example.org@evil/",
        "https://api.example.org:443@evil/",
        "https://api.example.org:@evil/",
    ):
        assert client.get_adapter(url) is not adapter
    assert client.get_adapter("https://user:word@api.example.org:443/") is adapter


def test_an_adapter_of_ones_own(client: sync_h2.Client) -> None:
    seen: list[Any] = []

    class Adapter(BaseAdapter):
        def send(self, request: Any, **options: Any) -> sync_h2.Response:
            seen.append((request.url, sorted(options), options["timeout"]))
            response = sync_h2.Response()
            response.request, response.url, response.status_code = request, request.url, 200
            response.headers = {"location": "/there", "set-cookie": "a=b"} if request.url.endswith("/here") else {}
            response.status_code = 302 if response.headers else 200
            response.raw = io.BytesIO(b"content")
            return response

        def close(self) -> None:
            seen.append("closed")

    client.mount("http://mock.host", Adapter())
    client.mount("mock://", Adapter())
    assert client.get("mock://anything", timeout=5).url == "mock://anything"
    seen.clear()
    response = client.get("http://mock.host/here", timeout=5)
    assert (response.status_code, response.content, response.url) == (200, b"content", "http://mock.host/there")
    client.close()
    expected = ["cert", "proxies", "stream", "timeout", "verify"]
    assert seen == [("http://mock.host/here", expected, 5), ("http://mock.host/there", expected, 5), "closed", "closed"]


def test_an_adapter_with_a_timeout_of_its_own(client: sync_h2.Client) -> None:
    """As thousands of programs have it for requests, in either form."""
    seen: list[Any] = []

    class Named(HandlerTransport):
        def send(  # type: ignore[override]
            self,
            request: Any,
            stream: bool = False,
            timeout: Any = None,
            verify: Any = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> sync_h2.Response:
            seen.append(timeout)
            return super().send(request, stream, 20 if timeout is None else timeout, verify, cert, proxies)

    class Passing(HandlerTransport):
        def send(self, request: Any, **options: Any) -> sync_h2.Response:  # type: ignore[override]
            seen.append(options["timeout"])
            if options["timeout"] is None:
                options["timeout"] = 20
            return super().send(request, **options)

    client.hooks["response"].append(lambda response, **options: seen.append(options["timeout"]))
    for adapter in (Named(echo_url), Passing(echo_url)):
        client.mount("http://api.example.org", adapter)
        client.timeout = None
        assert client.get("http://api.example.org/", proxies={}).status_code == 200
        assert client.get("http://api.example.org/", timeout=(3, 4)).status_code == 200
        client.timeout = 5
        assert client.get("http://api.example.org/").status_code == 200
        adapter.close()
    assert seen == [None, None, (3, 4), (3, 4), 5, 5] * 2


def test_what_an_adapter_may_not_return(client: sync_h2.Client) -> None:
    class Adapter(BaseAdapter):
        def send(self, request: Any, **options: Any) -> Any:
            return requests.Response()

    client.mount("http://", Adapter())
    with pytest.raises(TypeError, match=r"returns a sync_h2\.Response, not requests\.models\.Response"):
        client.get("http://host/")
    client.mount("http://", BaseAdapter())
    with pytest.raises(NotImplementedError):
        client.get("http://host/")


def test_what_is_no_adapter(client: sync_h2.Client) -> None:
    with HTTPXTransport() as transport:
        for other, missing in ((transport, "send"), (object(), "send, close"), (None, "send, close")):
            with pytest.raises(TypeError, match=rf"BaseAdapter.*{type(other).__name__} has no {missing}$"):
                client.mount("http://", other)
    assert isinstance(client.get_adapter("http://host/"), BaseAdapter)


@pytest.mark.parametrize("adapter", [HTTPAdapter, lambda: HandlerTransport(echo_url)])
def test_a_session_of_requests_is_told_its_adapter(adapter: Callable[[], BaseAdapter]) -> None:
    with requests.Session() as session:
        session.mount("http://", adapter())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"requests\.models\.PreparedRequest.*RequestsAdapter"):
            session.get("http://localhost:1/")


def test_the_adapter_for_requests_sends_nothing_for_a_client(client: sync_h2.Client) -> None:
    asked: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        asked.append(headers[":path"])
        stream.end(b"")

    with sync_h2.create_server(handler) as server:
        client.mount("http://", RequestsAdapter(h2c=True))
        with pytest.raises(TypeError, match=r"HTTPAdapter"):
            client.post(server.url, data=b"order")
    assert not asked


def test_an_adapter_with_the_arguments_of_requests() -> None:
    from urllib3 import Retry

    statuses = iter([500, 503, 200])

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": next(statuses)}, end_stream=True)

    with sync_h2.create_server(handler) as server, sync_h2.Client(trust_env=False) as client:
        retries = Retry(3, status_forcelist=[500, 503], backoff_factor=0)
        client.mount("http://", HTTPAdapter(10, 5, retries, h2c=True))
        assert client.get(server.url).status_code == 200


# -- transports in this process


def test_a_handler_answers(client: sync_h2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    client.mount("https://api.example.org", HandlerTransport(echo_url))
    client.mount("http://api.example.org", HandlerTransport(echo_url))
    for scheme in ("https", "http"):
        response = client.post(f"{scheme}://api.example.org/a?b=c", data=b"x" * 100_000)
        assert response.text.startswith(f"POST {scheme}://api.example.org/a?b=c xxx")
        assert response.headers["x-version"] == "2.0"
        assert len(response.content) > 100_000


def test_a_transport_needs_somebody_who_answers() -> None:
    with pytest.raises(TypeError, match="handler or on_request"):
        HandlerTransport()


def test_requests_and_responses_answer_too(client: sync_h2.Client) -> None:
    client.mount("http://x", HandlerTransport(on_request=lambda request, response: response.end(request.url.encode())))
    assert client.get("http://x/path").text == "/path"


def application(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("302 Found" if environ["PATH_INFO"] == "/go" else "200 OK", [("Location", "/there")])
    names = ("wsgi.url_scheme", "HTTP_HOST", "PATH_INFO", "SERVER_PORT")
    return [" ".join(environ[name] for name in names).encode()]


def test_a_wsgi_application_answers(client: sync_h2.Client) -> None:
    client.mount("https://shop.example.org", WSGITransport(application))
    client.mount("http://shop.example.org", WSGITransport(application))
    response = client.get("https://shop.example.org/go")
    assert response.text == "https shop.example.org /there 443"
    assert [past.status_code for past in response.history] == [302]
    assert client.get("http://shop.example.org/").text.startswith("http shop.example.org /")


def test_a_transport_streams_and_serves_many_threads(client: sync_h2.Client) -> None:
    goes_on = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"first")
        goes_on.wait(20)
        stream.end(b"second")

    client.mount("http://x", HandlerTransport(handler))
    with client.stream("GET", "http://x/") as response:
        pieces = response.iter_content(None)
        assert next(pieces) == b"first"
        goes_on.set()
        assert b"".join(pieces) == b"second"
    assert [answer.text for answer in client.map(["http://x/"] * 20)] == ["firstsecond"] * 20


def test_a_handlers_failure_is_an_answer(client: sync_h2.Client, caplog: pytest.LogCaptureFixture) -> None:
    client.mount("http://x", HandlerTransport(lambda stream, headers: 1 / 0))
    assert client.get("http://x/").status_code == 500
    assert "ZeroDivisionError" in caplog.text


def test_a_closed_transport(client: sync_h2.Client) -> None:
    transport = HandlerTransport(echo_url)
    client.mount("http://x", transport)
    assert client.get("http://x/").ok
    transport.close()
    with pytest.raises(exceptions.ConnectionError, match="closed"):
        client.get("http://x/")


@pytest.mark.parametrize(
    ("base_url", "url", "kind", "advice"),
    [
        ("", "localhost:8443/x", exceptions.InvalidSchema, "Perhaps you meant https://localhost:8443/x?"),
        ("localhost:8443", "/x", exceptions.InvalidSchema, "Perhaps you meant https://localhost:8443/x?"),
        ("", "httpbin.test:80", exceptions.InvalidURL, "Perhaps you meant https://httpbin.test:80?"),
        ("", "localhost/x", exceptions.MissingSchema, "Perhaps you meant https://localhost/x?"),
        ("", "//localhost/x", exceptions.MissingSchema, "Perhaps you meant https://localhost/x?"),
        ("", "/x", exceptions.MissingSchema, "Give a whole URL, or Client(base_url=...)."),
        ("", "", exceptions.MissingSchema, "Give a whole URL, or Client(base_url=...)."),
    ],
)
def test_what_a_url_without_a_scheme_may_have_meant(
    base_url: str, url: str, kind: type[Exception], advice: str
) -> None:
    with sync_h2.Client(base_url=base_url) as client, pytest.raises(kind) as raised:
        client.get(url)
    assert str(raised.value).endswith(advice)
    assert str(raised.value).count("https:") == advice.count("https:")


def test_a_scheme_that_nobody_knows_is_no_host(client: sync_h2.Client) -> None:
    with pytest.raises(exceptions.InvalidSchema) as raised:
        client.get("ftp://example.org:21/")
    assert "Perhaps" not in str(raised.value)
