"""What a peer can make this side do or keep for nothing has an end."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, RstStreamFrame, WindowUpdateFrame

from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import Background, eventually
from sync_h2 import ErrorCode, HTTP2Error, ProtocolError
from sync_h2.constants import SettingId


@pytest.mark.parametrize("how", ["the client resets", "the client makes us reset"])
def test_streams_opened_and_reset_end_the_session_also_when_no_handler_is_free(how: str) -> None:
    """Rapid reset, and its sibling that has the server send the RST_STREAM, while every job's place is taken."""
    released = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        released.wait(20)

    options = {"max_concurrent_streams": 5, "stream_reset_burst": 20, "stream_reset_rate": 0.0}
    with server_and_raw_client(handler, **options) as (_, peer):
        try:
            for number in range(60):
                stream_id = 2 * number + 1
                peer.headers(stream_id, REQUEST, end_stream=True)
                if how == "the client resets":
                    peer.send(RstStreamFrame(stream_id, ErrorCode.CANCEL))
                else:
                    bad = WindowUpdateFrame(stream_id)
                    bad.window_increment = 0
                    peer.send(bad)
            goaway = peer.farewell()
            assert goaway.error_code == ErrorCode.ENHANCE_YOUR_CALM
            assert goaway.additional_data == b"stream_reset_rate"
        finally:
            released.set()


def test_a_limit_is_named_in_one_line_of_the_log(caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And in no more than one for all the sessions that it ends within ten seconds."""
    last_logged: dict[str, float] = {}
    monkeypatch.setattr("sync_h2.connection.shared.limit_log._last_logged", last_logged)

    def warnings_after_another_session() -> list[str]:
        with server_and_raw_client(max_continuation_frames=1) as (session, peer):
            peer.send(HeadersFrame(1), ContinuationFrame(1), ContinuationFrame(1))
            peer.until_end()
        eventually(lambda: session._gone)
        return [record.levelname for record in caplog.records if "max_continuation_frames" in record.getMessage()]

    assert warnings_after_another_session() == ["WARNING"]
    assert warnings_after_another_session() == ["WARNING"]
    last_logged["max_continuation_frames"] -= 10
    assert warnings_after_another_session() == ["WARNING", "WARNING"]


def test_the_handlers_of_a_session_that_a_limit_ends_add_no_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each of them was told is what the session's one line says; the access log has a line a stream as always."""
    monkeypatch.setattr("sync_h2.connection.shared.limit_log._last_logged", {})
    caplog.set_level(logging.INFO, "sync_h2")
    ended: list[Exception] = []

    def handler(stream: Any, headers: Any) -> None:
        try:
            stream.read()
        except HTTP2Error as error:
            ended.append(error)
            raise

    with server_and_raw_client(handler, max_continuation_frames=1) as (session, peer):
        for stream_id in range(1, 41, 2):
            peer.headers(stream_id, UPLOAD)
        eventually(lambda: len(session._handler_threads) == 20)
        peer.send(HeadersFrame(41), ContinuationFrame(41), ContinuationFrame(41))
        peer.until_end()
        eventually(lambda: len(ended) == 20 and session._gone and not session._handler_threads)
    records = [(record.name, record.levelname) for record in caplog.records]
    assert sorted(records) == [("sync_h2.access", "INFO")] * 20 + [("sync_h2.connection", "WARNING")]


def test_small_frames_cost_little_more_than_their_bytes() -> None:
    """One object per frame of two bytes would hold many times what `max_session_memory` counts."""
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, ((":status", "200"),))
        for _ in range(5000):
            peer.data(1, b"ab")
        eventually(lambda: len(stream._state.buffer) == 10_000)
        assert len(stream._state.buffer._chunks) < 10
        assert stream.read(3) == b"aba"
        assert stream.readline(5) == b"babab"
        peer.data(1, b"\n!", end_stream=True)
        assert stream.readline() == b"ab" * 4996 + b"\n"
        assert stream.read() == b"!"


def test_a_stream_that_waits_for_the_connections_window_is_listed_once_and_let_go(background: Background) -> None:
    peer_settings = {SettingId.INITIAL_WINDOW_SIZE: 200_000}
    with client_and_raw_server(peer_settings=peer_settings) as (session, peer):
        stream = session.request({":method": "POST"})
        writing = background(stream.write, bytes(150_000))  # the connection's window is 65,535
        eventually(lambda: len(session._pump._blocked) == 1)
        for _ in range(20):
            peer.open_window(1, 10)
        peer.settled()
        assert len(session._pump._blocked) == 1
        peer.reset(1, ErrorCode.CANCEL)
        peer.settled()
        assert not session._pump._blocked
        assert writing.exception(5) is not None


def test_a_priority_that_comes_before_its_request_is_kept(background: Background) -> None:
    seen: list[tuple[int, bool]] = []

    def handler(stream: Any, headers: Any) -> None:
        seen.append((stream._state.urgency, stream._state.sequential))
        stream.end()

    with server_and_raw_client(handler) as (session, peer):
        payload = (5).to_bytes(4, "big") + b"u=1"
        peer.sock.sendall(len(payload).to_bytes(3, "big") + b"\x10\x00" + bytes(4) + payload)
        peer.headers(5, REQUEST, end_stream=True)
        peer.headers(7, REQUEST, end_stream=True)
        eventually(lambda: len(seen) == 2)
        assert sorted(seen) == [(1, True), (3, False)]
        assert not session._early_priorities


def test_a_reader_is_woken_by_what_a_read_of_everything_gave_up(background: Background) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, ((":status", "200"),))

        def waiting() -> list[int]:
            with session._monitor, session._lock:
                return stream._state.arrived.thread_ids

        everything = background(stream.read, -1, 0.5)
        eventually(lambda: stream._state.reading_all)
        piece = background(stream.read, 5)
        eventually(lambda: len(waiting()) == 2)
        peer.data(1, b"hello")
        assert everything.exception(5) is not None
        assert piece.result(5) == b"hello"


@pytest.mark.parametrize("ends_by_itself", [True, False])
def test_a_handler_that_leaves_its_stream_early_declines_the_rest(ends_by_itself: bool) -> None:
    """The answer is whole: what the client still sends is declined with NO_ERROR, not CANCEL."""

    def handler(stream: Any, headers: Any) -> None:
        with stream:
            stream.respond({})
            if ends_by_itself:
                stream.end(b"enough")

    with server_and_raw_client(handler, discard_timeout=0.1) as (_, peer):
        peer.headers(1, UPLOAD)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


def test_many_pings_at_once_are_answered_to_a_peer_that_reads() -> None:
    with server_and_raw_client(max_queued_control_frames=100) as (session, peer):
        peer.send(*[PingFrame(0, number.to_bytes(8, "big")) for number in range(2000)])
        for number in range(2000):
            assert peer.expect(PingFrame).opaque_data == number.to_bytes(8, "big")
        assert not session.destroyed


def test_headers_that_nobody_reads_end_the_session() -> None:
    """Whoever sends headers does not wait, so a peer that asks and never reads would fill the memory."""
    failed: list[Exception] = []

    def handler(stream: Any, headers: Any) -> None:
        try:
            for number in range(10_000):  # each another, or compression would make little of them
                stream.additional_headers({":status": 103, "link": f"{number:010}" * 200})
        except HTTP2Error as error:
            failed.append(error)
            raise

    with server_and_raw_client(handler, max_session_memory=1_000_000) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        eventually(lambda: failed)
        assert session.destroyed
        assert (type(failed[0]), failed[0].code) == (ProtocolError, ErrorCode.ENHANCE_YOUR_CALM)
