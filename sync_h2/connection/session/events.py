"""What each received event changes: the methods that the receiver calls, on the reader thread, with the session's lock.

An event's method has its name, in Python's way: `DataReceived` is handled by `_data_received_locked`. What only one
role receives (requests, responses, promises) is handled by that role's session.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from ...constants import ErrorCode, error_code, error_code_name
from ...errors import HTTP2Error, ProtocolError, SessionGoaway, StreamUnprocessed
from ...errors import StreamReset as StreamResetError
from ...protocol import events
from ..shared.priorities import set_priority_locked
from .lifecycle import Lifecycle

DRAIN_PING = b"draining"
"""What a closing server's PING carries; its answer shows that the client has seen the first GOAWAY."""

_WORDS = re.compile("[A-Z][a-z]*")


class EventHandlers(dict[type, Callable[[Any], None]]):
    """Bound methods by the type of event, made when the first such event comes: a connection sees few of them, and a
    server has many connections.
    """

    def __init__(self, session: object) -> None:
        self._session = session

    def __missing__(self, kind: type) -> Callable[[Any], None]:
        words = "_".join(_WORDS.findall(kind.__name__)).lower()
        handler: Callable[[Any], None] = getattr(self._session, f"_{words}_locked")
        self[kind] = handler
        return handler


class ReceivingLifecycle(Lifecycle):
    """The handlers of what both roles receive."""

    # -- streams

    def _data_received_locked(self, event: events.DataReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is None:
            self._inbound.arrived(event.flow_controlled_length)
            return
        if state.inactivity:
            state.touch()
        size = len(event.data)
        inbound = self._inbound
        state.remote_ended = event.end_stream  # first, so that a stream that ends gets no more credit
        if size:
            self._body_received_at = state.last_byte_at = now = time.monotonic()
            if state.first_byte_at is None:
                state.first_byte_at = now
            state.buffer.append(event.data)
            inbound.buffered(state, size)
            if not state.reading_all:
                state.wake_readers_locked()
        inbound.arrived(event.flow_controlled_length)
        if event.end_stream:
            if event.short:
                self._short_body_locked(state)
            if not state.closed:
                self._remote_end_locked(state)
        else:
            inbound.used_up(state, event.flow_controlled_length - size)
        if state.declined:
            self._declined_data_locked(state, event.flow_controlled_length)

    def _data_discarded_locked(self, event: events.DataDiscarded) -> None:
        self._inbound.arrived(event.flow_controlled_length)

    def _trailers_received_locked(self, event: events.TrailersReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is not None and self._keeps_headers_locked(state, event.memory):
            state.touch()
            state.trailers = event.headers
            state.listeners.emit_locked("trailers", event.headers)
            self._remote_end_locked(state)

    def _stream_reset_locked(self, event: events.StreamReset) -> None:
        state = self._streams.get(event.stream_id)
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
        self._close_stream_locked(state, event.code, error)

    def _window_updated_locked(self, event: events.WindowUpdated) -> None:
        if not event.stream_id:
            self._pump.connection_window_opened()
            return
        state = self._streams.get(event.stream_id)
        if state is not None:
            self._pump.schedule(state)

    def _priority_received_locked(self, event: events.PriorityReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is not None:
            priority = (event.exclusive, event.depends_on, event.weight)
            set_priority_locked(self._streams, state, priority)

    # -- the session

    def _settings_received_locked(self, event: events.SettingsReceived) -> None:
        if self._watchdog.handshake is not None:
            self._watchdog.handshake = None
            self._listeners.emit_locked("connect")
        if event.values.initial_window_size is not None:
            for state in self._streams.values():
                self._pump.schedule(state)  # its window may have opened
        self._connected.wake_all_locked()
        self._listeners.emit_locked("remote_settings", self._protocol.remote_settings)
        self._slots_changed_locked()

    def _settings_acknowledged_locked(self, event: events.SettingsAcknowledged) -> None:
        self._watchdog.settings_acknowledged_locked()
        self._settings_sent.acknowledged()
        for state in self._streams.values():
            self._inbound.window_shrunk(state)
        self._listeners.emit_locked("local_settings", self._protocol.local_settings)

    def _ping_received_locked(self, event: events.PingReceived) -> None:
        self._listeners.emit_locked("ping", event.payload)

    def _ping_acknowledged_locked(self, event: events.PingAcknowledged) -> None:
        if event.payload == DRAIN_PING and self._draining:
            self._drained_locked()
        self._pings.answered(event.payload)

    def _goaway_received_locked(self, event: events.GoawayReceived) -> None:
        said = error_code_name(event.code) + (f": {event.data[:200].decode('latin-1')!a}" if event.data else "")
        if event.code != ErrorCode.NO_ERROR or event.data:
            self._goaway_said = said
        if event.code != ErrorCode.NO_ERROR and self._goaway_error is None:
            self._goaway_error = SessionGoaway(f"the peer ended the session with {said}", code=event.code)
        self._listeners.emit_locked("goaway", error_code(event.code), event.last_stream_id, event.data)
        self._closing = True  # first, or a stream that ends here would give its slot away
        going = f"the peer is going away{self._goaway_words()}"
        self._fail_pending_locked(StreamUnprocessed(going, code=ErrorCode.REFUSED_STREAM))
        for stream_id, state in list(self._streams.items()):
            if stream_id > event.last_stream_id and self._opened_here(stream_id):
                error = StreamUnprocessed(
                    f"{going} and has not processed this stream",
                    stream_id=stream_id,
                    code=ErrorCode.REFUSED_STREAM,
                )
                self._protocol.reset(stream_id, ErrorCode.CANCEL)
                self._close_stream_locked(state, ErrorCode.REFUSED_STREAM, error)
        self._refuse_new_locked()
