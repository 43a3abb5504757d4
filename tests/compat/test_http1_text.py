"""HTTP/1 text: the chunked coding, and fields on their way to HTTP/2."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_h2 import InvalidArgument
from sync_h2.compat.http1_text import ChunkedBody, http1_message, http2_headers, is_chunked, parse_fields


def chunked(pieces: list[bytes], trailers: bytes = b"") -> bytes:
    chunks = b"".join(b"%x;a=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailers + b"\r\n"


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_chunks_cut_anywhere_give_what_http_client_reads(pieces: list[bytes], data: st.DataObject):
    text = chunked(pieces, b"X-A: 1\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    body = ChunkedBody()
    content = b"".join(body.feed(text[start:end]) for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True))
    assert body.ended
    assert body.trailers().pairs() == [("x-a", "1")]

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text)

    response = http.client.HTTPResponse(Socket())  # type: ignore[arg-type]
    response.begin()
    assert content == response.read() == b"".join(pieces)


def test_a_body_has_not_ended_before_its_last_octet():
    text = chunked([b"ab", b"c"])
    body = ChunkedBody()
    content = b"".join(body.feed(text[place : place + 1]) for place in range(len(text) - 1))
    assert (content, body.ended) == (b"abc", False)
    assert body.feed(text[-1:]) == b""
    assert (body.ended, body.trailers().pairs()) == (True, [])


@pytest.mark.parametrize("text", [b"\r\n", b"-1\r\n", b"x\r\n", b"2\r\nabc\r\n", b"0\r\n\r\nmore"])
def test_what_is_no_chunk(text: bytes):
    with pytest.raises(InvalidArgument):
        ChunkedBody().feed(text)


def test_fields_of_one_connection_are_dropped():
    fields = [("Connection", "close, X-A"), ("Connection", "x-b"), ("X-A", "1"), ("X-B", "2"), ("X-C", "3")]
    fields += [("TE", "gzip"), ("Upgrade", "h2c"), ("Proxy-Connection", "close"), ("Keep-Alive", "5")]
    assert http2_headers(http1_message(fields)).pairs() == [("x-c", "3")]
    assert http2_headers(http1_message([("TE", "trailers")])).pairs() == [("te", "trailers")]


def test_values_are_unfolded_and_stripped():
    message = parse_fields(b"A: one\r\n\ttwo \r\n  three\r\nB:\t x \t\r\n\r\n")
    assert http2_headers(message).pairs() == [("a", "one two three"), ("b", "x")]


@pytest.mark.parametrize(("value", "expected"), [("chunked", True), (" Chunked", True), ("identity", False)])
def test_transfer_encoding(value: str, expected: bool):
    assert is_chunked(http1_message([("Transfer-Encoding", value)])) is expected
    assert not is_chunked(http1_message([]))
