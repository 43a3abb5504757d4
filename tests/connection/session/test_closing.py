"""How a session ends: `close`, `destroy`, `with`, from any thread, and what that means for the peer."""

from __future__ import annotations

import gc
import logging
import queue
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, PingFrame

from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import DATA_ON_STREAM_0, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import ClientSession, ConnectionLost, ErrorCode, HTTP2Error, SessionClosed, Timeout
from sync_h2.connection.session import core as session_module
from sync_h2.constants import SettingId
from sync_h2.testing import pair


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


def test_close_waits_for_open_streams(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    closing = background(ends.client.close)
    eventually(lambda: ends.client.closed)
    assert not closing.done()
    with pytest.raises(SessionClosed) as raised:
        ends.client.request()
    assert raised.value.retryable
    stream.end(b"question")
    assert served.read() == b"question"
    served.end(b"answer")
    assert stream.read() == b"answer"
    closing.result(5)
    assert ends.client.destroyed
    ends.server.close(timeout=5)


def test_after_the_close_everything_says_so(ends: Any) -> None:
    stream, served = ends.exchange({})
    served.end(b"body")
    stream.wait_closed()
    ends.client.close(timeout=5)
    ends.client.close(timeout=5)
    assert stream.read() == b"body"  # what had arrived is still there
    for call in (ends.client.ping, ends.client.request, ends.client.goaway):
        with pytest.raises(SessionClosed):
            call()
    ends.client.destroy()


def test_a_request_on_a_session_that_has_ended_is_safe_to_retry(ends: Any) -> None:
    ends.client.close(timeout=5)
    with pytest.raises(HTTP2Error) as raised:
        ends.client.request()
    assert raised.value.retryable


def test_a_close_that_times_out_goes_on(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({})
    with pytest.raises(Timeout):
        ends.client.close(timeout=0.05)
    assert not ends.client.destroyed
    served.end(b"late")
    assert stream.read() == b"late"
    ends.client.close(timeout=5)


def test_close_without_waiting(ends: Any) -> None:
    stream, served = ends.exchange({})
    ends.client.close(wait=False)
    assert ends.client.closed
    served.end(b"x")
    assert stream.read() == b"x"
    ends.client.close(timeout=5)


def test_many_threads_close_at_once(ends: Any, background: Any) -> None:
    stream, served = ends.exchange({})
    closing = [background(ends.client.close) for _ in range(10)]
    served.end()
    stream.read()
    for call in closing:
        call.result(5)


def test_a_server_closes_in_two_steps() -> None:
    with server_and_raw_client(echo) as (session, peer):
        peer.headers(1, UPLOAD)
        peer.settled()
        session.close(wait=False)
        first = peer.expect(GoAwayFrame)
        assert (first.error_code, first.last_stream_id) == (ErrorCode.NO_ERROR, 2**31 - 1)
        ping = peer.expect(PingFrame)
        # These were on their way when the server said it: they are served all the same.
        peer.headers(3, REQUEST, end_stream=True)
        peer.data(1, b"upload", end_stream=True)
        assert peer.expect(DataFrame, 1).data == b"upload"
        peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
        frames = peer.until_end()
        last = [frame for frame in frames if isinstance(frame, GoAwayFrame)][-1]
        assert (last.error_code, last.last_stream_id) == (ErrorCode.NO_ERROR, 3)
        assert [frame for frame in frames if isinstance(frame, HeadersFrame) and frame.stream_id == 3] or session.closed


def test_a_stream_after_the_second_goaway_is_ignored() -> None:
    with server_and_raw_client(echo) as (session, peer):
        peer.headers(1, UPLOAD)
        peer.settled()
        session.close(wait=False)
        ping = peer.expect(PingFrame)
        peer.send(PingFrame(0, ping.opaque_data, flags=["ACK"]))
        assert peer.expect(GoAwayFrame).last_stream_id == 1
        peer.headers(3, REQUEST, end_stream=True)
        peer.data(1, b"upload", end_stream=True)
        frames = peer.until_end()
        assert [frame.data for frame in frames if isinstance(frame, DataFrame) and frame.data] == [b"upload"]
        assert not [frame for frame in frames if isinstance(frame, HeadersFrame) and frame.stream_id == 3]


def test_a_client_that_hangs_up_first_has_closed_the_session_all_the_same() -> None:
    """A client that sees the GOAWAY and has no streams may go at once: no connection was lost."""
    with server_and_raw_client(echo) as (session, peer):
        session.close(wait=False)
        peer.expect(GoAwayFrame)
        peer.close()
        eventually(lambda: session.destroyed)
        for _ in range(2):
            with pytest.raises(SessionClosed):
                session.ping()


def test_a_client_that_does_not_answer_the_ping_does_not_hold_the_server_for_ever() -> None:
    with server_and_raw_client(echo, close_timeout=0.2) as (session, peer):
        peer.settled()
        session.close(wait=False)
        assert peer.expect(PingFrame)
        assert peer.expect(GoAwayFrame).last_stream_id == 0
        peer.until_end()


def test_closing_under_load_loses_no_request(background: Any) -> None:
    """Threads request for as long as they may; every request that was accepted is answered in full."""

    def load(client: ClientSession, answered: list[int | None]) -> HTTP2Error:
        while True:
            try:
                stream = client.request({":method": "POST"})
                stream.end(b"x" * 1000)
                assert stream.read() == b"x" * 1000
            except HTTP2Error as error:
                return error
            answered.append(stream.id)

    for _ in range(10):
        client, server = pair(echo)
        answered: list[int | None] = []
        loads = [background(load, client, answered) for _ in range(8)]
        eventually(lambda answered=answered: len(answered) >= 50)
        server.close(timeout=10)
        refused = [call.result(10) for call in loads]
        assert [error for error in refused if not error.retryable] == []
        client.close(timeout=5)


def test_destroy_wakes_everybody(ends: Any, background: Any) -> None:
    pairs = [ends.exchange() for _ in range(4)]
    streams = [stream for stream, _ in pairs]
    calls = [
        background(streams[0].read),
        background(streams[1].write, b"x" * 1_000_000),
        background(streams[2].wait_response),
        background(streams[3].wait_trailers),
    ]
    eventually(lambda: all(map(waits, streams)))
    ends.client.destroy()
    errors = []
    for call in calls:
        with pytest.raises(SessionClosed) as raised:
            call.result(5)
        errors.append(raised.value)
    assert len(set(map(id, errors))) == 4
    assert [error.stream_id for error in errors] == [1, 3, 5, 7]
    assert all(error.__cause__ is not None for error in errors)
    assert ends.client.destroyed
    with pytest.raises(HTTP2Error):
        streams[0].write(b"x")


def test_destroy_with_an_error_tells_everybody(ends: Any, background: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for name in ("error", "close"):
        ends.client.on(name, lambda *arguments, name=name: heard.put((name, *arguments)))
    stream, served = ends.exchange({})
    reading = background(stream.read)
    eventually(lambda: waits(stream))
    cause = RuntimeError("no more")
    ends.client.destroy(cause)
    with pytest.raises(HTTP2Error) as raised:
        reading.result(5)
    chain: list[Any] = [raised.value]
    while chain[-1] is not None:
        chain.append(chain[-1].__cause__)
    assert cause in chain
    name, _error = heard.get(timeout=5)
    assert name == "error"
    assert heard.get(timeout=5) == ("close",)
    assert served.wait_closed(timeout=5) is not None
    with pytest.raises(HTTP2Error):
        served.write(b"x")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, ErrorCode.NO_ERROR),
        ({"error": RuntimeError("x")}, ErrorCode.INTERNAL_ERROR),
        ({"code": ErrorCode.ENHANCE_YOUR_CALM}, ErrorCode.ENHANCE_YOUR_CALM),
        ({"error": RuntimeError("x"), "code": ErrorCode.CONNECT_ERROR}, ErrorCode.CONNECT_ERROR),
    ],
)
def test_destroy_says_why(arguments: Any, code: int) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        session.destroy(**arguments)
        goaway = peer.farewell()
        assert goaway.error_code == code
        assert stream.destroyed


def test_destroy_reaches_a_peer_that_is_still_sending() -> None:
    """Unread bytes at the close would make a TCP reset that swallows the GOAWAY."""
    with server_and_raw_client(lambda stream, headers: stream.read(1)) as (session, peer):
        peer.headers(1, UPLOAD)
        for _ in range(8):
            peer.data(1, b"x" * 8000)
        session.destroy(code=ErrorCode.ENHANCE_YOUR_CALM)
        assert peer.farewell().error_code == ErrorCode.ENHANCE_YOUR_CALM


def test_destroy_while_the_writer_is_stuck(background: Any) -> None:
    """The peer reads nothing and the kernel's buffer is full: the end must not wait for it."""
    with client_and_raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}) as (session, peer):
        peer.open_window(0, 2**30)
        peer.settled()
        stream = session.request({":method": "POST"})
        writing = background(stream.write, b"x" * 50_000_000)
        eventually(lambda: waits(stream))
        session.destroy()
        with pytest.raises(SessionClosed):
            writing.result(5)
        session.close(timeout=5)  # gone, though the peer still reads nothing


def test_destroy_from_a_listener(open_ends: Any, background: Any) -> None:
    ends = open_ends()
    ends.client.on("ping", lambda payload: ends.client.destroy())
    stream, _served = ends.exchange({})
    reading = background(stream.read)
    eventually(lambda: waits(stream))
    ends.server.ping()
    with pytest.raises(SessionClosed):
        reading.result(5)


def test_close_from_a_listener_only_starts_it(ends: Any) -> None:
    returned = threading.Event()

    def close(payload: bytes) -> None:
        ends.client.close()
        returned.set()

    ends.client.on("ping", close)
    stream, served = ends.exchange({})
    ends.server.ping()
    assert returned.wait(5)
    assert ends.client.closed
    served.end(b"finishes")
    assert stream.read() == b"finishes"
    ends.client.close(timeout=5)


@pytest.mark.parametrize("call", ["close", "destroy"])
def test_ending_the_session_from_a_handler(call: str) -> None:
    returned = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        getattr(stream.session, call)()
        returned.set()
        if call == "close":
            stream.end(b"finishes")

    client, server = pair(handler)
    stream = client.request()
    assert returned.wait(5)
    if call == "close":
        assert stream.read() == b"finishes"
    else:
        with pytest.raises(HTTP2Error):
            stream.read()
    client.close(timeout=5)
    server.close(timeout=5)


def test_close_waits_on_a_thread_that_got_the_number_of_one_that_ran_listeners(ends: Any, monkeypatch: Any) -> None:
    """Thread idents are used again: only the thread that runs listeners now may not wait."""
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    ends.client.on("ping", lambda payload: heard.put(threading.get_ident()))
    ends.server.ping()
    ident = heard.get(timeout=5)
    eventually(lambda: ident not in {thread.ident for thread in threading.enumerate()}, "the dispatcher's end")
    stream, served = ends.exchange({})
    with monkeypatch.context() as patch:
        patch.setattr(session_module, "threading", SimpleNamespace(get_ident=lambda: ident))
        with pytest.raises(Timeout):
            ends.client.close(timeout=0.05)
    served.end()
    stream.read()


def test_a_with_block_closes() -> None:
    client, server = pair(echo)
    with client as entered:
        assert entered is client
        stream = client.request({":method": "POST"})
        stream.end(b"x")
        assert stream.read() == b"x"
    assert client.destroyed
    server.close(timeout=5)
    assert server.destroyed


def test_a_with_block_cancels_streams_that_nobody_reads() -> None:
    code: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"endless")
        code.put(stream.wait_closed(timeout=10))

    client, _ = pair(handler)
    with client:
        stream = client.request()
        stream.wait_response()
    assert code.get(timeout=5) == ErrorCode.CANCEL
    assert stream.rst_code == ErrorCode.CANCEL


def test_a_with_block_waits_for_streams_that_somebody_reads(background: Any) -> None:
    let_go = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        assert let_go.wait(10)
        stream.end(b"late")

    client, _ = pair(handler)
    with client:
        stream = client.request()
        reading = background(stream.read)
        eventually(lambda: waits(stream))
        threading.Timer(0.1, let_go.set).start()
    assert reading.result(5) == b"late"


def test_a_with_block_destroys_after_close_timeout(background: Any, caplog: Any) -> None:
    with server_and_raw_client(lambda stream, headers: stream.read(), close_timeout=0.2) as (session, peer):
        peer.headers(1, UPLOAD)
        peer.settled()
        with caplog.at_level(logging.WARNING, "sync_h2"), session:
            eventually(lambda: any(state.reader_waits for state in session._streams.values()))
        assert session.destroyed
    assert "close" in caplog.text


def test_an_exception_in_the_block_destroys_at_once(ends: Any) -> None:
    stream, _ = ends.exchange({})
    with pytest.raises(KeyError), ends.client:
        raise KeyError
    assert ends.client.destroyed
    with pytest.raises(SessionClosed):
        stream.read()


def test_the_peers_end_of_the_connection_with_streams_open(background: Any) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_and_raw_server(listeners={"error": errors.put}) as (session, peer):
        stream = session.request()
        reading = background(stream.read)
        eventually(lambda: waits(stream))
        peer.close()
        with pytest.raises(ConnectionLost) as raised:
            reading.result(5)
        assert not raised.value.retryable
        assert isinstance(errors.get(timeout=5), ConnectionLost)
        with pytest.raises(ConnectionLost):
            session.ping()
        session.close(timeout=5)


def test_the_peers_end_of_the_connection_without_streams_is_no_error() -> None:
    closed = threading.Event()
    errors: list[Any] = []
    with client_and_raw_server(listeners={"error": errors.append, "close": closed.set}) as (session, peer):
        peer.settled()
        peer.close()
        assert closed.wait(5)
        assert errors == []
        with pytest.raises(HTTP2Error) as raised:
            session.request()
        assert raised.value.retryable


def test_a_protocol_error_of_the_peer_ends_the_session_with_its_code() -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client_and_raw_server(listeners={"error": errors.put}) as (session, peer):
        stream = session.request()
        peer.sock.sendall(DATA_ON_STREAM_0)
        goaway = peer.farewell()
        assert goaway.error_code == ErrorCode.PROTOCOL_ERROR
        error = errors.get(timeout=5)
        assert error.code == ErrorCode.PROTOCOL_ERROR
        with pytest.raises(HTTP2Error) as raised:
            stream.read()
        assert raised.value.code == ErrorCode.PROTOCOL_ERROR
        assert raised.value.stream_id == 1


def test_good_frames_before_a_bad_one_count() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        block = HeadersFrame(1, peer._encoder.encode([(":status", "200")]), flags=["END_HEADERS"])
        data = DataFrame(1, b"whole", flags=["END_STREAM"])
        peer.sock.sendall(block.serialize() + data.serialize() + DATA_ON_STREAM_0)
        peer.until_end()
        assert stream.read() == b"whole"


def test_a_dropped_session_is_noticed() -> None:
    with pytest.warns(ResourceWarning, match="session") as caught:
        client, server = pair(echo)
        stream = client.request({":method": "POST"})
        stream.end(b"x")
        assert stream.read() == b"x"
        del client, stream

        def warned() -> bool:
            gc.collect()
            return bool(caught.list)

        eventually(warned)
    server.destroy()


def test_a_closed_session_is_dropped_in_silence() -> None:
    client, server = pair(echo)
    client.close(timeout=5)
    del client, server
    gc.collect()
