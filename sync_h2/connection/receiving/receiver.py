"""The reader thread: bytes from the transport, events, and what each event changes.

`read_forever` is the thread. It blocks in `recv` and in nothing else, and refers to its session only while it handles
what came: a session that nobody refers to any more can be collected although its reader waits. Methods ending in
`_locked` hold the session's lock.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

from ...constants import ErrorCode, error_code_name
from ...deadline import Deadline
from ...errors import ConnectionLost, HTTP2Error, ProtocolError, SessionGoaway, StreamUnprocessed, TLSError
from ...errors import StreamReset as StreamResetError
from ...protocol import events
from ...protocol.wire import Input
from ...transport.transport import END, Transport
from ..sending.scheduler import parse_priority
from ..shared.priorities import set_priority_locked
from ..shared.timers import timers
from .turns import Budget, let_others_go, turns

if TYPE_CHECKING:
    from ..session.core import SessionCore

logger = logging.getLogger("sync_h2.connection")

_MEMORY_LOOK = 64
"""Octets that may come before it is looked at what memory is taken for them: at most some hundred times as much."""


class Fate:
    """What the reader has to know of its session when that was garbage collected."""

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended = False


def read_forever(session_reference: ref[SessionCore], transport: Transport, frames: Input, fate: Fate) -> None:
    """Read until the connection ends, then close the descriptor. Runs on the reader thread."""
    try:
        _read_until_end(session_reference, transport, frames)
        _leave(session_reference, transport)
    except BaseException as error:  # a MemoryError, say: whatever it is, nobody may wait for a reader that is gone
        logger.exception("the reader failed")
        session = session_reference()
        if session is not None:
            session._interrupted(error)
        transport.shutdown_both()
        _leave(session_reference, transport)
    if not fate.ended:
        # Said here and not in a finalizer, which could run anywhere.
        warnings.warn("a session was dropped without close()", ResourceWarning, stacklevel=1)


def _leave(session_reference: ref[SessionCore], transport: Transport) -> None:
    session = session_reference()
    if session is not None:
        session._receiver.close_down()
    else:
        timers.run(transport.close)  # there, because the session's finalizer has had the connection shut down there


def _read_until_end(session_reference: ref[SessionCore], transport: Transport, frames: Input) -> None:
    while True:
        view = frames.writable()
        lost: HTTP2Error | None = None
        try:
            transport.receive(view)
        except ConnectionLost as error:
            lost = error
        session = session_reference()
        if session is None or not session._receiver.received(view, lost):
            return
        del session, view


# Who handles an event, and with which method.
_RECEIVER: dict[type, str] = {
    events.DataReceived: "_data_locked",
    events.DataDiscarded: "_discarded_locked",
    events.TrailersReceived: "_trailers_locked",
    events.StreamReset: "_reset_locked",
    events.WindowUpdated: "_window_locked",
    events.SettingsReceived: "_settings_locked",
    events.SettingsAcknowledged: "_settings_acknowledged_locked",
    events.PingReceived: "_ping_locked",
    events.PingAcknowledged: "_pong_locked",
    events.GoawayReceived: "_goaway_locked",
    events.PriorityReceived: "_priority_locked",
    events.PriorityUpdateReceived: "_priority_update_locked",
    events.AltsvcReceived: "_altsvc_locked",
    events.OriginReceived: "_origin_locked",
}
_SESSION: dict[type, str] = {
    events.RequestReceived: "_request_received_locked",
    events.ResponseReceived: "_response_received_locked",
    events.InformationalReceived: "_informational_received_locked",
    events.PushPromiseReceived: "_push_promise_received_locked",
    events.HeaderListTooLarge: "_header_list_too_large_locked",
}


class _Handlers(dict[type, Callable[[Any], None]]):
    """Bound methods by the type of event, made when the first such event comes: a connection sees few of them, and a
    server has many connections.
    """

    def __init__(self, receiver: Receiver, session: SessionCore) -> None:
        self._receiver = receiver
        self._session = session

    def __missing__(self, kind: type) -> Callable[[Any], None]:
        name = _RECEIVER.get(kind)
        handler: Callable[[Any], None]
        handler = getattr(self._session, _SESSION[kind]) if name is None else getattr(self._receiver, name)
        self[kind] = handler
        return handler


class Receiver:
    """What the reader does with one session; how events are made of octets is left to the protocol's own receiver."""

    def __init__(self, session: SessionCore) -> None:
        self._session = session
        self._protocol = session._protocol
        self._input = session._protocol.frames
        self._transport = session._transport
        self._sender = session._sender
        self._budget = Budget()
        # Under the lock:
        self._has_more = False
        self._since_memory_look = _MEMORY_LOOK  # octets; a session takes more by itself than what comes first
        self.frames_received = 0
        self.bytes_received = 0
        self._handlers = _Handlers(self, session)

    def received(self, view: memoryview, lost: HTTP2Error | None) -> bool:
        """Handle what the transport has just received; False when nothing more can come. Blocks for as long as other
        busy readers have their turns.
        """
        while True:
            if self._budget.used_up():
                with turns:
                    goes_on = self._receive_some(view, lost)
            else:
                goes_on = self._receive_some(view, lost)
            if goes_on is not None:
                return goes_on
            let_others_go()

    def _receive_some(self, view: memoryview, lost: HTTP2Error | None) -> bool | None:
        """A turn's worth of what has been received; None when there is more."""
        session = self._session
        with session._monitor, session._lock:
            if lost is not None:
                lost.message += self._hint_locked()
                session._end_locked(lost, None)
                return False
            try:
                while True:
                    if not self._has_more:
                        count = self._transport.plaintext_locked(view)
                        if count == END:
                            self._end_of_input_locked()
                            return False
                        if not count:
                            break
                        if session._destroyed:  # what comes is read and discarded
                            continue
                        self._input.received(count)
                        self._since_memory_look += count
                    self._has_more = self._handle_input_locked()
                    if self._has_more:
                        self._sender.send_locked()
                        return None
                    view = self._input.writable()
            except TLSError as error:
                session._end_locked(error, None)
                return False
            if not session._destroyed:
                session._watchdog.received_locked()
                session._watchdog.header_block_locked(self._protocol.header_block_open)
            if self._since_memory_look >= _MEMORY_LOOK:
                self._since_memory_look = 0
                session._memory_changed_locked()
            self._sender.send_locked()
            return True

    def begin_with(self, octets: bytes) -> None:
        """Handle what was received before there was a session, in place of the reader, which has not begun."""
        view = self._input.writable()
        view[: len(octets)] = octets
        self._transport.already_received(len(octets))
        self.received(view, None)

    def _handle_input_locked(self) -> bool:
        """Take what has arrived for events, and handle these; whatever the peer did wrong has ended the session. True
        when there is more, for which others should not have to wait.
        """
        raise NotImplementedError

    def _end_of_input_locked(self) -> None:
        session = self._session
        if session._destroyed:
            return
        if session._streams:
            how = "was cut off" if self._transport.truncated else "was closed by the peer"
            count = len(session._streams)
            open_streams = "a stream was open" if count == 1 else f"{count} streams were open"
            error = ConnectionLost(f"the connection {how} while {open_streams}{self._hint_locked()}")
            session._end_locked(error, None)
        elif session._closing:  # the peer has seen the GOAWAY, or sent it, and was the first to go
            session._end_locked(session._goaway_error, None)
        else:
            reason = ConnectionLost(f"the peer has closed the connection{self._hint_locked()}", retryable=True)
            session._end_locked(None, None, reason=reason)

    def _hint_locked(self) -> str:
        """Why the peer may have hung up, to be added to a sentence."""
        return self._session._goaway_words()

    def close_down(self) -> None:
        """The end of the reader: wait for the writer to leave, close the descriptor, tell everybody."""
        session = self._session
        sender = self._sender
        # A writer that is blocked is freed by the watchdog, which shuts the connection down both ways.
        session._monitor.wait(
            lambda: sender.writer_changed if sender.may_send_locked else True,
            Deadline(None),
            "the writer to leave",
        )
        with session._monitor, session._lock:
            sender.finished = True
            self._transport.mark_closed_locked()
        self._transport.close()
        with session._monitor, session._lock:
            session._ended.wake_all_locked()
            if not session._gone:
                session._gone = True
                session._gone_at = time.monotonic()
                session._listeners.emit_locked("close")
            session._dispatcher.finish_locked()
        session._session_gone()

    # -- streams

    def _data_locked(self, event: events.DataReceived) -> None:
        session = self._session
        state = session._streams.get(event.stream_id)
        if state is None:
            session._inbound.arrived(event.flow_controlled_length)
            return
        state.touch()
        size = len(event.data)
        inbound = session._inbound
        state.remote_ended = event.end_stream  # first, so that a stream that ends gets no more credit
        if size:
            session._body_received_at = now = time.monotonic()
            if state.first_byte_at is None:
                state.first_byte_at = now
            state.buffer.append(event.data)
            inbound.buffered(state, size)
            if not state.reading_all:
                state.arrived.wake_all_locked()
        inbound.arrived(event.flow_controlled_length)
        if event.end_stream:
            if event.short:
                session._short_body_locked(state)
            if not state.closed:
                session._remote_end_locked(state)
        else:
            inbound.used_up(state, event.flow_controlled_length - size)
        if state.declined:
            session._declined_data_locked(state, event.flow_controlled_length)

    def _discarded_locked(self, event: events.DataDiscarded) -> None:
        self._session._inbound.arrived(event.flow_controlled_length)

    def _trailers_locked(self, event: events.TrailersReceived) -> None:
        state = self._session._streams.get(event.stream_id)
        if state is not None and self._session._keeps_headers_locked(state, event.memory):
            state.touch()
            state.trailers = event.headers
            state.listeners.emit_locked("trailers", event.headers)
            self._session._remote_end_locked(state)

    def _reset_locked(self, event: events.StreamReset) -> None:
        state = self._session._streams.get(event.stream_id)
        if state is None:
            return
        error: HTTP2Error
        if not event.remote:
            error = ProtocolError(event.reason, stream_id=event.stream_id, code=event.code)
        elif event.code == ErrorCode.REFUSED_STREAM:
            error = StreamUnprocessed("the peer refused the stream", stream_id=event.stream_id, code=event.code)
        else:
            error = StreamResetError("the peer reset the stream", stream_id=event.stream_id, code=event.code)
            state.unwanted = state.remote_ended and event.code == ErrorCode.NO_ERROR
        self._session._close_stream_locked(state, event.code, error)

    def _window_locked(self, event: events.WindowUpdated) -> None:
        if not event.stream_id:
            self._sender.connection_window_opened_locked()
            return
        state = self._session._streams.get(event.stream_id)
        if state is not None:
            self._sender.schedule_locked(state)

    def _priority_locked(self, event: events.PriorityReceived) -> None:
        state = self._session._streams.get(event.stream_id)
        if state is not None:
            priority = (event.exclusive, event.depends_on, event.weight)
            set_priority_locked(self._session._streams, state, priority)

    def _priority_update_locked(self, event: events.PriorityUpdateReceived) -> None:
        state = self._session._streams.get(event.prioritized_stream_id)
        if state is None:
            self._session._early_priority_locked(event.prioritized_stream_id, event.value)
        else:
            self._sender.change_priority_locked(state, *parse_priority(event.value))

    # -- the session

    def _settings_locked(self, event: events.SettingsReceived) -> None:
        session = self._session
        if session._watchdog.handshake is not None:
            session._watchdog.handshake = None
            session._listeners.emit_locked("connect")
        if event.values.initial_window_size is not None:
            for state in session._streams.values():
                self._sender.schedule_locked(state)  # its window may have opened
        session._connected.wake_all_locked()
        session._listeners.emit_locked("remote_settings", self._protocol.remote_settings)
        session._slots_changed_locked()

    def _settings_acknowledged_locked(self, event: events.SettingsAcknowledged) -> None:
        self._session._settings_acknowledged_locked()

    def _ping_locked(self, event: events.PingReceived) -> None:
        self._session._listeners.emit_locked("ping", event.payload)

    def _pong_locked(self, event: events.PingAcknowledged) -> None:
        self._session._ping_answered_locked(event.payload)

    def _goaway_locked(self, event: events.GoawayReceived) -> None:
        session = self._session
        said = error_code_name(event.code) + (f": {event.data[:200].decode('latin-1')!a}" if event.data else "")
        if event.code != ErrorCode.NO_ERROR or event.data:
            session._goaway_said = said
        if event.code != ErrorCode.NO_ERROR and session._goaway_error is None:
            session._goaway_error = SessionGoaway(f"the peer ended the session with {said}", code=event.code)
        session._goaway_received_locked(event.code, event.last_stream_id, event.data)
        session._refuse_new_locked()

    def _altsvc_locked(self, event: events.AltsvcReceived) -> None:
        self._session._listeners.emit_locked("altsvc", event.value, event.origin, event.stream_id)

    def _origin_locked(self, event: events.OriginReceived) -> None:
        self._session._origins_received_locked(event.origins)
