"""`Client.map`: who wants no more outcomes waits for nobody, and unread bodies stop no other call."""

from __future__ import annotations

import contextlib
import gc
import queue
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.threads.background import eventually
from sync_h2 import Client, PoolLimits

PATIENCE = 20.0


class Slow:
    """A handler that answers `/slow` only when the test is over; `begun` has the paths asked for."""

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.over = threading.Event()

    def __call__(self, stream: Any, headers: Any) -> None:
        self.begun.put(headers[":path"])
        if headers[":path"] == "/slow":
            self.over.wait(PATIENCE)
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.end(b"answer")


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def url(slow: Slow) -> Iterator[str]:
    with sync_h2.create_server(slow, allow_http1=True) as server:
        yield server.url
        slow.over.set()


@pytest.fixture(params=[True, False], ids=["HTTP/2", "HTTP/1.1"])
def client(request: pytest.FixtureRequest, url: str) -> Iterator[Client]:
    with Client(h2c=request.param, base_url=url, trust_env=False) as client:
        yield client


def test_a_break_returns_at_once(client: Client, slow: Slow) -> None:
    for response in client.map(["/fast", "/slow"]):
        assert response.content == b"answer"
        break
    assert not slow.over.is_set()
    assert client.get("/fast").ok


def test_an_error_returns_at_once(client: Client, slow: Slow) -> None:
    with pytest.raises(TypeError):
        list(client.map(["/slow", 1]))
    assert not slow.over.is_set()


def test_an_error_of_what_gives_the_requests_returns_at_once(client: Client, slow: Slow) -> None:
    def requests() -> Iterator[str]:
        yield "/slow"
        assert slow.begun.get(timeout=PATIENCE) == "/slow"
        raise LookupError

    with pytest.raises(LookupError):
        list(client.map(requests()))
    assert not slow.over.is_set()


def test_an_interrupt_returns_at_once(client: Client, slow: Slow) -> None:
    def interrupt() -> None:
        assert slow.begun.get(timeout=PATIENCE) == "/slow"
        assert threading.main_thread().ident is not None
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(client.map(["/slow"]))
    thread.join()
    assert not slow.over.is_set()


def test_what_comes_too_late_is_closed_and_the_rest_is_not_asked_for(client: Client, slow: Slow) -> None:
    answers = client.map(["/fast", *["/slow"] * 6], max_workers=2)
    next(answers)
    answers.close()  # type: ignore[attr-defined]  # a generator
    slow.over.set()
    eventually(lambda: not any(thread.name == "sync_h2-map" for thread in threading.enumerate()), "the threads' end")
    asked = [slow.begun.get(timeout=PATIENCE) for _ in range(slow.begun.qsize())]
    assert len(asked) <= 4
    assert client.get("/fast").ok


def test_no_thread_is_left(client: Client) -> None:
    assert len(list(client.map(["/fast"] * 40))) == 40
    dropped = client.map(["/fast"] * 40)
    next(dropped)
    del dropped
    gc.collect()
    eventually(lambda: not any(thread.name == "sync_h2-map" for thread in threading.enumerate()), "the threads' end")
    with pytest.raises(ValueError, match="max_workers"):
        client.map([], max_workers=0)


@pytest.mark.parametrize("options", [{"h2c": True}, {"h2c": False}], ids=["HTTP/2", "HTTP/1.1"])
def test_bodies_that_wait_do_not_stop_each_other(options: Any) -> None:
    """More of them than there are connections, or streams on these: each waits for all the others to have begun."""
    everybody = threading.Barrier(12)

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({})
        stream.write(b"head ")
        everybody.wait(PATIENCE)
        stream.end(b"and tail")

    limits = PoolLimits(max_connections_per_origin=2)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler, allow_http1=True, max_concurrent_streams=3))
        client = stack.enter_context(Client(limits=limits, trust_env=False, **options))
        responses = list(client.map([{"url": server.url, "stream": True}] * 12, max_workers=4))
        assert [response.content for response in responses] == [b"head and tail"] * 12


def test_what_is_not_lent_keeps_to_the_limit() -> None:
    """Bodies that the client itself reads hold their connection."""
    together, most = 0, 0
    lock = threading.Lock()

    def handler(stream: Any, headers: Any) -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        stream.respond({"content-length": 4})
        stream.write(b"so")
        time.sleep(0.01)
        with lock:
            together -= 1
        stream.end(b"me")

    limits = PoolLimits(max_connections_per_origin=2)
    with sync_h2.create_server(handler, allow_http1=True) as server, Client(limits=limits, trust_env=False) as client:
        assert [response.text for response in client.map([server.url] * 20)] == ["some"] * 20
    assert most <= 2
