"""How a scripted server's connections and streams end: when GOAWAY is said, and what a request's record has then."""

from __future__ import annotations

import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import RawPeer
from sync_h2.testing import ScriptedServer

# -- GOAWAY on connections that have brought so many requests already


@pytest.mark.parametrize("answers_first", [False, True])
def test_a_client_whose_connection_has_had_its_requests_goes_on_on_another(
    server: ScriptedServer, answers_first: bool
) -> None:
    server.route("/").respond(200)
    with server.client() as client:
        client.get("/")
        client.get("/")
        server.goaway_after(1, answers_first=answers_first)
        assert client.get("/").status_code == 200
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_goaway_while_more_are_under_way_than_are_wanted(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/").stall()
    for stream_id in (1, 3):
        peer.headers(stream_id, REQUEST, end_stream=True)
    server.wait_request()
    server.wait_request()
    server.goaway_after(1)
    peer.headers(5, REQUEST, end_stream=True)
    assert peer.expect(GoAwayFrame).last_stream_id == 3
    slow.release()
    assert sorted(frame.stream_id for frame in peer.until_end() if isinstance(frame, HeadersFrame)) == [1, 3]


def test_goaway_when_more_are_answered_than_are_wanted(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/").stall()
    for stream_id in (1, 3):
        peer.headers(stream_id, REQUEST, end_stream=True)
    server.wait_request()
    server.wait_request()
    server.goaway_after(1, answers_first=True)
    peer.headers(5, REQUEST, end_stream=True)
    assert [frame for frame in peer.settled() if isinstance(frame, GoAwayFrame)] == []
    slow.release()
    frames = [frame for frame in peer.until_end() if isinstance(frame, HeadersFrame | GoAwayFrame)]
    assert [frame.stream_id for frame in frames] == [1, 3, 0]
    assert frames[-1].last_stream_id == 3
