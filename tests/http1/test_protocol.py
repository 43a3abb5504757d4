"""The adapter between streams and HTTP/1: octets in, events out; calls in, octets out."""

from __future__ import annotations

from typing import Any

import pytest

from support.octets.http1_endpoint import Endpoint
from sync_h2 import ErrorCode, InvalidState
from sync_h2.http1.exchange import MOST_DISCARDED
from sync_h2.http1.request_heads import UnreadableRequest
from sync_h2.http1.state import MOST_HELD
from sync_h2.protocol.events import DataDiscarded, DataReceived, RequestReceived, TrailersReceived
from sync_h2.protocol.fields.headers import encode_informational, encode_trailers
from sync_h2.protocol.sending import HeaderBlockTooLong

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def body_of(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


# -- requests


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_a_request_without_a_body_and_its_answer(step: int) -> None:
    endpoint = Endpoint()
    (request,) = endpoint.receive(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", step)
    assert isinstance(request, RequestReceived)
    assert (request.stream_id, request.end_stream, request.method) == (1, True, "GET")
    assert request.headers[":path"] == "/a"
    endpoint.respond(headers={"content-length": 2, "x-a": "b"})
    endpoint.protocol.send_data(1, b"hi", True)
    assert endpoint.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: b\r\n\r\nhi"
    assert endpoint.protocol.idle
    assert not endpoint.protocol.closes


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_bodies_with_a_length(step: int) -> None:
    endpoint = Endpoint()
    request, *pieces = endpoint.receive(POST % 10 + b"0123456789", step)
    assert not request.end_stream
    assert body_of(pieces) == b"0123456789"
    assert [piece.end_stream for piece in pieces][-1:] == [True]
    assert not any(piece.end_stream for piece in pieces[:-1])


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    "body",
    [
        b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n",
        b'00000004\r\nWiki\r\n5;ext=1;b="x y"\r\npedia\r\n000\r\n\r\n',
        b"9;a\r\nWikipedia\r\n0;last\r\n\r\n",
    ],
)
def test_bodies_in_chunks(step: int, body: bytes) -> None:
    endpoint = Endpoint()
    request, *pieces = endpoint.receive(CHUNKED + body, step)
    assert not request.end_stream
    assert body_of(pieces) == b"Wikipedia"
    assert pieces[-1].end_stream
    assert endpoint.protocol.stream_state(1) == "half_closed_remote"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_trailers_of_a_request(step: int) -> None:
    endpoint = Endpoint()
    _, *pieces, trailers = endpoint.receive(CHUNKED + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Two:2\r\n\r\n", step)
    assert body_of(pieces) == b"abc"
    assert not any(piece.end_stream for piece in pieces)
    assert isinstance(trailers, TrailersReceived)
    assert dict(trailers.headers) == {"x-sum": "1", "x-two": "2"}


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"\r\n",
        b" 4\r\nWiki\r\n",
        b"4 \r\nWiki\r\n",
        b"4 ;a\r\nWiki\r\n",
        b"0x4\r\nWiki\r\n",
        b"+4\r\nWiki\r\n",
        b"-1\r\n",
        b"4_0\r\n",
        b"4\nWiki\r\n",
        b"4\r\rWiki\r\n",
        b"4;a\rb\r\nWiki\r\n",
        b"4;a\nb\r\nWiki\r\n",
        b"4;\n\r\nWiki\r\n",
        b"4\r\nWikix\r\n",
        b"4\r\nWiki\n0\r\n\r\n",
        b"4\r\nWiki\r0\r\n\r\n",
        b"4\r\nWiki0\r\n\r\n",
        b"10000000000000000\r\n",
        b"ffffffffffffffff1\r\n",
        b"4;" + b"a" * 2000 + b"\r\nWiki\r\n",
        b"0\r\n\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\nX: y\r\n\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: y\rz\r\n\r\n",
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: x\r\n\r\n",
        b"0\r\n:path: /\r\n\r\n",
    ],
)
def test_bad_chunks(body: bytes, step: int) -> None:
    endpoint = Endpoint()
    with pytest.raises(UnreadableRequest) as caught:
        endpoint.receive(CHUNKED + body, step)
    assert caught.value.status == 400


def test_chunks_of_little_but_framing_have_an_end() -> None:
    endpoint = Endpoint()
    endpoint.receive(CHUNKED)
    with pytest.raises(UnreadableRequest):
        for _ in range(1000):
            endpoint.receive(b"1;" + b"a" * 100 + b"\r\nx\r\n")
    endpoint = Endpoint()
    endpoint.receive(CHUNKED)
    for _ in range(20_000):  # small ones alone are fine
        endpoint.receive(b"1\r\nx\r\n")


def test_trailers_have_limits() -> None:
    for trailers in (b"x: y\r\n" * 20, b"x: " + b"y" * 2000 + b"\r\n", b"x" * 2000):
        endpoint = Endpoint(max_header_list_size=1000, max_header_pairs=10)
        with pytest.raises(UnreadableRequest) as caught:
            endpoint.receive(CHUNKED + b"0\r\n" + trailers + b"\r\n", 100)
        assert caught.value.status == 431


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET /" + b"a" * 20_000, 414),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 90_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 66_000 + b"\r\n\r\n", 431),
        (b"a" * 100_000, 414),
    ],
)
@pytest.mark.parametrize("step", [4000, 1 << 20])
def test_endless_heads(octets: bytes, status: int, step: int) -> None:
    endpoint = Endpoint()
    with pytest.raises(UnreadableRequest) as caught:
        endpoint.receive(octets, step)
    assert caught.value.status == status


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\nHost: x\r\n y", b"GET\rx", b"\n"])
def test_a_bad_line_is_refused_before_the_head_is_whole(octets: bytes) -> None:
    with pytest.raises(UnreadableRequest):
        Endpoint().receive(octets, 1)


def test_an_empty_line_before_a_request_is_skipped_once() -> None:
    endpoint = Endpoint()
    assert len(endpoint.receive(b"\r\n" + GET)) == 1
    with pytest.raises(UnreadableRequest):
        Endpoint().receive(b"\r\n\r\n" + GET)


# -- one after the other


def test_pipelined_requests_wait_for_the_answer_before() -> None:
    endpoint = Endpoint()
    assert [event.stream_id for event in endpoint.receive(GET * 3)] == [1]
    assert endpoint.protocol.has_input
    for stream_id in (1, 3):
        endpoint.respond(stream_id, end_stream=True)
        assert [event.stream_id for event in endpoint.events()] == [stream_id + 2]
    assert endpoint.protocol.stream_state(3) == "closed"
    assert endpoint.protocol.stream_state(5) == "half_closed_remote"
    assert endpoint.protocol.stream_state(7) == "idle"


def test_the_same_head_again_and_many_others() -> None:
    endpoint = Endpoint()
    for number in range(200):
        octets = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (number // 2)
        (request,) = endpoint.receive(octets)
        assert request.headers[":path"] == f"/{number // 2}"
        assert "x-added" not in request.headers
        request.headers["x-added"] = "by a handler"
        endpoint.respond(request.stream_id, end_stream=True)
    assert len(endpoint.protocol._heads._heads) <= 32
    for _ in range(3):
        stream_id = endpoint.receive(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")[0].stream_id
        endpoint.respond(stream_id, end_stream=True)


def test_pipelined_octets_are_bounded() -> None:
    endpoint = Endpoint()
    endpoint.receive(GET)
    assert endpoint.protocol.wants_input
    endpoint.receive(b"x" * MOST_HELD)
    assert not endpoint.protocol.wants_input
    assert not endpoint.protocol.header_block_open


def test_the_next_request_waits_for_the_end_of_this_one_although_it_is_answered() -> None:
    endpoint = Endpoint()
    endpoint.receive(POST % 3 + b"a")
    endpoint.respond(end_stream=True)
    assert endpoint.protocol.stream_state(1) == "half_closed_local"
    data, following = endpoint.receive(b"bc" + GET)
    assert data.end_stream
    assert following.stream_id == 3


def test_a_window_bounds_what_is_handed_on() -> None:
    endpoint = Endpoint(window=10)
    assert body_of(endpoint.receive(POST % 30 + b"x" * 30)) == b"x" * 10
    assert endpoint.protocol.inbound_window(1) == 0
    endpoint.protocol.open_window(1, 15)
    assert endpoint.windows == 1
    assert body_of(endpoint.events()) == b"x" * 15
    endpoint.protocol.open_window(1, 15)
    last = endpoint.events()[-1]
    assert (last.data, last.end_stream) == (b"x" * 5, True)


def test_a_window_bounds_chunks_too() -> None:
    endpoint = Endpoint(window=10)
    assert body_of(endpoint.receive(CHUNKED + b"8\r\n01234567\r\n8\r\n89abcdef\r\n0\r\nx: y\r\n\r\n")) == b"0123456789"
    endpoint.protocol.open_window(1, 100)
    data, trailers = endpoint.events()
    assert data.data == b"abcdef"
    assert trailers.headers["x"] == "y"


def test_what_nobody_wants_of_a_body_is_skipped() -> None:
    endpoint = Endpoint()
    endpoint.receive(POST % 5 + b"ab")
    endpoint.respond(end_stream=True)
    assert endpoint.protocol.reset(1, ErrorCode.NO_ERROR)
    assert not endpoint.protocol.reset(1, ErrorCode.NO_ERROR)
    discarded, request = endpoint.receive(b"cde" + GET)
    assert discarded == DataDiscarded(1, 3)
    assert request.stream_id == 3
    assert not endpoint.protocol.closes


@pytest.mark.parametrize("chunks", [False, True])
def test_but_not_a_large_one(chunks: bool) -> None:
    endpoint = Endpoint()
    endpoint.receive(CHUNKED if chunks else POST % 1_000_000)
    endpoint.respond(end_stream=True)
    assert (b"connection: close" in endpoint.sent) is not chunks  # which has no length to go by
    endpoint.protocol.reset(1, ErrorCode.NO_ERROR)
    assert endpoint.protocol.closes is not chunks
    events = endpoint.receive(b"%x\r\n" % (MOST_DISCARDED * 2) + b"x" * MOST_DISCARDED * 2)
    assert events == [DataDiscarded(1, MOST_DISCARDED + 1)]
    assert endpoint.protocol.closes
    assert not endpoint.protocol.aborted


def test_after_an_answer_instead_of_100_the_connection_is_closed() -> None:
    endpoint = Endpoint()
    endpoint.receive(POST.replace(b"Host", b"Expect: 100-continue\r\nHost") % 3)
    endpoint.respond(headers={":status": 413}, end_stream=True)
    assert b"connection: close" in endpoint.sent
    endpoint.protocol.reset(1, ErrorCode.NO_ERROR)
    assert endpoint.receive(b"abc" + GET) == [DataDiscarded(1, 3)]


def test_after_a_100_it_is_kept() -> None:
    endpoint = Endpoint()
    endpoint.receive(POST.replace(b"Host", b"Expect: 100-continue\r\nHost") % 3)
    endpoint.protocol.send_informational(1, encode_informational({":status": 100}))
    assert endpoint.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    endpoint.respond(end_stream=True)
    assert b"connection" not in endpoint.sent
    assert len(endpoint.receive(b"abc" + GET)) == 2


# -- responses


def answer(request: bytes, headers: Any = None, body: bytes | None = b"body", trailers: Any = None) -> bytes:
    """The octets of a response to `request`; None as body: it ends with its head."""
    endpoint = Endpoint()
    endpoint.receive(request)
    if trailers is not None:
        endpoint.protocol.trailers_will_follow(1)
    endpoint.respond(headers=headers, end_stream=body is None)
    if body is not None:
        endpoint.protocol.send_data(1, memoryview(body), trailers is None)
    if trailers is not None:
        endpoint.protocol.send_trailers(1, encode_trailers(trailers))
    return endpoint.sent


OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


@pytest.mark.parametrize(
    ("request_octets", "headers", "body", "expected"),
    [
        (GET, {}, b"body", "200 OK|transfer-encoding: chunked||4|body|0||"),
        (GET, {}, b"", "200 OK|transfer-encoding: chunked||0||"),
        (GET, {"content-length": 4}, b"body", "200 OK|content-length: 4||body"),
        (GET, {":status": 201}, None, "201 Created|content-length: 0||"),
        (GET, {":status": 204}, None, "204 No Content||"),
        (GET, {":status": 205}, None, "205 Reset Content|content-length: 0||"),
        (GET, {":status": 304, "content-length": 4}, None, "304 Not Modified|content-length: 4||"),
        (GET, {":status": 299}, None, "299 |content-length: 0||"),
        (GET.replace(b"GET", b"HEAD"), {"content-length": 4}, None, "200 OK|content-length: 4||"),
        (GET.replace(b"GET", b"HEAD"), {}, None, "200 OK||"),
        (GET.replace(b"Host", b"Connection: close\r\nHost"), {}, None, "200 OK|content-length: 0|connection: close||"),
        (OLD, {}, b"body", "200 OK|connection: close||body"),
        (OLD, {"content-length": 4}, b"body", "200 OK|content-length: 4|connection: close||body"),
        (OLD_KEPT, {}, b"body", "200 OK|connection: close||body"),
        (OLD_KEPT, {"content-length": 4}, b"body", "200 OK|content-length: 4|connection: keep-alive||body"),
        (OLD_KEPT, {":status": 304}, None, "304 Not Modified|connection: keep-alive||"),
    ],
)
def test_framing(request_octets: bytes, headers: Any, body: bytes | None, expected: str) -> None:
    assert answer(request_octets, headers, body) == ("HTTP/1.1 " + expected.replace("|", "\r\n")).encode()


def test_trailers_of_a_response() -> None:
    expected = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx: y\r\nz: 1\r\n\r\n"
    assert answer(GET, {}, b"body", {"x": "y", "z": "1"}) == expected
    assert answer(GET, {"content-length": 4}, b"body", {"x": "y", "z": "1"}) == expected
    assert answer(OLD, {}, b"body", {"x": "y"}) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody"


def test_informational_responses_are_not_for_1_0() -> None:
    hints = encode_informational({":status": 103, "link": "</a>"})
    for request, options, expected in (
        (GET, {"http1_early_hints": True}, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        (GET, {}, b""),
        (OLD, {"http1_early_hints": True}, b""),
    ):
        endpoint = Endpoint(**options)
        endpoint.receive(request)
        assert endpoint.protocol.send_informational(1, hints) is bool(expected)
        assert endpoint.sent == expected


def test_100_is_for_all_of_1_1() -> None:
    endpoint = Endpoint()
    endpoint.receive(GET)
    assert endpoint.protocol.send_informational(1, encode_informational({":status": 100}))
    assert endpoint.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_phrase_of_the_handlers_own() -> None:
    for phrase, line in (("", b"200 OK"), ("Fine", b"200 Fine"), ("très bien", "200 très bien".encode("latin-1"))):
        endpoint = Endpoint()
        endpoint.receive(GET)
        endpoint.protocol.say_reason(1, phrase)
        endpoint.respond()
        assert endpoint.sent.startswith(b"HTTP/1.1 " + line + b"\r\n")


def test_long_fields_are_refused_and_nothing_is_sent() -> None:
    endpoint = Endpoint(max_send_header_block_length=100)
    endpoint.receive(GET)
    for send in (
        lambda: endpoint.respond(headers={"x": "y" * 100}),
        lambda: endpoint.protocol.send_informational(1, encode_informational({":status": 103, "x": "y" * 100})),
    ):
        with pytest.raises(HeaderBlockTooLong):
            send()
    assert endpoint.sent == b""


def test_what_cannot_be_sent_now() -> None:
    endpoint = Endpoint()
    protocol = endpoint.protocol
    block = encode_informational({":status": 103})
    with pytest.raises(InvalidState):
        endpoint.respond()
    endpoint.receive(GET)
    with pytest.raises(InvalidState):
        protocol.send_data(1, b"x", False)
    with pytest.raises(InvalidState):
        endpoint.respond(3)
    endpoint.respond()
    for call in (
        lambda: endpoint.respond(),
        lambda: protocol.send_informational(1, block),
        lambda: protocol.send_data(3, b"x", True),
        lambda: protocol.push(1, []),
        lambda: protocol.ping(bytes(8)),
        lambda: protocol.update_settings(protocol.local_settings),
    ):
        with pytest.raises(InvalidState):
            call()
    protocol.send_data(1, b"", True)
    with pytest.raises(InvalidState):
        protocol.send_data(1, b"x", True)


# -- ends


@pytest.mark.parametrize(("code", "status"), [(ErrorCode.REFUSED_STREAM, 503), (ErrorCode.INTERNAL_ERROR, 500)])
def test_an_unanswered_stream_that_fails_is_answered(code: ErrorCode, status: int) -> None:
    endpoint = Endpoint()
    endpoint.receive(GET)
    assert endpoint.protocol.reset(1, code)
    assert endpoint.sent.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in endpoint.sent
    assert endpoint.protocol.closes
    assert not endpoint.protocol.aborted


def test_an_unanswered_stream_that_is_cancelled_is_not() -> None:
    endpoint = Endpoint()
    endpoint.receive(GET)
    endpoint.protocol.reset(1, ErrorCode.CANCEL)
    assert endpoint.sent == b""
    assert endpoint.protocol.aborted


@pytest.mark.parametrize("headers", [{}, {"content-length": 10}])
def test_a_response_that_is_cut_short_does_not_look_whole(headers: Any) -> None:
    endpoint = Endpoint()
    endpoint.receive(GET + GET)
    endpoint.respond(headers=headers)
    endpoint.protocol.send_data(1, b"half", False)
    endpoint.take()
    endpoint.protocol.reset(1, ErrorCode.INTERNAL_ERROR)
    assert endpoint.sent == b""
    assert endpoint.protocol.aborted
    assert endpoint.events() == []
    assert not endpoint.protocol.cuts_what_the_end_delimits(True)
    for call in (lambda: endpoint.protocol.send_data(1, b"x", True), lambda: endpoint.respond()):
        with pytest.raises(InvalidState):
            call()


def test_one_that_the_connection_delimits_must_not_end_with_it() -> None:
    endpoint = Endpoint()
    endpoint.receive(OLD)
    endpoint.respond()
    assert endpoint.protocol.cuts_what_the_end_delimits(False)
    endpoint.protocol.send_data(1, b"all", True)
    assert not endpoint.protocol.cuts_what_the_end_delimits(False)
    assert endpoint.protocol.cuts_what_the_end_delimits(True)


def test_an_error_is_answered_once_and_only_before_the_answer() -> None:
    endpoint = Endpoint()
    endpoint.receive(b"GET ")
    assert endpoint.protocol.answer_error(400, "b\u00e4d")
    head, _, body = endpoint.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n")
    assert body == b"b\\xe4d\n"
    endpoint = Endpoint()
    endpoint.receive(CHUNKED)
    assert endpoint.protocol.answer_error(400, "bad")
    assert not endpoint.protocol.answer_error(400, "bad")
    endpoint = Endpoint()
    endpoint.receive(CHUNKED)
    endpoint.respond()
    endpoint.take()
    assert not endpoint.protocol.answer_error(400, "bad")
    assert endpoint.sent == b""


def test_after_close_no_request_is_served_and_the_answer_says_so() -> None:
    endpoint = Endpoint()
    endpoint.receive(GET + GET)
    endpoint.protocol.close()
    endpoint.respond(end_stream=True)
    assert b"connection: close" in endpoint.sent
    assert endpoint.events() == []


# -- CONNECT

CONNECT = b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"


def test_a_tunnel() -> None:
    endpoint = Endpoint()
    (request,) = endpoint.receive(CONNECT + b"early")
    assert not request.end_stream
    assert request.headers.pairs() == [(":method", "CONNECT"), (":authority", "x:443")]
    endpoint.respond()
    assert endpoint.take() == b"HTTP/1.1 200 OK\r\n\r\n"
    assert endpoint.windows == 1
    assert body_of(endpoint.events()) == b"early"
    assert body_of(endpoint.receive(GET)) == GET
    endpoint.protocol.send_data(1, b"answer", False)
    assert endpoint.take() == b"answer"
    endpoint.protocol.end_of_input(truncated=False)
    assert not endpoint.protocol.cut_short
    assert endpoint.events() == [DataReceived(1, b"", 0, True)]
    endpoint.protocol.send_data(1, b"", True)
    assert endpoint.take() == b""


def test_a_tunnel_that_is_cut_off_has_no_end() -> None:
    endpoint = Endpoint()
    endpoint.receive(CONNECT)
    endpoint.respond()
    endpoint.protocol.end_of_input(truncated=True)
    assert endpoint.events() == []
    assert endpoint.protocol.cut_short


@pytest.mark.parametrize("octets", [POST % 30 + b"x" * 30, CHUNKED + b"1e\r\n" + b"x" * 30 + b"\r\n0\r\n\r\n"])
def test_the_end_of_the_input_may_come_before_what_it_ended_with_is_handed_on(octets: bytes) -> None:
    endpoint = Endpoint(window=10)
    endpoint.receive(octets)
    endpoint.protocol.end_of_input(truncated=False)
    assert endpoint.events() == []
    assert not endpoint.protocol.cut_short
    endpoint.protocol.open_window(1, 100)
    assert endpoint.events()[-1].end_stream
    assert not endpoint.protocol.cut_short


@pytest.mark.parametrize("octets", [POST % 30 + b"x" * 29, CHUNKED + b"1e\r\n" + b"x" * 30 + b"\r\n0\r\n\r"])
def test_an_input_that_ends_in_the_middle_of_a_body(octets: bytes) -> None:
    endpoint = Endpoint(window=10)
    endpoint.receive(octets)
    endpoint.protocol.end_of_input(truncated=False)
    assert not endpoint.protocol.cut_short  # as far as can be known
    endpoint.protocol.open_window(1, 100)
    assert not endpoint.events()[-1].end_stream
    assert endpoint.protocol.cut_short


def test_a_refused_tunnel_ends_the_connection() -> None:
    endpoint = Endpoint()
    endpoint.receive(CONNECT + GET)
    endpoint.respond(headers={":status": 405}, end_stream=True)
    assert b"connection: close" in endpoint.sent
    assert endpoint.events() == []


# -- for people


def test_the_trace_hides_what_is_secret() -> None:
    endpoint = Endpoint()
    endpoint.receive(POST.replace(b"Host", b"Cookie: secret\r\nHost") % 2 + b"ab")
    endpoint.respond(headers={"set-cookie": "secret", "x": "y"})
    endpoint.protocol.send_data(1, b"abc", True)
    assert endpoint.lines == [
        "received request stream=1 version=1.1 :method='POST' :scheme='http' :authority='x' :path='/'"
        " cookie='<sensitive>' content-length='2'",
        "received body stream=1 length=2 end",
        "sent response stream=1 status=200 set-cookie='<sensitive>' x='y' transfer-encoding='chunked'",
        "sent body stream=1 length=3 end",
    ]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"3\r\nabc", b"d"),
        (b"3\r\nabc\r", b"d"),
        (b"3\r\nabc", b"\n"),
        (b"3\r\nabc\r\n", b"x"),
        (b"3\r\nabc\r\n", b"\r"),
        (b"3\r\nabc\r\n", b";"),
        (b"3", b" "),
        (b"000000000000000", b"1"),
        (b"3\r", b"a"),
        (b"3;a\r", b"a"),
        (b"0\r\n", b" "),
        (b"0\r\nx: y\r", b"z"),
    ],
)
def test_what_can_be_no_chunk_is_refused_at_its_first_octet(good: bytes, bad: bytes) -> None:
    endpoint = Endpoint()
    endpoint.receive(CHUNKED + good, 1)
    with pytest.raises(UnreadableRequest):
        endpoint.receive(bad)
