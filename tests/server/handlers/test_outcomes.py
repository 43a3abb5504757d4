"""What becomes of a stream when its handler has returned or failed: no silence, no cut body that looks whole."""

from __future__ import annotations

import functools
import logging
import queue
import re
import socket
import ssl
import threading
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, HTTP2Error, InvalidState, StreamReset, connect, create_server, serve_socket
from sync_h2.testing import pair


@pytest.fixture
def serving() -> Any:
    """`serving(handler)` gives a client's session with a server that runs it."""
    sessions = []

    def start(handler: Any, **options: Any) -> Any:
        client, server = pair(handler, **options)
        sessions.extend((client, server))
        return client

    yield start
    for session in sessions:
        session.destroy()


def test_an_exception_before_the_headers_is_a_500(serving: Any, caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        raise RuntimeError("the handler's own fault")

    stream = serving(handler).request()
    assert stream.wait_response()[":status"] == "500"
    assert stream.read() == b""
    eventually(lambda: "the handler's own fault" in caplog.text)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "sync_h2.server"
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_an_exception_after_the_headers_is_a_reset(serving: Any, failure: type[BaseException]) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"half")
        raise failure

    stream = serving(handler).request()
    with pytest.raises(StreamReset) as raised:
        stream.read()
    assert raised.value.code == ErrorCode.INTERNAL_ERROR
    assert raised.value.partial == b"half"


def test_an_exception_after_the_end_changes_nothing(serving: Any, caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(b"whole")
        raise RuntimeError("too late to matter")

    stream = serving(handler).request()
    assert stream.read() == b"whole"
    eventually(lambda: "too late to matter" in caplog.text)


def test_an_exception_of_one_stream_leaves_the_others_alone(serving: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/fail":
            raise RuntimeError("on purpose")
        stream.end(b"fine")

    client = serving(handler)
    for _ in range(3):
        assert client.request({":path": "/fail"}).wait_response()[":status"] == "500"
        assert client.request().read() == b"fine"


def test_the_log_names_the_request_that_failed_and_its_client(caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        raise RuntimeError("on purpose")

    with create_server(handler) as server, connect(server.url) as session:
        host, port = session.socket.getsockname()[:2]
        fields = {":path": '/fail?of="it', "authorization": "Bearer secret"}
        assert session.request(fields).wait_response()[":status"] == "500"
        eventually(lambda: "Traceback" in caplog.text)
    request = rf'"GET /fail?of=\x22it" of {host}:{port}'
    assert f"the handler of stream 1 ({request}) failed" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("returned", ["text", b"octets", {"a": 1}])
def test_what_a_handler_returns_is_no_answer(serving: Any, caplog: Any, returned: Any) -> None:
    assert serving(lambda stream, headers: returned).request().wait_response()[":status"] == "500"
    hint = f"(the {type(returned).__name__} that it returned is not sent: call stream.end(...))"
    eventually(lambda: hint in caplog.text)


class AsynchronouslyCalled:
    async def __call__(self, stream: Any, headers: Any) -> None:
        stream.end()


async def asynchronous(stream: Any, headers: Any) -> None:
    stream.end()


@pytest.mark.parametrize("handler", [asynchronous, functools.partial(asynchronous), AsynchronouslyCalled()])
def test_a_handler_is_no_coroutine_function(handler: Any) -> None:
    for arguments in ({"handler": handler}, {"on_request": handler}):
        with pytest.raises(TypeError, match="a plain function, not an `async def` one"):
            create_server(**arguments)


def test_no_answer_is_a_500(serving: Any, caplog: Any) -> None:
    stream = serving(lambda stream, headers: None).request({":path": "/page", "authorization": "Bearer secret"})
    assert stream.wait_response()[":status"] == "500"
    assert stream.read() == b""
    eventually(lambda: 'no handler answered stream 1 ("GET /page" of ' in caplog.text)
    assert "secret" not in caplog.text


def test_a_handler_that_waited_too_long_for_its_client_makes_one_line_in_the_log(serving: Any, caplog: Any) -> None:
    stream = serving(lambda stream, headers: stream.read(timeout=0.01)).request({":method": "POST"})
    assert stream.wait_response()[":status"] == "500"
    eventually(lambda: re.search(r'the handler of stream 1 \("POST /" of .*\) failed: timed out', caplog.text))
    assert "Traceback" not in caplog.text
    stream.close()  # the server's own reset may still be under way


def test_no_handler_is_an_answer_too(serving: Any) -> None:
    stream = serving(None).request()
    assert stream.wait_response()[":status"] in ("404", "500")


def test_an_answer_that_was_not_ended_is_ended(serving: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"all there is")

    stream = serving(handler).request()
    assert stream.read() == b"all there is"
    assert stream.wait_closed(timeout=5) == 0


def test_headers_alone_are_ended_too(serving: Any) -> None:
    stream = serving(lambda stream, headers: stream.respond({":status": 201})).request()
    assert stream.wait_response()[":status"] == "201"
    assert stream.read() == b""


def test_a_body_shorter_than_announced_is_a_reset(serving: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": 10})
        stream.write(b"short")

    stream = serving(handler).request()
    with pytest.raises(HTTP2Error) as raised:
        stream.read()
    assert raised.value.code == ErrorCode.INTERNAL_ERROR
    assert raised.value.partial == b"short"


def test_an_early_answer_is_kept_by_the_client(serving: Any, background: Any) -> None:
    """RFC 9113 section 8.1: the response is whole, and RST_STREAM(NO_ERROR) says that the rest is not wanted."""
    serves = serving(lambda stream, headers: stream.end(b"early"), server={"max_discarded_body": 100_000})
    stream = serves.request({":method": "POST"})
    writing = background(stream.end, b"x" * 10_000_000)
    assert stream.wait_response()[":status"] == "200"
    assert stream.read() == b"early"
    writing.result(20)
    assert stream.wait_closed(timeout=20) == ErrorCode.NO_ERROR


def test_an_early_answer_on_the_wire() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"early"), max_discarded_body=0) as (_, peer):
        peer.headers(1, UPLOAD)
        assert dict(peer.expect(HeadersFrame, 1).fields)[":status"] == "200"
        data = peer.expect(DataFrame, 1)
        assert data.data == b"early"
        assert "END_STREAM" in data.flags or "END_STREAM" in peer.expect(DataFrame, 1).flags
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR
        peer.data(1, b"was on its way")
        assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_no_reset_while_the_handler_still_reads() -> None:
    body: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.end(b"early")
        body.put(stream.read())

    with server_and_raw_client(handler) as (_, peer):
        peer.headers(1, UPLOAD)
        peer.expect(DataFrame, 1)
        assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]
        peer.data(1, b"the upload", end_stream=True)
        assert body.get(timeout=5) == b"the upload"
        assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_an_early_500_stops_the_upload(serving: Any, background: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        raise RuntimeError("on purpose")

    stream = serving(handler, server={"max_discarded_body": 100_000}).request({":method": "POST"})
    writing = background(stream.end, b"x" * 10_000_000)
    assert stream.wait_response()[":status"] == "500"
    writing.result(20)
    assert stream.wait_closed(timeout=20) == ErrorCode.NO_ERROR


def test_a_detached_stream_outlives_its_handler(serving: Any) -> None:
    taken: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        taken.put(stream)

    stream = serving(handler).request()
    served = taken.get(timeout=5)
    served.write(b"later ")
    served.end(b"on")
    assert stream.read() == b"later on"


def test_a_detached_stream_whose_handler_fails_is_not_left_hanging(serving: Any) -> None:
    keep: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        keep.append(stream)
        raise RuntimeError("after the detach")

    stream = serving(handler).request()
    assert stream.wait_response(timeout=5)[":status"] == "500"


def test_a_stream_that_died_before_its_turn_is_skipped() -> None:
    handled: list[int] = []
    entered, let_go = threading.Event(), threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        handled.append(stream.id)
        entered.set()
        assert let_go.wait(10)
        stream.end()

    with server_and_raw_client(handler, max_workers=1) as (session, peer):
        for stream_id in (1, 3, 5):
            peer.headers(stream_id, REQUEST, end_stream=True)
        assert entered.wait(5)
        peer.reset(3, ErrorCode.CANCEL)
        peer.settled()
        let_go.set()
        peer.expect(HeadersFrame, 5)
        eventually(lambda: not session._jobs)
    assert handled == [1, 5]


def test_a_handler_whose_client_went_away_is_no_error_of_the_server(caplog: Any) -> None:
    waiting = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        waiting.set()
        stream.read()

    with server_and_raw_client(handler) as (session, peer):
        peer.headers(1, UPLOAD)
        assert waiting.wait(5)
        peer.close()
        eventually(lambda: session.destroyed and not session._jobs)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_several_stream_listeners_share_a_stream() -> None:
    client, server = pair(None, server={"listeners": {"stream": lambda stream, headers: stream.respond({"x": "1"})}})
    server.on("stream", lambda stream, headers: stream.end(b"second"))
    stream = client.request()
    assert stream.wait_response()["x"] == "1"
    assert stream.read() == b"second"
    client.close(timeout=5)


def test_a_second_answer_in_a_handler_is_an_invalid_state(serving: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        try:
            stream.respond()
        except InvalidState:
            stream.end(b"refused")

    assert serving(handler).request().read() == b"refused"


def test_serve_socket_closes_what_it_cant_use() -> None:
    near, far = socket.socketpair()
    far.sendall(b"no TLS at all")
    far.shutdown(socket.SHUT_WR)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(HTTP2Error):
        serve_socket(near, lambda stream, headers: None, context=context)
    assert near.fileno() == -1
    far.close()


def test_serve_socket_closes_the_socket_after_bad_options() -> None:
    near, far = socket.socketpair()
    with pytest.raises((TypeError, ValueError)):
        serve_socket(near, lambda stream, headers: None, no_such_option=1)
    near.close()
    far.close()


def test_handlers_may_use_other_threads(serving: Any, background: Any) -> None:
    """A stream is read in one thread and written in another."""

    def handler(stream: Any, headers: Any) -> None:
        chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        reading = background(lambda: [chunks.put(chunk) for chunk in stream])
        total = 0
        while total < 1_000_000:
            chunk = chunks.get(timeout=10)
            stream.write(chunk)
            total += len(chunk)
        reading.result(5)

    stream = serving(handler).request({":method": "POST"})
    writing = background(stream.end, b"x" * 1_000_000)
    assert stream.read() == b"x" * 1_000_000
    writing.result(5)
