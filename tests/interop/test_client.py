"""Our client and other people's servers: nghttpd and Node, over h2c and TLS."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

import sync_h2
from support.octets import bodies


def connect(origin: str, ca_file: str, **options: Any) -> sync_h2.ClientSession:
    if origin.startswith("https:"):
        options["cafile"] = ca_file
    return sync_h2.connect(origin, **options)


@pytest.fixture
def nghttpd(nghttpd_origin: str, ca_file: str) -> Iterator[sync_h2.ClientSession]:
    with connect(nghttpd_origin, ca_file) as session:
        yield session


@pytest.fixture
def node(node_origin: str, ca_file: str) -> Iterator[sync_h2.ClientSession]:
    with connect(node_origin, ca_file) as session:
        yield session


class Peer(NamedTuple):
    session: sync_h2.ClientSession
    prefix: str
    """Followed by a size, the path of the pattern of that size."""


@pytest.fixture(params=["nghttpd", "node"])
def peer(request: pytest.FixtureRequest, nghttpd: sync_h2.ClientSession, node: sync_h2.ClientSession) -> Peer:
    """Either server, for what both can do."""
    return Peer(nghttpd, "/") if request.param == "nghttpd" else Peer(node, "/bytes/")


def download(session: sync_h2.ClientSession, path: str) -> bodies.Digest:
    with session.request({":path": path}) as stream:
        assert stream.wait_response()[":status"] == "200"
        return bodies.digest(stream)


def write_pattern(stream: sync_h2.ClientStream, size: int) -> None:
    for chunk in bodies.pattern(size):
        stream.write(chunk)
    stream.end()


def upload(session: sync_h2.ClientSession, path: str, size: int) -> bodies.Digest:
    """Sends the pattern on a thread of its own while the answer is read here."""
    with session.request({":method": "POST", ":path": path}) as stream:
        writer = threading.Thread(target=write_pattern, args=(stream, size))
        writer.start()
        try:
            return bodies.digest(stream)
        finally:
            writer.join()


def get(session: sync_h2.ClientSession, path: str) -> bytes:
    with session.request({":path": path}) as stream:
        return stream.read(-1)


# -- bodies


@pytest.mark.parametrize("size", bodies.SIZES)
def test_bodies_from_and_to_nghttpd(nghttpd, size):
    assert download(nghttpd, f"/{size}") == bodies.pattern_digest(size)
    assert upload(nghttpd, "/", size) == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_bodies_from_and_to_node(node, size):
    assert download(node, f"/bytes/{size}") == bodies.pattern_digest(size)
    assert upload(node, "/echo", size) == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_node_has_received_what_was_sent(node, size):
    with node.request({":method": "POST", ":path": "/sha256"}) as stream:
        write_pattern(stream, size)
        assert json.load(stream.rfile) == {**bodies.pattern_digest(size)._asdict(), "trailers": {}}


def test_many_threads_share_a_session(peer):
    sizes = bodies.SIZES[:-1] * 40
    with ThreadPoolExecutor(16) as threads:
        digests = list(threads.map(lambda size: download(peer.session, f"{peer.prefix}{size}"), sizes))
    assert digests == [bodies.pattern_digest(size) for size in sizes]


# -- what else a stream can do


def test_trailers_from_nghttpd(nghttpd):
    with nghttpd.request({":path": "/style.css"}) as stream:
        assert stream.read(-1) == b"style"
        assert dict(stream.wait_trailers()) == {"x-trailer": "from nghttpd"}


def test_trailers_from_node(node):
    with node.request({":path": "/trailers"}) as stream:
        assert stream.read(-1) == b"trailers follow"
        assert dict(stream.wait_trailers()) == {"x-checksum": "abc", "x-second": "2"}


def test_trailers_to_node(node):
    with node.request({":method": "POST", ":path": "/sha256"}, wait_for_trailers=True) as stream:
        stream.write(b"".join(bodies.pattern(16385)))
        stream.send_trailers({"x-sent": "yes"})
        assert json.load(stream.rfile) == {**bodies.pattern_digest(16385)._asdict(), "trailers": {"x-sent": "yes"}}


def test_informational_responses_from_node(node):
    with node.request({":path": "/informational"}) as stream:
        assert stream.wait_response()[":status"] == "200"
        assert [(headers[":status"], headers["link"]) for headers in stream.informational] == [
            ("103", "</style.css>; rel=preload"),
            ("103", "</script.js>; rel=preload"),
        ]
        assert stream.read(-1) == b"after two 103"


def test_100_continue_from_node(node):
    with node.request({":method": "POST", ":path": "/echo", "expect": "100-continue"}) as stream:
        assert stream.wait_continue() is True
        stream.end(b"ping")
        assert stream.read(-1) == b"ping"


def test_a_push_from_nghttpd(nghttpd):
    with nghttpd.request({":path": "/index.html"}) as stream:
        pushed = stream.wait_push()
        assert pushed.request_headers[":path"] == "/style.css"
        assert pushed.read(-1) == b"style"
        assert stream.read(-1) == b"index"
        assert stream.wait_push() is None


def test_a_push_from_node(node):
    with node.request({":path": "/push"}) as stream:
        [pushed] = stream.pushes()
        assert pushed.request_headers[":path"] == "/bytes/16385"
        assert pushed.wait_response()["x-pushed"] == "yes"
        assert bodies.digest(pushed) == bodies.pattern_digest(16385)
        assert stream.read(-1) == b"one push"


def test_no_push_comes_when_it_was_disabled(nghttpd_origin, ca_file):
    with (
        connect(nghttpd_origin, ca_file, settings={"enable_push": False}) as session,
        session.request({":path": "/index.html"}) as stream,
    ):
        assert stream.read(-1) == b"index"
        assert stream.wait_push() is None


def test_a_body_in_two_halves_from_node(node):
    with node.request({":path": "/slow/100"}) as stream:
        assert stream.read(len(b"first half, ")) == b"first half, "  # no more: both may be there by then
        assert stream.read(100) == b"second half"
        assert stream.read(100) == b""


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 599])
def test_a_status_from_node(node, status):
    with node.request({":path": f"/status/{status}"}) as stream:
        assert stream.wait_response()[":status"] == str(status)
        assert stream.read(-1) == b""


def test_head(peer):
    with peer.session.request({":method": "HEAD", ":path": f"{peer.prefix}16385"}) as stream:
        assert stream.wait_response()["content-length"] == "16385"
        assert stream.read(-1) == b""


@pytest.mark.parametrize("code", [code for code in sync_h2.ErrorCode if code])
def test_a_reset_from_node_and_the_session_goes_on(node, code):
    with pytest.raises(sync_h2.StreamReset) as raised, node.request({":path": f"/reset/{int(code)}"}) as stream:
        stream.wait_response()
    assert raised.value.code == code
    assert raised.value.retryable == (code == sync_h2.ErrorCode.REFUSED_STREAM)
    assert stream.rst_code == code
    assert get(node, "/bytes/1") == b"\0"


def test_a_reset_from_us_and_the_session_goes_on(peer):
    with peer.session.request({":path": f"{peer.prefix}100000000"}) as stream:
        assert stream.read(100)
        stream.close(sync_h2.ErrorCode.CANCEL)
    assert stream.rst_code == sync_h2.ErrorCode.CANCEL
    assert get(peer.session, f"{peer.prefix}1") == b"\0"


# -- what else a session can do


def test_ping(peer):
    pong = peer.session.ping(b"pingpong")
    assert pong.payload == b"pingpong"
    assert 0 < pong.duration < 30


def test_a_ping_from_node_is_answered(node):
    assert json.loads(get(node, "/ping-me"))["payload"] == "pingpong"


def test_settings_are_acknowledged_and_obeyed(peer):
    peer.session.settings({"initial_window_size": 100, "header_table_size": 0}, wait=True)
    assert peer.session.local_settings.initial_window_size == 100
    assert not peer.session.pending_settings_ack
    assert download(peer.session, f"{peer.prefix}16385") == bodies.pattern_digest(16385)


def test_a_goaway_from_node_lets_the_stream_finish(node_origin, ca_file):
    goaways: queue.SimpleQueue[tuple[int, int, bytes]] = queue.SimpleQueue()
    listeners = {"goaway": lambda *arguments: goaways.put(arguments)}
    with connect(node_origin, ca_file, listeners=listeners) as session:
        assert get(session, "/goaway/0") == b"goodbye"
        assert goaways.get(timeout=10) == (0, 1, b"see you")
        with pytest.raises(sync_h2.HTTP2Error):
            session.request({":path": "/bytes/1"})


def test_tls_is_negotiated_and_verified(nghttpd_origin, ca_file):
    with connect(nghttpd_origin, ca_file) as session:
        if nghttpd_origin.startswith("https:"):
            assert (session.alpn_protocol, session.encrypted) == ("h2", True)
            assert ("DNS", "localhost") in session.peer_certificate["subjectAltName"]
            with pytest.raises(sync_h2.TLSError, match="certificate"):
                sync_h2.connect(nghttpd_origin)
        else:
            assert (session.alpn_protocol, session.encrypted) == ("h2c", False)
