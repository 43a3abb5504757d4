"""Received header blocks: requests, responses, trailers, promises, and what is wrong with them."""

from __future__ import annotations

import pytest

from support.octets.http2_endpoint import (
    END_HEADERS,
    GET,
    POST,
    PRIORITY,
    REQUEST,
    RESPONSE,
    SETTINGS_ACK,
    Endpoint,
    asking,
    client,
    data,
    frame,
    only_reset,
    reset,
    server,
    settings,
)
from sync_h2.constants import ErrorCode, FrameType
from sync_h2.errors import ProtocolError
from sync_h2.protocol.events import (
    DataDiscarded,
    DataReceived,
    HeaderListTooLarge,
    InformationalReceived,
    PriorityReceived,
    PushPromiseReceived,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from sync_h2.protocol.fields.header_blocks import pack_priority
from sync_h2.protocol.fields.headers import encode_request, encode_response
from sync_h2.protocol.limits import LimitReached
from sync_h2.protocol.settings import Settings

HEAD = encode_request({":method": "HEAD"}, scheme="https", authority="example.org")


def connection_error(endpoint: Endpoint, octets: bytes, code: int = ErrorCode.PROTOCOL_ERROR) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        endpoint.receive(octets)
    assert raised.value.code == code
    return raised.value


# Requests


def test_a_request_with_body_and_trailers():
    endpoint = server()
    events = endpoint.receive(
        endpoint.headers(1, POST) + data(1, b"abc") + endpoint.headers(1, [(b"digest", b"x")], end_stream=True)
    )
    assert events == [
        RequestReceived(1, {name.decode(): value.decode() for name, value in POST}, False),
        DataReceived(1, b"abc", 3, False),
        TrailersReceived(1, {"digest": "x"}),
    ]
    assert endpoint.connection.last_inbound_stream_id == 1
    assert endpoint.connection.stream_state(1) == "half_closed_remote"


def test_a_request_without_body():
    endpoint = server()
    (event,) = endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True))
    assert event.end_stream
    assert event.headers[":path"] == "/"


def test_a_request_with_priority():
    endpoint = server()
    octets = endpoint.headers(1, REQUEST, flags=END_HEADERS | PRIORITY, prefix=pack_priority(True, 7, 200))
    _, event = endpoint.receive(octets)
    assert event == PriorityReceived(1, True, 7, 200)


def test_a_request_that_depends_on_itself_is_a_stream_error():
    endpoint = server()
    octets = endpoint.headers(1, REQUEST, flags=END_HEADERS | PRIORITY, prefix=pack_priority(False, 1, 16))
    only_reset(endpoint, endpoint.receive(octets), 1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b":method", b"")],
        [*REQUEST, (b"Upper", b"x")],
        [*REQUEST, (b"connection", b"close")],
        [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]],
    ],
)
def test_a_malformed_request_is_a_stream_error(fields):
    endpoint = server()
    only_reset(endpoint, endpoint.receive(endpoint.headers(1, fields)), 1, ErrorCode.PROTOCOL_ERROR)
    # What was under way is ignored; the next request is served.
    assert endpoint.receive(data(1, b"x") + endpoint.headers(1, [(b"a", b"b")], end_stream=True)) == [
        DataDiscarded(1, 1)
    ]
    assert isinstance(endpoint.receive(endpoint.headers(3, REQUEST))[0], RequestReceived)
    assert endpoint.connection.open_inbound_streams() == 1


def test_content_length_with_a_request_that_ends_at_once_is_a_stream_error():
    endpoint = server()
    octets = endpoint.headers(1, [*POST, (b"content-length", b"5")], end_stream=True)
    assert "content-length is 5" in only_reset(endpoint, endpoint.receive(octets), 1, ErrorCode.PROTOCOL_ERROR).reason


def test_content_length_0_may_end_at_once():
    endpoint = server()
    assert len(endpoint.receive(endpoint.headers(1, [*POST, (b"content-length", b"0")], end_stream=True))) == 1


@pytest.mark.parametrize(
    ("bodies", "good"),
    [
        ([b"12345"], True),
        ([b"123", b"45", b""], True),
        ([b"1234"], False),
        ([b"123456"], False),
        ([b"123", b"456"], False),
        ([b""], False),
    ],
)
@pytest.mark.parametrize("trailers", [True, False])
def test_content_length_is_counted(bodies, good, trailers):
    endpoint = server()
    octets = endpoint.headers(1, [*POST, (b"content-length", b"5")])
    octets += b"".join(data(1, body) for body in bodies[:-1])
    octets += data(1, bodies[-1], end_stream=not trailers)
    events = endpoint.receive(octets)
    if trailers and endpoint.connection.stream_is_open(1):
        events += endpoint.receive(endpoint.headers(1, [(b"a", b"b")], end_stream=True))
    if good:
        assert not [event for event in events if isinstance(event, StreamReset)]
        assert endpoint.connection.stream_state(1) == "half_closed_remote"
    else:
        only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)
    credit = sum(event.flow_controlled_length for event in events if isinstance(event, DataReceived | DataDiscarded))
    assert credit == 65_535 - endpoint.connection.inbound_window()


def test_extended_connect_when_we_enabled_it():
    endpoint = server(values=Settings(enable_connect_protocol=True))
    fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]]
    (event,) = endpoint.receive(endpoint.headers(1, fields))
    assert event.headers[":protocol"] == "websocket"


def test_trailers_that_do_not_end_the_stream_are_a_stream_error():
    endpoint = server()
    events = endpoint.receive(endpoint.headers(1, POST) + endpoint.headers(1, [(b"a", b"b")]))
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)


def test_trailers_with_pseudo_headers_are_a_stream_error():
    endpoint = server()
    events = endpoint.receive(endpoint.headers(1, POST) + endpoint.headers(1, REQUEST, end_stream=True))
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)


def test_headers_after_the_end_of_the_stream_are_a_stream_error():
    endpoint = server()
    events = endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True) + endpoint.headers(1, [(b"a", b"b")]))
    only_reset(endpoint, events, 1, ErrorCode.STREAM_CLOSED)


def test_a_stream_over_the_limit_is_refused_with_its_header_block_decoded():
    endpoint = server(max_concurrent_streams=1)
    endpoint.receive(endpoint.headers(1, POST))
    fields = [*REQUEST, (b"x-new", b"for the table")]
    event = only_reset(endpoint, endpoint.receive(endpoint.headers(3, fields)), 3, ErrorCode.REFUSED_STREAM)
    assert "streams" in event.reason
    endpoint.receive(reset(1))
    (event,) = endpoint.receive(endpoint.headers(5, fields))
    assert event.headers["x-new"] == "for the table"


def test_the_limit_is_that_of_the_settings_where_they_state_one():
    endpoint = server(values=Settings(max_concurrent_streams=0))
    only_reset(endpoint, endpoint.receive(endpoint.headers(1, REQUEST)), 1, ErrorCode.REFUSED_STREAM)


def test_refused_streams_in_a_row_end_the_session():
    endpoint = server(max_concurrent_streams=0, max_session_rejected_streams=3)
    for stream_id in (1, 3, 5):
        endpoint.receive(endpoint.headers(stream_id, REQUEST))
    error = connection_error(endpoint, endpoint.headers(7, REQUEST), ErrorCode.ENHANCE_YOUR_CALM)
    assert isinstance(error, LimitReached)
    assert error.limit == "max_session_rejected_streams"


def test_a_client_that_cannot_know_the_limit_yet_is_only_refused():
    endpoint = Endpoint(client=False, handshake=False, max_concurrent_streams=0, max_session_rejected_streams=3)
    endpoint.connection.start()
    endpoint.receive(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings())
    for stream_id in range(1, 21, 2):
        endpoint.receive(endpoint.headers(stream_id, REQUEST))
    endpoint.receive(SETTINGS_ACK)
    for stream_id in range(21, 27, 2):
        endpoint.receive(endpoint.headers(stream_id, REQUEST))
    connection_error(endpoint, endpoint.headers(27, REQUEST), ErrorCode.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("stream_id", [2, 0])
def test_requests_on_ids_that_are_not_a_clients(stream_id):
    endpoint = server()
    connection_error(endpoint, endpoint.headers(stream_id, REQUEST))


def test_stream_ids_only_go_up():
    endpoint = server()
    endpoint.receive(endpoint.headers(5, REQUEST, end_stream=True))
    assert connection_error(endpoint, endpoint.headers(3, REQUEST)).stream_id == 3


def test_headers_on_closed_streams():
    # RFC 9113 section 5.1: by END_STREAM, by our RST_STREAM, by the peer's.
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True))
    endpoint.connection.send_response(1, encode_response(None), True)
    connection_error(endpoint, endpoint.headers(1, REQUEST), ErrorCode.STREAM_CLOSED)

    endpoint = server()
    endpoint.receive(endpoint.headers(1, POST))
    endpoint.connection.reset(1, 8)
    endpoint.sent()
    assert endpoint.receive(endpoint.headers(1, [(b"a", b"b")], end_stream=True)) == []
    assert endpoint.sent() == []

    endpoint = server()
    endpoint.receive(endpoint.headers(1, POST) + reset(1))
    only_reset(endpoint, endpoint.receive(endpoint.headers(1, [(b"a", b"b")])), 1, ErrorCode.STREAM_CLOSED)


def test_headers_for_streams_that_are_gone_are_counted():
    endpoint = server(max_session_invalid_frames=3)
    endpoint.receive(endpoint.headers(1, POST))
    endpoint.connection.reset(1, 8)
    for _ in range(3 + 3):  # three may have been under way when the RST_STREAM left
        endpoint.receive(endpoint.headers(1, [(b"a", b"b")]))
    error = connection_error(endpoint, endpoint.headers(1, [(b"a", b"b")]), ErrorCode.ENHANCE_YOUR_CALM)
    assert isinstance(error, LimitReached)
    assert error.limit == "max_session_invalid_frames"


def test_streams_above_our_goaway_are_ignored_and_decoded():
    endpoint = server()
    endpoint.receive(endpoint.headers(1, POST))
    endpoint.connection.refuse_streams_above(1)
    fields = [*POST, (b"x-new", b"for the table")]
    assert endpoint.receive(endpoint.headers(3, fields) + data(3, b"abc") + data(1, b"x")) == [
        DataDiscarded(3, 3),
        DataReceived(1, b"x", 1, False),
    ]
    assert endpoint.sent() == []
    (trailers,) = endpoint.receive(endpoint.headers(1, [(b"x-new", b"for the table")], end_stream=True))
    assert trailers.headers["x-new"] == "for the table"


def test_a_request_over_the_announced_sizes_is_opened_to_be_answered():
    endpoint = server(max_header_pairs=5)
    events = endpoint.receive(endpoint.headers(1, [*REQUEST, (b"a", b"b"), (b"c", b"d")], end_stream=True))
    (event,) = events
    assert (event.stream_id, event.end_stream, event.method) == (1, True, "GET")
    assert event.headers == {name.decode(): value.decode() for name, value in REQUEST if name.startswith(b":")}
    endpoint.connection.send_response(1, encode_response({":status": 431}), True)

    endpoint = server(max_header_list_size=200)
    (event,) = endpoint.receive(endpoint.headers(1, [*POST, (b"a", b"b" * 100)]))
    assert (event.stream_id, event.end_stream, event.method, event.headers[":path"]) == (1, False, "POST", "/")
    assert 0 < event.memory < 3000
    assert endpoint.receive(data(1, b"x")) == [DataReceived(1, b"x", 1, False)]


@pytest.mark.parametrize(
    "fields",
    [
        [(b":path", b"/" + b"x" * 300), *REQUEST[:3]],  # over the limits before the method has come
        [(b":method", b"G T"), *POST[1:]],
        [*POST, (b":path", b"/")],
        [*POST, (b"connection", b"close")],
        [(b":method", b"GET")],
    ],
)
def test_of_a_request_over_the_announced_sizes_nothing_is_said_that_was_not_checked(fields):
    endpoint = server(max_header_list_size=300)
    assert endpoint.receive(endpoint.headers(1, [*fields, (b"a", b"b" * 300)])) == [HeaderListTooLarge(1, False)]


def test_the_announced_size_is_that_of_the_settings_where_they_state_one():
    endpoint = server(values=Settings(max_header_list_size=100))
    assert endpoint.receive(endpoint.headers(1, REQUEST)) == [HeaderListTooLarge(1, False)]


def test_trailers_over_the_announced_size_are_a_stream_error():
    endpoint = server(max_header_list_size=300)
    endpoint.receive(endpoint.headers(1, POST))
    events = endpoint.receive(endpoint.headers(1, [(b"a", b"b" * 300)], end_stream=True))
    only_reset(endpoint, events, 1, ErrorCode.ENHANCE_YOUR_CALM)


# Responses


def test_a_whole_response():
    endpoint = asking()
    events = endpoint.receive(
        endpoint.headers(1, [(b":status", b"103"), (b"link", b"</a>")])
        + endpoint.headers(1, [(b":status", b"200"), (b"content-length", b"3")])
        + data(1, b"abc")
        + endpoint.headers(1, [(b"digest", b"x")], end_stream=True)
    )
    assert events == [
        InformationalReceived(1, {":status": "103", "link": "</a>"}),
        ResponseReceived(1, {":status": "200", "content-length": "3"}, False),
        DataReceived(1, b"abc", 3, False),
        TrailersReceived(1, {"digest": "x"}),
    ]
    assert endpoint.connection.open_outbound_streams() == 0
    assert endpoint.connection.stream_state(1) == "closed"


@pytest.mark.parametrize(
    ("fields", "end_stream"),
    [
        ([(b"no", b"status")], False),
        ([(b":status", b"2000")], False),
        ([(b":status", b"101")], False),
        ([(b":status", b"103")], True),
        ([(b":status", b"200"), (b"content-length", b"5")], True),
        ([(b":status", b"200"), (b"content-length", b"x")], False),
        ([(b":status", b"200"), (b"upgrade", b"x")], False),
    ],
)
def test_a_malformed_response_is_a_stream_error(fields, end_stream):
    endpoint = asking()
    events = endpoint.receive(endpoint.headers(1, fields, end_stream=end_stream))
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)
    assert endpoint.connection.send_request(GET, True) == 3


def test_an_informational_response_after_the_final_one_is_a_stream_error():
    endpoint = asking()
    events = endpoint.receive(endpoint.headers(1, RESPONSE) + endpoint.headers(1, [(b":status", b"103")]))
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)


def test_informational_responses_are_bounded():
    endpoint = asking()
    events = endpoint.receive(b"".join(endpoint.headers(1, [(b":status", b"102")]) for _ in range(65)))
    assert len(events) == 65
    only_reset(endpoint, events, 1, ErrorCode.ENHANCE_YOUR_CALM)


def test_informational_responses_are_bounded_by_the_size_of_a_header_list():
    endpoint = asking(max_header_list_size=4000)
    events = endpoint.receive(endpoint.headers(1, [(b":status", b"103"), (b"link", b"x" * 3000)]) * 2)
    assert len(events) == 2
    only_reset(endpoint, events[1:], 1, ErrorCode.ENHANCE_YOUR_CALM)


def test_data_before_the_response_is_a_stream_error():
    endpoint = asking()
    events = endpoint.receive(data(1, b"abc"))
    assert events[0] == DataDiscarded(1, 3)
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(("request_fields", "status"), [(HEAD, b"200"), (GET, b"304"), (HEAD, b"404")])
def test_responses_without_content_may_announce_a_length(request_fields, status):
    announcing = [(b":status", status), (b"content-length", b"5")]
    endpoint = asking(request_fields)
    assert len(endpoint.receive(endpoint.headers(1, announcing, end_stream=True))) == 1

    endpoint = asking(request_fields)
    assert len(endpoint.receive(endpoint.headers(1, announcing) + data(1, end_stream=True))) == 2
    assert endpoint.connection.stream_state(1) == "closed"

    endpoint = asking(request_fields)
    events = endpoint.receive(endpoint.headers(1, announcing) + data(1, b"12345", end_stream=True))
    only_reset(endpoint, events, 1, ErrorCode.PROTOCOL_ERROR)


def test_a_tunnels_octets_are_not_counted():
    connect = encode_request({":method": "CONNECT", ":authority": "a:1"}, scheme="https", authority="")
    endpoint = asking(connect, end_stream=False)
    endpoint.receive(endpoint.headers(1, [(b":status", b"200"), (b"content-length", b"1")]))
    assert endpoint.receive(data(1, b"more than one")) == [DataReceived(1, b"more than one", 13, False)]

    endpoint = asking(connect, end_stream=False)
    endpoint.receive(endpoint.headers(1, [(b":status", b"407"), (b"content-length", b"1")]))
    only_reset(endpoint, endpoint.receive(data(1, b"12")), 1, ErrorCode.PROTOCOL_ERROR)


def test_a_response_may_end_before_the_request_does():
    endpoint = asking(end_stream=False)
    endpoint.receive(endpoint.headers(1, RESPONSE, end_stream=True))
    assert endpoint.connection.stream_state(1) == "half_closed_remote"
    endpoint.connection.send_data(1, b"rest", True)
    assert endpoint.connection.stream_state(1) == "closed"


def test_responses_to_nothing():
    for stream_id in (1, 2):
        endpoint = client()
        connection_error(endpoint, endpoint.headers(stream_id, RESPONSE))


def test_a_response_over_the_announced_size_is_a_stream_error():
    endpoint = asking(max_header_pairs=2)
    events = endpoint.receive(endpoint.headers(1, [*RESPONSE, (b"a", b"b"), (b"c", b"d")]))
    only_reset(endpoint, events, 1, ErrorCode.ENHANCE_YOUR_CALM)


# Promises


def test_a_promise_and_its_response():
    endpoint = asking()
    connection = endpoint.connection
    events = endpoint.receive(endpoint.promise(1, 2))
    assert events == [PushPromiseReceived(1, 2, {name.decode(): value.decode() for name, value in REQUEST})]
    assert connection.stream_state(2) == "reserved_remote"
    assert connection.open_inbound_streams() == 0
    connection.open_window(2, 10)
    assert connection.inbound_window(2) == 65_545
    events = endpoint.receive(
        endpoint.headers(2, [(b":status", b"103")]) + endpoint.headers(2, RESPONSE) + data(2, b"x", end_stream=True)
    )
    assert [type(event) for event in events] == [InformationalReceived, ResponseReceived, DataReceived]
    assert connection.stream_state(2) == "closed"
    assert connection.last_inbound_stream_id == 2
    assert connection.stream_is_open(1)


def test_a_pushed_stream_counts_while_its_response_comes():
    endpoint = asking(max_concurrent_streams=2)
    endpoint.receive(endpoint.promise(1, 2) + endpoint.promise(1, 4) + endpoint.headers(2, RESPONSE))
    assert endpoint.connection.open_inbound_streams() == 1
    endpoint.connection.update_settings(Settings(max_concurrent_streams=1))
    endpoint.sent()
    only_reset(endpoint, endpoint.receive(endpoint.headers(4, RESPONSE)), 4, ErrorCode.REFUSED_STREAM)


def test_promises_are_bounded():
    endpoint = asking(max_concurrent_streams=2)
    endpoint.receive(endpoint.promise(1, 2) + endpoint.promise(1, 4))
    only_reset(endpoint, endpoint.receive(endpoint.promise(1, 6)), 6, ErrorCode.REFUSED_STREAM)


def test_a_promise_to_head_has_no_content():
    endpoint = asking()
    endpoint.receive(endpoint.promise(1, 2, [(b":method", b"HEAD"), *REQUEST[1:]]))
    events = endpoint.receive(endpoint.headers(2, [(b":status", b"200"), (b"content-length", b"5")], end_stream=True))
    assert [type(event) for event in events] == [ResponseReceived]


def test_a_promise_on_a_stream_that_we_reset_is_reset():
    endpoint = asking()
    endpoint.connection.reset(1, 8)
    endpoint.sent()
    only_reset(endpoint, endpoint.receive(endpoint.promise(1, 2)), 2, ErrorCode.CANCEL)
    assert endpoint.receive(endpoint.headers(2, RESPONSE)) == []


def test_a_promise_while_push_is_being_switched_off_is_reset():
    endpoint = asking()
    endpoint.connection.update_settings(Settings(enable_push=False))
    endpoint.sent()
    only_reset(endpoint, endpoint.receive(endpoint.promise(1, 2)), 2, ErrorCode.CANCEL)
    endpoint.receive(SETTINGS_ACK)
    connection_error(endpoint, endpoint.promise(1, 4))


@pytest.mark.parametrize(
    "fields",
    [
        POST,
        REQUEST[1:],
        [*REQUEST, (b"content-length", b"1")],
        [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]],
    ],
)
def test_a_promise_of_a_request_that_cannot_be_pushed_is_reset(fields):
    endpoint = asking(values=Settings(enable_connect_protocol=True))
    only_reset(endpoint, endpoint.receive(endpoint.promise(1, 2, fields)), 2, ErrorCode.PROTOCOL_ERROR)


def test_a_promise_over_the_announced_size_is_reset():
    endpoint = asking(max_header_pairs=4)
    only_reset(
        endpoint, endpoint.receive(endpoint.promise(1, 2, [*REQUEST, (b"a", b"b")])), 2, ErrorCode.ENHANCE_YOUR_CALM
    )


def test_promises_above_our_goaway_are_ignored():
    endpoint = asking()
    endpoint.connection.refuse_streams_above(0)
    assert endpoint.receive(endpoint.promise(1, 2) + endpoint.headers(2, RESPONSE) + data(2, b"x")) == [
        DataDiscarded(2, 1)
    ]
    assert endpoint.sent() == []


@pytest.mark.parametrize("promised", [0, 1, 3])
def test_promised_ids_are_the_servers(promised):
    endpoint = asking()
    connection_error(endpoint, endpoint.promise(1, promised))


def test_promised_ids_only_go_up():
    endpoint = asking()
    endpoint.receive(endpoint.promise(1, 4))
    connection_error(endpoint, endpoint.promise(1, 2))


@pytest.mark.parametrize("stream_id", [0, 3, 5])
def test_promises_on_idle_streams(stream_id):
    endpoint = asking()
    connection_error(endpoint, endpoint.promise(stream_id, 2))


def test_promises_on_streams_that_the_server_has_ended():
    endpoint = asking(end_stream=False)
    endpoint.receive(endpoint.headers(1, RESPONSE, end_stream=True))
    connection_error(endpoint, endpoint.promise(1, 2))

    endpoint = asking()
    endpoint.receive(endpoint.headers(1, RESPONSE, end_stream=True))
    connection_error(endpoint, endpoint.promise(1, 2))

    endpoint = asking()
    endpoint.receive(reset(1))
    connection_error(endpoint, endpoint.promise(1, 2))


def test_promises_on_pushed_streams():
    endpoint = asking()
    endpoint.receive(endpoint.promise(1, 2) + endpoint.headers(2, RESPONSE))
    connection_error(endpoint, endpoint.promise(2, 4))


def test_promises_from_clients():
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST))
    connection_error(endpoint, endpoint.promise(1, 2))


def test_headers_on_a_stream_that_we_promised():
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, end_stream=True))
    endpoint.connection.push(1, GET)
    connection_error(endpoint, endpoint.headers(2, REQUEST))


# Blocks


def test_header_block_open_tells_that_a_block_is_under_way():
    endpoint = server()
    octets = endpoint.headers(1, REQUEST, flags=0)
    assert endpoint.receive(octets) == []
    assert endpoint.connection.header_block_open
    (event,) = endpoint.receive(frame(FrameType.CONTINUATION, END_HEADERS, 1))
    assert isinstance(event, RequestReceived)
    assert not endpoint.connection.header_block_open


@pytest.mark.parametrize("frame_type", [FrameType.DATA, FrameType.HEADERS, FrameType.PING, 0xFA])
def test_nothing_comes_between_the_frames_of_a_block(frame_type):
    endpoint = server()
    endpoint.receive(endpoint.headers(1, REQUEST, flags=0))
    connection_error(endpoint, frame(frame_type, END_HEADERS, 1, bytes(8)))


def test_an_hpack_failure_is_a_compression_error():
    endpoint = server()
    connection_error(endpoint, frame(FrameType.HEADERS, END_HEADERS, 1, b"\x80"), ErrorCode.COMPRESSION_ERROR)
