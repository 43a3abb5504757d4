"""What one connection of HTTP/1 is made of, and what can be asked of it at any time.

The base of `Sending` and, through it, of `HTTP1Protocol`. Everything but `memory` and `Input.writable` runs under the
session's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..constants import MAX_WINDOW_SIZE
from ..protocol.fields.sensitive import shown_fields
from ..protocol.limits import Limits
from ..protocol.state import Emit
from .bodies import TunnelBody
from .exchange import Exchange, Framing
from .head_memo import HeadMemo
from .input import Input
from .without_frames import WithoutFrames

MOST_HELD = 64 * 1024
"""Octets that may wait in the input for a window or for the end of the request before; then no more is read."""

_LARGEST_PIECE = 64 * 1024


class ConnectionState(WithoutFrames):
    """What receiving and sending share. `note` takes lines of a trace, if there is one; `on_window` is called when
    octets that wait in the input may be handed on.
    """

    max_outbound_frame_size = _LARGEST_PIECE

    def __init__(
        self,
        *,
        limits: Limits,
        scheme: str,
        authority: Callable[[], str],
        emit: Emit,
        stream_window: int,
        on_window: Callable[[], None],
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.limits = limits
        self.frames = Input()
        self.version = "1.1"  # of the latest request
        self.settings_received = False  # a request has come
        self.last_received_stream_id = 0
        self.closing = False  # the next answer is the last one, and says so
        self.closes = False  # no further request is served
        self.pieces = 0
        """What was handled so far: requests, reads of bodies, lines of chunks."""
        self.aborted = False  # a response was cut short
        self.input_ended = False
        self._truncated = False
        self._emit = emit
        self._stream_window = stream_window
        self._on_window = on_window
        self._note = note
        self._input = self.frames.octets
        self._checked = 0  # octets at the input's front that are fine as the beginning of a head
        self._skipped_empty_line = False
        self._exchange: Exchange | None = None
        self._heads = HeadMemo(limits, scheme, authority)

    @property
    def memory(self) -> int:
        """About how many octets are kept of what the client sent, the request apart. A look that needs no lock."""
        return self.frames.memory + self._heads.memory

    # -- what has arrived

    @property
    def cut_short(self) -> bool:
        """Whether the input has ended in the middle of a request; to be asked when `next_event` has nothing more."""
        exchange = self._exchange
        if not self.input_ended or exchange is None or exchange.request_ended:
            return False
        if isinstance(exchange.body, TunnelBody):
            return self._truncated
        return not self._input or exchange.window > 0  # otherwise the end may be among what waits

    @property
    def wants_input(self) -> bool:
        """Whether more should be read: little waits in the input for what has to happen first."""
        return len(self._input) < MOST_HELD

    @property
    def has_input(self) -> bool:
        return bool(self._input)

    @property
    def header_block_open(self) -> bool:
        """Whether a head, or a body's trailers, have begun and not ended."""
        exchange = self._exchange
        if exchange is None:
            return bool(self._input)
        return exchange.body.in_trailers

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._exchange is None

    # -- windows: what is sent has none

    def send_window(self, stream_id: int) -> int:
        return MAX_WINDOW_SIZE if self._is_open(stream_id) else 0

    def outbound_window(self, stream_id: int = 0) -> int:
        return MAX_WINDOW_SIZE if not stream_id or self._is_open(stream_id) else 0

    def inbound_window(self, stream_id: int = 0) -> int:
        """How much of a body is handed on before some was read (0: of all together, which is not bounded)."""
        if not stream_id:
            return MAX_WINDOW_SIZE
        exchange = self._exchange
        return exchange.window if exchange is not None and exchange.stream_id == stream_id else 0

    def open_window(self, stream_id: int, increment: int) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id:
            exchange.window += increment
            if self._input:
                self._on_window()

    # -- streams

    @property
    def last_inbound_stream_id(self) -> int:
        return self.last_received_stream_id

    def stream_state(self, stream_id: int) -> str:
        """As HTTP/2 would call it (RFC 9113 section 5.1)."""
        if not self._is_open(stream_id):
            return "idle" if stream_id > self.last_received_stream_id or not stream_id % 2 else "closed"
        assert self._exchange is not None
        if self._exchange.response_ended:
            return "half_closed_local"
        return "half_closed_remote" if self._exchange.request_ended else "open"

    def _is_open(self, stream_id: int) -> bool:
        exchange = self._exchange
        return (
            exchange is not None
            and exchange.stream_id == stream_id
            and not self.aborted
            and not exchange.discarding
            and not (exchange.request_ended and exchange.response_ended)
        )

    @property
    def tunnels(self) -> bool:
        """Whether the connection has become a tunnel."""
        return self._exchange is not None and self._exchange.is_tunnel

    def cuts_what_the_end_delimits(self, dropped: bool) -> bool:
        """Whether, if the connection ended now, its end would pass for that of a body. `dropped`: not all that was sent
        will go out.
        """
        exchange = self._exchange
        return (
            exchange is not None
            and exchange.framing is Framing.END_OF_CONNECTION
            and (not exchange.response_ended or dropped)
        )

    def _left(self, exchange: Exchange) -> int:
        """Octets of the request's body that are known to be still on their way."""
        return (exchange.body.left or 0) - len(self._input)

    def _forget_finished(self, exchange: Exchange) -> None:
        # One that the connection ends with stays: how it ends depends on it.
        if exchange.request_ended and exchange.response_ended and not self.closes:
            self._exchange = None

    def _note_fields(self, what: str, fields: Iterable[tuple[bytes, bytes]]) -> None:
        assert self._note is not None
        self._note(" ".join([what, *(f"{name}={value!a}" for name, value in shown_fields(list(fields)))]))
