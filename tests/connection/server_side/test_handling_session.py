"""Handing a stream to the pool, when the pool does not take it."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import PATIENCE, eventually
from sync_h2 import ErrorCode, InvalidState


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_stream_that_no_handler_can_take_is_refused_and_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_and_raw_client() as (session, peer):

        def refuse(session: Any, job: Any) -> None:
            raise InvalidState("the handler pool has been shut down")

        monkeypatch.setattr(session._host, "_submit", refuse)
        peer.headers(1, REQUEST, end_stream=True)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.REFUSED_STREAM
        eventually(lambda: errors(caplog))
    assert errors(caplog) == ['no handler can be run for stream 1 ("GET /" of a local peer)']


def test_nothing_is_said_of_a_stream_that_ended_before_its_job_was_handed_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread than the reader may do it, some time later: the session and its pool are gone then."""
    with server_and_raw_client() as (session, peer):

        def come_too_late(session: Any, job: Any) -> None:
            session.destroy()
            raise InvalidState("the handler pool has been shut down")

        monkeypatch.setattr(session._host, "_submit", come_too_late)
        peer.headers(1, REQUEST, end_stream=True)
        peer.until_end()
        peer.close()
        eventually(lambda: session._gone)
    assert errors(caplog) == []


def test_a_stream_that_is_handed_over_twice_is_handled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt as its thread leaves the lock may have that done again."""
    handled: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        handled.append(stream.id)
        stream.end(b"x")

    with server_and_raw_client(handler) as (session, peer):
        submit = session._host._submit

        def submit_twice(session: Any, job: Any) -> bool:
            submit(session, job)
            return submit(session, job)

        monkeypatch.setattr(session._host, "_submit", submit_twice)
        for stream_id in (1, 3, 5):
            peer.headers(stream_id, REQUEST, end_stream=True)
            peer.expect(DataFrame, stream_id)
        eventually(lambda: not (session._host._pool._turns or session._host._pool._assigned))
        assert handled == [1, 3, 5]
        assert not session._unbegun


def test_a_session_that_has_ended_keeps_nothing_of_what_was_not_begun() -> None:
    free = threading.Event()
    try:
        with server_and_raw_client(lambda *_: free.wait(PATIENCE), max_workers=1) as (session, peer):
            for stream_id in (1, 3, 5):
                peer.headers(stream_id, REQUEST, end_stream=True)
            eventually(lambda: session._handler_threads and len(session._unbegun) == 2)
            peer.close()
            eventually(lambda: session._gone and not session._unbegun)
    finally:
        free.set()


def test_the_threads_of_handlers_are_looked_at_while_they_begin_and_end() -> None:
    """What is iterated over is nobody else's."""
    with server_and_raw_client(lambda *_: None) as (session, _):
        assert session._handler_threads_locked() is not session._handler_threads_locked()
