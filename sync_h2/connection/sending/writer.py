"""The writer: the thread for what the kernel does not take at once.

It alone blocks in `send`, and holds no lock then. It is active until a critical section of its own found nothing more
to send. Its thread is started when the socket takes octets again, which one thread sees for all sessions
(transport/full_sockets.py), and leaves when it has taken none for a second: for a peer that reads nothing there is
none.

Methods ending in `_locked` need the session's lock. `_write` and what it calls run on the writer's thread,
`on_writable` on the one that watches sockets.
"""

from __future__ import annotations

import threading
from typing import Protocol

from ...errors import ConnectionLost
from ...transport.full_sockets import full_sockets
from ...transport.log import Log
from ...transport.transport import Transport
from ..shared.monitor import Monitor, WaitQueue

logger = Log("sync_h2.connection")

_LINGER = 2.0  # seconds for which an idle writer thread waits for more


class Source(Protocol):
    """Where the writer has from what it sends: the sender."""

    finished: bool
    """Nothing goes out any more: our side of the connection is shut down, or broken."""

    def frame_for_writer_locked(self) -> None:
        """Frame what can be framed, unless much waits already."""

    def take_for_writer_locked(self) -> list[bytes | memoryview]:
        """What to send next; empty when nothing waits, or another thread sends."""

    def all_sent_locked(self) -> None:
        """All that was there has gone out."""

    def broken_locked(self, error: ConnectionLost) -> None:
        """The connection takes nothing any more."""


class Writer:
    """One session's writer, whether or not its thread is there."""

    __slots__ = (
        "__weakref__",
        "_awaits_writable",
        "_begun",
        "_changed",
        "_linger",
        "_monitor",
        "_running",
        "_source",
        "_transport",
        "_work",
        "active",
    )

    def __init__(self, monitor: Monitor, transport: Transport, source: Source, changed: WaitQueue) -> None:
        self._monitor = monitor
        self._transport = transport
        self._source = source
        self._changed = changed  # it has begun, or left
        self._work = WaitQueue(monitor)
        self._running = False  # its thread is there, or is being started
        self._begun = False
        self._awaits_writable = False  # it is to be started when the socket takes octets
        self._linger: float | None = _LINGER
        self.active = False  # what is to be sent is the writer's

    def wake_locked(self) -> None:
        """Something is left to send, and the kernel takes no more now."""
        self.active = True
        if self._running:
            self._work.wake_all_locked()
        elif self._linger is None:
            self._start_locked()
        elif not self._awaits_writable:
            if full_sockets.watch(self._transport.sock, self):
                self._awaits_writable = True
                self._source.frame_for_writer_locked()  # as it would itself: who posted that need not wait
            else:
                self._start_locked()

    def on_writable(self) -> None:
        """The socket takes octets again, or never will: called by the thread that watches all sessions' sockets."""
        with self._monitor, self._monitor.lock:
            if not self._awaits_writable:
                return
            try:
                self._transport.send_some_locked()
            except ConnectionLost as error:
                self._source.broken_locked(error)
            else:
                self._start_locked()

    def stay_locked(self, stays: bool) -> None:
        """Whether the writer, started now, waits on when it is idle: at the interpreter's end none could be started."""
        self._linger = None if stays else _LINGER
        if not self._source.finished and (stays or self._running):
            self.wake_locked()

    def finish_locked(self) -> None:
        """Nothing goes out any more."""
        if self._awaits_writable:
            self._waits_no_more_locked()
            self.active = False
            self._changed.wake_all_locked()
        self._work.wake_all_locked()

    # -- what can be asked

    @property
    def awaits_writable_locked(self) -> bool:
        """Whether nothing goes out before the peer has read some of what the kernel holds for it."""
        return self._awaits_writable

    @property
    def starting_locked(self) -> bool:
        return self._running and not self._begun

    @property
    def may_send_locked(self) -> bool:
        """Whether its thread sends, or may, without the lock."""
        return self._running or self._awaits_writable

    @property
    def state_locked(self) -> str:
        """What the writer thread does: "sending", "idle", or "none" when there is no thread; "awaited": there is one as
        soon as the peer reads.
        """
        if self._awaits_writable:
            return "awaited"
        return "sending" if self.active else "idle" if self._running else "none"

    # -- its thread

    def _start_locked(self) -> None:
        # In this order: a start that was posted and not noted does nothing, one that was noted and not posted would be
        # waited for.
        self._monitor.after_unlock(self._start)
        self._running = True
        self._waits_no_more_locked()

    def _waits_no_more_locked(self) -> None:
        if self._awaits_writable:
            full_sockets.forget(self._transport.sock)
            self._awaits_writable = False

    def _start(self) -> None:
        try:
            threading.Thread(target=self._write, name="sync_h2-writer", daemon=True).start()
        except RuntimeError as error:  # the process has too many
            with self._monitor, self._monitor.lock:
                self._leave_locked()
            self._monitor.on_broken(error)

    def _write(self) -> None:
        with self._monitor, self._monitor.lock:
            if self._begun or not self._running:
                return  # started twice, because an interrupt fell into the start
            self._begun = True
            self._changed.wake_all_locked()
        try:
            self._write_until_done()
        except BaseException:
            logger.exception("the writer failed")
            with self._monitor, self._monitor.lock:
                self._source.broken_locked(ConnectionLost("the session's writer failed"))
                self._leave_locked()

    def _write_until_done(self) -> None:
        while True:
            waiter = None
            with self._monitor, self._monitor.lock:
                buffers = self._source.take_for_writer_locked()
                if not buffers:
                    self.active = False
                    self._source.all_sent_locked()
                    if self._source.finished:
                        self._leave_locked()
                        return
                    if self.active:  # by the goodbye just now
                        continue
                    waiter = self._work.enlist_locked()
            if waiter is not None:
                if not waiter.block(self._linger):
                    with self._monitor, self._monitor.lock:
                        self._work.withdraw_locked(waiter)
                        if not self.active and self._linger is not None:
                            self._leave_locked()
                            return
                continue
            while buffers:
                try:
                    self._transport.send_blocking(buffers)
                except ConnectionLost as error:
                    with self._monitor, self._monitor.lock:
                        self._source.broken_locked(error)
                        self._leave_locked()
                    return
                if buffers:
                    with self._monitor, self._monitor.lock:
                        if self._leaves_stalled_locked(buffers):
                            return

    def _leaves_stalled_locked(self, rest: list[bytes | memoryview]) -> bool:
        """The peer has stopped reading: whether the thread leaves, for another to go on with `rest` when it reads."""
        if self._linger is None and not self._source.finished:
            return False
        self._transport.take_back_locked(rest)
        self._leave_locked()
        if not self._source.finished:
            self.wake_locked()
        return True

    def _leave_locked(self) -> None:
        # In the critical section that decided it: from here on another thread may be started.
        self._transport.blocking_send_done_locked()
        self.active = self._running = self._begun = False
        self._changed.wake_all_locked()
