"""Header lists that are kept have their share of `max_session_memory`: what goes beyond it is refused."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.octets import frames
from support.octets.fields import REQUEST, RESPONSE, UPLOAD
from support.peers.raw_peer import RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, Headers, ProtocolError

LONG = ("x-long", "y" * 40_000)
MEMORY = 8 * 200_000  # room for four of these


def send(peer: RawPeer, stream_id: int, *fields: frames.Field, end_stream: bool = False) -> None:
    peer.sock.sendall(frames.split_headers(stream_id, frames.block(*fields), end_stream=end_stream))


def resets(peer: RawPeer) -> list[tuple[int, int]]:
    return [(frame.stream_id, frame.error_code) for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_requests_with_long_headers_beyond_the_share_are_refused() -> None:
    """Small ones are not, and there is room again when a handler has returned."""
    released = threading.Event()

    def handler(stream: Any, headers: Headers) -> None:
        if "x-long" in headers:
            released.wait(20)
        stream.end(b"hello")

    with server_and_raw_client(handler, max_session_memory=MEMORY) as (session, peer):
        try:
            for stream_id in range(1, 13, 2):
                send(peer, stream_id, *REQUEST, LONG, end_stream=True)
            assert resets(peer) == [(9, ErrorCode.REFUSED_STREAM), (11, ErrorCode.REFUSED_STREAM)]
            peer.headers(13, REQUEST, end_stream=True)  # and the tables are in step
            assert peer.expect(DataFrame, 13).data == b"hello"
        finally:
            released.set()
        eventually(lambda: session._header_memory.held == 0)
        send(peer, 15, *REQUEST, LONG, end_stream=True)
        assert peer.expect(DataFrame, 15).data == b"hello"


def test_a_long_request_alone_is_always_taken() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"hello"), max_session_memory=50_000) as (_, peer):
        for stream_id in (1, 3, 5):
            send(peer, stream_id, *REQUEST, LONG, end_stream=True)
            assert peer.expect(DataFrame, stream_id).data == b"hello"


def test_trailers_beyond_the_share_reset_their_stream() -> None:
    started: list[Any] = []
    failed: list[Exception] = []

    def handler(stream: Any, headers: Headers) -> None:
        started.append(stream)
        try:
            stream.wait_trailers(timeout=20)
            stream.wait_closed(timeout=20)
        except ProtocolError as error:
            failed.append(error)

    with server_and_raw_client(handler, max_session_memory=MEMORY) as (_, peer):
        for stream_id in range(1, 11, 2):
            peer.headers(stream_id, UPLOAD)
        eventually(lambda: len(started) == 5)
        for stream_id in range(1, 11, 2):
            send(peer, stream_id, LONG, end_stream=True)
        assert resets(peer) == [(9, ErrorCode.ENHANCE_YOUR_CALM)]
        eventually(lambda: failed)
        assert "max_session_memory" in str(failed[0])


def test_such_resets_are_counted() -> None:
    def handler(stream: Any, headers: Headers) -> None:
        stream.wait_closed(timeout=20)

    options = {"max_session_memory": 0, "stream_reset_burst": 5, "stream_reset_rate": 0.0}
    with server_and_raw_client(handler, **options) as (_, peer):
        for stream_id in range(1, 15, 2):
            send(peer, stream_id, *REQUEST, LONG, end_stream=True)
        assert peer.farewell().additional_data == b"stream_reset_rate"


def test_a_stream_that_outlives_its_handler_is_counted_until_it_is_dropped() -> None:
    kept: list[Any] = []

    def handler(stream: Any, headers: Headers) -> None:
        stream.detach()
        kept.append(stream)

    with server_and_raw_client(handler, max_session_memory=MEMORY) as (session, peer):
        send(peer, 1, *REQUEST, LONG, end_stream=True)
        eventually(lambda: kept and not session._handler_threads)
        peer.reset(1, ErrorCode.CANCEL)
        eventually(lambda: kept[0].closed)
        assert session._header_memory.held > 40_000
        kept.clear()
        gc.collect()
        eventually(lambda: session._header_memory.held == 0)


@pytest.mark.parametrize("kind", ["responses", "informational responses", "trailers"])
def test_a_client_resets_what_is_beyond_the_share(kind: str) -> None:
    """And counts what its open streams hold: what it has of finished ones is its user's choice."""
    with client_and_raw_server(max_session_memory=MEMORY) as (session, peer):
        streams = [session.request({":method": "POST"}) for _ in range(5)]
        for stream in streams:
            peer.expect(HeadersFrame, stream.id)
            if kind == "trailers":
                peer.headers(stream.id, RESPONSE)
                send(peer, stream.id, LONG, end_stream=True)
            else:
                send(peer, stream.id, (":status", "200" if kind == "responses" else "103"), LONG)
        assert resets(peer) == [(9, ErrorCode.ENHANCE_YOUR_CALM)]
        with pytest.raises(ProtocolError, match="max_session_memory"):
            streams[-1].read(timeout=5)
        for stream in streams[:4]:
            stream.close()
        assert session._header_memory.held == 0


@pytest.mark.parametrize("in_cycles", [False, True])
def test_promises_with_long_headers_beyond_the_share_are_refused(in_cycles: bool) -> None:
    """They count until they are dropped: how many there are is the server's choice."""
    with client_and_raw_server(max_session_memory=MEMORY) as (session, peer):
        stream = session.request()
        peer.expect(HeadersFrame, 1)
        path = (":path", "/" + "y" * 40_000)
        for promised_id in range(2, 12, 2):
            block = frames.block(*REQUEST[:3], path)
            pieces = [block[start : start + 16_000] for start in range(0, len(block), 16_000)]
            peer.sock.sendall(frames.frame(frames.PUSH_PROMISE, 0, 1, frames.number(promised_id) + pieces[0]))
            peer.sock.sendall(frames.continuation(1, pieces[1], flags=0) + frames.continuation(1, pieces[2]))
            if promised_id < 10:
                peer.headers(promised_id, RESPONSE, end_stream=True)
        assert resets(peer) == [(10, ErrorCode.REFUSED_STREAM)]
        assert session._header_memory.held > 160_000
        for _ in range(4):
            pushed = stream.wait_push(timeout=5)
            assert pushed is not None
            if in_cycles:
                assert not pushed.rfile.closed
            del pushed
        gc.collect()
        eventually(lambda: session._header_memory.held == 0)


def test_promises_that_nobody_takes_have_an_end() -> None:
    """Also those that were answered long ago."""
    with client_and_raw_server(max_concurrent_streams=3) as (session, peer):
        stream = session.request()
        peer.expect(HeadersFrame, 1)
        for promised_id in (2, 4, 6, 8):
            peer.promise(1, promised_id, REQUEST)
            if promised_id < 8:
                peer.headers(promised_id, RESPONSE, end_stream=True)
        assert resets(peer) == [(8, ErrorCode.REFUSED_STREAM)]
        assert stream.wait_push(timeout=5) is not None
        peer.promise(1, 10, REQUEST)
        peer.headers(10, RESPONSE, end_stream=True)
        assert resets(peer) == []
