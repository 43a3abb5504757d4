"""What the session knows of one stream. Everything here is guarded by the session's lock.

The user holds another object, the `Stream`; this one holds it weakly. So a stream that nobody can read any more is
noticed, and reset, while the session goes on with the state it needs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from ...errors import HTTP2Error
from ...protocol.fields.headers import EncodableFields
from .listeners import Listeners
from .monitor import DEBUG, Monitor, WaitQueue
from .priorities import DEFAULT_URGENCY, DEFAULT_WEIGHT
from .receive_buffer import ReceiveBuffer
from .receive_window import ReceiveWindow

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from ...protocol.fields.headers import Headers, ResponseFields


class Posted:
    """Data that a caller has given to a stream: `position` bytes of it have been framed, `remaining` have not.

    `bytes` are framed by reference. Any other buffer belongs to its caller again as soon as the call returns, so its
    pieces are copied when they are framed.
    """

    __slots__ = ("_copy", "_view", "position", "remaining")

    def __init__(self, data: ReadableBuffer) -> None:
        self._view = memoryview(data).cast("B")
        self._copy = not isinstance(data, bytes)
        self.position = 0
        self.remaining = len(self._view)

    def take(self, count: int) -> bytes | memoryview | None:
        """The next `count` bytes (a file may give less); None if they can't be had."""
        piece = self._view[self.position : self.position + count]
        self.position += count
        self.remaining -= count
        return bytes(piece) if self._copy else piece

    def release(self) -> None:
        """Refer to the caller's buffer no more."""
        self._view.release()


class End(Enum):
    """How our side of a stream ends, as the last thing posted to it."""

    END_STREAM = "end"
    RESET = "reset"  # the handler has failed


class Trailers:
    """Trailers, as the last thing posted to a stream."""

    __slots__ = ("block",)

    def __init__(self, block: EncodableFields) -> None:
        self.block = block


_NOTHING: deque[Posted | End | Trailers] = deque()  # is never changed; saves most streams a deque of 600 bytes


class StreamState:
    """One stream, from the moment it is asked for until nothing refers to it."""

    __slots__ = (
        "__weakref__",
        # which stream
        "id",
        "handle",
        "request_method",
        "request_headers",
        "is_push",
        # what came
        "response_headers",
        "informational",
        "continued",
        "trailers",
        "pushes",
        "buffer",
        "precredited",
        "reading_all",
        "window",
        "header_memory",
        "discarded",
        "remote_ended",
        "ended_with_headers",
        # what goes
        "outgoing",
        "end_posted",
        "trailers_posted",
        "wait_for_trailers",
        "local_ended",
        "sent_headers",
        "sent_info_headers",
        "sent_trailers",
        "no_body",
        "unsent_length",
        "reset_after_end",
        "held",
        "declined",
        "unwanted",
        # how it ended
        "closed",
        "destroyed",
        "aborted",
        "rst_code",
        "error",
        # who waits and listens
        "_monitor",
        "_arrived",
        "_progressed",
        "listeners",
        "last_activity",
        "inactivity",
        # scheduling (see scheduler.Sendable)
        "urgency",
        "weight",
        "parent",
        "sequential",
        "turn",
        "scheduled",
        "ticket",
        # server
        "has_job",
        "detached",
        "fails_unanswered",
        # what it has done
        "opened_at",
        "first_header_at",
        "first_byte_at",
        "first_byte_sent_at",
        "last_byte_at",
        "last_byte_sent_at",
        "closed_at",
        "sent_bytes",
    )

    def __init__(self, monitor: Monitor, listeners: Listeners, window: ReceiveWindow) -> None:
        self.id: int | None = None
        # A weak reference to the `Stream`, kept for its callback.
        self.handle: Callable[[], object | None] | None = None
        self.request_method = "GET"
        self.request_headers: Headers | None = None
        self.is_push = False

        self.response_headers: Headers | None = None
        self.informational: tuple[Headers, ...] = ()
        self.continued = False  # a 100 came
        self.trailers: Headers | None = None
        self.pushes: deque[object] | None = None  # `Stream`s that nobody has asked for yet
        self.buffer = ReceiveBuffer()
        self.precredited = 0  # bytes at the buffer's front whose credit was returned before they were read
        self.reading_all = False  # somebody collects the whole body: credit returns on arrival
        self.window = window
        self.header_memory = 0  # octets that the header lists above take (see receiving/header_memory.py)
        self.discarded = False  # some of it was dropped unread: it has no end to be read
        self.remote_ended = False
        self.ended_with_headers = False

        self.outgoing: deque[Posted | End | Trailers] = _NOTHING
        self.end_posted = False
        self.trailers_posted = False
        self.wait_for_trailers = False
        self.local_ended = False
        self.sent_headers: Headers | None = None
        self.sent_info_headers: tuple[Headers, ...] = ()
        self.sent_trailers: Headers | None = None
        self.no_body = False  # HEAD, 204, 205, 304: what is written is dropped
        self.unsent_length: int | None = None  # what is missing of the content-length we announced
        self.reset_after_end: int | None = None  # close(0) before everything was out
        # The end of an answer that waits for the rest of the request: all of it, or octets (see
        # server_side/early_answers.py).
        self.held: tuple[ResponseFields | None, bytes] | None = None
        self.declined = False  # nobody reads what the peer still sends
        self.unwanted = False  # the peer has answered, and reads nothing more of what we send

        self.closed = False
        self.destroyed = False
        self.aborted = False
        self.rst_code: int | None = None
        self.error: HTTP2Error | None = None

        self._monitor = monitor
        self._arrived: WaitQueue | None = None
        self._progressed: WaitQueue | None = None
        self.listeners = listeners
        self.last_activity = 0.0
        self.inactivity: float | None = None

        self.urgency = DEFAULT_URGENCY
        self.weight = DEFAULT_WEIGHT
        self.parent = 0  # the stream that it depends on (RFC 7540 section 5.3.1)
        self.sequential = False
        self.turn = 0.0
        self.scheduled = False
        self.ticket = 0

        self.has_job = False  # its handler counts against MAX_CONCURRENT_STREAMS
        self.detached = False  # whoever took the stream over ends it, not the end of its handler
        self.fails_unanswered = False  # without an answer the stream is reset, where it would get a 500
        # Moments of `time.monotonic()`; None: not yet.
        self.opened_at: float | None = None
        self.first_header_at: float | None = None
        self.first_byte_at: float | None = None
        self.first_byte_sent_at: float | None = None
        self.last_byte_at = self.last_byte_sent_at = 0.0
        self.closed_at: float | None = None
        self.sent_bytes = 0  # of body

    def post(self, *items: Posted | End | Trailers) -> None:
        """Append to what is to be sent."""
        if self.outgoing:
            self.outgoing.extend(items)
        else:
            self.outgoing = deque(items)

    def drop_outgoing(self) -> None:
        """Nothing of what is still to be sent will be."""
        self.outgoing = _NOTHING

    def touch(self) -> None:
        """Something happened on the stream: `set_timeout` starts anew."""
        if self.inactivity:
            self.last_activity = time.monotonic()

    # Made for who waits: as a rule nobody does.

    @property
    def arrived(self) -> WaitQueue:
        """Where threads wait for headers, data, trailers, a push, or the end of what comes."""
        assert not DEBUG or self._monitor.owned
        if self._arrived is None:
            self._arrived = WaitQueue(self._monitor)
        return self._arrived

    @property
    def progressed(self) -> WaitQueue:
        """Where they wait for posted data to be framed, for a slot, or for the stream's end."""
        assert not DEBUG or self._monitor.owned
        if self._progressed is None:
            self._progressed = WaitQueue(self._monitor)
        return self._progressed

    @property
    def reader_waits(self) -> bool:
        """Whether a thread waits in `arrived`. A look that needs no lock."""
        return self._arrived is not None and self._arrived.waiting

    @property
    def writer_waits(self) -> bool:
        """Whether a thread waits in `progressed`. A look that needs no lock."""
        return self._progressed is not None and self._progressed.waiting

    def wake_readers_locked(self) -> None:
        """Something has come."""
        if self._arrived is not None:
            self._arrived.wake_all_locked()

    def wake_writers_locked(self) -> None:
        """Something has been framed."""
        if self._progressed is not None:
            self._progressed.wake_all_locked()

    def wake_all_locked(self) -> None:
        """Everybody may go on, or has to look: the stream has ended, or been answered."""
        if self._arrived is not None:
            self._arrived.wake_all_locked()
        if self._progressed is not None:
            self._progressed.wake_all_locked()

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it counts against the session any more: neither its handler nor what it keeps."""
        return not self.has_job and not self.header_memory

    @property
    def unread(self) -> int:
        """Bytes that hold memory because nobody has read them."""
        return len(self.buffer) - self.precredited
