"""What is taken from h2 and hpack, and for each override that they still need it.

The tests named `test_plain_h2_...` fail when h2 changes its mind; then the override that they belong to can go.
"""

from __future__ import annotations

import itertools

import h2.config
import h2.connection
import h2.errors
import h2.exceptions
import pytest
from h2.settings import SettingCodes
from h2.stream import H2StreamStateMachine
from hpack import Decoder, Encoder, HeaderTuple, HPACKDecodingError, NeverIndexedHeaderTuple
from hpack.hpack import encode_integer
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from support.octets.http2_endpoint import (
    POST,
    REQUEST,
    RESPONSE,
    Endpoint,
    client,
    data,
    frame,
    goaway,
    server,
    settings,
)
from sync_h2.constants import PREFACE, FrameType
from sync_h2.protocol.h2_overrides import (
    EncoderTable,
    HeaderDecoder,
    HeaderEncoder,
    Stream,
    StreamInputs,
    StreamState,
)


def plain_server(**options) -> h2.connection.H2Connection:
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=False, header_encoding=None, **options)
    )
    connection.initiate_connection()
    connection.receive_data(PREFACE + settings())
    connection.data_to_send()
    return connection


def plain_client() -> h2.connection.H2Connection:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    connection.initiate_connection()
    connection.receive_data(settings())
    connection.data_to_send()
    return connection


# Closed streams


def test_plain_h2_remembers_closed_streams_without_need():
    assert h2.connection.H2Connection.MAX_CLOSED_STREAMS == 65_536


def test_plain_h2_purges_closed_streams_only_when_it_counts():
    connection = plain_server()
    encoder = Encoder()
    connection.receive_data(headers_frame(encoder, 1, REQUEST, end_stream=True))
    connection.send_headers(1, RESPONSE, end_stream=True)
    assert 1 in connection.streams
    assert connection.open_inbound_streams == 0
    assert 1 not in connection.streams


def headers_frame(encoder: Encoder, stream_id: int, fields, *, end_stream: bool = False) -> bytes:
    block = encoder.encode([HeaderTuple(*field) for field in fields])
    return frame(FrameType.HEADERS, 4 | end_stream, stream_id, block)


# Settings


def test_plain_h2_applies_two_frames_at_one_ack():
    connection = plain_server()
    connection.receive_data(frame(FrameType.SETTINGS, 1, 0))  # for the first SETTINGS
    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
    connection.update_settings({SettingCodes.MAX_FRAME_SIZE: 20_000})
    connection.receive_data(frame(FrameType.SETTINGS, 1, 0))
    assert connection.local_settings.initial_window_size == 10
    assert connection.local_settings.max_frame_size == 20_000  # not acknowledged yet


# HPACK table sizes


def plain_changes(*sizes: int) -> Encoder:
    encoder = Encoder()
    encoder.encode([(b"a", b"1")])
    for size in sizes:
        encoder.header_table_size = size
    return encoder


@pytest.mark.parametrize("sizes", [(0,), (0, 0), (100, 4096), (4096,), (0, 4096, 50, 4096, 0, 60), (50, 60, 60)])
def test_a_change_of_the_encoder_table_is_always_signalled_and_in_two_steps_at_most(sizes):
    encoder, decoder = HeaderEncoder(), Decoder()
    decoder.decode(encoder.encode([HeaderTuple(b"a", b"1")]), raw=True)
    for size in sizes:
        encoder.limit_table(size)
    assert len(encoder.table_size_changes) <= 2
    decoder.max_allowed_table_size = max(sizes)
    for _ in range(2):
        decoder.decode(encoder.encode([HeaderTuple(b"b", b"2"), HeaderTuple(b"a", b"1")]), raw=True)
        assert decoder.header_table.maxsize == sizes[-1]
        assert decoder.header_table.dynamic_entries == encoder.header_table.dynamic_entries


def test_plain_hpack_forgets_a_change_when_the_size_is_set_once_more():
    assert plain_changes(0, 0).encode([(b":method", b"GET")])[0] & 0xE0 != 0x20


def test_plain_hpack_signals_every_step():
    assert len(plain_changes(*[0, 4096] * 100).table_size_changes) == 200


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b":method", b":status", b"date", b"cookie", b"x"]),
            st.sampled_from([b"", b"GET", b"200", b"1", b"2"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_fields_are_found_where_hpack_finds_them(fields):
    """Its own table looks into a dict that all threads share, and plain dicts are locked for that on 3.13t."""
    ours, theirs = EncoderTable(), HeaderTable()
    for name, value in fields:
        assert ours.search(name, value) == theirs.search(name, value)
        for table in (ours, theirs):
            table.add(name, value)


def test_the_encoder_has_a_table_that_no_other_thread_locks():
    assert isinstance(HeaderEncoder().header_table, EncoderTable)


def literals(rest: int) -> bytes:
    """Small literals before a long one: for each of them plain hpack copies all that follows."""
    return b"\x00\x01a\x00" * 3000 + b"\x00\x01a" + encode_integer(rest, 7) + b"x" * rest


def octets_copied(decoder: Decoder, block: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    """What hpack is given for all literals of a block, for it copies all that it is given for each."""
    given: list[int] = []
    decode_literal = Decoder._decode_literal

    def counted(self, data, should_index):
        given.append(len(data))
        return decode_literal(self, data, should_index)

    decoder.max_header_list_size = 10**6
    with monkeypatch.context() as patched:
        patched.setattr(Decoder, "_decode_literal", counted)
        assert len(decoder.decode(block, raw=True)) == 3001
    return sum(given)


def test_decoding_copies_in_proportion_and_plain_hpack_does_not(monkeypatch):
    block = literals(100_000)
    assert octets_copied(HeaderDecoder(), block, monkeypatch) < 2 * len(block)
    assert octets_copied(Decoder(), block, monkeypatch) > 1000 * len(block)


def test_size_updates_in_a_block_are_bounded_and_in_plain_hpack_are_not():
    block = b"\x20" * 1000 + b"\x3f\xe1\x1f\x82"
    assert Decoder().decode(block, raw=True) == [(b":method", b"GET")]
    with pytest.raises(HPACKDecodingError, match="table size"):
        HeaderDecoder().decode(block, raw=True)
    decoder = HeaderDecoder()
    for _ in range(40):
        assert decoder.decode(block[-8:], raw=True) == [(b":method", b"GET")]


@given(
    st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=600), st.booleans()), max_size=20),
    st.booleans(),
    st.integers(0, 5000),
)
def test_the_decoder_is_otherwise_hpacks(fields, huffman, cut):
    marked = [(NeverIndexedHeaderTuple if never else HeaderTuple)(name, value) for name, value, never in fields]
    block = Encoder().encode(marked, huffman=huffman)
    assert outcome(HeaderDecoder(), block) == outcome(Decoder(), block)
    assert outcome(HeaderDecoder(), block[:-cut]) == outcome(Decoder(), block[:-cut])


def outcome(decoder: Decoder, block: bytes):
    try:
        return [(field, field.indexable) for field in decoder.decode(block, raw=True)]
    except HPACKDecodingError:
        return "error"


# What is not h2's at all: its frame parser, its connection's state, its classification of errors


def test_plain_h2_drops_the_events_of_good_frames_before_a_bad_one():
    connection, encoder = plain_server(), Encoder()
    good = headers_frame(encoder, 1, REQUEST)
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.receive_data(good + frame(FrameType.PING, 0, 1, bytes(8)))

    ours = server()
    assert [type(event).__name__ for event in ours.receive(ours.headers(1, REQUEST))] == ["RequestReceived"]


def test_plain_h2_reads_a_frame_that_is_too_long_to_its_end():
    connection = plain_server()
    announced = frame(FrameType.DATA, 0, 1, bytes(1_000_000))
    connection.receive_data(announced[:900_000])
    assert len(connection.incoming_buffer._data) >= 900_000


def test_plain_h2_does_not_ask_for_settings_first():
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    assert connection.receive_data(PREFACE + headers_frame(Encoder(), 1, REQUEST))


@pytest.mark.parametrize("received", [True, False])
def test_plain_h2_closes_on_goaway(received):
    connection = plain_client()
    connection.send_headers(1, POST)
    if received:
        connection.receive_data(goaway(1))
        assert connection.data_to_send() == b""  # the request went with it
    else:
        connection.close_connection()
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.send_data(1, b"rest")


def plain_error(connection: h2.connection.H2Connection, octets: bytes) -> h2.exceptions.ProtocolError:
    with pytest.raises(h2.exceptions.ProtocolError) as raised:
        connection.receive_data(octets)
    return raised.value


def test_plain_h2_takes_malformed_headers_for_a_connection_error():
    plain_error(plain_server(), headers_frame(Encoder(), 1, [*REQUEST, (b"Upper", b"x")]))
    connection = plain_client()
    connection.send_headers(1, REQUEST)
    plain_error(connection, headers_frame(Encoder(), 1, [(b"no", b"status")]))


def test_plain_h2_takes_a_content_length_mismatch_for_a_connection_error():
    post = headers_frame(Encoder(), 1, [*POST, (b"content-length", b"5")])
    plain_error(plain_server(), post + data(1, b"123", end_stream=True))


def test_plain_h2_takes_a_zero_window_update_for_a_connection_error():
    plain_error(plain_server(), headers_frame(Encoder(), 1, POST) + frame(FrameType.WINDOW_UPDATE, 0, 1, bytes(4)))


def test_plain_h2_takes_a_stream_over_the_limit_for_a_connection_error():
    connection, encoder = plain_server(), Encoder()
    for stream_id in range(1, 201, 2):
        connection.receive_data(headers_frame(encoder, stream_id, POST))
    assert isinstance(plain_error(connection, headers_frame(encoder, 201, POST)), h2.exceptions.TooManyStreamsError)


@pytest.mark.parametrize(
    "fields",
    [
        [(b":method", b""), *REQUEST[1:]],
        [(b":method", b"G E T"), *REQUEST[1:]],
        [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]],
    ],
)
def test_plain_h2_accepts_requests_that_it_should_not(fields):
    assert plain_server().receive_data(headers_frame(Encoder(), 1, fields))


@pytest.mark.parametrize("status", [b"", b"abc", b"2000", b"101"])
def test_plain_h2_accepts_statuses_that_do_not_exist(status):
    connection = plain_client()
    connection.send_headers(1, REQUEST)
    assert connection.receive_data(headers_frame(Encoder(), 1, [(b":status", status)]))


def test_plain_h2_has_a_broken_encoder_after_a_send_headers_that_raised():
    connection = plain_client()
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.send_headers(1, [*REQUEST, (b"x-new", b"1"), (b":path", b"/")])
    assert connection.encoder.header_table.dynamic_entries


def test_plain_h2_closes_on_misuse():
    connection = plain_client()
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.reset_stream(1)
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.send_headers(1, REQUEST)


def test_plain_h2_takes_a_compression_error_for_a_protocol_error():
    error = plain_error(plain_server(), frame(FrameType.HEADERS, 4, 1, b"\x80"))
    assert error.error_code == h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_plain_h2_masks_custom_setting_ids():
    connection = plain_client()
    connection.update_settings({0x4243: 1})
    assert connection.data_to_send().endswith(b"\x00\x43\x00\x00\x00\x01")


def test_plain_h2_accepts_content_length_with_a_request_that_has_no_content():
    post = headers_frame(Encoder(), 1, [*POST, (b"content-length", b"5")], end_stream=True)
    assert plain_server().receive_data(post)


def test_plain_h2_accepts_a_short_body_that_trailers_end():
    encoder = Encoder()
    octets = headers_frame(encoder, 1, [*POST, (b"content-length", b"5")]) + data(1, b"1")
    assert plain_server().receive_data(octets + headers_frame(encoder, 1, [(b"a", b"b")], end_stream=True))


def test_plain_h2_refuses_the_end_of_a_304_that_announces_a_length():
    connection = plain_client()
    connection.send_headers(1, REQUEST, end_stream=True)
    not_modified = headers_frame(Encoder(), 1, [(b":status", b"304"), (b"content-length", b"5")])
    plain_error(connection, not_modified + data(1, end_stream=True))


def test_plain_h2_sends_extended_connect_unasked():
    connection = plain_client()
    connection.send_headers(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:]])


def test_plain_h2_reorders_cookies():
    connection = plain_server()
    events = connection.receive_data(
        headers_frame(Encoder(), 1, [*REQUEST, (b"cookie", b"a=1"), (b"accept", b"x"), (b"cookie", b"b=2")])
    )
    assert events[0].headers[-1] == (b"cookie", b"a=1; b=2")


def test_plain_h2_lets_floods_pass():
    connection, encoder = plain_server(), Encoder()
    for stream_id in range(1, 4001, 2):
        connection.receive_data(
            headers_frame(encoder, stream_id, REQUEST) + frame(FrameType.RST_STREAM, 0, stream_id, bytes(4))
        )
    connection.receive_data(headers_frame(encoder, 4001, POST) + data(4001) * 2000)


def test_plain_h2_raises_when_the_window_of_a_closed_stream_is_opened():
    connection = plain_client()
    connection.send_headers(1, REQUEST)
    connection.reset_stream(1)
    with pytest.raises(h2.exceptions.ProtocolError):
        connection.increment_flow_control_window(5, 1)

    ours = client()
    ours.receive(b"")
    assert ours.connection.open_window(1, 5) is None


def test_the_connection_works_against_plain_h2_in_both_roles():
    for ours_is_client in (True, False):
        ours = Endpoint(client=ours_is_client, handshake=False)
        theirs = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=not ours_is_client, header_encoding=None)
        )
        theirs.initiate_connection()
        ours.connection.start()
        exchange(ours, theirs)
        assert ours.connection.settings_received
        assert ours.connection.pending_settings == 0


def exchange(ours: Endpoint, theirs: h2.connection.H2Connection) -> tuple[list, list]:
    """Carry octets until neither side has any; the events of both."""
    our_events, their_events = [], []
    while True:
        octets = b"".join(buffer for _, buffer in ours.emitted)
        ours.emitted.clear()
        if octets:
            their_events += theirs.receive_data(octets)
        answer = theirs.data_to_send()
        if answer:
            our_events += ours.receive(answer)
        if not octets and not answer:
            return our_events, their_events


FLAGS = ("client", "headers_sent", "trailers_sent", "headers_received", "trailers_received")


def h2s_part(machine: H2StreamStateMachine):
    """What h2 knows of a stream."""
    return {name: vars(machine)[name] for name in vars(H2StreamStateMachine(1))}


def outcome_of(machine: H2StreamStateMachine, stream_input: StreamInputs):
    try:
        machine.process_input(stream_input)
    except h2.exceptions.ProtocolError as error:
        return type(error), h2s_part(machine)
    return h2s_part(machine)


def test_a_new_stream_is_what_h2_makes():
    assert h2s_part(Stream(7, 10, 20)) == vars(H2StreamStateMachine(7))


@pytest.mark.parametrize("state", StreamState)
def test_a_stream_makes_h2s_transitions(state):
    """Every input in every state, whatever has been sent and received before."""
    for flags in itertools.product((None, False, True), repeat=len(FLAGS)):
        for stream_input in StreamInputs:
            machines = [H2StreamStateMachine(1), Stream(1, 0, 0)]
            for machine in machines:
                vars(machine).update(zip(FLAGS, flags, strict=True), state=state)
            expected, ours = (outcome_of(machine, stream_input) for machine in machines)
            assert ours == expected, (flags, stream_input)
