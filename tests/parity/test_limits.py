"""Every limit of the reference table, through real sessions: its default, its option, and what tripping it does, from
either role where it applies.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.octets.fields import REQUEST, RESPONSE, UPLOAD
from support.peers.raw_peer import Fields, RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import (
    ClientSession,
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    InvalidArgument,
    PingLimit,
    ServerSession,
    Timeout,
    connect,
    create_server,
)
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId
from sync_h2.protocol.limits import Limits

Background = Callable[..., "Future[Any]"]

DEFAULTS: dict[str, Any] = {
    "max_sessions": 4096,
    "max_sessions_per_address": None,
    "handshake_timeout": 10,
    "max_concurrent_streams": 100,
    "max_header_list_size": 64 * 1024,
    "max_header_pairs": 128,
    "max_continuation_frames": 16,
    "header_timeout": 20,
    "read_timeout": 60,
    "write_timeout": 60,
    "idle_timeout": 120,
    "settings_timeout": 10,
    "keepalive_interval": None,
    "keepalive_timeout": 10,
    "close_timeout": 10,
    "stream_reset_burst": 1000,
    "stream_reset_rate": 33,
    "max_session_invalid_frames": 1000,
    "max_session_rejected_streams": 100,
    "max_settings": 32,
    "max_queued_control_frames": 1000,
    "max_session_memory": 16 * 1024 * 1024,
    "max_server_memory": 1024 * 1024 * 1024,
    "max_waiting_handlers": 1000,
    "max_outstanding_pings": 10,
    "max_discarded_body": 16 * 1024 * 1024,
    "discard_timeout": 10,
    "max_send_header_block_length": 64 * 1024,
    "max_deflate_dynamic_table_size": 4096,
    "peer_max_concurrent_streams": 100,
    "max_origin_set_size": 128,
    "padding_strategy": "none",
    "http1_early_hints": False,
}
OF_CLIENTS: dict[str, Any] = {
    "read_timeout": None,
    "write_timeout": None,
    "idle_timeout": None,
    "max_session_memory": 64 * 1024 * 1024,
}

both_roles = pytest.mark.parametrize("role", ["client", "server"])


def test_the_defaults_are_those_of_the_reference() -> None:
    server, client = Limits.for_server(), Limits.for_client()
    assert {name: getattr(server, name) for name in Limits.__dataclass_fields__} == DEFAULTS
    assert {name: getattr(client, name) for name in Limits.__dataclass_fields__} == {**DEFAULTS, **OF_CLIENTS}


def nothing(stream: Any, headers: Any) -> None:
    """Keeps its stream open until the test is over."""
    stream.detach()
    _held.append(stream)


_held: list[Any] = []


@pytest.fixture(autouse=True)
def _let_go() -> Any:
    yield
    _held.clear()


def opened(role: str, **options: Any) -> AbstractContextManager[tuple[ClientSession | ServerSession, RawPeer]]:
    """A session in this role with a peer that the test plays."""
    return client_and_raw_server(**options) if role == "client" else server_and_raw_client(nothing, **options)


def with_stream(role: str, session: Any, peer: RawPeer) -> list[Frame]:
    """Stream 1 open, and the peer free to send its body; all frames that came until then."""
    if role == "client":
        _held.append(session.request({":method": "POST"}))
        peer.headers(1, RESPONSE)
    else:
        peer.headers(1, UPLOAD)
    return peer.settled()


def message(role: str) -> Fields:
    """What the peer may open its side of stream 1 with."""
    return RESPONSE if role == "client" else UPLOAD


def credit(frames: list[Frame]) -> int:
    """What the session has granted for the whole connection."""
    updates = [frame for frame in frames if isinstance(frame, WindowUpdateFrame) and not frame.stream_id]
    return sum(frame.window_increment for frame in updates)


def ended_by(peer: RawPeer, limit: str, code: int = ErrorCode.ENHANCE_YOUR_CALM) -> None:
    goaway = peer.farewell()
    assert (goaway.error_code, goaway.additional_data) == (code, limit.encode())


# -- connections


@pytest.mark.parametrize("limit", ["max_sessions", "max_sessions_per_address"])
def test_a_connection_too_many_is_told_why_and_closed(limit: str) -> None:
    with (
        create_server(nothing, **{limit: 1}) as server,
        connect(server.url) as first,
    ):
        stream = first.request()  # an idle session would make room
        assert first.ping()
        sock = socket.create_connection(server.address)
        peer = RawPeer(sock, client=True)
        assert isinstance(peer.receive(), SettingsFrame)
        goaway = peer.receive()
        assert isinstance(goaway, GoAwayFrame)
        assert (goaway.error_code, goaway.last_stream_id) == (ErrorCode.ENHANCE_YOUR_CALM, 0)
        assert goaway.additional_data == limit.encode()
        assert peer.receive() is None
        sock.close()
        assert first.ping()
        stream.destroy()


def test_a_client_that_is_one_too_many_may_try_again() -> None:
    with create_server(nothing, max_sessions=1) as server, connect(server.url) as first:
        stream = first.request()  # an idle session would make room
        assert first.ping()
        session = connect(server.url)
        with pytest.raises(HTTP2Error) as raised:
            session.request().wait_response(timeout=10)
        assert raised.value.retryable or isinstance(raised.value, ConnectionLost)
        session.destroy()
        stream.destroy()


@both_roles
def test_handshake_timeout(role: str) -> None:
    with opened(role, handshake=False, handshake_timeout=0.2) as (_, peer):
        peer.receive_preface()
        ended_by(peer, "handshake_timeout", ErrorCode.SETTINGS_TIMEOUT)


def test_handshake_timeout_bounds_a_clients_tls_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Timeout, match=r"TLS.* 0\.2 s"):
        connect(f"https://127.0.0.1:{silent.getsockname()[1]}", handshake_timeout=0.2)


@both_roles
def test_settings_timeout(role: str) -> None:
    with opened(role, handshake=False, settings_timeout=0.2) as (_, peer):
        if role == "server":
            peer.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        peer.receive_preface()
        peer.send(SettingsFrame(0))
        ended_by(peer, "settings_timeout", ErrorCode.SETTINGS_TIMEOUT)


@both_roles
def test_idle_timeout(role: str) -> None:
    with opened(role, idle_timeout=0.2) as (session, peer):
        peer.answers_pings = True
        goaway = peer.farewell()
        assert (goaway.error_code, goaway.last_stream_id) == (ErrorCode.NO_ERROR, 0)
        assert session.closed


def test_an_idle_client_with_an_open_stream_finishes_it() -> None:
    with client_and_raw_server(idle_timeout=0.2) as (session, peer):
        stream = session.request()
        assert peer.expect(GoAwayFrame).error_code == ErrorCode.NO_ERROR
        peer.headers(1, RESPONSE)
        peer.data(1, b"late", end_stream=True)
        assert stream.read() == b"late"
        peer.until_end()


@both_roles
def test_a_timeout_listener_decides_about_an_idle_session(role: str) -> None:
    fired = threading.Event()
    with opened(role, idle_timeout=0.1, listeners={"timeout": fired.set}) as (session, peer):
        assert fired.wait(5)
        peer.settled()
        assert not session.closed


@both_roles
def test_keepalive(role: str, background: Background) -> None:
    with opened(role, keepalive_interval=0.1, keepalive_timeout=0.1) as (session, peer):
        assert peer.expect(PingFrame).flags == set()
        eventually(lambda: session.destroyed)
        with pytest.raises(ConnectionLost, match="PING"):
            session.ping()


@both_roles
def test_close_timeout(role: str, background: Background) -> None:
    with opened(role, close_timeout=0.2) as (session, peer):
        with_stream(role, session, peer)
        reading = background(_held[0].read)

        eventually(lambda: _held[0]._state.reader_waits)
        with session:
            pass  # the stream is being read, so it is not cancelled
        assert isinstance(reading.exception(10), HTTP2Error)
        assert session.destroyed


# -- header blocks


@both_roles
@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"max_header_list_size": 1000}, [("x", "y" * 1000)]),
        ({"max_header_pairs": 10}, [(f"x-{number}", "y") for number in range(10)]),
        ({}, [("x", "y" * 70_000)]),
        ({}, [(f"x-{number}", "y") for number in range(130)]),
    ],
)
def test_headers_over_the_limit(role: str, options: dict[str, int], fields: list[tuple[str, str]]) -> None:
    with opened(role, **options) as (session, peer):
        peer.settled()
        if role == "client":
            stream = session.request()
            block = peer._encoder.encode([*RESPONSE, *fields])
            peer.send(*block_frames(1, block))
            with pytest.raises(HTTP2Error) as raised:
                stream.wait_response(timeout=5)
            assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
            assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.ENHANCE_YOUR_CALM
        else:
            peer.send(*block_frames(1, peer._encoder.encode([*REQUEST, *fields])))
            answer = peer.expect(HeadersFrame, 1)
            assert dict(answer.fields)[":status"] == "431"
            assert "END_STREAM" in answer.flags
        peer.settled()
        assert not session.closed


def block_frames(stream_id: int, block: bytes) -> list[HeadersFrame | ContinuationFrame]:
    """A header block in frames of the usual size."""
    pieces = [block[start : start + 16_384] for start in range(0, len(block), 16_384)]
    frames: list[HeadersFrame | ContinuationFrame] = [HeadersFrame(stream_id, pieces[0], flags=["END_STREAM"])]
    frames += [ContinuationFrame(stream_id, piece) for piece in pieces[1:]]
    frames[-1].flags.add("END_HEADERS")
    return frames


@both_roles
def test_headers_far_beyond_the_limit_end_the_session(role: str) -> None:
    """References to one long field, of one octet each, that stand for a megabyte."""
    encoder = Encoder()
    long_field = [("x", "y" * 3000)]
    bomb = encoder.encode(message(role)) + encoder.encode(long_field) + encoder.encode(long_field) * 350
    with opened(role) as (session, peer):
        peer.settled()
        if role == "client":
            _held.append(session.request())
        peer.send(*block_frames(1, bomb))
        ended_by(peer, "max_header_list_size")


@both_roles
@pytest.mark.parametrize("most", [None, 3])
def test_continuation_frames(role: str, most: int | None) -> None:
    options = {} if most is None else {"max_continuation_frames": most}
    with opened(role, **options) as (session, peer):
        if role == "client":
            _held.append(session.request())
        block = peer._encoder.encode(message(role))
        fragments = [ContinuationFrame(1, block if number == 0 else b"") for number in range((most or 16) + 1)]
        peer.send(HeadersFrame(1), *fragments)
        ended_by(peer, "max_continuation_frames")


@both_roles
def test_as_many_continuation_frames_as_allowed(role: str) -> None:
    with opened(role) as (session, peer):
        if role == "client":
            _held.append(session.request())
        fragments = [ContinuationFrame(1) for _ in range(16)]
        fragments[-1].data = peer._encoder.encode(message(role))
        fragments[-1].flags.add("END_HEADERS")
        peer.send(HeadersFrame(1), *fragments)
        peer.settled()
        assert not session.closed


@both_roles
def test_header_timeout(role: str) -> None:
    with opened(role, header_timeout=0.2) as (session, peer):
        if role == "client":
            _held.append(session.request())
        peer.send(HeadersFrame(1, peer._encoder.encode(message(role))))
        ended_by(peer, "header_timeout")


# -- streams


def test_a_default_server_takes_a_hundred_streams_at_once() -> None:
    with server_and_raw_client(nothing) as (_, peer):
        for stream_id in range(1, 203, 2):
            peer.headers(stream_id, UPLOAD)
        refused = peer.expect(RstStreamFrame)
        assert (refused.stream_id, refused.error_code) == (201, ErrorCode.REFUSED_STREAM)


def test_a_default_client_opens_a_hundred_streams_before_the_servers_settings() -> None:
    with client_and_raw_server(handshake=False) as (session, peer):
        streams = [session.request() for _ in range(100)]
        waiting = session.request(wait=False)
        assert waiting.pending
        peer.handshake({SettingId.MAX_CONCURRENT_STREAMS: 101})
        peer.settled()
        assert not waiting.pending
        assert {stream.pending for stream in streams} == {False}


def test_max_concurrent_streams_of_a_client_bounds_what_is_pushed() -> None:
    with client_and_raw_server(max_concurrent_streams=1) as (session, peer):
        stream = session.request()
        for promised_id in (2, 4):
            peer.promise(1, promised_id, REQUEST)
        refused = peer.expect(RstStreamFrame)
        assert (refused.stream_id, refused.error_code) == (4, ErrorCode.REFUSED_STREAM)
        promised = stream.wait_push()
        assert promised is not None
        assert promised.id == 2


@pytest.mark.parametrize("trick", ["reset", "makes us reset"])
@pytest.mark.parametrize("burst", [None, 20])
def test_stream_resets(trick: str, burst: int | None) -> None:
    options = {} if burst is None else {"stream_reset_burst": burst}
    with server_and_raw_client(lambda stream, headers: stream.end(), stream_reset_rate=0.0, **options) as (_, peer):
        block = Encoder().encode(REQUEST)  # without references to a table that another request has changed
        frames = b""
        for number in range((burst or 1000) + 1):
            stream_id = 2 * number + 1
            frames += HeadersFrame(stream_id, bytes(block), flags=["END_HEADERS"]).serialize()
            if trick == "reset":
                frames += RstStreamFrame(stream_id, ErrorCode.CANCEL).serialize()
            else:
                frames += (
                    bytes.fromhex("000004 08 00") + stream_id.to_bytes(4, "big") + bytes(4)
                )  # a zero WINDOW_UPDATE
        with contextlib.suppress(OSError):
            peer.sock.sendall(frames)
        ended_by(peer, "stream_reset_rate")


@both_roles
@pytest.mark.parametrize("most", [None, 20])
def test_frames_without_a_purpose(role: str, most: int | None) -> None:
    options = {} if most is None else {"max_session_invalid_frames": most}
    with opened(role, **options) as (session, peer):
        with_stream(role, session, peer)
        count = most or 1000
        # More than the limit: within a minute so many are forgiven.
        with contextlib.suppress(OSError):
            peer.sock.sendall(DataFrame(1).serialize() * (count + count // 2))
        ended_by(peer, "max_session_invalid_frames")


@pytest.mark.parametrize("most", [None, 3])
def test_rejected_streams(most: int | None) -> None:
    options = {} if most is None else {"max_session_rejected_streams": most}
    with server_and_raw_client(nothing, max_concurrent_streams=1, stream_reset_burst=10_000, **options) as (_, peer):
        peer.settled()  # so that the limit is known to be known
        for number in range((most or 100) + 2):
            peer.headers(2 * number + 1, UPLOAD)
        ended_by(peer, "max_session_rejected_streams")


# -- what a session holds and answers


@both_roles
@pytest.mark.parametrize("most", [None, 3])
def test_settings_in_one_frame(role: str, most: int | None) -> None:
    count = most or 32
    with opened(role, **({} if most is None else {"max_settings": most})) as (session, peer):
        peer.send(SettingsFrame(0, settings={0xF010 + number: 1 for number in range(count)}))
        peer.settled()
        assert not session.closed
        peer.send(SettingsFrame(0, settings={0xF010 + number: 1 for number in range(count + 1)}))
        ended_by(peer, "max_settings")


@both_roles
def test_answers_that_nobody_reads(role: str, background: Background) -> None:
    with opened(role, max_queued_control_frames=100) as (session, peer):
        burst = PingFrame(0, b"12345678").serialize() * 1000

        def flood() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer.sock.sendall(burst)

        flooding = background(flood)
        eventually(lambda: session.destroyed)
        with pytest.raises(HTTP2Error) as raised:
            session.ping()
        assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
        flooding.result(20)


@both_roles
def test_unread_data_holds_credit_back_and_more_ends_the_session(role: str) -> None:
    memory = 256 * 1024
    options = {"max_session_memory": memory, "settings": {"initial_window_size": 2**31 - 1}}
    with opened(role, **options) as (session, peer):
        window = DEFAULT_WINDOW_SIZE + credit(with_stream(role, session, peer))
        sent = 0
        while window >= 16_384:
            peer.data(1, b"x" * 16_384)
            sent += 16_384
            window += credit(peer.settled()) - 16_384
        assert memory - 2 * DEFAULT_WINDOW_SIZE <= sent <= memory
        assert not session.closed
        peer.keeps_to_windows = False
        with contextlib.suppress(OSError):
            peer.data(1, b"x" * 16_384)
        assert peer.farewell().error_code == ErrorCode.FLOW_CONTROL_ERROR


# -- our own calls


@both_roles
@pytest.mark.parametrize("most", [None, 2])
def test_outstanding_pings(role: str, most: int | None, background: Background) -> None:
    count = most or 10
    with opened(role, **({} if most is None else {"max_outstanding_pings": most})) as (session, peer):
        pings = [background(session.ping, bytes([number]) * 8) for number in range(count)]
        for _ in range(count):
            peer.expect(PingFrame)
        with pytest.raises(PingLimit, match=f"{count} pings.*max_outstanding_pings"):
            session.ping()
        for number in range(count):
            peer.send(PingFrame(0, bytes([number]) * 8, flags=["ACK"]))
        assert [call.result(5).payload[0] for call in pings] == list(range(count))


@both_roles
def test_length_of_a_header_block_that_we_send(role: str, plain_connections: Any) -> None:
    options = {} if role == "client" else {"server": {"max_send_header_block_length": 1000}}
    if role == "client":
        options = {"client": {"max_send_header_block_length": 1000}}
    ends = plain_connections.ends(**options)
    stream, served = ends.exchange()
    with pytest.raises(InvalidArgument, match="max_send_header_block_length allows 1000"):
        ends.client.request({"x": "y" * 1000}) if role == "client" else served.respond({"x": "y" * 1000})
    # The other end has the default, 64 KiB.
    if role == "client":
        served.respond({"x": "y" * 60_000})
        served.end()
        assert len(stream.wait_response()["x"]) == 60_000
    else:
        longer, _ = ends.exchange({"x": "y" * 60_000})
        longer.close(ErrorCode.CANCEL)


@both_roles
@pytest.mark.parametrize(("option", "largest"), [({}, 4096), ({"max_deflate_dynamic_table_size": 100}, 100)])
def test_the_table_of_our_header_compression(role: str, option: dict[str, int], largest: int) -> None:
    """The peer allows a table of 64 KiB; ours announces the size that it uses at the start of a block."""
    with opened(role, peer_settings={SettingId.HEADER_TABLE_SIZE: 65_536}, **option) as (session, peer):
        peer.settled()
        peer._decoder.max_allowed_table_size = 65_536
        if role == "client":
            for number in range(100):
                stream = session.request({f"x-{number}": "y" * 100})
                peer.expect(HeadersFrame, stream.id)
                stream.close(ErrorCode.CANCEL)
        else:
            for number in range(100):
                peer.headers(2 * number + 1, UPLOAD)
                eventually(lambda number=number: len(_held) == number + 1)
                _held[-1].respond({f"x-{number}": "y" * 100})
                peer.expect(HeadersFrame, 2 * number + 1)
                _held[-1].close(ErrorCode.CANCEL)
        assert peer._decoder.header_table._current_size <= largest


@both_roles
@pytest.mark.parametrize("call", ["read", "write"])
def test_read_and_write_timeouts(role: str, call: str) -> None:
    with opened(role, read_timeout=0.1, write_timeout=0.1) as (session, peer):
        with_stream(role, session, peer)
        (stream,) = _held
        with pytest.raises(Timeout) as raised:
            stream.read() if call == "read" else stream.write(b"x" * 200_000)
        assert raised.value.stream_id == 1
        if call == "write":
            assert raised.value.bytes_written == DEFAULT_WINDOW_SIZE
        peer.data(1, b"late", end_stream=True)
        assert stream.read(timeout=math.inf) == b"late"


def test_a_servers_handler_that_times_out_does_not_leave_its_stream_open() -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        stream.read()

    with server_and_raw_client(handler, read_timeout=0.1) as (session, peer):
        peer.headers(1, UPLOAD)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
        peer.settled()
        assert not session.closed
