"""Handlers that the thread which reads runs itself: somebody reads all the same, and the pool's promises hold."""

from __future__ import annotations

import itertools
import logging
import math
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, SettingsFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import RawPeer, server_and_raw_client
from support.threads.background import PATIENCE, eventually
from sync_h2 import ClientSession, HTTP2Error, InvalidState, ServerSession, compat, connect, create_server, serve_socket
from sync_h2.connection.server_side import quick_handlers
from sync_h2.constants import PREFACE
from sync_h2.testing import pair

READER = "sync_h2-reader"

Action = Callable[[Any], object]


def whose(stream: Any) -> None:
    """Answer with the name of the thread."""
    stream.end(threading.current_thread().name.encode())


@contextmanager
def serving(actions: dict[str, Action], **options: Any) -> Iterator[tuple[ClientSession, ServerSession]]:
    """A handler for each path, with `/whose`; the thread that reads runs handlers by now."""

    def handler(stream: Any, headers: Any) -> None:
        {"/whose": whose, **actions}[headers[":path"]](stream)

    client, session = pair(handler, **options)
    with client:
        eventually(lambda: get(client, "/whose") == READER, "a handler on the reader's thread")
        yield client, session


def get(client: ClientSession, path: str) -> str:
    return client.request({":path": path}).read(timeout=PATIENCE).decode()


def stop_looking(monkeypatch: pytest.MonkeyPatch, pool: Any, thread_name: Callable[[], str]) -> None:
    """From here on no handler seems to take long, which on a busy machine any may; and the next one is the reader's."""
    monkeypatch.setattr(pool.readers, "look", lambda: None)
    monkeypatch.setattr(quick_handlers, "_QUICK", math.inf)
    monkeypatch.setattr(quick_handlers, "_LONGEST_TURN", math.inf)
    eventually(lambda: thread_name() == READER, "a handler on the reader's thread")


def names(client: ClientSession, count: int = 100) -> set[str]:
    """Of the threads that run so many handlers, one after the other."""
    return {get(client, "/whose") for _ in range(count)}


def test_a_connection_that_is_used_much_has_its_handlers_run_by_its_reader() -> None:
    def handler(stream: Any, headers: Any) -> None:
        whose(stream)

    client, _ = pair(handler)
    with client:
        assert READER not in names(client, quick_handlers._USED_BEFORE)
        eventually(lambda: get(client, "/") == READER)


def test_a_handler_that_waits_for_another_of_its_connection() -> None:
    """Of a thing that is none of ours: only that it takes long is to be seen."""
    released = threading.Event()
    with serving(
        {
            "/waits": lambda stream: stream.end(b"%d" % released.wait(PATIENCE)),
            "/releases": lambda stream: (released.set(), stream.end()),
        }
    ) as (client, _):
        waiting = client.request({":path": "/waits"})
        get(client, "/releases")
        assert waiting.read(timeout=PATIENCE) == b"1"


def test_what_was_read_together_does_not_wait_for_the_handler_that_waits() -> None:
    released = threading.Event()

    def waits(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/waits":
            released.wait(PATIENCE)
        whose(stream)

    with server_and_raw_client(waits) as (_, peer):
        first = used(peer)
        ask_together(peer, first, "/waits", *["/"] * 15)
        others = answers(peer, 15)
        assert first not in others
        assert READER not in others.values()
        released.set()
        assert list(answers(peer, 1)) == [first]


@pytest.mark.parametrize("tls", [False, True])
def test_a_handler_that_waits_for_its_client_leaves_the_reading_to_others(
    tls: bool, tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks for it here: who is about to wait sees to it."""
    size = 3_000_000
    options: dict[str, Any] = {}
    if tls:
        options = {"tls": True, "client_context": tls_contexts[0], "server_context": tls_contexts[1]}
    with serving({"/large": lambda stream: stream.end(bytes(size))}, **options) as (client, session):
        stop_looking(monkeypatch, session._host._pool, lambda: get(client, "/whose"))
        large = client.request({":path": "/large"})
        client.ping(timeout=PATIENCE)
        assert sum(map(len, large)) == size


def test_a_body_that_has_not_come_whole_is_nothing_for_a_reader() -> None:
    with serving({"/echo": lambda stream: (whose(stream), stream.read())}) as (client, _):
        stream = client.request({":method": "POST", ":path": "/echo"})
        assert stream.read(len(READER), timeout=PATIENCE).decode() != READER
        stream.end(b"body")


@pytest.mark.parametrize("option", ["max_workers", "executor"])
def test_threads_that_the_user_chose_run_all_handlers(option: str) -> None:
    def handler(stream: Any, headers: Any) -> None:
        whose(stream)

    with ThreadPoolExecutor(2) as executor:
        client, _ = pair(handler, server={option: executor if option == "executor" else 1})
        with client:
            assert READER not in names(client)


def test_an_application_is_nothing_for_a_reader() -> None:
    """Frameworks keep a connection to a database for each thread."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    client, session = pair(compat.wsgi(app))
    with client:
        workers = names(client, 200)
        assert session._host._pool.readers.rest
        assert READER not in workers | names(client)


def test_as_many_handlers_run_at_once_as_the_pool_may_have_threads() -> None:
    """Readers count among them, and make room where others need it."""
    here = threading.Barrier(4, timeout=PATIENCE)

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/meet":
            here.wait()
        stream.end()

    with create_server(handler, max_workers=4) as server:
        sessions = [connect(server.url) for _ in range(6)]
        for _ in range(50):
            for session in sessions:
                get(session, "/")
        readers = server._pool.readers  # type: ignore[attr-defined]
        assert len(readers) <= 2
        meeting = [sessions[0].request({":path": "/meet"}) for _ in range(4)]
        assert [stream.read(timeout=PATIENCE) for stream in meeting] == [b""] * 4
        for session in sessions:
            session.close()


def test_a_reader_helps_those_who_wait_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its own requests were always ahead of theirs; and what it runs for them may take long."""
    going, released = threading.Event(), threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/waits":
            going.set()
            released.wait(PATIENCE)
        whose(stream)

    with create_server(handler) as server, connect(server.url) as client, connect(server.url) as newcomer:
        pool = server._pool
        eventually(lambda: get(client, "/") == READER, "a handler on the reader's thread")
        with monkeypatch.context() as patched:
            stop_looking(patched, pool, lambda: get(client, "/"))
            patched.setattr(pool, "_staff_locked", lambda most: ([], 0))
            first, second = newcomer.request(), newcomer.request({":path": "/waits"})
            eventually(lambda: sum(map(len, list(pool._turns.values()))) == 2)
            assert get(client, "/")
            assert first.read(timeout=PATIENCE).decode() == READER
            assert going.wait(PATIENCE)
        eventually(lambda: get(client, "/") == READER, "another reader")
        assert not second.closed
        released.set()
        assert second.read(timeout=PATIENCE).decode() == READER


def test_a_handler_that_waits_where_no_thread_can_be_started(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[BaseException] = []

    def large(stream: Any) -> None:
        try:
            stream.end(bytes(3_000_000))
        except HTTP2Error as error:
            errors.append(error)
            raise

    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == READER:
            raise RuntimeError("can't start new thread")
        start(thread)

    def is_ended() -> bool:
        """A worker, which has the handler where the reader finds more to read, answers."""
        try:
            get(client, "/large")
        except HTTP2Error:
            return True
        return False

    with serving({"/large": large}) as (client, session):
        stop_looking(monkeypatch, session._host._pool, lambda: get(client, "/whose"))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            eventually(is_ended, "a handler on the reader's thread that waits")
        assert isinstance(errors[0], InvalidState)
        assert "no thread can be started to read" in str(errors[0])
        assert get(client, "/whose")
        eventually(lambda: [record for record in list(caplog.records) if record.levelno >= logging.ERROR])


def test_a_handler_that_exits_ends_nothing_but_itself(caplog: pytest.LogCaptureFixture) -> None:
    with serving({"/exit": lambda stream: sys.exit(1)}) as (client, session):
        stream = client.request({":path": "/exit"})
        assert stream.wait_response(timeout=PATIENCE)[":status"] == "500"
        assert get(client, "/whose")
        assert not session.destroyed
        eventually(lambda: any("failed" in record.getMessage() for record in list(caplog.records)))


@pytest.mark.parametrize("end", ["close", "destroy"])
def test_a_handler_may_end_its_own_session(end: str) -> None:
    with serving({"/end": lambda stream: (stream.end(), getattr(stream.session, end)())}) as (client, session):
        stream = client.request({":path": "/end"})
        eventually(lambda: session._gone)
        assert stream.closed


def test_a_session_that_ends_while_its_reader_runs_a_handler() -> None:
    going, released = threading.Event(), threading.Event()

    def waits(stream: Any) -> None:
        going.set()
        released.wait(PATIENCE)

    with serving({"/waits": waits}) as (client, session):
        stream = client.request({":path": "/waits"})
        assert going.wait(PATIENCE)
        client.destroy()
        eventually(lambda: session._gone)
        released.set()
        assert stream.closed


def test_who_was_relieved_leaves_the_next_readers_seat_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which that one has left in its turn."""
    threads: list[threading.Thread] = []
    released = [threading.Event(), threading.Event()]

    def waits(stream: Any) -> None:
        threads.append(threading.current_thread())
        released[len(threads) - 1].wait(PATIENCE)
        stream.end()

    with serving({"/waits": waits}) as (client, session):
        pool = session._host._pool
        streams = [client.request({":path": "/waits"})]
        eventually(lambda: threads and threads[0].ident not in pool.readers._by_thread, "another reader")
        stop_looking(monkeypatch, pool, lambda: get(client, "/whose"))
        streams.append(client.request({":path": "/waits"}))
        eventually(lambda: len(threads) == 2 and session._seat.vacant)
        released[0].set()
        threads[0].join(PATIENCE)
        assert not threads[0].is_alive()
        assert session._seat.vacant
        released[1].set()
        assert get(client, "/whose")
        assert [stream.read(timeout=PATIENCE) for stream in streams] == [b"", b""]


def test_handlers_that_others_begin_do_not_hide_one_that_takes_long() -> None:
    """The pool may have many of the same session."""
    released = threading.Event()
    with serving({"/waits": lambda stream: (released.wait(PATIENCE), whose(stream))}) as (client, session):
        stream = client.request({":path": "/waits"})

        def is_relieved() -> bool:
            session._handler_began_at = time.monotonic()
            return not session._host._pool.readers._by_thread and not session._seat.vacant

        eventually(is_relieved)
        assert get(client, "/whose")
        released.set()
        assert stream.read(timeout=PATIENCE)


def test_requests_with_pauses_between_them_start_no_watcher_each(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = threading.Thread.start

    def counted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    with serving({}) as (client, session):
        pool = session._host._pool
        monkeypatch.setattr(quick_handlers, "_QUICK", math.inf)  # the watcher of a pool without readers does not stay
        eventually(lambda: get(client, "/whose") == READER)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", counted)
            for _ in range(5):
                eventually(lambda: not (pool._watching or pool._watcher_awake))
                assert get(client, "/whose")
    assert not [name for name in started if "watcher" in name]


def test_a_watcher_that_an_interrupt_left_asleep_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    released = threading.Event()
    with serving(
        {
            "/waits": lambda stream: stream.end(b"%d" % released.wait(PATIENCE)),
            "/releases": lambda stream: (released.set(), stream.end()),
        }
    ) as (client, session):
        pool = session._host._pool

        def strikes() -> bool:
            """An awake watcher is not woken; it may wake for a moment by itself."""
            try:
                pool.keep_worker("another", True)
            except KeyboardInterrupt:
                return True
            finally:
                pool.keep_worker("another", False)
            return False

        with monkeypatch.context() as patched:
            patched.setattr(pool, "_watch_from_now_on", interrupted)
            eventually(strikes, "an interrupt")
        waiting = client.request({":path": "/waits"})
        get(client, "/releases")
        assert waiting.read(timeout=PATIENCE) == b"1"


def test_what_fails_on_a_thread_that_reads_no_more_ends_no_session(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()

    def fail(*_: object) -> None:
        raise ValueError("it fails")

    with serving({"/waits": lambda stream: (released.wait(PATIENCE), whose(stream))}) as (client, session):
        pool = session._host._pool
        stream = client.request({":path": "/waits"})
        eventually(lambda: not pool.readers._by_thread and not session._seat.vacant, "another reader")
        with monkeypatch.context() as patched:
            patched.setattr(session._host, "_reader_helps", fail)
            released.set()
            assert stream.read(timeout=PATIENCE)
            eventually(lambda: caplog.records)
        assert "ValueError: it fails" in caplog.text
        assert get(client, "/whose")
        eventually(lambda: len(pool._assigned) == 0)


def test_answers_of_what_was_read_together_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(stream: Any, headers: Any) -> None:
        whose(stream)

    with server_and_raw_client(handler) as (session, peer):
        ids = itertools.count(1, 2)
        stop_looking(monkeypatch, session._host._pool, lambda: answer_of(peer, next(ids)))
        first = next(ids)
        sends: list[None] = []
        send_some = session._transport.send_some_locked

        def counted() -> bool:
            sends.append(None)
            return send_some()

        monkeypatch.setattr(session._transport, "send_some_locked", counted)
        ask_together(peer, first, *["/"] * 10)
        assert list(answers(peer, 10).values()) == [READER] * 10
        assert len(sends) == 1


def test_what_came_with_the_connection_is_handled() -> None:
    """Before there was a reader: many requests, and nothing after them."""

    def handler(stream: Any, headers: Any) -> None:
        whose(stream)

    count = 3 * quick_handlers._USED_BEFORE
    near, far = socket.socketpair()
    peer = RawPeer(far, client=True)
    far.sendall(PREFACE + SettingsFrame(0).serialize())
    ask_together(peer, 1, *["/"] * count)
    session = serve_socket(near, handler, allow_http1=True)
    try:
        assert len(answers(peer, count)) == count
    finally:
        session.destroy()
        peer.close()


def used(peer: RawPeer) -> int:
    """Make requests until the thread that reads runs handlers; the id of the stream to be opened next."""
    ids = itertools.count(1, 2)
    eventually(lambda: answer_of(peer, next(ids)) == READER, "a handler on the reader's thread")
    return next(ids)


def answer_of(peer: RawPeer, stream_id: int) -> str:
    ask_together(peer, stream_id, "/")
    return answers(peer, 1)[stream_id]


def ask_together(peer: RawPeer, first: int, *paths: str) -> None:
    """GETs in one piece, on streams from `first` on."""
    frames = []
    for number, path in enumerate(paths):
        block = peer._encoder.encode([*REQUEST[:3], (":path", path)])
        frames.append(HeadersFrame(first + 2 * number, block, flags=["END_HEADERS", "END_STREAM"]))
    peer.send(*frames)


def answers(peer: RawPeer, count: int) -> dict[int, str]:
    """The next so many short answers: stream id -> body."""
    frames = [peer.expect(DataFrame) for _ in range(count)]
    return {frame.stream_id: frame.data.decode() for frame in frames}
