"""The outgoing body, and what ends it. Blocks the calling thread; any thread.

Two threads that write one stream get whole writes one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...constants import FrameType
from ...deadline import check_timeout
from ...errors import InvalidState, StreamReset, Timeout
from ...protocol.fields.headers import Headers, HeadersSource, encode_trailers
from ..shared.monitor import WaitQueue
from ..shared.stream_state import End, Posted, Trailers
from .calls import StreamCalls
from .frame_errors import HeaderBlockTooLong, fail_for_frame

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_SMALL = 16 * 1024  # bytes: a frame that every peer takes


class WritableStream(StreamCalls):
    """The writing half of a stream."""

    __slots__ = ()

    _end_hint = ""

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
            if until_full and self._session._sender.writer.awaits_writable_locked:
                raise Timeout("the peer does not read", stream_id=state.id)
            if posted.position > seen:
                seen = posted.position
                self._progress(deadline, timeout, state.last_byte_sent_at)
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
        if timeout is not None:
            check_timeout(timeout)
        state = self._state
        length = len(data)
        if not length and (not ends or (self._answers and state.sent_headers is None)):
            return False
        if state.sent_headers is None:
            self._before_writing(length, ends=ends)
        with self._monitor, self._lock:
            if state.closed or state.end_posted or state.no_body or state.id is None:
                return False
            if ends and state.wait_for_trailers:
                return False
            pump = self._session._pump
            if not pump.may_frame_at_once(state, length):
                return False
            unsent = state.unsent_length
            if unsent is not None:
                if length > unsent or (ends and length < unsent):
                    self._may_post_locked(length, ends)  # raises
                state.unsent_length = unsent - length
            state.end_posted = ends
            pump.frame_at_once(state, data, ends)
            self._session._sender.send_soon_locked()
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
            self._session._pump.post(state, *items)
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
        self._session._pump.withdraw(state, posted, *([End.END_STREAM] if ends else ()))

    def send_trailers(self, headers: HeadersSource) -> None:
        """Send trailers behind the data and end our side; once, and only with `wait_for_trailers=True`.

        Raises `InvalidArgument` for pseudo-header fields, and for fields over `max_send_header_block_length` (which
        destroys the stream); `InvalidState` before the headers, a second time, or without the option.
        """
        block = encode_trailers(headers)
        state = self._state
        try:
            with self._monitor, self._lock:
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
                self._session._pump.schedule(state)
                self._session._sender.send_locked()
        except HeaderBlockTooLong as error:
            fail_for_frame(self._session, state, FrameType.HEADERS, error)
            raise

    def _goes_on_without_locked(self, posted: Posted) -> bool:
        """Whether the session sends what is left of `posted`, and then the end if that was posted, by itself."""
        return False
