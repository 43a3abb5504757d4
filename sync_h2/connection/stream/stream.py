"""A stream as the user holds it: a blocking file in two directions, and what both roles share.

Every method may be called from any thread. What it changes is in the StreamState, under the session's lock. Two
threads that write one stream get whole writes one after the other; two that read get pieces that do not overlap, in
the order of their calls.
"""

from __future__ import annotations

import operator
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from ...arguments import check_cause, check_error_code, type_name
from ...constants import ErrorCode, FrameType
from ...deadline import Deadline, check_timeout
from ...errors import HTTP2Error, InvalidArgument, InvalidState, StreamReset, Timeout
from ...protocol.fields.headers import Headers, HeadersSource, encode_trailers
from ..inspection import snapshots
from ..inspection.stats import StreamStats, stream_stats_locked
from ..shared.listeners import Dispatcher, Listener, Listeners, Observable
from ..shared.monitor import WaitQueue
from ..shared.priorities import check_priority
from ..shared.stream_state import End, Posted, StreamState, Trailers
from ..shared.timers import timers
from .files import StreamReader, StreamWriter
from .frame_errors import FrameErrors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from ..session.session import Session

T = TypeVar("T")
Self = TypeVar("Self", bound="Stream")

CHUNK = 64 * 1024
"""How much iteration reads at a time, in bytes."""

_SMALL = 16 * 1024  # bytes: a frame that every peer takes

_EVENTS = frozenset(
    {
        "aborted",
        "close",
        "error",
        "frame_error",
        "timeout",
        "trailers",
        "want_trailers",
        "ready",
        "continue",
        "headers",
        "push",
        "response",
    }
)
_KEPT_EVENTS = frozenset(
    {"aborted", "close", "error", "trailers", "want_trailers", "ready", "continue", "headers", "push", "response"}
)


def stream_listeners(dispatcher: Dispatcher) -> Listeners:
    return Listeners(dispatcher, _EVENTS, _KEPT_EVENTS)


class Handle(weakref.ref["Stream"]):
    """What a session has of a stream that its user holds: it tells when nobody does any more."""

    __slots__ = ("session", "state")

    session: Session
    state: StreamState


def _forgotten(handle: weakref.ref[Stream], is_exiting: Callable[[], bool] = sys.is_finalizing) -> None:
    # Runs wherever the handle was collected, under any lock: a look and one put, nothing else.
    if is_exiting():
        return  # the timer thread is gone, and so may be what the modules hold
    assert isinstance(handle, Handle)
    try:
        session, state = handle.session, handle.state
    except AttributeError:
        return  # the stream's making was interrupted: nobody has heard of it yet
    del handle.session, handle.state  # the state refers to the handle: a cycle, and garbage
    if state.id is not None:
        session._unread.pop(state.id, None)
    if not state.closed or len(state.buffer) or state.header_memory:
        timers.run(partial(session._forget, state))


class Stream(Observable):
    """One HTTP/2 stream. Use what `session.request` and the server's handlers give."""

    _end_hint = ""
    _answers = False  # whether our side is the answer: a server's stream

    __slots__ = ("__weakref__", "_listeners", "_lock", "_monitor", "_rfile", "_session", "_state", "_wfile")

    def __init__(self, session: Session, state: StreamState) -> None:
        self._session = session
        self._state = state
        self._monitor = session._monitor
        self._lock = session._lock
        self._listeners = state.listeners
        self._rfile: StreamReader | None = None
        self._wfile: StreamWriter | None = None
        handle = Handle(self, _forgotten)
        handle.session = session
        handle.state = state
        state.handle = handle

    # -- attributes

    @property
    def id(self) -> int | None:
        """The stream's number; None while it waits for a slot."""
        return self._state.id

    @property
    def pending(self) -> bool:
        """True while the stream waits for a slot."""
        with self._monitor, self._lock:
            return self._state.id is None and not self._state.closed

    @property
    def session(self) -> Session:
        return self._session

    @property
    def http_version(self) -> str:
        """The version of HTTP that the connection speaks: "2.0"."""
        return self._session._http_version

    @property
    def closed(self) -> bool:
        with self._monitor, self._lock:
            return self._state.closed

    @property
    def destroyed(self) -> bool:
        with self._monitor, self._lock:
            return self._state.destroyed or self._state.closed

    @property
    def aborted(self) -> bool:
        """True when either end closed the stream before our side had ended."""
        with self._monitor, self._lock:
            return self._state.aborted

    @property
    def rst_code(self) -> int | None:
        """The code the stream closed with; None until it is closed."""
        with self._monitor, self._lock:
            return self._state.rst_code

    @property
    def sent_headers(self) -> Headers | None:
        with self._monitor, self._lock:
            return self._state.sent_headers

    @property
    def sent_info_headers(self) -> list[Headers]:
        with self._monitor, self._lock:
            return list(self._state.sent_info_headers)

    @property
    def sent_trailers(self) -> Headers | None:
        with self._monitor, self._lock:
            return self._state.sent_trailers

    @property
    def trailers(self) -> Headers | None:
        """The trailers that have arrived, or None; `wait_trailers` waits for them."""
        with self._monitor, self._lock:
            return self._state.trailers

    @property
    def state(self) -> snapshots.StreamState:
        """Window, state and weights at this moment (Node's `http2stream.state`)."""
        with self._monitor, self._lock:
            return snapshots.of_stream_locked(self._session, self._state)

    @property
    def stats(self) -> StreamStats:
        """What the stream has done so far, in numbers; a new snapshot each time."""
        with self._monitor, self._lock:
            return stream_stats_locked(self._state)

    @property
    def rfile(self) -> StreamReader:
        """The incoming body as a raw file object (`io.RawIOBase`)."""
        if self._rfile is None:
            with self._monitor, self._lock:
                if self._rfile is None:
                    self._rfile = StreamReader(self)
        return self._rfile

    @property
    def wfile(self) -> StreamWriter:
        """The outgoing body as a raw file object (`io.RawIOBase`); closing it ends our side."""
        if self._wfile is None:
            with self._monitor, self._lock:
                if self._wfile is None:
                    self._wfile = StreamWriter(self)
        return self._wfile

    # -- reading

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

        return self._wait(attempt, self._read_deadline(timeout), "data")

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

            return self._wait(attempt, self._read_deadline(timeout), "data")

    def readline(self, limit: int | None = -1, timeout: float | None = None) -> bytes:
        """One line with its line feed, at most `limit` bytes of it; what is left at the end. Blocks and raises as
        `read`.
        """
        state = self._state
        most = -1 if limit is None else operator.index(limit)
        deadline = self._read_deadline(timeout)
        searched_to = 0  # a place in the whole body, because another thread may read the buffer's front meanwhile
        self._before_reading()

        def attempt() -> bytes | WaitQueue:
            nonlocal searched_to
            buffer = state.buffer
            length = buffer.find_line_end(most, searched_to - buffer.consumed)
            if length < 0 and self._has_ended_locked():
                length = len(state.buffer)
            if length >= 0:
                line = state.buffer.read(length)
                self._session._inbound.was_read(state, length)
                return line
            self._raise_if_closed_locked()
            if buffer.consumed + len(buffer) > searched_to:
                searched_to = buffer.consumed + len(buffer)
                self._progress(deadline, timeout)
                # The line may be longer than the window: take what is there as read.
                self._session._inbound.take_ahead(state)
            self._session._inbound.wait_for(state)
            return state.arrived

        return self._wait(attempt, deadline, "a line")

    def _read_exactly(self, n: int, timeout: float | None) -> bytes:
        """`n` bytes, fewer only at the end. Blocks and raises as `read`; what came before an error stays unread."""
        state = self._state
        deadline = self._read_deadline(timeout)
        seen = 0  # a place in the whole body, because another thread may read the buffer's front meanwhile
        self._before_reading()

        def attempt() -> bytes | WaitQueue:
            nonlocal seen
            buffer = state.buffer
            if len(buffer) >= n or self._has_ended_locked():
                data = buffer.read(n)
                self._session._inbound.was_read(state, len(data))
                return data
            self._raise_if_closed_locked()
            if buffer.consumed + len(buffer) > seen:
                seen = buffer.consumed + len(buffer)
                self._progress(deadline, timeout)
                # They may be more than the window lets through: take what is there as read.
                self._session._inbound.take_ahead(state)
            self._session._inbound.wait_for(state)
            return state.arrived

        return self._wait(attempt, deadline, "data")

    def __iter__(self) -> Iterator[bytes]:
        """The incoming body in chunks as they come."""
        while chunk := self.read(CHUNK):
            yield chunk

    def _read_all(self, timeout: float | None, *, between_pieces: bool = False) -> bytes:
        """`timeout` is for all of it, or for each time `between_pieces`."""
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
            if self._has_ended_locked():
                return self._take_all_locked()
            if state.closed:
                error = self._closed_error_locked()
                error.partial = self._take_all_locked()
                raise error
            # From here on credit returns as data arrives, and nobody is woken before the end.
            state.reading_all = True
            self._session._inbound.take_ahead(state)
            if len(state.buffer) > seen:
                seen = len(state.buffer)
                self._progress(deadline, None if between_pieces else timeout)
            self._session._inbound.wait_for(state)
            return state.arrived

        try:
            return self._wait(attempt, deadline, "the end of the body")
        finally:
            if state.reading_all:
                with self._monitor, self._lock:
                    state.reading_all = False
                    state.arrived.wake_all_locked()  # nobody else was woken by what came meanwhile

    def _take_all_locked(self) -> bytes:
        self._has_ended_locked()
        data = self._state.buffer.read(-1)
        self._session._inbound.was_read(self._state, len(data))
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
                self._progress(deadline, timeout)
                self._session._inbound.was_read(state, state.buffer.clear())  # as the caller has asked for
            if state.remote_ended:
                return state.trailers if state.trailers is not None else Headers()
            self._raise_if_closed_locked()
            self._session._inbound.wait_for(state)
            return state.arrived

        return self._wait(attempt, deadline, "trailers")

    # -- writing

    def write(self, data: ReadableBuffer, timeout: float | None = None) -> int:
        """Send `data` (bytes-like) and return its length; blocks until flow control has let all of it through.

        The buffer is the caller's again when this returns or raises. Raises `TypeError` for a str, `InvalidState`
        after the end, `StreamReset` and the session's errors, and `Timeout`: then what was not yet framed is
        withdrawn, `bytes_written` says how much went, and the stream stays usable. What a server that has answered
        does not want any more (RST_STREAM with NO_ERROR, RFC 9113 section 8.1) is dropped: its answer counts.
        """
        try:
            return self._write(data, timeout, ends=False)
        except StreamReset:
            self._raise_unless_answered()
            return memoryview(data).nbytes

    def end(self, data: ReadableBuffer = b"", timeout: float | None = None) -> None:
        """Send `data`, if any, and end our side of the stream (END_STREAM). Blocks and raises as `write`; a second
        call does nothing.
        """
        try:
            self._write(data, timeout, ends=True)
        except StreamReset:
            self._raise_unless_answered()

    def _raise_unless_answered(self) -> None:
        """Raise the error that is being handled, unless the server has answered without what it did not read."""
        if self._answers or not self._state.unwanted:
            raise

    def _write(
        self,
        data: ReadableBuffer,
        timeout: float | None,
        *,
        ends: bool,
        until_answered: bool = False,
        until_full: bool = False,
    ) -> int:
        """Returns how many bytes went; fewer than all, and no end, only if the response began `until_answered`. With
        `until_full`, a peer that does not read is a Timeout at once.
        """
        if isinstance(data, str):
            raise TypeError("a body is bytes: encode the str first")
        if type(data) is bytes and len(data) <= _SMALL and self._write_at_once(data, timeout, ends):
            return len(data)
        state = self._state
        deadline = self._write_deadline(timeout)
        posted = Posted(data)
        length = posted.remaining
        started = False
        seen = 0

        def attempt() -> int | WaitQueue:
            nonlocal started, seen
            if not started:
                if not self._may_post_locked(length, ends):
                    return length
                self._post_locked(posted, ends)
                started = True
            if not posted.remaining and (not ends or state.local_ended or state.wait_for_trailers):
                return length
            self._raise_if_closed_locked()
            if timeout is None and self._goes_on_without_locked(posted):
                return length
            if until_answered and state.response_headers is not None:
                self._withdraw_locked(posted, ends)
                return posted.position
            if until_full and self._session._sender.awaits_writable_locked:
                raise Timeout("the peer does not read", stream_id=state.id)
            if posted.position > seen:
                seen = posted.position
                self._progress(deadline, timeout)
            return state.progressed

        try:
            self._before_writing(length, ends=ends)
            return self._wait(attempt, deadline, "flow control to let data through")
        except BaseException as error:
            with self._monitor, self._lock:
                if started:
                    self._withdraw_locked(posted, ends)
            if isinstance(error, Timeout):
                error.bytes_written = posted.position
            raise
        finally:
            posted.release()

    def _write_at_once(self, data: bytes, timeout: float | None, ends: bool) -> bool:
        """The same for what nothing stands in the way of; False, without a change, if something does."""
        check_timeout(timeout)
        state = self._state
        length = len(data)
        if not length and (not ends or (self._answers and state.sent_headers is None)):
            return False
        self._before_writing(length, ends=ends)
        with self._monitor, self._lock:
            if state.closed or state.end_posted or state.no_body or state.id is None:
                return False
            if ends and state.wait_for_trailers:
                return False
            sender = self._session._sender
            if not sender.may_frame_at_once_locked(state, length):
                return False
            self._may_post_locked(length, ends)
            if state.unsent_length is not None:
                state.unsent_length -= length
            state.end_posted = ends
            sender.frame_at_once_locked(state, data, ends)
            sender.send_soon_locked()
        return True

    def _may_post_locked(self, length: int, ends: bool) -> bool:
        """Whether there is anything to do; raises if it is not allowed."""
        state = self._state
        if state.no_body:
            return False
        if state.end_posted:
            if length or not ends:
                hint = self._end_hint if state.sent_bytes == 0 else ""
                raise InvalidState(f"our side of the stream has ended already{hint}", stream_id=state.id)
            return False
        self._raise_if_closed_locked()
        if state.unsent_length is not None:
            if length > state.unsent_length:
                raise InvalidState(
                    f"{length} bytes are {length - state.unsent_length} more than content-length allows",
                    stream_id=state.id,
                )
            if ends and length < state.unsent_length:
                raise InvalidState(
                    f"{state.unsent_length - length} bytes of content-length are missing", stream_id=state.id
                )
        return True

    def _post_locked(self, posted: Posted, ends: bool) -> None:
        state = self._state
        if state.unsent_length is not None:
            state.unsent_length -= posted.remaining
        state.touch()
        if ends:
            state.end_posted = True
        items: list[Posted | End] = [posted] if posted.remaining else []
        if ends and not state.wait_for_trailers:
            items.append(End.END_STREAM)
        if items:
            self._session._sender.post_locked(state, *items)
            self._session._sender.send_soon_locked()
        if ends and state.wait_for_trailers:
            state.listeners.emit_locked("want_trailers")

    def _withdraw_locked(self, posted: Posted, ends: bool) -> None:
        """Take back what was not framed: the caller has given up, and its buffer is its own again."""
        state = self._state
        if state.closed or state.local_ended:
            return
        if posted in state.outgoing and state.unsent_length is not None:
            state.unsent_length += posted.remaining
        if ends:
            state.end_posted = False
        if posted.remaining and state.trailers_posted:  # they would make a part of the body look whole
            state.outgoing.pop()
            state.sent_trailers = None
            state.trailers_posted = state.end_posted = False
        self._session._sender.withdraw_locked(state, posted, *([End.END_STREAM] if ends else ()))

    def send_trailers(self, headers: HeadersSource) -> None:
        """Send trailers behind the data and end our side; once, and only with `wait_for_trailers=True`.

        Raises `InvalidArgument` for pseudo-header fields, and for fields over `max_send_header_block_length` (which
        destroys the stream); `InvalidState` before the headers, a second time, or without the option.
        """
        block = encode_trailers(headers)
        state = self._state
        with FrameErrors(self._session, state, FrameType.HEADERS), self._monitor, self._lock:
            if state.unwanted and not self._answers:
                return
            self._raise_if_closed_locked()
            if state.sent_headers is None:
                raise InvalidState("trailers come after the headers", stream_id=state.id)
            if not state.wait_for_trailers:
                raise InvalidState("trailers need wait_for_trailers=True with the headers", stream_id=state.id)
            if state.trailers_posted:
                raise InvalidState("the trailers have been sent already", stream_id=state.id)
            if state.unsent_length:
                raise InvalidState(f"{state.unsent_length} bytes of content-length are missing", stream_id=state.id)
            # Here, for they may be framed much later, by whoever lets the data before them go.
            self._session._protocol.check_block_length(block)
            state.trailers_posted = state.end_posted = True
            state.sent_trailers = Headers.from_wire(block)
            state.post(Trailers(block))
            self._session._sender.schedule_locked(state)
            self._session._sender.send_locked()

    def priority(self, *, exclusive: bool = False, parent: int = 0, weight: int = 16, silent: bool = False) -> None:
        """Set the stream's weight (RFC 7540 section 5.3): streams of equal urgency that have something to send share
        the connection in proportion to their weights.

        `parent` is the id of the stream that it depends on (0: none); with `exclusive`, that one's other dependents
        depend on this stream from now on. Dependencies decide nothing here; `state` shows them. A client tells the
        server with a PRIORITY frame, or with the headers of a stream that is pending, unless it is `silent`. Does not
        block. Where both sides have finished meanwhile there is nothing left to share, and nothing is sent. Raises
        `InvalidArgument` for a weight out of 1 to 256 and for a stream that would depend on itself, and the stream's
        error if it ended otherwise.
        """
        priority = check_priority(exclusive, parent, weight)
        state = self._state
        with self._monitor, self._lock:
            if parent and parent == state.id:
                raise InvalidArgument("parent names the stream itself: it can't depend on itself", stream_id=parent)
            if state.closed and state.local_ended and state.remote_ended:
                state.weight = weight
                return
            self._raise_if_closed_locked()
            self._session._prioritize_locked(state, priority, silent)

    # -- ending

    def close(self, code: int = 0) -> None:
        """End the stream with RST_STREAM unless it has finished. With code 0 what was given to `end` goes out first;
        does not block.
        """
        check_error_code(code)
        state = self._state
        with self._monitor, self._lock:
            if code == ErrorCode.NO_ERROR and state.end_posted and not state.local_ended and not state.closed:
                state.reset_after_end = ErrorCode.NO_ERROR
                self._session._release_end_locked(state)
            else:
                self._session._reset_locked(state, code)

    def destroy(self, error: BaseException | None = None) -> None:
        """End the stream at once: RST_STREAM, with INTERNAL_ERROR if there is an `error`."""
        check_cause(error)
        with self._monitor, self._lock:
            self._state.destroyed = True
            code = ErrorCode.CANCEL if error is None else ErrorCode.INTERNAL_ERROR
            reason = StreamReset("this side destroyed the stream", stream_id=self._state.id, code=code)
            reason.__cause__ = error
            self._session._reset_locked(self._state, code, reason)

    def _cancel(self) -> None:
        if self._monitor.refusal is None:  # not in a forked child
            self.close(ErrorCode.CANCEL)

    def wait_closed(self, timeout: float | None = None) -> int:
        """Wait until the stream is closed, and return its `rst_code`; raises nothing but `Timeout`."""
        state = self._state

        def attempt() -> int | WaitQueue:
            if state.closed:
                assert state.rst_code is not None
                return state.rst_code
            return state.progressed

        return self._wait(attempt, Deadline(timeout), "the stream to close")

    def set_timeout(self, seconds: float | None, callback: Listener | None = None) -> None:
        """Fire `timeout` each time nothing happened on the stream for so long; None or 0 switches it off."""
        check_timeout(seconds)
        if callback is not None:
            self.on("timeout", callback)
        with self._monitor, self._lock:
            self._state.inactivity = seconds or None
            self._state.last_activity = time.monotonic()
            self._session._watchdog.stream_timeouts = True
            self._session._watchdog.rearm_locked()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an exception the stream is reset (CANCEL); otherwise our side is ended if the peer's has, and what is
        left cancelled. A server's side is ended in any case, and what the client still sends is declined (NO_ERROR).
        What is unread is discarded: reading it raises from here on.
        """
        state = self._state
        if kind is None and (state.remote_ended or self._answers) and not state.end_posted and not state.closed:
            self.end()
        with self._monitor, self._lock:
            if kind is not None or not state.end_posted or not (state.remote_ended or self._answers):
                self._session._reset_locked(state, ErrorCode.CANCEL)
                return
            self._session._inbound.discard(state)
            if not state.remote_ended:
                self._session._decline_rest_locked(state)

    def __repr__(self) -> str:
        state = self._state
        how = "closed" if state.closed else "pending" if state.id is None else "open"
        return f"<{type(self).__name__} {state.id} {how}>"

    # -- how calls wait

    def _wait(self, attempt: Callable[[], T | WaitQueue], deadline: Deadline, what: str) -> T:
        return self._monitor.wait(attempt, deadline, what, self._state.id, self._before_blocking)

    def _read_deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._session._limits.read_timeout if timeout is None else timeout)

    def _write_deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._session._limits.write_timeout if timeout is None else timeout)

    def _progress(self, deadline: Deadline, timeout: float | None) -> None:
        """The session's default is a time without progress; a timeout of the caller's is for the whole call."""
        self._state.touch()
        if timeout is None:
            deadline.restart()

    def _closed_error_locked(self) -> HTTP2Error:
        error = self._state.error
        if error is None:
            return InvalidState("the stream is closed", stream_id=self._state.id)
        return error.again(self._state.id)

    def _raise_if_closed(self) -> None:
        with self._monitor, self._lock:
            self._raise_if_closed_locked()

    def _raise_if_closed_locked(self) -> None:
        if self._state.closed:
            raise self._closed_error_locked()

    # What a role does before a call blocks, and returns for when that goes on (see `Monitor.wait`).
    _before_blocking: Callable[[], Callable[[], None] | None] | None = None

    def _goes_on_without_locked(self, posted: Posted) -> bool:
        """Whether the session sends what is left of `posted`, and then the end if that was posted, by itself."""
        return False

    def _before_reading(self) -> None:
        """What a role does before it reads."""

    def _before_writing(self, length: int, *, ends: bool) -> None:
        """What a role does before it writes `length` bytes, the last ones if the body `ends` with them."""
