"""RFC 7541: header compression. What cannot be decoded is a connection error COMPRESSION_ERROR (RFC 9113 section 4.3).

Every block comes on a stream where a block may come (trailers, mostly), so that nothing but HPACK is at stake.
"""

from __future__ import annotations

import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame

from support.connections.conversations import (
    ClientConversation,
    Conversation,
    ServerConversation,
    client_conversation,
    server_conversation,
)
from support.octets import frames
from support.octets.fields import REQUEST
from support.octets.frames import END_HEADERS, END_STREAM, integer
from support.peers.raw_peer import PATIENCE
from sync_h2 import ErrorCode, Headers

INDEXED = 0x80  # section 6.1
INDEXING = 0x40  # section 6.2.1
SIZE_UPDATE = 0x20  # section 6.3
NEVER_INDEXED = 0x10  # section 6.2.3
HUFFMAN = 0x80  # section 5.2

METHOD_GET = bytes((INDEXED | 2,))
X_IS_Y = b"\x40\x01x\x01y"  # a literal that goes into the table
NEWEST = bytes((INDEXED | 62,))  # the first entry of the dynamic table
SECOND = bytes((INDEXED | 63,))
ALLOWED_SIZE = integer(4096, 5, SIZE_UPDATE)


def _string(octets: bytes, *, huffman: bool = False, length: int | None = None) -> bytes:
    return integer(len(octets) if length is None else length, 7, HUFFMAN if huffman else 0) + octets


def _literal(value: bytes) -> bytes:
    """A field `x` without indexing, with an encoded value."""
    return b"\x00\x01x" + value


def _block(stream_id: int, block: bytes) -> bytes:
    return frames.frame(frames.HEADERS, END_HEADERS | END_STREAM, stream_id, block)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x80", id="6.1 index 0"),
        pytest.param(integer(62, 7, INDEXED), id="2.3.3 an index just beyond the static table, with nothing behind it"),
        pytest.param(integer(2**31, 7, INDEXED), id="2.3.3 an index far beyond"),
        pytest.param(X_IS_Y + integer(63, 7, INDEXED), id="2.3.3 an index just beyond the dynamic table"),
        pytest.param(integer(62, 6, INDEXING) + b"\x01y", id="6.2.1 the name's index beyond the tables"),
        pytest.param(integer(62, 4) + b"\x01y", id="6.2.2 the name's index beyond the tables"),
        pytest.param(integer(62, 4, NEVER_INDEXED) + b"\x01y", id="6.2.3 the name's index beyond the tables"),
        pytest.param(b"\xff", id="5.1 an integer that breaks off"),
        pytest.param(b"\xff\x80", id="5.1 an integer that breaks off later"),
        pytest.param(b"\xff" + b"\xff" * 9 + b"\x7f", id="5.1 an integer over 64 bits"),
        pytest.param(b"\xff" + b"\x80" * 30 + b"\x00", id="5.1 an integer with many zeros"),
        pytest.param(b"\x3f" + b"\xff" * 30 + b"\x00", id="5.1 a table size with many octets"),
        pytest.param(b"\x00", id="5.2 a literal without a name"),
        pytest.param(b"\x00\x01x", id="5.2 a literal without a value"),
        pytest.param(b"\x00" + _string(b"x", length=2), id="5.2 a name beyond the block's end"),
        pytest.param(_literal(_string(b"y", length=2)), id="5.2 a value beyond the block's end"),
        pytest.param(_literal(_string(b"y", length=2**32)), id="5.2 a value of 4 GiB"),
        pytest.param(_literal(_string(b"y", length=2**64)), id="5.2 a value of 16 EiB"),
        pytest.param(_literal(_string(b"\xff" * 4, huffman=True)), id="5.2 the EOS symbol"),
        pytest.param(_literal(_string(b"\x1f" + b"\xff" * 4, huffman=True)), id="5.2 the EOS symbol after an a"),
        pytest.param(_literal(_string(b"\x1f\xff", huffman=True)), id="5.2 padding of 11 bits"),
        pytest.param(_literal(_string(b"\xff", huffman=True)), id="5.2 padding of 8 bits"),
        pytest.param(_literal(_string(b"\x18", huffman=True)), id="5.2 padding with zeros"),
        pytest.param(_literal(_string(b"\xfe", huffman=True)), id="5.2 a code that breaks off"),
        pytest.param(b"\x00" + _string(b"\x18", huffman=True) + b"\x01y", id="5.2 padding with zeros, in a name"),
        pytest.param(integer(4097, 5, SIZE_UPDATE) + METHOD_GET, id="6.3 a table larger than we allow"),
        pytest.param(integer(2**32, 5, SIZE_UPDATE) + METHOD_GET, id="6.3 a table of 4 GiB"),
        pytest.param(METHOD_GET + integer(0, 5, SIZE_UPDATE), id="4.2 a table size at the block's end"),
        pytest.param(METHOD_GET + integer(100, 5, SIZE_UPDATE) + METHOD_GET, id="4.2 a table size between fields"),
        pytest.param(_literal(b"\x01y") + b"\x3f", id="4.2 a table size after a field, which breaks off"),
        pytest.param(b"\x20" * 100 + METHOD_GET, id="4.2 a hundred table sizes"),
        pytest.param(X_IS_Y + X_IS_Y + integer(64, 7, INDEXED), id="4.1 both entries are counted, and there are two"),
    ],
)
def test_decoding_errors(either: Conversation, block: bytes) -> None:
    stream_id = either.in_state("half_closed_local")
    either.send(_block(stream_id, block))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize("state", ["ended", "idle"])
def test_decoding_errors_come_before_errors_of_the_stream(client: ClientConversation, state: str) -> None:
    """Both end the connection; the block that was not understood is what has to be said."""
    client.send(_block(client.in_state(state), b"\x80"))
    client.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_a_promise_that_cannot_be_decoded(client: ClientConversation) -> None:
    stream_id = client.open()
    client.send(frames.frame(frames.PUSH_PROMISE, END_HEADERS, stream_id, frames.number(2) + b"\x80"))
    client.connection_error(ErrorCode.COMPRESSION_ERROR)


def _trailers(conversation: Conversation, *blocks: bytes) -> Headers:
    """The trailers of the last of these blocks; each comes on a stream of its own."""
    trailers = Headers()
    for block in blocks:
        stream_id = conversation.in_state("open")
        conversation.send(_block(stream_id, block))
        held = conversation._kept if isinstance(conversation, ServerConversation) else conversation.streams
        trailers = held[-1].wait_trailers(timeout=PATIENCE)
    return trailers


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        pytest.param(b"", {}, id="an empty block"),
        pytest.param(b"\x20", {}, id="6.3 a block that only says a table size"),
        pytest.param(b"\x20" + X_IS_Y, {"x": "y"}, id="6.3 a table of nothing"),
        pytest.param(ALLOWED_SIZE + X_IS_Y, {"x": "y"}, id="6.3 a table as large as we allow"),
        pytest.param(b"\x20" + ALLOWED_SIZE + X_IS_Y + NEWEST, {"x": "y, y"}, id="4.2 two table sizes"),
        pytest.param(X_IS_Y + b"\x40\x01z\x011" + NEWEST + SECOND, {"x": "y, y", "z": "1, 1"}, id="2.3.2"),
        pytest.param(X_IS_Y + integer(62, 6, INDEXING) + b"\x01z", {"x": "y, z"}, id="6.2.1 a name from the table"),
        pytest.param(integer(58, 4) + b"\x01z", {"user-agent": "z"}, id="6.2.2 a name from the static table"),
        pytest.param(b"\x10\x01x\x01y", {"x": "y"}, id="6.2.3 never indexed"),
        pytest.param(_literal(b"\x00"), {"x": ""}, id="5.2 an empty value"),
        pytest.param(_literal(b"\x80"), {"x": ""}, id="5.2 an empty value in Huffman code"),
        pytest.param(_literal(_string(b"\x1f", huffman=True)), {"x": "a"}, id="5.2 padding of 3 bits"),
        pytest.param(
            _literal(_string(bytes.fromhex("18c6 31ff"), huffman=True)), {"x": "aaaaa"}, id="5.2 padding of 7 bits"
        ),
        pytest.param(_literal(b"\x7f\x80\x00" + b"y" * 127), {"x": "y" * 127}, id="5.1 an integer and a zero"),
    ],
)
def test_odd_encodings_that_are_right(either: Conversation, block: bytes, fields: dict[str, str]) -> None:
    assert dict(_trailers(either, block)) == fields
    either.accepted()


# Section 4: the dynamic table


def test_section_2_3_2_the_table_belongs_to_the_connection(either: Conversation) -> None:
    assert _trailers(either, X_IS_Y, NEWEST) == {"x": "y"}


def test_section_4_3_a_smaller_table_evicts(either: Conversation) -> None:
    assert _trailers(either, X_IS_Y) == {"x": "y"}
    either.send(_block(either.in_state("open"), b"\x20" + NEWEST))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_4_an_entry_larger_than_the_table_empties_it(either: Conversation) -> None:
    too_large = b"\x40\x01x" + _string(b"y" * 4096)
    assert _trailers(either, X_IS_Y, too_large) == {"x": "y" * 4096}
    either.send(_block(either.in_state("open"), NEWEST))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_4_entries_leave_in_the_order_in_which_they_came(either: Conversation) -> None:
    """An entry's size is its octets and 32: 34 for each of the first two, so the third one, of 4,040, evicts one."""
    x, z, large = X_IS_Y, b"\x40\x01z\x011", b"\x40\x01v" + _string(b"w" * 4007)
    assert _trailers(either, x, z, large, SECOND) == {"z": "1"}
    either.send(_block(either.in_state("open"), bytes((INDEXED | 64,))))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_4_an_entry_may_be_named_after_the_one_that_it_evicts(either: Conversation) -> None:
    name = b"n" * 2000
    first = b"\x40" + _string(name) + _string(b"1" * 2000)
    second = integer(62, 6, INDEXING) + _string(b"2" * 2000)
    assert _trailers(either, first, second, NEWEST) == {name.decode(): "2" * 2000}


def _shrink(conversation: Conversation, size: int) -> None:
    """SETTINGS of ours, acknowledged by the peer."""
    session = conversation.session  # type: ignore[attr-defined]  # each role's has its own type
    session.settings({"header_table_size": size})
    conversation.peer.expect(SettingsFrame, matching=lambda frame: "ACK" not in frame.flags)
    conversation.send(frames.settings_ack())


def test_section_4_2_a_reduced_table_that_the_next_block_does_not_acknowledge(either: Conversation) -> None:
    stream_id = either.in_state("open")
    _shrink(either, 0)
    either.send(_block(stream_id, _literal(b"\x01y")))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_2_the_same_with_a_block_that_was_right_before(either: Conversation) -> None:
    assert _trailers(either, _literal(b"\x01y"), _literal(b"\x01y")) == {"x": "y"}
    stream_id = either.in_state("open")
    _shrink(either, 0)
    either.send(_block(stream_id, _literal(b"\x01y")))
    either.connection_error(ErrorCode.COMPRESSION_ERROR)


@pytest.mark.parametrize(("size", "right"), [(99, True), (100, True), (101, False)])
def test_section_4_2_a_reduced_table_holds_for_the_updates_too(either: Conversation, size: int, right: bool) -> None:
    stream_id = either.in_state("open")
    _shrink(either, 100)
    either.send(_block(stream_id, integer(size, 5, SIZE_UPDATE) + X_IS_Y))
    if right:
        either.accepted()
    else:
        either.connection_error(ErrorCode.COMPRESSION_ERROR)


def test_section_4_2_before_the_acknowledgement_the_old_size_holds(either: Conversation) -> None:
    stream_id = either.in_state("open")
    either.session.settings({"header_table_size": 0})  # type: ignore[attr-defined]  # each role's has its own type
    either.send(_block(stream_id, ALLOWED_SIZE + X_IS_Y))
    either.accepted()


# Appendix C: its examples, as one connection each

REQUESTS = [
    pytest.param(
        (
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ),
        id="C.3 without Huffman coding",
    ),
    pytest.param(
        (
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ),
        id="C.4 with Huffman coding",
    ),
]


@pytest.mark.parametrize("blocks", REQUESTS)
def test_appendix_c_requests(server: ServerConversation, blocks: tuple[str, ...]) -> None:
    for block in blocks:
        stream_id = server.new_id()
        server.send(_block(stream_id, bytes.fromhex(block)))
        assert server.answer(stream_id) == ("200", b"")
    common = {":method": "GET", ":authority": "www.example.com"}
    assert [dict(request) for request in server.requests] == [
        {**common, ":scheme": "http", ":path": "/"},
        {**common, ":scheme": "http", ":path": "/", "cache-control": "no-cache"},
        {**common, ":scheme": "https", ":path": "/index.html", "custom-key": "custom-value"},
    ]


RESPONSES = [
    pytest.param(
        (
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120"
            "474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738"
            "666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33"
            "3630 303b 2076 6572 7369 6f6e 3d31",
        ),
        id="C.5 without Huffman coding",
    ),
    pytest.param(
        (
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718"
            "63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7"
            "b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ),
        id="C.6 with Huffman coding",
    ),
]


@pytest.mark.parametrize("blocks", RESPONSES)
def test_appendix_c_responses(blocks: tuple[str, ...]) -> None:
    """With a table of 256 octets, from which entries are evicted."""
    with client_conversation(settings={"header_table_size": 256}) as client:
        received = []
        for number, block in enumerate(blocks):
            stream = client.request()
            assert stream.id is not None
            size_update = b"" if number else integer(256, 5, SIZE_UPDATE)
            client.send(_block(stream.id, size_update + bytes.fromhex(block)))
            received.append(dict(stream.wait_response()))
    common = {
        "cache-control": "private",
        "date": "Mon, 21 Oct 2013 20:13:21 GMT",
        "location": "https://www.example.com",
    }
    assert received == [
        {":status": "302", **common},
        {":status": "307", **common},
        {
            ":status": "200",
            **common,
            "date": "Mon, 21 Oct 2013 20:13:22 GMT",
            "content-encoding": "gzip",
            "set-cookie": ["foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
        },
    ]


# Our encoder


def _raw_block(server: ServerConversation) -> bytes:
    """The next header block as it came."""
    while True:
        header = server.peer._read(9)
        payload = server.peer._read(int.from_bytes(header[:3], "big"))
        if header[3] == frames.HEADERS:
            assert header[4] & END_HEADERS
            return payload


def test_section_4_2_our_encoder_signals_the_smallest_table_and_the_last() -> None:
    """ "the smallest maximum table size that occurs in that interval [...] the final maximum size"."""
    with server_conversation() as server:
        server.send(*[frames.settings((frames.HEADER_TABLE_SIZE, size)) for size in (1000, 10, 500)])
        server.hold().respond()
        assert _raw_block(server).startswith(integer(10, 5, SIZE_UPDATE) + integer(500, 5, SIZE_UPDATE))


def test_section_4_2_our_encoder_keeps_to_the_peers_table() -> None:
    with server_conversation(peer_settings={frames.HEADER_TABLE_SIZE: 100}) as server:
        for number in range(10):
            server.hold().respond({f"x-number-{number}": "some value"})
            assert server.peer.expect(HeadersFrame)
        table = server.peer._decoder.header_table
        assert table.maxsize == 100
        assert server.session._protocol.deflate_dynamic_table_size <= 100


def test_section_4_2_a_larger_table_of_the_peers_is_not_made_use_of_beyond_our_limit() -> None:
    """`max_deflate_dynamic_table_size`: otherwise a peer would choose how much memory we need for it."""
    with server_conversation(peer_settings={frames.HEADER_TABLE_SIZE: 2**32 - 1}) as server:
        for number in range(200):
            stream = server.hold(REQUEST, END_HEADERS | END_STREAM)
            stream.respond({f"x-number-{number}": "some value"}, end_stream=True)
            server.peer.expect(HeadersFrame)
        assert server.session._protocol.deflate_dynamic_table_size <= 4096


def test_section_7_1_3_sensitive_fields_are_never_indexed() -> None:
    with server_conversation() as server:
        headers = Headers({":status": 200})
        headers.add("x-secret", "hush", sensitive=True)
        for _ in range(2):
            server.hold(REQUEST, END_HEADERS | END_STREAM).respond(headers, end_stream=True)
            fields = server.peer._decoder.decode(_raw_block(server))
            assert [field.indexable for field in fields if field[0] == "x-secret"] == [False]
