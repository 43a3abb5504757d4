"""The frames that are no header blocks, floods, and that any octets at all give events or a ProtocolError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from support.octets.http2_endpoint import (
    ACK,
    END_HEADERS,
    END_STREAM,
    GET,
    PADDED,
    POST,
    REQUEST,
    RESPONSE,
    SETTINGS_ACK,
    Endpoint,
    asking,
    client,
    data,
    frame,
    goaway,
    only_reset,
    reset,
    server,
    settings,
    window_update,
)
from sync_h2.constants import PREFACE, ErrorCode, FrameType, SettingId
from sync_h2.errors import ProtocolError
from sync_h2.protocol.events import (
    AltsvcReceived,
    DataDiscarded,
    DataReceived,
    GoawayReceived,
    OriginReceived,
    PingAcknowledged,
    PingReceived,
    PriorityReceived,
    PriorityUpdateReceived,
    RequestReceived,
    SettingsAcknowledged,
    SettingsReceived,
    StreamReset,
    WindowUpdated,
)
from sync_h2.protocol.fields.header_blocks import pack_priority
from sync_h2.protocol.fields.headers import encode_response
from sync_h2.protocol.frames.extension_frames import build_altsvc, build_origin, build_priority_update
from sync_h2.protocol.limits import LimitReached
from sync_h2.protocol.settings import Settings


def asked(**options) -> Endpoint:
    """A server that reads the body of a request on stream 1."""
    endpoint = server(**options)
    endpoint.receive(endpoint.headers(1, POST))
    return endpoint


def connection_error(endpoint: Endpoint, octets: bytes, code: int = ErrorCode.PROTOCOL_ERROR) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        endpoint.receive(octets)
    assert raised.value.code == code
    return raised.value


def limit_reached(endpoint: Endpoint, octets: bytes) -> str:
    error = connection_error(endpoint, octets, ErrorCode.ENHANCE_YOUR_CALM)
    assert isinstance(error, LimitReached)
    assert error.limit in str(error)
    return error.limit


# The beginning


@pytest.mark.parametrize("first", [SETTINGS_ACK, frame(FrameType.PING, 0, 0, bytes(8)), frame(0xFA, 0, 0), goaway(0)])
def test_the_first_frame_is_settings(first):
    endpoint = Endpoint(client=True, handshake=False)
    endpoint.connection.start()
    connection_error(endpoint, first)


def test_frames_of_unknown_types_are_ignored():
    endpoint = server()
    assert endpoint.receive(frame(0xFA, 0xFF, 5, b"whatever")) == []


# SETTINGS


def test_settings_are_in_force_and_acknowledged_when_the_event_comes():
    endpoint = Endpoint(client=True, handshake=False)
    assert not endpoint.connection.settings_received
    endpoint.connection.start()
    endpoint.sent()
    items = ((SettingId.INITIAL_WINDOW_SIZE, 100), (0x4242, 7))
    assert endpoint.receive(settings(*items)) == [
        SettingsReceived(Settings(initial_window_size=100, custom={0x4242: 7}))
    ]
    assert endpoint.sent() == [(FrameType.SETTINGS, ACK, 0, b"")]
    assert endpoint.connection.settings_received
    assert endpoint.connection.remote_settings == {
        **Settings.defaults(),
        "initial_window_size": 100,
        "custom": {0x4242: 7},
    }
    assert endpoint.receive(settings()) == [SettingsReceived(Settings())]


def test_each_ack_applies_its_own_frame():
    endpoint = client()
    endpoint.connection.update_settings(Settings(initial_window_size=10))
    endpoint.connection.update_settings(Settings(max_frame_size=20_000))
    assert endpoint.connection.pending_settings == 2
    assert endpoint.receive(SETTINGS_ACK) == [SettingsAcknowledged(Settings(initial_window_size=10))]
    assert endpoint.connection.local_settings.max_frame_size == 16_384
    assert endpoint.receive(SETTINGS_ACK) == [SettingsAcknowledged(Settings(max_frame_size=20_000))]
    assert endpoint.connection.local_settings.max_frame_size == 20_000


def test_an_ack_that_nothing_awaits():
    connection_error(client(), SETTINGS_ACK)


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ((SettingId.ENABLE_PUSH, 2), ErrorCode.PROTOCOL_ERROR),
        ((SettingId.ENABLE_PUSH, 1), ErrorCode.PROTOCOL_ERROR),
        ((SettingId.INITIAL_WINDOW_SIZE, 2**31), ErrorCode.FLOW_CONTROL_ERROR),
        ((SettingId.MAX_FRAME_SIZE, 16_383), ErrorCode.PROTOCOL_ERROR),
        ((SettingId.MAX_FRAME_SIZE, 2**24), ErrorCode.PROTOCOL_ERROR),
        ((SettingId.ENABLE_CONNECT_PROTOCOL, 2), ErrorCode.PROTOCOL_ERROR),
        ((SettingId.NO_RFC7540_PRIORITIES, 2), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_settings_that_a_server_must_not_send(item, code):
    endpoint = client()
    before = endpoint.connection.remote_settings
    connection_error(endpoint, settings(item), code)
    assert endpoint.connection.remote_settings == before
    assert endpoint.sent() == []


def test_a_client_may_state_that_it_takes_pushes():
    assert len(server().receive(settings((SettingId.ENABLE_PUSH, 1)))) == 1


def test_extended_connect_is_not_withdrawn():
    endpoint = client()
    endpoint.receive(settings((SettingId.ENABLE_CONNECT_PROTOCOL, 1)))
    connection_error(endpoint, settings((SettingId.ENABLE_CONNECT_PROTOCOL, 0)))


def test_a_window_that_settings_make_overflow():
    endpoint = asking(end_stream=False)
    endpoint.receive(window_update(1, 2**31 - 1 - 65_535))
    connection_error(endpoint, settings((SettingId.INITIAL_WINDOW_SIZE, 65_536)), ErrorCode.FLOW_CONTROL_ERROR)


def test_too_many_settings():
    endpoint = server(max_settings=3)
    endpoint.receive(settings(*[(id_, 0) for id_ in (0x4240, 0x4241, 0x4242)]))
    assert limit_reached(endpoint, settings(*[(0x4242, 0)] * 4)) == "max_settings"
    endpoint = server(max_settings=3)
    endpoint.receive(settings(*[(id_, 0) for id_ in (0x4240, 0x4241, 0x4242)]))
    assert limit_reached(endpoint, settings((0x4243, 0))) == "max_settings"


# PING, GOAWAY


def test_pings_are_answered_at_once():
    endpoint = server()
    assert endpoint.receive(frame(FrameType.PING, 0, 0, b"12345678")) == [PingReceived(b"12345678")]
    assert [urgent for urgent, _ in endpoint.emitted] == [True]
    assert endpoint.sent() == [(FrameType.PING, ACK, 0, b"12345678")]
    assert endpoint.receive(frame(FrameType.PING, ACK, 0, b"87654321")) == [PingAcknowledged(b"87654321")]
    assert endpoint.sent() == []


def test_streams_go_on_after_the_peers_goaway():
    endpoint = asking(end_stream=False)
    assert endpoint.receive(goaway(2**31 - 1) + goaway(1, 2, b"why")) == [
        GoawayReceived(0, 2**31 - 1, b""),
        GoawayReceived(2, 1, b"why"),
    ]
    assert len(endpoint.receive(endpoint.headers(1, RESPONSE) + data(1, b"x", end_stream=True))) == 2
    endpoint.connection.send_data(1, b"rest", True)
    assert endpoint.connection.stream_state(1) == "closed"


def test_a_goaway_that_takes_its_word_back():
    endpoint = asking()
    endpoint.receive(goaway(1))
    connection_error(endpoint, goaway(3))


# DATA


def test_padded_data_counts_whole():
    endpoint = asked()
    octets = frame(FrameType.DATA, PADDED | END_STREAM, 1, b"\x05abc" + bytes(5))
    assert endpoint.receive(octets) == [DataReceived(1, b"abc", 9, True)]
    assert endpoint.connection.inbound_window() == endpoint.connection.inbound_window(1) == 65_535 - 9


def test_data_is_a_copy_that_stays():
    endpoint = asked()
    (first,) = endpoint.receive(data(1, b"abc"))
    endpoint.receive(data(1, b"xyz"))
    assert (first.data, type(first.data)) == (b"abc", bytes)


def test_data_beyond_the_connections_window():
    endpoint = asked(values=Settings(initial_window_size=10**6))
    for _ in range(4):
        endpoint.receive(data(1, bytes(16_000)))
    connection_error(endpoint, data(1, bytes(1536)), ErrorCode.FLOW_CONTROL_ERROR)


def test_data_beyond_the_streams_window_is_a_stream_error():
    endpoint = asked()
    endpoint.connection.update_settings(Settings(initial_window_size=10))
    endpoint.receive(data(1, bytes(100)) + SETTINGS_ACK)
    assert endpoint.connection.inbound_window(1) == -90
    endpoint.sent()
    events = endpoint.receive(data(1, b"x"))
    assert events[0] == DataDiscarded(1, 1)
    only_reset(endpoint, events, 1, ErrorCode.FLOW_CONTROL_ERROR)


def test_data_after_the_end_of_the_stream_is_a_stream_error():
    endpoint = server()
    endpoint.receive(endpoint.headers(1, POST, end_stream=True))
    events = endpoint.receive(data(1, b"abc"))
    assert events[0] == DataDiscarded(1, 3)
    only_reset(endpoint, events, 1, ErrorCode.STREAM_CLOSED)


def test_data_on_idle_reserved_and_zero_streams():
    connection_error(server(), data(1, b"x"))
    connection_error(server(), data(0, b"x"))
    endpoint = asking()
    endpoint.receive(endpoint.promise(1, 2))
    connection_error(endpoint, data(2, b"x"))
    endpoint = asked()
    endpoint.connection.push(1, GET)
    connection_error(endpoint, data(2, b"x"))


def test_data_on_closed_streams():
    # RFC 9113 section 5.1: by our RST_STREAM, by the peer's, by END_STREAM, and passed over.
    endpoint = asked()
    endpoint.connection.reset(1, 8)
    endpoint.sent()
    assert endpoint.receive(data(1, b"abc") + data(1)) == [DataDiscarded(1, 3)]
    assert endpoint.sent() == []
    assert endpoint.connection.inbound_window() == 65_532

    endpoint = asked()
    endpoint.receive(reset(1))
    events = endpoint.receive(data(1, b"abc"))
    assert DataDiscarded(1, 3) in events
    only_reset(endpoint, events, 1, ErrorCode.STREAM_CLOSED)

    endpoint = asked()
    endpoint.receive(data(1, b"abc", end_stream=True))
    endpoint.connection.send_response(1, encode_response(None), True)
    connection_error(endpoint, data(1, b"abc"), ErrorCode.STREAM_CLOSED)

    endpoint = server()
    endpoint.receive(endpoint.headers(3, POST))
    connection_error(endpoint, data(1, b"abc"), ErrorCode.STREAM_CLOSED)


# RST_STREAM, WINDOW_UPDATE


def test_a_reset_ends_the_stream():
    endpoint = asked()
    assert endpoint.receive(reset(1, 0xDEAD)) == [StreamReset(1, 0xDEAD, True, "")]
    assert endpoint.connection.open_inbound_streams() == 0
    assert endpoint.receive(reset(1)) == []
    connection_error(endpoint, reset(3))


def test_window_updates():
    endpoint = asking(end_stream=False)
    assert endpoint.receive(window_update(0, 5) + window_update(1, 2**31 | 6)) == [
        WindowUpdated(0, 5),
        WindowUpdated(1, 6),
    ]
    assert (endpoint.connection.outbound_window(), endpoint.connection.outbound_window(1)) == (65_540, 65_541)


def test_a_zero_window_update_on_a_stream_is_a_stream_error():
    endpoint = asking()
    only_reset(endpoint, endpoint.receive(window_update(1, 0)), 1, ErrorCode.PROTOCOL_ERROR)
    connection_error(endpoint, window_update(0, 0))


def test_a_window_that_overflows():
    endpoint = asking()
    only_reset(endpoint, endpoint.receive(window_update(1, 2**31 - 1)), 1, ErrorCode.FLOW_CONTROL_ERROR)
    connection_error(endpoint, window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR)


def test_window_updates_on_streams_that_are_not_open():
    endpoint = asking()
    endpoint.connection.reset(1, 8)
    assert endpoint.receive(window_update(1, 5)) == []
    connection_error(endpoint, window_update(3, 5))
    endpoint = asking()
    endpoint.receive(endpoint.promise(1, 2))
    connection_error(endpoint, window_update(2, 5))
    endpoint = asked()
    endpoint.connection.push(1, GET)
    assert endpoint.receive(window_update(2, 5)) == [WindowUpdated(2, 5)]


# Priorities


def test_priority_in_any_state():
    endpoint = asked()
    for stream_id in (1, 3, 99):
        octets = frame(FrameType.PRIORITY, 0, stream_id, pack_priority(False, 0, 1))
        assert endpoint.receive(octets) == [PriorityReceived(stream_id, False, 0, 1)]


def test_wrong_priority_is_a_stream_error_where_there_is_a_stream():
    for payload, code in (
        (pack_priority(False, 1, 16), ErrorCode.PROTOCOL_ERROR),
        (b"1234", ErrorCode.FRAME_SIZE_ERROR),
    ):
        endpoint = asked()
        only_reset(endpoint, endpoint.receive(frame(FrameType.PRIORITY, 0, 1, payload)), 1, code)
        connection_error(server(), frame(FrameType.PRIORITY, 0, 1, payload), code)


def test_priority_updates():
    endpoint = asked()
    for stream_id in (1, 3):
        octets = frame(FrameType.PRIORITY_UPDATE, 0, 0, build_priority_update(stream_id, "u=1"))
        assert endpoint.receive(octets) == [PriorityUpdateReceived(stream_id, "u=1")]


def test_priority_updates_that_are_connection_errors():
    update = build_priority_update
    connection_error(client(), frame(FrameType.PRIORITY_UPDATE, 0, 0, update(1, "u=1")))
    connection_error(server(), frame(FrameType.PRIORITY_UPDATE, 0, 1, update(1, "u=1")))
    connection_error(server(), frame(FrameType.PRIORITY_UPDATE, 0, 0, update(0, "u=1")))
    connection_error(server(), frame(FrameType.PRIORITY_UPDATE, 0, 0, update(2, "u=1")))
    connection_error(server(), frame(FrameType.PRIORITY_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR)


def test_priority_updates_for_idle_streams_are_bounded_by_the_streams_that_may_open():
    def update(stream_id: int) -> bytes:
        return frame(FrameType.PRIORITY_UPDATE, 0, 0, build_priority_update(stream_id, "u=1"))

    endpoint = asked(max_concurrent_streams=3)
    endpoint.receive(update(3) + update(5) + update(5))
    endpoint.receive(reset(1) + endpoint.headers(5, POST) + update(7) + update(9))
    connection_error(endpoint, update(11))


# ALTSVC, ORIGIN


def test_altsvc():
    endpoint = asking()
    assert endpoint.receive(frame(FrameType.ALTSVC, 0, 0, build_altsvc("https://a", "h3"))) == [
        AltsvcReceived(0, "https://a", "h3")
    ]
    assert endpoint.receive(frame(FrameType.ALTSVC, 0, 1, build_altsvc("", "clear"))) == [
        AltsvcReceived(1, "", "clear")
    ]


def test_altsvc_that_is_ignored():
    endpoint = asking()
    assert endpoint.receive(frame(FrameType.ALTSVC, 0, 0, build_altsvc("", "h3"))) == []
    assert endpoint.receive(frame(FrameType.ALTSVC, 0, 1, build_altsvc("https://a", "h3"))) == []
    assert endpoint.receive(frame(FrameType.ALTSVC, 0, 3, build_altsvc("", "h3"))) == []
    assert asked().receive(frame(FrameType.ALTSVC, 0, 1, build_altsvc("", "h3"))) == []


def test_origin():
    payload = build_origin(["https://a", "https://b"], 100)[0]
    endpoint = client()
    assert endpoint.receive(frame(FrameType.ORIGIN, 0xF0, 0, payload)) == [OriginReceived(["https://a", "https://b"])]
    assert endpoint.receive(frame(FrameType.ORIGIN, 0x01, 0, payload)) == []
    assert endpoint.receive(frame(FrameType.ORIGIN, 0, 1, payload)) == []
    assert server().receive(frame(FrameType.ORIGIN, 0, 0, payload)) == []
    connection_error(endpoint, frame(FrameType.ORIGIN, 0, 0, payload[:-1]), ErrorCode.FRAME_SIZE_ERROR)


# Lengths and places of frames


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(FrameType.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.SETTINGS, ACK, 0, b"123456"), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.RST_STREAM, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.RST_STREAM, 0, 1, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.WINDOW_UPDATE, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.CONTINUATION, END_HEADERS, 1), ErrorCode.PROTOCOL_ERROR),
        (frame(FrameType.DATA, PADDED, 1), ErrorCode.FRAME_SIZE_ERROR),
        (frame(FrameType.DATA, PADDED, 1, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_frames_of_wrong_length_or_on_a_wrong_stream(octets, code):
    connection_error(asked(), octets, code)


# Floods


def test_rapid_reset():
    endpoint = server(stream_reset_burst=10, stream_reset_rate=5)
    ids = iter(range(1, 1000, 2))

    def open_and_reset(count: int) -> None:
        for _ in range(count):
            stream_id = next(ids)
            endpoint.receive(endpoint.headers(stream_id, REQUEST, end_stream=True) + reset(stream_id))

    open_and_reset(10)
    endpoint.clock.now += 1
    open_and_reset(5)
    stream_id = next(ids)
    assert limit_reached(endpoint, endpoint.headers(stream_id, REQUEST) + reset(stream_id)) == "stream_reset_rate"


@pytest.mark.parametrize("trick", ["window overflow", "data after the end", "malformed"])
def test_resets_that_the_peer_makes_us_send(trick):
    endpoint = server(stream_reset_burst=10)
    with pytest.raises(LimitReached, match="stream_reset_rate"):
        for stream_id in range(1, 25, 2):
            if trick == "window overflow":
                endpoint.receive(endpoint.headers(stream_id, POST) + window_update(stream_id, 2**31 - 1))
            elif trick == "data after the end":
                endpoint.receive(endpoint.headers(stream_id, POST, end_stream=True) + data(stream_id, b"x"))
            else:
                endpoint.receive(endpoint.headers(stream_id, POST[1:]))
    assert len([sent for sent in endpoint.sent() if sent.type == FrameType.RST_STREAM]) == 11


def test_resets_of_our_own_streams_are_the_peers_right():
    endpoint = client(stream_reset_burst=1)
    for _ in range(50):
        stream_id = endpoint.connection.send_request(GET, True)
        endpoint.receive(reset(stream_id))


def test_empty_data():
    endpoint = asked(max_session_invalid_frames=10)
    endpoint.receive(data(1) * 10)
    assert limit_reached(endpoint, data(1)) == "max_session_invalid_frames"
    endpoint = asked(max_session_invalid_frames=10)
    endpoint.connection.reset(1, 8)
    endpoint.receive(data(1) * (3 + 10))  # three may have been under way when the RST_STREAM left
    assert limit_reached(endpoint, data(1)) == "max_session_invalid_frames"


def test_empty_data_that_ends_the_stream_is_useful():
    endpoint = server(max_session_invalid_frames=1)
    for stream_id in range(1, 21, 2):
        endpoint.receive(endpoint.headers(stream_id, POST) + data(stream_id, end_stream=True))


def test_a_flipping_table_size_costs_two_signals_at_most():
    endpoint = client()
    for _ in range(100):
        endpoint.receive(settings((SettingId.HEADER_TABLE_SIZE, 0)) + settings((SettingId.HEADER_TABLE_SIZE, 4096)))
    endpoint.sent()
    endpoint.connection.send_request(GET, True)
    assert len(endpoint.sent()[0].payload) < 40


# Anything at all

stream_ids = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 2**31 - 1])
known_payloads = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1).map(lambda number: struct.pack(">L", number)),
    st.lists(st.tuples(st.integers(0, 10), st.sampled_from([0, 1, 2, 100, 65_536, 2**31 - 1])), max_size=4).map(
        lambda items: b"".join(struct.pack(">HL", *item) for item in items)
    ),
    st.sampled_from([bytes(8), bytes(5), b"\x82\x87\x84\x41\x01a", b"\x88", b"\x8d", b"\x00\x00\x00\x02\x82\x87\x84"]),
)
any_frames = st.builds(
    frame,
    st.one_of(st.integers(0, 0x11), st.just(0), st.just(1)),
    st.one_of(st.sampled_from([0, 1, 4, 5, 8, 0xD, 0x25, 0x2D]), st.integers(0, 255)),
    stream_ids,
    known_payloads,
)
any_octets = st.one_of(
    st.lists(any_frames, max_size=30).map(b"".join),
    st.lists(st.one_of(any_frames, st.binary(max_size=20)), max_size=20).map(b"".join),
)


@hypothesis_settings(max_examples=400, deadline=None)
@given(any_octets, st.booleans(), st.booleans(), st.lists(st.integers(1, 50), max_size=20))
def test_any_octets_give_events_or_a_protocol_error(octets, is_client, well_begun, sizes):
    endpoint = Endpoint(client=is_client, handshake=well_begun)
    connection = endpoint.connection
    if not well_begun:
        connection.start()
    elif is_client:
        for end_stream in (True, False, True):
            connection.send_request(GET, end_stream)
    received = 0
    try:
        for size in [*sizes, len(octets)]:
            endpoint.receive(octets[:size])
            received += len(octets[:size])
            octets = octets[size:]
    except ProtocolError as error:
        assert error.code
        assert str(error)
    # Growth is bounded by what came, and the counts of open streams agree with the streams that there are.
    assert sum(len(sent) for _, sent in endpoint.emitted) <= 2 * received + 400
    states = [(stream_id % 2, connection.stream_state(stream_id)) for stream_id in connection._table.streams]
    for odd, count in (
        (1, connection.open_outbound_streams() if is_client else connection.open_inbound_streams()),
        (0, connection.open_inbound_streams() if is_client else connection.open_outbound_streams()),
    ):
        assert count == len([state for parity, state in states if parity == odd and "reserved" not in state])
    assert "closed" not in [state for _, state in states]


@given(st.binary(max_size=60))
def test_any_octets_after_the_preface(octets):
    endpoint = Endpoint(client=False, handshake=False)
    endpoint.connection.start()
    endpoint.receive(PREFACE)
    try:
        events = endpoint.receive(octets)
    except ProtocolError:
        return
    assert not events or isinstance(events[0], SettingsReceived)


def test_good_frames_before_a_bad_one_give_their_events():
    endpoint = server()
    events = []
    frames = endpoint.connection.frames
    octets = endpoint.headers(1, REQUEST) + data(1, b"x") + frame(FrameType.PING, 0, 1, bytes(8))
    frames.writable()[: len(octets)] = octets
    frames.received(len(octets))
    with pytest.raises(ProtocolError):
        while (cut := frames.next_frame()) is not None:
            events += endpoint.connection.receive_frame(*cut)
    assert [type(event) for event in events] == [RequestReceived, DataReceived]
