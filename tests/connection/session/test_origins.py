"""Origins as frames carry them, and ALTSVC and ORIGIN between two sessions and with a raw peer."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hyperframe.frame import AltSvcFrame, ExtensionFrame, SettingsFrame

import sync_h2
from support.connections.pairs import Connections, connections, plain_connections, tls_connections, tls_contexts
from support.octets.fields import RESPONSE, UPLOAD
from support.peers.raw_peer import RawPeer
from support.threads.background import PATIENCE
from sync_h2.connection.session.origins import OriginSet, serialized_origin
from sync_h2.protocol.frames.extension_frames import build_origin, parse_origin

__all__ = ["connections", "plain_connections", "tls_connections", "tls_contexts"]

ORIGIN = 0xC


# -- origins


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com/a/b?c=d#e", "https://example.com"),
        ("https://user:secret@example.com:8443/", "https://example.com:8443"),
        ("HTTPS://Example.COM:443", "https://example.com"),
        ("http://example.com:80/", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://example.com:80", "https://example.com:80"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/x", "https://xn--bcher-kva.example:8443"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("https://[::1]:443/", "https://[::1]"),
        ("https://[2001:DB8:0:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://[fe80::1%25eth0]/", "https://[fe80::1]"),
        ("wss://example.com:443/chat", "wss://example.com"),
        (SimpleNamespace(origin="https://example.com:8443"), "https://example.com:8443"),
        (SimpleNamespace(origin="https://Example.com/path"), "https://example.com"),
    ],
)
def test_a_url_is_reduced_to_its_origin(source: Any, origin: str) -> None:
    assert serialized_origin(source) == origin


NO_ORIGIN = [
    "",
    "null",
    "example.com",
    "example.com:443",
    "//example.com",
    "/path",
    "about:blank",
    "data:text/plain,x",
    "file:///etc/hosts",
    "foo://bar",
    "https:",
    "https://",
    "https:///path",
    "https://:443",
    "https://example.com:65536",
    "https://example.com:port",
    "https://[::1",
    "https://[example]",
    "https://exa mple.com",
    " https://example.com",
    "https://example.com\n",
    "https://exa\x00mple.com",
    "https://exam|ple.com",
    "https://example..com",
    "https://" + "a" * 64 + ".com",
    "https://" + "a." * 200 + "com",
    "https://foo.bar" + "a" * 20_000,
    "https:\\\\example.com",
    None,
    True,
    0,
    1.5,
    b"https://example.com",
    object(),
    {},
    SimpleNamespace(origin="null"),
    SimpleNamespace(origin=""),
    SimpleNamespace(origin=None),
    SimpleNamespace(origin=b"https://example.com"),
]


@pytest.mark.parametrize("source", NO_ORIGIN, ids=lambda source: repr(source)[:40])
def test_what_has_no_origin_is_refused(source: Any) -> None:
    with pytest.raises(sync_h2.InvalidArgument, match="origin"):
        serialized_origin(source)


def test_an_origin_set_keeps_the_first_ones() -> None:
    origins = OriginSet("https://own", 4)
    origins.add(["https://a", "null", "", "https://a", "HTTPS://B/", "https://own", "https://c", "https://d"])
    assert list(origins) == ["https://own", "https://a", "https://b", "https://c"]
    origins.add(["https://e"])
    assert len(list(origins)) == 4


# -- from our server to our client


class Heard:
    """What a client's listeners were called with, and its Origin Set at that time."""

    def __init__(self) -> None:
        self.altsvc: queue.SimpleQueue[tuple[str, str, int]] = queue.SimpleQueue()
        self.origin: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self.listeners: dict[str, Callable[..., None]] = {
            "altsvc": lambda value, origin, stream_id: self.altsvc.put((value, origin, stream_id)),
            "origin": self.origin.put,
        }


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_altsvc_for_an_origin(connections: Connections, heard: Heard) -> None:
    _, server = connections.pair(client={"listeners": heard.listeners})
    server.altsvc('h2=":8000"', "https://Example.org:443/path")
    server.altsvc("clear", SimpleNamespace(origin="http://example.org:81"))
    server.altsvc('h3="a\\\\b:1"; ma=1\t', "https://example.org")
    assert heard.altsvc.get(timeout=PATIENCE) == ('h2=":8000"', "https://example.org", 0)
    assert heard.altsvc.get(timeout=PATIENCE) == ("clear", "http://example.org:81", 0)
    assert heard.altsvc.get(timeout=PATIENCE) == ('h3="a\\\\b:1"; ma=1\t', "https://example.org", 0)


def test_altsvc_for_a_stream(connections: Connections, heard: Heard) -> None:
    ends = connections.ends(client={"listeners": heard.listeners})
    client_stream, stream = ends.exchange()
    ends.server.altsvc("h2", stream)
    ends.server.altsvc("clear", stream.id)
    assert heard.altsvc.get(timeout=PATIENCE) == ("h2", "", 1)
    assert heard.altsvc.get(timeout=PATIENCE) == ("clear", "", 1)
    client_stream.end()
    stream.end(b"done")
    assert client_stream.read(timeout=PATIENCE) == b"done"


def test_altsvc_for_a_stream_that_is_not_open(plain_connections: Connections) -> None:
    ends, others = plain_connections.ends(), plain_connections.ends()
    client_stream, stream = ends.exchange({})
    _, foreign = others.exchange()
    with pytest.raises(sync_h2.InvalidArgument, match="another session"):
        ends.server.altsvc("h2", foreign)
    for number in (0, -1, 2, 3, 2**31, 2**32):
        with pytest.raises(sync_h2.InvalidArgument, match="origin_or_stream"):
            ends.server.altsvc("h2", number)
    stream.end(b"x")
    assert client_stream.read(timeout=PATIENCE) == b"x"
    stream.wait_closed(timeout=PATIENCE)
    with pytest.raises(sync_h2.InvalidState, match="closed"):
        ends.server.altsvc("h2", stream)
    with pytest.raises(sync_h2.InvalidArgument, match="no stream 1"):
        ends.server.altsvc("h2", 1)
    ends.client.ping(timeout=PATIENCE)


@pytest.mark.parametrize("source", NO_ORIGIN, ids=lambda source: repr(source)[:40])
def test_what_gives_no_origin_leaves_the_session_as_it_was(
    plain_connections: Connections, heard: Heard, source: Any
) -> None:
    client, server = plain_connections.pair(client={"listeners": heard.listeners})
    with pytest.raises(ValueError, match="origin"):
        server.altsvc("h2", source)
    with pytest.raises(ValueError, match="origin"):
        server.origin("https://example.com", source)
    server.altsvc("h2", "https://example.com")
    assert heard.altsvc.get(timeout=PATIENCE) == ("h2", "https://example.com", 0)
    client.ping(timeout=PATIENCE)


@pytest.mark.parametrize("value", ['h2="é"', "\x01", "a\r\nb", "\x7f", "👀"])
def test_a_value_is_ascii(plain_connections: Connections, value: str) -> None:
    _, server = plain_connections.pair()
    with pytest.raises(ValueError, match="value"):
        server.altsvc(value, "https://example.com")
    server.ping(timeout=PATIENCE)


@pytest.mark.parametrize("value", [None, 1, b"h2", ["h2"]])
def test_a_value_is_a_str(plain_connections: Connections, value: Any) -> None:
    _, server = plain_connections.pair()
    with pytest.raises(TypeError, match="value"):
        server.altsvc(value, "https://example.com")


def test_a_value_fills_a_frame_and_no_more(plain_connections: Connections, heard: Heard) -> None:
    _, server = plain_connections.pair(client={"listeners": heard.listeners})
    origin = "https://example.com"
    longest = "x" * (16_384 - 2 - len(origin))
    with pytest.raises(ValueError, match="frame"):
        server.altsvc(longest + "x", origin)
    server.altsvc(longest, origin)
    assert heard.altsvc.get(timeout=PATIENCE) == (longest, origin, 0)


def test_origins_join_the_set_before_the_listener_is_called(tls_connections: Connections) -> None:
    client, server = tls_connections.pair()
    assert client.origin_set == ["https://localhost"]
    seen: queue.SimpleQueue[tuple[list[str], list[str] | None]] = queue.SimpleQueue()
    client.on("origin", lambda origins: seen.put((origins, client.origin_set)))
    server.origin("https://a.example/path", SimpleNamespace(origin="https://b.example:8443"))
    origins = ["https://a.example", "https://b.example:8443"]
    assert seen.get(timeout=PATIENCE) == (origins, ["https://localhost", *origins])
    server.origin("https://a.example", "https://c.example")
    expected = ["https://localhost", *origins, "https://c.example"]
    assert seen.get(timeout=PATIENCE) == (["https://a.example", "https://c.example"], expected)
    client.origin_set.append("https://d.example")  # a copy
    assert client.origin_set == expected
    client.close()
    assert client.origin_set == expected


def test_an_origin_event_is_kept_for_a_late_listener(tls_connections: Connections, heard: Heard) -> None:
    client, server = tls_connections.pair()
    server.origin("https://a.example")
    server.ping(timeout=PATIENCE)
    client.on("origin", heard.origin.put)
    assert heard.origin.get(timeout=PATIENCE) == ["https://a.example"]


def test_origin_without_any_sends_nothing(tls_connections: Connections, heard: Heard) -> None:
    _, server = tls_connections.pair(client={"listeners": heard.listeners})
    server.origin()
    server.origin("https://a.example")
    assert heard.origin.get(timeout=PATIENCE) == ["https://a.example"]
    server.ping(timeout=PATIENCE)
    assert heard.origin.empty()


def test_more_origins_than_a_frame_holds_and_than_a_set_does(tls_connections: Connections, heard: Heard) -> None:
    client, server = tls_connections.pair(client={"listeners": heard.listeners})
    origins = [f"https://{number}.{'a' * 60}.{'b' * 60}.example" for number in range(300)]
    server.origin(*origins)
    received: list[str] = []
    while len(received) < 300:
        received += heard.origin.get(timeout=PATIENCE)
    assert received == origins
    assert client.origin_set == ["https://localhost", *origins[:127]]


@pytest.mark.parametrize(("size", "expected"), [(0, 1), (1, 1), (3, 3)])
def test_max_origin_set_size(tls_connections: Connections, heard: Heard, size: int, expected: int) -> None:
    client, server = tls_connections.pair(client={"listeners": heard.listeners, "max_origin_set_size": size})
    server.origin("https://a.example", "https://b.example", "https://c.example")
    heard.origin.get(timeout=PATIENCE)
    assert client.origin_set == ["https://localhost", "https://a.example", "https://b.example"][:expected]


def test_cleartext_has_no_origin_set_and_no_origin_event(plain_connections: Connections, heard: Heard) -> None:
    client, server = plain_connections.pair(client={"listeners": heard.listeners})
    server.origin("https://a.example")
    server.altsvc("h2", "https://a.example")
    heard.altsvc.get(timeout=PATIENCE)
    assert heard.origin.empty()
    assert client.origin_set is None


def test_after_the_end(plain_connections: Connections) -> None:
    client, server = plain_connections.pair()
    client.destroy()
    server._wait_gone(PATIENCE)
    with pytest.raises((sync_h2.SessionClosed, sync_h2.ConnectionLost)):
        server.altsvc("h2", "https://example.com")
    with pytest.raises((sync_h2.SessionClosed, sync_h2.ConnectionLost)):
        server.origin("https://example.com")


# -- frame by frame


def test_the_frames_that_go_out(plain_connections: Connections) -> None:
    handler: queue.SimpleQueue[sync_h2.ServerStream] = queue.SimpleQueue()
    session, peer = plain_connections.raw_client(lambda stream, headers: (stream.detach(), handler.put(stream)))
    peer.headers(1, UPLOAD)
    stream = handler.get(timeout=PATIENCE)
    session.altsvc("h2", "https://example.com")
    frame = peer.expect(AltSvcFrame)
    assert (frame.stream_id, frame.origin, frame.field) == (0, b"https://example.com", b"h2")
    session.altsvc("clear", stream)
    frame = peer.expect(AltSvcFrame)
    assert (frame.stream_id, frame.origin, frame.field) == (1, b"", b"clear")
    session.origin("https://example.com", "https://bücher.example")
    origin = peer.expect(ExtensionFrame)
    assert (origin.type, origin.stream_id, origin.flag_byte) == (ORIGIN, 0, 0)
    assert parse_origin(origin.body) == ["https://example.com", "https://xn--bcher-kva.example"]
    stream.close(sync_h2.ErrorCode.CANCEL)


def origin_frame(*origins: str) -> bytes:
    [payload] = build_origin(origins, 16_384)
    return len(payload).to_bytes(3, "big") + bytes([ORIGIN, 0, 0, 0, 0, 0]) + payload


def test_entries_that_are_no_origins(tls_connections: Connections, heard: Heard) -> None:
    client, peer = tls_connections.raw_server(listeners=heard.listeners)
    peer.sock.sendall(origin_frame("null", "", "https://a.example", "nonsense", "https://b.example"))
    assert heard.origin.get(timeout=PATIENCE) == ["null", "", "https://a.example", "nonsense", "https://b.example"]
    assert client.origin_set == ["https://localhost", "https://a.example", "https://b.example"]
    peer.sock.sendall(origin_frame())
    assert heard.origin.get(timeout=PATIENCE) == []
    assert client.origin_set == ["https://localhost", "https://a.example", "https://b.example"]


def test_altsvc_that_a_client_ignores(connections: Connections, heard: Heard) -> None:
    """RFC 7838 section 4: with an origin on a stream, without one on stream 0, for a stream that is not open."""
    client, peer = connections.raw_server(listeners=heard.listeners)
    stream = client.request()
    peer.send(
        AltSvcFrame(0, origin=b"", field=b"ignored"),
        AltSvcFrame(1, origin=b"https://example.com", field=b"ignored"),
        AltSvcFrame(3, origin=b"", field=b"ignored"),
        AltSvcFrame(1, origin=b"", field=b"taken"),
    )
    assert heard.altsvc.get(timeout=PATIENCE) == ("taken", "", 1)
    peer.headers(1, RESPONSE, end_stream=True)
    assert stream.read(timeout=PATIENCE) == b""
    assert heard.altsvc.empty()


# -- the option of a secure server


def test_origins_are_told_to_every_client(certificate: Any, heard: Heard) -> None:
    with sync_h2.create_secure_server(
        lambda stream, headers: stream.end(b"x"),
        certfile=certificate.certfile,
        keyfile=certificate.keyfile,
        origins=["https://a.example/path", SimpleNamespace(origin="https://b.example:8443")],
    ) as server:
        url = f"https://localhost:{server.address[1]}"
        for _ in range(2):
            with sync_h2.connect(url, cafile=certificate.cafile, listeners=heard.listeners) as session:
                origins = ["https://a.example", "https://b.example:8443"]
                assert heard.origin.get(timeout=PATIENCE) == origins
                assert session.origin_set == [url, *origins]
                assert session.request().read(timeout=PATIENCE) == b"x"


def test_the_origins_follow_the_settings(certificate: Any, tls_contexts: Any) -> None:
    with (
        sync_h2.create_secure_server(
            certfile=certificate.certfile, keyfile=certificate.keyfile, origins=["https://a.example"]
        ) as server,
        socket.create_connection(server.address) as sock,
        tls_contexts[0].wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        peer = RawPeer(secure, client=True)
        assert isinstance(peer.receive(), SettingsFrame)
        origin = peer.expect(ExtensionFrame)
        assert (origin.type, parse_origin(origin.body)) == (ORIGIN, ["https://a.example"])


@pytest.mark.parametrize("origins", [["null"], ["https://a.example", None], [b"https://a.example"]])
def test_bad_origins_are_refused_at_once(certificate: Any, origins: Any) -> None:
    with pytest.raises(sync_h2.InvalidArgument, match="origin"):
        sync_h2.create_secure_server(certfile=certificate.certfile, keyfile=certificate.keyfile, origins=origins)


def test_one_str_is_no_list_of_origins(certificate: Any) -> None:
    with pytest.raises(TypeError, match="origins"):
        sync_h2.create_secure_server(
            certfile=certificate.certfile, keyfile=certificate.keyfile, origins="https://a.example"
        )
