"""Sessions over real connections, with a client that does what the test says: requests, answers, what a handler leaves
undone.
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from typing import Any

import pytest

from support.peers.http1_client import GET, RawHTTP1Client, Reader, chunked, dial, get, http1_session, post
from support.threads.background import eventually
from sync_h2 import (
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    InvalidState,
    ProtocolError,
    SessionClosed,
    create_server,
    serve_socket,
)
from sync_h2.http1.exchange import MOST_DISCARDED


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


def hello(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": 5})
    stream.end(b"hello")


def ends(client: RawHTTP1Client) -> bool:
    """Whether the connection ends here, and in good order."""
    return client.rest() == b""


# -- requests and answers


def test_requests_follow_each_other_on_a_connection() -> None:
    with http1_session(echo, GET) as (session, client):
        assert client.response().status == 200
        for number in range(20):
            body = b"%d" % number * 1000
            assert client.ask(post("/", body)).body == body
            assert client.ask(chunked("/", body, body)).body == body * 2
        assert session.stats.stream_count == 41
        assert session.alpn_protocol is None
        assert not session.encrypted


def test_what_a_handler_sees() -> None:
    seen: dict[str, Any] = {}

    def look(stream: Any, headers: Any) -> None:
        seen.update(
            headers=headers.pairs(),
            id=stream.id,
            end_after_headers=stream.end_after_headers,
            push_allowed=stream.push_allowed,
            state=stream.state.state,
        )
        with pytest.raises(InvalidState):
            stream.push_stream({":path": "/pushed"})
        stream.end()

    with http1_session(look, get("/a?b", "X-Y: Z", "Connection: keep-alive")) as (_, client):
        assert client.response().status == 200
    assert seen == {
        "headers": [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/a?b"),
            ("x-y", "Z"),
        ],
        "id": 1,
        "end_after_headers": True,
        "push_allowed": False,
        "state": "half_closed_remote",
    }


def test_pipelined_requests_are_answered_in_order() -> None:
    def path(stream: Any, headers: Any) -> None:
        stream.end(headers[":path"].encode())

    with http1_session(path, b"".join(get(f"/{number}") for number in range(200))) as (_, client):
        assert [client.response().body for _ in range(200)] == [b"/%d" % number for number in range(200)]


def test_pipelined_bodies_octet_by_octet() -> None:
    octets = post("/", b"first") + chunked("/", b"sec", b"ond") + get("/") + post("/", b"last")
    with create_server(echo, allow_http1=True) as server, dial(server.address) as client:
        for position in range(len(octets)):
            client.send(octets[position : position + 1])
        assert [client.response().body for _ in range(4)] == [b"first", b"second", b"", b"last"]


def test_1_0_keeps_a_connection_only_if_asked() -> None:
    with http1_session(hello, get("/", "Connection: Keep-Alive", version="1.0")) as (_, client):
        kept = client.response()
        assert (kept.body, kept.headers["connection"]) == (b"hello", "keep-alive")
        assert client.ask(get("/", version="1.0")).headers["connection"] == "close"
        assert ends(client)
    with http1_session(echo, post("/", b"body", "Connection: Keep-Alive", version="1.0")) as (_, client):
        assert client.response().body == b"body"  # its end is the connection's
        assert ends(client)


def test_1_1_closes_if_asked() -> None:
    with http1_session(hello, get("/", "Connection: close") + GET) as (_, client):
        assert client.response().headers["connection"] == "close"
        assert ends(client)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_answers_without_a_body(status: int) -> None:
    def answer(stream: Any, headers: Any) -> None:
        stream.respond({":status": status})
        stream.end(b"dropped")

    with http1_session(answer, GET * 2) as (_, client):
        assert [client.response().status, client.response().status] == [status, status]


def test_head() -> None:
    with http1_session(hello, get("/", method="HEAD") + GET) as (_, client):
        head = client.response("HEAD")
        assert (head.headers["content-length"], head.body) == ("5", b"")
        assert client.response().body == b"hello"


def test_trailers_both_ways() -> None:
    def answer(stream: Any, headers: Any) -> None:
        trailers = stream.wait_trailers()
        stream.respond(wait_for_trailers=True)
        stream.write(b"body")
        stream.send_trailers({"x-sum": trailers["x-sum"]})

    with http1_session(answer, chunked("/", b"abc", trailers=b"X-Sum: 7\r\n")) as (_, client):
        client.end()
        assert client.rest().endswith(b"\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n")


def test_early_hints_are_for_1_1_alone_and_only_if_asked_for() -> None:
    def answer(stream: Any, headers: Any) -> None:
        stream.additional_headers({":status": 103, "link": "</a>"})
        hello(stream, headers)

    with http1_session(answer, GET) as (_, client):
        line = b"HTTP/1.1 200 OK\r\n"
        assert client.read(len(line)) == line
    with http1_session(answer, GET, http1_early_hints=True) as (_, client):
        hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        assert client.read(len(hints)) == hints
        assert client.response().status == 200
    with http1_session(answer, get("/", version="1.0"), http1_early_hints=True) as (_, client):
        assert client.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_body_both_ways_at_once() -> None:
    def answer(stream: Any, headers: Any) -> None:
        for chunk in stream:
            stream.write(chunk)
        stream.end()

    body = bytes(range(256)) * 40_000
    with http1_session(answer, get("/", f"Content-Length: {len(body)}", method="POST")) as (_, client):
        sender = threading.Thread(target=client.send, args=(body,))
        sender.start()
        assert client.response().body == body
        sender.join()


# -- Expect


def expecting(length: int) -> bytes:
    return get("/", "Expect: 100-continue", f"Content-Length: {length}", method="POST")


def test_reading_asks_for_the_body() -> None:
    with http1_session(echo, expecting(4)) as (_, client):
        assert client.read(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert client.ask(b"body").body == b"body"
        assert client.ask(GET).status == 200


def test_a_final_answer_instead_ends_the_connection() -> None:
    def refuse(stream: Any, headers: Any) -> None:
        stream.respond({":status": 413}, end_stream=True)

    with http1_session(refuse, expecting(4)) as (_, client):
        refused = client.response()
        assert (refused.status, refused.headers["connection"]) == (413, "close")
        client.send(b"body" + GET)
        assert ends(client)


# -- what a handler leaves undone


def test_a_body_that_nobody_reads_is_skipped() -> None:
    with http1_session(hello, post("/", b"x" * 100_000) + GET) as (_, client):
        assert [client.response().body, client.response().body] == [b"hello", b"hello"]


@pytest.mark.parametrize("chunks", [False, True])
def test_a_client_that_sends_more_than_is_wanted_gets_its_answer(chunks: bool) -> None:
    body = bytes(MOST_DISCARDED * 20)
    with http1_session(hello, b"POST / HTTP/1.1\r\n") as (_, client):
        request = chunked("/", body) if chunks else post("/", body)
        client.send(request[len("POST / HTTP/1.1\r\n") :])
        assert client.response().body == b"hello"
        assert ends(client)


def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    def fail(stream: Any, headers: Any) -> None:
        raise ValueError("broken")

    with http1_session(fail, GET * 2) as (_, client):
        assert [client.response().status, client.response().status] == [500, 500]


@pytest.mark.parametrize("headers", [{}, {"content-length": 10}])
def test_an_answer_that_is_cut_short_never_looks_whole(caplog: pytest.LogCaptureFixture, headers: Any) -> None:
    caplog.set_level(logging.CRITICAL)

    def fail(stream: Any, _: Any) -> None:
        stream.respond(headers)
        stream.write(b"half")
        raise ValueError("broken")

    with http1_session(fail, GET * 2) as (_, client), pytest.raises(http.client.IncompleteRead):
        client.response()
    cut = (http.client.IncompleteRead, ConnectionResetError)
    with http1_session(fail, get("/", version="1.0")) as (_, client), pytest.raises(cut):
        client.response()


def test_a_cut_answer_whose_end_is_the_connections_is_a_reset() -> None:
    """Although all of it has gone out, and the client has taken it."""
    taken = threading.Event()

    def fail(stream: Any, headers: Any) -> None:
        stream.write(b"half")
        assert taken.wait(10)
        stream.close(ErrorCode.CANCEL)

    with http1_session(fail, get("/", version="1.0")) as (_, client):
        head = b""
        while not head.endswith(b"half"):
            head += client.read(1)
        taken.set()
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_the_session_is_destroyed_in_the_middle_of_such_an_answer() -> None:
    begun = threading.Event()

    def begin(stream: Any, headers: Any) -> None:
        stream.write(b"half")
        stream.detach()
        begun.stream = stream  # type: ignore[attr-defined]
        begun.set()

    with http1_session(begin, get("/", version="1.0")) as (session, client):
        assert begun.wait(10)
        session.destroy()
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_a_stream_that_is_reset_ends_the_connection() -> None:
    def reset(stream: Any, headers: Any) -> None:
        stream.close(ErrorCode.CANCEL)

    with http1_session(reset, GET * 2) as (session, client):
        assert ends(client)
        assert session.destroyed


def test_a_missing_file_without_an_answer_is_500() -> None:
    def missing(stream: Any, headers: Any) -> None:
        stream.respond_with_file("/nowhere")

    with http1_session(missing, GET) as (_, client):
        assert client.response().status == 500
        assert ends(client)


def test_the_answer_may_end_before_the_body_is_read() -> None:
    received: dict[int, bytes] = {}

    def answer(stream: Any, headers: Any) -> None:
        hello(stream, headers)
        received[stream.id] = stream.read()

    with http1_session(answer, get("/", "Content-Length: 4", method="POST")) as (_, client):
        assert client.response().body == b"hello"
        client.send(b"body" + GET)
        assert client.response().body == b"hello"
        eventually(lambda: received == {1: b"body", 3: b""})  # not in this order: each has a thread of its own


def test_a_stream_that_is_handed_on_is_answered_later() -> None:
    streams: list[Any] = []

    def hand_on(stream: Any, headers: Any) -> None:
        stream.detach()
        streams.append(stream)

    with http1_session(hand_on, GET * 2) as (_, client):
        for _ in range(2):
            eventually(lambda: streams)
            streams.pop().end(b"late")
            assert client.response().body == b"late"


# -- the client's end


def test_a_client_that_ends_its_side_gets_its_answers() -> None:
    with http1_session(echo, post("/", b"one") + post("/", b"two")) as (_, client):
        client.end()
        assert [client.response().body, client.response().body] == [b"one", b"two"]
        assert ends(client)


def test_a_half_closed_client_gets_a_late_answer() -> None:
    ended = threading.Event()

    def wait(stream: Any, headers: Any) -> None:
        assert ended.wait(10)
        hello(stream, headers)

    with http1_session(wait, GET) as (session, client):
        client.end()
        eventually(lambda: session._protocol.input_ended)  # type: ignore[attr-defined]
        ended.set()
        assert client.response().body == b"hello"
        assert ends(client)


@pytest.mark.parametrize("octets", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_client_that_goes_in_the_middle_of_a_head(octets: bytes) -> None:
    with create_server(hello, allow_http1=True) as server, dial(server.address) as client:
        client.send(octets)
        client.end()
        assert ends(client)


@pytest.mark.parametrize(
    "octets",
    [
        get("/", "Content-Length: 10", method="POST") + b"half",
        get("/", "Transfer-Encoding: chunked", method="POST"),
        get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhal",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\nhalf\r\n",
        get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\nhalf\r\n0\r\n",
    ],
)
def test_a_body_that_is_cut_short_never_looks_whole(octets: bytes, blocked: set[int]) -> None:
    handler = Reader()
    with http1_session(handler, octets) as (session, client):
        eventually(lambda: blocked)
        client.end()
        assert ends(client)
        assert isinstance(handler.error(), ConnectionLost)
        assert session.destroyed


def test_a_body_that_goes_wrong_is_answered_with_400(blocked: set[int]) -> None:
    handler = Reader()
    opening = get("/", "Transfer-Encoding: chunked", method="POST") + b"4\r\nhalf\r\n"
    with http1_session(handler, opening) as (_, client):
        eventually(lambda: blocked)
        client.send(b"x\r\n" + GET)
        assert client.response().status == 400
        assert ends(client)
        error = handler.error()
        assert isinstance(error, ProtocolError)
        assert error.partial == b"half"


def test_a_client_that_vanishes_wakes_who_writes() -> None:
    failed = threading.Event()

    def write(stream: Any, headers: Any) -> None:
        try:
            while True:
                stream.write(bytes(100_000))
        except HTTP2Error:
            failed.set()
            raise

    with http1_session(write, GET) as (_, client):
        client.close()
        assert failed.wait(10)


# -- the session


def test_what_http_1_has_not() -> None:
    def answer(stream: Any, headers: Any) -> None:
        session = stream.session
        session.altsvc('h2=":443"', stream)
        session.origin("https://example.org")
        stream.priority(weight=3)
        for call in (session.ping, lambda: session.settings({}), session.goaway):
            with pytest.raises(InvalidState):
                call()
        stream.end(json.dumps(session.dump()).encode())

    with http1_session(answer, GET) as (session, client):
        dumped = json.loads(client.response().body)
        assert dumped["streams"][0]["request"] == [
            [":method", "GET"],
            [":scheme", "http"],
            [":authority", "localhost"],
            [":path", "/"],
        ]
        assert session.state.next_stream_id == 2**31
        assert session.remote_settings.enable_push is False
        assert not session.connecting
        assert not session.pending_settings_ack
        session.set_local_window_size(100_000)
        assert client.ask(GET).status == 200


def test_listeners_of_a_session() -> None:
    heard: list[str] = []
    listeners = {name: lambda *_, name=name: heard.append(name) for name in ("connect", "close", "error")}
    with http1_session(hello, GET * 2, listeners=listeners) as (session, client):
        assert client.response().status == client.response().status == 200
        session.close(timeout=10)
        assert ends(client)
        eventually(lambda: "close" in heard)
    assert heard == ["connect", "close"]


def test_the_access_log_names_the_version(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sync_h2.access")
    with http1_session(hello, GET + get("/old", version="1.0")) as (_, client):
        client.response()
        client.response()
        assert ends(client)
        eventually(lambda: caplog.text.count("HTTP/1") == 2)
    lines = [record.getMessage().split(" ", 1)[1] for record in caplog.records if record.name == "sync_h2.access"]
    assert [line[: line.rindex(" ")] for line in lines] == ['"GET / HTTP/1.1" 200 5', '"GET /old HTTP/1.0" 200 5']


def test_a_trace() -> None:
    lines: list[str] = []
    with http1_session(hello, GET, trace=lines.append) as (_, client):
        assert client.response().body == b"hello"
        eventually(lambda: len(lines) >= 3)
    assert "received request stream=1 version=1.1" in lines[0]
    assert "sent response stream=1 status=200" in lines[1]
    assert lines[2].endswith("sent body stream=1 length=5 end")


def test_requests_on_a_unix_socket_name_a_host(short_linger: None) -> None:
    near, far = socket.socketpair()
    client = RawHTTP1Client(far)
    client.send(b"GET / HTTP/1.0\r\n\r\n")

    def authority(stream: Any, headers: Any) -> None:
        stream.end(headers[":authority"].encode())

    session = serve_socket(near, authority, allow_http1=True)
    assert client.response().body == b"localhost"
    session.close(timeout=10)
    client.close()


def test_calls_after_the_end(short_linger: None) -> None:
    streams: list[Any] = []

    def keep(stream: Any, headers: Any) -> None:
        streams.append(stream)
        hello(stream, headers)

    with http1_session(keep, get("/", "Connection: close")) as (session, client):
        assert client.response().body == b"hello"
        assert ends(client)
        session.close(timeout=10)
        with pytest.raises(InvalidState):
            streams[0].write(b"more")
        with pytest.raises(SessionClosed):
            session.altsvc("clear", "https://x")
