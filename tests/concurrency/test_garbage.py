"""Garbage collection at the worst moments, and what becomes of what is dropped.

The collector may run at any allocation, on any thread, under any lock; so what is collected then may take none.
"""

from __future__ import annotations

import gc
import io
import logging
import queue
import socket
import sys
import sysconfig
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame

from support.leaks import check_threads_end
from support.lock_rules import inside_a_critical_section
from support.raw_peer import REQUEST, RESPONSE, client_and_raw_server, server_and_raw_client
from support.threads import PATIENCE, Background, eventually
from support.tracing import PACKAGE
from sync_h2 import ErrorCode, connect, create_server
from sync_h2.connection import files, sender
from sync_h2.connection.session_calls import Session
from sync_h2.connection.timers import timers
from sync_h2.testing import pair

VICTIMS = 12
"""How many things of each kind are collected under a lock in one test."""

_OTHER_LOCKS = (f"{PACKAGE}/server/pool.py", f"{PACKAGE}/connection/timers.py")


@pytest.fixture(autouse=True)
def _small_heap() -> Iterator[None]:
    """A collection looks at what the test made, not at all of pytest."""
    timers.ensure_running()  # it stays, and is nobody's
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What goes wrong on the timer thread or in a reader is logged."""
    yield
    errors = [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert errors == []


class Dropped:
    """The messages of the ResourceWarnings so far."""

    def __init__(self, caught: list[warnings.WarningMessage]) -> None:
        self._caught = caught

    def count(self, text: str) -> int:
        return sum(issubclass(w.category, ResourceWarning) and text in str(w.message) for w in list(self._caught))


@pytest.fixture
def dropped() -> Iterator[Dropped]:
    threads_before = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield Dropped(caught)
        eventually(partial(readers_have_ended, threads_before), "the end of all readers")


def readers_have_ended(threads_before: set[threading.Thread]) -> bool:
    """Of those that were started since: they warn of a session that was dropped as the last thing."""
    gc.collect()  # again and again: while another thread collects, this does nothing
    return all(thread.name != "sync_h2-reader" for thread in set(threading.enumerate()) - threads_before)


def in_a_cycle(thing: object) -> None:
    """Make it garbage that only the collector finds."""
    cycle = [thing]
    cycle.append(cycle)


def timers_are_through() -> None:
    """Wait until the timer thread has done what finalizers left for it."""
    done: queue.SimpleQueue[None] = queue.SimpleQueue()
    timers.run(lambda: done.put(None))
    done.get(timeout=PATIENCE)


# -- under the lock


class Collector:
    """A trace function that drops one of its victims, and collects, at lines run under a lock: every `period`-th."""

    def __init__(self, victims: list[list[Any]], period: int) -> None:
        self._victims = victims
        self._period = period
        self.lines = 0
        self.collected = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and (inside_a_critical_section() or frame.f_code.co_filename in _OTHER_LOCKS):
            self.lines += 1
            if self._victims and self.lines % self._period == 0:
                victim = self._victims.pop()
                victim.append(victim)  # a cycle
                del victim
                gc.collect()
                self.collected += 1
        return self

    def run(self, function: Callable[[], object]) -> object:
        previous = sys.gettrace()
        sys.settrace(self)
        try:
            return function()
        finally:
            sys.settrace(previous)


def victims_of(client: Any) -> tuple[list[list[Any]], list[weakref.ref[Any]]]:
    """Handles of streams of this session, bare and with files around them, and sessions of their own; these once more,
    weakly.
    """
    victims: list[list[Any]] = []
    sessions: list[weakref.ref[Any]] = []
    for number in range(VICTIMS):
        stream = client.request({":method": "POST", ":path": "/victim"})
        if number % 4 == 0:
            victims.append([stream])
        elif number % 4 == 1:
            writer = io.BufferedWriter(stream.wfile)
            writer.write(b"buffered")
            victims.append([writer])
        elif number % 4 == 2:
            text = io.TextIOWrapper(stream.wfile)
            text.write("buffered")
            victims.append([text, io.BufferedReader(stream.rfile)])
        else:
            victims.append([stream, stream.wfile, stream.rfile, pair()[0]])
            sessions.append(weakref.ref(victims[-1][-1]))
    return victims, sessions


def count_and_keep(kept: list[Any], stream: Any, headers: Any) -> None:
    if headers[":path"] == "/victim":
        stream.detach()
        kept.append(stream)
    else:
        stream.end(b"%d" % len(stream.read()))


def exchange(client: Any) -> bytes:
    stream = client.request({":method": "POST"}, timeout=PATIENCE)
    stream.write(b"x" * 300_000, timeout=PATIENCE)
    stream.end(timeout=PATIENCE)
    client.ping(timeout=PATIENCE)
    return bytes(stream.read(timeout=PATIENCE))


@pytest.mark.parametrize("where", ["caller", "client's reader", "server's reader", "handler"])
def test_a_collection_under_the_lock(where: str, dropped: Dropped, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of this very session and another session are collected while this session's lock is held."""
    threads_before = set(threading.enumerate())
    kept: list[Any] = []
    collector: Collector | None = None
    reader_target = Session._reader_target

    def handler(stream: Any, headers: Any) -> None:
        if where == "handler" and collector is not None:
            collector.run(partial(count_and_keep, kept, stream, headers))
        else:
            count_and_keep(kept, stream, headers)

    def traced_reader(session: Session) -> Callable[[], None]:
        target = reader_target(session)
        # Collects nothing until it has got its victims.
        return partial(reader_collector.run, target) if where == f"{session.type}'s reader" else target

    waiting_for_victims: list[list[Any]] = []
    reader_collector = Collector(waiting_for_victims, period=7)
    monkeypatch.setattr(Session, "_reader_target", traced_reader)
    client, server = pair(handler)
    victims, sessions = victims_of(client)
    eventually(lambda: len(kept) == VICTIMS)
    if where == "caller":
        collector = Collector(victims, period=7)
        answer = collector.run(partial(exchange, client))
    elif where == "handler":
        collector = Collector(victims, period=3)
        answer = exchange(client)
    else:
        collector = reader_collector
        waiting_for_victims += victims
        victims.clear()
        answer = exchange(client)
    assert answer == b"300000"
    assert collector.collected >= VICTIMS // 3
    victims.clear()
    waiting_for_victims.clear()

    def all_closed() -> bool:
        # Again and again: while the reader collects, this does nothing, and the other way round; and a session whose
        # reader is just handling something is no garbage yet.
        gc.collect()
        return all(stream.closed for stream in kept) and not any(session() for session in sessions)

    eventually(all_closed)
    for stream in kept:  # whatever was collected has been cancelled, and nothing of it looks whole
        assert stream.rst_code == ErrorCode.CANCEL
    kept.clear()
    del stream
    assert exchange(client) == b"300000"
    client.close(timeout=PATIENCE)
    server.close(timeout=PATIENCE)
    timers_are_through()
    check_threads_end(threads_before, time.monotonic() + PATIENCE)
    assert dropped.count("stream") >= VICTIMS


def test_a_collection_at_every_allocation(dropped: Dropped, background: Background) -> None:
    """The collector runs whenever it can, on every thread, with garbage of ours for each run."""
    client, server = pair(partial(count_and_keep, []))
    under_the_lock = 0

    def seen(phase: str, info: Any) -> None:
        nonlocal under_the_lock
        under_the_lock += phase == "start" and inside_a_critical_section()

    def work() -> None:
        for _ in range(10):
            in_a_cycle(client.request({":method": "POST", ":path": "/victim"}, timeout=PATIENCE))
            in_a_cycle(io.BufferedWriter(client.request({":method": "POST", ":path": "/victim"}).wfile))
            stream = client.request({":method": "POST"}, timeout=PATIENCE)
            stream.end(b"x" * 10_000, timeout=PATIENCE)
            assert stream.read(timeout=PATIENCE) == b"10000"

    gc.callbacks.append(seen)
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        working = [background(work) for _ in range(3)]
        for future in working:
            future.result(25)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(seen)
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):  # otherwise each thread counts its allocations by the hundred
        assert under_the_lock > 100
    del working, future
    client.destroy()
    server.destroy()


def test_dropping_a_stream_waits_for_no_lock(dropped: Dropped, background: Background) -> None:
    """Its finalizer runs wherever the last reference goes, at once."""
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        inside, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with session._monitor, session._lock:
                inside.set()
                while not leave.is_set():  # waiting under the lock is against its rules
                    pass

        holding = background(hold)
        assert inside.wait(PATIENCE)
        del stream  # hangs if it waits
        gc.collect()
        leave.set()
        holding.result(PATIENCE)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.CANCEL


def test_streams_need_no_collector(dropped: Dropped) -> None:
    """A handle is in no cycle: it goes with its last reference."""
    gc.disable()
    try:
        with client_and_raw_server() as (session, peer):
            stream = session.request()
            peer.headers(1, RESPONSE, end_stream=True)
            assert stream.read(timeout=PATIENCE) == b""
            handle = weakref.ref(stream)
            del stream
            assert handle() is None
    finally:
        gc.enable()


# -- what is dropped


def bare(stream: Any) -> object:
    stream.write(b"half")
    return stream


def writer(stream: Any) -> object:
    stream.wfile.write(b"half")
    return stream.wfile


def buffered_writer(stream: Any) -> object:
    wrapped = io.BufferedWriter(stream.wfile)
    wrapped.write(b"half")
    wrapped.flush()
    wrapped.write(b" and more")
    return wrapped


def text_writer(stream: Any) -> object:
    wrapped = io.TextIOWrapper(stream.wfile, write_through=True)
    wrapped.write("half")
    return wrapped


def buffered_text_writer(stream: Any) -> object:
    wrapped = io.TextIOWrapper(io.BufferedWriter(stream.wfile))
    wrapped.write("half")
    wrapped.flush()
    wrapped.write(" and more")
    return wrapped


def both_ways(stream: Any) -> object:
    wrapped = io.BufferedRWPair(stream.rfile, stream.wfile)
    wrapped.write(b"half")
    wrapped.flush()
    wrapped.write(b" and more")
    return wrapped


@pytest.mark.parametrize("by_the_collector", [False, True])
@pytest.mark.parametrize("wrap", [bare, writer, buffered_writer, text_writer, buffered_text_writer, both_ways])
def test_a_dropped_body_is_cancelled_and_never_looks_whole(
    wrap: Callable[[Any], object], by_the_collector: bool, dropped: Dropped
) -> None:
    with client_and_raw_server() as (session, peer):
        wrapped = wrap(session.request({":method": "POST"}))
        assert peer.expect(DataFrame, 1).data == b"half"
        if by_the_collector:
            in_a_cycle(wrapped)
        del wrapped
        gc.collect()
        while not isinstance(frame := peer.receive(), RstStreamFrame):
            assert "END_STREAM" not in frame.flags
        assert frame.error_code == ErrorCode.CANCEL
        timers_are_through()
        assert not session.destroyed


@pytest.mark.parametrize("wrap", [writer, buffered_writer, buffered_text_writer])
def test_a_dropped_response_is_cancelled_and_never_looks_whole(wrap: Callable[[Any], object], dropped: Dropped) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        in_a_cycle(wrap(stream))

    with server_and_raw_client(handler) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        assert peer.expect(DataFrame, 1).data == b"half"

        def reset() -> bool:
            gc.collect()
            return not session._streams

        eventually(reset)
        frames = peer.settled()
        assert [frame.error_code for frame in frames if isinstance(frame, RstStreamFrame)] == [ErrorCode.CANCEL]
        assert not any("END_STREAM" in frame.flags for frame in frames)


def connected(near: socket.socket, far: socket.socket) -> Any:
    """A session whose peer has sent SETTINGS with the largest windows, and acknowledged its own."""
    far.settimeout(PATIENCE)
    session = connect("http://localhost", sock=near)
    far.sendall(bytes.fromhex("00000604000000000000047fffffff0000040800000000007fff0000000000040100000000"))
    eventually(lambda: not session.connecting and not session.pending_settings_ack)
    return session


def with_cycles(session: Any) -> weakref.ref[Any]:
    """Refer to it by its own listeners, streams and files, and by nothing else."""
    stream = session.request({":method": "POST"})
    text = io.TextIOWrapper(stream.wfile)
    session.on("close", lambda: (session.ping(), text))
    stream.on("response", lambda headers: stream)
    return weakref.ref(session)


def until_gone(reference: weakref.ref[Any], near: socket.socket) -> None:
    def gone() -> bool:
        gc.collect()
        return reference() is None and near.fileno() == -1

    eventually(gone, "the end of a session that nobody holds")


def test_a_dropped_session_closes_its_connection(dropped: Dropped) -> None:
    near, far = socket.socketpair()
    threads_before = set(threading.enumerate())
    until_gone(with_cycles(connected(near, far)), near)
    with far:
        while far.recv(65_536):
            pass
    check_threads_end(threads_before, time.monotonic() + PATIENCE)
    assert dropped.count("session was dropped") == 1


def test_a_destroyed_session_is_dropped_in_silence(dropped: Dropped) -> None:
    """Whoever said that it is over need not wait until it is gone."""
    near, far = socket.socketpair()
    threads_before = set(threading.enumerate())

    def destroyed() -> weakref.ref[Any]:
        session = connected(near, far)
        session.destroy()
        return weakref.ref(session)

    until_gone(destroyed(), near)
    with far:
        while far.recv(65_536):
            pass
    check_threads_end(threads_before, time.monotonic() + PATIENCE)
    assert dropped.count("session") == 0


def test_a_session_that_is_dropped_while_its_writer_works_sends_that_first(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over is not cut in mid-frame; then the connection goes."""
    monkeypatch.setattr(sender, "_LINGER", 0.05)
    near, far = socket.socketpair()
    body = b"x" * 400_000

    def sending() -> weakref.ref[Any]:
        session = connected(near, far)
        session.request({":method": "POST"}).end(body)
        assert session._transport.unsent_locked  # the kernel has not taken it all: the writer blocks
        return weakref.ref(session)

    reference = sending()
    gc.collect()
    incoming = far.makefile("rb")
    incoming.read(24)
    received = b""
    while len(received) < len(body):
        header = incoming.read(9)
        payload = incoming.read(int.from_bytes(header[:3], "big"))
        received += payload if header[3] == 0 else b""
    assert received == body
    until_gone(reference, near)
    incoming.close()
    far.close()


def test_a_running_server_is_not_garbage() -> None:
    """Its threads hold it."""
    server = create_server(lambda stream, headers: stream.end(b"here"))
    server.start()
    url, reference = server.url, weakref.ref(server)
    del server
    gc.collect()
    with connect(url) as client:
        assert client.request().read(timeout=PATIENCE) == b"here"
    server = reference()
    assert server is not None
    server.close(timeout=PATIENCE)


def test_a_closed_server_is_collected() -> None:
    with create_server(lambda stream, headers: stream.end(b"here")) as server, connect(server.url) as client:
        assert client.request().read(timeout=PATIENCE) == b"here"
    reference = weakref.ref(server)
    del server, client

    def collected() -> bool:
        gc.collect()
        return reference() is None

    eventually(collected)


def test_a_server_that_never_ran_gives_its_port_back(dropped: Dropped) -> None:
    server = create_server()
    reference = weakref.ref(server)
    descriptor = server._socket
    del server
    gc.collect()
    assert reference() is None
    assert dropped.count("unclosed")  # as for any socket that nobody closes
    descriptor.close()


def test_ended_sessions_are_collected() -> None:
    """Nothing of the process keeps them: not the timers, the pool, the fork handlers or the threads."""
    references: list[weakref.ref[Any]] = []
    for number in range(20):
        client, server = pair(lambda stream, headers: stream.end(b"x"))
        assert client.request().read(timeout=PATIENCE) == b"x"
        client.set_timeout(1000)
        references += [weakref.ref(client), weakref.ref(server)]
        client.close(timeout=PATIENCE) if number % 2 else client.destroy()
        server.close(timeout=PATIENCE)
    del client, server

    def all_collected() -> bool:
        gc.collect()
        return not any(reference() for reference in references)

    eventually(all_collected)


def test_a_file_is_written_as_another_thread_begins_to_collect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this thread collects is found out without a lock."""
    interruptions = 0

    def interrupted(phases: Any) -> Any:
        nonlocal interruptions
        iterator = reversed(phases)
        if interruptions < 2:
            interruptions += 1
            collecting = threading.Thread(target=gc.collect)
            collecting.start()
            collecting.join()
        return iterator

    monkeypatch.setattr(files, "reversed", interrupted, raising=False)
    client, _ = pair(lambda stream, headers: stream.end(stream.read()))
    with client:
        stream = client.request({":method": "POST"})
        with stream.wfile as file:
            assert file.write(b"x") == 1
        assert stream.read(timeout=PATIENCE) == b"x"
    assert interruptions == 2
