"""Alternative services: where else an origin is asked, how that is left again, and what Alt-Svc says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame, SettingsFrame

from support.connections.clients import client_of, serving
from support.peers.scripted_server import playing
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import Client, Timeouts, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.client.opening.destination import Destination
from sync_h2.client.pool.alt_svc import parse_alternatives
from sync_h2.client.values.origin import Origin

ORIGIN = Origin("https", "example.org", 443)


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
