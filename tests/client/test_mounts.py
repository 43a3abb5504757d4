"""Who makes a client's requests: adapters by the beginnings of URLs, those for tests too; other places than the names
say; and clients, requests and responses that are copied, pickled, or made by hand.
"""

from __future__ import annotations

import copy
import http.cookiejar
import io
import pickle
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import sync_h2
from support.certificates import Certificate
from sync_h2 import exceptions
from sync_h2.adapters import BaseAdapter, HTTPAdapter
from sync_h2.testing import HandlerTransport, WSGITransport


def echo(stream: Any, headers: Any) -> None:
    body = stream.read()
    stream.respond({"x-version": stream.http_version, "x-authority": headers[":authority"]})
    stream.end(
        f"{headers[':method']} {headers[':scheme']}://{headers[':authority']}{headers[':path']} ".encode() + body
    )


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
    general, special = HandlerTransport(echo), HandlerTransport(echo)
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
    adapter = HandlerTransport(echo)
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
    for adapter in (Named(echo), Passing(echo)):
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
    with pytest.raises(TypeError, match=r"returns a sync_h2\.Response"):
        client.get("http://host/")
    client.mount("http://", BaseAdapter())
    with pytest.raises(NotImplementedError):
        client.get("http://host/")


# -- transports in this process


def test_a_handler_answers(client: sync_h2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    client.mount("https://api.example.org", HandlerTransport(echo))
    client.mount("http://api.example.org", HandlerTransport(echo))
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
    transport = HandlerTransport(echo)
    client.mount("http://x", transport)
    assert client.get("http://x/").ok
    transport.close()
    with pytest.raises(exceptions.ConnectionError, match="closed"):
        client.get("http://x/")


# -- other places


@pytest.fixture
def server() -> Iterator[sync_h2.ThreadingServer]:
    with sync_h2.create_server(echo, allow_http1=True) as server:
        yield server


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
    server = sync_h2.create_secure_server(echo, certfile=certificate.certificate_pem, keyfile=certificate.key_pem)
    with server:
        place = f"127.0.0.1:{server.address[1]}"
        options: Any = {"trust_env": False, "verify": str(certificate.cafile)}
        with sync_h2.Client(resolve={"localhost": place, "other.example": place}, **options) as client:
            assert client.get("https://localhost/").text == "GET https://localhost/ "
            with pytest.raises(exceptions.SSLError, match="mismatch"):
                client.get("https://other.example/")


@pytest.mark.parametrize("h2c", [False, True])
def test_a_unix_socket(tmp_path: Path, h2c: bool) -> None:
    path = tmp_path / "socket"
    with sync_h2.create_server(echo, f"unix:{path}", allow_http1=True):
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
    with sync_h2.create_server(echo, f"unix:{path}", allow_http1=True), sync_h2.Client(unix_socket=path) as client:
        assert client.get("http://docker/").text == "GET http://docker/ "
        client.mount("http://in-process", HandlerTransport(echo))
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


# -- copies and pickles


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_client_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    auth = sync_h2.auth.HTTPDigestAuth("user", "word")
    with sync_h2.Client(h2c=True, headers={"x-a": "1"}, auth=auth, cookies={"a": "b"}, trust_env=False) as client:
        assert client.get(server.url).ok
        other = copied(client)
    with other:
        assert other.get(server.url).http_version == "HTTP/2"
        assert (other.headers, other.auth, dict(other.cookies)) == (client.headers, auth, {"a": "b"})
    assert client.headers is not other.headers or copied is copy.copy


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_client_with_a_jar_of_the_standard_library_is_copied(copied: Any) -> None:
    jar = http.cookiejar.CookieJar()
    jar.set_cookie(sync_h2.cookies.create_cookie("a", "b"))
    with sync_h2.Client(cookies=jar) as client, copied(client) as other:
        assert [(cookie.name, cookie.value) for cookie in other.cookies] == [("a", "b")]
        assert client.cookies is jar


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_an_adapter_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    adapter = HTTPAdapter(h2c=True, retries=1)
    other = copied(adapter)
    adapter.close()
    with sync_h2.Client(trust_env=False) as client:
        client.mount("http://", other)
        assert client.get(server.url).http_version == "HTTP/2"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_response_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    auth = sync_h2.auth.HTTPDigestAuth("user", "word")
    with sync_h2.Client(h2c=True, trust_env=False) as client:
        response = client.post(server.url, data=b"x", stream=True, auth=auth)
        other = copied(response)
    assert other.content == response.content
    assert (other.status_code, other.url, dict(other.headers)) == (200, response.url, dict(response.headers))
    assert (other.request.method, other.request.body, other.request.headers) == ("POST", b"x", response.request.headers)


# -- made by hand


@pytest.mark.parametrize("module", [requests, sync_h2], ids=["requests", "sync_h2"])
def test_a_session_can_say_what_redirects(server: sync_h2.ThreadingServer, module: Any) -> None:
    class Session(module.Session):  # type: ignore[misc]
        def get_redirect_target(self, resp: Any) -> Any:
            if resp.url.endswith("/first"):
                return "/second"
            return super().get_redirect_target(resp)

    with Session() as session:
        response = session.get(f"{server.url}/first")
    assert (response.url, [past.status_code for past in response.history]) == (f"{server.url}/second", [200])


def test_a_response_by_hand() -> None:
    for module in (requests, sync_h2):
        response: Any = module.Response()  # type: ignore[attr-defined]
        assert (response.status_code, response.url, response.reason, response.encoding) == (None, None, None, None)
        assert (response.headers, response.history, response.request) == ({}, [], None)
        response.status_code, response.url, response.reason = 404, "http://a/", "Not Found"
        response._content, response.encoding = '{"a": "ü"}'.encode(), "utf-8"
        assert (response.ok, response.json(), response.text) == (False, {"a": "ü"}, '{"a": "ü"}')
        with pytest.raises(module.exceptions.HTTPError) as raised:  # type: ignore[attr-defined]
            response.raise_for_status()
        assert str(raised.value) == "404 Client Error: Not Found for url: http://a/"
        assert pickled(response).json() == {"a": "ü"}


def test_a_response_from_a_file() -> None:
    for module in (requests, sync_h2):
        for read, expected in (
            (lambda response: response.content, b"one\ntwo"),
            (lambda response: list(response.iter_lines()), [b"one", b"two"]),
            (lambda response: b"".join(response.iter_content(2)), b"one\ntwo"),
            (lambda response: response.raw.read(3), b"one"),
        ):
            response: Any = module.Response()  # type: ignore[attr-defined]
            response.raw = io.BytesIO(b"one\ntwo")
            assert read(response) == expected
            response.close()


def test_a_response_from_an_empty_file_of_text_ends() -> None:
    for module in (requests, sync_h2):
        response: Any = module.Response()  # type: ignore[attr-defined]
        response.raw = io.StringIO("")
        assert response.content == b""


def test_a_prepared_request_by_hand(server: sync_h2.ThreadingServer) -> None:
    for module in (requests, sync_h2):
        prepared: Any = module.PreparedRequest()  # type: ignore[attr-defined]
        prepared.method, prepared.url = "PUT", f"{server.url}/by-hand"
        prepared.headers, prepared.body = {"Content-Length": "4"}, b"body"
        with module.Session() as session:  # type: ignore[attr-defined]
            response = session.send(prepared)
        assert response.text.endswith("/by-hand body")
        other = prepared.copy()
        assert (other.method, other.url, other.body, dict(other.headers)) == (
            "PUT",
            prepared.url,
            b"body",
            prepared.headers,
        )


def test_hooks_come_and_go() -> None:
    def hook(response: Any, **_: Any) -> None: ...

    for module in (requests, sync_h2):
        request: Any = module.Request("GET", "http://a/")  # type: ignore[attr-defined]
        request.register_hook("response", hook)
        assert request.prepare().hooks["response"] == [hook]
        assert request.deregister_hook("response", hook) is True
        assert request.deregister_hook("response", hook) is False
        prepared = request.prepare()
        prepared.register_hook("response", [hook, hook])
        assert prepared.hooks["response"] == [hook, hook]
        with pytest.raises(ValueError, match="event"):
            prepared.register_hook("request", hook)


# -- requests' own authentication


def test_authentication_of_requests() -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth"'

    def handler(stream: Any, headers: Any) -> None:
        given = headers.get("authorization", "")
        if not given or f'uri="{headers[":path"]}"' not in given + f'uri="{headers[":path"]}"' * given.startswith("B"):
            fields = {":status": 401, "www-authenticate": challenge, "set-cookie": "a=b"}
            stream.respond(fields, end_stream=True)
        elif headers[":path"] == "/old":
            stream.respond({":status": 307, "location": "/new"}, end_stream=True)
        else:
            stream.end(f"{given.split()[0]} {headers.get('cookie')} ".encode() + stream.read())

    with sync_h2.create_server(handler) as server, sync_h2.Client(h2c=True, trust_env=False) as client:
        basic = client.get(server.url, auth=requests.auth.HTTPBasicAuth("ü", "word"))
        assert basic.text == "Basic None "
        assert client.get(server.url, auth=requests.auth.HTTPProxyAuth("a", "b")).status_code == 401
        digest = client.post(f"{server.url}/old", data=b"x", auth=requests.auth.HTTPDigestAuth("user", "word"))
        assert digest.text == "Digest a=b x"


# -- redirects, step by step


def test_redirects_one_after_the_other(server: sync_h2.ThreadingServer) -> None:
    def handler(stream: Any, headers: Any) -> None:
        number = int(headers[":path"][1:])
        stream.respond({":status": 302 if number else 200, "location": f"/{number - 1}"})
        stream.end(b"%d" % number)

    with sync_h2.create_server(handler, allow_http1=True) as server:
        found = []
        for module in (requests, sync_h2):
            with module.Session() as session:  # type: ignore[attr-defined]
                first = session.get(f"{server.url}/3", allow_redirects=False, stream=True)
                coming = session.resolve_redirects(first, first.request)
                second = next(coming)
                rest = list(coming)
                requested = next(session.resolve_redirects(second, second.request, yield_requests=True))
                found.append(([second.text, *(answer.text for answer in rest)], requested.method, requested.path_url))
                assert list(session.resolve_redirects(rest[-1], rest[-1].request, yield_requests=True)) == []
    assert found[0] == found[1] == (["2", "1", "0"], "GET", "/1")


def test_authorization_that_is_taken_off_and_what_the_environment_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/authorities")
    monkeypatch.setenv("https_proxy", "http://proxy")
    monkeypatch.delenv("no_proxy", raising=False)
    found = []
    for module in (requests, sync_h2):
        with module.Session() as session:  # type: ignore[attr-defined]
            settings = session.merge_environment_settings("https://a/", {}, None, None, None)
            assert settings["proxies"]["https"] == "http://proxy"
            urls = ("https://a/", "http://b/", "http://a:81/")
            stripped = [session.should_strip_auth("http://a/", url) for url in urls]
            found.append((settings["verify"], settings["cert"], bool(settings["stream"]), stripped))
    assert found[0] == found[1]


def test_times_and_methods_as_requests_takes_them(server: sync_h2.ThreadingServer) -> None:
    from urllib3.util import Timeout

    with sync_h2.Client(trust_env=False) as client:
        assert client.request(b"get", server.url, timeout=Timeout(connect=5, read=None)).text.startswith("GET")


def test_an_adapter_with_the_arguments_of_requests() -> None:
    from urllib3 import Retry

    statuses = iter([500, 503, 200])

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": next(statuses)}, end_stream=True)

    with sync_h2.create_server(handler) as server, sync_h2.Client(trust_env=False) as client:
        retries = Retry(3, status_forcelist=[500, 503], backoff_factor=0)
        client.mount("http://", HTTPAdapter(10, 5, retries, h2c=True))
        assert client.get(server.url).status_code == 200


# -- names


def test_names_at_the_top() -> None:
    names = [
        "ConnectTimeout",
        "ConnectionError",
        "HTTPError",
        "JSONDecodeError",
        "ReadTimeout",
        "RequestException",
        "TooManyRedirects",
        "URLRequired",
    ]
    for name in names:
        assert getattr(sync_h2, name) is getattr(sync_h2.exceptions, name)
        assert hasattr(requests, name)
    assert issubclass(sync_h2.exceptions.Timeout, sync_h2.Timeout)
    missing = [
        name
        for name, kind in vars(requests.exceptions).items()
        if isinstance(kind, type)
        and issubclass(kind, requests.RequestException)
        and not hasattr(sync_h2.exceptions, name)
    ]
    assert missing == []
    with sync_h2.session() as session:
        assert isinstance(session, sync_h2.Session)
