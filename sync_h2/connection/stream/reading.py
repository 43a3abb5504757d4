"""The incoming body, and what ends it. Blocks the calling thread; any thread.

Two threads that read one stream get pieces that do not overlap, in the order of their calls. Each way to read has an
`attempt`: under the lock it takes what it wants from the stream's buffer and says so to `_inbound`, for the credit, or
returns the queue to wait in.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from ...arguments import type_name
from ...deadline import check_timeout
from ...errors import InvalidState
from ...protocol.fields.headers import Headers
from ..shared.monitor import WaitQueue
from .calls import StreamCalls

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

CHUNK = 64 * 1024
"""How much iteration reads at a time, in bytes."""


class ReadableStream(StreamCalls):
    """The reading half of a stream."""

    __slots__ = ()

    def read(self, n: int | None = -1, timeout: float | None = None) -> bytes:
        """Read the incoming body; blocks.

        With `n` >= 0, up to `n` bytes as soon as there are any, `b""` at the end. With -1 or None, all of it. Raises
        `StreamReset` when the stream was reset (after what came before it was read; with `n` -1 its `partial` holds
        that), `ConnectionLost` and the session's other errors likewise, and `Timeout`, after which nothing is lost.
        """
        if n is None or n < 0:
            return self._read_all(timeout)
        n = operator.index(n)
        state = self._state
        self._before_reading()

        def attempt() -> bytes | WaitQueue:
            data = state.buffer.read(n)
            if data or not n:
                self._session._inbound.was_read(state, len(data))
                return data
            return self._end_or_queue_locked(b"")

        return self._wait_for_peer(attempt, self._read_deadline(timeout), "data")

    def readinto(self, buffer: WriteableBuffer, timeout: float | None = None) -> int:
        """Read up to `len(buffer)` bytes into `buffer` as soon as there are any; 0 at the end. Blocks and raises as
        `read`.
        """
        state = self._state
        # Released although an error's traceback keeps it: nobody could resize the buffer meanwhile.
        with memoryview(buffer).cast("B") as target:
            if target.readonly:
                raise TypeError(f"readinto needs a writable buffer, not {type_name(buffer)}")
            self._before_reading()

            def attempt() -> int | WaitQueue:
                count = state.buffer.readinto(target)
                if count or not len(target):
                    self._session._inbound.was_read(state, count)
                    return count
                return self._end_or_queue_locked(0)

            return self._wait_for_peer(attempt, self._read_deadline(timeout), "data")

    def readline(self, limit: int | None = -1, timeout: float | None = None) -> bytes:
        """One line with its line feed, at most `limit` bytes of it; what is left at the end. Blocks and raises as
        `read`.
        """
        most = -1 if limit is None else operator.index(limit)
        find_line_end = self._state.buffer.find_line_end
        return self._read_as_soon_as(lambda searched: find_line_end(most, searched), timeout, "a line")

    def _read_exactly(self, n: int, timeout: float | None) -> bytes:
        """`n` bytes, fewer only at the end. Blocks and raises as `read`; what came before an error stays unread."""
        buffer = self._state.buffer
        return self._read_as_soon_as(lambda _: n if len(buffer) >= n else -1, timeout, "data")

    def _read_as_soon_as(self, length_of: Callable[[int], int], timeout: float | None, what: str) -> bytes:
        """As many bytes from the buffer's front as `length_of(searched)` says, as soon as that is not negative; all
        that is left at the end. It has been asked before about the first `searched` bytes that are there.
        """
        state = self._state
        deadline = self._read_deadline(timeout)
        seen = 0  # a place in the whole body, because another thread may read the buffer's front meanwhile
        self._before_reading()

        def attempt() -> bytes | WaitQueue:
            nonlocal seen
            buffer = state.buffer
            length = length_of(max(seen - buffer.consumed, 0))
            if length < 0 and self._has_ended_locked():
                length = len(buffer)
            if length >= 0:
                data = buffer.read(length)
                self._session._inbound.was_read(state, length)
                return data
            self._raise_if_closed_locked()
            if buffer.consumed + len(buffer) > seen:
                seen = buffer.consumed + len(buffer)
                self._progress(deadline, timeout, state.last_byte_at)
                # They may be more than the window lets through: take what is there as read.
                self._session._inbound.take_ahead(state)
            self._session._inbound.wait_for(state)
            return state.arrived

        return self._wait_for_peer(attempt, deadline, what)

    def __iter__(self) -> Iterator[bytes]:
        """The incoming body in chunks as they come."""
        while chunk := self.read(CHUNK):
            yield chunk

    def _read_all(self, timeout: float | None, *, between_pieces: bool = False) -> bytes:
        """`timeout` is for all of it, or for each time `between_pieces`."""
        if timeout is not None:
            check_timeout(timeout)
        state = self._state
        self._before_reading()
        if state.remote_ended:
            with self._monitor, self._lock:
                return self._take_all_locked()
        deadline = self._read_deadline(timeout)
        seen = 0

        def attempt() -> bytes | WaitQueue:
            nonlocal seen
            if state.remote_ended:
                state.reading_all = False
                return self._take_all_locked()
            if state.closed:
                error = self._closed_error_locked()
                error.partial = self._take_all_locked()
                raise error
            # From here on credit returns as data arrives, and nobody is woken before the end.
            state.reading_all = True
            size = len(state.buffer)
            if size:
                self._session._inbound.take_ahead(state)
            if size > seen:
                seen = size
                self._progress(deadline, None if between_pieces else timeout, state.last_byte_at)
            self._session._inbound.wait_for(state)
            return state.arrived

        try:
            return self._wait_for_peer(attempt, deadline, "the end of the body")
        finally:
            if state.reading_all:  # it has not come to the end
                with self._monitor, self._lock:
                    state.reading_all = False
                    state.wake_readers_locked()  # nobody else was woken by what came meanwhile

    def _take_all_locked(self) -> bytes:
        state = self._state
        if state.discarded:
            self._has_ended_locked()  # which raises, if the end has come
        data = state.buffer.read(-1)
        if data:
            self._session._inbound.was_read(state, len(data))
        return data

    def _end_or_queue_locked(self, end: T) -> T | WaitQueue:
        if self._has_ended_locked():
            return end
        self._raise_if_closed_locked()
        self._session._inbound.wait_for(self._state)
        return self._state.arrived

    def _has_ended_locked(self) -> bool:
        """Whether the peer's side has ended; raises if something before that end was discarded unread."""
        state = self._state
        if state.discarded and state.remote_ended:
            if state.error is not None:
                raise self._closed_error_locked()
            raise InvalidState(
                "what was unread of the body was discarded at the end of the stream's with block: read it inside",
                stream_id=state.id,
            )
        return state.remote_ended

    def wait_trailers(self, timeout: float | None = None) -> Headers:
        """Wait for the end of the incoming body, discarding what is unread, and return its trailers (empty when there
        are none).
        """
        state = self._state
        deadline = self._read_deadline(timeout)
        self._before_reading()

        def attempt() -> Headers | WaitQueue:
            if len(state.buffer):
                self._progress(deadline, timeout, state.last_byte_at)
                self._session._inbound.was_read(state, state.buffer.clear())  # as the caller has asked for
            if state.remote_ended:
                return state.trailers if state.trailers is not None else Headers()
            self._raise_if_closed_locked()
            self._session._inbound.wait_for(state)
            return state.arrived

        return self._wait_for_peer(attempt, deadline, "trailers")
