"""ALTSVC, ORIGIN and PRIORITY_UPDATE payloads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_h2.constants import ErrorCode
from sync_h2.errors import InvalidArgument, ProtocolError
from sync_h2.protocol.frames.extension_frames import (
    build_altsvc,
    build_origin,
    build_priority_update,
    parse_altsvc,
    parse_origin,
    parse_priority_update,
)

ascii_text = st.text(st.characters(max_codepoint=127), max_size=100)


@given(ascii_text, ascii_text)
def test_altsvc_round_trip(origin, value):
    assert parse_altsvc(build_altsvc(origin, value)) == (origin, value)


def test_altsvc_on_the_wire():
    assert build_altsvc("https://a", 'h3=":1"') == b'\x00\x09https://ah3=":1"'


@given(st.lists(ascii_text), st.integers(102, 1000))
def test_origin_round_trip_in_frames_of_any_size(origins, max_length):
    payloads = build_origin(origins, max_length)
    assert all(len(payload) <= max_length for payload in payloads)
    assert [origin for payload in payloads for origin in parse_origin(payload)] == origins


def test_origin_on_the_wire():
    assert build_origin(["https://a", ""], 100) == [b"\x00\x09https://a\x00\x00"]
    assert build_origin([], 100) == [b""]


def test_an_origin_that_fits_no_frame_is_refused():
    with pytest.raises(InvalidArgument, match="does not fit"):
        build_origin(["x" * 99], 100)


@given(st.integers(0, 2**31 - 1), ascii_text)
def test_priority_update_round_trip(stream_id, value):
    assert parse_priority_update(build_priority_update(stream_id, value)) == (stream_id, value)


def test_the_reserved_bit_of_the_prioritized_stream_is_ignored():
    assert parse_priority_update(b"\x80\x00\x00\x01u=1") == (1, "u=1")


@pytest.mark.parametrize(
    "build", [lambda: build_altsvc("ü", ""), lambda: build_altsvc("", "ü"), lambda: build_origin(["ü"], 99)]
)
def test_only_ascii_goes_out(build):
    with pytest.raises(InvalidArgument, match="ASCII"):
        build()


def test_an_origin_has_at_most_65535_octets():
    with pytest.raises(InvalidArgument, match="65536"):
        build_altsvc("x" * 65_536, "")


@pytest.mark.parametrize(
    ("parse", "payload"),
    [
        (parse_altsvc, b""),
        (parse_altsvc, b"\x00"),
        (parse_altsvc, b"\x00\x02a"),
        (parse_origin, b"\x00"),
        (parse_origin, b"\x00\x01a\x00"),
        (parse_origin, b"\x00\x02a"),
        (parse_priority_update, b"\x00\x00\x00"),
    ],
)
def test_payloads_that_are_cut_short(parse, payload):
    with pytest.raises(ProtocolError) as raised:
        parse(payload)
    assert raised.value.code == ErrorCode.FRAME_SIZE_ERROR


@given(st.binary(max_size=50))
def test_any_octets_give_a_value_or_a_protocol_error(payload):
    for parse in (parse_altsvc, parse_origin, parse_priority_update):
        try:
            parse(payload)
        except ProtocolError as error:
            assert error.code == ErrorCode.FRAME_SIZE_ERROR
