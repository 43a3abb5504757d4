"""To whom a client gives credentials, behind redirects and through proxies, and that no message has them."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from support.connections.clients import client_of, serving
from support.peers.connect_proxy import connect_proxy
from support.peers.forwarding_proxy import forwarding_proxy
from support.tls.certificates import Certificate
from sync_h2 import Client, compat, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.cli import main
from sync_h2.client.options.auth import HTTPBearerAuth, HTTPDigestAuth
from sync_h2.connection.session.origins import serialized_origin
from sync_h2.protocol.fields.headers import encode_request

pytestmark = pytest.mark.usefixtures("plain_environment")


def hello(stream: Any, headers: Any) -> None:
    stream.end(b"hello")


Told = list[tuple[str, str | None]]


@contextlib.contextmanager
def site(location: str | None = None) -> Iterator[tuple[str, Told]]:
    """A server that redirects to `location` from /, and elsewhere asks for a digest; its URL, and what it was told."""
    told: Told = []

    def handler(stream: Any, headers: Any) -> None:
        told.append((headers[":path"], headers.get("authorization")))
        if headers[":path"] == "/" and location is not None:
            stream.respond({":status": 302, "location": location}, end_stream=True)
        elif "authorization" in headers:
            stream.end(b"secret")
        else:
            challenge = 'Digest realm="good", nonce="N", qop="auth"'
            stream.respond({":status": 401, "www-authenticate": challenge}, end_stream=True)

    with sync_h2.create_server(handler) as server:
        yield server.url, told


def test_a_digest_is_for_the_first_origin_alone() -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(h2c=True, trust_env=False))
        evil_url, evil = stack.enter_context(site())
        url, _ = stack.enter_context(site(f"{evil_url}/transfer"))
        own_url, own = stack.enter_context(site("/inside"))
        auth = HTTPDigestAuth("user", "word")
        assert client.get(url, auth=auth).status_code == 401
        assert evil == [("/transfer", None)]
        assert client.get(own_url, auth=auth).text == "secret"
        assert own[-1][0] == "/inside"
        evil.clear()
        # It was given for that server too, but what it has learnt from another is not for it.
        assert client.get(f"{evil_url}/other", auth=auth).text == "secret"
        assert [path for path, credentials in evil if credentials is None] == ["/other"]


def test_a_challenge_of_odd_letters_is_answered_as_one_value() -> None:
    told: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        told.append(headers.get("authorization"))
        challenge = r'Digest realm="a\"b\\c", nonce="n\", x=\"y"'
        stream.respond({":status": 401, "www-authenticate": challenge}, end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        client.get(server.url, auth=HTTPDigestAuth("user", "word"))
    assert r'realm="a\"b\\c", nonce="n\", x=\"y"' in told[-1]


BASIC = "Basic dXNlcjpzZWNyZXQ="  # user:secret


def test_a_proxys_password_goes_to_the_proxy_once() -> None:
    with forwarding_proxy() as (address, asked), requests.Session() as session, Client() as client:
        session.mount("http://", RequestsAdapter())
        with_password = {"http": f"http://user:secret@{address}"}
        for get in (session.get, client.get):
            get("http://a.example/1", proxies=with_password)
        client.get("http://a.example/2", proxies={"http": f"http://{address}"}, headers={"Proxy-Authorization": "own"})
        client.get("http://a.example/2", proxies=with_password, headers={"Proxy-Authorization": "own"})
        client.get("http://a.example/1", proxies={"http": f"http://{address}"}, headers={"Proxy-Authorization": "own"})
    both = [("http://a.example/1", [BASIC]), ("http://b.example/2", [BASIC])]
    own = [("http://a.example/2", ["own"]), ("http://a.example/2", [BASIC])]
    assert asked == [*both, *both, *own, ("http://a.example/1", ["own"]), ("http://b.example/2", [])]


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_proxys_password_does_not_go_through_its_tunnel(encrypted: bool, certificate: Certificate) -> None:
    told: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        told.append(headers.get("proxy-authorization"))
        status = 302 if headers[":path"] == "/1" else 200
        stream.respond({":status": status, "location": "/2"}, end_stream=True)

    server = serving(certificate, handler) if encrypted else sync_h2.create_server(handler)
    with contextlib.ExitStack() as stack:
        url = f"{stack.enter_context(server).url}/1"
        port, asked = stack.enter_context(connect_proxy())
        session = stack.enter_context(requests.Session())
        adapter = RequestsAdapter(h2c=True)
        session.mount(url[: url.index("//") + 2], adapter)
        session.verify = str(certificate.cafile)
        proxies = dict.fromkeys(("http", "https"), f"http://user:secret@127.0.0.1:{port}")
        headers = {"Proxy-Authorization": "own"}
        client = stack.enter_context(client_of(certificate, h2c=True, proxies=proxies))
        client.get(url, headers=headers)
        session.get(url, proxies=proxies, headers=headers)
        adapter.close()
        transport = HTTPXTransport(h2c=True, verify=certificate.cafile, proxy=proxies["http"])
        stack.enter_context(httpx.Client(transport=transport)).get(url, headers=headers)
        host, _, number = url.removesuffix("/1").rpartition("/")[2].partition(":")
        options = {"h2c": True} if not encrypted else {"context": ssl.create_default_context(cafile=certificate.cafile)}
        with contextlib.closing(compat.HTTP2Connection("127.0.0.1", port, **options)) as connection:
            connection.set_tunnel(host, int(number), headers={"Proxy-Authorization": BASIC})
            connection.request("GET", "/2", headers=headers)
            connection.getresponse().read()
    assert told == [None] * len(told)
    assert len(told) == 6
    assert all(b"Proxy-Authorization: " + BASIC.encode() in lines for lines in asked)


def test_a_redirect_takes_a_proxys_credentials_off() -> None:
    told: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        told.append((headers[":path"], headers.get("proxy-authorization")))
        stream.respond({":status": 302 if headers[":path"] == "/" else 200, "location": "/2"}, end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        client.get(server.url, headers={"Proxy-Authorization": "for whom it may concern"})
    assert told == [("/", "for whom it may concern"), ("/2", None)]


@pytest.mark.parametrize("http1", [True, False])
def test_a_host_that_is_named_and_its_cookies_do_not_follow_to_another_origin(http1: bool) -> None:
    told: list[Any] = []

    def handler(request: Any, response: Any) -> None:
        told.append((request.path, request.authority, request.headers.get("cookie")))
        if request.path in steps:
            response.set_header("location", steps[request.path])
        response.write_head(302 if request.path in steps else 200)
        response.end()

    with (
        sync_h2.create_server(on_request=handler, allow_http1=True) as server,
        Client(h2c=not http1, trust_env=False) as client,
    ):
        other = server.url.replace("127.0.0.1", "localhost")
        steps = {"/": "/own", "/own": f"{other}/other"}
        client.cookies.set("session", SECRET, domain="bank.example", path="/")
        client.get(server.url, headers={"Host": "bank.example"})
    theirs = ("bank.example", f"session={SECRET}")
    assert told == [("/", *theirs), ("/own", *theirs), ("/other", other.partition("//")[2], None)]


# -- what is said of them


def errors_of(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


SECRET = "S3CRET"
URLS = [
    f"http://user:{SECRET}@127.0.0.1:1/path?query",
    f"https://user:{SECRET}@127.0.0.1:1/",
    f"http://user:{SECRET}@127.0.0.1:99999/",
    f"http://user:{SECRET}@h h/",
    f"http://user:{SECRET}@h\uff0f.example/",
    f"http://user:{SECRET}@☃.net/",
    f"http://user:{SECRET}/x@127.0.0.1:1/",
    f"http://user:{SECRET}@[",
    f"http:user:{SECRET}@h/",
    f"user:{SECRET}@h/",
    f"ftp://user:{SECRET}@h/",
    f"http://user:ю{SECRET}@127.0.0.1:1/",
]


@pytest.mark.parametrize("url", URLS)
def test_no_message_has_a_password(
    url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def by_redirect(url: str) -> None:
        def handler(stream: Any, headers: Any) -> None:
            location = url.encode().decode("latin-1")
            stream.respond({":status": 302, "location": location}, end_stream=True)

        with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
            client.get(server.url)

    def by_requests(url: str) -> None:
        request = requests.Request("GET", "http://h").prepare()
        request.url = url
        with contextlib.closing(RequestsAdapter()) as adapter:
            adapter.send(request)

    def through_proxy(url: str) -> None:
        with Client(trust_env=False, proxies={"all": url}, retries=0) as client:
            client.get("http://example.org", timeout=10)

    def by_client(url: str) -> None:
        with Client(trust_env=False, retries=0) as client:
            client.get(url, timeout=10)

    def by_httpx(url: str) -> None:
        try:
            request = httpx.Request("GET", url)
        except httpx.InvalidURL:
            raise ValueError from None  # says it itself
        with HTTPXTransport(retries=0) as transport:
            transport.handle_request(request)

    caplog.set_level(0)
    for way in (by_client, by_redirect, by_requests, through_proxy, by_httpx, sync_h2.connect):
        with pytest.raises((OSError, ValueError, httpx.TransportError)) as raised:
            way(url)
        for text in errors_of(raised.value):
            assert SECRET not in text, way
    assert main(["get", url])
    printed = capsys.readouterr()
    # What a server logs is the path that it was asked for.
    logged = [record.getMessage() for record in caplog.records if record.name != "sync_h2.access"]
    assert SECRET not in printed.err + printed.out + "".join(logged)


@pytest.mark.parametrize("url", [f"https://user:{SECRET}@h:x", f"https://user:{SECRET}@h h", f"user:{SECRET}@h"])
def test_no_message_about_an_origin_has_a_password(url: str) -> None:
    with pytest.raises(ValueError, match="origin") as raised:
        serialized_origin(url)
    assert SECRET not in "".join(errors_of(raised.value))


def test_no_message_of_an_answer_has_a_password() -> None:
    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/slow":
            stream.wait_closed(20)
            return
        stream.respond({":status": 404, "content-encoding": "gzip" if headers[":path"] == "/gzip" else "identity"})
        stream.end(b"no gzip")

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False, retries=0) as client:
        url = server.url.replace("//", f"//user:{SECRET}@")
        with pytest.raises(exceptions.ReadTimeout) as slow:
            client.get(f"{url}/slow", timeout=0.05)
        with pytest.raises(exceptions.Timeout, match="total of") as late:
            client.get(f"{url}/slow", timeout=sync_h2.Timeouts(total=0.05))
        with pytest.raises(exceptions.HTTPError, match="404 Client Error: Not Found for url: http://") as missing:
            client.get(url).raise_for_status()
        with pytest.raises(exceptions.ContentDecodingError) as broken:
            client.get(f"{url}/gzip")
        with pytest.raises(exceptions.UnrewindableBodyError) as gone:
            request = client.prepare_request(sync_h2.Request("PUT", url, data=iter([b"x"])))
            client.send(request)
            request.check_rewindable()
    for raised in (slow, late, missing, broken, gone):
        assert SECRET not in "".join(errors_of(raised.value))


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization": f"Bearer {SECRET}\n"}},
        {"headers": {"Authorization": f"Bearer {SECRET}ю"}},
        {"headers": {"Authorization": f" {SECRET}"}},
        {"headers": {"Authorization": f"{SECRET}\0"}},
        {"headers": {"Authorization": [SECRET]}},
        {"auth": ("user", f"{SECRET}ю")},
        {"auth": HTTPBearerAuth(f"{SECRET}\r\nX: y")},
        {"cookies": {"session": f"{SECRET}\n"}},
    ],
)
def test_no_message_has_what_stands_in_a_field(options: Any) -> None:
    with sync_h2.create_server(hello, allow_http1=True) as server:
        for h2c in (True, False):
            with Client(h2c=h2c, trust_env=False) as client, pytest.raises(exceptions.InvalidHeader) as raised:
                client.get(server.url, **options)
            assert SECRET not in "".join(errors_of(raised.value))
    with pytest.raises(ValueError, match="header") as raised:
        encode_request({"authorization": f"{SECRET}ю"}, scheme="http", authority="h")
    assert SECRET not in "".join(errors_of(raised.value))
