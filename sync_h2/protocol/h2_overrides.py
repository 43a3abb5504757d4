"""h2's stream and hpack's coders, changed where h2 4.4.1 would pass a fault on.

This is the only module that touches their private parts. What is h2's here: the table of stream states (every change of
a stream's state is a transition of that table), how streams were closed, the HPACK encoder and decoder. What is not
used: its frame parser (it drops good frames that precede a bad one), its connection-wide state (it closes on GOAWAY,
RFC 9113 section 6.8 does not, and takes 13 KB a connection) and its classification of errors. Session's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from h2.events import Event
from h2.stream import STREAM_OPEN, H2StreamStateMachine, StreamClosedBy, StreamInputs, StreamState
from hpack import Decoder, Encoder, HeaderTuple, HPACKDecodingError
from hpack.hpack import decode_integer
from hpack.table import HeaderTable

from ..interpreter import SharedDict

# hpack logs every field that it codes at DEBUG, which is slow, and runs the user's logging handlers under the session's
# lock. Who wants to see that sets the level of the logger "hpack".
if logging.getLogger("hpack").level == logging.NOTSET:
    logging.getLogger("hpack").setLevel(logging.INFO)

__all__ = [
    "STREAM_OPEN",
    "HeaderDecoder",
    "HeaderEncoder",
    "Stream",
    "StreamClosedBy",
    "StreamInputs",
    "StreamState",
    "table_octets",
]

_MOST_SIZE_UPDATES = 32
# Shorter than this, a copy of the rest is cheaper than finding out where a literal ends.
_SHORT_REST = 1024


_RECV_HEADERS, _RECV_END_STREAM = StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM
_SEND_HEADERS, _SEND_END_STREAM = StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM
_IDLE, _OPEN, _CLOSED = StreamState.IDLE, StreamState.OPEN, StreamState.CLOSED
_HALF_CLOSED_LOCAL, _HALF_CLOSED_REMOTE = StreamState.HALF_CLOSED_LOCAL, StreamState.HALF_CLOSED_REMOTE


class Stream(H2StreamStateMachine):
    """h2's state machine of a stream, with the stream's windows and what its messages have said.

    The transitions that every message makes are made here as h2 makes them, without the events that nobody looks at: a
    request makes four, which took a tenth of all the time that it takes here.
    """

    is_tunnel = False  # CONNECT was answered with 2xx: nothing but DATA follows (RFC 9113 section 8.5)
    may_end_short = False  # before what content-length says
    informational_count = 0
    informational_size = 0  # of all of them, as header lists are measured

    def __init__(self, stream_id: int, inbound_window: int, outbound_window: int) -> None:
        # h2's own fields: its `__init__` would take longer than all of this.
        self.state = _IDLE
        self.stream_id = stream_id
        self.client = self.headers_sent = self.trailers_sent = None
        self.headers_received = self.trailers_received = None
        self.stream_closed_by = None
        # What may still come, and what may be sent; negative after a reduction of SETTINGS_INITIAL_WINDOW_SIZE.
        self.inbound_window = inbound_window
        self.outbound_window = outbound_window
        self.request_method = ""
        # h2 accepts content-length with END_STREAM on HEADERS, and a short body that trailers end; and refuses an empty
        # DATA frame after a 304 that announces a length (RFC 9113 section 8.1.1). None: no length was announced.
        self.content_left: int | None = None
        self.counted_open = False

    def process_input(self, input_: StreamInputs) -> list[Event]:
        state = self.state
        if input_ is _RECV_HEADERS:
            if state is _IDLE and not self.headers_received and not self.trailers_received:
                self.client = False
                self.headers_received = True
                self.state = _OPEN
                return []
            if (state is _HALF_CLOSED_LOCAL or state is _OPEN) and self.client is True and not self.headers_received:
                self.headers_received = True
                return []
        elif input_ is _RECV_END_STREAM:
            if state is _OPEN:
                self.state = _HALF_CLOSED_REMOTE
                return []
            if state is _HALF_CLOSED_LOCAL:
                self.state = _CLOSED
                self.stream_closed_by = StreamClosedBy.RECV_END_STREAM
                return []
        elif input_ is _SEND_HEADERS:
            if state is _IDLE:
                self.client = self.headers_sent = True
                self.state = _OPEN
                return []
            if (state is _HALF_CLOSED_REMOTE or state is _OPEN) and self.client is False and not self.headers_sent:
                self.headers_sent = True
                return []
        elif input_ is _SEND_END_STREAM:
            if state is _OPEN:
                self.state = _HALF_CLOSED_LOCAL
                return []
            if state is _HALF_CLOSED_REMOTE:
                self.state = _CLOSED
                self.stream_closed_by = StreamClosedBy.SEND_END_STREAM
                return []
        return super().process_input(input_)


class HeaderDecoder(Decoder):
    """hpack's decoder, at a cost that grows with a block's length and not with its square."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        self._size_updates = 0
        return super().decode(data, raw)

    def _update_encoding_context(self, data: bytes | memoryview) -> int:
        """hpack takes as many changes of the table's size as a block has octets; RFC 7541 section 4.2 knows two.

        Its own encoder signals one for each SETTINGS that it has received, so a few more are let through.
        """
        self._size_updates += 1
        if self._size_updates > _MOST_SIZE_UPDATES:
            raise HPACKDecodingError("too many changes of the table size in a block")
        return super()._update_encoding_context(data)

    def _decode_literal(self, data: bytes | memoryview, should_index: bool) -> tuple[HeaderTuple, int]:
        """hpack copies all that is left of a block for each literal in it: a second and more for one of 256 KiB."""
        if len(data) > _SHORT_REST:
            data = data[: _literal_length(data, 6 if should_index else 4)]
        return super()._decode_literal(data, should_index)


def _literal_length(data: bytes | memoryview, prefix_bits: int) -> int:
    """The octets of the literal field that `data` begins with (RFC 7541 section 6.2)."""
    index, end = decode_integer(data, prefix_bits)
    for _ in range(1 if index else 2):  # the value, and the name before it unless the table has it
        length, consumed = decode_integer(data[end:], 7)
        end += consumed + length
    return end


_STATIC_TABLE: dict[bytes, tuple[int, dict[bytes, int]]] = SharedDict(
    {name: (index, SharedDict(values)) for name, (index, values) in HeaderTable.STATIC_TABLE_MAPPING.items()}
)


class EncoderTable(HeaderTable):
    """hpack's table of fields, whose static part all threads of the process look into. Where `SharedDict` says so, a
    plain dict is locked for that, and stays so for ever in a child that was forked meanwhile.
    """

    def search(self, name: bytes, value: bytes) -> tuple[int, bytes, bytes | None] | None:
        """The index of a field, with its name, and its value if that stands there, too."""
        named: tuple[int, bytes, bytes | None] | None = None
        known = _STATIC_TABLE.get(name)
        if known is not None:
            index = known[1].get(value)
            if index is not None:
                return index, name, value
            named = known[0], name, None
        for index, field in enumerate(self.dynamic_entries, HeaderTable.STATIC_TABLE_LENGTH + 1):
            if field[0] == name:
                if field[1] == value:
                    return index, name, value
                if named is None:
                    named = index, name, None
        return named


class HeaderEncoder(Encoder):
    """hpack's encoder, which tells the peer what the table's size has become and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.header_table = EncoderTable()

    def limit_table(self, size: int) -> None:
        """The peer's decoder takes a dynamic table of at most `size` (RFC 7541 section 4.2).

        hpack forgets a change that has not been signalled when the same size is set once more, and signals every step
        of a size that was set back and forth; the smallest and the last are what counts.
        """
        if size != self.header_table_size:
            self.header_table_size = size
            smallest = min(self.table_size_changes)
            self.table_size_changes = [size] if smallest == size else [smallest, size]


def table_octets(coder: Encoder | Decoder) -> int:
    """What the coder's dynamic table holds now."""
    return coder.header_table._current_size
