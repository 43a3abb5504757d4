"""A client's session: requests, the queue for a stream slot, and pushed streams. Threads and locks as in
session/state.py.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from ...constants import ErrorCode, FrameType
from ...deadline import Deadline, check_timeout
from ...errors import HTTP2Error, InvalidArgument, InvalidState, SessionClosed, StreamIDsExhausted, Timeout
from ...interpreter import DROPPED_FOR_LONG, FREE_THREADED_BUILD, finalize_dropped
from ...protocol import events
from ...protocol.connection import Connection
from ...protocol.fields.headers import Headers, HeadersSource, RequestFields, encode_request
from ...transport.transport import Transport
from ..session.configuration import Configuration
from ..session.origins import OriginSet, serialized_origin
from ..session.session import Session
from ..shared.listeners import Listener
from ..shared.monitor import WaitQueue
from ..shared.priorities import DEFAULT_PRIORITY, Priority, check_priority, set_priority_locked
from ..shared.stream_state import StreamState
from ..stream.frame_errors import HeaderBlockTooLong, fail_for_frame
from ..stream.stream import stream_listeners
from .client_stream import ClientStream

_METHODS_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE"})


@dataclass
class _PendingRequest:
    """A request without a stream yet: the peer's MAX_CONCURRENT_STREAMS is used up, or it is an extended CONNECT and
    the peer's SETTINGS, which allow it or not, have not come.
    """

    state: StreamState
    block: RequestFields
    end_stream: bool
    priority: Priority
    announced_priority: Priority
    """What its headers will say of it: less than `priority` after a silent change."""


class ClientSession(Session):
    """The client's end of a connection; see `sync_h2.connect`."""

    type = "client"
    _protocol: Connection

    def __init__(self, transport: Transport, configuration: Configuration, *, scheme: str, authority: str) -> None:
        self._scheme = scheme
        self._authority = authority
        self._pending: dict[StreamState, _PendingRequest] = {}  # oldest first; guarded by the lock
        # Over TLS only (RFC 8336 section 2.1); guarded by the lock.
        self._origin_set = (
            OriginSet(serialized_origin(f"{scheme}://{authority}"), configuration.limits.max_origin_set_size)
            if transport.encrypted
            else None
        )
        super().__init__(transport, configuration)
        self._watchdog.inactivity = self._limits.idle_timeout

    @property
    def origin_set(self) -> list[str] | None:
        """The origins that the server says this connection may be used for (RFC 8336), its own first; at most
        `max_origin_set_size`. None without TLS.
        """
        with self._monitor, self._lock:
            return None if self._origin_set is None else list(self._origin_set)

    @property
    def most_streams(self) -> int:
        """How many streams the server takes at once: its SETTINGS_MAX_CONCURRENT_STREAMS, or until these come
        `peer_max_concurrent_streams`. A look that waits for nothing.
        """
        return self._protocol.peer_max_concurrent_streams

    @property
    def _takes_requests(self) -> bool:
        """Whether it is not closing. A look that waits for nothing."""
        return not self._closing

    @property
    def _awaits_settings(self) -> bool:
        """Whether the server's first SETTINGS are still to come. A look that waits for nothing."""
        return not self._protocol.settings_received and not self._closing

    @property
    def _has_streams(self) -> bool:
        """Whether a stream is open. A look that waits for nothing."""
        return bool(self._streams)

    def _close_when_unused(self) -> None:
        """Start no new streams, and end the connection with the last of them. GOAWAY goes out then and not before: some
        servers (hypercorn) take it for the end of everything.
        """
        if self._monitor.refusal is not None:
            return  # a forked child has let go of it already
        with self._monitor, self._lock:
            self._refuse_new_locked()
            self._sender.send_locked()

    def _wait_for_settings(self, timeout: float | None) -> None:
        """Wait for the server's first SETTINGS. Raises `Timeout`, and the session's error if it ends before."""

        def attempt() -> WaitQueue | None:
            if self._protocol.settings_received:
                return None
            if self._end_reason is not None:
                raise self._end_reason.again(retryable=True)
            return self._connected

        self._monitor.wait(attempt, Deadline(timeout), "the server's SETTINGS")

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
        `send_trailers`. A field `method` or `path` is taken for a forgotten colon and refused, unless `:method` or
        `:path` is given too; so is `scheme` or `authority` where no name has a colon.

        CONNECT asks for a tunnel to `:authority` (RFC 9113 section 8.5), with `:protocol` for another protocol on this
        stream (RFC 8441): after a 2xx response what is written and read are its bytes. The latter waits for the peer's
        first SETTINGS, which say whether it may be sent at all.

        Raises `InvalidArgument` for headers HTTP/2 forbids, `InvalidState` for `:protocol` when the peer has not
        enabled it, `Timeout`, `StreamIDsExhausted` when the connection has no ids left, and the session's error when
        it is closing (`retryable`) or has ended.
        """
        block = encode_request(headers, scheme=self._scheme, authority=self._authority)
        method = block.method
        if end_stream is None:
            end_stream = method in _METHODS_WITHOUT_BODY and not wait_for_trailers
        if end_stream and wait_for_trailers:
            raise InvalidArgument("wait_for_trailers and end_stream exclude each other")
        if wait_for_trailers and method == "CONNECT":
            raise InvalidArgument("a tunnel has no trailers (RFC 9113 section 8.5): leave out wait_for_trailers")
        priority = check_priority(exclusive, parent, weight)
        if timeout is not None:
            check_timeout(timeout)

        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._receive_window())
        state.weight = weight
        state.request_method = method
        state.sent_headers = Headers.from_wire(block)
        state.wait_for_trailers = wait_for_trailers
        state.end_posted = end_stream
        state.unsent_length = block.content_length
        if end_stream and state.unsent_length:
            raise InvalidArgument(f"content-length {state.unsent_length} on a request that ends with its headers")
        stream = ClientStream(self, state)
        if listeners is not None:
            stream._register_all(listeners)
        protocol = self._protocol
        try:
            with self._monitor, self._lock:
                self._check_may_request_locked(block)
                # As a rule there is a slot for which nobody waits, and nothing that has to be known first.
                if (
                    not self._pending
                    and protocol.open_outbound_streams() < protocol.peer_max_concurrent_streams
                    and priority is DEFAULT_PRIORITY
                    and not block.is_extended_connect
                ):
                    self._open_locked(state, block, end_stream, priority, priority)
                else:
                    self._pending[state] = _PendingRequest(state, block, end_stream, priority, priority)
                    self._slots_changed_locked()
                self._sender.send_soon_locked()
        except HeaderBlockTooLong as error:
            fail_for_frame(self, state, FrameType.HEADERS, error)
            raise
        if state.id is None and (wait or state.closed):
            what = "a stream slot (the peer's MAX_CONCURRENT_STREAMS)"
            if block.is_extended_connect:
                what = f"the peer's SETTINGS, which say whether it takes extended CONNECT, or {what}"
            self._wait_for_slot(stream, timeout, what)
        return stream

    def _wait_for_slot(self, stream: ClientStream, timeout: float | None, what: str) -> None:
        state = stream._state

        def attempt() -> bool | WaitQueue:
            if state.id is not None:
                return True
            if state.error is not None:
                raise state.error.again()
            return state.progressed

        deadline = Deadline(timeout)
        try:
            patience = DROPPED_FOR_LONG
            while FREE_THREADED_BUILD and not deadline.expired:
                with contextlib.suppress(Timeout):
                    self._monitor.wait(attempt, deadline.at_most(patience), what)
                    return
                if finalize_dropped():  # streams that hold slots; others may be dropped later
                    patience *= 2
            self._monitor.wait(attempt, deadline, what)
        except BaseException:
            stream._cancel()
            raise

    def _check_may_request_locked(self, block: RequestFields) -> None:
        if self._end_reason is not None:
            raise self._end_reason.again(retryable=True)
        protocol = self._protocol
        if not protocol.has_stream_ids:
            self._start_closing_locked()
            raise StreamIDsExhausted("this connection has used its last stream id; open another")
        if self._closing:
            raise SessionClosed(
                f"the session is closing and takes no new requests{self._goaway_words()}", retryable=True
            )
        if (
            block.is_extended_connect
            and protocol.settings_received
            and not protocol.remote_settings.enable_connect_protocol
        ):
            raise _extended_connect_refused()
        if block.octets > self._limits.max_send_header_block_length:
            protocol.check_block_length(block)

    def _inactive_locked(self) -> None:
        # `set_timeout` alone closes nothing.
        if not self._listeners.emit_locked("timeout") and self._limits.idle_timeout is not None:
            self._start_closing_locked()
            self._sender.send_locked()

    # -- slots

    def _slots_changed_locked(self) -> None:
        protocol = self._protocol
        while self._pending and not self._closing:
            # An extended CONNECT holds up nobody while it is not known whether it may be sent.
            known = protocol.settings_received
            request = next(
                (next_ for next_ in self._pending.values() if known or not next_.block.is_extended_connect), None
            )
            if request is None:
                return
            if request.block.is_extended_connect and not protocol.remote_settings.enable_connect_protocol:
                self._close_stream_locked(request.state, ErrorCode.CANCEL, _extended_connect_refused())
                continue
            if protocol.open_outbound_streams() >= protocol.peer_max_concurrent_streams:
                return
            if not protocol.has_stream_ids:
                self._fail_pending_locked(StreamIDsExhausted("this connection has used its last stream id"))
                self._start_closing_locked()
                return
            stream_id = protocol.next_outbound_stream_id
            if stream_id in (request.priority[1], request.announced_priority[1]):  # known only now
                error = InvalidArgument(f"parent {stream_id} is the stream itself: it can't depend on itself")
                self._close_stream_locked(request.state, ErrorCode.CANCEL, error)
                continue
            state = request.state
            self._open_locked(state, request.block, request.end_stream, request.priority, request.announced_priority)
            del self._pending[state]
            state.touch()
            state.wake_writers_locked()
            self._pump.schedule(state)  # a body may have been posted meanwhile

    def _open_locked(
        self, state: StreamState, block: RequestFields, end_stream: bool, priority: Priority, announced: Priority
    ) -> None:
        # Without priority fields, when all of them say what holds anyway.
        state.id = self._protocol.send_request(block, end_stream, None if announced == DEFAULT_PRIORITY else announced)
        self._opened_locked(state)
        if priority is not DEFAULT_PRIORITY:  # which a new stream has
            set_priority_locked(self._streams, state, priority)
        state.local_ended = end_stream
        state.listeners.emit_locked("ready")

    def _pending_states_locked(self) -> list[StreamState]:
        return list(self._pending)

    def _fail_pending_locked(self, error: HTTP2Error) -> None:
        for state in list(self._pending):
            # Nothing of it was ever sent.
            self._close_stream_locked(state, ErrorCode.CANCEL, error.again(retryable=True))

    def _stream_closed_locked(self, state: StreamState) -> None:
        if not state.is_push:  # how many of those there are is the server's choice: they count until they are dropped
            self._header_memory.release(state)
        if state.id is None:
            self._pending.pop(state, None)
        elif self._pending and not self._destroyed:
            self._slots_changed_locked()

    def _forgotten_locked(self, state: StreamState) -> bool:
        never_was = state.id is None and state not in self._pending
        self._reset_locked(state, ErrorCode.CANCEL)
        return not (state.is_push or never_was)

    def _opened_here(self, stream_id: int) -> bool:
        return stream_id % 2 == 1

    def _prioritize_locked(self, state: StreamState, priority: Priority, silent: bool) -> None:
        if state.id is not None:
            super()._prioritize_locked(state, priority, silent)
            if not silent:
                self._protocol.prioritize(state.id, *priority)
                self._sender.send_locked()
            return
        state.weight = priority[2]
        request = self._pending[state]
        request.priority = priority
        if not silent:
            request.announced_priority = priority

    # -- what arrives

    def _answered_locked(self, event: events.ResponseReceived | events.InformationalReceived) -> StreamState | None:
        """The stream that gets these headers, if it is open and there is memory for them."""
        state = self._streams.get(event.stream_id)
        if state is None or not self._keeps_headers_locked(state, event.memory):
            return None
        if state.inactivity:
            state.touch()
        if state.first_header_at is None:
            state.first_header_at = time.monotonic()
        return state

    def _response_received_locked(self, event: events.ResponseReceived) -> None:
        state = self._answered_locked(event)
        if state is None:
            return
        state.response_headers = event.headers
        state.wake_all_locked()  # who sends the body may not want to go on
        state.listeners.emit_locked("push" if state.is_push else "response", event.headers)
        if event.end_stream:
            state.ended_with_headers = True
            self._remote_end_locked(state)

    def _informational_received_locked(self, event: events.InformationalReceived) -> None:
        state = self._answered_locked(event)
        if state is None:
            return
        state.informational += (event.headers,)
        if event.headers[":status"] == "100":
            state.continued = True
            state.listeners.emit_locked("continue")
        state.listeners.emit_locked("headers", event.headers)
        state.wake_readers_locked()

    def _push_promise_received_locked(self, event: events.PushPromiseReceived) -> None:
        parent = self._streams.get(event.stream_id)
        promised = sum(1 for state in self._streams.values() if state.is_push)
        waiting = 0 if parent is None or parent.pushes is None else len(parent.pushes)
        if (
            parent is None
            or self._closing
            or max(promised, waiting) >= self._limits.max_concurrent_streams
            or not self._header_memory.has_room(event.memory)
        ):
            self._protocol.reset(event.promised_stream_id, ErrorCode.REFUSED_STREAM)
            return
        if not self._speaks_for(event.headers, parent):
            # RFC 9113 section 8.4: a server pushes for what it is authoritative for.
            self._protocol.reset(event.promised_stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._receive_window())
        state.id = event.promised_stream_id
        state.is_push = True
        state.request_headers = event.headers
        state.request_method = event.headers[":method"]
        state.end_posted = state.local_ended = True
        self._opened_locked(state)
        self._header_memory.keep(state, event.memory)
        stream = ClientStream(self, state)
        # The parent keeps it until somebody asks; if nobody does, it is forgotten, and so cancelled, with the parent.
        if parent.pushes is None:
            parent.pushes = deque()
        parent.pushes.append(stream)
        parent.wake_readers_locked()
        self._listeners.emit_locked("stream", stream, event.headers)

    def _altsvc_received_locked(self, event: events.AltsvcReceived) -> None:
        self._listeners.emit_locked("altsvc", event.value, event.origin, event.stream_id)

    def _origin_received_locked(self, event: events.OriginReceived) -> None:
        if self._origin_set is not None:
            self._origin_set.add(event.origins)
            self._listeners.emit_locked("origin", event.origins)

    def _speaks_for(self, promised: Headers, parent: StreamState) -> bool:
        """Whether the server answers for the origin of a promised request: this connection's, or that of its parent."""
        origin = (promised.get(":scheme"), promised.get(":authority", promised.get("host", "")).lower())
        assert parent.sent_headers is not None
        asked = parent.sent_headers.get(":authority", parent.sent_headers.get("host", ""))
        return origin in ((self._scheme, self._authority.lower()), (self._scheme, asked.lower()))


def _extended_connect_refused() -> InvalidState:
    return InvalidState("the peer takes no extended CONNECT: its settings lack enable_connect_protocol (RFC 8441)")
