"""The rules on field lists, seen from the receiving side; the sending side's are in test_headers."""

from __future__ import annotations

import pytest

from support.octets.http2_endpoint import POST, REQUEST, RESPONSE
from sync_h2.protocol.fields.header_rules import MalformedHeaders, check_request, check_response, check_trailers


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in REQUEST if field[0] != name]


def changed(name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) if field[0] == name else field for field in REQUEST]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        (REQUEST, (b"GET", None)),
        ([*POST, (b"content-length", b"12")], (b"POST", 12)),
        ([*REQUEST, (b"te", b"Trailers")], (b"GET", None)),
        ([*REQUEST, (b"x-custom", b"\xff\t\x01")], (b"GET", None)),
        ([*REQUEST, (b"date", b"a"), (b"date", b"b")], (b"GET", None)),
        ([*REQUEST, (b"host", b"EXAMPLE.org")], (b"GET", None)),
        ([*without(b":authority"), (b"host", b"example.org")], (b"GET", None)),
        ([(b":method", b"OPTIONS"), *changed(b":path", b"*")[1:]], (b"OPTIONS", None)),
        ([(b":method", b"MY-OWN"), *REQUEST[1:]], (b"MY-OWN", None)),
        ([(b":method", b"GET"), (b":scheme", b"urn"), (b":path", b"/anything")], (b"GET", None)),
        ([(b":method", b"CONNECT"), (b":authority", b"a:1"), (b"content-length", b"0")], (b"CONNECT", None)),
        ([*REQUEST, (b"cookie", b"")], (b"GET", None)),
    ],
)
def test_good_requests(fields, result):
    assert check_request(fields, extended_connect=False) == result


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], ":method is missing"),
        (without(b":method"), ":method is missing"),
        (without(b":scheme"), ":scheme is missing"),
        (without(b":path"), ":path is missing"),
        (without(b":authority"), "neither :authority nor host"),
        (changed(b":method", b""), ":method is not a token"),
        (changed(b":method", b"GET "), "begins or ends with a space"),
        (changed(b":method", b"G\tT"), ":method is not a token"),
        (changed(b":path", b""), ":path does not begin with a slash"),
        (changed(b":path", b"*"), ":path does not begin with a slash"),
        (
            [(b":method", b"GET"), (b":scheme", b"HTTP"), (b":authority", b"a"), (b":path", b"@other.example/")],
            ":path does not begin with a slash",
        ),
        # Whoever guards paths by their beginnings is not got round by another scheme.
        ([(b":method", b"GET"), (b":scheme", b"urn"), (b":path", b"anything")], ":path does not begin with a slash"),
        ([(b":method", b"GET"), (b":scheme", b"HTTPS"), (b":path", b"/")], "neither :authority nor host"),
        (changed(b":path", b"/\x7f"), ":path has a space, a control character"),
        (changed(b":path", b"/a#b"), ":path has a space, a control character or '#'"),
        (changed(b":authority", b""), "neither :authority nor host"),
        (changed(b":authority", b"a b"), ":authority is not a host"),
        (changed(b":scheme", b"ht tp"), ":scheme is not a scheme"),
        ([*REQUEST, (b":path", b"/")], "after|twice"),
        ([*REQUEST[:2], REQUEST[0], *REQUEST[2:]], "':method' twice"),
        ([*REQUEST[:2], (b"accept", b"x"), *REQUEST[2:]], "':authority' after other fields"),
        ([*REQUEST, (b"X-Upper", b"x")], "'X-Upper' is not the name of a field"),
        ([*REQUEST, (b"", b"x")], "'' is not the name"),
        ([*REQUEST, (b"a\xff", b"x")], "is not the name of a field"),
        ([*REQUEST, (b"host", b"other")], "differ"),
        ([*REQUEST, (b"content-length", b"1"), (b"content-length", b"2")], "content-length twice"),
        ([*REQUEST, (b"content-length", b"1"), (b"content-length", b"1")], "content-length twice"),
        ([*REQUEST, (b"content-length", b"+1")], "content-length is not a number"),
        ([*REQUEST, (b"content-length", b"1, 1")], "content-length is not a number"),
        ([*REQUEST, (b"content-length", b"9" * 5000)], "content-length is not a number"),
        ([*REQUEST, (b"x", b"a\nb")], "NUL, CR or LF"),
        ([*REQUEST, (b":protocol", b"websocket")], "after other fields|ENABLE_CONNECT"),
        ([(b":method", b"CONNECT"), (b":authority", b"a"), (b":path", b"/")], ":path with CONNECT"),
        ([(b":method", b"CONNECT"), (b":authority", b"a"), (b":scheme", b"https")], ":scheme with CONNECT"),
        ([(b":method", b"CONNECT"), (b":protocol", b"x"), *REQUEST[1:]], "ENABLE_CONNECT_PROTOCOL"),
    ],
)
def test_malformed_requests(fields, message):
    with pytest.raises(MalformedHeaders, match=message):
        check_request(fields, extended_connect=False)


def test_extended_connect():
    fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:], (b"content-length", b"0")]
    assert check_request(fields, extended_connect=True) == (b"CONNECT", None)
    with pytest.raises(MalformedHeaders, match=":path is missing"):
        check_request(fields[:-2], extended_connect=True)
    with pytest.raises(MalformedHeaders, match="only CONNECT has one"):
        check_request([*REQUEST, (b":protocol", b"websocket")], extended_connect=True)
    with pytest.raises(MalformedHeaders, match="with CONNECT, which has no content"):
        check_request([*fields[:-1], (b"content-length", b"5")], extended_connect=True)
    with pytest.raises(MalformedHeaders, match=":protocol is not a token"):
        check_request([fields[0], (b":protocol", b"a b"), *fields[2:]], extended_connect=True)


@pytest.mark.parametrize("status", [b"100", b"200", b"599", b"999"])
def test_good_responses(status):
    assert check_response([(b":status", status), (b"content-length", b"3")]) == (status, 3)


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"099", b"101", b"2 0", b"+20", b"\xb2\xb2\xb2"])
def test_statuses_that_do_not_exist(status):
    with pytest.raises(MalformedHeaders, match=":status"):
        check_response([(b":status", status)])


def test_responses_have_a_status_and_no_request_fields():
    with pytest.raises(MalformedHeaders, match=":status is missing"):
        check_response([(b"content-type", b"x")])
    with pytest.raises(MalformedHeaders, match="':path' is not allowed here"):
        check_response([*RESPONSE, (b":path", b"/")])


@pytest.mark.parametrize(
    ("name", "meant"), [(b":methd", ":method"), (b":patth", ":path"), (b":authorty", ":authority")]
)
def test_a_mistyped_pseudo_header_field(name, meant):
    with pytest.raises(MalformedHeaders, match=f"not allowed here; did you mean '{meant}'\\?"):
        check_request([(name, b"x"), *REQUEST], extended_connect=True)
    for stranger in (b":unlike", b":" + b"method" * 10_000):
        with pytest.raises(MalformedHeaders, match=r"not allowed here$"):
            check_request([(stranger, b"x"), *REQUEST], extended_connect=True)


def test_trailers():
    check_trailers([(b"a", b"b")])
    check_trailers([])
    with pytest.raises(MalformedHeaders, match="':status' is not allowed here"):
        check_trailers(RESPONSE)
    with pytest.raises(MalformedHeaders, match="connection-specific"):
        check_trailers([(b"upgrade", b"x")])


def test_what_is_shown_of_a_value_is_bounded_and_printable():
    with pytest.raises(MalformedHeaders) as raised:
        check_trailers([(b"\x1b\xff" * 10_000, b"")])
    assert str(raised.value).isprintable()
    assert str(raised.value).isascii()
    assert len(str(raised.value)) < 1000


def test_a_request_with_two_hosts_is_malformed():
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x")]
    check_request([*fields, (b"host", b"x")], extended_connect=False)
    with pytest.raises(MalformedHeaders, match="host twice"):
        check_request([*fields, (b"host", b"evil"), (b"host", b"x")], extended_connect=False)
