"""A server's life: starting, accepting, its listeners, shutting down and closing."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.threads.background import eventually, waits
from sync_h2 import (
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    InvalidArgument,
    InvalidState,
    ServerSession,
    SessionClosed,
    Timeout,
    connect,
    create_server,
)


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


def url(server: Any) -> str:
    host, port = server.address
    return f"http://{host}:{port}"


def ask(session: Any, body: bytes = b"question") -> bytes:
    stream = session.request({":method": "POST"})
    stream.end(body)
    return bytes(stream.read(timeout=10))


def test_a_server_in_a_with_block() -> None:
    with create_server(echo) as server:
        assert server.address[0] == "127.0.0.1"
        assert server.address[1] > 0
        with connect(url(server)) as session:
            assert ask(session) == b"question"
            assert len(server.sessions) == 1
            assert isinstance(server.sessions[0], ServerSession)
        address = url(server)
    assert server.sessions == []
    with pytest.raises(ConnectionLost):
        connect(address, timeout=5)


def test_it_listens_before_it_accepts(background: Any) -> None:
    server = create_server()
    connecting = connect(url(server))  # in the backlog
    server.on("stream", echo)
    server.start()
    server.start()
    assert ask(connecting) == b"question"
    connecting.close(timeout=5)
    server.close()


def test_a_server_that_never_started_can_be_closed() -> None:
    server = create_server(echo)
    address = url(server)
    server.close()
    server.close()
    with pytest.raises(ConnectionLost):
        connect(address, timeout=5)
    with pytest.raises(InvalidState):
        server.start()


def test_serve_forever_until_shutdown(background: Any) -> None:
    server = create_server(echo)
    listening, closed = threading.Event(), threading.Event()
    server.on("listening", listening.set)
    server.on("close", closed.set)
    serving = background(server.serve_forever)
    assert listening.wait(5)
    with connect(url(server)) as session:
        assert ask(session) == b"question"
        server.shutdown()
        serving.result(5)
        assert ask(session) == b"question"  # sessions go on (Node's close)
        assert not closed.is_set()
        server.close()
        assert closed.wait(5)


def test_serve_forever_in_a_with_block_just_waits(background: Any) -> None:
    with create_server(echo) as server:
        serving = background(server.serve_forever)
        with connect(url(server)) as session:
            assert ask(session) == b"question"
        server.shutdown()
        serving.result(5)


def test_close_drains_the_sessions(serve: Any, visit: Any, background: Any) -> None:
    started, let_go = threading.Event(), threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        started.set()
        assert let_go.wait(10)
        stream.end(b"late")

    server = serve(handler)
    session = visit(server)
    stream = session.request()
    assert started.wait(5)
    closing = background(server.close)
    eventually(lambda: session.closed)
    with pytest.raises(SessionClosed) as raised:
        session.request()
    assert raised.value.retryable
    assert not closing.done()
    let_go.set()
    assert stream.read() == b"late"
    closing.result(5)


def test_close_destroys_what_does_not_finish_and_never_raises(serve: Any, visit: Any, caplog: Any) -> None:
    let_go = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        assert let_go.wait(20)

    server = serve(handler)
    session = visit(server)
    stream = session.request()
    stream.wait_response()
    server.close(timeout=0.2)
    with pytest.raises(HTTP2Error):
        stream.read()
    assert server.sessions == []
    let_go.set()
    assert "did not finish in time" in caplog.text


@pytest.mark.parametrize("where", ["handler", "listener"])
def test_close_from_inside_only_starts_it(where: str) -> None:
    returned, closed = threading.Event(), threading.Event()

    def close(*_: Any) -> None:
        server.close()
        returned.set()

    def handler(stream: Any, headers: Any) -> None:
        if where == "handler":
            close()
        stream.end(b"answered")

    server = create_server(handler, listeners={"close": closed.set})
    if where == "listener":
        server.on("listening", close)
    server.start()
    if where == "handler":
        with connect(url(server)) as session:
            assert session.request().read() == b"answered"
    assert returned.wait(5)
    assert closed.wait(5)
    server.close()


def test_connections_that_say_nothing_do_not_hold_up_the_close(serve: Any) -> None:
    server = serve(echo)
    with socket.create_connection(server.address) as silent:
        eventually(lambda: server.sessions)
        server.close(timeout=0.5)
        silent.settimeout(5)
        while silent.recv(65_536):
            pass


def test_handshake_timeout(serve: Any) -> None:
    server = serve(echo, handshake_timeout=0.2)
    with socket.create_connection(server.address) as silent:
        silent.settimeout(5)
        received = b""
        while data := silent.recv(65_536):
            received += data
        assert b"handshake_timeout" in received


def test_a_slow_connection_holds_up_nobody_else(serve: Any, visit: Any) -> None:
    server = serve(echo)
    with socket.create_connection(server.address) as slow:
        slow.sendall(b"PRI * HT")
        assert ask(visit(server)) == b"question"


def test_the_session_listener_comes_before_the_first_frame() -> None:
    order: queue.SimpleQueue[str] = queue.SimpleQueue()
    sessions: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def greet(session: Any) -> None:
        session.on("remote_settings", lambda settings: order.put("remote_settings"))
        session.on("stream", lambda stream, headers: order.put("stream"))
        order.put("session")
        sessions.put(session)

    with create_server(echo, listeners={"session": greet}) as server, connect(url(server)) as session:
        assert ask(session) == b"question"
        assert order.get(timeout=5) == "session"
        assert {order.get(timeout=5), order.get(timeout=5)} == {"remote_settings", "stream"}
        assert sessions.get(timeout=5) in server.sessions


def test_a_session_listener_may_use_its_session() -> None:
    """Node's applications send SETTINGS, set timeouts and refuse sessions here."""

    def greet(session: Any) -> None:
        session.settings({"max_frame_size": 30_000})
        session.set_timeout(60)

    with create_server(echo, listeners={"session": greet}) as server, connect(url(server)) as session:
        assert ask(session) == b"question"
        session.ping()
        assert session.remote_settings.max_frame_size == 30_000
        assert session.remote_settings.max_concurrent_streams == 100


@pytest.mark.parametrize("call", ["close", "destroy"])
def test_a_session_listener_may_end_its_session(call: str) -> None:
    def refuse(session: Any) -> None:
        getattr(session, call)()

    with create_server(echo, listeners={"session": refuse}) as server:
        session = connect(url(server))
        with contextlib.suppress(HTTP2Error):  # after a close, what was on its way is still answered
            session.request(timeout=5).read(timeout=5)
        eventually(lambda: session.destroyed)
        session.close(timeout=5)
        with pytest.raises(HTTP2Error):
            session.request()
        eventually(lambda: not server.sessions)


def test_a_session_listener_that_raises_is_logged(serve: Any, visit: Any, caplog: Any) -> None:
    def fail(session: Any) -> None:
        raise RuntimeError("the listener's own fault")

    server = serve(echo, listeners={"session": fail})
    assert ask(visit(server)) == b"question"
    assert "the listener's own fault" in caplog.text


def test_session_error_names_error_and_session(serve: Any, visit: Any) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve(echo, listeners={"session_error": lambda error, session: heard.put((error, session))})
    session = visit(server)
    assert ask(session) == b"question"
    ended = server.sessions[0]
    session.destroy(code=ErrorCode.ENHANCE_YOUR_CALM)
    error, of_session = heard.get(timeout=5)
    assert error.code == ErrorCode.ENHANCE_YOUR_CALM
    assert of_session is ended


def test_a_sessions_quiet_end_is_no_session_error(serve: Any, visit: Any) -> None:
    heard: list[Any] = []
    server = serve(echo, listeners={"session_error": lambda error, session: heard.append(error)})
    session = visit(server)
    assert ask(session) == b"question"
    session.close(timeout=5)
    eventually(lambda: not server.sessions)
    assert heard == []


def test_an_unknown_event_is_refused() -> None:
    server = create_server(echo)
    for register in (server.on, server.once, server.off):
        with pytest.raises(ValueError, match="event"):
            register("bogus", print)
    server.close()
    with pytest.raises(ValueError, match="event"):
        create_server(echo, listeners={"bogus": print})


@pytest.mark.parametrize(
    "options",
    [
        {"no_such_option": 1},
        {"max_sessions": -1},
        {"max_concurrent_streams": "100"},
        {"settings": {"no_such_setting": 1}},
        {"settings": {"max_frame_size": 1}},
        {"max_workers": 0},
        {"max_workers": -1},
        {"host": "no.such.host.invalid"},
        {"port": 70_000},
        {"listeners": {"stream": echo}},
    ],
)
def test_bad_options_are_named_and_leave_nothing_behind(options: Any) -> None:
    (name,) = options
    with pytest.raises((InvalidArgument, TypeError, OSError, OverflowError)) as raised:
        create_server(echo, **options).close()
    if name not in ("host", "port", "listeners", "settings"):
        assert name in str(raised.value)


def test_what_is_no_handler_is_refused() -> None:
    with pytest.raises(TypeError):
        create_server("handler")  # type: ignore[arg-type]  # that is the point


class _Busy:
    """An echo, but a GET's handler works until it is told to stop: neither idle nor stalled sessions would do, which
    make room.
    """

    def __init__(self) -> None:
        self.begun: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.stops = threading.Event()

    def __call__(self, stream: Any, headers: Any) -> None:
        if headers[":method"] == "POST":
            echo(stream, headers)
            return
        self.begun.put(None)
        self.stops.wait(20)
        stream.end()

    def occupy(self, session: Any) -> Any:
        stream = session.request()
        self.begun.get(timeout=20)
        return stream


def test_more_sessions_than_allowed_are_turned_away(serve: Any, visit: Any) -> None:
    busy = _Busy()
    server = serve(busy, max_sessions=1)
    first = visit(server)
    assert ask(first) == b"question"
    work = busy.occupy(first)
    second = visit(server)
    with pytest.raises(HTTP2Error):
        ask(second)
    assert ask(first) == b"question"
    busy.stops.set()
    assert work.read(timeout=10) == b""
    first.close(timeout=5)
    eventually(lambda: not server.sessions)
    assert ask(visit(server)) == b"question"


def test_more_sessions_of_one_address_than_allowed_are_turned_away(serve: Any, visit: Any) -> None:
    busy = _Busy()
    server = serve(busy, max_sessions_per_address=2)
    sessions = [visit(server) for _ in range(2)]
    assert [ask(session) for session in sessions] == [b"question"] * 2
    work = [busy.occupy(session) for session in sessions]
    with pytest.raises(HTTP2Error):
        ask(visit(server))
    busy.stops.set()
    assert [stream.read(timeout=10) for stream in work] == [b"", b""]


def test_an_idle_session_is_closed_and_a_timeout_listener_decides_instead(serve: Any, visit: Any) -> None:
    server = serve(echo, idle_timeout=0.2)
    session = visit(server)
    assert ask(session) == b"question"
    eventually(lambda: session.destroyed)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server.set_timeout(0.2, heard.put)
    session = visit(server)
    assert ask(session) == b"question"
    assert heard.get(timeout=5) is server.sessions[0]
    assert not session.closed
    server.set_timeout(0)
    assert ask(session) == b"question"


def test_set_timeout_reaches_open_sessions(serve: Any, visit: Any) -> None:
    server = serve(echo)
    session = visit(server)
    assert ask(session) == b"question"
    server.set_timeout(0.1)
    eventually(lambda: session.destroyed)


def test_update_settings_reaches_open_and_new_sessions(serve: Any, visit: Any) -> None:
    server = serve(echo)
    first = visit(server)
    assert ask(first) == b"question"
    server.update_settings({"initial_window_size": 1000})
    eventually(lambda: first.remote_settings.initial_window_size == 1000)
    second = visit(server)
    assert ask(second, b"x" * 10_000) == b"x" * 10_000
    assert second.remote_settings.initial_window_size == 1000
    assert ask(first, b"x" * 10_000) == b"x" * 10_000
    with pytest.raises(InvalidArgument):
        server.update_settings({"max_frame_size": 1})


@pytest.mark.parametrize("family", ["127.0.0.1", "::1", "localhost", "0.0.0.0"])
def test_addresses(family: str) -> None:
    with create_server(echo, family) as server:
        port = server.address[1]
        host = {"::1": "[::1]", "0.0.0.0": "127.0.0.1"}.get(family, family)
        with connect(f"http://{host}:{port}") as session:
            assert ask(session) == b"question"


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with create_server(echo, f"unix:{path}") as server:
        assert server.address == str(path)
        with connect(f"unix:{path}") as session:
            assert ask(session) == b"question"
    # The path can be listened on again, whether it is still there or not.
    with create_server(echo, f"unix:{path}"), connect(f"unix:{path}") as session:
        assert ask(session) == b"question"


def test_a_listening_socket_can_be_given() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with create_server(echo, sock=listener) as server:
        assert server.address == listener.getsockname()
        with connect(url(server)) as session:
            assert ask(session) == b"question"


def test_the_path_of_a_unix_socket_that_was_given_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:  # as a process manager keeps it, for other processes to serve
        listener.bind(str(path))
        listener.listen()
        for _ in range(2):
            with create_server(echo, sock=listener.dup()), connect(f"unix:{path}") as session:
                assert ask(session) == b"question"


def test_two_servers_share_a_port() -> None:
    with (
        create_server(echo, reuse_port=True) as first,
        create_server(echo, port=first.address[1], reuse_port=True),
        connect(url(first)) as session,
    ):
        assert ask(session) == b"question"


def test_a_port_in_use_is_an_os_error() -> None:
    with create_server(echo) as server, pytest.raises(OSError):
        create_server(echo, port=server.address[1])


def test_a_users_executor_runs_the_handlers_and_is_left_alone(visit: Any) -> None:
    names: queue.SimpleQueue[str] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        names.put(threading.current_thread().name)
        stream.end(b"x")

    with ThreadPoolExecutor(2, thread_name_prefix="mine") as executor:
        with create_server(handler, executor=executor) as server, connect(url(server)) as session:
            assert session.request().read() == b"x"
        assert names.get(timeout=5).startswith("mine")
        assert executor.submit(int, "5").result(5) == 5


def test_streams_of_one_session_are_handled_in_parallel(serve: Any, visit: Any) -> None:
    together = threading.Barrier(8)

    def handler(stream: Any, headers: Any) -> None:
        together.wait(10)
        stream.end(b"together")

    session = visit(serve(handler))
    streams = [session.request() for _ in range(8)]
    assert [stream.read(timeout=10) for stream in streams] == [b"together"] * 8


def test_the_handlers_pool_is_bounded(serve: Any, visit: Any) -> None:
    running, most = 0, 0
    lock = threading.Lock()
    together = threading.Semaphore(0)

    def handler(stream: Any, headers: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert together.acquire(timeout=10)
        with lock:
            running -= 1
        stream.end()

    server = serve(handler, max_workers=8)
    first, second = visit(server), visit(server)
    streams = [session.request() for session in (first, second) for _ in range(10)]
    eventually(lambda: running == 8)
    for _ in streams:
        together.release()
    for stream in streams:
        assert stream.wait_closed(timeout=10) == 0
    assert most == 8


def test_many_clients_at_once(serve: Any, visit: Any, background: Any) -> None:
    server = serve(echo)

    def one(number: int) -> bool:
        session = visit(server)
        body = bytes([number]) * 10_000
        return ask(session, body) == body

    assert all(call.result(20) for call in [background(one, number) for number in range(50)])
    assert len(server.sessions) == 50


def test_an_accept_that_fails_is_reported_and_accepting_goes_on(serve: Any, visit: Any) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve(echo, listeners={"error": errors.put})
    session = visit(server)
    assert ask(session) == b"question"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as waiting:
        lowest_free = os.dup(waiting.fileno())
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        try:
            waiting.connect(server.address)
            assert isinstance(errors.get(timeout=5), OSError)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ask(visit(server)) == b"question"


def test_a_dead_client_gives_its_worker_back(serve: Any) -> None:
    ended = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        try:
            stream.read()
        except Timeout:
            ended.set()
            raise

    server = serve(handler, read_timeout=0.2, max_workers=1)
    with connect(url(server)) as session:
        stuck = session.request({":method": "POST"})
        assert ended.wait(5)
        stuck.close(ErrorCode.CANCEL)


def test_the_access_log_has_a_line_per_stream(serve: Any, visit: Any, caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/reset":
            stream.close(ErrorCode.CANCEL)
        elif headers[":path"] == "/missing":
            stream.respond({":status": 404}, end_stream=True)
        else:
            stream.end(b"12345")

    with caplog.at_level(logging.INFO, "sync_h2.access"):
        session = visit(serve(handler))
        for path in ("/", "/missing", "/reset"):
            session.request({":path": path}).wait_closed(timeout=5)
        lines: list[str] = []

        def logged() -> bool:
            lines[:] = [record.getMessage() for record in caplog.records if record.name == "sync_h2.access"]
            return len(lines) == 3

        eventually(logged)
    assert "127.0.0.1" in lines[0]
    assert '"GET / HTTP/2" 200 5' in lines[0]
    assert '"GET /missing HTTP/2" 404 0' in lines[1]
    assert '"GET /reset HTTP/2" -' in lines[2]
    assert lines[2].endswith(" reset with CANCEL")


LONG = "x" * 3000


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ([(":method", "POST"), (":path", "/up?a=b"), ("x-long", LONG)], "POST /up?a=b"),
        ([(":method", "OPTIONS"), (":path", "*"), ("x-long", LONG), ("x", "y")], "OPTIONS *"),
        ([(":method", "CONNECT"), ("x-long", LONG)], "CONNECT localhost:80"),
        ([(":path", f"/{LONG}")], "- -"),
        ([(":path", "/many"), *[(f"x-{number}", "") for number in range(30)]], "GET /many"),
    ],
)
def test_the_access_log_shows_what_is_known_of_a_request_with_too_large_a_header_list(
    serve: Any, visit: Any, caplog: Any, fields: Any, line: str
) -> None:
    with caplog.at_level(logging.INFO, "sync_h2.access"):
        server = serve(echo, max_header_list_size=2000, max_header_pairs=20)
        session = visit(server)
        request = {":authority": "localhost:80", **dict(fields)}
        stream = session.request(request, end_stream=line[0] != "P")
        assert stream.wait_response()[":status"] == "431"
        (served,) = server.sessions
        stream.close()
        eventually(lambda: not served._header_memory.together)
        eventually(lambda: [record for record in caplog.records if record.name == "sync_h2.access"])
    (said,) = [record.getMessage() for record in caplog.records if record.name == "sync_h2.access"]
    assert f' "{line} HTTP/2" 431 0 ' in said


def test_the_access_log_cant_be_forged(serve: Any, visit: Any, caplog: Any) -> None:
    """A path may hold C1 control characters (latin-1): one ends a line, one starts escape codes."""
    with caplog.at_level(logging.INFO, "sync_h2.access"):
        visit(serve(echo)).request({":path": '/a\x85\x9b"b'}).wait_closed(timeout=5)
        eventually(lambda: [record for record in caplog.records if record.name == "sync_h2.access"])
    (line,) = [record.getMessage() for record in caplog.records if record.name == "sync_h2.access"]
    assert line.isprintable()
    assert line.count('"') == 2 or '\\"' in line


def test_blocked_calls_of_the_client_end_with_the_server(serve: Any, visit: Any, background: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        keep.append(stream)

    keep: list[Any] = []
    server = serve(handler)
    session = visit(server)
    stream = session.request()
    reading = background(stream.read)
    eventually(lambda: waits(stream) and keep)
    server.close(timeout=0.1)
    with pytest.raises(HTTP2Error):
        reading.result(5)
