"""What `Connection` sends: every call's frames, and that a refused call changes nothing."""

from __future__ import annotations

import struct

import pytest
from hpack import Decoder

from support.octets.http2_endpoint import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    POST,
    PRIORITY,
    REQUEST,
    SETTINGS_ACK,
    Endpoint,
    client,
    data,
    goaway,
    reset,
    server,
    settings,
    window_update,
)
from sync_h2.constants import PREFACE, FrameType, SettingId
from sync_h2.errors import InvalidArgument, InvalidState, StreamIDsExhausted
from sync_h2.protocol.fields.headers import (
    Headers,
    encode_informational,
    encode_push,
    encode_request,
    encode_response,
    encode_trailers,
)
from sync_h2.protocol.settings import Settings, unpack_settings

ORIGIN = {"scheme": "https", "authority": "example.org"}
GET = encode_request(None, **ORIGIN)
OK = encode_response(None)
TRAILERS = encode_trailers({"a": "b"})
PUSH = encode_push({":path": "/pushed"}, **ORIGIN)


def asked(*, end_stream: bool = True, **options) -> Endpoint:
    """A server with a request on stream 1."""
    endpoint = server(**options)
    endpoint.receive(endpoint.headers(1, REQUEST if end_stream else POST, end_stream=end_stream))
    return endpoint


def unchanged(endpoint: Endpoint):
    """What a refused call must leave as it is."""
    table = endpoint.connection._table
    return (
        list(endpoint.emitted),
        list(table.encoder.header_table.dynamic_entries),
        {stream_id: stream.state for stream_id, stream in table.streams.items()},
        table.highest_outbound_stream_id,
        table.outbound_window,
        endpoint.connection.pending_settings,
    )


def refuses(endpoint: Endpoint, error, call, *arguments, match: str | None = None, **options) -> None:
    before = unchanged(endpoint)
    with pytest.raises(error, match=match):
        call(*arguments, **options)
    assert unchanged(endpoint) == before


# The connection


def test_a_client_starts_with_the_preface_and_settings():
    endpoint = Endpoint(client=True, handshake=False, values=Settings(enable_push=False), max_concurrent_streams=7)
    endpoint.connection.start()
    assert b"".join(octets for _, octets in endpoint.emitted).startswith(PREFACE)
    (frame,) = endpoint.sent()
    assert frame[:3] == (FrameType.SETTINGS, 0, 0)
    assert unpack_settings(frame.payload) == {
        "enable_push": False,
        "max_concurrent_streams": 7,
        "max_header_list_size": 65_536,
    }


def test_a_server_starts_with_settings_and_never_switches_push_on():
    endpoint = Endpoint(client=False, handshake=False, values=Settings(enable_push=True, max_concurrent_streams=3))
    endpoint.connection.start()
    (frame,) = endpoint.sent()
    assert unpack_settings(frame.payload) == {"max_concurrent_streams": 3, "max_header_list_size": 65_536}


def test_custom_settings_keep_16_bits():
    endpoint = client()
    endpoint.connection.update_settings(Settings(custom={0x4243: 5}))
    assert endpoint.sent()[0].payload == bytes.fromhex("424300000005")


def test_settings_in_force_before_and_after_the_ack():
    endpoint = client()
    connection = endpoint.connection
    connection.send_request(GET, False)
    connection.update_settings(Settings(initial_window_size=100_000, max_frame_size=20_000, header_table_size=8192))
    # The peer may go by the larger values as soon as it has them.
    assert connection.frames.max_frame_size == 20_000
    assert connection.inbound_window(1) == 100_000
    assert connection._table.decoder.max_allowed_table_size == 8192
    assert connection.local_settings.initial_window_size == 65_535
    endpoint.receive(SETTINGS_ACK)
    assert connection.local_settings.initial_window_size == 100_000
    connection.update_settings(Settings(initial_window_size=10, max_frame_size=16_384, header_table_size=0))
    # It need not know of smaller ones before it says so.
    assert connection.frames.max_frame_size == 20_000
    assert connection.inbound_window(1) == 100_000
    assert connection._table.decoder.max_allowed_table_size == 8192
    endpoint.receive(SETTINGS_ACK)
    assert connection.frames.max_frame_size == 16_384
    assert connection.inbound_window(1) == 10
    assert connection._table.decoder.max_allowed_table_size == 0
    assert connection.inbound_window() == 65_535


def test_extended_connect_cannot_be_withdrawn():
    endpoint = server(values=Settings(enable_connect_protocol=True))
    refuses(endpoint, InvalidArgument, endpoint.connection.update_settings, Settings(enable_connect_protocol=False))


def test_ping_and_goaway_are_urgent():
    endpoint = server()
    endpoint.connection.ping(b"12345678")
    endpoint.connection.goaway(2, 5, b"why")
    assert [urgent for urgent, _ in endpoint.emitted] == [True, True]
    assert endpoint.sent() == [
        (FrameType.PING, 0, 0, b"12345678"),
        (FrameType.GOAWAY, 0, 0, struct.pack(">LL", 5, 2) + b"why"),
    ]


def test_goaway_never_raises_its_last_stream_id():
    endpoint = server()
    for last_stream_id in (2**31 - 1, 5, 7):
        endpoint.connection.goaway(0, last_stream_id)
    assert [struct.unpack(">LL", frame.payload)[0] for frame in endpoint.sent()] == [2**31 - 1, 5, 5]


def test_streams_go_on_after_our_goaway():
    endpoint = asked()
    endpoint.connection.goaway(0, 1)
    endpoint.connection.send_response(1, OK, False)
    endpoint.connection.send_data(1, b"x", True)
    assert [frame.type for frame in endpoint.sent()] == [FrameType.GOAWAY, FrameType.HEADERS, FrameType.DATA]


def test_wrong_arguments_for_the_connections_frames():
    endpoint = server()
    connection = endpoint.connection
    refuses(endpoint, InvalidArgument, connection.ping, b"1234567", match="8 octets")
    refuses(endpoint, InvalidArgument, connection.goaway, 0, -1, match="last stream id")
    refuses(endpoint, InvalidArgument, connection.goaway, 0, 2**31, match="last stream id")
    refuses(endpoint, InvalidArgument, connection.goaway, 0, 1, bytes(16_384), match="GOAWAY")
    refuses(endpoint, InvalidArgument, connection.altsvc, "", "h3", 0, match="origin")
    refuses(endpoint, InvalidArgument, connection.altsvc, "https://a", "h3", 1, match="origin")
    refuses(endpoint, InvalidArgument, connection.altsvc, "https://a", "x" * 16_384, 0, match="frame")
    refuses(endpoint, InvalidState, connection.altsvc, "", "h3", 1, match="not open")


def test_origin_and_altsvc():
    endpoint = asked()
    endpoint.connection.origin(["https://a"])
    endpoint.connection.altsvc("https://a", "h3", 0)
    endpoint.connection.altsvc("", "clear", 1)
    assert endpoint.sent() == [
        (FrameType.ORIGIN, 0, 0, b"\x00\x09https://a"),
        (FrameType.ALTSVC, 0, 0, b"\x00\x09https://ah3"),
        (FrameType.ALTSVC, 0, 1, b"\x00\x00clear"),
    ]


def test_priority_frames():
    endpoint = client()
    endpoint.connection.prioritize(3, True, 1, 256)
    endpoint.connection.priority_update(3, "u=1, i")
    assert endpoint.sent() == [
        (FrameType.PRIORITY, 0, 3, b"\x80\x00\x00\x01\xff"),
        (FrameType.PRIORITY_UPDATE, 0, 0, b"\x00\x00\x00\x03u=1, i"),
    ]
    prioritize = endpoint.connection.prioritize
    refuses(endpoint, InvalidArgument, prioritize, 3, False, 3, 16, match="itself")
    refuses(endpoint, InvalidArgument, prioritize, 3, False, 0, 0, match="weight")
    refuses(endpoint, InvalidArgument, prioritize, 3, False, 0, 257, match="weight")
    refuses(endpoint, InvalidArgument, prioritize, 3, False, -1, 16, match="depend")
    refuses(endpoint, InvalidArgument, endpoint.connection.priority_update, 3, "x" * 16_384, match="frame")


def test_each_role_has_its_own_calls():
    ours = client()
    connection = ours.connection
    refuses(ours, InvalidState, connection.origin, ["https://a"], match="server")
    refuses(ours, InvalidState, connection.altsvc, "https://a", "h3", 0, match="server")
    refuses(ours, InvalidState, connection.send_response, 1, OK, True, match="server")
    refuses(ours, InvalidState, connection.send_informational, 1, OK, match="server")
    refuses(ours, InvalidState, connection.push, 1, PUSH, match="server")
    ours = server()
    connection = ours.connection
    refuses(ours, InvalidState, connection.send_request, GET, True, match="client")
    refuses(ours, InvalidState, connection.prioritize, 1, False, 0, 16, match="client")
    refuses(ours, InvalidState, connection.priority_update, 1, "u=1", match="client")


# Requests


def test_requests_take_odd_ids_in_turn():
    endpoint = client()
    connection = endpoint.connection
    assert connection.next_outbound_stream_id == 1
    assert [connection.send_request(GET, True), connection.send_request(GET, False)] == [1, 3]
    first, second = endpoint.sent()
    assert first[:3] == (FrameType.HEADERS, END_HEADERS | END_STREAM, 1)
    assert second[:3] == (FrameType.HEADERS, END_HEADERS, 3)
    assert Decoder().decode(first.payload, raw=True) == GET
    assert connection.open_outbound_streams() == 2
    assert (connection.stream_state(1), connection.stream_state(3)) == ("half_closed_local", "open")
    assert connection.stream_state(5) == "idle"
    assert connection.stream_is_open(3)


def test_a_request_with_priority():
    endpoint = client()
    endpoint.connection.send_request(GET, True, (True, 0, 16))
    (frame,) = endpoint.sent()
    assert frame.flags == END_HEADERS | END_STREAM | PRIORITY
    assert frame.payload[:5] == b"\x80\x00\x00\x00\x0f"
    refuses(endpoint, InvalidArgument, endpoint.connection.send_request, GET, True, (False, 3, 16), match="itself")


def test_never_indexed_fields_go_out_as_such():
    endpoint = client()
    endpoint.connection.send_request(encode_request(Headers({"x-key": "k"}, sensitive=["x-key"]), **ORIGIN), True)
    assert Decoder().decode(endpoint.sent()[0].payload, raw=True)[-1].indexable is False


def test_a_long_block_goes_out_in_one_piece():
    endpoint = client()
    fields = encode_request({"x-long": "~" * 40_000}, **ORIGIN)
    endpoint.connection.send_request(fields, True, (False, 0, 16))
    assert len(endpoint.emitted) == 1
    frames = endpoint.sent()
    assert [frame.type for frame in frames] == [FrameType.HEADERS] + [FrameType.CONTINUATION] * (len(frames) - 1)
    assert [frame.flags for frame in frames] == [END_STREAM | PRIORITY] + [0] * (len(frames) - 2) + [END_HEADERS]
    assert all(len(frame.payload) <= 16_384 for frame in frames)
    assert len(frames) > 3
    block = b"".join(frame.payload for frame in frames)[5:]
    decoder = Decoder()
    assert decoder.decode(block, raw=True) == fields


def test_a_refused_block_never_moves_the_encoder():
    endpoint = client(max_send_header_block_length=1000)
    fields = encode_request({"x-long": "x" * 1000}, **ORIGIN)
    refuses(endpoint, InvalidArgument, endpoint.connection.send_request, fields, True, match="max_send_header_block")
    endpoint.connection.send_request(GET, True)


def test_the_peers_limit_on_streams():
    endpoint = Endpoint(client=True, handshake=False, peer_max_concurrent_streams=2)
    connection = endpoint.connection
    connection.start()
    connection.send_request(GET, True)
    connection.send_request(GET, True)
    refuses(endpoint, InvalidState, connection.send_request, GET, True, match="at most 2")
    endpoint.receive(settings())
    assert connection.peer_max_concurrent_streams == 2**31 - 1
    connection.send_request(GET, True)
    endpoint.receive(settings((SettingId.MAX_CONCURRENT_STREAMS, 3)))
    refuses(endpoint, InvalidState, connection.send_request, GET, True, match="at most 3")
    endpoint.receive(settings((SettingId.ENABLE_PUSH, 0)))
    assert connection.peer_max_concurrent_streams == 3


def test_no_requests_after_goaway():
    endpoint = client()
    endpoint.connection.send_request(GET, False)
    endpoint.receive(goaway(1))
    refuses(endpoint, InvalidState, endpoint.connection.send_request, GET, True, match="GOAWAY")
    endpoint.connection.send_data(1, b"goes on", True)


def test_stream_ids_run_out():
    endpoint = client()
    endpoint.connection._table.highest_outbound_stream_id = 2**31 - 3
    assert endpoint.connection.send_request(GET, True) == 2**31 - 1
    refuses(endpoint, StreamIDsExhausted, endpoint.connection.send_request, GET, True)


def test_extended_connect_only_after_the_peer_enabled_it():
    endpoint = client()
    fields = encode_request({":method": "CONNECT", ":protocol": "websocket"}, **ORIGIN)
    refuses(endpoint, InvalidState, endpoint.connection.send_request, fields, False, match="CONNECT")
    endpoint.receive(settings((SettingId.ENABLE_CONNECT_PROTOCOL, 1)))
    assert endpoint.connection.send_request(fields, False) == 1


# Responses


def test_a_whole_response():
    endpoint = asked(end_stream=False)
    connection = endpoint.connection
    connection.send_informational(1, encode_informational({":status": 103}))
    connection.send_informational(1, encode_informational({":status": 100}))
    connection.send_response(1, OK, False)
    connection.send_data(1, memoryview(b"abc"), False)
    connection.send_trailers(1, TRAILERS)
    assert [frame[:3] for frame in endpoint.sent()] == [
        (FrameType.HEADERS, END_HEADERS, 1),
        (FrameType.HEADERS, END_HEADERS, 1),
        (FrameType.HEADERS, END_HEADERS, 1),
        (FrameType.DATA, 0, 1),
        (FrameType.HEADERS, END_HEADERS | END_STREAM, 1),
    ]
    assert connection.stream_state(1) == "half_closed_local"
    endpoint.receive(data(1, end_stream=True))
    assert connection.stream_state(1) == "closed"
    assert connection.open_inbound_streams() == 0


def test_what_does_not_fit_the_state_is_refused():
    endpoint = asked()
    connection = endpoint.connection
    refuses(endpoint, InvalidState, connection.send_data, 1, b"x", False, match="DATA .* headers were not sent")
    refuses(endpoint, InvalidState, connection.send_trailers, 1, TRAILERS, match="trailers")
    refuses(endpoint, InvalidState, connection.send_response, 3, OK, True, match="idle")
    connection.send_response(1, OK, False)
    refuses(endpoint, InvalidState, connection.send_response, 1, OK, True, match="headers were sent")
    refuses(endpoint, InvalidState, connection.send_informational, 1, OK, match="informational")
    connection.send_data(1, b"", True)
    for call in (
        lambda: connection.send_data(1, b"x", True),
        lambda: connection.send_trailers(1, TRAILERS),
        lambda: connection.send_response(1, OK, True),
        lambda: connection.send_informational(1, OK),
        lambda: connection.push(1, PUSH),
    ):
        refuses(endpoint, InvalidState, call, match="closed")
    # The connection is none the worse for it.
    endpoint.receive(endpoint.headers(3, REQUEST, end_stream=True))
    connection.send_response(3, OK, True)


def test_a_response_that_ends_before_the_request_leaves_no_second_one():
    endpoint = asked(end_stream=False)
    endpoint.connection.send_response(1, OK, True)
    refuses(endpoint, InvalidState, endpoint.connection.send_response, 1, OK, True, match="half-closed-local")
    refuses(endpoint, InvalidState, endpoint.connection.send_data, 1, b"", True, match="half-closed-local")


def test_a_half_closed_stream_without_a_response_takes_none_after_a_reset():
    endpoint = asked()
    assert endpoint.connection.reset(1, 8)
    refuses(endpoint, InvalidState, endpoint.connection.send_response, 1, OK, True, match="closed")


# Push


def test_push():
    endpoint = asked()
    connection = endpoint.connection
    assert connection.push(1, PUSH) == 2
    assert connection.push(1, PUSH) == 4
    first, _ = endpoint.sent()
    assert first[:3] == (FrameType.PUSH_PROMISE, END_HEADERS, 1)
    assert first.payload[:4] == b"\x00\x00\x00\x02"
    assert Decoder().decode(first.payload[4:], raw=True) == PUSH
    assert connection.open_outbound_streams() == 0
    assert connection.stream_state(2) == "reserved_local"
    refuses(endpoint, InvalidState, connection.send_informational, 2, OK, match="reserved-local")
    connection.send_response(2, OK, False)
    assert connection.open_outbound_streams() == 1
    refuses(endpoint, InvalidState, connection.push, 2, PUSH, match="cannot push")
    connection.send_data(2, b"x", True)
    assert connection.open_outbound_streams() == 0
    assert connection.reset(4, 8)
    assert connection.stream_state(4) == "closed"


def test_push_that_the_client_does_not_want():
    endpoint = asked()
    endpoint.receive(settings((SettingId.ENABLE_PUSH, 0)))
    endpoint.sent()
    refuses(endpoint, InvalidState, endpoint.connection.push, 1, PUSH, match="switched server push off")


def test_push_after_goaway():
    endpoint = asked()
    endpoint.receive(goaway(0))
    refuses(endpoint, InvalidState, endpoint.connection.push, 1, PUSH, match="GOAWAY")


def test_a_pushed_response_counts_against_the_clients_limit():
    endpoint = asked()
    connection = endpoint.connection
    endpoint.receive(settings((SettingId.MAX_CONCURRENT_STREAMS, 1)))
    first, second = connection.push(1, PUSH), connection.push(1, PUSH)
    connection.send_response(first, OK, False)
    refuses(endpoint, InvalidState, connection.send_response, second, OK, True, match="at most 1")
    connection.send_data(first, b"", True)
    connection.send_response(second, OK, True)


# DATA and windows


def test_data_is_handed_on_without_a_copy_unless_it_is_small():
    handed = []
    endpoint = asked()
    endpoint.connection.send_response(1, OK, False)
    endpoint.connection._emit = lambda urgent, buffers: handed.append((urgent, buffers))
    large = memoryview(bytes(range(256)) * 8)
    small = bytearray(b"abc")
    endpoint.connection.send_data(1, large, False)
    endpoint.connection.send_data(1, memoryview(small), False)
    small.append(0)  # it is nobody else's any more
    (urgent, (header, payload)), (_, (frame,)) = handed
    assert not urgent
    assert payload is large
    assert header == b"\x00\x08\x00\x00\x00\x00\x00\x00\x01"
    assert frame == b"\x00\x00\x03\x00\x00\x00\x00\x00\x01abc"


def test_padding():
    endpoint = asked()
    endpoint.connection.send_response(1, OK, False)
    endpoint.sent()
    endpoint.connection.send_data(1, b"abc", True, padding=5)
    assert endpoint.sent() == [(FrameType.DATA, PADDED | END_STREAM, 1, b"\x05abc" + bytes(5))]
    assert endpoint.connection.outbound_window() == 65_535 - 9


def test_data_must_fit_the_frame_and_both_windows():
    endpoint = client()
    connection = endpoint.connection
    connection.send_request(GET, False)
    endpoint.sent()
    refuses(endpoint, InvalidArgument, connection.send_data, 1, bytes(16_385), False, match="frame of 16384")
    refuses(endpoint, InvalidArgument, connection.send_data, 1, bytes(16_384), False, padding=0, match="frame")
    refuses(endpoint, InvalidArgument, connection.send_data, 1, b"", False, padding=256, match="255")
    refuses(endpoint, InvalidArgument, connection.send_data, 1, b"", False, padding=-1, match="255")
    for _ in range(3):
        connection.send_data(1, bytes(16_384), False)
    assert connection.send_window(1) == connection.outbound_window() == connection.outbound_window(1) == 16_383
    refuses(endpoint, InvalidState, connection.send_data, 1, bytes(16_384), False, match="send window")
    endpoint.receive(window_update(1, 10))
    assert connection.outbound_window(1) == 16_393
    assert connection.send_window(1) == 16_383
    refuses(endpoint, InvalidState, connection.send_data, 1, bytes(16_384), False, match="send window")
    endpoint.receive(window_update(0, 1))
    connection.send_data(1, bytes(16_384), False)
    assert connection.send_window(1) == 0
    connection.send_data(1, b"", True)


def test_a_window_can_become_negative_and_the_end_still_goes_out():
    endpoint = client()
    connection = endpoint.connection
    connection.send_request(GET, False)
    connection.send_data(1, bytes(1000), False)
    endpoint.receive(settings((SettingId.INITIAL_WINDOW_SIZE, 0)))
    assert connection.send_window(1) == -1000
    refuses(endpoint, InvalidState, connection.send_data, 1, b"x", False, match="send window")
    connection.send_data(1, b"", True)
    assert connection.send_request(GET, False) == 3
    assert connection.send_window(3) == 0


def test_a_larger_frame_size_of_the_peers():
    endpoint = client()
    endpoint.receive(settings((SettingId.MAX_FRAME_SIZE, 30_000)))
    assert endpoint.connection.max_outbound_frame_size == 30_000
    endpoint.connection.send_request(GET, False)
    endpoint.connection.send_data(1, bytes(30_000), True)


def test_windows_of_streams_that_are_gone():
    endpoint = client()
    connection = endpoint.connection
    assert (connection.send_window(1), connection.outbound_window(1), connection.inbound_window(1)) == (0, 0, 0)


def test_opening_windows():
    endpoint = client()
    connection = endpoint.connection
    connection.send_request(GET, True)
    endpoint.sent()
    connection.open_window(0, 100)
    connection.open_window(1, 5)
    # The request may still be queued: the window's update must not overtake it.
    assert [urgent for urgent, _ in endpoint.emitted] == [True, False]
    assert endpoint.sent() == [
        (FrameType.WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x64"),
        (FrameType.WINDOW_UPDATE, 0, 1, b"\x00\x00\x00\x05"),
    ]
    assert (connection.inbound_window(), connection.inbound_window(1)) == (65_635, 65_540)
    endpoint.receive(endpoint.headers(1, [(b":status", b"200")]))
    connection.open_window(1, 5)
    assert [urgent for urgent, _ in endpoint.emitted] == [True]
    refuses(endpoint, InvalidArgument, connection.open_window, 0, 0, match="1 to")
    refuses(endpoint, InvalidArgument, connection.open_window, 0, 2**31, match="1 to")
    refuses(endpoint, InvalidArgument, connection.open_window, 0, 2**31 - 1, match="more than")
    refuses(endpoint, InvalidArgument, connection.open_window, 1, 2**31 - 1, match="more than")


def test_opening_the_window_of_a_stream_that_takes_nothing_more_does_nothing():
    endpoint = asked()
    endpoint.connection.open_window(1, 5)
    endpoint.connection.open_window(3, 5)
    assert endpoint.sent() == []
    assert endpoint.connection.inbound_window(1) == 65_535


def test_reset():
    endpoint = client()
    connection = endpoint.connection
    assert not connection.reset(1, 8)
    connection.send_request(GET, False)
    endpoint.sent()
    assert connection.reset(1, 8)
    assert not connection.reset(1, 8)
    assert [urgent for urgent, _ in endpoint.emitted] == [False]
    assert endpoint.sent() == [(FrameType.RST_STREAM, 0, 1, b"\x00\x00\x00\x08")]
    assert connection.open_outbound_streams() == 0
    endpoint.receive(reset(1))
    assert endpoint.sent() == []


def test_the_encoder_table_follows_the_peer_and_our_own_bound():
    endpoint = Endpoint(client=True, handshake=False, max_deflate_dynamic_table_size=100)
    endpoint.connection.start()
    assert endpoint.connection._table.encoder.header_table_size == 100
    endpoint.receive(settings((SettingId.HEADER_TABLE_SIZE, 65_536)))
    assert endpoint.connection._table.encoder.header_table_size == 100
    endpoint.receive(settings((SettingId.HEADER_TABLE_SIZE, 0)))
    endpoint.sent()
    endpoint.connection.send_request(GET, True)
    decoder = Decoder()
    decoder.decode(endpoint.sent()[0].payload, raw=True)
    assert decoder.header_table.maxsize == 0
    assert endpoint.connection.deflate_dynamic_table_size == 0


def test_table_sizes_are_shown():
    ours, theirs = client(), server()
    ours.connection.send_request(GET, True)
    assert ours.connection.deflate_dynamic_table_size > 0
    theirs.receive(b"".join(octets for _, octets in ours.emitted))
    assert theirs.connection.inflate_dynamic_table_size == ours.connection.deflate_dynamic_table_size
    assert theirs.connection.last_inbound_stream_id == 1


def test_acks_do_not_overtake_but_ping_acks_do():
    endpoint = server()
    endpoint.receive(settings())
    assert [urgent for urgent, _ in endpoint.emitted] == [False]
    assert endpoint.sent() == [(FrameType.SETTINGS, ACK, 0, b"")]
