"""`urllib.request` through `HTTP2Handler`: redirects, cookies, authentication, errors and proxies are urllib's own."""

from __future__ import annotations

import base64
import http.client
import http.cookiejar
import http.server
import io
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.peers.connect_proxy import connect_proxy
from support.peers.stdlib_http import http1_server, http2_server
from support.tls.certificates import Certificate
from sync_h2 import compat

TIMEOUT = 10.0
Opener = Callable[..., urllib.request.OpenerDirector]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode("latin-1"))

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.answer(302, location="/page", set_cookie="visited=yes; Path=/")
        elif self.path == "/private":
            expected = "Basic " + base64.b64encode(b"user:secret").decode()
            if self.headers["Authorization"] == expected:
                self.answer(200, "welcome")
            else:
                self.answer(401, "who are you?", www_authenticate='Basic realm="house"')
        elif self.path == "/page":
            self.answer(200, f"page, cookie {self.headers['Cookie']}", x_version=self.request_version)
        else:
            self.answer(404, "nothing here", x_why="it never was")

    def do_POST(self) -> None:
        length = self.headers["Content-Length"]
        body = self.rfile.read() if length is None else self.rfile.read(int(length))
        self.answer(200, f"{self.headers['Content-Type']} {body.decode()}")


@pytest.fixture(params=["h2c", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tls")


@pytest.fixture
def url(secure: bool, certificate: Certificate) -> Iterator[str]:
    with http2_server(Handler, certificate if secure else None) as port:
        yield f"https://localhost:{port}" if secure else f"http://localhost:{port}"


@pytest.fixture
def opener(secure: bool, certificate: Certificate) -> Opener:
    """Builds an opener with our handler and others."""

    def build(*others: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=str(certificate.cafile))
        ours = compat.HTTP2Handler(context=context, h2c=not secure)
        return urllib.request.build_opener(ours, urllib.request.ProxyHandler({}), *others)

    return build


def test_a_page(opener: Opener, url: str):
    with opener().open(f"{url}/page", timeout=TIMEOUT) as response:
        assert isinstance(response, http.client.HTTPResponse)
        assert (response.status, response.version, response.msg) == (200, 20, "OK")
        assert response.geturl() == f"{url}/page"
        assert response.headers["x-version"] == "HTTP/2.0"
        assert response.read() == b"page, cookie None"


def test_a_redirect_with_a_cookie(opener: Opener, url: str):
    jar = http.cookiejar.CookieJar()
    with opener(urllib.request.HTTPCookieProcessor(jar)).open(f"{url}/redirect", timeout=TIMEOUT) as response:
        assert response.geturl() == f"{url}/page"
        assert response.read() == b"page, cookie visited=yes"
    assert [(cookie.name, cookie.value) for cookie in jar] == [("visited", "yes")]


def test_an_error_is_a_response(opener: Opener, url: str):
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener().open(f"{url}/absent", timeout=TIMEOUT)
    with caught.value as error:
        assert (error.code, error.reason, error.headers["x-why"]) == (404, "Not Found", "it never was")
        assert error.read() == b"nothing here"


def test_basic_authentication(opener: Opener, url: str):
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, "user", "secret")
    with opener(urllib.request.HTTPBasicAuthHandler(passwords)).open(f"{url}/private", timeout=TIMEOUT) as response:
        assert response.read() == b"welcome"


@pytest.mark.parametrize("data", [lambda: b"a=1", lambda: io.BytesIO(b"a=1"), lambda: iter([b"a", b"=1"])])
def test_posting(opener: Opener, url: str, data: Callable[[], Any]):
    with opener().open(f"{url}/form", data(), timeout=TIMEOUT) as response:
        assert response.read() == b"application/x-www-form-urlencoded a=1"


def test_nobody_answers(opener: Opener, secure: bool):
    with pytest.raises(urllib.error.URLError) as caught:
        opener().open(f"{'https' if secure else 'http'}://localhost:1/", timeout=TIMEOUT)
    assert isinstance(caught.value.reason, ConnectionError)


def test_an_untrusted_certificate(certificate: Certificate):
    with http2_server(Handler, certificate) as port, pytest.raises(urllib.error.URLError) as caught:
        urllib.request.build_opener(compat.HTTP2Handler()).open(f"https://localhost:{port}/", timeout=TIMEOUT)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


def test_https_through_a_proxy(certificate: Certificate):
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    with http2_server(Handler, certificate) as port, connect_proxy() as (proxy_port, asked):
        proxies = urllib.request.ProxyHandler({"https": f"http://user:secret@127.0.0.1:{proxy_port}"})
        opener = urllib.request.build_opener(compat.HTTP2Handler(context=context), proxies)
        with opener.open(f"https://localhost:{port}/page", timeout=TIMEOUT) as response:
            assert response.version == 20
            assert response.read() == b"page, cookie None"
    assert asked[0][0].startswith(f"CONNECT localhost:{port} HTTP/1.".encode())
    assert any(line.lower().startswith(b"proxy-authorization: basic ") for line in asked[0])


def test_http_is_left_to_urllib_unless_h2c_is_asked_for():
    opener = urllib.request.build_opener(compat.HTTP2Handler(), urllib.request.ProxyHandler({}))
    with http1_server(Handler, None) as port, opener.open(f"http://127.0.0.1:{port}/page", timeout=TIMEOUT) as response:
        assert response.headers["x-version"] == "HTTP/1.1"


def test_h2c_does_not_go_through_a_proxy():
    class Proxy(Handler):
        def do_GET(self) -> None:
            self.answer(200, f"{self.request_version} {self.path}")

    with http1_server(Proxy, None) as port:
        proxies = urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{port}"})
        opener = urllib.request.build_opener(compat.HTTP2Handler(h2c=True), proxies)
        with opener.open("http://example.org/page", timeout=TIMEOUT) as response:
            assert response.read() == b"HTTP/1.1 http://example.org/page"


def test_a_proxys_password_does_not_go_where_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch):
    told = []

    class Origin(Handler):
        def do_GET(self) -> None:
            told.append(self.headers["Proxy-Authorization"])
            self.answer(200)

    class Proxy(Handler):
        def do_GET(self) -> None:
            told.append(self.headers["Proxy-Authorization"])
            self.answer(302, location=f"http://127.0.0.1:{origin_port}/inside")

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http1_server(Proxy, None) as port, http2_server(Origin, None) as origin_port:
        proxies = urllib.request.ProxyHandler({"http": f"http://user:secret@127.0.0.1:{port}"})
        opener = urllib.request.build_opener(compat.HTTP2Handler(h2c=True), proxies)
        opener.open("http://example.org/", timeout=TIMEOUT).close()
    assert told == ["Basic dXNlcjpzZWNyZXQ=", None]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("straße.localhost", "xn--strae-oqa.localhost"), ("σας.localhost:81", "xn--mxa8ab.localhost:81")],
)
def test_international_names_are_in_idna_2008(host: str, expected: str):
    handler = compat.HTTP2Handler(h2c=True)
    urllib.request.build_opener(handler)
    request = handler.https_request(urllib.request.Request(f"https://{host}/"))
    assert request.host == expected
    assert request.get_header("Host") == expected
    with pytest.raises(urllib.error.URLError, match="not a valid host name"):
        handler.http_request(urllib.request.Request("http://☃.net/"))
