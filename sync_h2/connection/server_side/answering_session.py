"""What a server's session does about its streams' answers, whoever makes them.

Threads and locks as in session/state.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from ...arguments import type_name
from ...constants import ErrorCode
from ...errors import InvalidArgument, InvalidState, ProtocolError
from ...protocol import events
from ...protocol.fields.headers import Headers
from ...transport.transport import Transport
from ..session.configuration import Configuration
from ..session.origins import HasOrigin, serialized_origin
from ..session.session import Session
from ..shared.priorities import parse_priority
from ..shared.stream_state import End, Posted, StreamState
from ..stream.stream import Stream, stream_listeners
from .early_answers import EarlyAnswers
from .request_lines import printable_request
from .unattended_data import UnattendedData

_ALTERNATIVE = re.compile(r"[\t\x20-\x7e]*")


class WaitedFor(Protocol):
    """What a server's streams need of whatever runs their handlers; called with no lock held."""

    def _handler_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        """A handler is about to wait for its client, and needs no place among those that run until what this returns is
        called. `give_up` is called when too many wait.
        """

    def _handler_takes_long(self) -> None:
        """The calling thread's handler, and those like it, are not for a thread that reads."""


class AnsweringSession(Session):
    """The streams of a server's session."""

    type = "server"
    _host: WaitedFor
    _reader_handles = True
    """Whether the thread that reads may run handlers (see quick_handlers.py). Changed without the lock, once."""

    def __init__(self, transport: Transport, configuration: Configuration) -> None:
        # Of PRIORITY_UPDATEs for streams that are not open yet: urgency, and whether it is sequential.
        self._early_priorities: dict[int, tuple[int, bool]] = {}
        super().__init__(transport, configuration)
        self._unattended = UnattendedData(self)
        self._early_answers = EarlyAnswers(self)

    def altsvc(self, value: str, origin_or_stream: str | HasOrigin | Stream | int) -> None:
        """Name an alternative service (ALTSVC, RFC 7838 section 4) for an origin, or for that of an open stream.

        `value` is what an Alt-Svc field has, `clear` included; it is ASCII and otherwise not looked at. The origin is
        a URL, which is reduced to its origin, or an object whose `.origin` is one. Raises `InvalidArgument` for what
        gives no origin, a stream id that is not open, and a value that is too long for a frame; `InvalidState` for a
        stream that is closed.
        """
        if not isinstance(value, str):
            raise TypeError(f"value must be a str, not {type_name(value)}")
        if not _ALTERNATIVE.fullmatch(value):
            raise InvalidArgument(f"value must be ASCII without control characters, not {value[:100]!r}")
        origin, stream_id = "", 0
        if isinstance(origin_or_stream, Stream):
            if origin_or_stream.session is not self:
                raise InvalidArgument("origin_or_stream is a stream of another session")
            assert origin_or_stream.id is not None, "only a client's streams can be pending"
            stream_id = origin_or_stream.id
        elif isinstance(origin_or_stream, int) and not isinstance(origin_or_stream, bool):
            stream_id = origin_or_stream
        else:
            origin = serialized_origin(origin_or_stream)
        with self._monitor, self._lock:
            self._check_alive_locked()
            if not origin and stream_id not in self._streams:
                if isinstance(origin_or_stream, Stream):
                    raise InvalidState("ALTSVC for a stream that is closed", stream_id=stream_id)
                raise InvalidArgument(f"origin_or_stream: no stream {origin_or_stream!r} is open")
            self._protocol.altsvc(origin, value, stream_id)
            self._sender.send_locked()

    def origin(self, *origins: str | HasOrigin) -> None:
        """Tell a client which origins this connection may be used for (ORIGIN, RFC 8336); without any, nothing is sent.

        Each is a URL, which is reduced to its origin, or an object whose `.origin` is one; what gives no origin raises
        `InvalidArgument`. Clients heed it over TLS only.
        """
        serialized = [serialized_origin(origin) for origin in origins]
        if not serialized:
            return
        with self._monitor, self._lock:
            self._check_alive_locked()
            self._protocol.origin(serialized)
            self._sender.send_locked()

    def _new_stream_locked(
        self, stream_id: int, headers: Headers | None, method: str = "GET", priority: str | None = None
    ) -> StreamState:
        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._receive_window())
        state.id = stream_id
        state.request_headers = headers
        state.request_method = method
        early = self._early_priorities.pop(stream_id, None) if self._early_priorities else None
        if early is not None:
            state.urgency, state.sequential = early
        elif priority is not None:
            state.urgency, state.sequential = parse_priority(priority)
        self._opened_locked(state)
        return state

    def _priority_update_received_locked(self, event: events.PriorityUpdateReceived) -> None:
        state = self._streams.get(event.prioritized_stream_id)
        if state is None:
            self._early_priority_locked(event.prioritized_stream_id, event.value)
        else:
            self._pump.change_priority(state, *parse_priority(event.value))

    def _early_priority_locked(self, stream_id: int, value: str) -> None:
        """RFC 9218 section 7.1: what comes before its request is kept, the latest of it; within bounds."""
        last_stream_id = self._protocol.last_inbound_stream_id
        self._early_priorities = {
            early: kept for early, kept in self._early_priorities.items() if early > last_stream_id
        }
        self._early_priorities.pop(stream_id, None)
        if value and stream_id > last_stream_id and len(self._early_priorities) < self._limits.max_concurrent_streams:
            self._early_priorities[stream_id] = parse_priority(value)  # its text may be as long as a frame

    # -- how they end

    def _fail_stream_locked(self, state: StreamState) -> None:
        """The stream ends with INTERNAL_ERROR, behind what its handler had not to wait for; unless that was a whole
        answer.
        """
        if not state.outgoing:
            self._reset_locked(state, ErrorCode.INTERNAL_ERROR)
        elif isinstance(state.outgoing[-1], Posted):
            state.end_posted = True
            state.wait_for_trailers = False
            self._pump.post(state, End.RESET)

    def _say_reason_locked(self, state: StreamState, reason: str) -> None:
        """The phrase of the next response's status line: HTTP/2 has none."""

    def _decline_rest_locked(self, state: StreamState) -> None:
        state.declined = True
        if not (state.closed or self._early_answers.discard(state)):
            self._early_answers.release(state)
            if state.local_ended:
                self._reset_locked(state, ErrorCode.NO_ERROR)
            else:
                state.reset_after_end = ErrorCode.NO_ERROR

    def _short_body_locked(self, state: StreamState) -> None:
        if state.reader_waits:  # it must never look whole to who reads it
            state.remote_ended = False
            error = ProtocolError("the body ended too early", stream_id=state.id, code=ErrorCode.PROTOCOL_ERROR)
            self._reset_locked(state, ErrorCode.PROTOCOL_ERROR, error)
        else:
            state.declined = True

    def _release_end_locked(self, state: StreamState) -> None:
        self._early_answers.release(state)
        self._sender.send_locked()

    def _declined_data_locked(self, state: StreamState, length: int) -> None:
        self._early_answers.received(state, length)

    def _discards_overdue_locked(self, now: float) -> None:
        self._early_answers.expire(now)

    def _unattended_overdue_locked(self, now: float) -> None:
        self._unattended.look(now)

    def _remote_end_locked(self, state: StreamState) -> None:
        super()._remote_end_locked(state)
        self._early_answers.release(state)
        self._early_answers.over(state)

    def _forgotten_locked(self, state: StreamState) -> bool:
        if state.end_posted:
            # The answer is complete and on its way; only what the peer still sends is of no interest.
            self._decline_rest_locked(state)
            return False
        self._reset_locked(state, ErrorCode.CANCEL)
        return True

    def _opened_here(self, stream_id: int) -> bool:
        return stream_id % 2 == 0

    def _stream_words(self, state: StreamState) -> str:
        """A stream, with its request and client, in a line of the log."""
        return f'stream {state.id} ("{printable_request(state)}" of {self._peer_name})'

    def _stream_closed_locked(self, state: StreamState) -> None:
        self._early_answers.over(state)
        self._unattended.over(state)
        if state.handle is None:  # there is no stream of which somebody could ask for its headers
            self._header_memory.release(state)
