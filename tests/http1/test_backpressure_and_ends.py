"""When the reader pauses and what wakes it, what holds a session open, and its ends."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

import pytest

from support.peers.http1_client import GET, RawHTTP1Client, Reader, chunked, dial, get, http1_session, post
from support.threads.background import Background, eventually
from sync_h2 import ErrorCode, HTTP2Error, ServerSession, SessionClosed, Timeout, create_server
from sync_h2.connection.sending.outbox import HIGH_WATER_MARK
from sync_h2.connection.timing import watchdog
from sync_h2.http1.state import MOST_HELD

LARGE = 32 * 1024 * 1024
MOST_ON_THE_WAY = 24 * 1024 * 1024  # what the kernel may hold on both ends, and the session before anybody reads


class Held:
    """A handler that waits until the test lets it go on, and then does `then`."""

    def __init__(self, then: Any) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self._then = then

    def __call__(self, stream: Any, headers: Any) -> None:
        self.begun.set()
        assert self.released.wait(20)
        self._then(stream, headers)


def echo_length(stream: Any, headers: Any) -> None:
    stream.end(b"%d" % sum(len(chunk) for chunk in stream))


def hello(stream: Any, headers: Any) -> None:
    stream.end(b"hello")


def fill(client: RawHTTP1Client, octets: bytes) -> int:
    """Send until nothing more is taken; how much was."""
    client.sock.settimeout(0.5)
    sent = 0
    try:
        while sent < len(octets):
            sent += client.sock.send(octets[sent : sent + 1024 * 1024])
    except TimeoutError:
        pass
    client.sock.settimeout(10)
    return sent


def paused(session: ServerSession) -> bool:
    return session._pause.waiting  # type: ignore[attr-defined,no-any-return]


# -- the reader's pauses


@pytest.mark.parametrize("chunks", [False, True])
def test_a_body_that_nobody_reads_yet_stops_its_sender(chunks: bool, background: Background) -> None:
    handler = Held(echo_length)
    request = chunked("/", bytes(LARGE)) if chunks else post("/", bytes(LARGE))
    with http1_session(handler, request[:20]) as (session, client):
        sent = fill(client, request[20:])
        assert sent < MOST_ON_THE_WAY
        eventually(lambda: paused(session))
        handler.released.set()
        sending = background(client.send, request[20 + sent :])
        assert client.response().body == b"%d" % LARGE
        sending.result(10)


def test_requests_that_wait_for_an_answer_stop_their_sender(background: Background) -> None:
    handler = Held(hello)
    requests = GET * 200_000
    with http1_session(handler, requests[:20]) as (session, client):
        sent = fill(client, requests[20:])
        assert sent < len(requests) - 20
        eventually(lambda: paused(session))
        assert len(session._protocol._input) < 20 * MOST_HELD  # type: ignore[attr-defined]
        handler.released.set()
        assert client.response().body == b"hello"
        eventually(lambda: not paused(session) or session.stats.stream_count > 1)


@pytest.mark.parametrize("how", ["destroy", "stream", "client"])
def test_what_ends_a_pause(short_linger: None, how: str) -> None:
    failed = threading.Event()

    def write(stream: Any, headers: Any) -> None:
        if how == "stream":
            stream.close(8)
            return
        try:
            while True:
                stream.write(bytes(100_000))
        except HTTP2Error:
            failed.set()
            raise

    handler = Held(write)
    request = post("/", bytes(LARGE))
    with http1_session(handler, request[:20]) as (session, client):
        fill(client, request[20:])
        eventually(lambda: paused(session))
        if how == "destroy":
            session.destroy()
        if how == "client":
            client.close()
        handler.released.set()
        if how != "stream":
            assert failed.wait(10)
        eventually(lambda: session.destroyed)
        session.close(timeout=10)


def test_a_paused_session_that_its_server_closes(short_linger: None) -> None:
    handler = Held(hello)
    with create_server(handler, allow_http1=True, close_timeout=0.2) as server, dial(server.address) as client:
        fill(client, post("/", bytes(LARGE)))
        assert handler.begun.wait(10)
        threading.Timer(0.5, handler.released.set).start()
        server.close()
        assert server.sessions == []


def test_a_large_body_and_the_clients_end_before_anybody_reads() -> None:
    handler = Held(echo_length)
    request = post("/", bytes(100_000)) + GET
    with http1_session(handler, request[:20]) as (session, client):
        client.send(request[20:])
        client.end()
        eventually(lambda: session._protocol.input_ended)  # type: ignore[attr-defined]
        handler.released.set()
        assert [client.response().body, client.response().body] == [b"100000", b"0"]
        assert client.rest() == b""


# -- what goes out at the end


@pytest.fixture
def short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LINGER", 0.02)


def answer_of(size: int) -> Any:
    def answer(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": size} if headers[":path"] == "/length" else {})
        stream.end(bytes(size), timeout=20)

    return answer


SIZE = 2_000_000
BEYOND_THE_KERNEL = 250_000  # and yet less than a write waits for
SMALL_BUFFER = 8 * 1024


def read_until_ended(session: ServerSession, client: RawHTTP1Client) -> int:
    """Read until the last of the answer is queued, and the session has ended but for that; how much was read. Nothing
    is read ahead of a handler that is slow to end: the kernel would have room for all that is left.
    """

    def much_is_left() -> bool:
        with session._monitor, session._lock:
            sender = session._sender
            return sender._outbox.size + sender._transport.unsent_locked > HIGH_WATER_MARK * 7 // 8

    received = 0
    while not session.destroyed:
        if much_is_left():
            received += len(client.read(10_000))
        else:
            eventually(lambda: session.destroyed or much_is_left())
    assert received < SIZE
    return received


def count_ticks(session: ServerSession) -> list[float]:
    """Grows with each look of the timer at how the session ends."""
    ticks: list[float] = []
    look = session._watchdog._flushing_locked

    def counted(now: float) -> bool:
        ticks.append(now)
        return look(now)

    session._watchdog._flushing_locked = counted  # type: ignore[method-assign]
    return ticks


@pytest.mark.parametrize("path", ["/length", "/end"])
def test_a_slow_client_gets_all_of_the_last_answer(short_linger: None, path: str) -> None:
    request = get(path, version="1.0")
    with http1_session(answer_of(SIZE), request, receive_buffer=SMALL_BUFFER) as (session, client):
        received = read_until_ended(session, client)
        ticks = count_ticks(session)
        eventually(lambda: len(ticks) >= 10)  # the linger passes many times before the client reads on
        received += len(client.rest())
        assert received > SIZE
        session.close(timeout=10)


@pytest.mark.parametrize("headers", [{"content-length": 2 * SIZE}, {}], ids=["a length", "chunks"])
@pytest.mark.parametrize("how", ["returns", "fails", "resets"])
def test_a_slow_client_gets_what_was_written_of_an_answer_that_is_cut(
    short_linger: None, headers: Any, how: str
) -> None:
    written, cut = threading.Event(), threading.Event()

    def answer(stream: Any, _: Any) -> None:
        stream.respond(headers)
        stream.write(bytes(BEYOND_THE_KERNEL), timeout=20)
        written.set()
        assert cut.wait(20)
        if how == "resets" or (how == "returns" and not headers):
            stream.close(ErrorCode.INTERNAL_ERROR)
        elif how == "fails":
            raise ValueError("as it was told")

    with http1_session(answer, get("/"), receive_buffer=SMALL_BUFFER) as (session, client):
        assert written.wait(20)
        assert session._unsent_locked()
        ticks = count_ticks(session)
        cut.set()
        eventually(lambda: len(ticks) >= 10)  # the linger passes many times before the client reads
        received = client.rest()
        assert received.count(0) == BEYOND_THE_KERNEL
        assert not received.endswith(b"0\r\n\r\n")
        session.close(timeout=10)


@pytest.mark.parametrize("half_closed", [False, True])
@pytest.mark.parametrize("how", ["fails", "resets"])
def test_so_does_a_slow_client_that_takes_the_end_for_the_bodys(
    short_linger: None, how: str, half_closed: bool
) -> None:
    written, cut = threading.Event(), threading.Event()

    def answer(stream: Any, _: Any) -> None:
        stream.respond({})
        stream.write(bytes(BEYOND_THE_KERNEL), timeout=20)
        written.set()
        assert cut.wait(20)
        if how == "fails":
            raise ValueError("as it was told")
        stream.close(ErrorCode.INTERNAL_ERROR)

    with http1_session(answer, get("/", version="1.0"), receive_buffer=SMALL_BUFFER) as (session, client):
        if half_closed:
            client.end()
        assert written.wait(20)
        assert session._unsent_locked()
        ticks = count_ticks(session)
        cut.set()
        eventually(lambda: len(ticks) >= 10)  # the linger passes many times before the client reads
        while client.read_line() != b"\r\n":
            pass
        assert client.read(BEYOND_THE_KERNEL) == bytes(BEYOND_THE_KERNEL)
        with pytest.raises(ConnectionResetError):
            client.rest()
        session.close(timeout=10)


@pytest.mark.parametrize(("path", "error"), [("/length", None), ("/end", ConnectionResetError)])
def test_a_client_that_takes_no_more_does_not_keep_it_for_ever(
    short_linger: None, path: str, error: type[Exception] | None
) -> None:
    request = get(path, version="1.0")
    options = {"receive_buffer": SMALL_BUFFER, "write_timeout": 0.2}
    with http1_session(answer_of(SIZE), request, **options) as (session, client):
        received = read_until_ended(session, client)
        session.close(timeout=20)
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert received + len(client.rest()) < SIZE


@pytest.mark.parametrize(("path", "error"), [("/length", None), ("/end", ConnectionResetError)])
def test_destroy_ends_the_wait_for_a_slow_client(short_linger: None, path: str, error: type[Exception] | None) -> None:
    with http1_session(answer_of(SIZE), get(path, version="1.0"), receive_buffer=SMALL_BUFFER) as (session, client):
        received = read_until_ended(session, client)
        session.destroy()
        session.close(timeout=10)
        with pytest.raises(error) if error else contextlib.nullcontext():
            assert received + len(client.rest()) < SIZE


def test_an_early_answer_reaches_a_client_that_goes_on_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LINGER", 0.25)  # a client that sends as fast as it can sends something in each
    with http1_session(hello, get("/", "Content-Length: 10000000", method="POST")) as (session, client):
        eventually(lambda: session.destroyed)
        ticks: list[None] = []
        hang_up = session._hang_up_locked
        session._hang_up_locked = lambda: (ticks.append(None), hang_up())  # type: ignore[assignment]
        while len(ticks) < 10:
            client.send(bytes(1000))
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert client.rest() == b""


def test_destroying_ends_that_too(short_linger: None) -> None:
    with http1_session(hello, get("/", "Content-Length: 10000000", method="POST")) as (session, client):
        eventually(lambda: session.destroyed)
        session.destroy()
        with pytest.raises(OSError):
            while True:
                client.send(bytes(1000))


# -- timeouts


def test_a_client_that_says_nothing_is_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    with create_server(hello, allow_http1=True, handshake_timeout=0.1) as server, dial(server.address) as client:
        assert client.rest() == b""
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("octets", [b"P", b"GET / HTTP/1.1\r\n"])
def test_a_first_request_that_does_not_come_in_time(octets: bytes) -> None:
    with create_server(hello, allow_http1=True, handshake_timeout=0.1) as server, dial(server.address) as client:
        client.send(octets)
        assert client.response().status == 408
        assert client.rest() == b""


def test_a_slow_head() -> None:
    with http1_session(hello, GET, header_timeout=0.1) as (_, client):
        assert client.response().body == b"hello"
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert client.response().status == 408
        assert client.rest() == b""


def test_a_slow_pipelined_head_counts_from_the_answer_before() -> None:
    with http1_session(hello, GET + GET[:10], header_timeout=0.5) as (_, client):
        assert client.response().body == b"hello"
        assert client.response().status == 408


def test_slow_trailers() -> None:
    request = get("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\nx: y\r\n"
    with http1_session(echo_length, request, header_timeout=0.1) as (_, client):
        assert client.response().status == 408
        assert client.rest() == b""


def test_a_slow_body(caplog: pytest.LogCaptureFixture) -> None:
    request = get("/", "Content-Length: 4", method="POST")
    with http1_session(echo_length, request, read_timeout=0.1) as (_, client):
        assert client.response().status == 500
        client.send(b"body")  # is skipped
        assert client.ask(post("/", b"12")).body == b"2"
    assert "timed out while waiting for data" in caplog.text


def test_an_idle_connection_is_closed_and_a_busy_one_after_its_answer() -> None:
    handler = Held(hello)
    with http1_session(handler, GET, idle_timeout=0.1) as (session, client):
        eventually(lambda: session.closed)
        handler.released.set()
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
        assert client.rest() == b""
    with http1_session(hello, GET, idle_timeout=0.1) as (session, client):
        assert client.response().headers["connection"] is None
        assert client.rest() == b""


# -- closing


def test_closing_ends_idle_connections_at_once_and_lets_answers_finish() -> None:
    handler = Held(hello)
    with create_server(allow_http1=True) as server:
        server.on("stream", lambda stream, headers: (hello if headers[":path"] == "/" else handler)(stream, headers))
        with dial(server.address) as idle, dial(server.address) as busy, dial(server.address) as silent:
            assert idle.ask(GET).body == b"hello"
            busy.send(get("/held") + GET)
            assert handler.begun.wait(10)
            closing = threading.Thread(target=server.close)
            closing.start()
            assert idle.rest() == b""
            assert silent.rest() == b""
            handler.released.set()
            answer = busy.response()
            assert (answer.body, answer.headers["connection"]) == (b"hello", "close")
            assert busy.rest() == b""
            closing.join()


def test_closing_a_session_waits_for_its_answer() -> None:
    handler = Held(hello)
    with http1_session(handler, GET) as (session, client):
        assert handler.begun.wait(10)
        with pytest.raises(Timeout):
            session.close(timeout=0.05)
        handler.released.set()
        assert client.response().body == b"hello"
        session.close(timeout=10)
        assert session.destroyed


def test_a_response_that_began_before_the_closing_leaves_it_to_the_next_one_to_say_so() -> None:
    def begin(stream: Any, headers: Any) -> None:
        stream.respond()
        stream.write(b"first ")
        Held.__call__(handler, stream, headers)

    handler = Held(lambda stream, headers: stream.end(b"second"))
    with http1_session(begin, GET + GET) as (session, client):
        assert handler.begun.wait(10)
        session.close(wait=False)
        handler.released.set()
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"first second", None)
        # It was promised that the connection is kept, and the next request has been sent.
        answer = client.response()
        assert (answer.body, answer.headers["connection"]) == (b"first second", "close")
        assert client.rest() == b""


def test_destroying_wakes_everybody(blocked: set[int]) -> None:
    handler = Reader()
    with http1_session(handler, get("/", "Content-Length: 4", method="POST")) as (session, client):
        eventually(lambda: blocked)
        session.destroy()
        assert client.rest() == b""
        assert isinstance(handler.error(), SessionClosed)
