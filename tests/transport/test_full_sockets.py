"""The thread that waits for sockets which were full: whom it calls, and when."""

from __future__ import annotations

import errno
import gc
import logging
import os
import select
import socket
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import NoReturn

import pytest

from support.threads.background import eventually
from sync_h2.transport.full_sockets import FullSockets, full_sockets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is watched without epoll")

Sockets = tuple[socket.socket, socket.socket]


class Sender:
    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.error = error

    def on_writable(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


def fill(sock: socket.socket) -> int:
    size = 0
    try:
        while True:
            size += sock.send(bytes(65_536), socket.MSG_DONTWAIT)
    except BlockingIOError:
        return size


def watch(sock: socket.socket, sender: Sender) -> bool:
    return full_sockets.watch(sock, sender)


def is_writable(sock: socket.socket) -> bool:
    return bool(select.select([], [sock], [], 0)[1])


@pytest.fixture
def ends() -> Iterator[Sockets]:
    full_sockets.ensure_running()
    near, far = socket.socketpair()
    with near, far:
        yield near, far


@pytest.fixture
def others() -> Iterator[Sockets]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_it_is_called_once_each_time_that_octets_are_taken(ends: Sockets, others: Sockets) -> None:
    near, far = ends
    sender, other = Sender(), Sender()
    for times in (1, 2, 3):
        left = fill(near)
        assert watch(near, sender)
        # One that is writable is called at once, and the first, which is not, has not been by then.
        assert watch(others[0], other)
        eventually(lambda: other.calls == times)  # noqa: B023 - it is called here alone
        assert sender.calls == times - 1
        while left:
            left -= len(far.recv(left))
        eventually(lambda: sender.calls == times)  # noqa: B023
    assert is_writable(near)
    assert watch(others[0], other)
    eventually(lambda: other.calls == 4)
    assert sender.calls == 3


@pytest.mark.parametrize("end", ["the peer closes", "shut down", "the peer closes with octets unread"])
def test_a_connection_that_ends_is_told_too(ends: Sockets, end: str) -> None:
    near, far = ends
    fill(near)
    sender = Sender()
    if end == "the peer closes with octets unread":
        near, far = _tcp()
        fill(near)
    assert watch(near, sender)
    if end == "shut down":
        near.shutdown(socket.SHUT_RDWR)
    else:
        far.close()
    eventually(lambda: sender.calls)
    near.close()


def _tcp() -> Sockets:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near = listener.accept()[0]
    return near, far


def test_one_that_waits_no_more_or_fails_stops_nobody(
    ends: Sockets, others: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    left, failing, third = Sender(), Sender(RuntimeError("it fails")), Sender()
    octets = fill(ends[0])
    assert watch(ends[0], left)
    full_sockets.forget(ends[0])
    ends[1].recv(octets, socket.MSG_WAITALL)
    with caplog.at_level(logging.ERROR, "sync_h2.connection"):
        assert watch(ends[1], failing)
        eventually(lambda: failing.calls)
        assert watch(others[0], third)
        eventually(lambda: third.calls)
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [failing.error]
    assert left.calls == 0


def test_who_waits_is_kept_and_who_does_not_is_let_go(ends: Sockets) -> None:
    octets = fill(ends[0])
    sender = Sender()
    reference = weakref.ref(sender)
    assert watch(ends[0], sender)
    del sender
    gc.collect()
    assert reference() is not None
    ends[1].recv(octets, socket.MSG_WAITALL)
    eventually(lambda: reference() is None)
    fill(ends[0])
    sender = Sender()
    reference = weakref.ref(sender)
    assert watch(ends[0], sender)
    full_sockets.forget(ends[0])
    del sender
    gc.collect()
    assert reference() is None


def test_a_number_that_another_socket_has_now(ends: Sockets) -> None:
    """The first was closed while it was full: whoever gets its number is called when that is due."""
    near, far = ends
    fill(near)
    first, second = Sender(), Sender()
    assert watch(near, first)
    full_sockets.forget(near)
    number = near.fileno()
    spare = socket.socketpair()
    near.close()
    with socket.socket(fileno=spare[0].detach()) as again:
        moved = socket.socket(fileno=os.dup2(again.fileno(), number, inheritable=False))
        with moved, spare[1]:
            left = fill(moved)
            assert watch(moved, second)
            spare[1].recv(left, socket.MSG_WAITALL)
            eventually(lambda: second.calls)
    far.close()


def test_a_closed_one_is_not_watched(ends: Sockets) -> None:
    ends[0].close()
    assert not watch(ends[0], Sender())


class Refusing(logging.Handler):
    """A handler of log records that fails itself."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        raise RuntimeError("the log is full")


def test_a_log_handler_that_raises_stops_nobody(ends: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(str(unraisable.exc_value)))
    handler = Refusing()
    logger = logging.getLogger("sync_h2.connection")
    logger.addHandler(handler)
    try:
        assert watch(ends[0], Sender(RuntimeError("it fails")))
        eventually(lambda: reported)
    finally:
        logger.removeHandler(handler)
    sender = Sender()
    assert watch(ends[1], sender)
    eventually(lambda: sender.calls)


def test_without_a_descriptor_for_it_nothing_is_watched_yet(ends: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends has to wait by a thread of its own then, and a session can begin all the same."""
    watching, sender = FullSockets(), Sender()

    def none_left() -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(select, "epoll", none_left)
    watching.ensure_running()
    assert not watching.watch(ends[0], sender)


def test_without_a_thread_nothing_is_watched_yet(ends: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    watching, sender = FullSockets(), Sender()

    def none_left(self: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(RuntimeError):
        watching.ensure_running()
    assert not watching.watch(ends[0], sender)
