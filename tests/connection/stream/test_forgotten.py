"""Streams that nobody holds any more."""

from __future__ import annotations

import gc
import queue
import threading
import warnings
from typing import Any

import pytest
from hyperframe.frame import RstStreamFrame, WindowUpdateFrame

from support.octets.fields import RESPONSE, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode
from sync_h2.connection.shared.timers import timers
from sync_h2.connection.stream.stream import Handle, Stream, _forgotten
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId

FRAME = 16_384


def test_a_forgotten_stream_is_cancelled_with_a_warning() -> None:
    with client_and_raw_server() as (session, peer), pytest.warns(ResourceWarning, match="stream 1") as caught:
        session.request()
        gc.collect()
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.CANCEL
        eventually(lambda: caught.list)


@pytest.mark.parametrize("finished", [False, True])
def test_what_nobody_will_read_returns_its_credit(finished: bool) -> None:
    """Far more than `max_session_memory` goes over in streams that are dropped with their bodies unread."""
    with (
        client_and_raw_server(max_session_memory=1024 * 1024) as (session, peer),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always", ResourceWarning)
        window = DEFAULT_WINDOW_SIZE
        for stream_id in range(1, 41, 2):
            stream = session.request()
            peer.headers(stream_id, RESPONSE)
            for _ in range(10):
                while window < FRAME:
                    window += peer.expect(WindowUpdateFrame, 0).window_increment
                peer.data(stream_id, b"x" * FRAME)
                window -= FRAME
            if finished:
                peer.data(stream_id, b"", end_stream=True)
                stream.wait_closed()
            for frame in peer.settled():
                if isinstance(frame, WindowUpdateFrame) and not frame.stream_id:
                    window += frame.window_increment
            del stream
            gc.collect()
        # They are given on the timer thread: the last one may come after all frames have.
        eventually(lambda: len(caught) == (0 if finished else 20))


def test_a_stream_that_has_finished_is_forgotten_in_silence() -> None:
    with client_and_raw_server() as (session, peer), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.data(1, b"unread", end_stream=True)
        stream.wait_closed()
        del stream
        gc.collect()
        # The timer thread does its jobs in order: after the next one of its own nothing can come any more.
        passed = threading.Event()
        timers.run(passed.set)
        assert passed.wait(5)
        assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]
        assert caught == []


def test_a_stream_is_not_forgotten_while_a_call_of_it_runs(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        reading = background(session.request().read)
        gc.collect()
        peer.settled()
        peer.headers(1, RESPONSE)
        peer.data(1, b"body", end_stream=True)
        assert reading.result(5) == b"body"


def test_a_detached_stream_that_is_dropped_is_reset() -> None:
    detached: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        stream.write(b"half")
        detached.put(stream)

    with (
        pytest.warns(ResourceWarning, match="stream 1") as caught,
        server_and_raw_client(handler) as (_, peer),
    ):
        peer.headers(1, UPLOAD)
        detached.get(timeout=5)
        gc.collect()
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.CANCEL
        eventually(lambda: caught.list)


def test_a_pending_stream_that_is_dropped_gives_up_its_place() -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        peer.settled()
        first = session.request()
        with pytest.warns(ResourceWarning) as caught:
            session.request(wait=False)
            gc.collect()
            eventually(lambda: not session._pending)
            eventually(lambda: caught.list)
        peer.headers(1, RESPONSE, end_stream=True)
        assert first.read() == b""
        following = session.request()
        assert following.id == 3
        following.close()


def test_a_stream_whose_making_was_interrupted_goes_in_silence() -> None:
    """An exception in a weak reference's callback would be a warning, and so fail this test."""
    stream = object.__new__(Stream)
    handle = Handle(stream, _forgotten)
    del stream
    assert handle() is None
