"""The same script with requests, which speaks HTTP/1.1, and with sync_h2 over HTTP/2 and HTTP/1.1, against one server:
redirects, cookies, authentication, codings, bodies and errors come out the same.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpbin
import pytest
import requests

import sync_h2
from support.tls.certificates import Certificate
from sync_h2.client.calls.api import close_connections
from sync_h2.compat import wsgi

pytestmark = [
    pytest.mark.usefixtures("trusted"),
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

# What the two send differently, by nature.
_NOT_COMPARED = {"Accept-Encoding", "Connection", "Host", "User-Agent", "Transfer-Encoding"}


@pytest.fixture
def urls(certificate: Certificate) -> Iterator[dict[str, str]]:
    """One application: over TLS with two names, and without."""
    handler = wsgi(_application)
    plain = sync_h2.create_server(handler, allow_http1=True)
    secure = sync_h2.create_secure_server(
        handler, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, allow_http1=True
    )
    with plain, secure:
        yield {
            "https": f"https://localhost:{secure.address[1]}",
            "other": f"https://127.0.0.1:{secure.address[1]}",
            "http": f"http://localhost:{plain.address[1]}",
        }
        gc.collect(1)  # requests' connections that the tracebacks of errors hold, for which the server would wait
        close_connections()


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """httpbin's, and answers that it has not."""
    path = environ["PATH_INFO"]
    if path == "/answer":
        fields = json.loads(environ["wsgi.input"].read())
        start_response(fields["status"], [tuple(field) for field in fields["headers"]])
        return [fields["body"].encode("latin-1")]
    if path.startswith("/to/"):  # a redirect with this status, to the query's URL
        start_response(f"{path[4:]} Redirect", [("Location", environ["QUERY_STRING"]), ("Content-Length", "0")])
        return [b""]
    return httpbin.app(environ, start_response)


def told(response: Any, *, body: bool = True) -> dict[str, Any]:
    """What a response says, apart from what differs by nature."""
    found = {
        "status": response.status_code,
        "url": response.url,
        "ok": response.ok,
        "encoding": response.encoding,
        "history": [(past.status_code, past.url, past.request.method) for past in response.history],
        "method": response.request.method,
        "cookies": sorted(response.cookies.items()),
        "links": response.links,
        "is_redirect": (response.is_redirect, response.is_permanent_redirect),
        "next": response.next and (response.next.method, response.next.url),
        "type": response.headers.get("content-type"),
    }
    if body:
        found["body"] = response.content
        if response.content and response.headers.get("content-type") == "application/json":
            echoed = response.json()
            for name in _NOT_COMPARED:
                echoed.get("headers", {}).pop(name, None)
            boundary = re.search("boundary=(.*)", str(echoed.get("headers", {}).get("Content-Type", "")))
            found["body"] = echoed if boundary is None else _without(echoed, boundary[1])
    return found


def _without(echoed: Any, boundary: str) -> Any:
    return json.loads(json.dumps(echoed).replace(boundary, "BOUNDARY"))


def answered(module: Any, url: str, status: str, headers: list[tuple[str, str]], body: bytes = b"") -> Any:
    wanted = {"status": status, "headers": headers, "body": body.decode("latin-1")}
    return module.post(f"{url}/answer", data=json.dumps(wanted))


Case = Callable[[Any, "dict[str, str]"], Any]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


# -- redirects


def _add_redirects() -> None:
    for status in (301, 302, 303, 307, 308, 300, 304, 305):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"):

            def follow(module: Any, urls: dict[str, str], status: int = status, method: str = method) -> Any:
                target = f"{urls['https']}/to/{status}?{urls['https']}/anything"
                data = None if method in ("GET", "HEAD") else {"a": "b"}
                return told(module.request(method, target, data=data))

            CASES[f"{method} behind {status}"] = follow


_add_redirects()


@case
def a_relative_location(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/to/302?../get?a=1"))


@case
def a_location_without_a_scheme(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/to/302?{urls['other'].partition(':')[2]}/get"))


@case
def a_location_with_spaces_and_umlauts(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect-to", params={"url": "/anything/ä b%20c?q=ü x"}))


@case
def a_location_in_utf8(module: Any, urls: dict[str, str]) -> Any:
    location = f"{urls['https']}/anything/caf\xe9?\u20ac=\u20ac#\u20ac".encode().decode("latin-1")
    return told(answered(module, urls["https"], "302 Found", [("Location", location)]))


@case
def an_empty_location(module: Any, urls: dict[str, str]) -> Any:
    return [
        told(answered(module, urls["https"], "302 Found", [("Location", location)], b"content"))
        for location in ("", " ")
    ]


@case
def the_last_request_of_too_many(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session, pytest.raises(module.exceptions.TooManyRedirects) as raised:
        session.max_redirects = 2
        session.post(f"{urls['https']}/to/302?/redirect/5", data=b"x")
    return raised.value.request.method, raised.value.request.url, raised.value.response.url


@case
def fragments_are_inherited(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect/2#fragment"))


@case
def a_fragment_of_the_location_wins(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect-to?url=/get%23new#old"))


@case
def no_redirects(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect/3", allow_redirects=False))


@case
def next_is_prepared(module: Any, urls: dict[str, str]) -> Any:
    response = module.post(f"{urls['https']}/to/303?/get", data={"a": "b"}, allow_redirects=False)
    return told(response), dict(response.next.headers).get("Content-Length"), response.next.body


@case
def too_many_redirects(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.TooManyRedirects) as raised:
        module.get(f"{urls['https']}/redirect/40")
    return str(raised.value), raised.value.response.status_code


@case
def few_redirects_allowed(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.max_redirects = 2
        with pytest.raises(module.exceptions.TooManyRedirects) as raised:
            session.get(f"{urls['https']}/redirect/3")
        return str(raised.value), told(session.get(f"{urls['https']}/redirect/2"))


@case
def authorization_stays_at_the_origin(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect-to?url={urls['https']}/headers", auth=("user", "word")))


@case
def authorization_does_not_go_elsewhere(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect-to?url={urls['other']}/headers", auth=("user", "word")))


@case
def authorization_does_not_go_to_another_scheme(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/redirect-to?url={urls['http']}/headers", auth=("user", "word")))


@case
def a_header_of_authorization_does_not_go_elsewhere(module: Any, urls: dict[str, str]) -> Any:
    headers = {"Authorization": "Bearer token"}
    return told(module.get(f"{urls['https']}/redirect-to?url={urls['other']}/headers", headers=headers))


@case
def a_file_is_sent_again(module: Any, urls: dict[str, str]) -> Any:
    return told(module.post(f"{urls['https']}/to/307?/anything", data=io.BytesIO(b"content")))


@case
def a_file_from_its_middle_is_sent_again(module: Any, urls: dict[str, str]) -> Any:
    file = io.BytesIO(b"skipped content")
    file.seek(8)
    return told(module.post(f"{urls['https']}/to/308?/anything", data=file))


@case
def a_location_that_is_none(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.RequestException) as raised:
        module.get(f"{urls['https']}/to/302?http://")
    return type(raised.value).__name__


@case
def a_location_with_another_scheme(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.InvalidSchema) as raised:
        module.get(f"{urls['https']}/to/302?mailto:someone@example.org")
    return type(raised.value).__name__


# -- cookies


@case
def cookies_of_a_response(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/cookies/set?a=1&b=2", allow_redirects=False))


@case
def cookies_set_on_the_way_are_sent(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/cookies/set?a=1&b=2", cookies={"own": "x"}))


@case
def a_session_keeps_cookies(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.get(f"{urls['https']}/cookies/set/first/1")
        session.get(f"{urls['https']}/cookies/set/second/2")
        both = told(session.get(f"{urls['https']}/cookies"))
        session.get(f"{urls['https']}/cookies/delete?first")
        return both, told(session.get(f"{urls['https']}/cookies")), sorted(session.cookies.items())


@case
def cookies_that_change_on_the_way(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.get(f"{urls['https']}/cookies/set?a=1&b=1&c=1")
        changed = told(session.get(f"{urls['https']}/cookies/set?a=2", cookies={"own": "x"}))
        return changed, told(session.get(f"{urls['https']}/cookies/delete?b")), sorted(session.cookies.items())


@case
def a_requests_cookies_are_not_kept(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.cookies.set("kept", "1")
        first = told(session.get(f"{urls['https']}/cookies", cookies={"once": "2"}))
        return first, told(session.get(f"{urls['https']}/cookies"))


@case
def cookies_go_to_their_host_only(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.get(f"{urls['https']}/cookies/set/here/1")
        return told(session.get(f"{urls['other']}/cookies"))


@case
def a_header_of_cookies(module: Any, urls: dict[str, str]) -> Any:
    return told(module.get(f"{urls['https']}/cookies", headers={"Cookie": "by=hand"}))


@case
def several_cookie_fields(module: Any, urls: dict[str, str]) -> Any:
    fields = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; Path=/; Secure"), ("Set-Cookie", 'c="x y"')]
    return told(answered(module, urls["https"], "200 OK", fields))


# -- authentication


@case
def basic(module: Any, urls: dict[str, str]) -> Any:
    right = module.get(f"{urls['https']}/basic-auth/user/word", auth=("user", "word"))
    return told(right), told(module.get(f"{urls['https']}/basic-auth/user/word", auth=("user", "wrong")))


@case
def basic_in_the_url(module: Any, urls: dict[str, str]) -> Any:
    scheme, _, authority = urls["https"].partition("://")
    return told(module.get(f"{scheme}://user:w%20rd@{authority}/basic-auth/user/w rd"))


@case
def basic_in_latin_1(module: Any, urls: dict[str, str]) -> Any:
    return module.get(f"{urls['https']}/headers", auth=("jürgen", "paß")).json()["headers"]["Authorization"]


@case
def digest(module: Any, urls: dict[str, str]) -> Any:
    auth = module.auth.HTTPDigestAuth("user", "word")
    response = module.get(f"{urls['https']}/digest-auth/auth/user/word", auth=auth)
    return response.status_code, response.json(), [past.status_code for past in response.history]


@case
def digest_with_a_wrong_password(module: Any, urls: dict[str, str]) -> Any:
    auth = module.auth.HTTPDigestAuth("user", "wrong")
    return module.get(f"{urls['https']}/digest-auth/auth/user/word", auth=auth).status_code


@case
def a_callable(module: Any, urls: dict[str, str]) -> Any:
    def sign(request: Any) -> Any:
        request.headers["X-Signed"] = request.method
        return request

    return told(module.get(f"{urls['https']}/headers", auth=sign))


@case
def a_sessions_auth(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.auth = ("user", "word")
        return told(session.get(f"{urls['https']}/basic-auth/user/word"))


# -- codings and encodings


def _add_codings() -> None:
    for path in ("gzip", "deflate", "brotli", "encoding/utf8", "html", "xml", "robots.txt", "image/png", "deny"):

        def read(module: Any, urls: dict[str, str], path: str = path) -> Any:
            response = module.get(f"{urls['https']}/{path}")
            if response.headers.get("content-type") == "application/json":
                return sorted(response.json()), response.encoding
            return told(response), response.text, response.apparent_encoding if "html" in path else ""

        CASES[f"coding of {path}"] = read
    types = {
        "text/html": "iso",
        "text/plain; charset=utf-8": "utf8",
        "text/plain; charset=nonsense": "nonsense",
        "text/plain; charset='UTF-8'": "quoted",
        "application/json": "json",
        "application/octet-stream": "octets",
        "image/png": "png",
    }
    for content_type, name in types.items():

        def typed(module: Any, urls: dict[str, str], content_type: str = content_type) -> Any:
            response = answered(module, urls["https"], "200 OK", [("Content-Type", content_type)], "grün".encode())
            return response.encoding, response.text

        CASES[f"encoding of {name}"] = typed


_add_codings()


@case
def a_coding_that_is_broken(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.ContentDecodingError) as raised:
        answered(module, urls["https"], "200 OK", [("Content-Encoding", "gzip")], b"no gzip")
    return type(raised.value).__name__


@case
def chunks_and_lines(module: Any, urls: dict[str, str]) -> Any:
    fields = [("Content-Type", "text/plain; charset=utf-8")]
    body = "eins\nzwei grün\r\n\ndrei".encode()
    response = answered(module, urls["https"], "200 OK", fields, body)
    return (
        list(response.iter_lines()),
        list(response.iter_lines(decode_unicode=True)),
        list(response.iter_lines(delimiter=b"\n")),
        list(response.iter_content(7)),
        b"".join(response.iter_content(decode_unicode=False)),
    )


@case
def a_stream_is_read_once(module: Any, urls: dict[str, str]) -> Any:
    with module.get(f"{urls['https']}/bytes/1000?seed=1", stream=True) as response:
        first = b"".join(response.iter_content(100))
        with pytest.raises(RuntimeError):
            response.content  # noqa: B018
        with pytest.raises(module.exceptions.StreamConsumedError):
            list(response.iter_content(10))
    return first


@case
def chunk_sizes_that_are_none(module: Any, urls: dict[str, str]) -> Any:
    response = module.get(f"{urls['https']}/bytes/10?seed=1")
    with pytest.raises(TypeError):
        list(response.iter_content("1024"))
    return b"".join(response.iter_content(None))


# -- bodies


def _add_bodies() -> None:
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "form": lambda: {"data": {"a": "1", "b": ["2", "3"], "ü": "ß &", "none": None}},
        "pairs": lambda: {"data": [("a", "1"), ("a", "2")]},
        "str": lambda: {"data": "grün"},
        "bytes": lambda: {"data": b"\x00\xff"},
        "json": lambda: {"json": {"a": [1, 2.5, None, "ü"]}},
        "json of nothing": lambda: {"json": {}},
        "json false": lambda: {"json": False},
        "data before json": lambda: {"data": {"a": "1"}, "json": {"b": 2}},
        "empty form": lambda: {"data": {}},
        "file": lambda: {"data": io.BytesIO(b"file's content")},
        "text file": lambda: {"data": io.StringIO("text")},
        "generator": lambda: {"data": (chunk for chunk in (b"a", b"", b"bc"))},
        "files": lambda: {"files": {"f": ("name.txt", b"content", "text/plain", {"X-Own": "1"})}},
        "files and form": lambda: {"files": [("f", b"1"), ("f", b"2")], "data": {"a": ["x", "y"]}},
        "odd names": lambda: {"files": {'fö"o': ('nä"me.txt', b"content")}},
        "own type": lambda: {"data": {"a": "1"}, "headers": {"Content-Type": "text/own"}},
        "a header taken away": lambda: {"headers": {"Accept": None, "X-Own": "1"}},
    }
    for name, arguments in bodies.items():

        def post(module: Any, urls: dict[str, str], arguments: Any = arguments) -> Any:
            return told(module.post(f"{urls['https']}/anything", **arguments()))

        CASES[f"body: {name}"] = post


_add_bodies()


def _add_parameters() -> None:
    given: tuple[Any, ...] = (
        {"a": "1", "b": ["x", "y"], "none": None},
        [("a", "1"), ("a", "2")],
        "raw=string&a=1",
        b"bytes=1",
        {"ü": "ß ?&="},
        {},
        {"a": 1},
    )
    for number, parameters in enumerate(given):
        for path in ("/anything", "/anything?there=1", "/anything/ü b/%7E%2F#part"):

            def get(module: Any, urls: dict[str, str], parameters: Any = parameters, path: str = path) -> Any:
                return told(module.get(f"{urls['https']}{path}", params=parameters))

            CASES[f"parameters {number} of {path}"] = get


_add_parameters()


# -- errors


def _add_errors() -> None:
    for url in (
        "",
        "localhost/get",
        "http://",
        "ftp://localhost/",
        "http://a b/",
        "http://*example.org/",
        "http://.x/",
    ):

        def fail(module: Any, urls: dict[str, str], url: str = url) -> Any:
            with pytest.raises(module.exceptions.RequestException) as raised:
                module.get(url)
            return type(raised.value).__name__, isinstance(raised.value, ValueError)

        CASES[f"error of {url!r}"] = fail
    for status in (400, 404, 418, 500, 503, 599, 200, 302):

        def raise_for(module: Any, urls: dict[str, str], status: int = status) -> Any:
            response = answered(module, urls["https"], f"{status} Whatever", [])
            try:
                response.raise_for_status()
            except module.exceptions.HTTPError as error:
                assert error.response is response
                assert error.request is response.request
                return bool(response), re.sub(r": .* for url", " for url", str(error))
            return bool(response)

        CASES[f"raise_for_status of {status}"] = raise_for
    for name, value in (("X-A", "line\nfeed"), ("X-A", " leading"), ("X A:", "name"), ("X-A", 1), ("X-A", "return\r")):

        def header(module: Any, urls: dict[str, str], name: str = name, value: Any = value) -> Any:
            with pytest.raises(module.exceptions.InvalidHeader) as raised:
                module.get(f"{urls['https']}/get", headers={name: value})
            return type(raised.value).__name__

        CASES[f"header {name!r}: {value!r}"] = header


_add_errors()


@case
def nobody_listens(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.ConnectionError) as raised:
        module.get("https://localhost:1/")
    return raised.value.request.url, raised.value.response


@case
def a_certificate_that_nobody_trusts(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.SSLError) as raised, module.Session() as session:
        session.trust_env = False
        session.get(f"{urls['https']}/get")
    return isinstance(raised.value, module.exceptions.ConnectionError)


@case
def a_certificate_that_nobody_checks(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.verify = False
        session.trust_env = False
        return told(session.get(f"{urls['https']}/get"))


@case
def authorities_that_are_not_there(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(OSError, match=r"(?i)invalid path|no such"):
        module.get(f"{urls['https']}/get", verify="/nowhere/authorities.pem")
    return "OSError"


@case
def an_answer_that_takes_too_long(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.ReadTimeout) as raised:
        module.get(f"{urls['https']}/delay/1", timeout=(5, 0.1))
    return raised.value.request.method


@case
def timeouts_that_are_none(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(ValueError, match=r"(?i)timeout"):
        module.get(f"{urls['https']}/get", timeout=(3, 4, 5, 6))
    return "ValueError"


@case
def what_is_no_json(module: Any, urls: dict[str, str]) -> Any:
    response = module.get(f"{urls['https']}/html")
    with pytest.raises(module.exceptions.JSONDecodeError) as raised:
        response.json()
    return isinstance(raised.value, ValueError), str(raised.value)


@case
def what_can_not_be_json(module: Any, urls: dict[str, str]) -> Any:
    with pytest.raises(module.exceptions.InvalidJSONError) as raised:
        module.post(f"{urls['https']}/post", json={"a": float("nan")})
    return isinstance(raised.value, ValueError)


# -- sessions


@case
def a_sessions_headers_and_parameters(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        session.headers.update({"X-A": "1", "X-B": "2"})
        session.params = {"p": "1", "q": "2"}
        return told(session.get(f"{urls['https']}/anything", headers={"x-b": None, "X-C": "3"}, params={"q": None}))


@case
def hooks(module: Any, urls: dict[str, str]) -> Any:
    seen = []

    def note(response: Any, **options: Any) -> None:
        seen.append((response.status_code, sorted(options)))

    response = module.get(f"{urls['https']}/redirect/1", hooks={"response": note})
    return told(response), seen


@case
def a_hook_that_replaces(module: Any, urls: dict[str, str]) -> Any:
    def replace(response: Any, **options: Any) -> Any:
        response.replaced = True
        return response

    return module.get(f"{urls['https']}/get", hooks={"response": [replace]}).replaced


@case
def a_prepared_request(module: Any, urls: dict[str, str]) -> Any:
    with module.Session() as session:
        prepared = session.prepare_request(module.Request("post", f"{urls['https']}/anything", data={"a": "1"}))
        prepared.headers["X-Late"] = "1"
        session.verify = os.environ["REQUESTS_CA_BUNDLE"]  # of which requests' `send` knows nothing
        return prepared.method, prepared.body, prepared.path_url, told(session.send(prepared))


@case
def a_request_of_no_session(module: Any, urls: dict[str, str]) -> Any:
    prepared = module.Request("GET", f"{urls['https']}/get?a=1", headers={"X-A": "1"}).prepare()
    with module.Session() as session:
        session.verify = os.environ["REQUESTS_CA_BUNDLE"]
        return told(session.send(prepared))


@case
def head(module: Any, urls: dict[str, str]) -> Any:
    response = module.head(f"{urls['https']}/redirect/1")
    return told(response), response.headers["content-length"]


@case
def plain_http(module: Any, urls: dict[str, str]) -> Any:
    return told(module.post(f"{urls['http']}/anything", data={"a": "1"}))


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_same_over_http2(urls: dict[str, str], name: str) -> None:
    expected = CASES[name](requests, urls)
    assert CASES[name](sync_h2, urls) == expected


_OF_TLS = ("certificate", "authorities", "scheme")


@pytest.mark.parametrize("name", sorted(name for name in CASES if not any(word in name for word in _OF_TLS)))
def test_the_same_over_http1(urls: dict[str, str], name: str) -> None:
    plain = {"https": urls["http"], "other": urls["http"].replace("localhost", "127.0.0.1"), "http": urls["http"]}
    expected = CASES[name](requests, plain)
    assert CASES[name](sync_h2, plain) == expected


def test_a_generator_is_not_sent_again(urls: dict[str, str]) -> None:
    """Where requests sends what is left of it, which is nothing."""
    with pytest.raises(sync_h2.exceptions.UnrewindableBodyError):
        sync_h2.post(f"{urls['https']}/to/307?/anything", data=(chunk for chunk in (b"con", b"tent")))
