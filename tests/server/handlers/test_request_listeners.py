"""`request` listeners and their siblings: who is called for which request, and what is answered without them."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame

from support.octets.fields import UPLOAD
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, InvalidArgument, ServerRequest, ServerResponse, create_server, serve_socket
from sync_h2.testing import pair

EXPECTING = {":method": "POST", "expect": "100-continue"}
EVENTS = ("request", "check_continue", "check_expectation", "connect")


def hello(request: ServerRequest, response: ServerResponse) -> None:
    response.end(f"{request.method} {request.path} {request.read().decode()}".encode())


def noting(name: str, calls: Any) -> Any:
    """A listener that notes its calls and answers with its name."""

    def listener(request: ServerRequest, response: ServerResponse) -> None:
        calls.append(name)
        response.end(name.encode())

    return listener


def test_on_request(serve: Any, visit: Any) -> None:
    session = visit(serve(on_request=hello))
    stream = session.request({":method": "POST", ":path": "/page"})
    stream.end(b"body")
    assert stream.wait_response()[":status"] == "200"
    assert stream.read() == b"POST /page body"


def test_a_listener_can_be_added_and_taken_off(serve: Any, visit: Any) -> None:
    server = serve()
    session = visit(server)
    assert session.request().wait_response()[":status"] == "500"

    @server.on("request")  # type: ignore[untyped-decorator]  # a function of the decorated one's own type
    def answer(request: ServerRequest, response: ServerResponse) -> None:
        response.end(b"answered")

    assert session.request().read() == b"answered"
    server.off("request", answer)
    assert session.request().wait_response()[":status"] == "500"
    server.once("request", answer)
    assert session.request().read() == b"answered"
    assert session.request().wait_response()[":status"] == "500"


def test_several_listeners_share_the_objects_in_order(serve: Any, visit: Any) -> None:
    seen: list[Any] = []

    def first(request: ServerRequest, response: ServerResponse) -> None:
        response.set_header("x-first", "1")
        seen.extend((request, response))

    def second(request: ServerRequest, response: ServerResponse) -> None:
        assert [request, response] == seen
        assert response.request is request
        response.end(b"second")

    server = serve(on_request=first)
    server.on("request", second)
    stream = visit(server).request()
    assert (stream.wait_response()["x-first"], stream.read()) == ("1", b"second")


def test_stream_listeners_run_too_and_first(serve: Any, visit: Any) -> None:
    order: list[str] = []

    def on_stream(stream: Any, headers: Any) -> None:
        order.append("stream")
        if headers[":path"] == "/stream":
            stream.end(b"by the stream")

    def on_request(request: ServerRequest, response: ServerResponse) -> None:
        order.append("request")
        if not response.headers_sent:
            response.end(b"by the request")

    session = visit(serve(on_stream, on_request=on_request))
    assert session.request().read() == b"by the request"
    assert session.request({":path": "/stream"}).read() == b"by the stream"
    eventually(lambda: len(order) == 4)
    assert order == ["stream", "request"] * 2


def test_requests_of_one_session_are_handled_in_parallel(serve: Any, visit: Any) -> None:
    meeting = threading.Barrier(3)

    def meet(request: ServerRequest, response: ServerResponse) -> None:
        meeting.wait(10)
        response.end(b"met")

    session = visit(serve(on_request=meet))
    streams = [session.request() for _ in range(3)]
    assert [stream.read(timeout=10) for stream in streams] == [b"met"] * 3


# -- Expect


def test_100_continue_comes_before_the_listener_runs(serve: Any, visit: Any) -> None:
    informed: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def on_request(request: ServerRequest, response: ServerResponse) -> None:
        informed.put([headers[":status"] for headers in request.stream.sent_info_headers])
        hello(request, response)

    session = visit(serve(on_request=on_request))
    for expectation in ("100-continue", "100-Continue"):
        stream = session.request({**EXPECTING, "expect": expectation})
        assert stream.wait_continue(timeout=5)
        assert informed.get(timeout=5) == ["100"]
        stream.end(b"body")
        assert stream.read() == b"POST / body"
        assert [headers[":status"] for headers in stream.informational] == ["100"]


def test_check_continue_is_called_instead(serve: Any, visit: Any) -> None:
    calls: list[str] = []
    server = serve(on_request=noting("request", calls))

    def decide(request: ServerRequest, response: ServerResponse) -> None:
        calls.append("check_continue")
        if request.path == "/no":
            response.status_code = 403
            response.end(b"no")
        else:
            assert response.write_continue()
            response.end(request.read())

    server.on("check_continue", decide)
    session = visit(server)
    refused = session.request({**EXPECTING, ":path": "/no"})
    assert not refused.wait_continue(timeout=5)
    assert (refused.wait_response()[":status"], refused.read(), refused.informational) == ("403", b"no", [])
    assert refused.wait_closed(timeout=5) == ErrorCode.NO_ERROR
    accepted = session.request(EXPECTING)
    assert accepted.wait_continue(timeout=5)
    accepted.end(b"body")
    assert accepted.read() == b"body"
    assert session.request().read() == b"request"
    assert calls == ["check_continue", "check_continue", "request"]


@pytest.mark.parametrize("expectation", ["200-ok", "100-continue, 200-ok", "100", ""])
def test_other_expectations_get_417(serve: Any, visit: Any, expectation: str) -> None:
    calls: list[str] = []
    server = serve(on_request=noting("request", calls), discard_timeout=0.1)
    session = visit(server)
    stream = session.request({":method": "POST", "expect": expectation})
    headers = stream.wait_response()
    assert (headers[":status"], headers["content-length"], stream.read()) == ("417", "0", b"")
    assert stream.wait_closed(timeout=5) == ErrorCode.NO_ERROR
    assert calls == []
    server.on("check_expectation", noting("check_expectation", calls))
    assert session.request({"expect": expectation}).read() == b"check_expectation"
    assert calls == ["check_expectation"]


def test_a_stream_listener_decides_about_expectations_without_a_request_listener(serve: Any, visit: Any) -> None:
    stream = visit(serve(lambda stream, headers: stream.end(headers["expect"].encode()))).request({"expect": "200-ok"})
    assert stream.read() == b"200-ok"


def test_what_a_stream_listener_has_answered_is_not_refused(serve: Any, visit: Any) -> None:
    calls: list[str] = []
    held: list[Any] = []

    def on_stream(stream: Any, headers: Any) -> None:
        if headers.get(":path") == "/held":
            stream.detach()
            held.append(stream)
        else:
            stream.end(b"accepted")

    session = visit(serve(on_stream, on_request=noting("request", calls)))
    assert session.request({"expect": "200-ok"}).read() == b"accepted"
    tunnel = session.request({":method": "CONNECT", ":authority": "localhost:443"})
    assert (tunnel.wait_response()[":status"], tunnel.read()) == ("200", b"accepted")
    assert tunnel.wait_closed(timeout=5) == ErrorCode.NO_ERROR
    kept = session.request({":path": "/held", "expect": "200-ok"})
    eventually(lambda: held and not held[0].session._handler_threads, "the last handler's return")
    held[0].end(b"later")
    assert kept.read() == b"later"
    assert calls == []


def test_expectations_on_the_wire() -> None:
    with server_and_raw_client(on_request=hello) as (_, peer):
        peer.headers(1, [*UPLOAD, ("expect", "100-continue")])
        assert peer.expect(HeadersFrame, 1).fields == [(":status", "100")]
        peer.data(1, b"body", end_stream=True)
        assert dict(peer.expect(HeadersFrame, 1).fields)[":status"] == "200"
        peer.headers(3, [*UPLOAD, ("expect", "the-unexpected")])
        assert dict(peer.expect(HeadersFrame, 3).fields)[":status"] == "417"


# -- CONNECT


def test_connect_gets_405_unless_it_is_listened_for(serve: Any, visit: Any) -> None:
    calls: list[str] = []
    server = serve(on_request=noting("request", calls))
    session = visit(server)
    refused = session.request({":method": "CONNECT", ":authority": "localhost:443"})
    assert refused.wait_response()[":status"] == "405"
    assert refused.wait_closed(timeout=5) == ErrorCode.NO_ERROR

    def tunnel(request: ServerRequest, response: ServerResponse) -> None:
        response.set_trailer("x-left", "out: a tunnel has none")
        response.write_head(200)
        for line in request:
            response.write(line.upper())
        response.end()

    server.on("connect", tunnel)
    tunnelled = session.request({":method": "CONNECT", ":authority": "localhost:443"})
    assert tunnelled.wait_response()[":status"] == "200"
    tunnelled.write(b"one\n")
    assert tunnelled.readline() == b"ONE\n"
    tunnelled.end(b"two\n")
    assert tunnelled.read() == b"TWO\n"
    assert calls == []


# -- where they can be given


def test_both_ways_to_say_it_exclude_each_other() -> None:
    for event, argument in (("stream", "handler"), ("request", "on_request")):
        with pytest.raises(InvalidArgument, match=f"{argument} is a '{event}' listener"):
            create_server(**{argument: print}, listeners={event: print})


def test_what_is_no_handler_is_refused() -> None:
    for make in (create_server, lambda **options: serve_socket(None, **options)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="callable"):
            make(on_request="hello")


def test_listeners_of_a_server(serve: Any, visit: Any) -> None:
    calls: list[str] = []
    session = visit(serve(listeners={name: noting(name, calls) for name in EVENTS}))
    assert session.request().read() == b"request"
    assert session.request(EXPECTING, end_stream=True).read() == b"check_continue"
    assert session.request({"expect": "x"}).read() == b"check_expectation"
    connected = session.request({":method": "CONNECT", ":authority": "localhost:443"})
    assert connected.read() == b"connect"
    assert connected.wait_closed(timeout=5) == ErrorCode.NO_ERROR
    assert calls == list(EVENTS)


def test_a_pair_and_a_socket_take_it() -> None:
    client, server = pair(on_request=hello)
    with client, server:
        assert client.request().read() == b"GET / "
        assert client.request({"expect": "x"}).wait_response()[":status"] == "417"
        connected = client.request({":method": "CONNECT", ":authority": "localhost:443"})
        assert connected.wait_response()[":status"] == "405"
        assert connected.wait_closed(timeout=5) == ErrorCode.NO_ERROR


def test_nothing_is_made_where_nobody_listens(serve: Any, visit: Any) -> None:
    server = serve(lambda stream, headers: stream.end(b"plain"))
    assert visit(server).request().read() == b"plain"
    assert len(server._handlers()) == 1
    server.on("request", hello)
    assert len(server._handlers()) == 2
