"""What one thread makes and another drops, while the maker sleeps.

Free-threaded CPython finalizes such an object when its maker next runs Python code, so that what the finalizer gives
back would come late or never. Elsewhere it does at once, and these tests hold too.
"""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from queue import SimpleQueue
from typing import Any

import pytest

import sync_h2
from support.threads.background import PATIENCE, Background, eventually, waits
from sync_h2 import ErrorCode, StreamReset, connect, create_server, interpreter
from sync_h2.testing import pair


@contextmanager
def made_by_a_thread_that_sleeps(make: Callable[[], object]) -> Iterator[list[Any]]:
    """What `make` gives on a thread that does nothing more; the list has the only reference to it."""
    made: list[Any] = []
    has_made, may_end = threading.Event(), threading.Event()

    def run() -> None:
        made.append(make())
        has_made.set()
        may_end.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert has_made.wait(PATIENCE)
        yield made
    finally:
        may_end.set()
        thread.join()


@contextmanager
def a_stream_is_dropped() -> Iterator[None]:
    """The timer thread warns of it."""
    with pytest.warns(ResourceWarning, match="dropped unfinished") as caught:
        yield
        eventually(lambda: caught.list)


@pytest.fixture
def running() -> set[Any]:
    """The handlers of `server` that run."""
    return set()


@pytest.fixture
def server(running: set[Any]) -> Iterator[sync_h2.ThreadingServer]:
    """Its answers have no end."""

    def endless(stream: Any, headers: Any) -> None:
        running.add(stream)
        stream.respond({":status": 200})
        with pytest.raises(sync_h2.HTTP2Error):
            while True:
                stream.write(bytes(100_000))
        running.remove(stream)

    with create_server(endless, port=0, max_concurrent_streams=1, allow_http1=True) as server:
        yield server


def test_a_servers_stream_is_reset() -> None:
    """Its handler has given it away, and the reader, which saw the request, sleeps."""
    streams: SimpleQueue[Any] = SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": 200})
        stream.detach()
        streams.put(stream)

    with create_server(handler, port=0) as server, connect(server.url) as session, a_stream_is_dropped():
        request = session.request()
        request.wait_response()
        streams.get(timeout=PATIENCE)  # and nobody holds it any more
        with pytest.raises(StreamReset):
            request.read(timeout=PATIENCE)


def test_a_servers_stream_is_reset_while_its_connection_waits_for_its_body_to_be_read() -> None:
    """The reader of HTTP/1.1 sleeps elsewhere then."""
    streams: SimpleQueue[Any] = SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": 200})
        stream.detach()
        streams.put(stream)

    with (
        create_server(handler, port=0, allow_http1=True) as server,
        socket.create_connection(server.address, PATIENCE) as client,
        a_stream_is_dropped(),
    ):
        client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")

        def send() -> None:
            with suppress(ConnectionError):  # or it is read and discarded
                client.sendall(bytes(100_000_000))

        sending = threading.Thread(target=send)
        sending.start()
        held = [streams.get(timeout=PATIENCE)]
        session = held[0].session
        eventually(lambda: session._pause.waiting)
        held.clear()
        sending.join(PATIENCE)
        assert not sending.is_alive()


def test_a_stream_is_reset_while_its_maker_waits_for_another() -> None:
    def make() -> None:
        made.append(client.request({":method": "POST"}))
        with pytest.raises(StreamReset):
            asked.read()

    made: list[Any] = []
    client, _ = pair(lambda stream, headers: stream.read())
    with client:
        asked = client.request({":method": "POST"})
        thread = threading.Thread(target=make)
        with a_stream_is_dropped():
            thread.start()
            eventually(lambda: waits(asked))
            made.clear()
        asked.close(ErrorCode.CANCEL)
        thread.join(PATIENCE)


def test_a_clients_stream_gives_its_slot_back(server: Any) -> None:
    with (
        connect(server.url) as session,
        made_by_a_thread_that_sleeps(session.request) as made,
        a_stream_is_dropped(),
    ):
        made[0].wait_response()
        made.clear()
        session.request(timeout=PATIENCE).close()


def test_a_slot_is_given_back_to_who_has_waited_for_long(server: Any, background: Background) -> None:
    with (
        connect(server.url) as session,
        made_by_a_thread_that_sleeps(session.request) as made,
        a_stream_is_dropped(),
    ):
        made[0].wait_response()
        looked = interpreter._next_collection
        waiting = background(session.request, timeout=2 * PATIENCE)
        eventually(lambda: not interpreter.FREE_THREADED_BUILD or interpreter._next_collection > looked)
        made.clear()
        waiting.result(2 * PATIENCE).close()


@pytest.mark.parametrize("h2c", [False, True])
def test_a_response_gives_its_place_back_while_the_client_goes_on(
    server: Any, running: set[Any], h2c: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller was given is no part of the pool's limit: the next calls open other connections. That there was
    a collection just now is no reason to do without.
    """
    with sync_h2.Client(h2c=h2c, trust_env=False, timeout=PATIENCE) as client:

        def get() -> sync_h2.Response:
            return client.get(server.url, stream=True)

        def goes_on() -> bool:
            get().close()
            return not running

        with made_by_a_thread_that_sleeps(get) as made, a_stream_is_dropped() if h2c else nullcontext():
            assert len(running) == 1
            monkeypatch.setattr(interpreter, "_next_collection", time.monotonic() + 1.0)
            made.clear()
            eventually(goes_on)


def test_the_collector_leaves_the_connection_of_a_response_to_the_pool(server: Any, running: set[Any]) -> None:
    """It finalizes all that a cycle alone has, in any order, and a socket with a warning."""
    with sync_h2.Client(trust_env=False, timeout=PATIENCE) as client, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        response: Any = client.get(server.url, stream=True)
        response.itself = response
        del response
        gc.collect()
        client.get(server.url, stream=True).close()
        eventually(lambda: not running)
        assert [str(warning.message) for warning in caught] == []
