"""However the octets of requests are cut, and whatever is wrong with them, they mean the same."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from support.octets.http1_endpoint import Endpoint
from sync_h2.http1.request_heads import UnreadableRequest
from sync_h2.protocol.events import DataReceived, RequestReceived, TrailersReceived
from sync_h2.protocol.fields.headers import encode_response

HEADS = [
    b"GET /a HTTP/1.1\r\nHost: x\r\n",
    b"POST /b HTTP/1.1\r\nHost: x\r\n",
    b"POST /c HTTP/1.0\r\nConnection: keep-alive\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n",
]
BODIES = [
    b"\r\n",
    b"Content-Length: 0\r\n\r\n",
    b"Content-Length: 11\r\n\r\nhello world",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
]
ODD = [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\x00", b"\xff", b"0", b"9", b"f", b";", b"GET ", b"chunked", b","]

requests = st.lists(
    st.tuples(st.sampled_from(HEADS), st.sampled_from(BODIES))
    .map(b"".join)
    .filter(lambda octets: not (b" HTTP/1.0" in octets and b"chunked" in octets)),
    min_size=1,
    max_size=4,
).map(b"".join)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """Requests, with an octet or a few changed, added or left out somewhere."""
    octets = draw(requests)
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(octets)))
        end = min(start + draw(st.integers(0, 3)), len(octets))
        octets = octets[:start] + draw(st.sampled_from([b"", *ODD])) + octets[end:]
    return octets


def meaning(octets: bytes, cuts: list[int], window: int) -> tuple[list[Any], bool]:
    """The requests that were made of it, each answered as soon as it has ended; and whether the rest was refused."""
    endpoint = Endpoint(window)
    protocol = endpoint.protocol
    found: list[Any] = []
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    try:
        for start, end in itertools.pairwise(places):
            endpoint.feed(octets[start:end])
            for event in iter(protocol.next_event, None):
                ended = isinstance(event, TrailersReceived) or event.end_stream
                if isinstance(event, RequestReceived):
                    found.append([event.headers.pairs(), b"", [], ended])
                elif isinstance(event, DataReceived):
                    found[-1][1] += event.data
                    found[-1][3] = ended
                    protocol.open_window(event.stream_id, len(event.data))
                else:
                    found[-1][2:] = [event.headers.pairs(), ended]
                if ended:
                    protocol.send_response(event.stream_id, encode_response({}), True)
    except UnreadableRequest as error:
        assert 400 <= error.status < 600
        return found, True
    return found, False


@given(octets=spoiled(), cuts=st.lists(st.integers(0, 400), max_size=30), window=st.sampled_from([1, 3, 1000]))
@example(octets=HEADS[1] + BODIES[3][:-4] + b"x", cuts=list(range(400)), window=1)
@example(octets=HEADS[0] + b"\n" + HEADS[0], cuts=[], window=1)
def test_the_cuts_change_nothing(octets: bytes, cuts: list[int], window: int) -> None:
    assert meaning(octets, cuts, window) == meaning(octets, [], 1000)


@given(octets=requests, cuts=st.lists(st.integers(0, 400), max_size=30))
def test_what_is_whole_is_taken(octets: bytes, cuts: list[int]) -> None:
    found, refused = meaning(octets, cuts, 1000)
    assert not refused
    assert all(ended for *_, ended in found)
