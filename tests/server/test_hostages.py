"""Threads are no hostages: how handlers share them, and which waits count."""

from __future__ import annotations

import contextlib
import http.server
import io
import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.http1_client import get
from support.raw_peer import PATIENCE
from support.threads import eventually, waits
from sync_h2 import ClientSession, compat, connect, create_secure_server, create_server
from sync_h2.server.static_files import static_files
from sync_h2.testing import pair

TIMEOUT = 20.0
SHUT = {"initial_window_size": 0}
MUCH = bytes(range(250)) * 80_000
"""More than the buffers of two kernels take."""

Serve = Callable[..., Any]
Visit = Callable[..., ClientSession]


@pytest.fixture(autouse=True)
def each_limit_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short ago the last test's was."""
    monkeypatch.setattr("sync_h2.connection.limit_log._last_logged", {})


def warnings(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """The log's warnings that name an option."""
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in records if name in record.getMessage()]


def settled(session: ClientSession) -> None:
    """Wait until the server has handed all that was requested so far to its pool: what arrives together is handed over
    after the first answer.
    """
    for _ in range(2):
        session.ping(timeout=TIMEOUT)


# -- all for one, while nobody else wants them


def by_stream(meet: Callable[[], object]) -> Any:
    def handler(stream: Any, headers: Any) -> None:
        meet()
        stream.end(b"met")

    return handler


def by_wsgi(meet: Callable[[], object]) -> Any:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        meet()
        start_response("200 OK", [])
        return [b"met"]

    return compat.wsgi(application)


def by_handler_class(meet: Callable[[], object]) -> Any:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            meet()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"met")

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return compat.handler_for(Handler)


@pytest.mark.parametrize("kind", [by_stream, by_wsgi, by_handler_class], ids=lambda kind: kind.__name__)
def test_one_connection_has_as_many_handlers_as_there_are_workers(serve: Serve, visit: Visit, kind: Any) -> None:
    barrier = threading.Barrier(8)
    session = visit(serve(kind(lambda: barrier.wait(TIMEOUT)), max_workers=8))
    streams = [session.request({":path": f"/{number}"}) for number in range(8)]
    assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"met"] * 8


class Turnstile:
    """A handler that notes who has come, and lets one go at a time."""

    def __init__(self) -> None:
        self.come: list[str] = []
        self._free = threading.Semaphore(0)

    def __call__(self, stream: Any, headers: Any) -> None:
        self.come.append(headers[":path"])
        assert self._free.acquire(timeout=TIMEOUT)
        stream.end(b"gone")

    def let_go(self, count: int = 1) -> None:
        self._free.release(count)


def test_connections_take_turns_where_they_contend(serve: Serve, visit: Visit) -> None:
    """Who came first with very much does not have everything before the others."""
    turnstile = Turnstile()
    server = serve(turnstile, max_workers=2)
    greedy, modest = visit(server), visit(server)
    streams = [greedy.request({":path": f"/greedy/{number}"}) for number in range(80)]
    settled(greedy)
    streams += [modest.request({":path": f"/modest/{number}"}) for number in range(3)]
    settled(modest)
    eventually(lambda: len(turnstile.come) == 2)
    for count in range(3, 84):
        turnstile.let_go()
        eventually(lambda count=count: len(turnstile.come) == count)  # type: ignore[misc]  # a lambda's default
    turnstile.let_go(2)
    assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"gone"] * 83
    # Quick handlers of one connection may run in a row, eight at most.
    assert max(turnstile.come.index(f"/modest/{number}") for number in range(3)) < 45


def test_a_newcomer_is_next_where_one_connection_has_all_workers(serve: Serve, visit: Visit) -> None:
    """Behind the requests that wait already, another connection's first one is next but for a short row."""
    turnstile = Turnstile()
    server = serve(turnstile, max_workers=1)
    greedy = visit(server)
    streams = [greedy.request({":path": f"/greedy/{number}"}) for number in range(60)]
    settled(greedy)
    for newcomer in range(3):
        session = visit(server)
        streams.append(session.request({":path": f"/{newcomer}"}))
        settled(session)
        before = len(turnstile.come)
        while f"/{newcomer}" not in turnstile.come:
            count = len(turnstile.come)
            turnstile.let_go()
            eventually(lambda count=count: len(turnstile.come) > count)  # type: ignore[misc]  # a lambda's default
        assert len(turnstile.come) - before <= 9
    turnstile.let_go(100)
    for stream in streams:
        stream.read(timeout=TIMEOUT)


# -- who waits for the peer does not count


class Waiting:
    """Handlers of each kind that wait for their peer, behind a path each; others answer at once."""

    def __init__(self, folder: Path) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self._file = folder / "file"
        self._file.write_bytes(MUCH)
        (folder / "small").write_bytes(b"served")
        self._files = static_files(folder)
        self._application = compat.wsgi(self._run_application)
        self._handler_class = compat.handler_for(self._make_handler_class())

    def __call__(self, stream: Any, headers: Any) -> None:
        _, kind, *way = headers[":path"].split("/")
        if kind == "hello":
            stream.end(b"served")
            return
        self.begun.append(headers[":path"])
        try:
            if kind == "wsgi":
                self._application(stream, headers)
            elif kind == "class":
                self._handler_class(stream, headers)
            elif kind == "file":
                self._files(stream, headers)
            else:
                getattr(self, f"_{way[0]}")(stream)
        finally:
            self.ended.append(headers[":path"])

    def _write(self, stream: Any) -> None:
        stream.write(MUCH)

    def _file_object(self, stream: Any) -> None:
        with self._file.open("rb") as file, io.BufferedWriter(stream.wfile) as writer:
            writer.writelines(iter(lambda: file.read(10_000), b""))

    def _fd(self, stream: Any) -> None:
        with self._file.open("rb") as file:
            stream.respond_with_fd(file.fileno())

    def _iterate(self, stream: Any) -> None:
        for _ in stream:
            pass

    def _run_application(self, environ: Any, start_response: Any) -> Any:
        way = environ["PATH_INFO"].split("/")[2]
        if way == "read":
            environ["wsgi.input"].read(5)
        elif way == "readline":
            environ["wsgi.input"].readline()
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        if way == "write":
            write(MUCH)
        if way == "generator":
            return (MUCH[:10_000] for _ in range(2000))
        if way == "wrapper":
            return environ["wsgi.file_wrapper"](self._file.open("rb"))
        return [MUCH]

    def _make_handler_class(self) -> Any:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(MUCH)

            def do_POST(self) -> None:
                self.rfile.read(5)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        return Handler


WRITING = ["/stream/write", "/stream/file_object", "/stream/fd", "/wsgi/list", "/wsgi/write", "/wsgi/generator"]
WRITING += ["/wsgi/wrapper", "/class/get", "/file/file"]
READING = ["/stream/iterate", "/wsgi/read", "/wsgi/readline", "/class/post"]


@pytest.mark.parametrize("path", WRITING + READING)
@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "TLS"])
def test_with_one_worker_others_are_served_meanwhile(path: str, secure: bool, tmp_path: Path, certificate: Any) -> None:
    handler = Waiting(tmp_path)
    options: dict[str, Any] = {"max_workers": 1, "read_timeout": None, "write_timeout": None}
    trust: dict[str, Any] = {}
    if secure:
        trust["cafile"] = str(certificate.cafile)
        server: Any = create_secure_server(
            handler, certfile=certificate.certfile, keyfile=certificate.keyfile, **options
        )
    else:
        server = create_server(handler, **options)
    headers = {":method": "POST", "content-length": 5} if path in READING else {}
    with server, connect(server.url, settings=SHUT, **trust) as slow:
        stream = slow.request({**headers, ":path": path})
        eventually(lambda: handler.begun)
        for _ in range(3):
            with connect(server.url, **trust) as other:
                assert other.request({":path": "/hello"}).read(timeout=TIMEOUT) == b"served"
        assert not stream.closed
        if path not in READING and path not in ("/stream/fd", "/wsgi/wrapper", "/file/file"):
            assert not handler.ended  # a file may be sent without its handler
        slow.destroy()
        eventually(lambda: handler.ended)


@pytest.mark.parametrize("path", WRITING + READING)
def test_with_one_worker_others_are_served_while_a_client_of_http1_waits(path: str, tmp_path: Path) -> None:
    handler = Waiting(tmp_path)
    options: dict[str, Any] = {"max_workers": 1, "allow_http1": True, "read_timeout": None, "write_timeout": None}
    method, *fields = ("POST", "Content-Length: 5") if path in READING else ("GET",)
    with create_server(handler, **options) as server, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(server.address)
        slow.sendall(get(path, *fields, method=method) + (b"1" if path in READING else b""))
        eventually(lambda: handler.begun)
        for _ in range(3):
            with connect(server.url) as other:
                assert other.request({":path": "/hello"}).read(timeout=TIMEOUT) == b"served"
            with contextlib.closing(socket.create_connection(server.address)) as sock:
                sock.settimeout(TIMEOUT)
                sock.sendall(get("/hello", "Connection: close"))
                assert b"served" in b"".join(iter(lambda: sock.recv(1000), b""))
    eventually(lambda: handler.ended)


@pytest.mark.parametrize("path", ["/stream/write", "/stream/iterate"])
def test_with_one_worker_the_same_connection_is_served_meanwhile(path: str, tmp_path: Path) -> None:
    """A session of `serve_socket` has workers of its own."""
    handler = Waiting(tmp_path)
    client, _ = pair(handler, max_workers=1, client={"settings": SHUT}, server={"read_timeout": None})
    try:
        stream = client.request({":method": "POST", ":path": path})
        eventually(lambda: handler.begun)
        for _ in range(3):
            assert client.request({":path": "/hello"}).read(timeout=TIMEOUT) == b"served"
        assert not stream.closed
        assert not handler.ended
    finally:
        client.destroy()
    eventually(lambda: handler.ended)


def test_a_handler_that_waits_for_something_else_counts(serve: Serve, visit: Visit) -> None:
    """Also when it waited for its peer before."""
    turnstile = Turnstile()

    def handler(stream: Any, headers: Any) -> None:
        stream.read()
        turnstile(stream, headers)

    session = visit(serve(handler, max_workers=2))
    streams = [session.request({":method": "POST", ":path": f"/{number}"}) for number in range(6)]
    settled(session)
    for stream in streams:
        stream.end(b"body")
    settled(session)
    for count in range(2, 7):
        eventually(lambda count=count: len(turnstile.come) >= count)  # type: ignore[misc]  # a lambda's default
        turnstile.let_go()
    turnstile.let_go()
    assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"gone"] * 6


# -- the cap of those that wait


def test_beyond_the_cap_of_many_connections_with_one_each_who_waits_for_longest_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        begun.append(stream)
        stream.end(stream.read())

    options: dict[str, Any] = {"max_workers": 1, "max_waiting_handlers": 4, "allow_http1": True, "read_timeout": None}
    with create_server(handler, **options) as server, contextlib.ExitStack() as stack:
        socks = []
        for number in range(6):
            sock = stack.enter_context(socket.create_connection(server.address))
            sock.settimeout(PATIENCE)
            sock.sendall(get("/", "Content-Length: 5", method="POST") + b"half")
            socks.append(sock)
            eventually(lambda number=number: len(begun) > number and waits(begun[number]))  # type: ignore[misc]
        for sock in socks[:2]:
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(1000):
                    pass
        for sock in socks[2:]:
            sock.sendall(b"!")
            assert b"half!" in sock.recv(1000)
    assert warnings(caplog, "max_waiting_handlers")


def test_beyond_the_cap_the_connection_that_holds_most_pays(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever comes: a newcomer's first request is served, and loses nothing."""
    begun: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        begun.append(headers[":path"])
        stream.respond()
        stream.write(MUCH)
        stream.end()

    server = serve(handler, max_workers=2, max_waiting_handlers=10, write_timeout=None)
    with connect(server.url, settings=SHUT) as greedy, contextlib.ExitStack() as stack:
        held = []
        for number in range(10):
            held.append(greedy.request({":path": f"/greedy/{number}"}))
            eventually(lambda number=number: f"/greedy/{number}" in begun)  # type: ignore[misc]  # a lambda's default
        settled(greedy)
        newcomers = []
        for number in range(3):
            session = stack.enter_context(connect(server.url, settings=SHUT))
            newcomers.append((session, session.request({":path": f"/newcomer/{number}"})))
            eventually(lambda number=number: held[number].closed)  # type: ignore[misc]  # a lambda's default
        assert [stream.closed for stream in held] == [True] * 3 + [False] * 7
        for session, stream in newcomers:
            session.settings({"initial_window_size": 2**31 - 1})
            session.set_local_window_size(2**30)
            assert stream.read(timeout=TIMEOUT) == MUCH
    assert warnings(caplog, "max_waiting_handlers")


# -- handlers that wait for something of their own


class Events:
    """Streams of events whose handlers wait on a queue; an ordinary request is answered at once."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue()
        self.subscribed: list[Any] = []

    def __call__(self, stream: Any, headers: Any) -> None:
        if headers[":path"] != "/events":
            stream.end(b"served")
            return
        stream.write(b"subscribed\n")
        self.subscribed.append(stream)
        stream.end(self._queue.get(timeout=2 * TIMEOUT))

    def tell(self, count: int) -> None:
        for _ in range(count):
            self._queue.put(b"event\n")


@pytest.fixture
def events() -> Iterator[Events]:
    events = Events()
    yield events
    events.tell(1000)


def test_ninety_streams_of_events_leave_room_for_a_request(
    serve: Serve, visit: Visit, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    session = visit(serve(events))
    streams = [session.request({":path": "/events"}) for _ in range(90)]
    for stream in streams:
        assert stream.read(11, timeout=TIMEOUT) == b"subscribed\n"
    assert session.request().read(timeout=TIMEOUT) == b"served"
    assert not any(stream.closed for stream in streams)
    events.tell(90)
    assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"event\n"] * 90
    assert not warnings(caplog, "max_workers")


def test_where_streams_of_events_leave_no_room_the_log_says_what_helps(
    serve: Serve, visit: Visit, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """300 over four connections, which is more than there are threads by default."""
    server = serve(events)
    sessions = [visit(server) for _ in range(4)]
    streams = [session.request({":path": "/events"}) for session in sessions for _ in range(75)]
    eventually(lambda: len(events.subscribed) == 256)
    waiting = sessions[0].request()
    eventually(lambda: waiting.closed or warnings(caplog, "max_workers"))
    events.tell(300)
    assert waiting.read(timeout=TIMEOUT) == b"served"
    for stream in streams:
        assert stream.read(timeout=TIMEOUT) == b"subscribed\nevent\n"
    assert 1 <= len(warnings(caplog, "max_workers")) <= 4  # once a session
