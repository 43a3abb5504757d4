"""The streams of one connection: which there are, how many count as open, how those that are gone were closed; and what
they share, the connection's windows and its HPACK coders.

Called by `Sending`, `MessageReceiving` and `Connection` only, under the session's lock.
"""

from __future__ import annotations

from collections import OrderedDict

from ..constants import DEFAULT_WINDOW_SIZE
from ..interpreter import SharedDict
from .fields.hpack_memo import RememberingEncoder
from .h2_overrides import (
    STREAM_OPEN,
    HeaderDecoder,
    HeaderEncoder,
    Stream,
    StreamClosedBy,
    StreamInputs,
    StreamState,
    table_octets,
)

MOST_CLOSED_STREAMS = 1024
"""Closed streams that are remembered: frames that were under way when a stream was closed need it."""
_CLOSED_STREAM_MEMORY = 150  # octets
_OPEN, _CLOSED = StreamState.OPEN, StreamState.CLOSED
_HALF_CLOSED_LOCAL, _HALF_CLOSED_REMOTE = StreamState.HALF_CLOSED_LOCAL, StreamState.HALF_CLOSED_REMOTE


class StreamTable:
    """The streams of one connection."""

    def __init__(self, *, client: bool) -> None:
        self._own_remainder = int(client)
        self.streams: dict[int, Stream] = SharedDict()
        self._closed: OrderedDict[int, StreamClosedBy | None] = OrderedDict()  # the oldest first
        self.highest_outbound_stream_id = 0
        self.highest_inbound_stream_id = 0
        # Those that count against the receiver's limit (RFC 9113 section 5.1.2); reserved ones do not.
        self.open_outbound_streams = 0
        self.open_inbound_streams = 0
        # The connection's windows start at 65,535 whatever SETTINGS say (RFC 9113 section 6.9.2).
        self.inbound_window = DEFAULT_WINDOW_SIZE
        self.outbound_window = DEFAULT_WINDOW_SIZE
        self.initial_inbound_window = DEFAULT_WINDOW_SIZE
        self.initial_outbound_window = DEFAULT_WINDOW_SIZE
        self.encoder = HeaderEncoder()
        self.decoder = HeaderDecoder()
        self._remembering_encoder = RememberingEncoder(self.encoder)
        self.encode = self._remembering_encoder.encode
        """An HPACK block of fields. The encoder has moved when this returns: the block must be sent."""

    @property
    def memory(self) -> int:
        """About how many octets it takes for what is remembered: closed streams, and blocks."""
        return _CLOSED_STREAM_MEMORY * len(self._closed) + self._remembering_encoder.memory

    def is_outbound(self, stream_id: int) -> bool:
        """Whether a stream of this id is one that this side opens."""
        return stream_id % 2 == self._own_remainder

    def is_idle(self, stream_id: int) -> bool:
        """Whether nobody has opened this stream, or one with a higher id, yet (RFC 9113 section 5.1.1)."""
        highest = self.highest_outbound_stream_id if self.is_outbound(stream_id) else self.highest_inbound_stream_id
        return stream_id > highest

    def closed_by(self, stream_id: int) -> StreamClosedBy | None:
        """How a closed stream was closed; None when it was never used, or closed too long ago."""
        return self._closed.get(stream_id)

    def begin(self, stream_id: int) -> Stream:
        """A new stream in the idle state; whoever asks for it makes its first transition at once."""
        stream = Stream(stream_id, self.initial_inbound_window, self.initial_outbound_window)
        self.streams[stream_id] = stream
        if stream_id % 2 == self._own_remainder:
            self.highest_outbound_stream_id = stream_id
        else:
            self.highest_inbound_stream_id = stream_id
        return stream

    def begin_request(self, stream_id: int, end_stream: bool) -> Stream:
        """A new stream that the client has opened with HEADERS: `begin` with its transitions, in one step."""
        stream = Stream(stream_id, self.initial_inbound_window, self.initial_outbound_window)
        stream.client = False
        stream.headers_received = stream.counted_open = True
        stream.state = _HALF_CLOSED_REMOTE if end_stream else _OPEN
        self.streams[stream_id] = stream
        self.highest_inbound_stream_id = stream_id
        self.open_inbound_streams += 1
        return stream

    def begin_own_request(self, stream_id: int, end_stream: bool) -> Stream:
        """The same for one that this side opens, as a client."""
        stream = Stream(stream_id, self.initial_inbound_window, self.initial_outbound_window)
        stream.client = stream.headers_sent = stream.counted_open = True
        stream.state = _HALF_CLOSED_LOCAL if end_stream else _OPEN
        self.streams[stream_id] = stream
        self.highest_outbound_stream_id = stream_id
        self.open_outbound_streams += 1
        return stream

    def skip(self, stream_id: int) -> None:
        """Note an inbound stream that was refused when it opened: what still comes on it is ignored."""
        self.highest_inbound_stream_id = stream_id
        self._remember_closed(stream_id, StreamClosedBy.SEND_RST_STREAM)

    def reset_by_peer(self, stream_id: int) -> None:
        """Note that the peer has reset a stream, too, that we have: what still comes was not under way then."""
        if self.closed_by(stream_id) is StreamClosedBy.SEND_RST_STREAM:
            self._closed[stream_id] = StreamClosedBy.RECV_RST_STREAM

    def apply(self, stream: Stream, *inputs: StreamInputs) -> None:
        """Make transitions of h2's state table, count open streams (RFC 9113 section 5.1.2), forget closed ones.

        h2 closes a stream for an input that does not fit its state: callers look at the state first.
        """
        for stream_input in inputs:
            stream.process_input(stream_input)
        stream_id = stream.stream_id
        if stream.state is _CLOSED:
            del self.streams[stream_id]
            self._remember_closed(stream_id, stream.stream_closed_by)
            more = -int(stream.counted_open)
        elif not stream.counted_open and STREAM_OPEN[stream.state]:
            stream.counted_open = True
            more = 1
        else:
            return
        if stream_id % 2 == self._own_remainder:
            self.open_outbound_streams += more
        else:
            self.open_inbound_streams += more

    def _remember_closed(self, stream_id: int, closed_by: StreamClosedBy | None) -> None:
        self._closed[stream_id] = closed_by
        if len(self._closed) > MOST_CLOSED_STREAMS:
            self._closed.popitem(last=False)

    @property
    def encoder_table_octets(self) -> int:
        """What the encoder's dynamic table holds now."""
        return table_octets(self.encoder)

    @property
    def decoder_table_octets(self) -> int:
        """What the decoder's dynamic table holds now."""
        return table_octets(self.decoder)
