"""1xx responses and `Expect: 100-continue`."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from support.peers.raw_peer import client_and_raw_server
from support.threads.background import eventually, waits
from sync_h2 import HTTP2Error, InvalidArgument, InvalidState


def test_early_hints_come_before_the_response(ends: Any) -> None:
    stream, served = ends.exchange({})
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream.on("headers", heard.put)
    served.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
    served.additional_headers({":status": 102})
    assert heard.get(timeout=5)["link"].startswith("</style.css>")
    served.end(b"page")
    assert stream.wait_response()[":status"] == "200"
    assert [headers[":status"] for headers in stream.informational] == ["103", "102"]
    assert [headers[":status"] for headers in served.sent_info_headers] == ["103", "102"]
    assert stream.read() == b"page"


@pytest.mark.parametrize("status", [101, 200, 99, 600, "abc"])
def test_only_1xx_but_101_is_taken(ends: Any, status: Any) -> None:
    stream, served = ends.exchange({})
    with pytest.raises(InvalidArgument):
        served.additional_headers({":status": status})
    served.end()
    assert stream.wait_response()[":status"] == "200"


def test_not_after_the_response(ends: Any) -> None:
    _, served = ends.exchange({})
    served.respond()
    with pytest.raises(InvalidState):
        served.additional_headers({":status": 103})


def test_reading_the_body_answers_expect(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({":method": "POST", "expect": "100-continue"})
    heard: queue.SimpleQueue[bool] = queue.SimpleQueue()
    stream.on("continue", lambda: heard.put(True))
    reading = background(served.read)
    assert stream.wait_continue(timeout=5) is True
    assert heard.get(timeout=5)
    stream.end(b"body")
    assert reading.result(5) == b"body"
    served.end()
    assert [headers[":status"] for headers in stream.informational] == ["100"]


def test_no_100_when_the_answer_comes_without_reading(ends: Any) -> None:
    stream, served = ends.exchange({":method": "POST", "expect": "100-continue"})
    served.respond({":status": 417}, end_stream=True)
    assert stream.wait_continue(timeout=5) is False
    assert stream.wait_response()[":status"] == "417"
    assert stream.informational == []


def test_a_100_sent_by_hand_is_sent_once(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({":method": "POST", "expect": "100-continue"})
    served.additional_headers({":status": 100})
    assert stream.wait_continue(timeout=5)
    reading = background(served.read)
    eventually(lambda: waits(served))
    stream.end(b"body")
    assert reading.result(5) == b"body"
    served.end()
    stream.wait_response()
    assert [headers[":status"] for headers in stream.informational] == ["100"]


def test_no_100_unless_it_is_expected(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"body")
    served.read()
    served.end()
    assert stream.wait_continue(timeout=5) is False
    assert stream.informational == []


def test_a_101_is_an_error_of_the_stream() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, [(":status", "101")])
        with pytest.raises(HTTP2Error):
            stream.wait_response(timeout=5)
        assert not session.destroyed


def test_wait_response_passes_over_1xx() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        for _ in range(3):
            peer.headers(1, [(":status", "103")])
        peer.headers(1, [(":status", "204")], end_stream=True)
        assert stream.wait_response()[":status"] == "204"
        assert len(stream.informational) == 3
