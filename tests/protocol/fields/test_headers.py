"""Headers, and the encode functions that refuse everything HTTP/2 forbids before HPACK is touched."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from functools import partial
from http import HTTPStatus

import pytest
from hpack import HeaderTuple, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from sync_h2.errors import InvalidArgument
from sync_h2.protocol.fields.headers import (
    Headers,
    _responses,
    encode_informational,
    encode_push,
    encode_request,
    encode_response,
    encode_trailers,
)

ORIGIN = {"scheme": "https", "authority": "example.org"}


def test_lookup_ignores_case_and_names_are_lower_case():
    headers = Headers({"Content-Type": "text/plain"})
    assert headers["CONTENT-TYPE"] == "text/plain"
    assert "content-Type" in headers
    assert list(headers) == ["content-type"]
    assert 5 not in headers
    assert headers.get("absent") is None
    with pytest.raises(KeyError):
        headers["absent"]


def test_repeated_fields_are_joined_as_their_kind_asks():
    headers = Headers([("cookie", "a=1"), ("accept", "x"), ("cookie", "b=2"), ("set-cookie", "s=1"), ("accept", "y")])
    assert headers["cookie"] == "a=1; b=2"
    assert headers["accept"] == "x, y"
    assert headers["set-cookie"] == ["s=1"]
    assert headers.get_all("Cookie") == ["a=1", "b=2"]
    assert headers.get_all("absent") == []
    assert headers.pairs() == [
        ("cookie", "a=1"),
        ("accept", "x"),
        ("cookie", "b=2"),
        ("set-cookie", "s=1"),
        ("accept", "y"),
    ]
    assert len(headers) == 3
    assert dict(headers) == {"cookie": "a=1; b=2", "accept": "x, y", "set-cookie": ["s=1"]}


def test_values_may_be_numbers_and_lists():
    headers = Headers({":status": HTTPStatus.NOT_FOUND, "content-length": 12, "vary": ["a", "b"]})
    assert headers.pairs() == [(":status", "404"), ("content-length", "12"), ("vary", "a"), ("vary", "b")]


@pytest.mark.parametrize("value", [None, True, 1.5, b"bytes", ["a", None], object()])
def test_other_values_are_refused_and_the_name_is_told(value):
    with pytest.raises(InvalidArgument, match="'x-name'"):
        Headers({"x-name": value})


@pytest.mark.parametrize("source", [[("a", "b", "c")], ["ab"], [b"a"], [(1, "b")]])
def test_what_is_no_mapping_of_names_is_refused(source):
    with pytest.raises(InvalidArgument):
        Headers(source)


def test_assignment_replaces_every_field_of_the_name():
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    headers["A"] = ["4", "5"]
    assert headers.pairs() == [("b", "2"), ("a", "4"), ("a", "5")]
    with pytest.raises(InvalidArgument):
        headers["a"] = None
    assert headers["a"] == "4, 5"


def test_deletion():
    headers = Headers([("a", "1"), ("b", "2"), ("a", "3")])
    del headers["A"]
    assert headers.pairs() == [("b", "2")]
    with pytest.raises(KeyError):
        del headers["a"]


def test_adding_keeps_what_is_there():
    headers = Headers({"a": "1"})
    headers.add("A", 2)
    assert headers["a"] == "1, 2"


def test_sensitive_marks():
    headers = Headers({"a": "1", "b": "secret"}, sensitive=["B"])
    headers.add("C", "hidden", sensitive=True)
    assert headers.sensitive == {"b", "c"}
    assert "secret" not in repr(headers)
    assert "hidden" not in repr(headers)
    assert "'1'" in repr(headers)
    assert Headers(headers).sensitive == {"b", "c"}


def test_a_copy_is_independent():
    headers = Headers({"a": "1"}, sensitive=["a"])
    for other in (headers.copy(), copy.deepcopy(headers), pickle.loads(pickle.dumps(headers))):
        assert other == headers
        other.add("a", "2")
        other.sensitive.clear()
    assert headers.pairs() == [("a", "1")]
    assert headers.sensitive == {"a"}


def test_equality_is_that_of_the_values():
    headers = Headers([("a", "1"), ("b", "2")])
    assert headers == {"B": "2", "A": "1"}
    assert headers == Headers([("b", "2"), ("a", "1")])
    assert headers != {"a": "1"}
    assert headers != [("a", "1"), ("b", "2")]
    with pytest.raises(TypeError):
        hash(headers)


def test_received_headers_are_decoded_when_looked_at():
    wire = (HeaderTuple(b"a", b"\xe9"), NeverIndexedHeaderTuple(b"authorization", b"x"), (b"a", b"2"))
    headers = Headers.from_wire(wire)
    assert headers["a"] == "é, 2"
    assert headers.sensitive == {"authorization"}
    headers.add("b", "3")
    assert headers.pairs() == [("a", "é"), ("authorization", "x"), ("a", "2"), ("b", "3")]
    assert len(wire) == 3
    for look in (Headers.pairs, len, list, repr, Headers, copy.copy):
        assert look(Headers.from_wire(wire))
    with pytest.raises(AttributeError):
        _ = headers.nothing


def test_a_request_gets_what_it_lacks():
    assert encode_request(None, **ORIGIN) == [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/"),
        (b":authority", b"example.org"),
    ]
    given_fields = {"accept": "*/*", ":path": "/x", ":method": "POST", ":authority": "other", ":scheme": "http"}
    assert encode_request(given_fields, **ORIGIN) == [
        (b":path", b"/x"),
        (b":method", b"POST"),
        (b":authority", b"other"),
        (b":scheme", b"http"),
        (b"accept", b"*/*"),
    ]
    assert given_fields[":path"] == "/x" and len(given_fields) == 5


def test_host_takes_the_place_of_authority():
    fields = encode_request({"host": "other"}, **ORIGIN)
    assert (b"host", b"other") in fields
    assert b":authority" not in dict(fields)


def test_connect_gets_nothing_and_extended_connect_everything():
    assert encode_request({":method": "CONNECT", ":authority": "a:1"}, **ORIGIN) == [
        (b":method", b"CONNECT"),
        (b":authority", b"a:1"),
    ]
    with pytest.raises(InvalidArgument, match="CONNECT without :authority"):
        encode_request({":method": "CONNECT"}, **ORIGIN)
    extended = dict(encode_request({":method": "CONNECT", ":protocol": "websocket"}, **ORIGIN))
    assert set(extended) == {b":method", b":protocol", b":scheme", b":path", b":authority"}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"connection": "close"}, "connection"),
        ({"Keep-Alive": "5"}, "keep-alive"),
        ({"proxy-connection": "close"}, "proxy-connection"),
        ({"transfer-encoding": "chunked"}, "transfer-encoding"),
        ({"upgrade": "x"}, "upgrade"),
        ({"te": "gzip"}, "te may only say trailers"),
        ({"": "x"}, "''"),
        ({"a b": "x"}, "'a b'"),
        ({"a:b": "x"}, "'a:b'"),
        ({"näme": "x"}, "näme"),
        ({"coo\u212aie": "x"}, "ASCII"),
        ({"x": "a\r\nb: c"}, "'x' has a NUL, CR or LF"),
        ({"x": "a\0"}, "'x' has a NUL"),
        ({"x": " a"}, "'x' begins or ends"),
        ({"x": "a\t"}, "'x' begins or ends"),
        ({"x": "€"}, "latin-1"),
        ({":status": "200"}, ":status"),
        ({":unknown": "200"}, ":unknown"),
        ({":method": ""}, ":method"),
        ({":method": "G T"}, ":method"),
        ({":path": ""}, ":path"),
        ({":path": "x"}, ":path"),
        ({":path": "/a b"}, ":path"),
        ({":path": ["/", "/"]}, "':path' twice"),
        ({":scheme": "1"}, ":scheme"),
        ({":authority": ""}, ":authority"),
        ({":authority": "me@example.org"}, ":authority"),
        ({":protocol": "websocket"}, ":protocol"),
        ({"host": "a", ":authority": "b"}, "differ"),
        ({"content-length": "-1"}, "content-length"),
        ({"content-length": [1, 1]}, "only one value"),
        ({"content-type": ["a", "b"]}, "'content-type' can have only one value"),
        ([("date", "a"), ("Date", "b")], "'date' can have only one value"),
    ],
)
def test_requests_that_http2_forbids_are_refused_and_the_field_is_named(headers, message):
    with pytest.raises(InvalidArgument, match=message):
        encode_request(headers, **ORIGIN)


def test_a_response_is_200_unless_it_says_otherwise():
    assert encode_response(None) == [(b":status", b"200")]
    assert encode_response([("a", "b"), (":status", 404)]) == [(b":status", b"404"), (b"a", b"b")]


@pytest.mark.parametrize("status", ["", "20", "2000", "abc", "099", "101", "103", " 200", 99, -1])
def test_final_statuses_have_three_digits_and_are_not_informational(status):
    with pytest.raises(InvalidArgument, match=":status"):
        encode_response({":status": status})


def test_informational_responses():
    assert encode_informational({":status": 103, "link": "</a>"}) == [(b":status", b"103"), (b"link", b"</a>")]
    for status in (200, 101, 99):
        with pytest.raises(InvalidArgument, match=":status"):
            encode_informational({":status": status})


def test_trailers_have_no_pseudo_headers():
    assert encode_trailers({"Digest": "x"}) == [(b"digest", b"x")]
    with pytest.raises(InvalidArgument, match=":status"):
        encode_trailers({":status": "200"})


def test_pushed_requests_are_safe():
    assert dict(encode_push({":path": "/p"}, **ORIGIN))[b":path"] == b"/p"
    assert encode_push({":method": "HEAD"}, **ORIGIN)[0] == (b":method", b"HEAD")
    with pytest.raises(InvalidArgument, match="POST"):
        encode_push({":method": "POST"}, **ORIGIN)
    with pytest.raises(InvalidArgument, match="content-length"):
        encode_push({"content-length": 1}, **ORIGIN)


def test_secrets_are_never_indexed():
    headers = Headers(
        {
            "authorization": "Basic x",
            "proxy-authorization": "Basic x",
            "cookie": ["short=1", "long=12345678901234567890"],
            "x-key": "k",
            "accept": "*/*",
        },
        sensitive=["x-key"],
    )
    marks = {field: field.indexable for field in encode_request(headers, **ORIGIN)}
    assert marks[(b"authorization", b"Basic x")] is False
    assert marks[(b"proxy-authorization", b"Basic x")] is False
    assert marks[(b"cookie", b"short=1")] is False
    assert marks[(b"cookie", b"long=12345678901234567890")] is True
    assert marks[(b"x-key", b"k")] is False
    assert marks[(b"accept", b"*/*")] is True


# All characters: without surrogates, hypothesis first makes a table that takes as long as many tests.
CHARACTERS = st.characters()


@given(st.lists(st.tuples(st.text(CHARACTERS, max_size=8), st.text(CHARACTERS, max_size=12))))
def test_encoding_gives_fields_or_an_error_of_ours(pairs):
    try:
        fields = encode_trailers(pairs)
    except InvalidArgument:
        return
    assert [(name.decode(), value.decode("latin-1")) for name, value in fields] == Headers(pairs).pairs()


def test_two_threads_that_look_into_a_received_block_see_all_of_it() -> None:
    wire = [(b"name-%d" % number, b"value") for number in range(200)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(200):
            headers = Headers.from_wire(wire)
            barrier = threading.Barrier(2)
            seen: list[int] = []

            def look(headers: Headers = headers, barrier: threading.Barrier = barrier, seen: list[int] = seen) -> None:
                barrier.wait()
                seen.append(len(headers))

            threads = [threading.Thread(target=look) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert seen == [200, 200]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("encode", [encode_response, partial(encode_request, scheme="https", authority="example.org")])
def test_headers_that_were_encoded_before_are_looked_at_all_the_same(encode):
    """What is remembered of `good` says nothing of headers that are equal to it and mean something else."""
    for good, bad in [
        ({"x": 1}, {"x": True}),
        ({"x": (1,)}, {"x": (True,)}),
        ({"x": (1, 2)}, {"x": (1.0, 2)}),
        ({"x": "1"}, {1: "1"}),
    ]:
        encode(good)
        encode(good)
        with pytest.raises(InvalidArgument):
            encode(bad)


def test_neither_secrets_nor_long_lists_are_remembered():
    before = len(_responses._by_items)
    encode_response({"set-cookie": "session=0123456789012345678901234567890"})
    encode_response({"x": ["a", "b"]})
    encode_response({f"x-{number}": "" for number in range(33)})
    encode_response({"x": "y" * 3000})
    assert len(_responses._by_items) == before
    for number in range(1000):
        encode_response({"x-number": number})
    assert len(_responses._by_items) <= 512
