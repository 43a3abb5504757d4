"""h2's connection and stream objects, changed where h2 4.4.1 would pass a fault on.

This is the only module that touches h2's private parts. What is h2's here: the table of stream states (every change of
a stream's state is a transition of that table), stream ids, how closed streams were closed, the HPACK encoder and
decoder. What is not used: its frame parser (it drops good frames that precede a bad one), its connection-wide state (it
closes on GOAWAY, RFC 9113 section 6.8 does not) and its classification of errors. Called by `Sending` and `Connection`
only, under the session's lock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.events import Event
from h2.stream import STREAM_OPEN, H2Stream, H2StreamStateMachine, StreamClosedBy, StreamInputs, StreamState
from hpack import Decoder, HeaderTuple, HPACKDecodingError
from hpack.hpack import decode_integer

from ..constants import DEFAULT_WINDOW_SIZE
from ..interpreter import SharedDict
from .fields.hpack_memo import RememberingEncoder

# hpack logs every field that it codes at DEBUG, which is slow, and runs the user's logging handlers under the session's
# lock. Who wants to see that sets the level of the logger "hpack".
if logging.getLogger("hpack").level == logging.NOTSET:
    logging.getLogger("hpack").setLevel(logging.INFO)

__all__ = ["HeaderDecoder", "Stream", "StreamClosedBy", "StreamInputs", "StreamState", "StreamTable"]

_MOST_SIZE_UPDATES = 32
# Shorter than this, a copy of the rest is cheaper than finding out where a literal ends.
_CLOSED_STREAM_MEMORY = 150  # octets
_SHORT_REST = 1024


_RECV_HEADERS, _RECV_END_STREAM = StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM
_SEND_HEADERS, _SEND_END_STREAM = StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM
_PARITIES = (AllowedStreamIDs.EVEN, AllowedStreamIDs.ODD)
_IDLE, _OPEN, _CLOSED = StreamState.IDLE, StreamState.OPEN, StreamState.CLOSED
_HALF_CLOSED_LOCAL, _HALF_CLOSED_REMOTE = StreamState.HALF_CLOSED_LOCAL, StreamState.HALF_CLOSED_REMOTE


class StateMachine(H2StreamStateMachine):
    """h2's state machine. The transitions that every message makes are made here as h2 makes them, without the events
    that nobody looks at: a request makes four, which took a tenth of all the time that it takes here.
    """

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


class Stream(H2Stream):
    """h2's stream, with what h2 counts wrongly or not at all."""

    is_tunnel = False  # CONNECT was answered with 2xx: nothing but DATA follows (RFC 9113 section 8.5)

    def __init__(
        self, stream_id: int, config: H2Configuration, inbound_window_size: int, outbound_window_size: int
    ) -> None:
        super().__init__(stream_id, config, inbound_window_size, outbound_window_size)
        self.state_machine = StateMachine(stream_id)
        # h2 accepts content-length with END_STREAM on HEADERS, and a short body that trailers end; and refuses an empty
        # DATA frame after a 304 that announces a length (RFC 9113 section 8.1.1). None: no length was announced.
        self.content_left: int | None = None
        self.may_end_short = False  # before what content-length says
        self.informational_count = 0
        self.informational_size = 0  # of all of them, as header lists are measured
        self.counted_open = False

    @property
    def state(self) -> StreamState:
        """One of the states of RFC 9113 section 5.1."""
        return self.state_machine.state

    @property
    def inbound_window(self) -> int:
        """What the peer may still send on this stream; negative after a reduction of SETTINGS_INITIAL_WINDOW_SIZE."""
        return self._inbound_window_manager.current_window_size

    @inbound_window.setter
    def inbound_window(self, size: int) -> None:
        # h2's manager decides by itself when to send WINDOW_UPDATE; only its number is used.
        self._inbound_window_manager.current_window_size = size


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


class StreamTable(H2Connection):
    """The streams of one connection."""

    # h2 remembers 65,536 closed streams, some 9 MB a connection. Only frames that were under way when a stream was
    # closed need it.
    MAX_CLOSED_STREAMS = 1024

    streams: dict[int, Stream]  # type: ignore[assignment]  # dict is invariant; see `_begin_new_stream`

    def __init__(self, *, client: bool) -> None:
        self._own_remainder = int(client)
        self._open_counts = [0, 0]  # of even and of odd stream ids
        # Bytes in, bytes out, unchanged: h2's normalising reorders cookies and marks them never-indexed, its decoding
        # raises on octets that are no UTF-8, and `header_rules` does the validating.
        super().__init__(
            H2Configuration(
                client_side=client,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.streams = SharedDict()
        self.decoder = HeaderDecoder()
        self._remembering_encoder = RememberingEncoder(self.encoder)
        # h2 derives these from SETTINGS; the connection's window starts at 65,535 whatever they say (RFC 9113 section
        # 6.9.2).
        self.inbound_window = DEFAULT_WINDOW_SIZE
        self.initial_inbound_window = DEFAULT_WINDOW_SIZE
        self.initial_outbound_window = DEFAULT_WINDOW_SIZE

    def _begin_new_stream(self, stream_id: int, allowed_ids: AllowedStreamIDs) -> Stream:
        """h2's takes the windows from settings that change at the wrong ACK (RFC 9113 section 6.5.3)."""
        stream = Stream(stream_id, self.config, self.initial_inbound_window, self.initial_outbound_window)
        self.streams[stream_id] = stream
        if self.is_outbound(stream_id):
            self.highest_outbound_stream_id = stream_id
        else:
            self.highest_inbound_stream_id = stream_id
        return stream

    def _open_streams(self, remainder: int) -> int:
        """h2 counts by walking through all streams, for each new one, and purges closed ones only then."""
        return self._open_counts[remainder]

    @property
    def memory(self) -> int:
        """About how many octets it takes for what is remembered: closed streams, and blocks."""
        return _CLOSED_STREAM_MEMORY * len(self._closed_streams) + self._remembering_encoder.memory

    def is_outbound(self, stream_id: int) -> bool:
        """Whether a stream of this id is one that this side opens."""
        return stream_id % 2 == self._own_remainder

    def is_idle(self, stream_id: int) -> bool:
        """Whether nobody has opened this stream, or one with a higher id, yet (RFC 9113 section 5.1.1)."""
        highest = self.highest_outbound_stream_id if self.is_outbound(stream_id) else self.highest_inbound_stream_id
        return stream_id > highest

    def closed_by(self, stream_id: int) -> StreamClosedBy | None:
        """How a closed stream was closed; None when it was never used, or closed too long ago."""
        return self._closed_streams.get(stream_id)

    def begin(self, stream_id: int) -> Stream:
        """A new stream in the idle state; whoever asks for it makes its first transition at once."""
        return self._begin_new_stream(stream_id, _PARITIES[stream_id % 2])

    def skip(self, stream_id: int) -> None:
        """Note an inbound stream that was refused when it opened: what still comes on it is ignored."""
        self.highest_inbound_stream_id = stream_id
        self._closed_streams[stream_id] = StreamClosedBy.SEND_RST_STREAM

    def reset_by_peer(self, stream_id: int) -> None:
        """Note that the peer has reset a stream, too, that we have: what still comes was not under way then."""
        if self.closed_by(stream_id) is StreamClosedBy.SEND_RST_STREAM:
            self._closed_streams[stream_id] = StreamClosedBy.RECV_RST_STREAM

    def apply(self, stream: Stream, *inputs: StreamInputs) -> None:
        """Make transitions of h2's state table, count open streams (RFC 9113 section 5.1.2), forget closed ones.

        h2 closes a stream for an input that does not fit its state: callers look at the state first.
        """
        machine = stream.state_machine
        for stream_input in inputs:
            machine.process_input(stream_input)
        stream_id = stream.stream_id
        if machine.state is StreamState.CLOSED:
            del self.streams[stream_id]
            self._closed_streams[stream_id] = machine.stream_closed_by
            if stream.counted_open:
                self._open_counts[stream_id % 2] -= 1
        elif not stream.counted_open and STREAM_OPEN[machine.state]:
            stream.counted_open = True
            self._open_counts[stream_id % 2] += 1

    def encode(self, fields: Sequence[HeaderTuple]) -> bytes:
        """An HPACK block. The encoder has moved when this returns: the block must be sent."""
        return self._remembering_encoder.encode(fields)

    def limit_encoder_table(self, size: int) -> None:
        """The peer's decoder takes a dynamic table of at most `size` (RFC 7541 section 4.2).

        hpack forgets a change that has not been signalled when the same size is set once more, and signals every step
        of a size that was set back and forth; the smallest and the last are what counts.
        """
        encoder = self.encoder
        if size != encoder.header_table_size:
            encoder.header_table_size = size
            smallest = min(encoder.table_size_changes)
            encoder.table_size_changes = [size] if smallest == size else [smallest, size]

    @property
    def encoder_table_octets(self) -> int:
        """What the encoder's dynamic table holds now."""
        return self.encoder.header_table._current_size

    @property
    def decoder_table_octets(self) -> int:
        """What the decoder's dynamic table holds now."""
        return self.decoder.header_table._current_size
