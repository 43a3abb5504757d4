"""From frames in the outbox to the kernel: one send that does not block; what that leaves is the writer's.

Whoever holds the lock and has something to send has the pump (pump.py) frame it, and unless the writer (writer.py) is
active makes one non-blocking send.

Threads that share a client's session meet at its lock, and a system call under it has all of them wait. So they make
that send when they have released it; what others queue meanwhile is theirs to send too.

Any thread; methods ending in `_locked` need the session's lock.
"""

from __future__ import annotations

import time
from _thread import get_ident
from collections.abc import Callable

from ...errors import ConnectionLost
from ...transport.transport import Transport
from ..shared import monitor as monitor_module
from ..shared.monitor import Monitor, WaitQueue
from .outbox import HIGH_WATER_MARK, Outbox
from .pump import LARGEST_FRAME, Pump
from .writer import Writer

_MOST_DEFERRED = 32
"""How often `send_soon_locked` leaves what there is for a later send, at most."""
_MOST_TURNS = 8
"""How many sends a thread makes in a row, its own and those for others, before it leaves the rest to the writer."""


class Sender:
    """One session's way out."""

    __slots__ = (
        "_finishing",
        "_held",
        "_in_hand",
        "_monitor",
        "_more_is_coming_locked",
        "_most_queued",
        "_on_broken_locked",
        "_on_overflow",
        "_outbox",
        "_pump",
        "_said_goodbye",
        "_sends_unlocked",
        "_sending",
        "_transport",
        "changed",
        "deferred_locked",
        "finished",
        "last_sent",
        "writer",
    )

    def __init__(
        self,
        monitor: Monitor,
        transport: Transport,
        outbox: Outbox,
        pump: Pump,
        *,
        most_queued: int,
        on_broken_locked: Callable[[ConnectionLost], None],
        on_overflow: Callable[[], None],
        more_is_coming_locked: Callable[[], bool],
        sends_unlocked: bool,
    ) -> None:
        """`on_broken_locked(error)` is called when the connection takes nothing any more, `on_overflow()`, with no lock
        held, when more than `most_queued` octets wait; `more_is_coming_locked()` says whether threads that are about to
        run will have something to send. With `sends_unlocked` threads send when they have released the lock.
        """
        self._monitor = monitor
        self._transport = transport
        self._outbox = outbox
        self._pump = pump
        # Bodies wait in their streams; but for headers nobody waits, so a peer that asks and never reads fills the
        # outbox.
        self._most_queued = most_queued
        self._on_broken_locked = on_broken_locked
        self._on_overflow = on_overflow
        self._more_is_coming_locked = more_is_coming_locked
        self._sends_unlocked = sends_unlocked
        self.changed = WaitQueue(monitor)  # the writer has begun, or left; or another thread has sent
        self.writer = Writer(monitor, transport, self, self.changed)
        self.deferred_locked = 0  # calls of `send_soon_locked` since the last send
        self._sending = False  # a thread sends without the lock, or is about to
        # What it sends. Taking it out is one step in C, which it makes without the lock.
        self._in_hand: list[list[bytes | memoryview]] = []
        self._finishing = False
        self._said_goodbye = False
        self._held: list[bytes | memoryview] | None = None
        self.last_sent = time.monotonic()
        self.finished = False  # nothing goes out any more: our side of the connection is shut down, or broken

    def send_locked(self) -> None:
        """Frame what can be framed and give the kernel what it takes without blocking; the rest is the writer's."""
        if self._prepare_locked():
            self._send_some_locked()

    def _prepare_locked(self) -> bool:
        """Frame what can be framed; whether that, or what was there, is for the calling thread to send."""
        self.deferred_locked = 0
        if self._sending:  # that thread looks for more afterwards
            self._pump.run()
            return False
        if self.writer.active or self._held is not None:
            if self._outbox.size > self._most_queued:
                self._monitor.after_unlock(self._on_overflow)
            return False
        if self.finished:
            self._outbox.clear()
            return False
        self._pump.run()
        if self._outbox.size:
            self._wrap_locked()
        if self._transport.unsent_locked:
            return True
        if self._finishing:
            self._finish_now_locked()
        return False

    def _send_some_locked(self) -> None:
        try:
            drained = self._transport.send_some_locked()
        except ConnectionLost as error:
            self.broken_locked(error)
            return
        if drained:
            self._pump.run()
        if not drained or self._outbox.size:
            self.writer.wake_locked()
        elif self._finishing:
            self._finish_now_locked()

    def _send_after_unlock_locked(self) -> None:
        """As `send_locked`, but the calling thread sends when it has released the lock."""
        if not self._prepare_locked():
            return
        taken = self._transport.take_for_send_locked()
        if taken is None:
            self._send_some_locked()
        else:
            self._in_hand.append(taken)
            self._sending = True
            self._monitor.after_unlock(self._send_in_hand)

    def _send_in_hand(self) -> None:
        """Send what is in hand, and what others have queued by then, in some turns. No lock held."""
        try:
            try:
                taken = self._in_hand.pop()
            except IndexError:
                return  # called a second time, because an interrupt fell into the first
            turns = _MOST_TURNS
            while True:
                sent = self._transport.send_without_waiting(taken)
                turns -= 1
                with self._monitor, self._monitor.lock:
                    more = self._next_in_hand_locked(taken, sent, turns > 0)
                if more is None:
                    return
                taken = more
        except BaseException as error:
            with self._monitor, self._monitor.lock:
                self._in_hand.clear()
                self._sent_in_hand_locked()
                if isinstance(error, ConnectionLost):
                    self.broken_locked(error)
                    return
                self.broken_locked(ConnectionLost(f"a send was interrupted: {error!r}"))
            raise

    def _next_in_hand_locked(
        self, rest: list[bytes | memoryview], sent: int, goes_on: bool
    ) -> list[bytes | memoryview] | None:
        """What the thread is to send next; None when nothing is left, or the rest is the writer's."""
        drained = self._transport.sent_locked(rest, sent)
        unsent = 0
        if drained and not self.finished and goes_on:
            self._pump.run()
            if self._outbox.size:
                self._wrap_locked()
            unsent = self._transport.unsent_locked
            more = self._transport.take_for_send_locked() if unsent else None
            if more is not None:
                return more
        self._sent_in_hand_locked()
        if self.finished:
            return None
        if not drained or not goes_on:
            self.writer.wake_locked()
        elif unsent:
            self._send_some_locked()
        elif self._finishing:
            self._finish_now_locked()
        return None

    def _sent_in_hand_locked(self) -> None:
        self._sending = False
        self.changed.wake_all_locked()

    def send_soon_locked(self) -> None:
        """As `send_locked`; but where handlers are about to send more on this session, frame what can be framed and
        leave it to the next send, at the latest when the last of them begins or some milliseconds have passed (or
        when a handler that holds the interpreter for longer gives it away). On a client, send after the lock's release.

        A send is a system call and gives the interpreter away, which costs about as much as a small response.
        """
        if (
            not self._sends_unlocked  # a server
            and self.deferred_locked < _MOST_DEFERRED
            and not self.writer.active
            and self._held is None
            and self._more_is_coming_locked()
        ):
            self._pump.run()
            if self._outbox.size < LARGEST_FRAME:
                self.deferred_locked += 1
                return
        # The main thread is the one that a KeyboardInterrupt strikes: what others queue should not hang on it.
        if self._sends_unlocked and get_ident() != monitor_module.MAIN_THREAD:
            self._send_after_unlock_locked()
        else:
            self.send_locked()

    def _wrap_locked(self) -> None:
        if self._said_goodbye:
            self._outbox.clear()  # nothing may follow it
        elif self._outbox.size:
            self.last_sent = time.monotonic()
            self._transport.wrap_locked(self._outbox.take(HIGH_WATER_MARK))

    def hold_locked(self) -> None:
        """Keep back what is queued (our SETTINGS), and behind it all that will be, until `release_locked`."""
        self._held = self._outbox.take(HIGH_WATER_MARK)

    @property
    def held_locked(self) -> bool:
        """Whether anything is kept back."""
        return self._held is not None

    def release_locked(self, instead: bytes | None = None) -> None:
        """Let go what was kept back, or `instead`; `send_locked` sends it."""
        held, self._held = self._held, None
        if held is not None:
            self._transport.wrap_locked(held if instead is None else (instead,))

    def finish_locked(self) -> None:
        """Shut our side of the connection down once all that is queued has gone out; nothing may be queued after."""
        self._finishing = True
        # To a peer that said nothing and is told nothing, not even a GOAWAY, there is no SETTINGS to send either.
        self.release_locked(None if self._outbox.size else b"")
        self.send_locked()

    def abort_locked(self) -> None:
        """Send nothing any more, not even the end of what was sent: the connection is reset when it is closed."""
        self._outbox.clear()
        self._transport.reset_on_close()
        self._no_more_goes_out_locked()

    def _finish_now_locked(self) -> None:
        """Everything queued has gone out: say TLS's goodbye, and shut our side down when that has gone out too."""
        if self.finished or self._sending:
            return
        if not self._said_goodbye:
            self._said_goodbye = True
            self._transport.close_notify_locked()
            try:
                drained = self._transport.send_some_locked()
            except ConnectionLost:  # the peer has gone first
                drained = True
            if not drained:
                self.writer.wake_locked()
                return
        self._transport.shutdown_write()
        self._no_more_goes_out_locked()

    def broken_locked(self, error: ConnectionLost) -> None:
        self._outbox.clear()
        self._no_more_goes_out_locked()
        self._on_broken_locked(error)

    def _no_more_goes_out_locked(self) -> None:
        self.finished = True
        self.writer.finish_locked()

    @property
    def may_send_locked(self) -> bool:
        """Whether a thread sends, or may, without the lock: the descriptor may not be closed before it has left."""
        return self.writer.may_send_locked or self._sending

    @property
    def sending_locked(self) -> bool:
        """Whether another thread is making a send that does not block."""
        return self._sending

    # -- what the writer asks for

    def take_for_writer_locked(self) -> list[bytes | memoryview]:
        if self._sending:
            return []
        self._transport.blocking_send_done_locked()
        if self.finished or self._held is not None:
            return []
        self.frame_for_writer_locked()
        return self._transport.take_for_blocking_send_locked()

    def frame_for_writer_locked(self) -> None:
        if self._transport.unsent_locked < HIGH_WATER_MARK:  # or else a writer that stalled has left it
            self._pump.run()
            self._wrap_locked()

    def all_sent_locked(self) -> None:
        """All that was there has gone out."""
        if self._finishing:
            self._finish_now_locked()
