"""Listeners: each event of a session and of a stream, in either role, and what is kept for a late one."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame

from support.connections.pairs import Connections
from support.octets.fields import REQUEST, RESPONSE, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, HTTP2Error, StreamReset

both_roles = pytest.mark.parametrize("role", ["client", "server"])


def hearing(heard: Any, *names: str) -> dict[str, Any]:
    """Listeners that note what they are called with."""
    return {name: lambda *arguments, name=name: heard.put((name, *arguments)) for name in names}


@both_roles
def test_events_of_a_session(plain_connections: Connections, role: str) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    names = ("connect", "remote_settings", "local_settings", "ping", "goaway", "error", "close")
    ends = plain_connections.ends(**{role: {"listeners": hearing(heard, *names)}})
    session, peer = (ends.client, ends.server) if role == "client" else (ends.server, ends.client)
    first = [heard.get(timeout=5) for _ in range(3)]
    assert sorted(event[0] for event in first) == ["connect", "local_settings", "remote_settings"]
    stream, served = ends.exchange()
    peer.settings({"max_frame_size": 20_000}, wait=True)
    name, settings = heard.get(timeout=5)
    assert (name, settings.max_frame_size) == ("remote_settings", 20_000)
    session.settings({"max_frame_size": 30_000}, wait=True)
    name, settings = heard.get(timeout=5)
    assert (name, settings.max_frame_size) == ("local_settings", 30_000)
    peer.ping(b"12345678")
    assert heard.get(timeout=5) == ("ping", b"12345678")
    peer.goaway(0, None, b"soon")
    assert heard.get(timeout=5) == ("goaway", 0, 1 if role == "client" else 0, b"soon")
    stream.end()
    served.end()
    assert heard.get(timeout=5) == ("close",)
    assert heard.empty()


@both_roles
def test_an_error_comes_before_the_close(plain_connections: Connections, role: str) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    ends = plain_connections.ends(**{role: {"listeners": hearing(heard, "error", "close")}})
    session = getattr(ends, role)
    session.destroy(RuntimeError("no more"), ErrorCode.CONNECT_ERROR)
    name, error = heard.get(timeout=5)
    assert name == "error"
    assert isinstance(error, HTTP2Error)
    assert isinstance(error.__cause__, RuntimeError)
    assert heard.get(timeout=5) == ("close",)


def test_a_goaway_listener_may_ping() -> None:
    """What a listener waits for is read by another thread."""
    pongs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with client_and_raw_server() as (session, peer):
        _stream = session.request()
        session.on("goaway", lambda *_: pongs.put(session.ping(b"question", timeout=5).payload))
        peer.answers_pings = True
        peer.goaway(1)
        eventually(lambda: peer.settled() is not None and not pongs.empty())
        assert pongs.get(timeout=5) == b"question"


def test_events_of_a_clients_stream(plain_connections: Connections) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    names = ("ready", "continue", "headers", "response", "trailers", "want_trailers", "aborted", "error", "close")
    ends = plain_connections.ends()
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True, listeners=hearing(heard, *names))
    assert heard.get(timeout=5) == ("ready",)
    served.additional_headers({":status": 100})
    assert heard.get(timeout=5) == ("continue",)
    name, headers = heard.get(timeout=5)
    assert (name, headers[":status"]) == ("headers", "100")
    served.respond({"x": "1"}, wait_for_trailers=True)
    name, headers = heard.get(timeout=5)
    assert (name, headers["x"]) == ("response", "1")
    stream.end(b"body")
    assert heard.get(timeout=5) == ("want_trailers",)
    stream.send_trailers({})
    served.send_trailers({"x": "2"})
    name, headers = heard.get(timeout=5)
    assert (name, headers["x"]) == ("trailers", "2")
    assert heard.get(timeout=5) == ("close", 0)
    assert heard.empty()


def test_events_of_a_servers_stream(plain_connections: Connections) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    ends = plain_connections.ends()
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    for name, function in hearing(heard, "trailers", "want_trailers", "aborted", "error", "close").items():
        served.on(name, function)
    served.respond(wait_for_trailers=True)
    served.end(b"body")
    assert heard.get(timeout=5) == ("want_trailers",)
    served.send_trailers({})
    stream.send_trailers({"x": "1"})
    name, headers = heard.get(timeout=5)
    assert (name, headers["x"]) == ("trailers", "1")
    assert heard.get(timeout=5) == ("close", 0)


@both_roles
def test_events_of_a_stream_that_the_peer_resets(plain_connections: Connections, role: str) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    ends = plain_connections.ends()
    stream, served = ends.exchange()
    ours, theirs = (stream, served) if role == "client" else (served, stream)
    for name, function in hearing(heard, "aborted", "error", "close").items():
        ours.on(name, function)
    theirs.close(ErrorCode.ENHANCE_YOUR_CALM)
    assert heard.get(timeout=5) == ("aborted",)
    name, error = heard.get(timeout=5)
    assert name == "error"
    assert isinstance(error, StreamReset)
    assert error.code == ErrorCode.ENHANCE_YOUR_CALM
    assert heard.get(timeout=5) == ("close", ErrorCode.ENHANCE_YOUR_CALM)
    assert ours.aborted


@both_roles
def test_no_abort_once_our_side_has_ended(plain_connections: Connections, role: str) -> None:
    heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    ends = plain_connections.ends()
    stream, served = ends.exchange()
    ours, theirs = (stream, served) if role == "client" else (served, stream)
    for name, function in hearing(heard, "aborted", "close").items():
        ours.on(name, function)
    ours.end(b"all")
    assert theirs.read() == b"all"
    theirs.close(ErrorCode.CANCEL)
    assert heard.get(timeout=5) == ("close", ErrorCode.CANCEL)
    assert not ours.aborted


def test_what_happened_once_is_kept_for_the_first_listener() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        peer.headers(1, RESPONSE)
        peer.headers(1, [("x", "1")], end_stream=True)
        assert stream.wait_trailers() == {"x": "1"}
        peer.reset(1, ErrorCode.INTERNAL_ERROR)
        assert stream.wait_closed(timeout=5) == ErrorCode.INTERNAL_ERROR
        session.destroy(RuntimeError("no more"))
        heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        names = ("response", "trailers", "aborted", "error", "close")
        for name, function in hearing(heard, *names).items():
            stream.on(name, function)
        assert [heard.get(timeout=5)[0] for _ in names] == list(names)
        for name, function in hearing(heard, "connect", "error").items():
            session.on(name, function)
        assert [heard.get(timeout=5)[0] for _ in range(2)] == ["connect", "error"]


def test_the_first_64_of_the_others_are_kept() -> None:
    with client_and_raw_server(settings={"max_concurrent_streams": 70}) as (session, peer):
        stream = session.request()
        for _ in range(32):  # a stream takes no more than 64 informational responses
            peer.headers(1, [(":status", "100")])
            peer.headers(1, [(":status", "103")])
        for number in range(70):
            peer.promise(1, 2 * number + 2, REQUEST)
        held = [stream.wait_push() for _ in range(70)]
        heard: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        for target, name, count in ((stream, "continue", 32), (stream, "headers", 64), (session, "stream", 64)):
            target.on(name, lambda *arguments: heard.put(arguments))
            kept = [heard.get(timeout=5) for _ in range(count)]
        assert [arguments[0].id for arguments in kept] == list(range(2, 130, 2))
        assert heard.empty()
        assert len(held) == 70


def test_a_server_sessions_stream_listener_is_a_handler() -> None:
    with server_and_raw_client(listeners={"stream": lambda stream, headers: stream.end(stream.read())}) as (_, peer):
        for stream_id in (1, 3):
            peer.headers(stream_id, UPLOAD)
        # In parallel: the first one's body comes last.
        peer.data(3, b"second", end_stream=True)
        assert peer.expect(DataFrame, 3).data == b"second"
        peer.data(1, b"first", end_stream=True)
        assert peer.expect(DataFrame, 1).data == b"first"
