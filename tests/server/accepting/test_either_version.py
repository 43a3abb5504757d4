"""The switch between HTTP/2 and HTTP/1: ALPN, the first octets, the option, and what stays as it was without it."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.octets import frames
from support.octets.fields import REQUEST
from support.peers.http1_client import GET, RawHTTP1Client, dial, get, http1_session, post
from support.peers.sockets import tcp_pair
from support.programs.processes import FORK, start, succeeds
from support.threads.background import Background, eventually
from support.tls.certificates import Certificate
from sync_h2 import (
    ALPNError,
    ConnectionLost,
    ErrorCode,
    Timeout,
    connect,
    create_secure_server,
    create_server,
    serve_socket,
)
from sync_h2.constants import PREFACE
from sync_h2.server.accepting.refusals import refusal_of
from sync_h2.testing import pair

__all__ = ["start"]


def hello(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": 5})
    stream.end(b"hello")


def ask(session: Any) -> bytes:
    return bytes(session.request().read(timeout=10))


# -- without TLS


def test_both_versions_on_one_port() -> None:
    with create_server(hello, allow_http1=True) as server, connect(server.url) as session:
        assert ask(session) == b"hello"
        with dial(server.address) as client:
            assert client.ask(GET).body == b"hello"
            assert ask(session) == b"hello"
            versions = sorted(each._http_version for each in server.sessions)
    assert versions == ["1.1", "2.0"]


def test_a_preface_that_comes_in_pieces() -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        for octet in PREFACE:
            client.send(bytes([octet]))
        client.send(bytes.fromhex("000000040000000000"))
        assert client.read(9)[3] == 4  # SETTINGS


@pytest.mark.parametrize("octets", [b"\x00\x01\x02", b"PRI * HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_what_is_neither_is_answered_in_http_1(octets: bytes) -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        client.send(octets)
        client.end()
        response = client.rest()
        assert response == b"" or response.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 "))


def test_tls_on_a_port_without_is_hung_up_on() -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        client.send(b"\x16\x03\x01\x00\x05hello")
        assert client.rest() == b""


def test_upgrade_is_ignored() -> None:
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        answer = client.ask(get("/", *fields))
        assert (answer.status, answer.body) == (200, b"hello")
        assert client.ask(GET).body == b"hello"


def test_it_is_off_unless_asked_for() -> None:
    with create_server(hello) as server, dial(server.address) as client:
        assert client.ask(GET).status == 505


def test_a_socket_of_ones_own(background: Background) -> None:
    near, far = tcp_pair()
    client = RawHTTP1Client(far)
    serving = background(serve_socket, near, hello, allow_http1=True)
    assert client.ask(GET).body == b"hello"
    serving.result(10).close(timeout=10)
    client.close()
    near, far = tcp_pair()
    serving = background(serve_socket, near, hello, allow_http1=True)
    with connect("http://localhost", sock=far) as session:
        assert ask(session) == b"hello"
    assert serving.result(10).type == "server"


def test_a_socket_that_says_nothing() -> None:
    near, far = tcp_pair()
    with pytest.raises(Timeout):
        serve_socket(near, hello, allow_http1=True, handshake_timeout=0.05)
    far.close()
    near, far = tcp_pair()
    far.close()
    with pytest.raises(ConnectionLost):
        serve_socket(near, hello, allow_http1=True)


def test_a_server_that_is_closed_while_a_client_has_said_nothing() -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        eventually(lambda: server._connections._newcomers)
        server.close()
        assert client.rest() == b""


# -- over TLS


@pytest.fixture
def secure_server(certificate: Certificate) -> Iterator[Any]:
    options: dict[str, Any] = {"certfile": certificate.certificate_pem, "keyfile": certificate.key_pem}
    with create_secure_server(hello, allow_http1=True, **options) as server:
        yield server


@contextlib.contextmanager
def tls(server: Any, ca_file: str, *alpn: str) -> Iterator[tuple[str | None, RawHTTP1Client]]:
    context = ssl.create_default_context(cafile=ca_file)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with dial(server.address) as plain:
        sock = context.wrap_socket(plain.sock, server_hostname="localhost")
        client = RawHTTP1Client(sock)
        try:
            yield sock.selected_alpn_protocol(), client
        finally:
            client.close()


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("http/1.1", "http/1.0"), ("spdy/3",)])
def test_alpn_chooses_http_1(secure_server: Any, ca_file: str, alpn: tuple[str, ...]) -> None:
    expected = "http/1.1" if "http/1.1" in alpn else None
    with tls(secure_server, ca_file, *alpn) as (chosen, client):
        assert chosen == expected
        assert [client.ask(GET).body for _ in range(3)] == [b"hello"] * 3
        (session,) = secure_server.sessions
        assert session.alpn_protocol == expected
        assert session.encrypted


def test_alpn_prefers_http_2(secure_server: Any, ca_file: str) -> None:
    with tls(secure_server, ca_file, "http/1.1", "h2") as (chosen, _):
        assert chosen == "h2"
    with connect(secure_server.url.replace("127.0.0.1", "localhost"), cafile=ca_file) as session:
        assert ask(session) == b"hello"


def test_requests_over_tls_are_https(secure_server: Any, ca_file: str) -> None:
    schemes: list[str] = []
    secure_server.on("stream", lambda stream, headers: schemes.append(headers[":scheme"]))
    with tls(secure_server, ca_file) as (_, client):
        assert client.ask(post("/", b"x" * 300_000)).body == b"hello"
    eventually(lambda: schemes == ["https"])


def test_a_context_of_the_users(certificate: Certificate, ca_file: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    server = create_secure_server(hello, context=context, allow_http1=True)
    with server, tls(server, ca_file, "http/1.1") as (chosen, client):
        assert chosen == "http/1.1"
        assert client.ask(GET).body == b"hello"


def test_unknown_protocols_are_as_before_without_it(certificate: Certificate, ca_file: str) -> None:
    heard = threading.Event()

    def take(transport: Any) -> None:
        transport.close()
        heard.set()

    options: dict[str, Any] = {"certfile": certificate.certificate_pem, "keyfile": certificate.key_pem}
    server = create_secure_server(hello, listeners={"unknown_protocol": take}, **options)
    with server, tls(server, ca_file, "http/1.1") as (chosen, _):
        assert chosen is None
        assert heard.wait(10)
    heard.clear()
    server = create_secure_server(hello, allow_http1=True, listeners={"unknown_protocol": take}, **options)
    with server, tls(server, ca_file) as (_, client):
        assert client.ask(GET).body == b"hello"
    assert not heard.is_set()


def test_serve_socket_over_tls(certificate: Certificate, ca_file: str, background: Background) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    for allowed in (True, False):
        near, far = tcp_pair()
        serving = background(serve_socket, near, hello, context=context, allow_http1=allowed)
        client_context = ssl.create_default_context(cafile=ca_file)
        with client_context.wrap_socket(far, server_hostname="localhost") as sock:
            if allowed:
                assert RawHTTP1Client(sock).ask(GET).body == b"hello"
                serving.result(10).close(timeout=10)
            else:
                assert isinstance(serving.exception(10), ALPNError)


# -- the option


def test_what_is_no_answer_to_allow_http1() -> None:
    for allow in (1, None, "yes"):
        with pytest.raises(TypeError):
            create_server(hello, allow_http1=allow)  # type: ignore[arg-type]


def test_without_h11_it_says_what_to_install(start: Any) -> None:
    program = """
        sys.modules["h11"] = None
        for create in (sync_h2.create_server, lambda **o: sync_h2.serve_socket(socket.socketpair()[0], **o)):
            try:
                create(allow_http1=True)
            except ImportError as error:
                assert "pip install 'sync_h2[http1]'" in str(error), error
            else:
                raise AssertionError("no error")
        with sync_h2.create_server(echo) as server, sync_h2.connect(server.url) as session:
            exchange(session)
    """
    succeeds(start, textwrap.dedent(program))


def test_h11_is_imported_only_if_it_is_used(start: Any) -> None:
    program = """
with sync_h2.create_server(echo) as server, sync_h2.connect(server.url) as session:
    exchange(session)
assert "h11" not in sys.modules
with sync_h2.create_server(echo, allow_http1=True) as server:
    assert "h11" in sys.modules
"""
    succeeds(start, program)


# -- limits


@pytest.mark.parametrize("limit", ["max_sessions", "max_sessions_per_address"])
def test_connections_one_too_many(limit: str) -> None:
    options: dict[str, Any] = {limit: 1}
    begun, stops = threading.Event(), threading.Event()

    def work(stream: Any, headers: Any) -> None:  # who has nothing under way would make room
        begun.set()
        stops.wait(20)
        hello(stream, headers)

    with create_server(work, allow_http1=True, **options) as server, dial(server.address) as first:
        first.send(GET)
        assert begun.wait(20)
        with dial(server.address) as second:
            second.send(GET)
            answer = second.rest()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")  # by when the request came
        stops.set()
        assert first.response().body == b"hello"


def test_one_too_many_is_told_so_in_what_it_speaks() -> None:
    assert refusal_of("max_sessions", GET, http1=True).startswith(b"HTTP/1.1 503 ")
    assert refusal_of("max_sessions", GET, http1=False) == b""
    assert refusal_of("max_sessions", b"", http1=True) == b""
    goaway = refusal_of("max_sessions", b"", http1=False)
    assert goaway.endswith(b"max_sessions")
    assert refusal_of("max_sessions", PREFACE, http1=True) == goaway


def test_settings_are_for_http_2_alone(caplog: pytest.LogCaptureFixture) -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        assert client.ask(GET).body == b"hello"
        with caplog.at_level("INFO"):
            server.update_settings({"max_concurrent_streams": 7})
        assert caplog.text == ""


# -- targets


@pytest.mark.parametrize("target", ["/\xc3\xa9?q=\xc3\xa0", "/\xff", "/\x85\xa0", "//x/y", "/%2F/../a;b", "/\\"])
def test_a_target_is_taken_as_it_is_over_both_versions(target: str) -> None:
    """curl sends queries as they were typed."""

    def tell(stream: Any, headers: Any) -> None:
        stream.end(headers[":path"].encode("latin-1"))

    octets = target.encode("latin-1")
    with create_server(tell, allow_http1=True) as server:
        with dial(server.address) as client:
            assert client.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % octets).body == octets
        with connect(server.url) as session:
            assert session.request({":path": target}).read(timeout=10) == octets


@pytest.mark.parametrize("target", ["/a b", "/a\tb", "/\x7f", "/\x01", "/a#b", "a", "?a", "x:a", ""])
def test_a_target_that_is_none_is_refused_over_both_versions(target: str) -> None:
    octets = target.encode("latin-1")
    request = frames.headers(1, *frames.replaced(REQUEST, path=target), flags=frames.END_HEADERS | frames.END_STREAM)
    with create_server(lambda stream, headers: stream.end(b""), allow_http1=True) as server:
        with dial(server.address) as client:
            assert client.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % octets).status == 400
        with dial(server.address) as client:
            client.send(PREFACE + frames.settings() + request)
            client.end()
            assert frames.rst_stream(1, ErrorCode.PROTOCOL_ERROR) in client.rest()


# -- CONNECT


def test_a_tunnel() -> None:
    def tunnel(stream: Any, headers: Any) -> None:
        assert headers.pairs() == [(":method", "CONNECT"), (":authority", "inner:443")]
        stream.respond()
        for chunk in stream:
            stream.write(chunk.upper())
        stream.end(b"the end")

    opening = b"CONNECT inner:443 HTTP/1.1\r\nHost: inner:443\r\n\r\nearly, "
    with http1_session(tunnel, opening) as (session, client):
        head = b"HTTP/1.1 200 OK\r\n"
        assert client.read(len(head)) == head
        while client.read(1) != b"\n" or not client._file.peek().startswith(b"\r\n"):
            pass
        assert client.read(2 + 7) == b"\r\nEARLY, "
        client.send(GET)
        assert client.read(len(GET)) == GET.upper()
        client.end()
        assert client.rest() == b"the end"
        session.close(timeout=10)


def test_a_tunnel_for_http_1_0() -> None:
    """What the standard library's `set_tunnel` sends before Python 3.12; later ones add a Host."""

    def tunnel(stream: Any, headers: Any) -> None:
        assert headers.pairs() == [(":method", "CONNECT"), (":authority", "inner:443")]
        stream.respond()
        stream.end(stream.read().upper())

    with create_server(tunnel, allow_http1=True) as server, dial(server.address) as client:
        through = http.client.HTTPConnection("proxy")
        through.set_tunnel("inner", 443)
        through._create_connection = lambda *arguments: client.sock  # type: ignore[attr-defined]
        through.connect()
        client.send(b"hello")
        client.end()
        assert client.rest() == b"HELLO"


def test_a_tunnel_whose_server_ends_first() -> None:
    received: list[bytes] = []

    def tunnel(stream: Any, headers: Any) -> None:
        stream.respond(send_date=False)
        stream.end(b"bye")
        received.append(stream.read())

    with http1_session(tunnel, b"CONNECT inner:443 HTTP/1.1\r\nHost: inner:443\r\n\r\n") as (session, client):
        assert client.rest() == b"HTTP/1.1 200 OK\r\n\r\nbye"
        client.send(b"still here")
        client.end()
        session.close(timeout=10)
        eventually(lambda: received)
    assert received == [b"still here"]


def test_a_refused_tunnel() -> None:
    def refuse(stream: Any, headers: Any) -> None:
        stream.respond({":status": 405}, end_stream=True)

    with http1_session(refuse, b"CONNECT inner:443 HTTP/1.1\r\nHost: inner:443\r\n\r\n" + GET) as (_, client):
        assert client.response().status == 405
        assert client.rest() == b""


def test_a_tunnel_that_breaks_is_reset() -> None:
    def fail(stream: Any, headers: Any) -> None:
        stream.respond()
        stream.read(4)
        stream.close(8)

    with http1_session(fail, b"CONNECT inner:443 HTTP/1.1\r\nHost: inner:443\r\n\r\n") as (_, client):
        client.read(17)
        client.send(b"ping")
        with pytest.raises(ConnectionResetError):
            client.rest()


# -- fork and exit


def test_a_forked_child_has_no_part_in_it(start: Any) -> None:
    program = """
server = sync_h2.create_server(echo, allow_http1=True)
server.start()
import http.client
connection = http.client.HTTPConnection(*server.address, timeout=10)
connection.request("POST", "/", b"one")
assert connection.getresponse().read() == b"one"
(session,) = server.sessions
def child():
    refuses(lambda: session.altsvc("clear", "https://x"))
    session.close()
    session.destroy()
ended(fork(child))
connection.request("POST", "/", b"two")
assert connection.getresponse().read() == b"two"
server.close()
connection.close()
"""
    succeeds(start, program)


def test_a_reader_that_pauses_does_not_keep_the_interpreter(start: Any) -> None:
    program = """
release = threading.Event()
server = sync_h2.create_server(lambda stream, headers: release.wait(), allow_http1=True)
server.start()
sock = socket.create_connection(server.address)
sock.settimeout(1)
try:
    sock.sendall(b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 99999999\\r\\n\\r\\n" + bytes(99999999))
except TimeoutError:
    pass
eventually(lambda: server.sessions[0]._pause.waiting)
def child():
    pass
ended(fork(child))
say("done")
"""
    process = start(FORK + program)
    assert process.line() == "done"
    seconds, status, _ = process.seconds_to_exit()
    assert status == 0
    assert seconds < 15


# -- the standard library's client


def test_http_client_keeps_its_connection() -> None:
    def echo(stream: Any, headers: Any) -> None:
        body = stream.read()
        stream.respond({"x-method": headers[":method"], "content-length": len(body)})
        stream.end(body)

    with create_server(echo, allow_http1=True) as server:
        connection = http.client.HTTPConnection(*server.address, timeout=10)
        for number in range(50):
            connection.request("POST", f"/{number}", iter([b"ab"] * number))  # in chunks
            assert connection.getresponse().read() == b"ab" * number
            connection.request("GET", f"/{number}")
            answer = connection.getresponse()
            assert (answer.read(), answer.headers["x-method"]) == (b"", "GET")
        assert len(server.sessions) == 1
        connection.close()


def test_many_connections_at_once(background: Background) -> None:
    with create_server(hello, allow_http1=True) as server:

        def work() -> int:
            with dial(server.address) as client:
                return sum(len(client.ask(GET).body) for _ in range(50))

        assert [each.result(20) for each in [background(work) for _ in range(20)]] == [250] * 20
        eventually(lambda: not server.sessions)


def test_sessions_of_testing_pair_are_not_changed() -> None:
    client, server = pair(hello)
    with client:
        assert ask(client) == b"hello"
        assert server._http_version == "2.0"
    assert sys.modules["sync_h2"].ServerSession is type(server)
