"""What a connection may hold, whatever its peer has sent."""

from __future__ import annotations

from typing import Any

from support.octets.http2_endpoint import Endpoint
from sync_h2.protocol.stream_table import MOST_CLOSED_STREAMS


def holds_little(endpoint: Endpoint, opened_here: int) -> None:
    """Assert that what the peer can fill is bounded; `opened_here` streams are this side's own doing."""
    connection: Any = endpoint.connection
    table, limits = connection._table, connection.limits
    # What the peer has open, and as many again that are only reserved.
    assert len(table.streams) <= 2 * limits.max_concurrent_streams + opened_here
    assert len(table._closed) <= MOST_CLOSED_STREAMS
    assert connection.inflate_dynamic_table_size <= table.decoder.max_allowed_table_size
    assert connection.deflate_dynamic_table_size <= limits.max_deflate_dynamic_table_size
    assert connection._header_blocks._length <= connection._header_blocks._hard_bound
    assert len(connection._header_blocks._fragments) <= limits.max_continuation_frames + 1
    assert len(connection._prioritized_idle) <= limits.max_concurrent_streams
    assert len(connection.remote_settings.custom) <= limits.max_settings
    counted: dict[int, int] = {0: 0, 1: 0}
    for stream_id in table.streams:
        state = connection.stream_state(stream_id)
        assert state not in ("idle", "closed")
        counted[stream_id % 2] += "reserved" not in state
    ours = 1 if connection.client else 0
    assert connection.open_outbound_streams() == counted[ours]
    assert connection.open_inbound_streams() == counted[1 - ours] <= limits.max_concurrent_streams
