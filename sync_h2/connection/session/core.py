"""A session: one HTTP/2 connection and everything that is known of it, shared by any number of threads.

The threads of a session are the reader (receiver.py: in blocking `recv` or under the lock, never anywhere else), the
writer (sender.py: only when the kernel did not take everything at once), the dispatcher (listeners.py: only while
there are events somebody listens for), the keeper (keeper.py: only after `ref`), the process's timer thread
(watchdog.py), and whoever calls the public methods.

Who may touch what:

- under the lock (`with self._monitor, self._lock`), from any thread: `_streams` and every field of the StreamStates
  in it, `_stream_window`, the flags and errors of the end (`_closing` to `_goaway_error`), and the insides of
  `_protocol`, `_outbox`, `_sender`, `_inbound`, `_header_memory`, `_stream_counters`, `_pings`, `_settings_sent`,
  `_listeners`, `_dispatcher`, `_watchdog`, `_keeper`, `_ended`, `_connected` and of the TLS engine. Methods that need
  the lock end in `_locked`; those classes say so of all their methods.
- set once by the constructor and only read afterwards, without the lock: the references to these objects, `_monitor`,
  `_lock`, `_transport`, `_limits`, `_peer_address`, `_receiver`, `_fate`, `_trace`, `_began_at`, `_first_window`.
- of the transport, the receiving side and `_protocol.frames` belong to the reader alone, its blocking send to the
  writer alone. `_fate` is written under the lock, and read by the reader when nobody is left who could write.

The rules of the lock itself stand in waiting.py. Three that decide how this module is written:

- Under the lock nothing blocks and no foreign code runs: handlers, listeners, logging, starting threads are left with
  `after_unlock`.
- The reader waits for nothing but bytes. What it cannot finish at once (a handler, a listener, a full outbox) is
  queued and bounded.
- No finalizer takes the lock: a forgotten stream or session is handed to the timer thread.

How a session ends: `_end_locked` marks it dead and wakes every waiter in one critical section, and our side of the
connection is shut down behind the GOAWAY. The reader reads on until EOF, or until the watchdog shuts both ways,
because closing a descriptor with unread bytes would turn into a TCP reset that destroys the GOAWAY. Then the reader,
and nobody else, closes the descriptor, after the writer has left.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...constants import ErrorCode
from ...deadline import Deadline
from ...errors import (
    ConnectionLost,
    HTTP2Error,
    InvalidState,
    ProtocolError,
    SessionClosed,
    StreamReset,
    StreamUnprocessed,
)
from ...interpreter import SharedDict
from ...protocol import events
from ...protocol.connection import Connection
from ...protocol.fields.sensitive import printable
from ...protocol.limits import Limits
from ...protocol.settings import Settings
from ...protocol.wire import Wire
from ...transport.full_sockets import full_sockets
from ...transport.sockets import format_address
from ...transport.transport import Transport
from ..inspection.stats import StreamCounters
from ..inspection.trace import TracedOutbox, TraceFunction, traced
from ..receiving.frame_receiver import FrameReceiver
from ..receiving.header_memory import HeaderMemory
from ..receiving.inbound_flow import InboundFlow
from ..receiving.receiver import Fate, Receiver, read_forever
from ..sending.outbox import Outbox
from ..sending.sender import Sender
from ..shared.limit_log import log_limit
from ..shared.listeners import Dispatcher, Listener, Listeners, Observable
from ..shared.monitor import Monitor, WaitQueue
from ..shared.priorities import Priority, set_priority_locked
from ..shared.receive_window import LARGEST_STREAM_WINDOW, ReceiveWindow, first_stream_window
from ..shared.stream_state import StreamState
from ..shared.timers import timers
from .keeper import Keeper
from .round_trips import Pings, SettingsSent
from .watchdog import Watchdog

logger = logging.getLogger("sync_h2.connection")

_EVENTS = frozenset(
    {
        "close",
        "connect",
        "error",
        "frame_error",
        "goaway",
        "local_settings",
        "ping",
        "remote_settings",
        "stream",
        "timeout",
        "altsvc",
        "origin",
    }
)
_KEPT_EVENTS = frozenset({"connect", "error", "close", "remote_settings", "origin", "altsvc", "goaway", "stream"})


DRAIN_PING = b"draining"
_KEEPALIVE_PING = b"keepaliv"


class SessionCore(Observable):
    """The state of a session and all that changes it; `Session` (session_calls.py) adds what users call."""

    type: str

    def __init__(
        self,
        transport: Transport,
        *,
        client: bool,
        settings: Settings,
        limits: Limits,
        listeners: Mapping[str, Listener] | None = None,
        trace: TraceFunction | None = None,
    ) -> None:
        timers.ensure_running()
        full_sockets.ensure_running()
        self._transport = transport
        self._limits = limits
        self._peer_address = transport.peer_address
        self._monitor = Monitor(self._interrupted)
        self._lock = self._monitor.lock

        self._trace = traced(trace, self._monitor, self.type)
        self._outbox = self._new_outbox()
        self._protocol: Wire = self._new_protocol(settings)
        self._sender = Sender(
            self._monitor,
            transport,
            self._outbox,
            limits.max_session_memory // 2,
            self._local_end_locked,
            self._failed_end_locked,
            self._write_failed_locked,
            self._nothing_is_read,
            self._more_is_coming_locked,
            shared_by_requests=client,
        )
        self._sender.protocol = self._protocol
        self._dispatcher = Dispatcher(self._monitor)
        self._listeners = Listeners(self._dispatcher, _EVENTS, _KEPT_EVENTS)
        self._watchdog = Watchdog(self)

        self._streams: dict[int, StreamState] = SharedDict()  # the open ones, reserved ones included
        # Closed ones with something that nobody has read: a handle that is collected with its stream is not called.
        self._unread: dict[int, StreamState] = {}
        self._stream_counters = StreamCounters()
        self._began_at = time.monotonic()
        self._body_received_at = 0.0
        self._pings = Pings(self._monitor, limits.max_outstanding_pings)
        self._settings_sent = SettingsSent(self._monitor)
        self._inbound = InboundFlow(self._protocol, self._outbox, self._sender, limits.max_session_memory)
        self._header_memory = HeaderMemory(limits.max_session_memory)
        # What new streams count on; a value in SETTINGS that are not acknowledged yet counts already.
        self._first_window = first_stream_window(
            limits.max_session_memory, limits.max_concurrent_streams, server=not client
        )
        self._stream_window = (
            self._first_window if settings.initial_window_size is None else settings.initial_window_size
        )

        self._closing = False  # no new streams
        self._draining = False  # a server between its two GOAWAYs
        self._said_goodbye = False  # the GOAWAY of a graceful close has been sent
        self._destroyed = False  # nothing works any more; `_end_reason` says why
        self._gone = False  # the descriptor is closed
        self._gone_at: float | None = None
        self._failed = False  # it ended with an error
        self._end_reason: HTTP2Error | None = None
        self._goaway_error: HTTP2Error | None = None  # what a GOAWAY with an error code makes of the end
        self._goaway_said = ""  # the code and the reason of the peer's GOAWAY, where it gave one
        self._ended = WaitQueue(self._monitor)
        self._connected = WaitQueue(self._monitor)  # the peer's SETTINGS have come, or the end

        self._keeper = Keeper(self)
        self._receiver = self._new_receiver()
        self._fate = Fate()
        self._register_all(listeners)

    # -- what it is made of; a session with another protocol than HTTP/2 beneath it has others

    def _new_outbox(self) -> Outbox:
        return Outbox() if self._trace is None else TracedOutbox(self._trace)

    def _new_protocol(self, settings: Settings) -> Wire:
        client = self.type == "client"
        return Connection(client=client, settings=settings, limits=self._limits, emit=self._outbox.put)

    def _new_receiver(self) -> Receiver:
        assert isinstance(self._protocol, Connection)
        return FrameReceiver(self, self._protocol)

    # -- start

    def _start(self) -> None:
        """Send the preface, SETTINGS and the connection's window. The caller starts the reader afterwards.

        A server sends its SETTINGS at once where ALPN has agreed on HTTP/2, which saves a round trip, and otherwise
        when the client's preface has come: who speaks something else could make nothing of them.
        """
        with self._monitor, self._lock:
            self._protocol.start()
            # Now, because the WINDOW_UPDATE is urgent and would overtake the preface.
            if self.type == "server" and not self._transport.encrypted:
                self._sender.hold_locked()
            else:
                self._sender.send_locked()
            self._settings_sent.add()
            self._watchdog.await_settings_locked()
            self._inbound.start()
            self._watchdog.rearm_locked()
            self._sender.send_locked()

    def _begin(self, received: bytes = b"") -> None:
        """Start, with a reader of its own; `received` is what the peer has already said. Whatever goes wrong, the
        connection does not stay open.
        """
        reader: threading.Thread | None = None
        try:
            self._start()
            if received:
                self._receiver.begin_with(received)
            reader = threading.Thread(target=self._reader_target(), name="sync_h2-reader", daemon=True)
            reader.start()
        except BaseException as error:
            self._interrupted(error)
            with self._monitor, self._lock:
                self._transport.shutdown_both()
            if reader is None or reader.ident is None:
                self._receiver.close_down()  # there is no reader that would
            raise

    def _reader_target(self) -> Callable[[], None]:
        """What the reader thread runs. It holds the session weakly while it waits for bytes: when that is collected
        unclosed, its connection is shut down, and so the reader woken, by the timer thread, because a finalizer may run
        anywhere, under any lock.
        """
        transport = self._transport

        def dropped(_: object, is_exiting: Callable[[], bool] = sys.is_finalizing) -> None:
            if not is_exiting():  # otherwise the timer thread is gone, and so may be what the modules hold
                timers.run(transport.shutdown_both)

        session = weakref.ref(self, dropped)
        return partial(read_forever, session, transport, self._protocol.frames, self._fate)

    @property
    def _peer_name(self) -> str:
        return peer_name(self._peer_address)

    def __repr__(self) -> str:
        state = "gone" if self._gone else "destroyed" if self._destroyed else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {self._peer_name} {state}>"

    # -- what the roles add to

    def _request_received_locked(self, event: events.RequestReceived) -> None:
        raise NotImplementedError("only a server's protocol gives this event")

    def _header_list_too_large_locked(self, event: events.HeaderListTooLarge) -> None:
        raise NotImplementedError("only a server's protocol gives this event")

    def _early_priority_locked(self, stream_id: int, value: str) -> None:
        raise NotImplementedError("only a server's protocol gives this event")

    def _response_received_locked(self, event: events.ResponseReceived) -> None:
        raise NotImplementedError("only a client's protocol gives this event")

    def _informational_received_locked(self, event: events.InformationalReceived) -> None:
        raise NotImplementedError("only a client's protocol gives this event")

    def _push_promise_received_locked(self, event: events.PushPromiseReceived) -> None:
        raise NotImplementedError("only a client's protocol gives this event")

    def _prioritize_locked(self, state: StreamState, priority: Priority, silent: bool) -> None:
        """The user sets a stream's priority; `silent` tells the peer nothing of it."""
        set_priority_locked(self._streams, state, priority)

    def _origins_received_locked(self, origins: list[str]) -> None:
        raise NotImplementedError("only a client's protocol gives this event")

    def _slots_changed_locked(self) -> None:
        """The peer's MAX_CONCURRENT_STREAMS may have changed, or a stream has closed."""

    def _runs_callback(self) -> bool:
        """Whether the calling thread runs a listener or handler of this session, which must not wait for the
        session's end.
        """
        return threading.get_ident() == self._dispatcher.thread_id

    def _stream_closed_locked(self, state: StreamState) -> None:
        """A stream has left `_streams`."""

    def _more_is_coming_locked(self) -> bool:
        """Whether threads that are about to run will have something to send."""
        return False

    def _fail_pending_locked(self, error: HTTP2Error) -> None:
        """Requests that wait for a slot will not get one."""

    def _pending_states_locked(self) -> list[StreamState]:
        """The streams that wait for a slot."""
        return []

    def _jobs_locked(self) -> int:
        """How many handlers run or wait for a thread of the pool."""
        return 0

    def _handler_threads_locked(self) -> set[int]:
        """The threads that run this session's handlers."""
        return set()

    def _session_gone(self) -> None:
        """The descriptor is closed; called on the reader thread with no lock held."""

    def _stay_ready(self, stays: bool) -> None:
        """Whether what runs handlers has to be there when it is idle; called with no lock held."""

    def _inactive_locked(self) -> None:
        self._listeners.emit_locked("timeout")

    def _memory_changed_locked(self) -> None:
        """Something has come, and may be kept."""

    # -- state of streams

    def _receive_window(self) -> ReceiveWindow:
        """Of a new stream; it may grow, unless its size is one that the user chose."""
        size = self._stream_window
        return ReceiveWindow(size, LARGEST_STREAM_WINDOW if size == self._first_window else size)

    def _opened_locked(self, state: StreamState) -> None:
        """A stream has got its id: it is open, or promised."""
        assert state.id is not None
        self._watchdog.last_activity = state.opened_at = time.monotonic()
        self._streams[state.id] = state
        self._stream_counters.stream_opened(len(self._streams))

    def _check_alive_locked(self) -> None:
        if self._destroyed:
            assert self._end_reason is not None
            raise self._end_reason.again()

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

    def _unattended_overdue_locked(self, now: float) -> None:
        """It is time to see whether the peer takes what nobody waits to send."""

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

    def _decline_rest_locked(self, state: StreamState) -> None:
        """Our side is whole, or will be without a handler; what the peer still has to send is of no use."""
        raise NotImplementedError("a client cancels")

    def _short_body_locked(self, state: StreamState) -> None:
        """The body ends before what its content-length says, and nobody but a server allows that."""

    def _release_end_locked(self, state: StreamState) -> None:
        """The end of our side waits for nothing any more."""

    def _declined_data_locked(self, state: StreamState, length: int) -> None:
        """`length` octets have come on a stream whose rest is declined."""

    def _discards_overdue_locked(self, now: float) -> None:
        """The time may be up for which what nobody reads is received."""

    def _remote_end_locked(self, state: StreamState) -> None:
        """The peer's END_STREAM has arrived."""
        state.remote_ended = True
        state.arrived.wake_all_locked()
        if state.local_ended:
            self._close_stream_locked(state, ErrorCode.NO_ERROR, None)

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
        state.rst_code = int(code)
        state.error = error
        state.aborted = not state.local_ended
        # Before it leaves the table, where `_interrupted` would find those who still wait.
        state.arrived.wake_all_locked()
        state.progressed.wake_all_locked()
        state.drop_outgoing()
        self._sender.unschedule_locked(state)
        if state.id is not None:
            self._streams.pop(state.id, None)
            stream = state.handle and state.handle()
            if stream is not None and (len(state.buffer) or state.header_memory):
                self._unread[state.id] = state
        if state.opened_at is not None:
            self._watchdog.last_activity = state.closed_at = time.monotonic()
            self._stream_counters.stream_closed(state.closed_at - state.opened_at)
        if state.aborted:
            state.listeners.emit_locked("aborted")
        if code not in (ErrorCode.NO_ERROR, ErrorCode.CANCEL) and error is not None:
            state.listeners.emit_locked("error", error)
        state.listeners.emit_locked("close", int(code))
        self._stream_closed_locked(state)
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

    def _forgotten_locked(self, state: StreamState) -> bool:
        """What becomes of an open stream that nobody holds; True when somebody should hear of it."""
        raise NotImplementedError

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

    def _drained_locked(self) -> None:
        """A server's second step: the peer has seen the first GOAWAY."""

    def _drain_overdue_locked(self, now: float) -> None:
        """The peer has not shown in time that it has."""

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

    def _ending_locked(self, abrupt: bool) -> None:
        """It ends; or it has ended gracefully, and is not to wait for what is still on its way out."""

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
                state.rst_code = int(ErrorCode.INTERNAL_ERROR)
            state.arrived.wake_all_locked()
            state.progressed.wake_all_locked()
        self._connected.wake_all_locked()
        self._pings.wake_all()
        self._settings_sent.wake_all()

    def _wait_gone(self, timeout: float | None) -> None:
        self._monitor.wait(lambda: True if self._gone else self._ended, Deadline(timeout), "the session to close")

    def _keepalive_locked(self) -> None:
        self._protocol.ping(_KEEPALIVE_PING)
        self._sender.send_locked()

    # -- what the receiver hands over

    def _ping_answered_locked(self, payload: bytes) -> None:
        if payload == DRAIN_PING and self._draining:
            self._drained_locked()
            return
        self._pings.answered(payload)

    def _settings_acknowledged_locked(self) -> None:
        self._watchdog.settings_acknowledged_locked()
        self._settings_sent.acknowledged()
        for state in self._streams.values():
            self._inbound.window_shrunk(state)
        self._listeners.emit_locked("local_settings", self._protocol.local_settings)

    def _goaway_received_locked(self, code: int, last_stream_id: int, data: bytes) -> None:
        self._listeners.emit_locked("goaway", code, last_stream_id, data)
        self._closing = True  # first, or a stream that ends here would give its slot away
        going = f"the peer is going away{self._goaway_words()}"
        self._fail_pending_locked(StreamUnprocessed(going, code=ErrorCode.REFUSED_STREAM))
        for stream_id, state in list(self._streams.items()):
            if stream_id > last_stream_id and self._opened_here(stream_id):
                error = StreamUnprocessed(
                    f"{going} and has not processed this stream",
                    stream_id=stream_id,
                    code=ErrorCode.REFUSED_STREAM,
                )
                self._protocol.reset(stream_id, ErrorCode.CANCEL)
                self._close_stream_locked(state, ErrorCode.REFUSED_STREAM, error)

    def _goaway_words(self) -> str:
        """What the peer's GOAWAY said, in brackets to be added to a sentence; "" if it said nothing."""
        return f" (GOAWAY with {self._goaway_said})" if self._goaway_said else ""

    def _opened_here(self, stream_id: int) -> bool:
        raise NotImplementedError


def peer_name(address: Any) -> str:
    """A peer's address as it can stand in a log: the peer of a Unix socket may have bound its own to any name."""
    return printable(format_address(address)) if address else "a local peer"
