"""The streams of a connection: which count as open, which are remembered, and the windows that new ones get."""

from __future__ import annotations

import pytest

from sync_h2.protocol.h2_overrides import StreamClosedBy, StreamInputs, StreamState
from sync_h2.protocol.stream_table import MOST_CLOSED_STREAMS, StreamTable


def requested(table: StreamTable, stream_id: int, *inputs: StreamInputs):
    stream = table.begin(stream_id)
    table.apply(stream, StreamInputs.RECV_HEADERS, *inputs)
    return stream


def test_open_streams_are_counted_by_their_transitions():
    table = StreamTable(client=False)
    first = requested(table, 1)
    requested(table, 3, StreamInputs.RECV_END_STREAM)
    assert table.open_inbound_streams == 2
    table.apply(first, StreamInputs.RECV_RST_STREAM)
    assert table.open_inbound_streams == 1
    assert list(table.streams) == [3]
    pushed = table.begin(2)
    table.apply(table.streams[3], StreamInputs.SEND_PUSH_PROMISE)
    table.apply(pushed, StreamInputs.SEND_PUSH_PROMISE)
    assert pushed.state is StreamState.RESERVED_LOCAL
    assert table.open_outbound_streams == 0
    table.apply(pushed, StreamInputs.SEND_HEADERS)
    assert table.open_outbound_streams == 1
    table.apply(pushed, StreamInputs.SEND_END_STREAM)
    assert table.open_outbound_streams == 0
    reserved = table.begin(4)
    table.apply(reserved, StreamInputs.SEND_PUSH_PROMISE)
    table.apply(reserved, StreamInputs.SEND_RST_STREAM)
    assert table.open_outbound_streams == 0


@pytest.mark.parametrize("end_stream", [False, True])
def test_a_request_opens_its_stream_as_h2_has_it(end_stream):
    tables = [StreamTable(client=False), StreamTable(client=False)]
    ends = (StreamInputs.RECV_END_STREAM,) if end_stream else ()
    streams = [tables[0].begin_request(5, end_stream), requested(tables[1], 5, *ends)]
    assert vars(streams[0]) == vars(streams[1])
    for table, stream in zip(tables, streams, strict=True):
        assert table.streams == {5: stream}
        assert (table.open_inbound_streams, table.open_outbound_streams) == (1, 0)
        assert not table.is_idle(5)


@pytest.mark.parametrize("end_stream", [False, True])
def test_so_does_a_request_of_our_own(end_stream):
    tables = [StreamTable(client=True), StreamTable(client=True)]
    stepwise = tables[1].begin(5)
    tables[1].apply(stepwise, StreamInputs.SEND_HEADERS, *([StreamInputs.SEND_END_STREAM] if end_stream else []))
    streams = [tables[0].begin_own_request(5, end_stream), stepwise]
    assert vars(streams[0]) == vars(streams[1])
    for table, stream in zip(tables, streams, strict=True):
        assert table.streams == {5: stream}
        assert (table.open_inbound_streams, table.open_outbound_streams) == (0, 1)
        assert not table.is_idle(5)


def test_closed_streams_are_purged_at_once_and_remembered():
    table = StreamTable(client=False)
    table.apply(
        requested(table, 1, StreamInputs.RECV_END_STREAM), StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM
    )
    table.apply(requested(table, 3), StreamInputs.RECV_RST_STREAM)
    table.apply(requested(table, 5), StreamInputs.SEND_RST_STREAM)
    table.skip(9)
    assert not table.streams
    assert [table.closed_by(stream_id) for stream_id in (1, 3, 5, 7, 9)] == [
        StreamClosedBy.SEND_END_STREAM,
        StreamClosedBy.RECV_RST_STREAM,
        StreamClosedBy.SEND_RST_STREAM,
        None,
        StreamClosedBy.SEND_RST_STREAM,
    ]
    assert not table.is_idle(9)
    assert table.is_idle(11)
    assert table.is_idle(2)


def test_the_memory_of_closed_streams_is_bounded():
    table = StreamTable(client=False)

    def close(*stream_ids: int) -> int:
        for stream_id in stream_ids:
            table.apply(requested(table, stream_id), StreamInputs.RECV_RST_STREAM)
        return table.memory

    full = close(*range(1, 2 * MOST_CLOSED_STREAMS, 2))
    assert table.closed_by(1) is StreamClosedBy.RECV_RST_STREAM
    assert close(*range(2 * MOST_CLOSED_STREAMS + 1, 20_001, 2)) == full
    assert table.closed_by(19_999) is StreamClosedBy.RECV_RST_STREAM
    assert table.closed_by(1) is None


def test_new_streams_get_the_windows_that_are_in_force():
    table = StreamTable(client=True)
    table.initial_inbound_window, table.initial_outbound_window = 10, 20
    stream = table.begin(1)
    assert (stream.inbound_window, stream.outbound_window) == (10, 20)
    stream.inbound_window -= 15
    assert stream.inbound_window == -5
