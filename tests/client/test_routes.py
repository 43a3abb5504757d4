"""How a request gets to its origin: through proxies, to alternative services, on another origin's connection."""

from __future__ import annotations

import contextlib
import http.server
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests.utils
from hyperframe.frame import GoAwayFrame, SettingsFrame

import sync_h2
from client.test_pool import client_of, serving
from support.certificates import Certificate
from support.connect_proxy import connect_proxy
from support.scripted_server import playing
from support.threads import eventually
from sync_h2 import Client, Timeouts, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.client.opening.destination import Destination
from sync_h2.client.options.environment import bypasses_proxies, select_proxy
from sync_h2.client.pool.alt_svc import parse_alternatives
from sync_h2.client.pool.coalescing import covers, names_host
from sync_h2.client.values.origin import Origin
from sync_h2.deadline import Deadline
from sync_h2.testing import pair

ORIGIN = Origin("https", "example.org", 443)


# -- proxies


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_tunnel(certificate: Certificate) -> None:
    with serving(certificate) as server, connect_proxy() as (port, asked):
        proxies = {"https": f"http://us%20er:word@127.0.0.1:{port}"}
        with client_of(certificate, proxies=proxies) as client:
            assert [client.get(f"{server.url}/{number}").text for number in range(3)] == [
                f"GET /{n} 0" for n in range(3)
            ]
    authority = server.url.removeprefix("https://").encode()
    assert asked == [
        [b"CONNECT %s HTTP/1.1" % authority, b"Host: " + authority, b"Proxy-Authorization: Basic dXMgZXI6d29yZA=="]
    ]


def test_a_tunnel_for_cleartext() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(b"through")

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler))
        port, asked = stack.enter_context(connect_proxy())
        client = stack.enter_context(Client(h2c=True, trust_env=False, proxies={"all": f"127.0.0.1:{port}"}))
        response = client.get(server.url)
    assert (response.text, response.http_version, len(asked)) == ("through", "HTTP/2", 1)


def test_a_proxy_that_refuses(certificate: Certificate) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(certificate))
        port, _ = stack.enter_context(connect_proxy(b"HTTP/1.1 407 Who are you\r\n\r\n"))
        client = stack.enter_context(client_of(certificate, proxies={"https": f"http://127.0.0.1:{port}"}))
        with pytest.raises(exceptions.ProxyError, match="407 Who are you") as raised:
            client.get(server.url)
    assert (raised.value.processed, raised.value.request.url) == (False, f"{server.url}/")


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        ("http://127.0.0.1:1", exceptions.ProxyError),
        ("socks5://127.0.0.1:1", exceptions.ProxyError),
        ("socks4://127.0.0.1:1", exceptions.InvalidProxyURL),
        ("http://", exceptions.InvalidProxyURL),
        ("http://:8080", exceptions.InvalidProxyURL),
        ("http:/proxy:3128", exceptions.InvalidProxyURL),
        ("https:///proxy:3128", exceptions.InvalidProxyURL),
    ],
)
def test_a_proxy_that_is_none(proxy: str, expected: type[Exception]) -> None:
    with Client(trust_env=False, proxies={"all": proxy}) as client, pytest.raises(expected):
        client.get("https://localhost:1/")


@pytest.fixture
def plain_proxy() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A proxy for `http://`, which answers by itself: its address, and the targets and credentials it was told."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers["proxy-authorization"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_plain_http_through_a_proxy_of_the_environment(
    plain_proxy: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = plain_proxy
    monkeypatch.setenv("http_proxy", f"http://user:word@{address}")
    monkeypatch.setenv("no_proxy", "localhost,.example.net")
    with Client() as client:
        assert client.get("http://example.org/path?query").ok
        with pytest.raises(exceptions.ConnectionError):
            client.get("http://localhost:1/")
        assert client.get("http://example.com/").ok
    assert asked == [
        ("http://example.org/path?query", "Basic dXNlcjp3b3Jk"),
        ("http://example.com/", "Basic dXNlcjp3b3Jk"),
    ]


@pytest.mark.parametrize(
    "no_proxy", ["", "*", "localhost", ".org", "org", "10.0.0.0/8", "10.1.2.3", "example.org:8080", "x, y"]
)
@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "http://example.org/", "http://example.org:8080/", "http://10.1.2.3/", "http://fororg/"],
)
def test_what_no_proxy_exempts_is_what_it_does_for_requests(
    url: str, no_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", no_proxy)
    ours, theirs = bypasses_proxies(url), requests.utils.should_bypass_proxies(url, None)
    # Only names of whole labels are exempt here; requests takes any end of a name.
    assert ours == (theirs and not (url == "http://fororg/" and no_proxy == "org"))


def test_the_most_special_proxy_is_chosen() -> None:
    proxies = {"https": "one", "https://a.org": "two", "all": "http://three", "all://b.org": "http://four"}
    chosen = [
        select_proxy(f"{url}/path", proxies) for url in ("https://x", "https://a.org", "http://x", "http://b.org")
    ]
    assert chosen == ["http://one", "http://two", "http://three", "http://four"]


# -- alternative services


@pytest.mark.parametrize("said_by", ["field", "frame"])
def test_an_alternative_service_is_remembered_and_left_when_it_is_gone(certificate: Certificate, said_by: str) -> None:
    def other(stream: Any, headers: Any) -> None:
        stream.end(b"there")

    def own(stream: Any, headers: Any) -> None:
        value = f'h2=":{alternative.address[1]}"; ma=60'
        if said_by == "frame":
            stream.session.altsvc(value, stream.id)
        stream.respond({"alt-svc": value} if said_by == "field" else {})
        stream.end(b"here")

    with serving(certificate, own) as server, client_of(certificate) as client:
        with serving(certificate, other) as alternative:
            assert client.get(server.url).text == "here"
            destination = Destination(
                Origin("https", "127.0.0.1", server.address[1]), None, str(certificate.cafile), None
            )
            eventually(lambda: client._pool._connections._alternatives.of(destination), "that it has been told")
            next(client._pool.sessions()).close()
            assert client.get(server.url).text == "there"
        assert client.get(server.url).text == "here"


@contextlib.contextmanager
def leading_away(certificate: Certificate, host: str) -> Iterator[tuple[str, list[str]]]:
    """A server, as https://localhost, that says that it is served by another one on `host` too, and ends the connection
    then; its URL, and the names that the other one was asked for.
    """
    asked: list[str] = []

    def other(stream: Any, headers: Any) -> None:
        asked.append(headers[":authority"])
        stream.end(b"there")

    def own(stream: Any, headers: Any) -> None:
        stream.respond({"alt-svc": f'h2="{host}:{alternative.address[1]}"'})
        stream.end(b"here")

    with serving(certificate, other) as alternative, serving(certificate, own) as server:
        yield f"https://localhost:{server.address[1]}/", asked


def get_anew(client: Client, url: str, **options: Any) -> str:
    """The answer over a new connection."""
    for session in client._pool.sessions():
        session.close()
    return client.get(url, **options).text


@pytest.mark.parametrize(
    ("host", "alt_svc", "expected"),
    [
        ("127.0.0.1", True, "here"),
        ("127.0.0.1", "other-hosts", "there"),
        ("127.0.0.1", False, "here"),
        ("", True, "there"),
        ("LOCALHOST", True, "there"),
        ("", "other-hosts", "there"),
        ("", False, "here"),
    ],
)
def test_alternatives_on_other_hosts_are_used_only_when_asked_for(
    host: str, alt_svc: bool | str, expected: str, certificate: Certificate
) -> None:
    with leading_away(certificate, host) as (url, asked), client_of(certificate, alt_svc=alt_svc) as client:
        assert [get_anew(client, url) for _ in range(2)] == ["here", expected]
    assert asked == [url.split("/")[2]] * (expected == "there")


def _hang_up(sock: ssl.SSLSocket) -> None:
    """Say nothing."""


def _speak_nonsense(sock: ssl.SSLSocket) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n" * 10)


def _go_away(sock: ssl.SSLSocket) -> None:
    sock.sendall(SettingsFrame(0).serialize() + GoAwayFrame(0).serialize())
    while sock.recv(65_536):
        pass


@pytest.mark.parametrize("play", [_hang_up, _speak_nonsense, _go_away])
@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_an_alternative_that_takes_connections_and_serves_nobody(
    protocol: str, play: Any, certificate: Certificate
) -> None:
    """It gets one attempt; then the origin has its turn."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    context.set_alpn_protocols([protocol])
    connections: list[str] = []

    def other(sock: socket.socket) -> None:
        connections.append("one")
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as encrypted:
            play(encrypted)

    def own(stream: Any, headers: Any) -> None:
        stream.respond({"alt-svc": f'h2=":{port}"'} if headers[":method"] == "OPTIONS" else {})
        stream.end(b"here")

    for method in ("GET", "POST"):
        connections.clear()
        with playing(other) as (url, _), serving(certificate, own) as server, client_of(certificate) as client:
            port = url.rpartition(":")[2].strip("/")
            client.options(server.url)
            next(client._pool.sessions()).close()
            try:
                answer = client.request(method, server.url).text
            except exceptions.ConnectionError:  # what must not be repeated
                answer = client.request(method, server.url).text
            assert answer == "here"
        assert connections == ["one"]


def test_an_alternative_that_takes_requests_and_answers_none(certificate: Certificate) -> None:
    over = threading.Event()

    def other(stream: Any, headers: Any) -> None:
        over.wait(20)

    def own(stream: Any, headers: Any) -> None:
        stream.respond({"alt-svc": f'h2=":{alternative.address[1]}"'} if headers[":path"] == "/leads" else {})
        stream.end(b"here")

    with (
        serving(certificate, other) as alternative,
        serving(certificate, own) as server,
        client_of(certificate) as client,
    ):
        client.get(f"{server.url}/leads")
        next(client._pool.sessions()).close()
        with pytest.raises(exceptions.ReadTimeout):
            client.get(server.url, timeout=Timeouts(read=0.1))
        assert [client.post(server.url, timeout=20).text, client.get(server.url, timeout=20).text] == ["here", "here"]
        assert len(list(client._pool.sessions())) == 1
        over.set()
        eventually(lambda: not alternative.sessions, "that nobody keeps the connection")


def test_an_alternative_that_is_not_it(certificate: Certificate) -> None:
    """421 (RFC 7838 section 6), whose own Alt-Svc counts for nothing."""
    asked: list[str] = []

    def other(stream: Any, headers: Any) -> None:
        asked.append(headers[":method"])
        stream.respond({":status": 421, "alt-svc": f'h2=":{alternative.address[1]}"'}, end_stream=True)

    def own(stream: Any, headers: Any) -> None:
        stream.respond({"alt-svc": f'h2=":{alternative.address[1]}"'} if headers[":path"] == "/leads" else {})
        stream.end(b"here")

    with (
        serving(certificate, other) as alternative,
        serving(certificate, own) as server,
        client_of(certificate) as client,
    ):
        client.get(f"{server.url}/leads")
        next(client._pool.sessions()).close()
        assert [client.post(server.url).text, client.get(server.url).text] == ["here", "here"]
        eventually(lambda: not alternative.sessions, "that nobody keeps the connection")
    assert asked == ["POST"]


@pytest.mark.parametrize("adapter", [RequestsAdapter, HTTPXTransport])
def test_adapters_follow_alternatives_as_a_client_does(adapter: Any) -> None:
    for alt_svc in (1, 0, None, "yes", object()):
        with pytest.raises(TypeError, match="alt_svc is True, False or 'other-hosts'"):
            adapter(alt_svc=alt_svc)
        with pytest.raises(TypeError, match="alt_svc"):
            Client(alt_svc=alt_svc)
    with contextlib.closing(adapter(alt_svc=False)) as made:
        assert made._pool._connections._alternatives._follow is False


def test_what_somebody_untrusted_has_said_is_for_those_who_trust_him(certificate: Certificate) -> None:
    with leading_away(certificate, "") as (url, asked), client_of(certificate) as client:
        assert get_anew(client, url, verify=False) == "here"
        assert get_anew(client, url) == "here"
        assert get_anew(client, url, verify=certificate.authority_pem) == "here"
        assert not asked
        assert get_anew(client, url, verify=False) == "there"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("clear", []),
        ('h2=":8443"', [("example.org", 8443)]),
        ('h3=":443"; ma=1, h2="other.org:443";ma=5', [("other.org", 443)]),
        ('h2="[::1]:443"; ma="7"; persist=1, h2=":1"', [("::1", 443), ("example.org", 1)]),
        ('h2=":443"', []),
        ('h2=":99999"', []),
        ("h2=:8443", []),
        ('h%32=":8443"', [("example.org", 8443)]),
        ('h2=":1";a="b,c;d=\\",", h2=":2" ; ma = 5', [("example.org", 1), ("example.org", 2)]),
        ('h2=":1";a="not closed, h2=":2"', [("example.org", 1)]),
        ('h2=":' + "1" * 5000 + '", h2=":2"; ma=' + "9" * 5000, [("example.org", 2)]),
        (", ".join(f'h2=":{port}"' for port in range(1, 400)), [("example.org", port) for port in range(1, 17)]),
        ("", []),
    ],
)
def test_what_alt_svc_says(value: str, expected: list[tuple[str, int]]) -> None:
    assert [(place.host, place.port) for place in parse_alternatives(value, ORIGIN)] == expected


# -- one connection for several origins


def test_a_connection_is_shared_by_origins_with_its_address_and_certificate(certificate: Certificate) -> None:
    sessions: list[Any] = []
    with serving(certificate, listeners={"session": sessions.append}) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://localhost:{port}/a").text == "GET /a 0"
        assert client.get(f"https://127.0.0.1:{port}/b").text == "GET /b 0"
    assert len(sessions) == 1


def test_a_connection_is_shared_by_what_its_origin_frame_names(certificate: Certificate) -> None:
    other = "https://localhost:1"
    with serving(certificate, origins=[other]) as server, client_of(certificate) as client:
        assert client.get(server.url).ok
        session = next(client._pool.sessions())
        eventually(lambda: other in (session.origin_set or ()), "that the ORIGIN frame has come")
        assert client.get(f"{other}/there").text == "GET /there 0"


def test_a_misdirected_request_goes_out_once_more_on_a_connection_of_its_own(certificate: Certificate) -> None:
    seen: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        authority = headers[":authority"]
        seen.put((authority, id(stream.session)))
        first = "localhost" in authority or id(stream.session) != ids[0]
        if not ids:
            ids.append(id(stream.session))
            first = True
        stream.respond({":status": 200 if first else 421}, end_stream=True)

    ids: list[int] = []
    with serving(certificate, handler) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://localhost:{port}/").status_code == 200
        for _ in range(2):
            assert client.get(f"https://127.0.0.1:{port}/").status_code == 200
    requests_seen = [seen.get_nowait() for _ in range(seen.qsize())]
    assert [authority.split(":")[0] for authority, _ in requests_seen] == ["localhost"] + ["127.0.0.1"] * 3
    assert len({session for _, session in requests_seen}) == 2


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        ([("DNS", "example.org")], "example.org", True),
        ([("DNS", "example.org")], "EXAMPLE.org.", True),
        ([("DNS", "example.org")], "www.example.org", False),
        ([("DNS", "*.example.org")], "www.example.org", True),
        ([("DNS", "*.example.org")], "a.b.example.org", False),
        ([("DNS", "*.example.org")], "example.org", False),
        ([("DNS", "*")], "localhost", False),
        ([("IP Address", "127.0.0.1")], "127.0.0.1", True),
        ([("DNS", "127.0.0.1")], "127.0.0.1", False),
        ([("IP Address", "0:0:0:0:0:0:0:1")], "::1", True),
        ([], "example.org", False),
    ],
)
def test_whom_a_certificate_is_for(names: list[tuple[str, str]], host: str, expected: bool) -> None:
    assert names_host({"subject": ((("commonName", host),),), "subjectAltName": tuple(names)}, host) is expected


def test_the_look_up_of_an_address_has_the_calls_time(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_again = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "localhost":
            asked_again.wait(20)
        return look_up(host, *arguments, **named)

    with serving(certificate) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://127.0.0.1:{port}/").ok
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(exceptions.ConnectTimeout):
            client.get(f"https://localhost:{port}/", timeout=0.05)
        asked_again.set()


def test_a_connection_that_has_no_port_covers_what_it_says_that_it_serves(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    session, server = pair(tls=True, client_context=tls_contexts[0], server_context=tls_contexts[1])
    with session:
        assert session.socket.getpeername() == ""
        origin = Origin("https", "localhost", 444)
        assert not covers(session, origin, Deadline(20))
        server.origin(str(origin))
        eventually(lambda: str(origin) in (session.origin_set or ()))
        assert covers(session, origin, Deadline(20))
