"""A stream as the user holds it: a blocking file in two directions, and what both roles share.

Every method may be called from any thread. What it changes is in the StreamState, under the session's lock.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TypeVar

from ...arguments import check_cause, check_error_code
from ...constants import ErrorCode
from ...deadline import Deadline, check_timeout
from ...errors import InvalidArgument, StreamReset
from ...protocol.fields.headers import Headers
from ..inspection import snapshots
from ..inspection.stats import StreamStats, stream_stats_locked
from ..session.session import Session
from ..shared.listeners import KEPT, NOT_KEPT, Dispatcher, Listener, Listeners
from ..shared.monitor import WaitQueue
from ..shared.priorities import check_priority
from ..shared.stream_state import StreamState
from ..shared.timers import timers
from .files import StreamReader, StreamWriter
from .reading import ReadableStream
from .writing import WritableStream

Self = TypeVar("Self", bound="Stream")

_EVENTS = {
    "aborted": KEPT,
    "close": KEPT,
    "continue": KEPT,
    "error": KEPT,
    "frame_error": NOT_KEPT,
    "headers": KEPT,
    "push": KEPT,
    "ready": KEPT,
    "response": KEPT,
    "timeout": NOT_KEPT,
    "trailers": KEPT,
    "want_trailers": KEPT,
}


def stream_listeners(dispatcher: Dispatcher) -> Listeners:
    return Listeners(dispatcher, _EVENTS)


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


class Stream(ReadableStream, WritableStream):
    """One HTTP/2 stream. Use what `session.request` and the server's handlers give."""

    __slots__ = ("_rfile", "_wfile")

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
        """The session that it is a stream of, a `ClientSession` or a `ServerSession`."""
        return self._session

    @property
    def http_version(self) -> str:
        """The version of HTTP that the connection speaks: "2.0"."""
        return self._session._http_version

    @property
    def closed(self) -> bool:
        """True once both sides have ended, or one has reset the stream: nothing more will be sent or come. What came
        before can still be read.
        """
        with self._monitor, self._lock:
            return self._state.closed

    @property
    def destroyed(self) -> bool:
        """True once `destroy` was called or the stream is closed."""
        with self._monitor, self._lock:
            return self._state.destroyed or self._state.closed

    @property
    def aborted(self) -> bool:
        """True when either end closed the stream before our side had ended."""
        with self._monitor, self._lock:
            return self._state.aborted

    @property
    def rst_code(self) -> int | None:
        """The `ErrorCode` that the stream closed with, or the number where nobody has defined it; None until it is
        closed.
        """
        with self._monitor, self._lock:
            return self._state.rst_code

    @property
    def sent_headers(self) -> Headers | None:
        """The headers that were sent: a client's request, a server's final response; None before that."""
        with self._monitor, self._lock:
            return self._state.sent_headers

    @property
    def sent_info_headers(self) -> list[Headers]:
        """The 1xx responses that a server has sent so far, in order."""
        with self._monitor, self._lock:
            return list(self._state.sent_info_headers)

    @property
    def sent_trailers(self) -> Headers | None:
        """The trailers that were sent; None before that."""
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
