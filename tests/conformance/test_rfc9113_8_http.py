"""RFC 9113 section 8: HTTP in HTTP/2: messages, fields, pseudo-header fields, push, CONNECT. What is malformed is a
stream error PROTOCOL_ERROR (section 8.1.1), and no application ever sees it: this is where requests are smuggled.
"""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.connections.conversations import (
    ClientConversation,
    ServerConversation,
    client_conversation,
    server_conversation,
)
from support.octets import frames
from support.octets.fields import REQUEST, RESPONSE, UPLOAD
from support.octets.frames import END_HEADERS, END_STREAM, Field, replaced
from support.peers.raw_peer import PATIENCE
from sync_h2 import ErrorCode, InvalidArgument, InvalidState, ProtocolError, StreamReset

Fields = tuple[tuple[str, str], ...]

CONNECT: Fields = ((":method", "CONNECT"), (":authority", "example.org:443"))


def _request(*, method: str = "GET", **values: str | None) -> Fields:
    """A GET for http://localhost/, changed; a value of None leaves the field out."""
    return replaced(REQUEST, method=method, **values)


# Sections 8.2 and 8.3: what makes a field list malformed, whatever it is part of

BAD_FIELDS: list[tuple[str, Field]] = [
    ("8.2.1 upper case in a name", ("X-Upper", "1")),
    ("8.2.1 one upper-case letter", ("x-uppeR", "1")),
    ("8.2.1 an empty name", ("", "1")),
    ("8.2.1 a space in a name", ("x y", "1")),
    ("8.2.1 a name that ends with a space", ("x ", "1")),
    ("8.2.1 a tab in a name", ("x\t", "1")),
    ("8.2.1 NUL in a name", ("x\0y", "1")),
    ("8.2.1 a line feed in a name", ("x\ny", "1")),
    ("8.2.1 a whole field in a name", ("x: 1\r\ny", "1")),
    ("8.2.1 DEL in a name", ("x\x7f", "1")),
    ("8.2.1 an octet over 0x7f in a name", (b"x\xe9", "1")),
    ("8.2.1 a colon within a name", ("x:y", "1")),
    ("8.2.1 a separator in a name", ("x(y)", "1")),
    ("8.2.1 NUL in a value", ("x", "a\0b")),
    ("8.2.1 CR in a value", ("x", "a\rb")),
    ("8.2.1 LF in a value", ("x", "a\nb")),
    ("8.2.1 a whole field in a value", ("x", "a\r\ntransfer-encoding: chunked")),
    ("8.2.1 a request in a value", ("x", "a\r\n\r\nGET /admin HTTP/1.1\r\nhost: localhost")),
    ("8.2.1 a value that begins with a space", ("x", " a")),
    ("8.2.1 a value that ends with a space", ("x", "a ")),
    ("8.2.1 a value that begins with a tab", ("x", "\ta")),
    ("8.2.1 a value that ends with a tab", ("x", "a\t")),
    ("8.2.1 a common field's value with LF", ("accept", "a\nb")),
    ("8.2.2 connection", ("connection", "keep-alive")),
    ("8.2.2 connection that names a field", ("connection", "x-secret")),
    ("8.2.2 keep-alive", ("keep-alive", "5")),
    ("8.2.2 proxy-connection", ("proxy-connection", "keep-alive")),
    ("8.2.2 transfer-encoding", ("transfer-encoding", "chunked")),
    ("8.2.2 transfer-encoding identity", ("transfer-encoding", "identity")),
    ("8.2.2 upgrade", ("upgrade", "h2c")),
    ("8.2.2 te", ("te", "gzip")),
    ("8.2.2 te with more than trailers", ("te", "trailers, deflate")),
    ("8.2.2 te with a weight", ("te", "trailers;q=0.5")),
    ("8.3 a pseudo-header field after others", (":path", "/late")),
    ("8.3 an unknown pseudo-header field", (":unknown", "1")),
    ("8.3 a pseudo-header field without a name", (":", "1")),
    ("8.1.1 content-length is no number", ("content-length", "ten")),
    ("8.1.1 a signed content-length", ("content-length", "+0")),
    ("8.1.1 a negative content-length", ("content-length", "-1")),
    ("8.1.1 a hexadecimal content-length", ("content-length", "0x0")),
    ("8.1.1 an empty content-length", ("content-length", "")),
    ("8.1.1 a list of content-lengths", ("content-length", "0, 0")),
    ("8.1.1 a huge content-length", ("content-length", "9" * 5000)),
    ("8.1.1 content-length in other digits", ("content-length", "\xb2")),
]
_bad_field = pytest.mark.parametrize("field", [pytest.param(field, id=name) for name, field in BAD_FIELDS])


@_bad_field
def test_section_8_2_bad_fields_in_a_request(server: ServerConversation, field: Field) -> None:
    server.send(frames.request(server.new_id(), ("accept", "*/*"), field))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    assert len(server.requests) == 1  # the one that proves that the session goes on


@_bad_field
def test_section_8_2_bad_fields_in_a_response(client: ClientConversation, field: Field) -> None:
    stream = client.request()
    client.send(frames.response(1, ("server", "x"), field, flags=END_HEADERS | END_STREAM))
    with pytest.raises(ProtocolError) as raised:
        stream.wait_response(timeout=PATIENCE)
    assert (raised.value.code, raised.value.stream_id, raised.value.retryable) == (ErrorCode.PROTOCOL_ERROR, 1, False)
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "field",
    [
        ("X-Upper", "1"),
        ("x", "a\r\nb"),
        ("connection", "x"),
        (":status", "200"),
        (":path", "/"),
        (":x", ""),
        # RFC 9110 section 6.5.1: what frames or routes a message comes too late there.
        ("content-length", "4"),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
        ("host", "localhost"),
    ],
    ids=repr,
)
def test_section_8_1_bad_fields_in_trailers(
    server: ServerConversation, client: ClientConversation, field: Field
) -> None:
    stream = server.hold()
    server.send(frames.data(1, b"body"), frames.trailers(1, field))
    with pytest.raises(ProtocolError):
        stream.read()
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)

    stream_id = client.open()
    client.send(frames.data(stream_id, b"body"), frames.trailers(stream_id, field))
    with pytest.raises(ProtocolError):
        client.streams[0].read(timeout=PATIENCE)
    client.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "field",
    [
        ("x", ""),
        ("x", "a b\tc"),
        (b"x", b"\x80\xff"),
        ("x", "\x01\x7f"),  # obs-text and controls other than NUL, CR and LF: RFC 9110 lets a recipient keep them
        ("!#$%&'*+-.^_`|~0", "1"),
        ("te", "trailers"),
        ("content-length", "0"),
        ("content-length", "000"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
    ],
    ids=repr,
)
def test_section_8_2_odd_fields_that_are_right(
    server: ServerConversation, client: ClientConversation, field: Field
) -> None:
    name, value = (text if isinstance(text, str) else text.decode("latin-1") for text in field)
    server.send(frames.request(server.new_id(), field))
    assert server.answer(1) == ("200", b"")
    assert server.requests[0][name] == value
    stream = client.request()
    client.send(frames.response(1, field, flags=END_HEADERS | END_STREAM))
    assert stream.wait_response()[name] == value


def test_section_8_2_3_cookie_crumbs_are_one_cookie(server: ServerConversation) -> None:
    server.send(frames.request(server.new_id(), ("cookie", "a=1"), ("x", "between"), ("cookie", "b=2; c=3")))
    assert server.answer(1) == ("200", b"")
    assert server.requests[0]["cookie"] == "a=1; b=2; c=3"
    assert server.requests[0].get_all("cookie") == ["a=1", "b=2; c=3"]


def test_section_8_1_other_fields_in_trailers_stay_trailers(server: ServerConversation) -> None:
    """RFC 9110 section 6.5.1: what they say is not merged into the header section."""
    stream = server.hold()
    late = {"authorization": "Basic YTpi", "content-type": "text/html", "cookie": "a=1", "expect": "100-continue"}
    server.send(frames.trailers(1, *late.items()))
    assert stream.wait_trailers(timeout=PATIENCE) == late
    assert stream.request_headers is not None
    assert not late.keys() & stream.request_headers.keys()
    stream.end()
    server.accepted()


# Section 8.3.1: requests


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((), id="no fields at all"),
        pytest.param(REQUEST[1:], id="no :method"),
        pytest.param(_request(scheme=None), id="no :scheme"),
        pytest.param(_request(path=None), id="no :path"),
        pytest.param(_request(path=""), id="an empty :path"),
        pytest.param(_request(path="index.html"), id="a :path without its slash"),
        pytest.param(_request(path="*"), id="* with GET"),
        pytest.param(_request(path="http://other/"), id="an absolute :path"),
        pytest.param(_request(path="/a b"), id="a space in :path"),
        pytest.param(_request(path="/ HTTP/1.1\r\nx: y"), id="a request line in :path"),
        pytest.param(_request(path="/\0"), id="NUL in :path"),
        pytest.param(_request(path="/\x7f"), id="DEL in :path"),
        pytest.param(_request(path=" /"), id="a space before :path"),
        pytest.param(_request(method=""), id="an empty :method"),
        pytest.param(_request(method="GET /admin HTTP/1.1\r\nx:"), id="a request line in :method"),
        pytest.param(_request(method="G ET"), id="a space in :method"),
        pytest.param(_request(method="GET "), id="a space after :method"),
        pytest.param(_request(scheme=""), id="an empty :scheme"),
        pytest.param(_request(scheme="ht tp"), id="a space in :scheme"),
        pytest.param(_request(scheme="http://evil/?"), id="a URL in :scheme"),
        pytest.param(_request(authority=None), id="neither :authority nor host"),
        pytest.param(_request(authority=""), id="an empty :authority and no host"),
        pytest.param(_request(authority="user@localhost"), id="userinfo in :authority"),
        pytest.param(_request(authority="local host"), id="a space in :authority"),
        pytest.param(_request(authority="localhost\r\nx: y"), id="a field in :authority"),
        pytest.param(_request(authority="localhost/admin"), id="a path in :authority"),
        pytest.param(_request(authority="localhost?x=y"), id="a query in :authority"),
        pytest.param(_request(authority="localhost#x"), id="a fragment in :authority"),
        pytest.param(_request(authority="localhost\\admin"), id="a backslash in :authority"),
        pytest.param(_request(authority="l\xf6calhost"), id="an octet over 0x7f in :authority"),
        pytest.param((*_request(authority=None), ("host", "localhost/admin")), id="a path in host"),
        pytest.param((*_request(authority=None), ("host", "user@localhost")), id="userinfo in host"),
        pytest.param((*_request(authority=None), ("host", "local host")), id="a space in host"),
        pytest.param((*_request(authority=None), ("host", "")), id="an empty host and no :authority"),
        pytest.param((*REQUEST, ("host", "other")), id=":authority against host"),
        pytest.param((*REQUEST, ("host", "localhost:8080")), id=":authority against host's port"),
        pytest.param((*REQUEST, ("host", "localhost:443")), id="the default port of another scheme"),
        pytest.param((*_request(authority="::"), ("host", "::80")), id="the end of an address is no port"),
        # RFC 9113 leaves the paths of other schemes to these. What serves them would be got round with them.
        pytest.param(_request(scheme="x", path="admin"), id="a path without its slash"),
        pytest.param(_request(scheme="x", path=""), id="an empty path of another scheme"),
        pytest.param(_request(scheme="x", path="?admin"), id="a query alone"),
        pytest.param(_request(scheme="x", path="*"), id="an asterisk of another scheme"),
        pytest.param(_request(scheme="x", path="http://localhost/admin"), id="a URL in :path"),
        pytest.param((*_request(authority=None), ("host", "a"), ("host", "b")), id="two hosts"),
        pytest.param((*REQUEST, ("host", "localhost"), ("host", "localhost")), id="host twice"),
        pytest.param((*REQUEST, (":method", "GET")), id=":method twice"),
        pytest.param((*REQUEST, (":path", "/")), id=":path twice"),
        pytest.param((*REQUEST, (":path", "/other")), id="two paths"),
        pytest.param((*REQUEST, (":scheme", "http")), id=":scheme twice"),
        pytest.param((*REQUEST, (":authority", "localhost")), id=":authority twice"),
        pytest.param((*REQUEST, (":status", "200")), id=":status in a request"),
        pytest.param((*REQUEST, (":protocol", "websocket")), id=":protocol that nobody has enabled"),
        pytest.param((("accept", "*/*"), *REQUEST), id="all of them after another field"),
        pytest.param((*REQUEST[:3], ("accept", "*/*"), REQUEST[3]), id="the last one after another field"),
        pytest.param((("GET", "/"), *REQUEST), id="upper case before them"),
        pytest.param((*REQUEST, ("content-length", "5")), id="content-length, but the headers end the stream"),
        pytest.param((*REQUEST, ("content-length", "5"), ("content-length", "0")), id="two content-lengths"),
        # RFC 9110 section 8.6: one that stands there twice is made one, or refused, as nghttp2 does.
        pytest.param((*REQUEST, ("content-length", "0"), ("content-length", "0")), id="the same content-length twice"),
        # Who takes it for a part of the path grants access to another one than who cuts it off (CVE-2021-32779).
        pytest.param(_request(path="/public#/../admin"), id="a fragment in :path"),
        pytest.param(_request(path="/#"), id="an empty fragment in :path"),
    ],
)
def test_section_8_3_1_malformed_requests(server: ServerConversation, fields: Fields) -> None:
    server.send(frames.headers(server.new_id(), *fields, flags=END_HEADERS | END_STREAM))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((REQUEST[3], REQUEST[1], REQUEST[0], REQUEST[2]), id="in another order"),
        pytest.param((*_request(authority=None), ("host", "localhost")), id="host instead of :authority"),
        pytest.param((*REQUEST, ("host", "LOCALHOST")), id="host and :authority the same but for case"),
        pytest.param(_request(method="OPTIONS", path="*"), id="OPTIONS *"),
        pytest.param(_request(method="OPTIONS"), id="OPTIONS /"),
        pytest.param(_request(method="M-SEARCH"), id="a method that nobody knows"),
        pytest.param(_request(method="get"), id="methods are case-sensitive: get is another one"),
        pytest.param(_request(scheme="https"), id="a scheme that is not the connection's"),
        pytest.param(_request(scheme="coap"), id="a scheme that nobody knows"),
        pytest.param((*REQUEST, ("host", "localhost:80")), id="the scheme's default port in host"),
        pytest.param((*_request(authority="Localhost:80"), ("host", "localhost")), id="and in :authority"),
        pytest.param((*_request(scheme="https"), ("host", "localhost:443")), id="and that of https"),
        pytest.param((*_request(authority="[::1]"), ("host", "[::1]:80")), id="and behind an IPv6 address"),
        pytest.param((*_request(authority="localhost:"), ("host", "localhost")), id="a port that is left empty"),
        pytest.param(_request(path="/?a=b&c=%20"), id="a query"),
        pytest.param(_request(authority="[::1]:8080"), id="an IPv6 address"),
        pytest.param(_request(authority="[fe80::1%25eth0]"), id="an IPv6 address with a zone"),
        pytest.param(_request(authority="a-b_c.d~e!$&'()*+,;=:1"), id="all that RFC 3986 has in an authority"),
        pytest.param(_request(authority="%2Frun%2Fsock"), id="percent-encoded octets in :authority"),
    ],
)
def test_section_8_3_1_requests_that_are_right(server: ServerConversation, fields: Fields) -> None:
    server.send(frames.headers(server.new_id(), *fields, flags=END_HEADERS | END_STREAM))
    assert server.answer(1) == ("200", b"")
    server.accepted()


@pytest.mark.parametrize("state", ["malformed", "refused"])
def test_section_8_1_1_what_follows_on_a_stream_that_was_reset_at_once_is_ignored(state: str) -> None:
    """It was under way: body, trailers, windows, and the credit for the body."""
    with server_conversation(max_concurrent_streams=1) as server:
        if state == "refused":
            server.open()
        stream_id = server.new_id()
        server.send(frames.upload(stream_id, *([("X-Upper", "1")] if state == "malformed" else [])))
        server.send(frames.data(stream_id, bytes(16_384)) * 3, frames.window_update(stream_id, 10))
        server.send(frames.trailers(stream_id), frames.rst_stream(stream_id), frames.priority(stream_id))
        if state == "refused":
            server.send(frames.rst_stream(1))
        code = ErrorCode.REFUSED_STREAM if state == "refused" else ErrorCode.PROTOCOL_ERROR
        server.stream_error(stream_id, code)


def test_section_10_5_1_a_request_over_the_header_limit_gets_a_431() -> None:
    with server_conversation(max_header_list_size=2000) as server:
        server.send(frames.request(server.new_id(), ("x-long", "y" * 3000)))
        assert server.answer(1) == ("431", b"")
        server.accepted()
        assert len(server.requests) == 1


def test_section_10_5_1_trailers_over_the_header_limit() -> None:
    with server_conversation(max_header_list_size=2000) as server:
        stream = server.hold()
        server.send(frames.trailers(1, ("x-long", "y" * 3000)))
        server.stream_error(1, ErrorCode.ENHANCE_YOUR_CALM)
        with pytest.raises(ProtocolError):
            stream.wait_trailers()


def test_section_10_5_1_a_block_beyond_what_is_decoded_at_all(server: ServerConversation) -> None:
    """Four times the limit, and at least 256 KiB: no response is possible any more, the table is out of step."""
    large = ("x", "y" * 16_200)
    server.send(frames.request(1, large, flags=END_STREAM))
    server.send(*[frames.continuation(1, frames.block(large), 0)] * 15, frames.continuation(1, frames.block(large)))
    assert server.connection_error(ErrorCode.ENHANCE_YOUR_CALM).additional_data == b"max_header_list_size"


# Section 8.3.2: responses


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((), id="no fields at all"),
        pytest.param((("server", "x"),), id="no :status"),
        pytest.param(((":status", ""),), id="an empty :status"),
        pytest.param(((":status", "20"),), id="two digits"),
        pytest.param(((":status", "2000"),), id="four digits"),
        pytest.param(((":status", "abc"),), id="letters"),
        pytest.param(((":status", "+20"),), id="a sign"),
        pytest.param(((":status", "200 OK"),), id="a reason phrase"),
        pytest.param(((":status", "099"),), id="below 100"),
        pytest.param(((":status", "101"),), id="8.6: 101 Switching Protocols"),
        pytest.param(((":status", "200"), (":status", "200")), id=":status twice"),
        pytest.param(((":status", "200"), (":method", "GET")), id=":method in a response"),
        pytest.param(((":status", "200"), (":path", "/")), id=":path in a response"),
        pytest.param((("server", "x"), (":status", "200")), id=":status after another field"),
        pytest.param(
            ((":status", "200"), ("content-length", "5")), id="content-length, but the headers end the stream"
        ),
        pytest.param(((":status", "200"), ("content-length", "5"), ("content-length", "0")), id="two content-lengths"),
        pytest.param(((":status", "100"),), id="an informational response that ends the stream"),
    ],
)
def test_section_8_3_2_malformed_responses(client: ClientConversation, fields: Fields) -> None:
    stream = client.request()
    client.send(frames.headers(1, *fields, flags=END_HEADERS | END_STREAM))
    with pytest.raises(ProtocolError) as raised:
        stream.read(timeout=PATIENCE)
    assert raised.value.code == ErrorCode.PROTOCOL_ERROR
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)


# Section 8.1: the order of frames in a message


def test_section_8_1_a_whole_message(server: ServerConversation, client: ClientConversation) -> None:
    """HEADERS, DATA, HEADERS: with trailers, both ways."""
    stream = server.hold()
    server.send(frames.data(1, b"one "), frames.data(1, b""), frames.data(1, b"two"), frames.trailers(1))
    assert stream.read() == b"one two"
    assert stream.trailers == {"x-checksum": "7"}

    answer = client.request()
    client.send(frames.headers(1, (":status", "103"), ("link", "</a>")), frames.response(1))
    client.send(frames.data(1, b"one "), frames.data(1, b"two"), frames.trailers(1))
    assert answer.read() == b"one two"
    assert answer.trailers == {"x-checksum": "7"}
    assert [informational[":status"] for informational in answer.informational] == ["103"]


def test_section_8_1_a_message_without_a_body_may_have_trailers(server: ServerConversation) -> None:
    stream = server.hold()
    server.send(frames.trailers(1))
    assert stream.wait_trailers() == {"x-checksum": "7"}


def test_section_8_1_trailers_end_the_stream(server: ServerConversation, client: ClientConversation) -> None:
    stream = server.hold()
    server.send(frames.data(1, b"body"), frames.trailers(1, flags=END_HEADERS))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    with pytest.raises(ProtocolError):
        stream.wait_trailers()
    stream_id = client.open()
    client.send(frames.data(stream_id, b"body"), frames.trailers(stream_id, flags=END_HEADERS))
    client.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


def test_section_8_1_a_second_response(client: ClientConversation) -> None:
    """Its :status makes it malformed as trailers."""
    stream_id = client.open()
    client.send(frames.response(stream_id, flags=END_HEADERS | END_STREAM))
    client.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


def test_section_8_1_an_informational_response_after_the_final_one(client: ClientConversation) -> None:
    stream_id = client.open()
    client.send(frames.headers(stream_id, (":status", "103")))
    client.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize("informational", [True, False])
def test_section_8_1_data_before_the_final_responses_headers(client: ClientConversation, informational: bool) -> None:
    stream = client.request()
    if informational:
        client.send(frames.headers(1, (":status", "100")))
    client.send(frames.data(1, b"body", END_STREAM))
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    with pytest.raises(ProtocolError):
        stream.read()


def test_section_8_1_a_server_may_answer_before_the_request_has_ended() -> None:
    """And declines the rest with NO_ERROR, once its response is complete."""
    with server_conversation(discard_timeout=0.1) as server:
        with server.hold() as stream:
            stream.respond()
            stream.end(b"enough")
        assert server.peer.expect(DataFrame, 1).data == b"enough"
        assert server.peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR
        server.send(frames.data(1, b"was under way"))
        server.accepted()


def test_section_8_1_a_client_keeps_a_response_that_came_before_its_request_had_ended(
    client: ClientConversation,
) -> None:
    stream = client.request("POST")
    client.send(frames.response(1), frames.data(1, b"enough", END_STREAM), frames.rst_stream(1, ErrorCode.NO_ERROR))
    client.peer.settled()
    assert stream.wait_response()[":status"] == "200"
    assert stream.read() == b"enough"
    assert stream.write(b"more") == 4
    stream.end()
    client.accepted()


# Section 8.1.1: content-length

WRONG_LENGTHS = [
    pytest.param("5", (b"123", b"45x"), None, id="too much in the last frame"),
    pytest.param("5", (b"123456",), None, id="too much in the first frame"),
    pytest.param("0", (b"1",), None, id="something where nothing was announced"),
    pytest.param("5", (b"1234",), END_STREAM, id="too little"),
    pytest.param("5", (b"",), END_STREAM, id="nothing"),
    pytest.param("5", (b"1234", b""), END_STREAM, id="too little, then an empty frame"),
]


@pytest.mark.parametrize(("announced", "pieces", "ending"), WRONG_LENGTHS)
def test_section_8_1_1_a_request_whose_length_is_not_as_announced(
    server: ServerConversation, announced: str, pieces: tuple[bytes, ...], ending: int | None
) -> None:
    server.send(frames.headers(server.new_id(), *replaced(UPLOAD, path="/held"), ("content-length", announced)))
    stream = server.held.get(timeout=PATIENCE)
    server.send(*[frames.data(1, piece) for piece in pieces[:-1]], frames.data(1, pieces[-1], ending or 0))
    with pytest.raises(ProtocolError):
        stream.read()
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(("announced", "pieces", "ending"), WRONG_LENGTHS)
def test_section_8_1_1_a_response_whose_length_is_not_as_announced(
    client: ClientConversation, announced: str, pieces: tuple[bytes, ...], ending: int | None
) -> None:
    stream = client.request()
    client.send(frames.response(1, ("content-length", announced)))
    client.send(*[frames.data(1, piece) for piece in pieces[:-1]], frames.data(1, pieces[-1], ending or 0))
    with pytest.raises(ProtocolError):
        stream.read(timeout=PATIENCE)
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)


def test_section_8_1_1_trailers_do_not_make_up_for_what_is_missing(
    server: ServerConversation, client: ClientConversation
) -> None:
    server.send(frames.upload(server.new_id(), ("content-length", "5")), frames.data(1, b"1234"), frames.trailers(1))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    stream = client.request()
    client.send(frames.response(1, ("content-length", "5")), frames.data(1, b"1234"), frames.trailers(1))
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    with pytest.raises(ProtocolError):
        stream.read()


@pytest.mark.parametrize("status", ["204", "304", "200 to HEAD"])
def test_section_8_1_1_a_response_without_content_may_announce_a_length(
    client: ClientConversation, status: str
) -> None:
    for ends_with_headers in (True, False):
        stream = client.request("HEAD" if "HEAD" in status else "GET")
        assert stream.id is not None
        fields = ((":status", status[:3]), ("content-length", "1000"))
        client.send(frames.headers(stream.id, *fields, flags=END_HEADERS | (END_STREAM if ends_with_headers else 0)))
        if not ends_with_headers:
            client.send(frames.data(stream.id, b"", END_STREAM))
        assert stream.read() == b""
    client.accepted()


@pytest.mark.parametrize("status", ["200", "204", "205", "304"])
def test_section_8_1_1_content_length_twice_in_a_response(client: ClientConversation, status: str) -> None:
    """RFC 9110 section 8.6."""
    stream = client.request()
    fields = ((":status", status), ("content-length", "0"), ("content-length", "0"))
    client.send(frames.headers(1, *fields, flags=END_HEADERS | END_STREAM))
    with pytest.raises(ProtocolError):
        stream.wait_response(timeout=PATIENCE)
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)


def test_section_8_1_1_a_205_is_framed_as_any_response(client: ClientConversation) -> None:
    """RFC 9110 section 15.3.6 forbids its content, and RFC 9112 section 6.3 counts it all the same."""
    stream = client.request()
    client.send(frames.headers(1, (":status", "205"), ("content-length", "4")), frames.data(1, b"body", END_STREAM))
    assert stream.read() == b"body"
    client.accepted()


def test_section_8_1_a_response_to_head_ends_with_its_headers(server: ServerConversation) -> None:
    server.send(frames.headers(server.new_id(), *_request(method="HEAD"), flags=END_HEADERS | END_STREAM))
    assert server.answer(1) == ("200", b"")
    stream = server.hold(_request(method="HEAD"), END_HEADERS | END_STREAM)
    stream.respond({"content-length": 1000})
    assert stream.write(b"is dropped") == 10
    response = server.peer.expect(HeadersFrame, stream.id)
    assert "END_STREAM" in response.flags
    assert ("content-length", "1000") in response.fields
    server.accepted()


@pytest.mark.parametrize("status", ["204", "304", "200 to HEAD"])
def test_section_8_1_1_a_response_without_content_has_none(client: ClientConversation, status: str) -> None:
    stream = client.request("HEAD" if "HEAD" in status else "GET")
    client.send(frames.headers(1, (":status", status[:3])), frames.data(1, b"content", END_STREAM))
    with pytest.raises(ProtocolError):
        stream.read(timeout=PATIENCE)
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)


def test_section_8_1_1_padding_is_no_content(server: ServerConversation) -> None:
    server.send(frames.upload(server.new_id(), ("content-length", "4")))
    server.send(frames.frame(frames.DATA, END_STREAM | frames.PADDED, 1, b"\x03body" + bytes(3)))
    assert server.answer(1) == ("200", b"body")


# Section 8.4: server push


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(UPLOAD, id="POST is not safe"),
        pytest.param(_request(method="DELETE"), id="DELETE is not safe"),
        pytest.param(CONNECT, id="CONNECT is not safe"),
        pytest.param((*REQUEST, ("content-length", "3")), id="a request with content"),
        pytest.param(_request(authority=None), id="no authority"),
        pytest.param(_request(authority="other.example"), id="an authority that is not the server's"),
        pytest.param(_request(scheme="https"), id="a scheme that is not the connection's"),
        pytest.param(_request(path=None), id="no :path"),
        pytest.param((*REQUEST, (":status", "200")), id=":status"),
        pytest.param((*REQUEST, ("connection", "close")), id="a connection-specific field"),
        pytest.param((*REQUEST, ("X-Upper", "")), id="upper case"),
    ],
)
def test_section_8_4_1_promises_that_are_refused(client: ClientConversation, fields: Fields) -> None:
    """A stream error on the promised stream; the one that it was promised on goes on."""
    stream_id = client.half_closed_local()
    client.send(frames.push_promise(stream_id, 2, *fields))
    client.stream_error(2, ErrorCode.PROTOCOL_ERROR)
    client.send(frames.data(stream_id, b"not touched", END_STREAM))
    assert client.streams[0].read() == b"not touched"
    assert client.streams[0].wait_push() is None


def test_section_8_4_2_a_pushed_response(client: ClientConversation) -> None:
    stream_id = client.half_closed_local()
    client.send(
        frames.push_promise(stream_id, 2, *_request(path="/style.css")), frames.data(stream_id, b"", END_STREAM)
    )
    client.send(frames.response(2, ("content-length", "6")), frames.data(2, b"pushed", END_STREAM))
    pushed = client.streams[0].wait_push()
    assert pushed is not None
    assert pushed.request_headers is not None
    assert pushed.request_headers[":path"] == "/style.css"
    assert pushed.read() == b"pushed"
    client.last_stream_id = 2
    client.accepted()


def test_section_8_4_2_a_pushed_response_is_a_response(client: ClientConversation) -> None:
    stream_id = client.half_closed_local()
    client.send(frames.push_promise(stream_id, 2), frames.headers(2, (":status", "200"), ("X-Upper", "1")))
    client.stream_error(2, ErrorCode.PROTOCOL_ERROR)


def test_section_8_4_2_a_client_may_refuse_a_push(client: ClientConversation) -> None:
    stream_id = client.half_closed_local()
    client.send(frames.push_promise(stream_id, 2))
    pushed = client.streams[0].wait_push()
    assert pushed is not None
    pushed.close(ErrorCode.CANCEL)
    assert client.peer.expect(RstStreamFrame, 2).error_code == ErrorCode.CANCEL
    client.send(frames.response(2), frames.data(2, b"was under way", END_STREAM))
    client.accepted()


def test_section_8_4_a_server_resets_a_push_that_its_client_resets(server: ServerConversation) -> None:
    stream_id = server.reserved()
    pushed = server._kept[-1]
    server.send(frames.rst_stream(stream_id))
    assert pushed.wait_closed(timeout=PATIENCE) == ErrorCode.CANCEL
    with pytest.raises(StreamReset):
        pushed.respond()
    server.accepted()


def test_section_8_4_1_a_promise_may_be_split(client: ClientConversation) -> None:
    stream_id = client.half_closed_local()
    block = frames.number(2) + frames.block(*REQUEST)
    client.send(frames.frame(frames.PUSH_PROMISE, 0, stream_id, block[:9]))
    client.send(frames.continuation(stream_id, block[9:30], 0), frames.continuation(stream_id, block[30:]))
    client.send(frames.response(2), frames.data(2, b"pushed", END_STREAM))
    pushed = client.streams[0].wait_push(timeout=PATIENCE)
    assert pushed is not None
    assert pushed.read() == b"pushed"


def test_section_8_4_1_a_promise_over_the_header_limit() -> None:
    with client_conversation(max_header_list_size=2000) as client:
        client.send(frames.push_promise(client.half_closed_local(), 2, *REQUEST, ("x-long", "y" * 3000)))
        client.stream_error(2, ErrorCode.ENHANCE_YOUR_CALM)


# Section 8.5: CONNECT


def test_section_8_5_a_tunnel(server: ServerConversation) -> None:
    stream_id = server.new_id()
    server.send(frames.headers(stream_id, *CONNECT), frames.data(stream_id, b"there"))
    assert server.peer.expect(HeadersFrame, stream_id)
    assert server.peer.expect(DataFrame, stream_id).data == b"there"
    server.send(frames.data(stream_id, b"and back", END_STREAM))
    assert server.peer.expect(DataFrame, stream_id).data == b"and back"
    assert "END_STREAM" in server.peer.expect(DataFrame, stream_id).flags


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((*CONNECT, (":scheme", "https")), id=":scheme"),
        pytest.param((*CONNECT, (":path", "/")), id=":path"),
        pytest.param((*CONNECT, (":scheme", "https"), (":path", "/")), id="both"),
        pytest.param(CONNECT[:1], id="no :authority"),
        pytest.param(((":method", "CONNECT"), (":authority", "")), id="an empty :authority"),
        pytest.param((*CONNECT[:1], ("host", "example.org:443")), id="host instead of :authority"),
        # RFC 9110 section 9.3.6: it has no content; passed on over HTTP/1.1, the tunnel's data would become some.
        pytest.param((*CONNECT, ("content-length", "5")), id="content-length"),
    ],
)
def test_section_8_5_malformed(server: ServerConversation, fields: Fields) -> None:
    server.send(frames.headers(server.new_id(), *fields))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)


def test_section_8_5_a_content_length_of_0_says_what_holds_anyway(server: ServerConversation) -> None:
    stream_id = server.new_id()
    server.send(frames.headers(stream_id, *CONNECT, ("content-length", "0")), frames.data(stream_id, b"there"))
    assert server.peer.expect(DataFrame, stream_id).data == b"there"


def test_section_8_5_content_length_does_not_bound_a_tunnel(client: ClientConversation) -> None:
    """RFC 9110 section 9.3.6: it is ignored in a 2xx response to CONNECT."""
    stream = client.request("CONNECT", "example.org:443")
    client.send(frames.response(1, ("content-length", "1")), frames.data(1, b"more than one octet", END_STREAM))
    assert stream.read() == b"more than one octet"


def test_section_8_5_a_refused_tunnel_is_an_ordinary_response(client: ClientConversation) -> None:
    stream = client.request("CONNECT", "example.org:443")
    client.send(frames.headers(1, (":status", "403"), ("content-length", "2")), frames.data(1, b"no"))
    client.send(frames.trailers(1))  # nothing is missing: they may end it
    assert stream.read() == b"no"


def test_section_8_5_trailers_in_a_tunnel(server: ServerConversation, client: ClientConversation) -> None:
    """ "Frame types other than DATA or stream management frames [...] MUST be treated as a stream error"."""
    stream_id = server.new_id()
    server.send(frames.headers(stream_id, *CONNECT))
    assert server.peer.expect(HeadersFrame, stream_id)
    server.send(frames.trailers(stream_id))
    server.stream_error(stream_id, ErrorCode.PROTOCOL_ERROR)

    stream = client.request("CONNECT", "example.org:443")
    client.send(frames.response(1), frames.trailers(1))
    client.stream_error(1, ErrorCode.PROTOCOL_ERROR)
    with pytest.raises(ProtocolError):
        stream.read()


def test_section_8_5_a_promise_in_a_tunnel(client: ClientConversation) -> None:
    stream = client.request("CONNECT", "example.org:443")
    client.send(frames.response(1), frames.push_promise(1, 2))
    resets = [frame for frame in client.peer.settled() if isinstance(frame, RstStreamFrame)]
    assert {frame.stream_id: frame.error_code for frame in resets} == {1: ErrorCode.PROTOCOL_ERROR, 2: ErrorCode.CANCEL}
    with pytest.raises(ProtocolError):
        stream.read()
    client.goes_on()


# Section 8.7: which requests may be sent again


def test_section_8_7_a_refused_request_may_be_sent_again(client: ClientConversation) -> None:
    stream = client.request("POST")
    client.send(frames.rst_stream(1, ErrorCode.REFUSED_STREAM))
    with pytest.raises(StreamReset) as raised:
        stream.wait_response()
    assert raised.value.retryable
    client.accepted()


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, ErrorCode.INTERNAL_ERROR, ErrorCode.NO_ERROR])
def test_section_8_7_another_one_may_not(client: ClientConversation, code: ErrorCode) -> None:
    stream = client.request("POST")
    client.send(frames.rst_stream(1, code))
    with pytest.raises(StreamReset) as raised:
        stream.wait_response()
    assert not raised.value.retryable


# What we send ourselves keeps to the same rules


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Upper ", "1"),
        ("connection", "close"),
        ("x", "a\r\nb"),
        ("x", " a"),
        ("te", "gzip"),
        ("", "1"),
        (":new", "1"),
    ],
)
def test_section_8_2_we_do_not_send_what_is_malformed(
    server: ServerConversation, client: ClientConversation, name: str, value: str
) -> None:
    """Refused before anything has changed: the connection and its compression state go on."""
    with pytest.raises(ValueError, match=r"."):
        client.session.request({name: value})
    client.accepted()
    with server.hold() as stream:
        with pytest.raises(ValueError, match=r"."):
            stream.respond({name: value})
        stream.respond({"x": "right"})
        stream.end()
        assert server.answer(1) == ("200", b"")


@pytest.mark.parametrize("status", [204, 205])
def test_section_8_1_1_we_announce_no_content_where_there_is_none(server: ServerConversation, status: int) -> None:
    with server.hold(REQUEST, END_HEADERS | END_STREAM) as stream:
        with pytest.raises(InvalidArgument, match="content-length"):
            stream.respond({":status": status, "content-length": 5})
        stream.respond({":status": status, "content-length": 0})
    server.accepted()


@pytest.mark.parametrize("name", ["content-length", "host"])
def test_section_8_1_we_send_no_framing_in_trailers(server: ServerConversation, name: str) -> None:
    with server.hold(REQUEST, END_HEADERS | END_STREAM) as stream:
        stream.respond(wait_for_trailers=True)
        with pytest.raises(InvalidArgument, match=name):
            stream.send_trailers({name: "1"})
        stream.send_trailers({"x-checksum": "7"})
    server.accepted()


def test_section_8_3_1_we_send_no_fragment(client: ClientConversation) -> None:
    with pytest.raises(InvalidArgument, match=":path"):
        client.session.request({":path": "/page#part"})
    client.accepted()


def test_section_8_1_1_we_do_not_send_less_than_we_have_announced() -> None:
    with server_conversation() as server, pytest.raises(InvalidState):
        stream = server.hold()
        stream.respond({"content-length": 5})
        stream.end(b"1234")
    with client_conversation() as client, pytest.raises(InvalidState):
        upload = client.session.request({":method": "POST", "content-length": 5})
        upload.end(b"1234")


def test_section_8_1_we_end_a_response_once(server: ServerConversation) -> None:
    stream = server.hold(REQUEST, END_HEADERS | END_STREAM)
    stream.respond(dict(RESPONSE), end_stream=True)
    with pytest.raises(InvalidState):
        stream.respond()
    with pytest.raises(InvalidState):
        stream.write(b"more")
    assert server.answer(1) == ("200", b"")
    server.accepted()
