"""What `session.state` and `stream.state` give: numbers of one moment, under Node's names.

The values are plain and belong to whoever asked. Functions ending in `_locked` need the session's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ...constants import MAX_STREAM_ID
from ...protocol.wire import Wire
from ..receiving.inbound_flow import InboundFlow
from ..sending.outbox import Outbox
from ..shared import stream_state
from ..shared.priorities import sum_of_dependents_locked


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session's windows, ids and tables at one moment (Node's `http2session.state`); sizes in bytes."""

    effective_local_window_size: int
    """The size of the connection's receive window, as `set_local_window_size` sets it."""
    effective_recv_data_length: int
    """How much of it the peer has used up since the last WINDOW_UPDATE."""
    next_stream_id: int
    """The id of the next stream that this side opens; 2**31 when there is none left."""
    local_window_size: int
    """How much the peer may send now, on all streams together."""
    last_proc_stream_id: int
    """The stream on which HEADERS or DATA came last; 0 before the first."""
    remote_window_size: int
    """How much this side may send now, on all streams together."""
    outbound_queue_size: int
    """How many frames of ours wait to be sent, requests that wait for a slot included."""
    deflate_dynamic_table_size: int
    """What the compression table for our header fields holds."""
    inflate_dynamic_table_size: int
    """What the table for the peer's header fields holds."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream at one moment (Node's `http2stream.state`); sizes in bytes."""

    local_window_size: int
    """How much the peer may send on it now; while it waits for its slot, what it will start with."""
    state: str
    """Its state (RFC 9113 section 5.1): "idle", "reserved_local", "reserved_remote", "open", "half_closed_local",
    "half_closed_remote" or "closed".
    """
    local_close: bool
    """Whether our side has ended."""
    remote_close: bool
    """Whether the peer's side has ended."""
    sum_dependency_weight: int
    """The weights of the open streams that depend on this one, added up (RFC 7540 section 5.3)."""
    weight: int
    """Its weight, 1 to 256."""


class Described(Protocol):
    """What the numbers come from."""

    _outbox: Outbox
    _inbound: InboundFlow
    _streams: dict[int, stream_state.StreamState]

    @property
    def _protocol(self) -> Wire: ...

    def _pending_states_locked(self) -> list[stream_state.StreamState]: ...


def of_session_locked(session: Described) -> SessionState:
    protocol = session._protocol
    size = session._inbound.window_size
    window = protocol.inbound_window()
    return SessionState(
        effective_local_window_size=size,
        effective_recv_data_length=max(size - window, 0),
        next_stream_id=protocol.next_outbound_stream_id if protocol.has_stream_ids else MAX_STREAM_ID + 1,
        local_window_size=window,
        last_proc_stream_id=protocol.last_received_stream_id,
        remote_window_size=protocol.outbound_window(),
        outbound_queue_size=session._outbox.frame_count + len(session._pending_states_locked()),
        deflate_dynamic_table_size=protocol.deflate_dynamic_table_size,
        inflate_dynamic_table_size=protocol.inflate_dynamic_table_size,
    )


def of_stream_locked(session: Described, state: stream_state.StreamState) -> StreamState:
    window = 0
    name = "closed"
    if not state.closed:
        window = state.window.size if state.id is None else session._protocol.inbound_window(state.id)
        name = "idle" if state.id is None else session._protocol.stream_state(state.id)
    return StreamState(
        local_window_size=window,
        state=name,
        local_close=state.local_ended or state.closed,
        remote_close=state.remote_ended or state.closed,
        sum_dependency_weight=sum_of_dependents_locked(session._streams, state.id),
        weight=state.weight,
    )
