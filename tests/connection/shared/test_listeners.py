"""Listeners: order, one at a time, kept events, `once`, `off`, and listeners that block or raise."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

import pytest
from hyperframe.frame import PingFrame

from support.octets.fields import RESPONSE
from support.peers.raw_peer import client_and_raw_server
from support.threads.background import eventually
from sync_h2 import ErrorCode, InvalidArgument
from sync_h2.testing import pair


def test_they_run_in_order_one_at_a_time_on_a_thread_of_their_own(ends: Any) -> None:
    heard: list[int] = []
    threads: set[str] = set()
    inside = threading.Lock()
    done = threading.Event()

    def listen(payload: bytes) -> None:
        assert inside.acquire(blocking=False)
        heard.append(payload[0])
        threads.add(threading.current_thread().name)
        inside.release()
        if len(heard) == 200:
            done.set()

    ends.server.on("ping", listen)
    for number in range(200):
        ends.client.ping(bytes([number]) * 8)
    assert done.wait(5)
    assert heard == list(range(200))
    assert threads == {"sync_h2-listeners"}


def test_several_listeners_in_the_order_of_registration(ends: Any) -> None:
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(3):
        ends.server.on("ping", lambda payload, number=number: heard.put(number))
    ends.client.ping()
    assert [heard.get(timeout=5) for _ in range(3)] == [0, 1, 2]


def test_decorator_once_and_off(ends: Any) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    @ends.server.on("ping")
    def always(payload: bytes) -> None:
        heard.put("always")

    @ends.server.once("ping")
    def once(payload: bytes) -> None:
        heard.put("once")

    ends.client.ping()
    ends.client.ping()
    assert [heard.get(timeout=5) for _ in range(3)] == ["always", "once", "always"]
    ends.server.off("ping", always)
    ends.server.off("ping", always)
    ends.server.on("ping", lambda payload: heard.put("last"))
    ends.client.ping()
    assert heard.get(timeout=5) == "last"


def test_off_while_it_is_called(ends: Any) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def first(payload: bytes) -> None:
        ends.server.off("ping", first)
        heard.put("first")

    ends.server.on("ping", first)
    ends.server.on("ping", lambda payload: heard.put("second"))
    ends.client.ping()
    ends.client.ping()
    assert [heard.get(timeout=5) for _ in range(3)] == ["first", "second", "second"]


@pytest.mark.parametrize("name", ["bogus", "data", "end", "drain", "finish", "Close", ""])
def test_an_unknown_event_is_refused(ends: Any, name: str) -> None:
    stream, _ = ends.exchange()
    for target in (ends.client, stream):
        for register in (target.on, target.once, target.off):
            with pytest.raises(ValueError, match="event") as raised:
                register(name, print)
            assert isinstance(raised.value, InvalidArgument)
    with pytest.raises(ValueError, match="event"):
        ends.client.request(listeners={name: print})
    assert ends.client.ping()


def test_what_nodes_streams_have_is_explained(ends: Any) -> None:
    stream, served = ends.exchange()
    for name in ("data", "end", "drain", "finish"):
        for end in (stream, served):
            with pytest.raises(
                ValueError, match=r"read\(\), iteration, write\(\), wait_closed\(\) or io\.TextIOWrapper"
            ):
                end.on(name, print)


def test_what_is_no_function_is_refused(ends: Any) -> None:
    with pytest.raises(TypeError):
        ends.client.on("ping", "function")


def test_one_that_raises_is_logged_and_the_others_go_on(ends: Any, caplog: Any) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def fail(payload: bytes) -> None:
        raise RuntimeError("the listener's own fault")

    ends.server.on("ping", fail)
    ends.server.on("ping", lambda payload: heard.put("heard"))
    for _ in range(2):
        ends.client.ping()
        assert heard.get(timeout=5) == "heard"
    assert "the listener's own fault" in caplog.text
    assert {record.name for record in caplog.records} == {"sync_h2.listeners"}


def test_one_that_blocks_holds_up_nothing_but_listeners(ends: Any) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def block(payload: bytes) -> None:
        entered.set()
        assert let_go.wait(10)

    ends.server.on("ping", block)
    ends.client.ping()
    assert entered.wait(5)
    stream, served = ends.exchange()
    stream.end(b"question")
    assert served.read() == b"question"
    served.end(b"answer")
    assert stream.read() == b"answer"
    assert ends.server.ping(timeout=5)
    let_go.set()


def test_one_may_call_anything(ends: Any) -> None:
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def call(payload: bytes) -> None:
        results.put(ends.client.ping(timeout=5).payload)
        stream = ends.client.request({":method": "POST"}, timeout=5)
        stream.end(b"from a listener", timeout=5)
        results.put(stream.read(timeout=5))
        ends.client.settings({"max_frame_size": 20_000}, wait=True, timeout=5)
        ends.client.on("ping", lambda payload: None)
        results.put("done")

    ends.client.once("ping", call)
    ends.server.ping()
    assert len(results.get(timeout=5)) == 8
    served = ends.accept()
    served.end(served.read())
    assert results.get(timeout=5) == b"from a listener"
    assert results.get(timeout=5) == "done"


def test_events_before_the_first_listener_are_kept() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, [(":status", "103")])
        peer.headers(1, RESPONSE)
        peer.data(1, b"x")
        peer.headers(1, [("x", "trailer")], end_stream=True)
        peer.goaway(1, 0, b"bye")
        assert stream.wait_trailers()["x"] == "trailer"
        peer.until_end()
        eventually(lambda: session.destroyed)
        peer.close()
        session.close(timeout=5)
        heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for target, names in (
            (session, ("connect", "remote_settings", "goaway", "close")),
            (stream, ("headers", "response", "trailers", "close")),
        ):
            for name in names:
                target.on(name, lambda *arguments, name=name: heard.put((name, arguments)))
        events = [heard.get(timeout=5) for _ in range(8)]
        assert [name for name, _ in events] == [
            "connect",
            "remote_settings",
            "goaway",
            "close",
            "headers",
            "response",
            "trailers",
            "close",
        ]
        assert events[2][1] == (0, 1, b"bye")
        assert events[4][1][0][":status"] == "103"
        assert events[6][1][0]["x"] == "trailer"
        assert events[7][1] == (0,)


def test_a_kept_event_is_given_to_the_first_listener_only(ends: Any) -> None:
    ends.client.ping()
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    ends.client.on("connect", lambda: heard.put("first"))
    assert heard.get(timeout=20) == "first"
    ends.client.on("connect", lambda: heard.put("second"))
    ends.client.on("ping", lambda payload: heard.put("ping"))
    ends.server.ping()
    assert heard.get(timeout=20) == "ping"


def test_no_more_than_64_are_kept() -> None:
    with client_and_raw_server() as (session, peer):
        _stream = session.request()
        for number in range(100):
            peer.goaway(2**31 - 1 - number)
        peer.settled()
        heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        session.on("goaway", lambda code, last, data: heard.put(last))
        peer.goaway(1)
        assert [heard.get(timeout=5) for _ in range(65)] == [2**31 - 1 - number for number in range(64)] + [1]


def test_listeners_given_at_the_start_hear_everything() -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    options = {"listeners": {name: (lambda *_, name=name: heard.put(name)) for name in ("connect", "close")}}
    client, server = pair(lambda stream, headers: stream.end(), client=dict(options))
    with client:
        names = ("response", "close")
        listeners = {name: (lambda *_, name=name: heard.put(f"stream {name}")) for name in names}
        client.request(listeners=listeners).read()
    assert [heard.get(timeout=5) for _ in range(4)] == ["connect", "stream response", "stream close", "close"]
    server.close(timeout=5)


def test_a_flood_of_events_for_a_listener_that_blocks_is_bounded(caplog: Any) -> None:
    entered, let_go = threading.Event(), threading.Event()
    heard: list[bytes] = []

    def listen(payload: bytes) -> None:
        entered.set()
        assert let_go.wait(20)
        heard.append(payload)

    with client_and_raw_server(listeners={"ping": listen}) as (session, peer):
        peer.settled()
        assert entered.wait(5)
        for _ in range(15):
            for _ in range(10):
                peer.sock.sendall(PingFrame(0, b"12345678").serialize() * 100)
            peer.settled()
        let_go.set()
        eventually(lambda: "dropped" in caplog.text)
        assert not session.destroyed
        session.destroy()
    assert len(heard) <= 10_100


def test_close_comes_last(ends: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stream, served = ends.exchange({})
    for name in ("response", "trailers", "aborted", "error", "close"):
        stream.on(name, lambda *_, name=name: heard.put(name))
    served.respond(wait_for_trailers=True)
    served.send_trailers({"x": "1"})
    assert [heard.get(timeout=5) for _ in range(3)] == ["response", "trailers", "close"]
    stream, served = ends.exchange()
    for name in ("aborted", "error", "close"):
        stream.on(name, lambda *_, name=name: heard.put(name))
    served.close(ErrorCode.CANCEL)
    assert [heard.get(timeout=5) for _ in range(2)] == ["aborted", "close"]


def test_an_error_without_a_listener_is_logged(caplog: Any) -> None:
    with caplog.at_level(logging.INFO, "sync_h2"), client_and_raw_server() as (session, peer):
        _stream = session.request()
        peer.close()
        eventually(lambda: session.destroyed)
        eventually(lambda: "ended" in caplog.text)
