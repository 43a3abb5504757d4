"""A connection that is at its end when it is accepted gets neither a thread nor a session; one that ends with a request
gets its answer.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame

from support.octets import frames
from support.peers.http1_client import get
from support.peers.raw_peer import PATIENCE, RawPeer
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, connect, create_secure_server, create_server
from sync_h2.constants import PREFACE
from sync_h2.server.accepting import half_closed

OPENING = PREFACE + frames.settings()
WITHOUT_REQUEST = {
    "nothing": b"",
    "preface": PREFACE,
    "settings": OPENING,
    "frames about what follows": OPENING
    + frames.settings_ack()
    + frames.window_update(0, 1000)
    + frames.priority(3)
    + frames.goaway(0),
    "part of a frame": OPENING + frames.request(1)[:20].replace(b"\x01", b"\x04", 1),
    "part of the preface": PREFACE[:10],
    "garbage": b"\0garbage\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "part of a request line": b"GET /some",
}


def shut(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def everything(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(65_536), b""))


class Visited:
    """A server that does not accept yet, and how many threads it has made for connections."""

    def __init__(self, **options: Any) -> None:
        def handler(stream: Any, headers: Any) -> None:
            stream.end(b"hello")

        certificate = options.pop("certificate", None)
        if certificate is None:
            self.server = create_server(handler, **options)
        else:
            self.server = create_secure_server(
                handler, certfile=certificate.certfile, keyfile=certificate.keyfile, **options
            )
        self.threads = 0
        serve = self.server._serve

        def counted(sock: socket.socket, address: Any) -> None:
            self.threads += 1
            serve(sock, address)

        self.server._serve = counted  # type: ignore[method-assign]

    def dial(self, octets: bytes) -> socket.socket:
        sock = socket.create_connection(self.server.address, timeout=PATIENCE)
        sock.sendall(octets)
        return sock


Visit = Callable[..., Visited]


@pytest.fixture
def visited() -> Iterator[Visit]:
    made: list[Visited] = []

    def make(**options: Any) -> Visited:
        made.append(Visited(**options))
        return made[-1]

    yield make
    for one in made:
        one.server.close(1)


def bystander_is_served(visited: Visited, **options: Any) -> None:
    with connect(visited.server.url.replace("127.0.0.1", "localhost"), **options) as session:
        assert session.request().read(timeout=20) == b"hello"


@pytest.mark.parametrize("end", [socket.socket.close, reset, shut])
@pytest.mark.parametrize("allow_http1", [False, True])
def test_what_ends_without_a_request_costs_no_thread(
    visited: Visit, end: Callable[[socket.socket], object], allow_http1: bool
) -> None:
    here = visited(allow_http1=allow_http1, max_sessions=1)
    socks = [here.dial(octets) for octets in WITHOUT_REQUEST.values()]
    for sock in socks:
        end(sock)
    here.server.start()
    bystander_is_served(here)  # whose connection is the last to be accepted
    assert here.threads == 1
    for sock in socks:
        sock.close()


def test_without_http1_a_request_in_it_is_told_so(visited: Visit) -> None:
    here = visited()
    sock = here.dial(get("/"))
    shut(sock)
    here.server.start()
    assert everything(sock).startswith(b"HTTP/1.1 505 ")
    assert here.threads == 0


@pytest.mark.parametrize("allow_http1", [False, True])
def test_who_still_reads_is_told_what_there_is_to_say(visited: Visit, allow_http1: bool) -> None:
    here = visited(allow_http1=allow_http1)
    calm, garbage, silent = (here.dial(octets) for octets in (OPENING, b"\0\r\n", b""))
    for sock in (calm, garbage, silent):
        shut(sock)
    here.server.start()
    with calm:
        settings, goaway = RawPeer(calm, client=True).until_end()
        assert isinstance(settings, SettingsFrame)
        assert isinstance(goaway, GoAwayFrame)
        assert goaway.error_code == ErrorCode.NO_ERROR
    said = everything(garbage)
    assert said.startswith(b"HTTP/1.1 400 ") if allow_http1 else frames.number(ErrorCode.PROTOCOL_ERROR) in said
    assert everything(silent) == b""
    assert here.threads == 0


def test_a_request_of_http1_whose_client_says_no_more_is_answered(visited: Visit) -> None:
    here = visited(allow_http1=True)
    sock = here.dial(get("/"))
    shut(sock)
    here.server.start()
    assert b"hello" in everything(sock)


@pytest.mark.parametrize("allow_http1", [False, True])
def test_what_http2_has_to_answer_is_answered_though_its_client_says_no_more(visited: Visit, allow_http1: bool) -> None:
    here = visited(allow_http1=allow_http1)
    asking = here.dial(OPENING + frames.ping(b"answer!!") + frames.request(1))
    shut(asking)
    here.server.start()
    with asking:
        said = RawPeer(asking, client=True).until_end()
    assert [frame.opaque_data for frame in said if isinstance(frame, PingFrame)] == [b"answer!!"]
    assert here.threads == 1


@pytest.mark.parametrize("end", [socket.socket.close, reset, shut])
def test_over_tls_whoever_says_no_more_is_at_the_end(
    visited: Visit, certificate: Certificate, end: Callable[[socket.socket], object]
) -> None:
    here = visited(certificate=certificate)
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    socks = [here.dial(octets) for octets in (b"", outgoing.read(), b"GET / HTTP/1.1\r\n\r\n")]
    for sock in socks:
        end(sock)
    here.server.start()
    bystander_is_served(here, cafile=certificate.cafile)
    assert here.threads == 1
    for sock in socks:
        sock.close()


def test_where_the_kernel_does_not_tell_only_silent_ones_are_known(
    visited: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_closed, "_HAS_FINISHED", 0)
    here = visited()
    for octets in (b"", b"", OPENING):
        here.dial(octets).close()
    waiting = here.dial(b"")
    here.server.start()
    bystander_is_served(here)
    assert here.threads == 3  # the opening, the one that has said nothing yet, and the bystander
    waiting.close()
