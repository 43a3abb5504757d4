"""How a session's streams open, close and are reset, and how the session itself ends.

How a session ends: `_end_locked` marks it dead and wakes every waiter in one critical section, and our side of the
connection is shut down behind the GOAWAY. The reader reads on until EOF, or until the watchdog shuts both ways,
because closing a descriptor with unread bytes would turn into a TCP reset that destroys the GOAWAY. Then the reader,
and nobody else, closes the descriptor, after the writer has left.

Any thread; methods ending in `_locked` need the session's lock.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from functools import partial

from ...constants import ErrorCode, error_code
from ...deadline import Deadline
from ...errors import ConnectionLost, HTTP2Error, InvalidState, ProtocolError, SessionClosed, StreamReset
from ...transport.log import Log
from ..shared.limit_log import log_limit
from ..shared.stream_state import StreamState
from .state import SessionFields

logger = Log("sync_h2.connection")


class Lifecycle(SessionFields):
    """What changes a session's state, whoever asks for it."""

    # -- streams

    def _opened_locked(self, state: StreamState) -> None:
        """A stream has got its id: it is open, or promised."""
        assert state.id is not None
        self._watchdog.last_activity = state.opened_at = time.monotonic()
        self._streams[state.id] = state
        self._stream_counters.stream_opened(len(self._streams))

    def _local_end_locked(self, state: StreamState) -> None:
        """Our END_STREAM has been framed."""
        assert state.id is not None
        if state.remote_ended:
            self._close_stream_locked(state, ErrorCode.NO_ERROR, None)
        elif state.reset_after_end is not None:
            self._reset_locked(state, state.reset_after_end)
        elif state.declined:
            self._decline_rest_locked(state)

    def _failed_end_locked(self, state: StreamState) -> None:
        """All that was written has been framed, and there will be no more: this side has failed."""
        self._reset_locked(state, ErrorCode.INTERNAL_ERROR)

    def _keeps_headers_locked(self, state: StreamState, size: int) -> bool:
        """Whether there is memory for another header list of this stream; if not, the stream is closed."""
        if self._header_memory.keep(state, size):
            return True
        assert state.id is not None
        code = ErrorCode.ENHANCE_YOUR_CALM
        self._protocol.refuse(state.id, code)
        error = ProtocolError("no memory for its header fields (max_session_memory)", stream_id=state.id, code=code)
        self._close_stream_locked(state, code, error)
        self._inbound.discard(state)
        return False

    def _remote_end_locked(self, state: StreamState) -> None:
        """The peer's END_STREAM has arrived."""
        state.remote_ended = True
        if state.local_ended:
            self._close_stream_locked(state, ErrorCode.NO_ERROR, None)  # which wakes everybody
        else:
            state.wake_readers_locked()

    def _reset_locked(self, state: StreamState, code: int, error: HTTP2Error | None = None) -> None:
        """End a stream from our side with RST_STREAM; what was not framed is dropped, what was not read too."""
        if state.closed:
            return
        if state.id is not None:
            self._protocol.reset(state.id, code)
        if error is None:
            error = StreamReset("this side reset the stream", stream_id=state.id, code=code)
        self._close_stream_locked(state, code, error)
        self._inbound.discard(state)
        self._sender.send_locked()

    def _close_stream_locked(self, state: StreamState, code: int, error: HTTP2Error | None) -> None:
        """The stream is closed in the protocol's eyes: record why, wake everybody."""
        if state.closed:
            return
        state.closed = True
        state.rst_code = code if type(code) is ErrorCode else error_code(code)
        state.error = error
        state.aborted = not state.local_ended
        # Before it leaves the table, where `_interrupted` would find those who still wait.
        state.wake_all_locked()
        if state.outgoing:
            state.drop_outgoing()
        self._pump.unschedule(state)
        if state.id is not None:
            self._streams.pop(state.id, None)
            if len(state.buffer) or state.header_memory:
                stream = state.handle and state.handle()  # is held here until it is noted
                if stream is not None:
                    self._unread[state.id] = state
        if state.opened_at is not None:
            self._watchdog.last_activity = state.closed_at = time.monotonic()
            self._stream_counters.stream_closed(state.closed_at - state.opened_at)
        if state.aborted:
            state.listeners.emit_locked("aborted")
        if error is not None and code not in (ErrorCode.NO_ERROR, ErrorCode.CANCEL):
            state.listeners.emit_locked("error", error)
        state.listeners.emit_close_locked(int(code))
        self._stream_closed_locked(state)
        if self._closing:
            self._maybe_finish_locked()

    def _forget(self, state: StreamState) -> None:
        """Nobody holds the stream any more. Runs on the timer thread."""
        if self._monitor.refusal is not None:
            return  # a forked child
        with self._monitor, self._lock:
            unfinished = not state.closed and self._forgotten_locked(state)
            self._inbound.discard(state)
            self._header_memory.release(state)
            self._sender.send_locked()
        if unfinished:
            warnings.warn(f"stream {state.id} was dropped unfinished and is reset", ResourceWarning, stacklevel=1)

    # -- closing and ending

    def _send_goaway_locked(self, code: int, last_stream_id: int | None = None, opaque_data: bytes = b"") -> None:
        if last_stream_id is None:
            last_stream_id = self._protocol.last_inbound_stream_id
        self._protocol.goaway(code, last_stream_id, opaque_data)

    def _start_closing_locked(self) -> None:
        """A client says GOAWAY at once: only pushed streams could be in flight (a server needs two steps)."""
        if not self._destroyed and not self._said_goodbye:
            self._said_goodbye = True
            self._send_goaway_locked(ErrorCode.NO_ERROR)
        self._refuse_new_locked()

    def _refuse_new_locked(self) -> None:
        """No new streams from here on; the session ends with the last open one."""
        if not self._closing:
            self._closing = True
            self._fail_pending_locked(SessionClosed(f"the session is closing{self._goaway_words()}", retryable=True))
        self._maybe_finish_locked()

    def _maybe_finish_locked(self) -> None:
        if self._closing and not self._streams and not self._draining and not self._destroyed:
            self._end_locked(self._goaway_error, None if self._said_goodbye else ErrorCode.NO_ERROR, abrupt=False)

    def _fail_locked(self, error: ProtocolError, limit: str | None = None) -> None:
        """The peer broke the protocol, or a limit: GOAWAY with the error's code, then the end."""
        log = self._log_end if limit is None else partial(log_limit, self, limit)
        self._end_locked(error, error.code or ErrorCode.PROTOCOL_ERROR, opaque_data=(limit or "").encode(), log=log)

    def _log_end(self, error: HTTP2Error) -> None:
        # What a server's peers do wrong is no concern of its operator's.
        ours = self.type == "client" and not isinstance(error, ConnectionLost)
        logger.log(logging.WARNING if ours else logging.INFO, "%r ended: %s", self, error)

    def _end_locked(
        self,
        error: HTTP2Error | None,
        goaway_code: int | None,
        *,
        reason: HTTP2Error | None = None,
        opaque_data: bytes = b"",
        abrupt: bool = True,
        log: Callable[[HTTP2Error], None] | None = None,
    ) -> None:
        """The end of everything; `goaway_code` None sends no GOAWAY. When not `abrupt`, what is queued still goes out.

        `reason` is what later calls are told when it is no error of the session's.
        """
        self._ending_locked(abrupt)
        if self._destroyed:
            if abrupt:
                self._watchdog.flushes = False
            return
        if isinstance(error, ConnectionLost) and self._goaway_error is not None:
            error.__cause__ = self._goaway_error  # the peer had said why before it hung up
        self._destroyed = self._closing = True
        self._fate.ended = True
        self._failed = error is not None
        self._end_reason = error or reason or SessionClosed(f"the session is closed{self._goaway_words()}")
        if abrupt:
            self._outbox.clear()
        if goaway_code is not None:
            self._send_goaway_locked(goaway_code, None, opaque_data)
        stream_code = ErrorCode.CANCEL if goaway_code in (None, ErrorCode.NO_ERROR) else goaway_code
        for state in list(self._streams.values()):
            self._close_stream_locked(state, stream_code, self._end_reason)
        self._fail_pending_locked(self._end_reason)
        self._connected.wake_all_locked()
        self._pings.wake_all()
        self._settings_sent.wake_all()
        if error is not None and not self._listeners.emit_locked("error", error):
            self._monitor.after_unlock(partial(log or self._log_end, error))
        self._watchdog.flushes = not abrupt
        self._watchdog.linger_locked()
        self._sender.finish_locked()

    def _write_failed_locked(self, error: ConnectionLost) -> None:
        # What the peer said before it went may still be unread (its GOAWAY, the rest of a response): the reader
        # decides.
        self._watchdog.linger_locked()

    def _nothing_is_read(self) -> None:
        """More than we may hold waits to be sent; called with no lock held."""
        with self._monitor, self._lock:
            self._fail_locked(
                ProtocolError("the peer does not read what it asked for", code=ErrorCode.ENHANCE_YOUR_CALM),
                "max_session_memory",
            )

    def _hang_up_locked(self) -> None:
        """It has ended, and the peer does not hang up or does not take what is left: no more is waited for."""
        self._transport.shutdown_both()

    def _interrupted(self, error: BaseException) -> None:
        """An exception left a critical section in the middle: the state may be half changed, so nobody may go on with
        it. That section may have been the end of the session itself, so each step of the end is made again.
        """
        reason = InvalidState("an exception struck while the session's state was being changed; it can't go on")
        reason.__cause__ = error
        for step in (
            partial(self._end_locked, reason, ErrorCode.INTERNAL_ERROR),
            partial(self._wake_everybody_locked, reason),
            self._watchdog.linger_locked,
        ):
            with self._monitor, self._lock:
                try:
                    step()
                except Exception:
                    self._monitor.after_unlock(partial(logger.exception, "%r: a step of its end failed", self))
        # Without the GOAWAY, if the outbox is among what is broken; the watchdog has the connection shut down soon.
        with self._monitor, self._lock:
            self._transport.shutdown_write()

    def _wake_everybody_locked(self, reason: HTTP2Error) -> None:
        self._destroyed = self._closing = True
        if self._end_reason is None:
            self._end_reason = reason
        for state in [*self._streams.values(), *self._pending_states_locked()]:
            state.closed = True
            if state.error is None:
                state.error = self._end_reason
            if state.rst_code is None:
                state.rst_code = ErrorCode.INTERNAL_ERROR
            state.wake_all_locked()
        self._connected.wake_all_locked()
        self._pings.wake_all()
        self._settings_sent.wake_all()

    def _wait_gone(self, timeout: float | None) -> None:
        self._monitor.wait(lambda: True if self._gone else self._ended, Deadline(timeout), "the session to close")

    def _input_ended_locked(self, hint: str) -> None:
        """The peer sends nothing more; `hint` says why that may be, to be added to a sentence."""
        if self._destroyed:
            return
        if self._streams:
            how = "was cut off" if self._transport.truncated else "was closed by the peer"
            count = len(self._streams)
            open_streams = "a stream was open" if count == 1 else f"{count} streams were open"
            error = ConnectionLost(f"the connection {how} while {open_streams}{hint}")
            self._end_locked(error, None)
        elif self._closing:  # the peer has seen the GOAWAY, or sent it, and was the first to go
            self._end_locked(self._goaway_error, None)
        else:
            reason = ConnectionLost(f"the peer has closed the connection{hint}", retryable=True)
            self._end_locked(None, None, reason=reason)

    def _close_down(self) -> None:
        """The end of the reader: wait for whoever sends to leave, close the descriptor, tell everybody."""
        sender = self._sender
        # A writer that is blocked is freed by the watchdog, which shuts the connection down both ways.
        self._monitor.wait(
            lambda: sender.changed if sender.may_send_locked else True,
            Deadline(None),
            "the writer to leave",
        )
        with self._monitor, self._lock:
            sender.finished = True
            self._transport.mark_closed_locked()
        self._transport.close()
        with self._monitor, self._lock:
            self._ended.wake_all_locked()
            if not self._gone:
                self._gone = True
                self._gone_at = time.monotonic()
                self._listeners.emit_close_locked()
            self._dispatcher.finish_locked()
        self._session_gone()
