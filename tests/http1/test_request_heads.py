"""Heads of requests: what they become, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from sync_h2.http1.request_heads import RequestHead, UnreadableRequest, parse_request
from sync_h2.protocol.limits import Limits


def parse(*lines: str, **limits: Any) -> RequestHead:
    octets = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return parse_request(octets, Limits.for_server(**limits), scheme=b"http", authority=lambda: "127.0.0.1:80")


def refused(octets: bytes, **limits: Any) -> int:
    with pytest.raises(UnreadableRequest) as caught:
        parse_request(octets, Limits.for_server(**limits), scheme=b"http", authority=lambda: "127.0.0.1:80")
    return caught.value.status


def test_the_fields_are_those_of_http_2() -> None:
    head = parse("GET /path?q HTTP/1.1", "User-Agent: x", "HOST: Example.org", "X-Two: 1", "x-two: 2", "Priority: u=1")
    assert list(head.fields.fields) == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"Example.org"),
        (b":path", b"/path?q"),
        (b"user-agent", b"x"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"priority", b"u=1"),
    ]
    assert (head.method, head.version, head.content_length, head.priority) == ("GET", "1.1", 0, "u=1")
    assert head.chunked is None


def test_what_speaks_of_the_connection_is_left_out() -> None:
    head = parse(
        "GET / HTTP/1.1",
        "Host: x",
        "Connection: keep-alive, Upgrade, HTTP2-Settings, x-kept",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: gzip, trailers",
        "X-Kept: yes",
    )
    assert list(head.fields.fields[4:]) == [(b"x-kept", b"yes"), (b"te", b"trailers")]


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/", ["http", "x", "/"]),
        ("//double", ["http", "x", "//double"]),
        ("http://x/a?b", ["http", "x", "/a?b"]),
        ("HTTP://x", ["http", "x", "/"]),
        ("https://X?b", ["https", "X", "/?b"]),
        ("http://x:80/", ["http", "x:80", "/"]),
        ("https://x:443/", ["https", "x:443", "/"]),
        ("/\xc3\xa9?\xe9", ["http", "x", "/\xc3\xa9?\xe9"]),
        ("http://x/\xff", ["http", "x", "/\xff"]),
    ],
)
def test_targets(target: str, fields: list[str]) -> None:
    head = parse(f"GET {target} HTTP/1.1", "Host: x")
    assert [value.decode("latin-1") for _, value in head.fields.fields[1:]] == fields


def test_the_targets_of_options_and_connect() -> None:
    assert parse("OPTIONS * HTTP/1.1", "Host: x").fields.fields[3] == (b":path", b"*")
    assert parse("OPTIONS http://x HTTP/1.1", "Host: x").fields.fields[3] == (b":path", b"*")
    connect = parse("CONNECT x:443 HTTP/1.1", "Host: x:443")
    assert list(connect.fields.fields) == [(b":method", b"CONNECT"), (b":authority", b"x:443")]
    assert connect.is_connect


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Keep-Alive, CLOSE", False),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
        ("1.0", "keep-alive, close", False),
    ],
)
def test_keep_alive(version: str, connection: str | None, kept: bool) -> None:
    fields = [] if connection is None else [f"Connection: {connection}"]
    assert parse(f"GET / HTTP/{version}", "Host: x", *fields).keep_alive is kept


def test_version_1_0_says_in_the_target_whom_it_is_for() -> None:
    absolute = list(parse("GET http://y:80/a HTTP/1.0").fields.fields)
    assert absolute == [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"y:80"), (b":path", b"/a")]
    assert list(parse("OPTIONS http://y HTTP/1.0").fields.fields[2:]) == [(b":authority", b"y"), (b":path", b"*")]
    assert list(parse("OPTIONS * HTTP/1.0").fields.fields[2:]) == [(b":authority", b"127.0.0.1:80"), (b":path", b"*")]
    assert list(parse("CONNECT y:443 HTTP/1.0").fields.fields) == [(b":method", b"CONNECT"), (b":authority", b"y:443")]


def test_version_1_0_names_no_host_and_expects_nothing() -> None:
    head = parse("POST / HTTP/1.0", "Expect: 100-continue", "Content-Length: 3")
    assert head.version == "1.0"
    assert head.fields.fields[2] == (b":authority", b"127.0.0.1:80")
    assert (b"expect", b"100-continue") not in head.fields.fields
    assert not head.expects_continue
    assert parse("POST / HTTP/1.1", "Host: x", "Expect: 100-Continue", "Content-Length: 3").expects_continue


def test_later_minor_versions_are_served_as_1_1() -> None:
    assert parse("GET / HTTP/1.7", "Host: x").version == "1.1"


def test_octets_that_are_no_ascii_stay_what_they_are() -> None:
    head = parse("GET / HTTP/1.1", "Host: x", "X-Name: J\u00fcrgen")
    assert head.fields.fields[-1] == (b"x-name", b"J\xfcrgen")


H = b"Host: x\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        # the request line
        b"GET /\r\n" + H + b"\r\n",
        b"GET / HTTP/1.1 \r\n" + H + b"\r\n",
        b"GET  / HTTP/1.1\r\n" + H + b"\r\n",
        b"GET\t/ HTTP/1.1\r\n" + H + b"\r\n",
        b" GET / HTTP/1.1\r\n" + H + b"\r\n",
        b"GET / http/1.1\r\n" + H + b"\r\n",
        b"GET / HTTP/1.10\r\n" + H + b"\r\n",
        b"GET / HTTP/11\r\n" + H + b"\r\n",
        b"GE(T / HTTP/1.1\r\n" + H + b"\r\n",
        b"GET /a b HTTP/1.1\r\n" + H + b"\r\n",
        b"GET /\x7f HTTP/1.1\r\n" + H + b"\r\n",
        b"GET /\xff\x7f HTTP/1.1\r\n" + H + b"\r\n",
        b"GET \xff HTTP/1.1\r\n" + H + b"\r\n",
        b"GET /\xff /\xff HTTP/1.1\r\n" + H + b"\r\n",
        b"G\xffT / HTTP/1.1\r\n" + H + b"\r\n",
        b"GET /\xff HTTP/1.\xff\r\n" + H + b"\r\n",
        b"GET http://\xff/ HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"CONNECT \xff:1 HTTP/1.1\r\nHost: \xff:1\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n",
        b"GET a HTTP/1.1\r\n" + H + b"\r\n",
        b"GET ftp://x/ HTTP/1.1\r\n" + H + b"\r\n",
        b"GET * HTTP/1.1\r\n" + H + b"\r\n",
        b"GET x:443 HTTP/1.1\r\n" + H + b"\r\n",
        b"GET http://u@x/ HTTP/1.1\r\n" + H + b"\r\n",
        b"CONNECT / HTTP/1.1\r\n" + H + b"\r\n",
        b"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nContent-Length: 3\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nTransfer-Encoding: chunked\r\n\r\n",
        # Host
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + H + b"\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"Host: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: u@x\r\n\r\n",
        b"GET http://y/ HTTP/1.1\r\n" + H + b"\r\n",
        b"GET http://y/ HTTP/1.0\r\n" + H + b"\r\n",
        b"GET http://x:443/ HTTP/1.1\r\n" + H + b"\r\n",
        b"GET http:///a HTTP/1.0\r\n\r\n",
        b"CONNECT y:443 HTTP/1.0\r\nHost: x:443\r\n\r\n",
        b"CONNECT y:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
        # lines
        b"GET / HTTP/1.1\n" + H + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\r\n" + H + b"\r\n",
        b"GET / HTTP/1.1\r\n" + H + b" folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"\tfolded\r\n\r\n",
        b"GET / HTTP/1.1\r\n " + H + b"\r\n",
        # fields
        b"GET / HTTP/1.1\r\n" + H + b"X-Y : z\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b": z\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b":path: /z\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"no colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"X Y: z\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"X\xff: z\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"X: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + H + b"X: a\x0bb\r\n\r\n",
        # lengths
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\ncontent-length: 4\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3, 3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3,\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length:\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: -3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0x3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1_0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3 3\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: \xb2\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length : 3\r\n\r\n",
        # codings
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        b"POST / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding : chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding:\x0bchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\x00\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding:\r\n chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + H + b"X: y\rTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_refused_with_400(octets: bytes) -> None:
    assert refused(octets) == 400


@pytest.mark.parametrize(
    "value",
    [
        "gzip",
        "identity",
        "xchunked",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, identity",
        "chunked;q=1",
        '"chunked"',
        "",
        ",chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
    ],
)
def test_unknown_codings_are_refused_with_501(value: str) -> None:
    assert refused(b"POST / HTTP/1.1\r\n" + H + f"Transfer-Encoding: {value}\r\n\r\n".encode()) == 501


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.0"])
def test_other_versions_are_refused_with_505(version: str) -> None:
    assert refused(f"GET / HTTP/{version}\r\nHost: x\r\n\r\n".encode()) == 505


def test_limits_of_fields_are_431() -> None:
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(10))
    assert refused(b"GET / HTTP/1.1\r\n" + H + many + b"\r\n", max_header_pairs=10) == 431
    parse("GET / HTTP/1.1", "Host: x", *(f"x-{number}: 1" for number in range(9)), max_header_pairs=10)
    assert refused(b"GET / HTTP/1.1\r\n" + H + many + b"\r\n", max_header_list_size=300) == 431


def test_what_is_refused_is_said_in_a_bounded_line() -> None:
    with pytest.raises(UnreadableRequest) as caught:
        parse_request(
            b"GET / HTTP/1.1\r\n" + b"x" * 5000 + b"\r\n\r\n", Limits(), scheme=b"http", authority=lambda: "x"
        )
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nb'c\xff\x01: \x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ncontent-length: 1" + b"1" * 30 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: \xff\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\0\r\n\r\n",
    ],
)
def test_refusals_are_for_people(octets: bytes) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        parse_request(octets, Limits.for_server(), scheme=b"http", authority=lambda: "127.0.0.1:80")
    message = caught.value.message
    assert "bytearray" not in message
    assert "b'" not in message
    assert message[-1:].isalnum() and message.isprintable() and message.isascii()
