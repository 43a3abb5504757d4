"""DATA frames that are alike and come together are one event, and mean what they mean one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.octets.http2_endpoint import END_STREAM, PADDED, POST, Endpoint, data, frame, server
from sync_h2.constants import FrameType
from sync_h2.errors import ProtocolError
from sync_h2.protocol.events import DataReceived, Event, StreamReset
from sync_h2.protocol.frames.framing import FrameReader
from sync_h2.protocol.settings import Settings

BULK = bytes(range(256)) * 4  # as long as a frame has to be for it


def uploading(*streams: int, length: int | None = None, **options: Any) -> Endpoint:
    """A server that has heard of these uploads, with room for a good deal more in its buffer."""
    endpoint = server(**options)
    fields = [*POST] if length is None else [*POST, (b"content-length", b"%d" % length)]
    for stream_id in streams:
        endpoint.receive(endpoint.headers(stream_id, fields))
    for _ in range(4):  # reads that fill the buffer make it larger
        room = len(endpoint.connection.frames.writable())
        rest = room % 4096 or 4096
        endpoint.receive(frame(200, 0, 0, bytes(4087)) * ((room - rest) // 4096) + frame(200, 0, 0, bytes(rest - 9)))
    return endpoint


def received(endpoint: Endpoint, octets: bytes) -> list[Event]:
    """The events of octets that come with one read."""
    room = endpoint.connection.frames.writable()
    assert len(room) >= len(octets)
    return endpoint.receive(octets)


def test_what_came_together_is_one_event() -> None:
    endpoint = uploading(1)
    assert received(endpoint, data(1, BULK) * 10) == [DataReceived(1, BULK * 10, 10 * len(BULK), False)]
    assert endpoint.connection.inbound_window() == endpoint.connection.inbound_window(1) == 65_535 - 10 * len(BULK)


def test_the_end_comes_by_itself() -> None:
    endpoint = uploading(1)
    assert received(endpoint, data(1, BULK) * 2 + data(1, BULK, end_stream=True)) == [
        DataReceived(1, BULK * 2, 2 * len(BULK), False),
        DataReceived(1, BULK, len(BULK), True),
    ]


@pytest.mark.parametrize(
    "other",
    [
        data(3, BULK),
        data(1, BULK + b"x"),
        frame(FrameType.DATA, PADDED, 1, b"\0" + BULK[1:]),
        frame(FrameType.DATA, 0x40, 1, BULK),
        frame(FrameType.DATA, 0, 0x8000_0001, BULK),
        frame(FrameType.PING, 0, 0, bytes(8)),
        data(1, BULK)[:-1],
    ],
    ids=["another stream", "another length", "padding", "an unknown flag", "the reserved bit", "a PING", "a part"],
)
def test_what_differs_is_looked_at_by_itself(other: bytes) -> None:
    endpoint = uploading(1, 3)
    assert received(endpoint, data(1, BULK) * 2 + other)[0] == DataReceived(1, BULK * 2, 2 * len(BULK), False)


def test_small_frames_stay_by_themselves() -> None:
    endpoint = uploading(1)
    assert len(received(endpoint, data(1, BULK[1:]) * 3)) == 3


def test_who_looks_at_each_frame_sees_each() -> None:
    endpoint = uploading(1)
    endpoint.connection.frames.one_by_one = True
    assert len(received(endpoint, data(1, BULK) * 3)) == 3


def test_a_peer_may_send_as_many_frames_of_padding_as_there_are_others() -> None:
    endpoint = uploading(1, values=Settings({"initial_window_size": 2**31 - 1}))
    endpoint.connection.open_window(0, 10_000_000)
    for _ in range(60):
        events = received(endpoint, data(1, BULK) * 40 + frame(FrameType.DATA, PADDED, 1, b"\0") * 40)
        assert len(events) == 41


def test_what_the_connection_has_no_window_for_ends_it() -> None:
    endpoint = uploading(1, values=Settings({"initial_window_size": 1_000_000}))
    with pytest.raises(ProtocolError, match="more than the connection's window"):
        received(endpoint, data(1, bytes(16_384)) * 4)
    assert endpoint.connection.inbound_window() == 65_535 - 3 * 16_384


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"values": Settings({"initial_window_size": 3 * len(BULK)})}, "DATA beyond the stream's window"),
        ({"length": 3 * len(BULK) + 5}, "DATA does not add up to content-length"),
    ],
)
def test_what_a_stream_has_no_room_for_resets_it(options: Any, reason: str) -> None:
    endpoint = uploading(1, **options)
    body, _, reset = received(endpoint, data(1, BULK) * 4)
    assert body == DataReceived(1, BULK * 3, 3 * len(BULK), False)
    assert isinstance(reset, StreamReset)
    assert reset.reason == reason


def test_each_frame_is_counted() -> None:
    reader = uploading(1).connection.frames
    frames, octets = reader.frames_taken, reader.octets_taken
    room = reader.writable()
    room[: 3 * (9 + len(BULK))] = data(1, BULK) * 3
    reader.received(3 * (9 + len(BULK)))
    assert reader.next_frame() is not None
    header = data(1, BULK)[:9]
    assert [bytes(payload) for payload in reader.take_same(header, len(BULK), 1)] == [BULK]
    assert [bytes(payload) for payload in reader.take_same(header, len(BULK), 9)] == [BULK]
    assert reader.take_same(header, len(BULK), 9) == []
    assert (reader.frames_taken - frames, reader.octets_taken - octets) == (3, 3 * len(BULK))


def test_octets_of_an_earlier_read_are_no_frames() -> None:
    reader = FrameReader(expect_preface=False, max_frame_size=16_384)
    octets = data(1, BULK)
    for _ in range(3):  # what is left in the buffer looks like more of them
        room = reader.writable()
        room[: len(octets)] = octets
        reader.received(len(octets))
        assert reader.next_frame() is not None
        assert reader.take_same(octets[:9], len(BULK), 9) == []


def alike(stream_id: int, length: int, times: int, flags: int) -> bytes:
    """DATA frames of so many octets, of which the first says how much padding there is."""
    return (
        frame(
            FrameType.DATA, flags, stream_id, bytes((min(length - 1, 3),) * min(length, 1)) + bytes(max(length - 1, 0))
        )
        * times
    )


FRAMES = st.builds(
    alike,
    st.sampled_from([1, 1, 1, 3, 5]),
    st.sampled_from([0, 1, 1023, 1024, 1024, 1024, 5000, 16_384]),
    st.integers(1, 6),
    st.sampled_from([0, 0, 0, 0, END_STREAM, PADDED]),
)


def outcome(chunks: list[bytes], window: int, length: int | None, one_by_one: bool) -> Any:
    """What a server makes of them: bodies and credit by stream, other events, the error, and what it has sent."""
    endpoint = uploading(1, 3, length=length, values=Settings({"initial_window_size": window}))
    connection = endpoint.connection
    connection.frames.one_by_one = one_by_one
    events: list[Event] = []
    error = None
    try:
        for chunk in chunks:
            events += endpoint.receive(chunk)
    except ProtocolError as raised:
        error = (str(raised), raised.code)
    together: list[Any] = []
    for event in events:
        last = together[-1] if together else None
        if type(event) is type(last) is DataReceived and last.stream_id == event.stream_id and not last.end_stream:
            last.data += event.data
            last.flow_controlled_length += event.flow_controlled_length
            last.end_stream, last.short = event.end_stream, event.short
        else:
            together.append(event)
    windows = [connection.inbound_window(stream_id) for stream_id in (0, 1, 3)]
    taken = connection.frames.frames_taken, connection.frames.octets_taken
    return together, error, windows, endpoint.sent(), taken, connection._flood_guard._content_frames


@given(
    st.lists(FRAMES, max_size=12),
    st.lists(st.integers(1, 60_000), max_size=6),
    st.sampled_from([3000, 20_000, 65_535, 1_000_000]),
    st.sampled_from([None, 2048, 10_240, 40_000]),
)
def test_it_is_the_same_as_one_by_one(frames: list[bytes], cuts: list[int], window: int, length: int | None) -> None:
    octets = b"".join(frames)
    chunks = []
    for cut in cuts:
        chunks.append(octets[:cut])
        octets = octets[cut:]
    chunks.append(octets)
    assert outcome(chunks, window, length, False) == outcome(chunks, window, length, True)
