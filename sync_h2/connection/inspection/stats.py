"""What a session and its streams have done so far, in numbers (Node: performance entries Http2Session, Http2Stream).

Counting is left to where things happen: the receiver, the outbox, the stream's state. Here stand what belongs to no
other place, and the snapshots. Functions and methods need the session's lock, the snapshots are plain values.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from ...constants import PREFACE
from ..receiving.receiver import Receiver
from ..sending.outbox import Outbox
from ..shared.stream_state import StreamState
from ..timing.round_trips import Pings


@dataclass(frozen=True, slots=True)
class SessionStats:
    """A session's figures at one moment. Times are seconds; bytes are octets of frames, before TLS."""

    type: str
    """`"client"` or `"server"`."""
    bytes_received: int
    bytes_sent: int
    """Given to the transport; the kernel may still hold some."""
    frames_received: int
    frames_sent: int
    """CONTINUATION frames count, as they do in `frames_received`; the client's preface is no frame."""
    stream_count: int
    """Streams that either end has opened, promised ones included."""
    max_concurrent_streams: int
    """The most of these that were open at the same time."""
    stream_average_duration: float | None
    """Of the streams that are closed; None before the first is."""
    ping_rtt: float | None
    """How long the last PING took that was answered; None before that."""
    duration: float
    """From the session's beginning until its connection is closed, or until now."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """A stream's figures at one moment. Bytes are those of the body; times are seconds from the stream's opening, and
    None for what has not happened.
    """

    id: int | None
    bytes_received: int
    """Arrived, whether or not somebody has read them."""
    bytes_sent: int
    """Put into frames."""
    time_to_first_header: float | None
    """Until the peer's first headers: 0 for a request on a server, the first response (1xx too) on a client."""
    time_to_first_byte: float | None
    """Until the first byte of body came."""
    time_to_first_byte_sent: float | None
    """Until the first byte of body was put into a frame."""
    duration: float | None
    """Until the stream closed, or until now; None while it waits for a slot."""


class StreamCounters:
    """What a session remembers of all its streams."""

    __slots__ = ("_closed", "_closed_duration", "most_open", "opened")

    def __init__(self) -> None:
        self.opened = 0
        self.most_open = 0
        self._closed = 0
        self._closed_duration = 0.0

    def stream_opened(self, now_open: int) -> None:
        self.opened += 1
        if now_open > self.most_open:
            self.most_open = now_open

    def stream_closed(self, duration: float) -> None:
        self._closed += 1
        self._closed_duration += duration

    @property
    def average_duration(self) -> float | None:
        return self._closed_duration / self._closed if self._closed else None


class Counted(Protocol):
    """What the figures of a session are made of."""

    type: str
    _outbox: Outbox
    _pings: Pings
    _stream_counters: StreamCounters
    _began_at: float
    _gone_at: float | None

    @property
    def _receiver(self) -> Receiver: ...


def session_stats_locked(session: Counted) -> SessionStats:
    outbox, receiver = session._outbox, session._receiver
    # A client's outbox counts the preface, which goes out first, like a frame.
    preface = 1 if session.type == "client" and outbox.frames_taken else 0
    ended_at = time.monotonic() if session._gone_at is None else session._gone_at
    return SessionStats(
        type=session.type,
        bytes_received=receiver.bytes_received,
        bytes_sent=outbox.bytes_taken - preface * len(PREFACE),
        frames_received=receiver.frames_received,
        frames_sent=outbox.frames_taken - preface,
        stream_count=session._stream_counters.opened,
        max_concurrent_streams=session._stream_counters.most_open,
        stream_average_duration=session._stream_counters.average_duration,
        ping_rtt=session._pings.last_duration,
        duration=ended_at - session._began_at,
    )


def stream_stats_locked(state: StreamState) -> StreamStats:
    opened_at = state.opened_at

    def since_opening(moment: float | None) -> float | None:
        return None if opened_at is None or moment is None else moment - opened_at

    return StreamStats(
        id=state.id,
        bytes_received=state.buffer.consumed + len(state.buffer),
        bytes_sent=state.sent_bytes,
        time_to_first_header=since_opening(state.first_header_at),
        time_to_first_byte=since_opening(state.first_byte_at),
        time_to_first_byte_sent=since_opening(state.first_byte_sent_at),
        duration=since_opening(time.monotonic() if state.closed_at is None else state.closed_at),
    )
