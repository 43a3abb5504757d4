"""What two programs could read differently: never more answers than requests, and never a request that was hidden in
another.

Each attack is followed by what it would smuggle. Either the server refuses the whole connection with one 4xx or 5xx,
or it reads the attack in the one way that the RFC allows; what is hidden is never served as a request of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.peers.http1_client import GET, dial
from sync_h2 import ThreadingServer, create_server

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /open HTTP/1.1\r\nHost: x\r\n"


class Server:
    """A server that remembers which paths it was asked for."""

    def __init__(self, server: ThreadingServer, paths: list[str]) -> None:
        self.server = server
        self.paths = paths

    def answers(self, octets: bytes, *, slowly: bool) -> list[int]:
        """The status of each answer until the connection ends."""
        with dial(self.server.address) as client:
            try:
                for piece in [octets[i : i + 1] for i in range(len(octets))] if slowly else [octets]:
                    client.send(piece)
                client.end()
            except OSError:  # it has refused already
                pass
            try:
                received = client.rest()
            except ConnectionResetError:
                return []
            return [int(status) for status in re.findall(rb"(?:\A|\n|hello)HTTP/1\.1 (\d+) ", received)]


@pytest.fixture
def asked() -> Iterator[Server]:
    paths: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        paths.append(headers[":path"])
        stream.read()
        stream.respond({"content-length": 5})
        stream.end(b"hello")

    with create_server(handler, allow_http1=True) as server:
        yield Server(server, paths)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
REFUSED = {
    # content-length against transfer-encoding
    "CL.TE": HEAD + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nG",
    "TE.CL": HEAD + CHUNKED + b"Content-Length: 4\r\n\r\n5c\r\n",
    "TE.CL with nothing": HEAD + CHUNKED + b"Content-Length: 0\r\n\r\n0\r\n\r\n",
    # one transfer-encoding against another
    "TE.TE twice": HEAD + CHUNKED + b"Transfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "TE.TE x first": HEAD + b"Transfer-Encoding: x\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "TE.TE xchunked": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "TE.TE space before colon": HEAD + b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "TE.TE tab in value": HEAD + b"Content-Length: 5\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "TE.TE folded": HEAD + b"Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "TE.TE bare LF": HEAD + b"Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.TE bare CR": HEAD + b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.TE quoted": HEAD + b"Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n",
    "TE.TE semicolon": HEAD + b"Transfer-Encoding: chunked;\r\n\r\n0\r\n\r\n",
    "TE.TE NUL": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n",
    "TE in 1.0": b"POST /open HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "TE in 1.0, kept": b"POST /open HTTP/1.0\r\nConnection: keep-alive\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    # content-length against content-length
    "CL.CL": HEAD + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "CL.CL equal": HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "CL.CL list": HEAD + b"Content-Length: 0, 5\r\n\r\nhello",
    "CL sign": HEAD + b"Content-Length: +5\r\n\r\nhello",
    "CL hexadecimal": HEAD + b"Content-Length: 0x5\r\n\r\nhello",
    "CL space": HEAD + b"Content-Length: 5 0\r\n\r\nhello",
    "CL space before colon": HEAD + b"Content-Length : 5\r\n\r\nhello",
    "CL folded": HEAD + b"Content-Length: 5\r\n 0\r\n\r\nhello",
    "CL other digits": HEAD + b"Content-Length: \xd9\xa5\r\n\r\nhello",
    # chunks
    "chunk size negative": HEAD + CHUNKED + b"\r\n-1\r\n\r\n0\r\n\r\n",
    "chunk size prefixed": HEAD + CHUNKED + b"\r\n0x0\r\n\r\n",
    "chunk size spaced": HEAD + CHUNKED + b"\r\n0 \r\n\r\n",
    "chunk size led by a space": HEAD + CHUNKED + b"\r\n 0\r\n\r\n",
    "chunk size overflows": HEAD + CHUNKED + b"\r\n10000000000000000\r\n",
    "chunk size empty": HEAD + CHUNKED + b"\r\n\r\n0\r\n\r\n",
    "chunk size with LF": HEAD + CHUNKED + b"\r\n0\n\r\n",
    "chunk end with LF": HEAD + CHUNKED + b"\r\n5\r\nhello\n0\r\n\r\n",
    "chunk longer than its size": HEAD + CHUNKED + b"\r\n2\r\nhello\r\n0\r\n\r\n",
    "chunk extension with LF": HEAD + CHUNKED + b"\r\n0;a\n\r\n\r\n",
    "chunk extension with CR": HEAD + CHUNKED + b"\r\n0;a\rb\r\n\r\n",
    "trailers end with LF": HEAD + CHUNKED + b"\r\n0\r\nX: y\n\n",
    "trailers end at once with LF": HEAD + CHUNKED + b"\r\n0\r\n\n",
    "trailers with a length": HEAD + CHUNKED + b"\r\n0\r\nContent-Length: 40\r\n\r\n",
    "trailers folded": HEAD + CHUNKED + b"\r\n0\r\nX: y\r\n z\r\n\r\n",
    # heads
    "Host twice": b"GET /open HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "Host missing": b"GET /open HTTP/1.1\r\n\r\n",
    "Host elsewhere": b"GET http://x/open HTTP/1.1\r\nHost: y\r\n\r\n",
    "line without CR": b"GET /open HTTP/1.1\nHost: x\n\n",
    "line folded": b"GET /open HTTP/1.1\r\nHost: x\r\nX: y\r\n\tz\r\n\r\n",
    "space before the first field": b"GET /open HTTP/1.1\r\n Host: x\r\n\r\n",
    "request line with tabs": b"GET\t/open\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "request line with two spaces": b"GET  /open  HTTP/1.1\r\nHost: x\r\n\r\n",
    "version 0.9": b"GET /open\r\n",
    "version 2.0": b"GET /open HTTP/2.0\r\nHost: x\r\n\r\n",
    "preface of HTTP/2 after a request": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "pseudo-header field": b"GET /open HTTP/1.1\r\nHost: x\r\n:path: /hidden\r\n\r\n",
    "CONNECT with content": b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
def test_refused(asked: Server, octets: bytes, before: bytes, slowly: bool) -> None:
    answers = asked.answers(before + octets + HIDDEN, slowly=slowly)
    if before:
        assert answers[:1] == [200]
        del answers[:1]
    # The client may have gone on sending: then the answer can be lost, with the connection.
    assert answers == [] or (len(answers) == 1 and 400 <= answers[0] < 600)
    assert "/hidden" not in asked.paths


# Read in one way by everybody: the body is what is hidden.
TAKEN = {
    "a body with a length": HEAD + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a body in a chunk": HEAD + CHUNKED + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
    "a body behind an extension": HEAD + CHUNKED + b"\r\n%x;a=b\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
    "a body of GET": b"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "chunked in other letters": HEAD
    + b"tRANSFER-eNCODING: CHUNKED\r\n\r\n%x\r\n" % len(HIDDEN)
    + HIDDEN
    + b"\r\n0\r\n\r\n",
    "a length with zeros before": HEAD + b"Content-Length: 000%d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    "a value with a request in it": b"GET /open HTTP/1.1\r\nHost: x\r\nX: GET /hidden HTTP/1.1\r\n\r\n",
    "a trailer with a request in it": HEAD + CHUNKED + b"\r\n0\r\nX: GET /hidden HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize("octets", TAKEN.values(), ids=TAKEN)
def test_taken_for_what_it_is(asked: Server, octets: bytes, slowly: bool) -> None:
    assert asked.answers(octets + GET, slowly=slowly) == [200, 200]
    assert asked.paths == ["/open", "/"]


@pytest.mark.parametrize(
    "octets",
    [
        b"HEAD /open HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: 5\r\n\r\nhello",
        HEAD + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n",
    ],
)
def test_a_connection_that_ends_anywhere(asked: Server, octets: bytes) -> None:
    """One answer at most, wherever it is cut, and none of a request that is not whole."""
    for length in range(len(octets)):
        asked.paths.clear()
        answers = asked.answers(octets[:length], slowly=False)
        final = [status for status in answers if status >= 200]
        assert final == [] or (len(final) == 1 and final[0] >= 400), (octets[:length], answers)
