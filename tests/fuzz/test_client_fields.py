"""Odd fields of responses, and odd URLs: whatever they say, calls raise what is in `sync_h2.exceptions`."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from sync_h2 import Client
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.cli.exit_status import CommandError
from sync_h2.cli.get.targets import parse_target
from sync_h2.client.options.auth import HTTPDigestAuth
from sync_h2.client.pool.alt_svc import parse_alternatives
from sync_h2.client.pool.retries import retry_after
from sync_h2.client.values.origin import Origin
from sync_h2.exceptions import RequestException
from sync_h2.transport.host_names import encode_host

COUNT = 300
Numbers = Callable[[int], Iterator[int]]

FIELDS = {
    "location": ["http://[", "//[::1", "http://127.0.0.1:99999/", "/caf\xc3\xa9", "", "mailto:a@b", "http://u:p@h:1/"],
    "www-authenticate": ["Digest foo", 'Digest realm="r", nonce="n", qop="auth"', "Basic realm=r, Digest nonce=,a"],
    "set-cookie": ["a=b; Expires=Wed, 99 Foo 9999 99:99:99 GMT", "a=b; Max-Age=9e9; Domain=..; Path=\x7f", "=;=;="],
    "content-type": [
        "text/html; charset=idna",
        "text/x; charset=\x00",
        "application/json; charset=utf-7",
        ";;charset=",
    ],
    "content-encoding": ["gzip", "deflate, gzip", "br", "zstd", "x-gzip,,identity", "\xb2"],
    "content-length": ["-1", "+1", "1e3", "0x10", "9" * 5000, "\xb2", "4, 4", " 4"],
    "transfer-encoding": ["chunked", "gzip, chunked", "Chunked", "chunked, chunked", "identity"],
    "link": ["<", "<a>; rel=next, <b", '<>; rel="', "; ; ;"],
    "alt-svc": ['h2=":99999"', 'h2="[::1:443"; ma=-1', 'h2="a b:1"', "clear, clear", "h2"],
    "retry-after": ["Wed, 21 Oct 2015 07:28:00 +9999", "1e9", "-1", "Wed, 99 Oct 99999 07:28:00 -2500", "\xb2"],
    "connection": ["close", "keep-alive, x", "upgrade"],
    "trailer": ["x"],
    "x": ["y", ""],
}
BODIES = [
    b"",
    b"{}",
    b"[" * 3000,
    b"1" * 5000,
    b"\xff\xfe\x00",
    b"4\r\nabcd\r\n0\r\n\r\n",
    b"f" * 17 + b"\r\nabc",
    b"-1\r\n",
]
STATUS_LINES = [b"HTTP/1.1 200 OK", b"HTTP/1.1 302", b"HTTP/1.1 401 \xff", b"HTTP/1.0 503 x", b"HTTP/1.1 407 x"]
URLS = [
    "http://[", "http://[::1]:1/", "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://127.0.0.1:1/%zz%41?#",
    "http://user:pass@127.0.0.1:1/", "http://stra\xdfe.de/", "http://\u2603.net/", "http://xn--a/", "http://a..b/",
    "http:///x", "http:x", "//x/y", "x", "mailto:a@b", "httpx://a", "http://a\\b/", "http://a\tb/", "http://h/\ud800",
    "https://*.a/", "https://" + "a" * 64 + "/", "http://1\uff12\uff17.0.0.1:1/", "http://a\u2488com/", "unix:/a",
]  # fmt: skip
ODD = [
    "\x00",
    "\t",
    " ",
    "\r\n",
    "\n ",
    '"',
    "\\",
    ",",
    ";",
    "=",
    "[",
    "]",
    "%",
    "@",
    ":",
    "/",
    "#",
    "?",
    "\x7f",
    "\x85",
]
ODD += ["\xa0", "\xb2", "\xff", "xn--", "9" * 25, "=" * 20, "utf-16", "\u2028", "\u212a", "\ud800", "\U0001f600"]


def odd(text: str, chance: random.Random, most: str = "\U0010ffff") -> str:
    """`text` with something cut out, repeated or put in."""
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 3)))
        piece = chance.choice([*ODD, text[start:end] * 3, chr(chance.randrange(0x180))])
        text = text[:start] + "".join(letter for letter in piece if letter <= most) + text[end:]
    return text


def odd_fields(chance: random.Random) -> list[tuple[str, str]]:
    names = [chance.choice(list(FIELDS)) for _ in range(chance.choice((1, 1, 2, 3)))]
    return [(name, odd(chance.choice(FIELDS[name]), chance, "\xff")) for name in names]


@pytest.fixture(autouse=True)
def nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up, and the environment says nothing."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            host.encode("idna")  # as the real one does
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NETRC", "/dev/null")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Answers:
    """A server of HTTP/1.1 whose next answer is `answer`, and then nothing but refusals."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with sock:
                sock.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = sock.recv(65_536)
                    if not piece:
                        break
                    head += piece
                if head.startswith(b"BYE"):
                    return
                answer, self.answer = self.answer, b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                try:
                    sock.sendall(answer)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65_536):
                        pass
                except OSError:
                    pass  # the client has hung up

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(b"BYE\r\n\r\n")
        self._thread.join()
        self._listener.close()


def look_at(response: Any) -> None:
    """Everything that a response has to say."""
    for look in (
        lambda: response.text,
        lambda: response.json(),
        lambda: response.links,
        lambda: list(response.iter_lines(decode_unicode=True)),
        lambda: response.apparent_encoding,
        lambda: (response.cookies.items(), response.trailers, response.informational, response.next, response.ok),
        lambda: response.raise_for_status(),
    ):
        try:
            look()
        except RequestException as error:
            str(error)


def call(client: Client, url: str, chance: random.Random, label: object) -> None:
    options = {
        "allow_redirects": chance.random() < 0.8,
        "stream": chance.random() < 0.3,
        "auth": HTTPDigestAuth("user", "S3CRET") if chance.random() < 0.5 else None,
        "params": chance.choice((None, {"a": "b"})),
        "on_download": chance.choice((None, lambda *counts: None)),
    }
    try:
        with client.get(url, timeout=10, **options) as response:
            look_at(response)
    except RequestException as error:
        assert "S3CRET" not in str(error), label
    except Exception as error:
        raise AssertionError(f"{label}: {type(error).__name__} comes out of a call") from error


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    yield server
    server.close()


def odd_answer(chance: random.Random) -> bytes:
    lines = [f"{name}: {value}".encode("latin-1") for name, value in odd_fields(chance)]
    return b"\r\n".join([chance.choice(STATUS_LINES), *lines, b"", chance.choice(BODIES)])


def test_fields_over_http1(numbers: Numbers, answers: Answers) -> None:
    with Client(retries=0) as client:
        for number in numbers(COUNT):
            chance = random.Random(f"http1 {number}")
            answers.answer = odd_answer(chance)
            call(client, f"http://127.0.0.1:{answers.port}/", chance, (number, answers.answer[:300]))


def test_requests_gets_exceptions_of_its_own(numbers: Numbers, answers: Answers) -> None:
    with contextlib.closing(RequestsAdapter(retries=0)) as adapter:
        for number in numbers(COUNT):
            chance = random.Random(f"requests {number}")
            answers.answer = odd_answer(chance)
            request = requests.Request("GET", f"http://127.0.0.1:{answers.port}/").prepare()
            if chance.random() < 0.5:
                request.url = odd(chance.choice(URLS), chance)
            try:
                with adapter.send(request, timeout=10, stream=True) as response:
                    assert response.cookies is not None
                    assert response.content is not None
            except requests.RequestException as error:
                str(error)
            except Exception as error:
                raise AssertionError((number, request.url, answers.answer)) from error


def test_httpx_gets_exceptions_of_its_own(numbers: Numbers, answers: Answers) -> None:
    with HTTPXTransport(retries=0) as transport:
        for number in numbers(COUNT):
            chance = random.Random(f"httpx {number}")
            answers.answer = odd_answer(chance)
            try:
                url = chance.choice((f"http://127.0.0.1:{answers.port}/", odd(chance.choice(URLS), chance)))
                request = httpx.Request("GET", url, extensions={"timeout": {"read": 10}})
            except httpx.InvalidURL:
                continue
            except UnicodeError:  # of a lone surrogate, which httpx does not expect
                continue
            try:
                with contextlib.closing(transport.handle_request(request)) as response:
                    response.request = request
                    response.read()
            except (httpx.TransportError, httpx.DecodingError) as error:
                str(error)
            except Exception as error:
                raise AssertionError((number, url, answers.answer)) from error


def test_fields_over_http2(numbers: Numbers) -> None:
    told: list[Any] = [None]

    def handler(stream: Any, headers: Any) -> None:
        status, fields, body = told[0]
        told[0] = 404, [], b""
        try:
            stream.respond([(":status", status), *fields])
            stream.end(body)
        except sync_h2.InvalidArgument:  # which no peer would take
            stream.close(sync_h2.ErrorCode.CANCEL)
        except sync_h2.HTTP2Error:
            pass  # the client has seen enough

    with sync_h2.create_server(handler) as server, Client(h2c=True, retries=0) as client:
        for number in numbers(COUNT):
            chance = random.Random(f"http2 {number}")
            fields = [field for field in odd_fields(chance) if field[0] not in ("connection", "transfer-encoding")]
            told[0] = chance.choice(("200", "302", "401", "503")), fields, chance.choice(BODIES)
            call(client, server.url, chance, (number, told[0][:2]))


@pytest.mark.parametrize("h2c", [False, True])
def test_what_is_sent(h2c: bool, numbers: Numbers) -> None:
    def handler(request: Any, response: Any) -> None:
        response.end(request.read())

    names = ["Cookie", "Host", "Content-Length", "Transfer-Encoding", "TE", "Connection", "Range", "Upgrade", "X-K"]
    values = ["abc", "a=b; c=d", "5", "chunked", "close", "bytes=0-1", ""]
    with (
        sync_h2.create_server(on_request=handler, allow_http1=True) as server,
        Client(h2c=h2c, retries=0, trust_env=False, timeout=10) as client,
    ):
        for number in numbers(COUNT):
            chance = random.Random(f"sent {number}")

            def maybe_odd(text: str, chance: random.Random = chance) -> str:
                return odd(text, chance) if chance.random() < 0.3 else text

            method = maybe_odd("POST")
            options: Any = {
                "headers": {maybe_odd(chance.choice(names)): maybe_odd(chance.choice(values))},
                "cookies": {maybe_odd("a"): maybe_odd("b")} if chance.random() < 0.3 else None,
                "params": {maybe_odd("a"): maybe_odd("b")} if chance.random() < 0.3 else None,
                "data": chance.choice((None, b"", b"12345", {"a": maybe_odd("b")})),
            }
            try:
                client.request(method, server.url, **options)
            except RequestException as error:
                str(error)
            except Exception as error:
                raise AssertionError((number, options)) from error


def test_urls(numbers: Numbers) -> None:
    with Client(h2c=True, retries=0) as client, Client(base_url="http://127.0.0.1:1/") as based:
        for number in numbers(COUNT):
            chance = random.Random(f"url {number}")
            url = odd(chance.choice(URLS), chance)
            call(chance.choice((client, based)), url, chance, (number, url))
            with contextlib.suppress(sync_h2.HTTP2Error):
                sync_h2.connect(url, timeout=10).destroy()
            with contextlib.suppress(CommandError):
                parse_target(url.replace("\ud800", ""))  # no argument has it


def test_proxies(numbers: Numbers) -> None:
    with Client(h2c=True, retries=0, trust_env=False) as client:
        for number in numbers(COUNT):
            chance = random.Random(f"proxy {number}")
            client.proxies = {"all": odd(chance.choice(URLS), chance)}
            call(
                client, chance.choice(("http://127.0.0.1:1/", "https://127.0.0.1:1/")), chance, (number, client.proxies)
            )


def test_alternatives(numbers: Numbers) -> None:
    origin = Origin("https", "example.org", 443)
    for number in numbers(COUNT):
        chance = random.Random(f"alt-svc {number}")
        for place in parse_alternatives(odd(chance.choice(FIELDS["alt-svc"]), chance, "\xff"), origin):
            with contextlib.suppress(sync_h2.InvalidArgument):  # which leads to the origin's own place
                encode_host(place.host)
            assert 0 < place.port < 65_536, number


def test_when_to_try_again(numbers: Numbers) -> None:
    for number in numbers(COUNT):
        chance = random.Random(f"retry {number}")
        value = odd(chance.choice(FIELDS["retry-after"]), chance, "\xff")
        seconds = retry_after([("retry-after", value)])
        assert seconds is None or seconds >= 0, (number, value)
