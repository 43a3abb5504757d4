"""A client's session: requests, the queue for a stream slot, and pushed streams. Threads and locks as in session.py."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ..constants import MAX_STREAM_ID, ErrorCode
from ..deadline import Deadline
from ..errors import HTTP2Error, InvalidArgument, InvalidState, SessionClosed, StreamIDsExhausted
from ..protocol import events
from ..protocol.headers import EncodableFields, Headers, HeadersSource, encode_request
from ..protocol.limits import Limits
from ..protocol.settings import Settings
from ..transport.transport import Transport
from .client_stream import ClientStream
from .listeners import Listener
from .session_calls import Session
from .stream import stream_listeners
from .stream_state import StreamState
from .trace import TraceFunction
from .waiting import WaitQueue

_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})

Priority = tuple[bool, int, int]
"""RFC 7540's priority: exclusive, depends on, weight."""


@dataclass
class _PendingRequest:
    """A request without a stream yet: the peer's MAX_CONCURRENT_STREAMS is used up."""

    state: StreamState
    block: EncodableFields
    end_stream: bool
    priority: Priority | None


class ClientSession(Session):
    """The client's end of a connection; see `sync_h2.connect`."""

    type = "client"

    def __init__(
        self,
        transport: Transport,
        *,
        scheme: str,
        authority: str,
        settings: Settings,
        limits: Limits,
        listeners: Mapping[str, Listener] | None = None,
        trace: TraceFunction | None = None,
    ) -> None:
        self._scheme = scheme
        self._authority = authority
        self._pending: dict[StreamState, _PendingRequest] = {}  # oldest first; guarded by the lock
        super().__init__(transport, client=True, settings=settings, limits=limits, listeners=listeners, trace=trace)

    def request(
        self,
        headers: HeadersSource | None = None,
        *,
        end_stream: bool | None = None,
        exclusive: bool = False,
        parent: int = 0,
        weight: int = 16,
        wait_for_trailers: bool = False,
        wait: bool = True,
        timeout: float | None = None,
        listeners: Mapping[str, Listener] | None = None,
    ) -> ClientStream:
        """Open a stream with a request (RFC 9113 section 8.3.1) and return it without waiting for the response.

        `:method` defaults to GET, `:path` to `/`, `:scheme` and `:authority` to the session's. `end_stream` None ends
        our side for GET, HEAD and DELETE. While the peer's MAX_CONCURRENT_STREAMS is used up this blocks, first come
        first served; with `wait=False` it returns a `pending` stream instead. `wait_for_trailers` makes room for
        `send_trailers`.

        Raises `InvalidArgument` for headers HTTP/2 forbids, `Timeout`, `StreamIDsExhausted` when the connection has
        no ids left, and the session's error when it is closing (`retryable`) or has ended.
        """
        block = encode_request(headers, scheme=self._scheme, authority=self._authority)
        request_headers = Headers.from_wire(block)
        method = request_headers[":method"]
        if end_stream is None:
            end_stream = method in _METHODS_WITHOUT_BODY and not wait_for_trailers
        if end_stream and wait_for_trailers:
            raise InvalidArgument("wait_for_trailers and end_stream exclude each other")
        priority = check_priority(exclusive, parent, weight)

        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._stream_window)
        state.request_method = method
        state.sent_headers = request_headers
        state.wait_for_trailers = wait_for_trailers
        state.end_posted = end_stream
        content_length = request_headers.get("content-length")
        state.unsent_length = None if content_length is None or method == "CONNECT" else int(content_length)
        if end_stream and state.unsent_length:
            raise InvalidArgument(f"content-length {state.unsent_length} on a request that ends with its headers")
        stream = ClientStream(self, state)
        stream._register_all(listeners)
        pending = _PendingRequest(state, block, end_stream, priority)
        with self._monitor, self._lock:
            self._check_may_request_locked(state, block)
            self._pending[state] = pending
            self._slots_changed_locked()
            self._sender.send_locked()
        if wait and state.id is None:
            self._wait_for_slot(stream, timeout)
        return stream

    def _wait_for_slot(self, stream: ClientStream, timeout: float | None) -> None:
        state = stream._state

        def attempt() -> bool | WaitQueue:
            if state.id is not None:
                return True
            if state.error is not None:
                raise state.error.again()
            return state.progressed

        try:
            self._monitor.wait(attempt, Deadline(timeout), "a stream slot (the peer's MAX_CONCURRENT_STREAMS)")
        except BaseException:
            stream._cancel()
            raise

    def _check_may_request_locked(self, state: StreamState, block: EncodableFields) -> None:
        if self._end_reason is not None:
            raise self._end_reason.again(retryable=True)
        if not self._protocol.has_stream_ids:
            self._start_closing_locked()
            raise StreamIDsExhausted("this connection has used its last stream id; open another")
        if self._closing:
            raise SessionClosed("the session is closing and takes no new requests", retryable=True)
        is_extended_connect = state.sent_headers is not None and ":protocol" in state.sent_headers
        if is_extended_connect and not self._protocol.remote_settings.enable_connect_protocol:
            raise InvalidState("the peer has not enabled extended CONNECT (RFC 8441 section 3)")
        self._protocol.check_block_length(block)

    # -- slots

    def _slots_changed_locked(self) -> None:
        protocol = self._protocol
        while self._pending and not self._closing:
            if protocol.open_outbound_streams() >= protocol.peer_max_concurrent_streams:
                return
            if not protocol.has_stream_ids:
                self._fail_pending_locked(StreamIDsExhausted("this connection has used its last stream id"))
                self._start_closing_locked()
                return
            state, request = next(iter(self._pending.items()))
            self._open_locked(request)
            del self._pending[state]

    def _open_locked(self, request: _PendingRequest) -> None:
        state = request.state
        state.id = self._protocol.send_request(request.block, request.end_stream, request.priority)
        if request.priority is not None:
            state.weight = request.priority[2]
        self._opened_locked(state)
        state.local_ended = request.end_stream
        state.progressed.wake_all_locked()
        state.listeners.emit_locked("ready")
        self._sender.schedule_locked(state)  # a body may have been posted meanwhile

    def _pending_states_locked(self) -> list[StreamState]:
        return list(self._pending)

    def _fail_pending_locked(self, error: HTTP2Error) -> None:
        for state in list(self._pending):
            # Nothing of it was ever sent.
            self._close_stream_locked(state, ErrorCode.CANCEL, error.again(retryable=True))

    def _stream_closed_locked(self, state: StreamState) -> None:
        if state.id is None:
            self._pending.pop(state, None)
        elif not self._destroyed:
            self._slots_changed_locked()

    def _forgotten_locked(self, state: StreamState) -> bool:
        never_was = state.id is None and state not in self._pending
        self._reset_locked(state, ErrorCode.CANCEL)
        return not (state.is_push or never_was)

    def _opened_here(self, stream_id: int) -> bool:
        return stream_id % 2 == 1

    # -- what arrives

    def _response_received_locked(self, event: events.ResponseReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is None:
            return
        state.touch()
        if state.first_header_at is None:
            state.first_header_at = time.monotonic()
        state.response_headers = event.headers
        state.arrived.wake_all_locked()
        state.listeners.emit_locked("push" if state.is_push else "response", event.headers)
        if event.end_stream:
            state.ended_with_headers = True
            self._remote_end_locked(state)

    def _informational_received_locked(self, event: events.InformationalReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is None:
            return
        state.touch()
        if state.first_header_at is None:
            state.first_header_at = time.monotonic()
        state.informational.append(event.headers)
        if event.headers[":status"] == "100":
            state.continued = True
            state.listeners.emit_locked("continue")
        state.listeners.emit_locked("headers", event.headers)
        state.arrived.wake_all_locked()

    def _push_promise_received_locked(self, event: events.PushPromiseReceived) -> None:
        parent = self._streams.get(event.stream_id)
        promised = sum(1 for state in self._streams.values() if state.is_push)
        if parent is None or self._closing or promised >= self._limits.max_concurrent_streams:
            self._protocol.reset(event.promised_stream_id, ErrorCode.REFUSED_STREAM)
            return
        if not self._speaks_for(event.headers, parent):
            # RFC 9113 section 8.4: a server pushes for what it is authoritative for.
            self._protocol.reset(event.promised_stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._stream_window)
        state.id = event.promised_stream_id
        state.is_push = True
        state.request_headers = event.headers
        state.request_method = event.headers[":method"]
        state.end_posted = state.local_ended = True
        self._opened_locked(state)
        stream = ClientStream(self, state)
        # The parent keeps it until somebody asks; if nobody does, it is forgotten, and so cancelled, with the parent.
        if parent.pushes is None:
            parent.pushes = deque()
        parent.pushes.append(stream)
        parent.arrived.wake_all_locked()
        self._listeners.emit_locked("stream", stream, event.headers)

    def _speaks_for(self, promised: Headers, parent: StreamState) -> bool:
        """Whether the server answers for the origin of a promised request: this connection's, or that of its parent."""
        origin = (promised.get(":scheme"), promised.get(":authority", promised.get("host", "")).lower())
        assert parent.sent_headers is not None
        asked = parent.sent_headers.get(":authority", parent.sent_headers.get("host", ""))
        return origin in ((self._scheme, self._authority.lower()), (self._scheme, asked.lower()))


def check_priority(exclusive: bool, parent: int, weight: int) -> Priority | None:
    """RFC 7540's priority for a HEADERS frame; None, and so no priority fields at all, when everything is the
    default.
    """
    if not 1 <= weight <= 256:
        raise InvalidArgument(f"weight must be between 1 and 256, not {weight}")
    if not 0 <= parent <= MAX_STREAM_ID:
        raise InvalidArgument(f"parent must be a stream id, not {parent}")
    if not exclusive and not parent and weight == 16:
        return None
    return exclusive, parent, weight
