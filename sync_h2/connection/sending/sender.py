"""From posted data to the kernel: the pump, the one non-blocking send, and the writer thread for what is left.

A caller posts data to its stream. The pump turns posted data into frames until the outbox holds its high-water mark;
it is run, under the lock, by whoever changed something (a caller after posting, the reader after any frame, the
writer after a send). Then, unless the writer is active, whoever holds the lock makes one non-blocking send; what the
kernel did not take is the writer's. The writer alone blocks in `send`, and holds no lock then. It is "active" until a
critical section of its own found outbox and pump empty. Its thread is started when the socket takes octets again, which
one thread sees for all sessions, and leaves when it has taken none for a second: for a peer that reads nothing there is
none.

Threads that share a client's session meet at its lock, and a system call under it has all of them wait. So they make
that send when they have released it; what others queue meanwhile is theirs to send too.

Methods ending in `_locked` need the session's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from _thread import get_ident
from collections import deque
from collections.abc import Callable
from typing import cast

from ...errors import ConnectionLost
from ...protocol.wire import Wire
from ...transport.full_sockets import full_sockets
from ...transport.transport import Transport
from ..shared import monitor as waiting
from ..shared.monitor import Monitor, WaitQueue
from ..shared.stream_state import End, Posted, StreamState
from .outbox import HIGH_WATER_MARK, Outbox
from .scheduler import Scheduler

logger = logging.getLogger("sync_h2.connection")

LARGEST_FRAME = 64 * 1024
"""What we put into one DATA frame when the peer allows it: larger ones only make other streams wait."""
_MOST_DEFERRED = 32
"""How often `send_soon_locked` leaves what there is for a later send, at most."""
_MOST_TURNS = 8
"""How many sends a thread makes in a row, its own and those for others, before it leaves the rest to the writer."""
_LINGER = 2.0  # seconds for which an idle writer thread waits for more


class Sender:
    """One session's way out."""

    # Beyond 29 attributes in a dict, CPython 3.11 looks every method up anew: 4% of a small request.
    __slots__ = (
        "__weakref__",
        "_awaits_writable",
        "_blocked",
        "_finishing",
        "_held",
        "_in_hand",
        "_linger",
        "_monitor",
        "_more_is_coming_locked",
        "_most_queued",
        "_on_broken_locked",
        "_on_failed_end_locked",
        "_on_local_end_locked",
        "_on_overflow",
        "_outbox",
        "_pumping",
        "_said_goodbye",
        "_scheduler",
        "_sending",
        "_shared_by_requests",
        "_transport",
        "_work",
        "_writer_active",
        "_writer_begun",
        "_writer_running",
        "body_sent_at",
        "deferred_locked",
        "finished",
        "framed_octets",
        "last_sent",
        "protocol",
        "writer_changed",
    )

    def __init__(
        self,
        monitor: Monitor,
        transport: Transport,
        outbox: Outbox,
        most_queued: int,
        on_local_end_locked: Callable[[StreamState], None],
        on_failed_end_locked: Callable[[StreamState], None],
        on_broken_locked: Callable[[ConnectionLost], None],
        on_overflow: Callable[[], None],
        more_is_coming_locked: Callable[[], bool],
        *,
        shared_by_requests: bool,
    ) -> None:
        self._monitor = monitor
        self._transport = transport
        self._outbox = outbox
        self._scheduler = Scheduler()
        # Bodies wait in their streams; but for headers nobody waits, so a peer that asks and never reads fills the
        # outbox.
        self._most_queued = most_queued
        self._on_local_end_locked = on_local_end_locked
        self._on_failed_end_locked = on_failed_end_locked
        self._on_broken_locked = on_broken_locked
        self._on_overflow = on_overflow
        self._more_is_coming_locked = more_is_coming_locked
        self._shared_by_requests = shared_by_requests
        self.deferred_locked = 0  # calls of `send_soon_locked` since the last send
        # In the order in which they came: they have stream window, but the connection's is used up.
        self._blocked: dict[StreamState, None] = {}
        self._work = WaitQueue(monitor)
        self.writer_changed = WaitQueue(monitor)  # the writer has begun, or left; or another thread has sent
        self._writer_running = False  # its thread is there, or is being started
        self._writer_begun = False
        self._writer_active = False
        self._awaits_writable = False  # it is to be started when the socket takes octets
        self._sending = False  # a thread sends without the lock, or is about to
        # What it sends. Taking it out is one step in C, which it makes without the lock.
        self._in_hand: list[deque[bytes | memoryview]] = []
        self._linger: float | None = _LINGER
        self._finishing = False
        self._said_goodbye = False
        self._held: list[bytes | memoryview] | None = None
        self.last_sent = time.monotonic()
        self.framed_octets = 0  # of all streams' data
        self.body_sent_at = 0.0
        self._pumping = False
        self.finished = False  # nothing goes out any more: our side of the connection is shut down, or broken
        self.protocol: Wire  # set by the session, whose protocol in turn emits into the outbox

    # -- what the streams have to send

    def post_locked(self, state: StreamState, *items: Posted | End) -> None:
        """Append to what a stream is to send; `send_locked` gets it going."""
        state.post(*items)
        self.schedule_locked(state)

    def schedule_locked(self, state: StreamState) -> None:
        """Let a stream take part if it has something to send: after posting, and after its window or state changed."""
        if state.outgoing and state.id is not None and not state.closed:
            self._blocked.pop(state, None)
            self._scheduler.add(state)

    def unschedule_locked(self, state: StreamState) -> None:
        self._scheduler.remove(state)
        self._blocked.pop(state, None)

    def change_priority_locked(self, state: StreamState, urgency: int, sequential: bool) -> None:
        """Give a stream another urgency (RFC 9218), and say whether it is not to be interleaved."""
        self._scheduler.change(state, urgency, sequential)

    def withdraw_locked(self, state: StreamState, *items: Posted | End) -> None:
        """Take back what was posted and has not been framed."""
        for item in items:
            if item in state.outgoing:
                state.outgoing.remove(item)
        if not state.outgoing:
            self._scheduler.remove(state)

    def connection_window_opened_locked(self) -> None:
        blocked, self._blocked = self._blocked, {}
        for state in blocked:
            self.schedule_locked(state)

    def may_frame_at_once_locked(self, state: StreamState, count: int) -> bool:
        """Whether `count` bytes fit into one frame that the pump would make next: no turns, no wait for a window."""
        assert state.id is not None
        protocol = self.protocol
        return (
            not self._scheduler.count
            and not state.outgoing
            and count <= LARGEST_FRAME
            and count <= protocol.max_outbound_frame_size
            and count <= protocol.send_window(state.id)
            and self._outbox.size < HIGH_WATER_MARK
            and protocol.padding is None
        )

    def frame_at_once_locked(self, state: StreamState, data: bytes, ends: bool) -> None:
        """Frame `data`, and the stream's end if it `ends`, where `may_frame_at_once_locked` says so."""
        assert state.id is not None
        self.protocol.send_data(state.id, data, ends)
        self._framed_locked(state, len(data), ends)

    def _framed_locked(self, state: StreamState, count: int, ends: bool) -> None:
        if count:
            self.body_sent_at = now = time.monotonic()
            if not state.sent_bytes:
                state.first_byte_sent_at = now
            state.sent_bytes += count
            self.framed_octets += count
        state.touch()
        if ends:
            self._ended_locked(state)

    def _pump_locked(self) -> None:
        """Turn posted data into frames until the outbox holds enough, or windows or data are used up. What ends a
        stream on the way may want to send: that is left to this round.
        """
        if self._pumping or not self._scheduler.count:
            return
        self._pumping = True
        try:
            self._pump_until_full_locked()
        finally:
            self._pumping = False

    def _pump_until_full_locked(self) -> None:
        while self._outbox.size < HIGH_WATER_MARK:
            state = cast("StreamState | None", self._scheduler.next())
            if state is None:
                return
            count = self._frame_next_locked(state)
            if count is not None:
                self._scheduler.sent(state, count)
            if state.outgoing and count is not None:
                self._scheduler.requeue(state)
            else:
                self._scheduler.remove(state)

    def _frame_next_locked(self, state: StreamState) -> int | None:
        """Frame one piece of what `state` has posted; returns its length, None when no window is left for it."""
        assert state.id is not None
        protocol = self.protocol
        item = state.outgoing[0]
        if isinstance(item, Posted) and item.remaining:
            window = protocol.send_window(state.id)
            if window <= 0:
                if protocol.outbound_window() <= 0:
                    self._blocked[state] = None
                return None
            largest = min(window, protocol.max_outbound_frame_size)
            count = min(largest, item.remaining, LARGEST_FRAME)
            piece = item.take(count)
            if piece is None:
                self._on_failed_end_locked(state)
                return 0
            count = len(piece)  # a file may give less
            ends = False
            if not item.remaining:
                state.outgoing.popleft()
                ends = bool(state.outgoing) and state.outgoing[0] is End.END_STREAM
                state.progressed.wake_all_locked()
            elif item.remaining <= LARGEST_FRAME and state.progressed.waiting and not self._shared_by_requests:
                state.progressed.wake_all_locked()  # a server can take over so much
            padding = None if protocol.padding is None else protocol.padding(count, largest - count)
            protocol.send_data(state.id, piece, ends, padding)
            self._framed_locked(state, count, ends)
            return count
        state.outgoing.popleft()
        if isinstance(item, Posted):  # an empty write
            state.progressed.wake_all_locked()
        elif item is End.END_STREAM:
            padding = None
            if protocol.padding is not None:
                padding = protocol.padding(0, min(protocol.send_window(state.id), protocol.max_outbound_frame_size))
            protocol.send_data(state.id, b"", True, padding)
            self._ended_locked(state)
        elif item is End.RESET:
            self._on_failed_end_locked(state)
        else:
            protocol.send_trailers(state.id, item.block)
            self._ended_locked(state)
        return 0

    def _ended_locked(self, state: StreamState) -> None:
        state.drop_outgoing()
        state.local_ended = True
        state.progressed.wake_all_locked()
        self._on_local_end_locked(state)

    # -- to the kernel

    def send_locked(self) -> None:
        """Frame what can be framed and give the kernel what it takes without blocking; the rest is the writer's."""
        if self._prepare_locked():
            self._send_some_locked()

    def _prepare_locked(self) -> bool:
        """Frame what can be framed; whether that, or what was there, is for the calling thread to send."""
        self.deferred_locked = 0
        if self._sending:  # that thread looks for more afterwards
            self._pump_locked()
            return False
        if self._writer_active or self._held is not None:
            if self._outbox.size > self._most_queued:
                self._monitor.after_unlock(self._on_overflow)
            return False
        if self.finished:
            self._outbox.clear()
            return False
        self._pump_locked()
        self._wrap_locked()
        if self._transport.unsent_locked:
            return True
        self._all_sent_locked()
        return False

    def _send_some_locked(self) -> None:
        try:
            drained = self._transport.send_some_locked()
        except ConnectionLost as error:
            self._broken_locked(error)
            return
        if drained:
            self._pump_locked()
        if not drained or self._outbox.size:
            self._wake_writer_locked()
        else:
            self._all_sent_locked()

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
                    self._broken_locked(error)
                    return
                self._broken_locked(ConnectionLost(f"a send was interrupted: {error!r}"))
            raise

    def _next_in_hand_locked(
        self, rest: deque[bytes | memoryview], sent: int, goes_on: bool
    ) -> deque[bytes | memoryview] | None:
        """What the thread is to send next; None when nothing is left, or the rest is the writer's."""
        drained = self._transport.sent_locked(rest, sent)
        if drained and not self.finished and goes_on:
            self._pump_locked()
            self._wrap_locked()
            more = self._transport.take_for_send_locked() if self._transport.unsent_locked else None
            if more is not None:
                return more
        self._sent_in_hand_locked()
        if self.finished:
            return None
        if not drained or not goes_on:
            self._wake_writer_locked()
        elif self._transport.unsent_locked:
            self._send_some_locked()
        else:
            self._all_sent_locked()
        return None

    def _sent_in_hand_locked(self) -> None:
        self._sending = False
        self.writer_changed.wake_all_locked()

    def _all_sent_locked(self) -> None:
        if self._finishing:
            self._finish_now_locked()

    def send_soon_locked(self) -> None:
        """As `send_locked`; but where handlers are about to send more on this session, frame what can be framed and
        leave it to the next send, at the latest when the last of them begins or some milliseconds have passed (or
        when a handler that holds the interpreter for longer gives it away). On a client, send after the lock's release.

        A send is a system call and gives the interpreter away, which costs about as much as a small response.
        """
        if (
            self.deferred_locked < _MOST_DEFERRED
            and not self._writer_active
            and self._held is None
            and self._more_is_coming_locked()
        ):
            self._pump_locked()
            if self._outbox.size < LARGEST_FRAME:
                self.deferred_locked += 1
                return
        # The main thread is the one that a KeyboardInterrupt strikes: what others queue should not hang on it.
        if self._shared_by_requests and get_ident() != waiting.MAIN_THREAD:
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
                self._wake_writer_locked()
                return
        self._transport.shutdown_write()
        self._no_more_goes_out_locked()

    def _broken_locked(self, error: ConnectionLost) -> None:
        self._outbox.clear()
        self._no_more_goes_out_locked()
        self._on_broken_locked(error)

    def _no_more_goes_out_locked(self) -> None:
        self.finished = True
        if self._awaits_writable:
            self._waits_no_more_locked()
            self._writer_active = False
            self.writer_changed.wake_all_locked()
        self._work.wake_all_locked()

    def _wake_writer_locked(self) -> None:
        self._writer_active = True
        if self._writer_running:
            self._work.wake_all_locked()
        elif self._linger is None:
            self._start_writer_locked()
        elif not self._awaits_writable:
            if full_sockets.watch(self._transport.sock, self):
                self._awaits_writable = True
                self._frame_for_writer_locked()  # as it would itself: who posted that need not wait
            else:
                self._start_writer_locked()

    def on_writable(self) -> None:
        """The socket takes octets again, or never will: called by the thread that watches all sessions' sockets."""
        with self._monitor, self._monitor.lock:
            if not self._awaits_writable:
                return
            try:
                self._transport.send_some_locked()
            except ConnectionLost as error:
                self._broken_locked(error)
            else:
                self._start_writer_locked()

    def _start_writer_locked(self) -> None:
        # In this order: a start that was posted and not noted does nothing, one that was noted and not posted would be
        # waited for.
        self._monitor.after_unlock(self._start_writer)
        self._writer_running = True
        self._waits_no_more_locked()

    def _waits_no_more_locked(self) -> None:
        if self._awaits_writable:
            full_sockets.forget(self._transport.sock)
            self._awaits_writable = False

    def stay_locked(self, stays: bool) -> None:
        """Whether the writer, started now, waits on when it is idle: at the interpreter's end none could be started."""
        self._linger = None if stays else _LINGER
        if not self.finished and (stays or self._writer_running):
            self._wake_writer_locked()

    @property
    def awaits_writable_locked(self) -> bool:
        """Whether nothing goes out before the peer has read some of what the kernel holds for it."""
        return self._awaits_writable

    @property
    def may_send_locked(self) -> bool:
        """Whether a thread sends, or may, without the lock: the descriptor may not be closed before it has left."""
        return self._writer_running or self._awaits_writable or self._sending

    @property
    def sending_locked(self) -> bool:
        """Whether another thread is making a send that does not block."""
        return self._sending

    @property
    def writer_starting_locked(self) -> bool:
        return self._writer_running and not self._writer_begun

    @property
    def writer_state_locked(self) -> str:
        """What the writer thread does: "sending", "idle", or "none" when there is no thread; "awaited": there is one as
        soon as the peer reads.
        """
        if self._awaits_writable:
            return "awaited"
        return "sending" if self._writer_active else "idle" if self._writer_running else "none"

    # -- the writer thread

    def _start_writer(self) -> None:
        try:
            threading.Thread(target=self._write, name="sync_h2-writer", daemon=True).start()
        except RuntimeError as error:  # the process has too many
            with self._monitor, self._monitor.lock:
                self._leave_locked()
            self._monitor.on_broken(error)

    def _write(self) -> None:
        with self._monitor, self._monitor.lock:
            if self._writer_begun or not self._writer_running:
                return  # started twice, because an interrupt fell into the start
            self._writer_begun = True
            self.writer_changed.wake_all_locked()
        try:
            self._write_until_done()
        except BaseException:
            logger.exception("the writer failed")
            with self._monitor, self._monitor.lock:
                self._broken_locked(ConnectionLost("the session's writer failed"))
                self._leave_locked()

    def _write_until_done(self) -> None:
        while True:
            waiter = None
            with self._monitor, self._monitor.lock:
                buffers = self._next_batch_locked()
                if not buffers:
                    self._writer_active = False
                    if self._finishing:
                        self._finish_now_locked()
                    if self.finished:
                        self._leave_locked()
                        return
                    if self._writer_active:  # by the goodbye just now
                        continue
                    waiter = self._work.enlist_locked()
            if waiter is not None:
                if not waiter.block(self._linger):
                    with self._monitor, self._monitor.lock:
                        self._work.withdraw_locked(waiter)
                        if not self._writer_active and self._linger is not None:
                            self._leave_locked()
                            return
                continue
            while buffers:
                try:
                    self._transport.send_blocking(buffers)
                except ConnectionLost as error:
                    with self._monitor, self._monitor.lock:
                        self._broken_locked(error)
                        self._leave_locked()
                    return
                if buffers:
                    with self._monitor, self._monitor.lock:
                        if self._leaves_stalled_locked(buffers):
                            return

    def _next_batch_locked(self) -> deque[bytes | memoryview]:
        if self._sending:
            return deque()
        self._transport.blocking_send_done_locked()
        if self.finished or self._held is not None:
            return deque()
        self._frame_for_writer_locked()
        return self._transport.take_for_blocking_send_locked()

    def _frame_for_writer_locked(self) -> None:
        if self._transport.unsent_locked < HIGH_WATER_MARK:  # or else a writer that stalled has left it
            self._pump_locked()
            self._wrap_locked()

    def _leaves_stalled_locked(self, rest: deque[bytes | memoryview]) -> bool:
        """The peer has stopped reading: whether the thread leaves, for another to go on with `rest` when it reads."""
        if self._linger is None and not self.finished:
            return False
        self._transport.take_back_locked(rest)
        self._leave_locked()
        if not self.finished:
            self._wake_writer_locked()
        return True

    def _leave_locked(self) -> None:
        # In the critical section that decided it: from here on another thread may be started.
        self._transport.blocking_send_done_locked()
        self._writer_active = self._writer_running = self._writer_begun = False
        self.writer_changed.wake_all_locked()
