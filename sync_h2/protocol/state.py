"""What one HTTP/2 connection is made of, and what can be asked of it at any time.

The base of `Sending` and, through it, of `Connection`. Everything runs under the session's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..constants import DEFAULT_MAX_FRAME_SIZE, MAX_STREAM_ID
from ..errors import StreamIDsExhausted
from .fields.header_blocks import HeaderBlockReader
from .flood_guard import FloodGuard
from .frames.framing import FrameReader
from .frames.padding import padding_for
from .limits import Limits
from .local_settings import LocalSettings
from .settings import Settings
from .stream_table import StreamTable

Emit = Callable[[bool, tuple["bytes | memoryview", ...]], None]
"""Takes (urgent, buffers): a frame, or a header block's frames, to go out unbroken. Urgent ones may overtake others."""


class ConnectionState:
    """The state that sending and receiving share."""

    def __init__(
        self,
        *,
        client: bool,
        settings: Settings,
        limits: Limits,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.limits = limits
        self.remote_settings = Settings.defaults()
        self.settings_received = False
        self.peer_max_concurrent_streams = limits.peer_max_concurrent_streams
        self.max_outbound_frame_size = DEFAULT_MAX_FRAME_SIZE
        self.last_received_stream_id = 0  # of HEADERS or DATA
        self.padding = padding_for(limits.padding_strategy)
        self.frames = FrameReader(expect_preface=not client, max_frame_size=DEFAULT_MAX_FRAME_SIZE)
        self._emit = emit
        self._table = StreamTable(client=client)
        self._table.encoder.limit_table(min(4096, limits.max_deflate_dynamic_table_size))
        self._header_blocks = HeaderBlockReader(
            self._table.decoder,
            max_continuation_frames=limits.max_continuation_frames,
            max_header_pairs=limits.max_header_pairs,
        )
        self._flood_guard = FloodGuard(limits, clock)
        self._local_settings = LocalSettings()
        # What the limits enforce is announced, unless the settings say something else: then that is enforced.
        self._first_settings = Settings(
            max_concurrent_streams=limits.max_concurrent_streams, max_header_list_size=limits.max_header_list_size
        ).merged(settings)
        # Of our SETTINGS what may come by now, see `_apply_local_settings`:
        self._max_inbound_streams = limits.max_concurrent_streams
        self._extended_connect = False
        self._header_blocks.limit(limits.max_header_list_size)
        self._goaway_sent_last_id = MAX_STREAM_ID
        self._goaway_received_last_id: int | None = None
        self._refuse_streams_above: int | None = None
        # Streams that PRIORITY_UPDATE has named before they were opened (RFC 9218 section 7.1).
        self._prioritized_idle: set[int] = set()

    @property
    def memory(self) -> int:
        """About how many octets are kept of what the peer sent, streams apart: input, header blocks, closed streams.

        A look that needs no lock.
        """
        return self.frames.memory + self._header_blocks.memory + self._table.memory

    @property
    def next_outbound_stream_id(self) -> int:
        """The next stream id of this side; StreamIDsExhausted when there is none (RFC 9113 section 5.1.1)."""
        highest = self._table.highest_outbound_stream_id
        if highest + 2 > MAX_STREAM_ID:
            raise StreamIDsExhausted("this connection has used its last stream id; open another")
        return highest + 2 if highest else 1 if self.client else 2

    @property
    def has_stream_ids(self) -> bool:
        """Whether this side can open another stream."""
        return self._table.highest_outbound_stream_id + 2 <= MAX_STREAM_ID

    @property
    def last_inbound_stream_id(self) -> int:
        """The highest id of a stream that the peer has opened, 0 before the first."""
        return self._table.highest_inbound_stream_id

    def open_outbound_streams(self) -> int:
        """Streams that this side opened and that count against the peer's limit; reserved ones do not."""
        return self._table.open_outbound_streams

    def open_inbound_streams(self) -> int:
        """Streams that the peer opened and that count against our limit; reserved ones do not."""
        return self._table.open_inbound_streams

    def stream_is_open(self, stream_id: int) -> bool:
        """Whether anything can still be sent or received on this stream (reserved ones included)."""
        return stream_id in self._table.streams

    def stream_state(self, stream_id: int) -> str:
        """The state of RFC 9113 section 5.1: "idle", "reserved_local", "open", "half_closed_remote", "closed", ..."""
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            return stream.state.name.lower()
        return "idle" if self._table.is_idle(stream_id) else "closed"

    def send_window(self, stream_id: int) -> int:
        """The smaller of the stream's send window and the connection's, possibly negative; 0 when it is closed."""
        stream = self._table.streams.get(stream_id)
        if stream is None:
            return 0
        return min(stream.outbound_window, self._table.outbound_window)

    def outbound_window(self, stream_id: int = 0) -> int:
        """The stream's own send window (0: the connection's)."""
        if not stream_id:
            return self._table.outbound_window
        stream = self._table.streams.get(stream_id)
        return stream.outbound_window if stream is not None else 0

    def inbound_window(self, stream_id: int = 0) -> int:
        """What the peer may still send on the stream (0: on the connection)."""
        if not stream_id:
            return self._table.inbound_window
        stream = self._table.streams.get(stream_id)
        return stream.inbound_window if stream is not None else 0

    @property
    def local_settings(self) -> Settings:
        """Our values that the peer has acknowledged."""
        return self._local_settings.acknowledged

    @property
    def pending_settings(self) -> int:
        """How many SETTINGS frames of ours wait for an ACK."""
        return self._local_settings.pending_count

    @property
    def deflate_dynamic_table_size(self) -> int:
        """Octets in the HPACK encoder's dynamic table."""
        return self._table.encoder_table_octets

    @property
    def inflate_dynamic_table_size(self) -> int:
        """Octets in the HPACK decoder's dynamic table."""
        return self._table.decoder_table_octets
