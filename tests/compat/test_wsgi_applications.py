"""Applications of Flask, Django and Bottle, and some that `wsgiref.validate` watches, answer over HTTP/2 and HTTP/1.1
as they do over `wsgiref.simple_server`: with the same status, headers and body, request after request.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import ssl
import threading
import urllib.parse
import wsgiref.simple_server
import wsgiref.validate
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import sync_h2
from compat.applications import flaskr, gallery, plain
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.tls.certificates import Certificate

__all__ = ["keep_lock_rules", "lock_rules"]

Fields = list[tuple[str, str]]


class Request(NamedTuple):
    method: str
    path: str
    form: dict[str, str] | None = None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Answer(NamedTuple):
    status: int
    headers: Fields
    body: bytes


Exchange = Callable[[Request, Fields], Answer]
"""Makes a request with these headers besides its own."""


# -- the servers and their clients

_HOST = "example.org"

# About the connection, or about who serves.
_NOT_COMPARED = {"date", "server", "connection", "transfer-encoding", "keep-alive"}


def _answer(status: int, headers: Fields, body: bytes) -> Answer:
    kept = [
        (name.lower(), value.replace("https:", "http:")) for name, value in headers if name.lower() not in _NOT_COMPARED
    ]
    body = body.replace(b"https:", b"http:")
    if not body:  # wsgiref says so of a 304, and not of every empty body
        kept = [field for field in kept if field != ("content-length", "0")]
    return Answer(status, sorted(kept), body)


def _ask(connection: http.client.HTTPConnection, request: Request, headers: Fields) -> Answer:
    connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("host", _HOST)
    for name, value in headers:
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders(request.body or None)
    response = connection.getresponse()
    return _answer(response.status, response.getheaders(), response.read())


@contextlib.contextmanager
def _over_http1(connection: http.client.HTTPConnection) -> Iterator[Exchange]:
    """One connection, which is opened anew when the server has closed it."""

    def exchange(request: Request, headers: Fields) -> Answer:
        return _ask(connection, request, headers)

    with contextlib.closing(connection):
        yield exchange


@contextlib.contextmanager
def _over_http2(url: str, **options: Any) -> Iterator[Exchange]:
    with sync_h2.connect(url, **options) as session:

        def exchange(request: Request, headers: Fields) -> Answer:
            pseudo = [(":method", request.method), (":path", request.path), (":authority", _HOST)]
            with session.request([*pseudo, *headers], end_stream=not request.body) as stream:
                if request.body:
                    try:
                        stream.end(request.body)
                    except sync_h2.StreamReset as error:  # answered before all of it had come
                        assert error.code == sync_h2.ErrorCode.NO_ERROR
                response = stream.wait_response(timeout=10)
                fields = [(name, value) for name, value in response.pairs() if name != ":status"]
                return _answer(int(response[":status"]), fields, stream.read(timeout=10))

        yield exchange


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def wsgiref_server(app: Any, scheme: str = "http") -> Iterator[Exchange]:
    """The yardstick, which has no TLS: `scheme` is what it tells the application."""

    def with_scheme(environ: Any, start_response: Any) -> Any:
        return app({**environ, "wsgi.url_scheme": scheme}, start_response)

    with wsgiref.simple_server.make_server("127.0.0.1", 0, with_scheme, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            port = server.server_port
            with _over_http1(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as exchange:
                yield exchange
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _plain_server(app: Any) -> Iterator[sync_h2.ThreadingServer]:
    with sync_h2.create_server(sync_h2.compat.wsgi(app), allow_http1=True) as server:
        yield server


@contextlib.contextmanager
def _secure_server(app: Any, certificate: Certificate) -> Iterator[sync_h2.ThreadingServer]:
    handler = sync_h2.compat.wsgi(app)
    files = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    with sync_h2.create_secure_server(handler, allow_http1=True, **files) as server:
        yield server


@contextlib.contextmanager
def http2(app: Any, certificate: Certificate) -> Iterator[Exchange]:
    with _plain_server(app) as server, _over_http2(server.url) as exchange:
        yield exchange


@contextlib.contextmanager
def http2_over_tls(app: Any, certificate: Certificate) -> Iterator[Exchange]:
    with (
        _secure_server(app, certificate) as server,
        _over_http2(server.url, cafile=certificate.cafile) as exchange,
    ):
        yield exchange


@contextlib.contextmanager
def http1(app: Any, certificate: Certificate) -> Iterator[Exchange]:
    with (
        _plain_server(app) as server,
        _over_http1(http.client.HTTPConnection(*server.address, timeout=10)) as exchange,
    ):
        yield exchange


@contextlib.contextmanager
def http1_over_tls(app: Any, certificate: Certificate) -> Iterator[Exchange]:
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    with (
        _secure_server(app, certificate) as server,
        _over_http1(http.client.HTTPSConnection(*server.address, timeout=10, context=context)) as exchange,
    ):
        yield exchange


Serve = Callable[[Any, Certificate], contextlib.AbstractContextManager[Exchange]]
OURS = (http2, http2_over_tls, http1, http1_over_tls)
every_way = pytest.mark.parametrize("serve", OURS, ids=lambda serve: serve.__name__)


# -- conversations

# What is new in each conversation.
_TOKEN = re.compile(rb'(?<=name="csrfmiddlewaretoken" value=")\w+')
_OF_COOKIE = re.compile(r"(?<==)[^;]+|(?<=expires=)[^;]+", re.IGNORECASE)


def converse(exchange: Exchange, requests: list[Request]) -> list[Answer]:
    """The answers to `requests`, made one after the other as a browser does: with the cookies that were set, and with
    the token of the last form that had one.
    """
    cookies: SimpleCookie = SimpleCookie()
    token = b""
    answers = []
    for request in requests:
        headers: Fields = [*request.headers]
        if request.form is not None:
            form = {"csrfmiddlewaretoken": token.decode()} if token else {}
            request = request._replace(body=urllib.parse.urlencode({**form, **request.form}).encode())
            headers.append(("content-type", "application/x-www-form-urlencoded"))
            headers.append(("referer", f"https://{_HOST}/"))  # Django wants to see it over TLS
        if request.body:
            headers.append(("content-length", str(len(request.body))))
        if cookies:
            headers.append(("cookie", "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())))
        answer = exchange(request, headers)
        for name, value in answer.headers:
            if name == "set-cookie":
                cookies.load(value)
        for found in _TOKEN.findall(answer.body):
            token = found
        masked = [
            (name, _OF_COOKIE.sub("*", value) if name == "set-cookie" else value) for name, value in answer.headers
        ]
        answers.append(Answer(answer.status, masked, _TOKEN.sub(b"*", answer.body)))
    return answers


def compare(app: Any, serve: Serve, certificate: Certificate, requests: list[Request]) -> list[Answer]:
    """Have the same conversation with both servers; `app()` makes the application anew."""
    with wsgiref_server(app(), "https" if serve in (http2_over_tls, http1_over_tls) else "http") as exchange:
        expected = converse(exchange, requests)
    with serve(app(), certificate) as exchange:
        found = converse(exchange, requests)
    for request, ours, theirs in zip(requests, found, expected, strict=True):
        assert ours[:2] == theirs[:2], request[:2]
        assert len(ours.body) == len(theirs.body), request[:2]
        same = ours.body == theirs.body  # an assertion of its own would look for the differences for minutes
        assert same, (request[:2], ours.body[:3000], theirs.body[:3000])
    return found


@every_way
def test_the_blog_of_flasks_tutorial(serve: Serve, certificate: Certificate, tmp_path: Path) -> None:
    user = {"username": "ann", "password": "secret"}
    requests = [
        Request("GET", "/hello"),
        Request("GET", "/"),
        Request("HEAD", "/"),
        Request("OPTIONS", "/"),
        Request("GET", "/create"),
        Request("GET", "/auth/register"),
        Request("POST", "/auth/register", {"username": "", "password": ""}),
        Request("POST", "/auth/register", user),
        Request("POST", "/auth/register", user),
        Request("POST", "/auth/login", {**user, "password": "wrong"}),
        Request("GET", "/auth/login"),
        Request("POST", "/auth/login", user),
        Request("GET", "/create"),
        Request("POST", "/create", {"title": "First", "body": "à propos\n" * 5_000}),
        Request("POST", "/create", {"title": "<Second>", "body": "2"}),
        Request("GET", "/"),
        Request("GET", "/1/update"),
        Request("POST", "/1/update", {"title": "Changed", "body": "shorter"}),
        Request("POST", "/2/delete", {}),
        Request("GET", "/2/update"),
        Request("GET", "/1/delete"),
        Request("GET", "/"),
        Request("GET", "/auth/logout"),
        Request("GET", "/nowhere?a=1"),
        Request("POST", "/auth/login", {"username": "ann"}),
    ]
    answers = compare(lambda: flaskr.create_app(tmp_path / "flaskr.sqlite3"), serve, certificate, requests)
    statuses = [answer.status for answer in answers]
    assert statuses == [
        *(200, 200, 200, 200, 302, 200, 200, 302, 200, 200, 200, 302, 200),
        *(302, 302, 200, 200, 302, 302, 404, 405, 200, 302, 404, 400),
    ]
    assert b"<h1>Changed</h1>" in answers[21].body


@every_way
def test_the_polls_of_djangos_tutorial(serve: Serve, certificate: Certificate, tmp_path: Path) -> None:
    from compat.applications import polls  # importing it configures Django

    requests = [
        Request("GET", "/polls/"),
        Request("HEAD", "/polls/"),
        Request("GET", "/polls"),
        Request("GET", "/polls/1/"),
        Request("GET", "/polls/2/"),
        Request("POST", "/polls/1/vote/", {}),
        Request("POST", "/polls/1/vote/", {"choice": "2"}),
        Request("GET", "/polls/1/results/"),
        Request("POST", "/polls/1/vote/", {"choice": "9"}),
        Request("POST", "/polls/1/vote/", {"csrfmiddlewaretoken": "forged", "choice": "2"}),
        Request("GET", "/draft/"),
        Request("GET", "/export/"),
        Request("GET", "/source/"),
        Request("HEAD", "/source/"),
    ]
    databases = iter(range(2))
    answers = compare(
        lambda: polls.create_app(tmp_path / f"polls-{next(databases)}.sqlite3"), serve, certificate, requests
    )
    assert [answer.status for answer in answers] == [
        200,
        200,
        301,
        200,
        404,
        200,
        302,
        200,
        200,
        403,
        404,
        200,
        200,
        200,
    ]
    assert b"The sky -- 1 vote<" in answers[7].body
    assert answers[11].body == b"Not much,0\nThe sky,1\nJust hacking again,0\n"
    assert answers[12].body == Path(polls.__file__).read_bytes()


@every_way
def test_a_site_with_bottle(serve: Serve, certificate: Certificate, tmp_path: Path) -> None:
    boundary = "----boundary"
    picture = bytes(range(256)) * 2_000
    upload = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="picture"; filename="a.bin"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        + picture
        + f"\r\n--{boundary}--\r\n".encode()
    )
    multipart = ("content-type", f"multipart/form-data; boundary={boundary}")
    requests = [
        Request("GET", "/hello/w%C3%B6rld"),
        Request("GET", "/json?a=1&b=%20x"),
        Request("POST", "/form", {"name": "Jürgen", "empty": ""}),
        Request("POST", "/upload", body=upload, headers=(multipart,)),
        Request("PUT", "/body", body=picture),
        Request("GET", "/cookies"),
        Request("GET", "/cookies"),
        Request("GET", "/picture"),
        Request("HEAD", "/picture"),
        Request("GET", "/picture", headers=(("range", "bytes=100-199"),)),
        Request("GET", "/picture", headers=(("if-modified-since", "Fri, 31 Dec 2100 00:00:00 GMT"),)),
        Request("GET", "/download"),
        Request("GET", "/away"),
        Request("GET", "/teapot"),
        Request("GET", "/nothing"),
        Request("GET", "/stream"),
        Request("GET", "/missing"),
        *(Request(method, "/any") for method in ("GET", "POST", "DELETE", "PATCH", "PUT")),
    ]
    answers = compare(lambda: gallery.create_app(tmp_path), serve, certificate, requests)
    assert [answer.status for answer in answers] == [
        *(200, 200, 200, 200, 200, 200, 200, 200, 200, 206, 304, 200, 303, 418, 204, 200, 404),
        *(200, 200, 200, 200, 405),
    ]
    assert answers[3].body.decode() == f"a.bin {hashlib.sha256(picture).hexdigest()}"
    assert answers[9].body == bytes(range(100, 200))


VALIDATED = (
    plain.one_piece,
    plain.several_pieces,
    plain.generated,
    plain.nothing,
    plain.no_content,
    plain.not_modified,
    plain.written,
    plain.replaced,
)


@every_way
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("application", VALIDATED, ids=lambda application: application.__name__)
def test_applications_that_the_validator_watches(
    application: Any, method: str, serve: Serve, certificate: Certificate
) -> None:
    """The validator looks at what both sides do: the application, and the server."""
    requests = [Request(method, "/a/b;c?d=e", body=b"unread" if method == "POST" else b"")]
    compare(lambda: wsgiref.validate.validator(application), serve, certificate, requests)


@every_way
def test_the_environ(serve: Serve, certificate: Certificate) -> None:
    text = ("content-type", "text/plain")  # wsgiref says so of what has no body, too
    requests = [
        Request(
            "GET",
            "/a%20b/%C3%A9%2F?q=%20a+b&c",
            headers=(
                ("accept", "*/*"),
                ("cookie", "a=1; b=2"),
                ("x-twice", "1"),
                ("x-twice", "2"),
                ("x-latin", "é"),
                text,
            ),
        ),
        Request("POST", "/", body=b"0123456789", headers=(("content-type", "text/x"),)),
        Request("OPTIONS", "/a//", headers=(text,)),
    ]
    answers = compare(lambda: plain.environment, serve, certificate, requests)
    assert "PATH_INFO: '/a b/Ã©/'" in answers[0].body.decode("latin-1")


@every_way
@pytest.mark.parametrize("body", [b"", b"one line", b"two\nlines\n" * 10_000, bytes(300_000)])
def test_bodies_read_in_every_way(body: bytes, serve: Serve, certificate: Certificate) -> None:
    app = wsgiref.validate.validator(plain.echo)
    (answer,) = compare(lambda: app, serve, certificate, [Request("POST", "/", body=body)])
    assert answer.body == body


@every_way
def test_a_file_from_where_it_stands(serve: Serve, certificate: Certificate) -> None:
    requests = [Request("GET", "/")]
    with wsgiref_server(plain.with_file) as exchange:
        (expected,) = converse(exchange, requests)
    with serve(plain.with_file, certificate) as exchange:
        (found,) = converse(exchange, requests)
    assert found.body == expected.body == Path(plain.__file__).read_bytes()[10:]
    assert dict(found.headers)["content-length"] == str(len(found.body))
