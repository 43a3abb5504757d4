"""What a server's session does about its streams' answers, whoever makes them.

Threads and locks as in session/state.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...constants import ErrorCode
from ...errors import ProtocolError
from ...protocol import events
from ...protocol.fields.headers import Headers
from ...transport.transport import Transport
from ..session.configuration import Configuration
from ..session.session import Session
from ..shared.priorities import parse_priority
from ..shared.stream_state import End, Posted, StreamState
from ..stream.stream import stream_listeners
from .early_answers import EarlyAnswers
from .unattended_data import UnattendedData


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

    def _stream_closed_locked(self, state: StreamState) -> None:
        self._early_answers.over(state)
        self._unattended.over(state)
