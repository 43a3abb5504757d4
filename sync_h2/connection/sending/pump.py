"""From what callers have posted to their streams to frames in the outbox.

A caller posts data to its stream. The pump turns it into frames until the outbox holds its high-water mark; it is run
by whoever changed something: a caller after posting, the reader after any frame, the writer after a send. Every method
needs the session's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from ...protocol.wire import Wire
from ..shared.stream_state import End, Posted, StreamState
from .outbox import HIGH_WATER_MARK, Outbox
from .scheduler import Scheduler

LARGEST_FRAME = 64 * 1024
"""What we put into one DATA frame when the peer allows it: larger ones only make other streams wait."""


class Pump:
    """What one session's streams have to send, and whose turn it is."""

    __slots__ = (
        "_blocked",
        "_on_end",
        "_on_failed_end",
        "_outbox",
        "_protocol",
        "_pumping",
        "_scheduler",
        "_shared_by_requests",
        "body_sent_at",
        "framed_octets",
    )

    def __init__(
        self,
        protocol: Wire,
        outbox: Outbox,
        *,
        on_end: Callable[[StreamState], None],
        on_failed_end: Callable[[StreamState], None],
        shared_by_requests: bool,
    ) -> None:
        """`on_end(state)` is called when a stream's END_STREAM has been framed, `on_failed_end(state)` where there will
        be none because this side has failed. With `shared_by_requests` writers wait until all of theirs is framed.
        """
        self._protocol = protocol
        self._outbox = outbox
        self._on_end = on_end
        self._on_failed_end = on_failed_end
        self._shared_by_requests = shared_by_requests
        self._scheduler = Scheduler()
        # In the order in which they came: they have stream window, but the connection's is used up.
        self._blocked: dict[StreamState, None] = {}
        self._pumping = False
        self.framed_octets = 0  # of all streams' data
        self.body_sent_at = 0.0

    # -- what the streams have to send

    def post(self, state: StreamState, *items: Posted | End) -> None:
        """Append to what a stream is to send; the sender's `send_locked` gets it going."""
        state.post(*items)
        self.schedule(state)

    def schedule(self, state: StreamState) -> None:
        """Let a stream take part if it has something to send: after posting, and after its window or state changed."""
        if state.outgoing and state.id is not None and not state.closed:
            self._blocked.pop(state, None)
            self._scheduler.add(state)

    def unschedule(self, state: StreamState) -> None:
        if state.scheduled:
            self._scheduler.remove(state)
        if self._blocked:
            self._blocked.pop(state, None)

    def change_priority(self, state: StreamState, urgency: int, sequential: bool) -> None:
        """Give a stream another urgency (RFC 9218), and say whether it is not to be interleaved."""
        self._scheduler.change(state, urgency, sequential)

    def withdraw(self, state: StreamState, *items: Posted | End) -> None:
        """Take back what was posted and has not been framed."""
        for item in items:
            if item in state.outgoing:
                state.outgoing.remove(item)
        if not state.outgoing:
            self._scheduler.remove(state)

    def connection_window_opened(self) -> None:
        blocked, self._blocked = self._blocked, {}
        for state in blocked:
            self.schedule(state)

    # -- into frames

    def may_frame_at_once(self, state: StreamState, count: int) -> bool:
        """Whether `count` bytes fit into one frame that `run` would make next: no turns, no wait for a window."""
        assert state.id is not None
        protocol = self._protocol
        return (
            not self._scheduler.count
            and not state.outgoing
            and count <= LARGEST_FRAME
            and count <= protocol.max_outbound_frame_size
            and count <= protocol.send_window(state.id)
            and self._outbox.size < HIGH_WATER_MARK
            and protocol.padding is None
        )

    def frame_at_once(self, state: StreamState, data: bytes, ends: bool) -> None:
        """Frame `data`, and the stream's end if it `ends`, where `may_frame_at_once` says so."""
        assert state.id is not None
        self._protocol.send_data(state.id, data, ends)
        self._framed(state, len(data), ends)

    def run(self) -> None:
        """Turn posted data into frames until the outbox holds enough, or windows or data are used up. What ends a
        stream on the way may want to send: that is left to this round.
        """
        if self._pumping or not self._scheduler.count:
            return
        self._pumping = True
        try:
            self._run_until_full()
        finally:
            self._pumping = False

    def _run_until_full(self) -> None:
        scheduler = self._scheduler
        alone: StreamState | None = None  # its turn goes on, for there is no other stream
        while self._outbox.size < HIGH_WATER_MARK:
            state = alone or cast("StreamState | None", scheduler.next())
            if state is None:
                return
            alone = None
            count = self._frame_next(state)
            if count is not None:
                scheduler.sent(state, count)
            if not state.outgoing or count is None:
                scheduler.remove(state)
            elif scheduler.count == 1:
                alone = state
            else:
                scheduler.requeue(state)
        if alone is not None:
            scheduler.requeue(alone)

    def _frame_next(self, state: StreamState) -> int | None:
        """Frame one piece of what `state` has posted; returns its length, None when no window is left for it."""
        assert state.id is not None
        protocol = self._protocol
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
                self._on_failed_end(state)
                return 0
            count = len(piece)  # a file may give less
            ends = False
            if not item.remaining:
                state.outgoing.popleft()
                ends = bool(state.outgoing) and state.outgoing[0] is End.END_STREAM
                state.wake_writers_locked()
            elif item.remaining <= LARGEST_FRAME and state.writer_waits and not self._shared_by_requests:
                state.wake_writers_locked()  # a server can take over so much
            padding = None if protocol.padding is None else protocol.padding(count, largest - count)
            protocol.send_data(state.id, piece, ends, padding)
            self._framed(state, count, ends)
            return count
        state.outgoing.popleft()
        if isinstance(item, Posted):  # an empty write
            state.wake_writers_locked()
        elif item is End.END_STREAM:
            padding = None
            if protocol.padding is not None:
                padding = protocol.padding(0, min(protocol.send_window(state.id), protocol.max_outbound_frame_size))
            protocol.send_data(state.id, b"", True, padding)
            self._ended(state)
        elif item is End.RESET:
            self._on_failed_end(state)
        else:
            protocol.send_trailers(state.id, item.block)
            self._ended(state)
        return 0

    def _framed(self, state: StreamState, count: int, ends: bool) -> None:
        if count:
            self.body_sent_at = state.last_byte_sent_at = now = time.monotonic()
            if not state.sent_bytes:
                state.first_byte_sent_at = now
            state.sent_bytes += count
            self.framed_octets += count
        state.touch()
        if ends:
            self._ended(state)

    def _ended(self, state: StreamState) -> None:
        state.drop_outgoing()
        state.local_ended = True
        state.wake_writers_locked()
        self._on_end(state)
