"""CONNECT (RFC 9113 section 8.5) and extended CONNECT (RFC 8441): streams that carry somebody else's bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from support.octets import bodies
from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import (
    ConnectionLost,
    ErrorCode,
    InvalidArgument,
    InvalidState,
    ProtocolError,
    SessionClosed,
    StreamReset,
    Timeout,
)
from sync_h2.constants import SettingId
from sync_h2.testing import pair

CONNECT = {":method": "CONNECT", ":authority": "far.example:25"}
WEBSOCKET = {":method": "CONNECT", ":protocol": "websocket", ":path": "/chat"}
RAW_CONNECT = tuple(CONNECT.items())
RAW_WEBSOCKET = ((":method", "CONNECT"), (":protocol", "websocket"), *REQUEST[1:])
ENABLED = {SettingId.ENABLE_CONNECT_PROTOCOL: 1}


@pytest.fixture(params=["CONNECT", "extended CONNECT"])
def tunnel(request: Any, open_ends: Any) -> Any:
    """Both ends of a tunnel: the client's and the server's stream."""
    ends = open_ends(server={"settings": {"enable_connect_protocol": True}})
    stream, served = ends.exchange(CONNECT if request.param == "CONNECT" else WEBSOCKET)
    served.respond()
    assert stream.wait_response()[":status"] == "200"
    return stream, served


# -- bytes


def test_what_a_server_sees_of_a_request_for_a_tunnel(ends: Any) -> None:
    _stream, served = ends.exchange(CONNECT)
    assert {**served.request_headers} == CONNECT
    assert not served.end_after_headers


def test_what_a_server_sees_of_an_extended_one(open_ends: Any) -> None:
    ends = open_ends(server={"settings": {"enable_connect_protocol": True}})
    _stream, served = ends.exchange(WEBSOCKET)
    assert {**served.request_headers} == {**WEBSOCKET, ":scheme": "http", ":authority": "localhost"}


def test_a_conversation(tunnel: Any) -> None:
    stream, served = tunnel
    for number in range(20):
        stream.write(b"ping %d\n" % number)
        assert served.readline() == b"ping %d\n" % number
        served.write(b"pong %d\n" % number)
        assert stream.readline() == b"pong %d\n" % number


def test_more_than_the_windows_both_ways_at_once(tunnel: Any, background: Any) -> None:
    size = 3_000_000

    def send(stream: Any) -> None:
        for chunk in bodies.pattern(size):
            stream.write(chunk)
        stream.end()

    sending = [background(send, stream) for stream in tunnel]
    receiving = [background(bodies.digest, stream) for stream in tunnel]
    assert [future.result(20) for future in receiving] == [bodies.pattern_digest(size)] * 2
    assert [future.result(5) for future in sending] == [None, None]


def test_bytes_may_go_before_the_answer_has_come(ends: Any) -> None:
    stream, served = ends.exchange(CONNECT)
    stream.write(b"early")
    assert served.read(5) == b"early"
    served.write(b"at once")  # which also answers
    assert stream.read(7) == b"at once"
    assert stream.response_headers[":status"] == "200"


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_begins_a_tunnel(status: int) -> None:
    with client_and_raw_server() as (session, peer), session.request(CONNECT) as stream:
        peer.expect(HeadersFrame)
        peer.headers(1, [(":status", str(status)), ("content-length", "2")])  # which says nothing here
        peer.data(1, b"bytes")
        peer.data(1, b"", end_stream=True)
        assert stream.read() == b"bytes"


# -- the end of one direction, and of both


@pytest.mark.parametrize("first", ["client", "server"])
def test_one_side_ends_first(tunnel: Any, first: str) -> None:
    near, far = tunnel if first == "client" else reversed(tunnel)
    near.end(b"that was all")
    assert far.read() == b"that was all"
    assert not far.closed
    far.write(b"not ")
    assert near.read(4) == b"not "
    far.end(b"for me")
    assert near.read() == b"for me"
    for end in tunnel:
        assert (end.wait_closed(5), end.aborted) == (0, False)


@pytest.mark.parametrize("breaks", [0, 1], ids=["client", "server"])
def test_a_broken_tunnel_is_not_an_ended_one(tunnel: Any, breaks: int, background: Any) -> None:
    breaking, other = tunnel[breaks], tunnel[1 - breaks]
    breaking.write(b"the last bytes")
    breaking.close(ErrorCode.CONNECT_ERROR)  # RFC 9113 section 8.5: what a TCP reset becomes
    assert other.wait_closed(5) == ErrorCode.CONNECT_ERROR
    assert other.read(100) == b"the last bytes"
    for call in (lambda: other.read(100), lambda: other.write(b"x")):
        with pytest.raises(StreamReset) as raised:
            call()
        assert raised.value.code == ErrorCode.CONNECT_ERROR
    assert other.aborted


def test_a_break_wakes_the_other_ends_reader(tunnel: Any, background: Any) -> None:
    stream, served = tunnel
    reading = background(served.read, 100)
    eventually(lambda: waits(served))
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset) as raised:
        reading.result(5)
    assert raised.value.code == ErrorCode.CANCEL


def test_a_session_that_closes_waits_for_its_tunnels(tunnel: Any, background: Any) -> None:
    stream, served = tunnel
    closing = background(stream.session.close)
    eventually(lambda: stream.session.closed)
    stream.write(b"still ")
    assert served.read(6) == b"still "
    stream.end(b"here")
    served.end(served.read())
    assert stream.read() == b"here"
    closing.result(5)


def test_a_handler_that_returns_ends_the_tunnel() -> None:
    client, server = pair(lambda stream, headers: stream.respond() or stream.write(b"bye"))
    with client, client.request(CONNECT) as stream:
        assert stream.read() == b"bye"
        assert stream.wait_closed(5) == ErrorCode.NO_ERROR  # nobody reads what this side could still send
    server.destroy()


def test_a_handler_that_fails_breaks_the_tunnel(caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"so far")
        raise LookupError("no such host")

    client, server = pair(handler)
    with client, client.request(CONNECT) as stream:
        with pytest.raises(StreamReset) as raised:
            stream.read()
        assert (raised.value.code, raised.value.partial) == (ErrorCode.INTERNAL_ERROR, b"so far")
    server.destroy()
    assert "no such host" in caplog.text


# -- a refusal


def test_a_refused_tunnel_is_a_response_like_any_other(ends: Any) -> None:
    stream, served = ends.exchange(CONNECT)
    served.respond({":status": 502, "content-length": 11}, wait_for_trailers=True)
    served.write(b"unreachable")
    served.send_trailers({"x-tried": "3"})
    assert stream.wait_response()[":status"] == "502"
    assert stream.read() == b"unreachable"
    assert stream.wait_trailers()["x-tried"] == "3"


# -- what a tunnel does not have


def test_a_request_for_a_tunnel_that_names_no_port(ends: Any) -> None:
    for authority in ("far.example", "far.example:", "far.example:https", ":25", "[::1]"):
        with pytest.raises(InvalidArgument, match=r":authority of CONNECT names a host and a port.*'host:443'"):
            ends.client.request({**CONNECT, ":authority": authority})
    stream, served = ends.exchange({**CONNECT, ":authority": "[::1]:25"})
    served.respond({":status": 403}, end_stream=True)
    assert stream.wait_response()[":status"] == "403"


def test_no_trailers_length_or_push(ends: Any) -> None:
    with pytest.raises(InvalidArgument, match="wait_for_trailers"):
        ends.client.request(CONNECT, wait_for_trailers=True)
    stream, served = ends.exchange(CONNECT)
    with pytest.raises(InvalidArgument, match="content-length"):
        served.respond({"content-length": 5})
    with pytest.raises(InvalidArgument, match="wait_for_trailers"):
        served.respond(wait_for_trailers=True)
    assert not served.headers_sent
    served.respond()
    assert not served.push_allowed
    with pytest.raises(InvalidState, match="nothing but DATA"):
        served.push_stream()
    served.end(b"usable")
    assert stream.read() == b"usable"


def test_trailers_from_a_client_break_the_tunnel() -> None:
    failed = []

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        try:
            stream.read()
        except ProtocolError as error:
            failed.append((error.code, error.partial, str(error)))

    with server_and_raw_client(handler) as (_session, peer):
        peer.headers(1, RAW_CONNECT)
        peer.expect(HeadersFrame, 1)
        peer.data(1, b"bytes")
        peer.headers(1, [("x-sum", "1")], end_stream=True)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.PROTOCOL_ERROR
        eventually(lambda: failed)
        [(code, partial, message)] = failed
        assert (code, partial) == (ErrorCode.PROTOCOL_ERROR, b"bytes")
        assert "nothing but DATA" in message
        peer.headers(3, REQUEST, end_stream=True)  # the session goes on
        assert peer.expect(HeadersFrame, 3)


@pytest.mark.parametrize("frame", ["trailers", "promise"])
def test_what_else_a_server_may_not_send_into_a_tunnel(frame: str) -> None:
    with client_and_raw_server() as (session, peer), session.request(CONNECT) as stream:
        peer.expect(HeadersFrame)
        peer.headers(1, RESPONSE)
        stream.wait_response()
        if frame == "trailers":
            peer.headers(1, [("x-sum", "1")], end_stream=True)
        else:
            peer.promise(1, 2, REQUEST)
            assert peer.expect(RstStreamFrame, 2).error_code == ErrorCode.CANCEL
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.PROTOCOL_ERROR
        with pytest.raises(ProtocolError, match="nothing but DATA"):
            stream.read()
        after = session.request()
        peer.headers(after.id, RESPONSE, end_stream=True)
        assert after.wait_response()[":status"] == "200"


# -- extended CONNECT: whether the peer takes it


def test_it_waits_for_the_settings_that_allow_it(background: Any) -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        requesting = background(session.request, WEBSOCKET)
        eventually(lambda: session._pending)
        peer.handshake(ENABLED)
        stream = requesting.result(5)
        assert stream.id == 1
        assert dict(peer.expect(HeadersFrame).fields)[":protocol"] == "websocket"


def test_it_waits_for_the_settings_that_do_not(background: Any) -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        requesting = background(session.request, WEBSOCKET)
        eventually(lambda: session._pending)
        peer.handshake()
        with pytest.raises(InvalidState, match=r"takes no extended CONNECT.*enable_connect_protocol"):
            requesting.result(5)
        with pytest.raises(InvalidState, match="takes no extended CONNECT"):
            session.request(WEBSOCKET)
        assert not [frame for frame in peer.settled() if isinstance(frame, HeadersFrame)]
        stream = session.request()
        assert stream.id == 1


def test_it_waits_no_longer_than_its_timeout() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        with pytest.raises(Timeout, match="SETTINGS, which say whether it takes extended CONNECT"):
            session.request(WEBSOCKET, timeout=0.01)
        peer.handshake(ENABLED)
        assert not [frame for frame in peer.settled() if isinstance(frame, HeadersFrame)]
        stream = session.request(WEBSOCKET)
        assert stream.id == 1


def test_it_does_not_wait_with_wait_false() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        streams = [session.request(WEBSOCKET, wait=False) for _ in range(2)]
        assert [stream.pending for stream in streams] == [True, True]
        peer.handshake(ENABLED)
        assert peer.expect(HeadersFrame).stream_id == 1
        assert peer.expect(HeadersFrame).stream_id == 3
        assert [stream.id for stream in streams] == [1, 3]


def test_without_waiting_a_refusal_is_found_on_the_stream() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        stream = session.request(WEBSOCKET, wait=False)
        peer.handshake()
        with pytest.raises(InvalidState, match="takes no extended CONNECT"):
            stream.wait_response()
        assert (stream.closed, stream.id) == (True, None)


def test_it_holds_up_no_other_request() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        waiting_stream = session.request(WEBSOCKET, wait=False)
        stream = session.request(CONNECT)
        peer.receive_preface()
        assert peer.expect(HeadersFrame).stream_id == stream.id == 1
        assert waiting_stream.pending
        peer.send(SettingsFrame(0, settings=ENABLED))
        assert peer.expect(HeadersFrame).stream_id == 3


@pytest.mark.parametrize("end", ["lost", "destroyed", "closed"])
def test_a_session_that_ends_wakes_it(end: str, background: Any) -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        requesting = background(session.request, WEBSOCKET)
        eventually(lambda: session._pending and waits_for_slot(session))
        if end == "lost":
            peer.close()
        elif end == "destroyed":
            session.destroy()
        else:
            session.close(wait=False)
        with pytest.raises(ConnectionLost if end == "lost" else SessionClosed):
            requesting.result(5)


def waits_for_slot(session: Any) -> bool:
    return all(state.writer_waits for state in session._pending)


def test_a_server_may_allow_it_later() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        with pytest.raises(InvalidState):
            session.request(WEBSOCKET)
        peer.send(SettingsFrame(0, settings=ENABLED))
        peer.settled()
        assert session.remote_settings.enable_connect_protocol
        stream = session.request(WEBSOCKET)
        assert stream.id == 1


def test_a_server_may_not_take_it_back() -> None:
    with client_and_raw_server(peer_settings=ENABLED) as (session, peer):
        peer.send(SettingsFrame(0, settings={SettingId.ENABLE_CONNECT_PROTOCOL: 0}))
        assert peer.farewell().error_code == ErrorCode.PROTOCOL_ERROR
        with pytest.raises(ProtocolError, match="withdrawn"):
            session.request(WEBSOCKET)


def test_our_server_does_not_take_it_back(open_ends: Any) -> None:
    ends = open_ends(server={"settings": {"enable_connect_protocol": True}})
    with pytest.raises(InvalidArgument, match="enable_connect_protocol"):
        ends.server.settings({"enable_connect_protocol": False})
    _stream, served = ends.exchange(WEBSOCKET)
    served.respond(end_stream=True)


def test_our_server_allows_it_later(ends: Any) -> None:
    ends.server.settings({"enable_connect_protocol": True}, wait=True)
    stream, served = ends.exchange(WEBSOCKET)
    served.end(b"yes")
    assert stream.read() == b"yes"


def test_a_server_that_has_not_enabled_it_resets_the_stream() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"?")) as (_session, peer):
        peer.headers(1, RAW_WEBSOCKET)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.PROTOCOL_ERROR
        peer.headers(3, REQUEST, end_stream=True)
        assert peer.expect(DataFrame, 3).data == b"?"


def test_a_protocol_needs_the_method(ends: Any) -> None:
    with pytest.raises(InvalidArgument, match="only CONNECT has one"):
        ends.client.request({":protocol": "websocket"})
