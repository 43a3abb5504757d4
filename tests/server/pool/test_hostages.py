"""Threads are no hostages: how handlers share them, which waits count, and what answers may do without one."""

from __future__ import annotations

import contextlib
import http.server
import io
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from support.octets.fields import REQUEST, UPLOAD
from support.peers.http1_client import get
from support.peers.raw_peer import PATIENCE, RawPeer
from support.threads.background import Background, eventually, waits
from sync_h2 import ClientSession, StreamReset, Timeout, compat, connect, create_secure_server, create_server
from sync_h2.constants import SettingId
from sync_h2.server.handlers.static_files import static_files
from sync_h2.testing import pair

TIMEOUT = 20.0
BOUND = 65_536
"""What a stream's answer may be for its handler to be rid of it at once."""
SHUT = {"initial_window_size": 0}
MUCH = bytes(range(250)) * 80_000
"""More than the buffers of two kernels take."""

Serve = Callable[..., Any]
Visit = Callable[..., ClientSession]


@pytest.fixture(autouse=True)
def each_limit_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short ago the last test's was."""
    monkeypatch.setattr("sync_h2.connection.shared.limit_log._last_logged", {})


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

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        stream.write(MUCH)
        stream.end()

    server = serve(handler, max_workers=2, max_waiting_handlers=10, write_timeout=None)
    pool: Any = server._pool
    with connect(server.url, settings=SHUT) as greedy, contextlib.ExitStack() as stack:
        held = []
        for number in range(10):
            held.append(greedy.request({":path": f"/greedy/{number}"}))
            eventually(lambda number=number: pool._peer_waits.count > number)  # type: ignore[misc]  # a lambda's default
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


# -- short answers need no thread


class Answering:
    """Handlers that give an answer and note that they are rid of it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.returned: list[str] = []
        self.body = MUCH[:size]
        self._file = folder / "file"
        self._file.write_bytes(self.body)
        self._application = compat.wsgi(self._run_application)

    def __call__(self, stream: Any, headers: Any) -> None:
        getattr(self, headers[":path"].strip("/"))(stream)
        self.returned.append(headers[":path"])

    def end(self, stream: Any) -> None:
        stream.end(self.body)

    def write_and_end(self, stream: Any) -> None:
        assert stream.write(self.body) == len(self.body)
        stream.end()

    def pieces(self, stream: Any) -> None:
        stream.respond({"content-length": len(self.body)})
        for start in range(0, len(self.body), 10_000):
            stream.write(self.body[start : start + 10_000])

    def one_buffer(self, stream: Any) -> None:
        """It is the handler's again when `write` returns."""
        buffer = bytearray(10_000)
        for start in range(0, len(self.body), len(buffer)):
            piece = self.body[start : start + len(buffer)]
            buffer[: len(piece)] = piece
            stream.write(memoryview(buffer)[: len(piece)])
        buffer[:] = bytes(len(buffer))
        stream.end()

    def through_wfile(self, stream: Any) -> None:
        with io.BufferedWriter(stream.wfile, 1000) as file:
            file.write(self.body)

    def with_trailers(self, stream: Any) -> None:
        stream.respond(wait_for_trailers=True)
        stream.end(self.body)
        stream.send_trailers({"x-checksum": "7"})

    def wsgi(self, stream: Any) -> None:
        self._application(stream, stream.request_headers)

    def file(self, stream: Any) -> None:
        stream.respond_with_file(self._file)

    def _run_application(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(self.body)))])
        return [self.body]


FEW_WAYS = ["end", "with_trailers", "file"]
WAYS = ["end", "write_and_end", "pieces", "one_buffer", "through_wfile", "with_trailers", "wsgi", "file"]


class ShutClient:
    """A client that lets nothing of a body through until it is told to; it reads what arrives, on the test's thread."""

    def __init__(self, server: Any) -> None:
        self.peer = RawPeer(socket.create_connection(server.address), client=True)
        self.peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 0})
        self._frames: list[Any] = []
        self._last_id = -1

    def ask(self, path: str, fields: Any = REQUEST, *, end_stream: bool = True) -> int:
        self._last_id += 2
        self.peer.headers(self._last_id, (*fields[:3], (":path", path), *fields[4:]), end_stream=end_stream)
        return self._last_id

    def settled(self) -> None:
        """Let the server answer what it got so far."""
        self._frames += self.peer.settled()

    def open(self, stream_id: int, size: int = 2**20) -> None:
        self.peer.open_window(stream_id, size)
        self.peer.open_window(0, size)

    def open_all(self, size: int = 2**20) -> None:
        """The windows of all streams at once, by SETTINGS."""
        self.peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: size}))
        self.peer.open_window(0, 30 * size)

    def has(self, kind: type[Any], stream_id: int) -> bool:
        """Whether such a frame came, as far as was received."""
        return any(isinstance(frame, kind) and frame.stream_id == stream_id for frame in self._frames)

    def body(self, stream_id: int) -> bytes:
        """All of it, up to the stream's end; receives as long as that takes. Raises StreamReset."""
        while True:
            ours = [frame for frame in self._frames if frame.stream_id == stream_id]
            if any("END_STREAM" in frame.flags for frame in ours):
                return self.octets(stream_id)
            for frame in ours:
                if isinstance(frame, RstStreamFrame):
                    raise StreamReset("by the server", stream_id=stream_id, code=frame.error_code)
            frame = self.peer.receive()
            assert frame is not None, f"the connection ended after {self._frames}"
            self._frames.append(frame)

    def octets(self, stream_id: int) -> bytes:
        """Of the body, as far as it was received."""
        return b"".join(
            frame.data for frame in self._frames if frame.stream_id == stream_id and isinstance(frame, DataFrame)
        )

    def trailers(self, stream_id: int) -> list[tuple[str, str]]:
        """Of a stream that has ended."""
        frames: list[Any] = [frame for frame in self._frames if isinstance(frame, HeadersFrame)]
        _, *rest = [frame for frame in frames if frame.stream_id == stream_id]
        return [field for frame in rest for field in frame.fields]


@pytest.fixture
def shut() -> Iterator[Callable[[Any], ShutClient]]:
    opened: list[ShutClient] = []

    def make(server: Any) -> ShutClient:
        opened.append(ShutClient(server))
        return opened[-1]

    yield make
    for client in opened:
        client.peer.close()


Shut = Callable[[Any], ShutClient]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 20_000, BOUND])
def test_a_short_answer_needs_no_thread(serve: Serve, shut: Shut, tmp_path: Path, way: str, size: int) -> None:
    answering = Answering(tmp_path, size)
    client = shut(serve(answering, write_timeout=None))
    stream = client.ask(f"/{way}")
    eventually(lambda: answering.returned)
    client.settled()
    assert client.has(HeadersFrame, stream)
    assert not client.has(DataFrame, stream)
    assert not client.has(RstStreamFrame, stream)
    client.open(stream)
    assert client.body(stream) == answering.body
    assert client.trailers(stream) == ([("x-checksum", "7")] if way == "with_trailers" else [])


def test_a_file_of_any_length_needs_no_thread(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    answering = Answering(tmp_path, len(MUCH))
    client = shut(serve(answering, write_timeout=None))
    stream = client.ask("/file")
    eventually(lambda: answering.returned)
    client.open(stream, 2 * len(MUCH))
    assert client.body(stream) == MUCH


def test_a_window_that_opens_octet_by_octet_gets_all_of_it(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    answering = Answering(tmp_path, 100)
    client = shut(serve(answering))
    streams = [client.ask(f"/{way}") for way in WAYS]
    eventually(lambda: len(answering.returned) == len(WAYS))
    for _ in range(100):
        for stream in streams:
            client.open(stream, 1)
        client.settled()
    assert [client.body(stream) for stream in streams] == [answering.body] * len(WAYS)


def test_a_shut_window_of_the_connection_is_no_different(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    """One answer uses up nearly all of it, and the others need no thread."""
    answering = Answering(tmp_path, 65_000)
    client = shut(serve(answering, write_timeout=None))
    client.peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 2**20}))
    streams = [client.ask("/end") for _ in range(5)]
    eventually(lambda: len(answering.returned) == 5)
    client.settled()
    client.peer.open_window(0, 5 * 65_000)
    assert [client.body(stream) for stream in streams] == [answering.body] * 5


def test_a_socket_that_nobody_reads_is_no_different() -> None:
    """Pipelined over HTTP/1.1: as many answers as the kernels take are under way; no handler may wait here."""
    begun: list[int] = []
    returned: list[int] = []
    body = MUCH[:BOUND]

    def handler(stream: Any, headers: Any) -> None:
        begun.append(stream.id)
        stream.respond({"content-length": len(body)})
        stream.end(body)
        returned.append(stream.id)

    options: dict[str, Any] = {"max_workers": 1, "max_waiting_handlers": 0, "allow_http1": True, "write_timeout": None}
    with create_server(handler, **options) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT)
        sock.connect(server.address)
        sock.sendall(get("/") * 200)
        sock.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: sock.recv(100_000), b""))
    assert received.count(body) == len(begun) == len(returned) == 200


@pytest.mark.parametrize("size", [BOUND + 1, len(MUCH)])
def test_a_longer_answer_waits(serve: Serve, shut: Shut, tmp_path: Path, size: int) -> None:
    """For all but what is a short answer's: when it returns the rest will need no thread."""
    answering = Answering(tmp_path, size)
    client = shut(serve(answering, write_timeout=None))
    stream = client.ask("/end")
    while not client.has(HeadersFrame, stream):
        client.settled()
    client.settled()
    assert not answering.returned
    client.open(stream, size)
    assert client.body(stream) == answering.body
    eventually(lambda: answering.returned)


def test_many_short_writes_are_a_long_answer(serve: Serve, shut: Shut) -> None:
    written: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        for number in range(10):
            written.append(stream.write(bytes((number,)) * 10_000))

    client = shut(serve(handler, write_timeout=None))
    stream = client.ask("/")
    eventually(lambda: len(written) == BOUND // 10_000)
    client.settled()
    assert len(written) == BOUND // 10_000
    client.open(stream)
    assert client.body(stream) == b"".join(bytes((number,)) * 10_000 for number in range(10))


def test_a_stream_of_events_goes_out_piece_by_piece(serve: Serve, visit: Visit) -> None:
    """What has been taken is sent at once where the window is open."""
    go_on = threading.Semaphore(0)

    def handler(stream: Any, headers: Any) -> None:
        for number in range(3):
            stream.write(b"%d" % number)
            assert go_on.acquire(timeout=TIMEOUT)

    stream = visit(serve(handler)).request()
    for number in range(3):
        assert stream.read(10, timeout=TIMEOUT) == b"%d" % number
        go_on.release()
    assert stream.read(timeout=TIMEOUT) == b""


@pytest.mark.parametrize("way", FEW_WAYS)
def test_a_short_answer_that_nobody_takes_is_given_up(serve: Serve, shut: Shut, tmp_path: Path, way: str) -> None:
    answering = Answering(tmp_path, BOUND)
    client = shut(serve(answering, write_timeout=0.3))
    stream = client.ask(f"/{way}")
    eventually(lambda: answering.returned)
    with pytest.raises(StreamReset):
        client.body(stream)
    # The connection lives on, and what was given up holds nothing back.
    client.open_all()
    stream = client.ask("/end")
    assert client.body(stream) == answering.body


def test_who_takes_a_short_answer_slowly_is_not_given_up(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    """`write_timeout` is for no progress at all."""
    write_timeout = 1.0
    answering = Answering(tmp_path, BOUND)
    server = serve(answering, write_timeout=write_timeout)
    for _ in range(5):  # until this thread was not held up for long between two steps
        client = shut(server)
        stream = client.ask("/end")
        longest, moment = 0.0, time.monotonic()
        for _ in range(8):
            threading.Event().wait(write_timeout / 4)
            client.open(stream, BOUND // 8)
            longest, moment = max(longest, time.monotonic() - moment), time.monotonic()
        if longest < write_timeout / 2:
            break
    assert client.body(stream) == answering.body


def test_what_short_answers_hold_is_bounded_for_a_session(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    """By `max_session_memory`. Beyond it handlers wait, and go on as others' answers leave."""
    bound = 512 * 1024
    begun: list[str] = []
    answering = Answering(tmp_path, 60_000)

    def handler(stream: Any, headers: Any) -> None:
        begun.append(headers[":path"])
        answering(stream, headers)

    server = serve(handler, max_session_memory=bound, write_timeout=None, max_workers=1)
    client, other = shut(server), shut(server)
    streams = [client.ask("/end") for _ in range(30)]
    eventually(lambda: len(begun) == 30)
    # Others have memory of their own.
    others = other.ask("/write_and_end")
    eventually(lambda: "/write_and_end" in answering.returned)
    for each in (client, other):
        each.settled()
    assert 1 <= answering.returned.count("/end") <= bound // 60_000
    for each in (client, other):
        each.open_all()
    assert [client.body(stream) for stream in streams] == [answering.body] * 30
    assert other.body(others) == answering.body
    eventually(lambda: len(answering.returned) == 31)


def test_what_a_reset_stream_held_is_free_for_others(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    answering = Answering(tmp_path, 60_000)
    client = shut(serve(answering, max_session_memory=256 * 1024, write_timeout=None))
    for number in range(1, 21):
        stream = client.ask("/end")
        eventually(lambda number=number: len(answering.returned) == number)  # type: ignore[misc]  # a lambda's default
        client.peer.reset(stream, 8)
    last = client.ask("/end")
    client.open(last)
    assert client.body(last) == answering.body


def test_a_timeout_of_the_handlers_own_is_for_all_that_it_writes(serve: Serve, shut: Shut) -> None:
    caught: queue.SimpleQueue[Timeout] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        try:
            stream.end(bytes(1000), timeout=0.2)
        except Timeout as error:
            caught.put(error)
            stream.end(b"late")

    client = shut(serve(handler, write_timeout=None))
    stream = client.ask("/")
    assert caught.get(timeout=TIMEOUT).bytes_written == 0
    client.open(stream)
    assert client.body(stream) == b"late"


def test_write_returns_when_little_is_left(serve: Serve, shut: Shut) -> None:
    """And not only when nothing is."""
    returned: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        returned.append(stream.write(bytes(300_000)))

    client = shut(serve(handler, write_timeout=None))
    stream = client.ask("/")
    client.open(stream, 270_000)
    eventually(lambda: returned)


def test_a_stream_that_has_no_turn_yet_is_not_given_up(serve: Serve, shut: Shut) -> None:
    """Two answers that are not to be interleaved: the client takes the first one little by little."""

    def handler(stream: Any, headers: Any) -> None:
        stream.end(bytes(60_000))

    server = serve(handler, write_timeout=1000.0)
    client = shut(server)
    client.peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 2**20}))
    big = client.ask("/")  # uses up nearly all of the connection's window
    assert client.body(big) == bytes(60_000)
    fields = (*REQUEST, ("priority", "u=3"))
    first, second = client.ask("/", fields), client.ask("/", fields)
    (session,) = server.sessions
    eventually(lambda: len(session._unattended._streams) == 2)
    for _ in range(12):  # as the timer does, each time that a part of `write_timeout` has passed
        client.peer.open_window(0, 1000)
        client.settled()
        with session._monitor, session._lock:
            session._unattended.look(time.monotonic())
    client.peer.open_window(0, 2**20)
    assert client.body(first) == client.body(second) == bytes(60_000)


@pytest.mark.parametrize("length", [1, 40_000])
def test_the_end_of_an_early_answer_is_given_up_too(serve: Serve, shut: Shut, length: int) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": length})
        stream.end(bytes(length))

    client = shut(serve(handler, write_timeout=0.3))
    stream = client.ask("/", (*UPLOAD,), end_stream=False)
    client.peer.data(stream, b"", end_stream=True)
    with pytest.raises(StreamReset):
        client.body(stream)


def test_many_failed_streams_end_at_once(serve: Serve, shut: Shut) -> None:
    """One SETTINGS opens the windows of all."""
    failed: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.write(bytes(10))
        failed.append(1)
        raise ValueError("a fault of the handler's")

    client = shut(serve(handler, write_timeout=None, max_concurrent_streams=300))
    streams = [client.ask("/") for _ in range(300)]
    eventually(lambda: len(failed) == 300)
    client.open_all()
    for stream in streams:
        with pytest.raises(StreamReset):
            client.body(stream)
        assert client.octets(stream) == bytes(10)


def test_files_without_a_thread_are_not_all_descriptors(
    serve: Serve, shut: Shut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_h2.connection.server_side.unattended_data._most_files", lambda: 2)
    answering = Answering(tmp_path, 200_000)
    client = shut(serve(answering, write_timeout=None))
    streams = [client.ask("/file") for _ in range(4)]
    eventually(lambda: len(answering.returned) == 2)
    for stream in streams:
        client.open(stream)
        assert client.body(stream) == answering.body
    eventually(lambda: len(answering.returned) == 4)


def test_what_a_failed_handler_had_written_goes_out_before_the_reset(serve: Serve, shut: Shut) -> None:
    returned: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-length": 1000})
        returned.append(stream.write(bytes(999)))
        raise ValueError("a fault of the handler's")

    client = shut(serve(handler, write_timeout=None))
    stream = client.ask("/")
    eventually(lambda: returned)
    client.settled()
    assert not client.has(RstStreamFrame, stream)
    client.open(stream)
    with pytest.raises(StreamReset):
        client.body(stream)
    assert client.octets(stream) == bytes(999)


def test_a_handler_that_fails_behind_its_whole_answer_takes_nothing_of_it(serve: Serve, shut: Shut) -> None:
    ended: list[bool] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.end(bytes(1000))
        ended.append(True)
        raise ValueError("a fault of the handler's")

    client = shut(serve(handler, write_timeout=None))
    stream = client.ask("/")
    eventually(lambda: ended)
    client.settled()
    client.open(stream)
    assert client.body(stream) == bytes(1000)


def test_a_thread_that_waits_for_the_end_does_not_keep_a_short_answer(serve: Serve, shut: Shut) -> None:
    codes: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.end(bytes(1000))
        codes.append(stream.wait_closed())

    client = shut(serve(handler, write_timeout=0.3))
    stream = client.ask("/")
    with pytest.raises(StreamReset):
        client.body(stream)
    eventually(lambda: codes)


def test_an_end_behind_which_nobody_reads_is_given_up(serve: Serve) -> None:
    """Its octets are on their way to the kernel, which takes no more, and so is its END_STREAM."""
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.on("close", codes.put)
        for _ in range(200):
            stream.write(MUCH[:60_000])
        stream.end()

    server = serve(handler, write_timeout=0.5)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(TIMEOUT)
        sock.connect(server.address)
        peer = RawPeer(sock, client=True)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.open_window(0, 2**31 - 1 - 65_535)
        peer.headers(1, REQUEST, end_stream=True)
        assert codes.get(timeout=TIMEOUT)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_without_a_thread_is_closed(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    """When it has gone, when its stream is reset, and when the session ends."""
    answering = Answering(tmp_path, 200_000)
    client = shut(serve(answering, write_timeout=None))
    before = descriptors()
    gone, reset, _ = (client.ask("/file") for _ in range(3))
    eventually(lambda: len(answering.returned) == 3)
    assert descriptors() == before + 3
    client.open(gone)
    assert client.body(gone) == answering.body
    client.peer.reset(reset, 8)
    eventually(lambda: descriptors() == before + 1)
    client.peer.sock.shutdown(socket.SHUT_RDWR)
    eventually(lambda: descriptors() < before + 1)


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_file_that_shrinks_without_a_thread_is_no_whole_answer(
    serve: Serve, shut: Shut, tmp_path: Path, caplog: Any, kept: int
) -> None:
    answering = Answering(tmp_path, 200_000)
    client = shut(serve(answering, write_timeout=None))
    stream = client.ask("/file")
    eventually(lambda: answering.returned)
    os.truncate(tmp_path / "file", kept)
    client.open(stream)
    with pytest.raises(StreamReset):
        client.body(stream)
    assert answering.body.startswith(client.octets(stream))
    eventually(lambda: any("too early" in record.getMessage() for record in caplog.records))


def test_a_file_without_a_thread_that_nobody_takes_is_given_up(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    answering = Answering(tmp_path, 200_000)
    client = shut(serve(answering, write_timeout=0.3))
    before = descriptors()
    stream = client.ask("/file")
    eventually(lambda: answering.returned)
    with pytest.raises(StreamReset):
        client.body(stream)
    eventually(lambda: descriptors() == before)


@pytest.mark.parametrize("way", FEW_WAYS)
def test_a_graceful_end_waits_for_short_answers(
    serve: Serve, shut: Shut, background: Background, tmp_path: Path, way: str
) -> None:
    answering = Answering(tmp_path, BOUND)
    server = serve(answering)
    client = shut(server)
    stream = client.ask(f"/{way}")
    eventually(lambda: answering.returned)
    closing = background(server.close, timeout=TIMEOUT)
    client.peer.expect(GoAwayFrame)
    assert not closing.done()
    client.open(stream)
    client.peer.answers_pings = True
    assert client.body(stream) == answering.body
    client.peer.until_end()
    closing.result(TIMEOUT)


def test_an_abrupt_end_drops_short_answers(serve: Serve, shut: Shut, tmp_path: Path) -> None:
    answering = Answering(tmp_path, BOUND)
    server = serve(answering, write_timeout=None)
    client = shut(server)
    for way in WAYS:
        client.ask(f"/{way}")
    eventually(lambda: len(answering.returned) == len(WAYS))
    server.close(timeout=0.1)
    assert not any("END_STREAM" in frame.flags for frame in client.peer.until_end() if isinstance(frame, DataFrame))


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
