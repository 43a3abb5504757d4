"""Handlers that wait for their client hold no place among those that may run: clients can't use up the pool."""

from __future__ import annotations

import io
import logging
import socket
import threading
from typing import Any

import pytest

from support.threads.background import eventually, waits
from sync_h2 import connect, create_secure_server, create_server
from sync_h2.constants import ErrorCode
from sync_h2.errors import HTTP2Error, StreamReset

TIMEOUT = 20.0
BODY = bytes(200_000)  # more than any first window


def write(stream: Any, tmp_path: Any) -> None:
    stream.respond()
    stream.write(BODY)


def write_file(stream: Any, tmp_path: Any) -> None:
    path = tmp_path / "body"
    path.write_bytes(BODY)
    stream.respond_with_file(path)


def write_pieces(stream: Any, tmp_path: Any) -> None:
    with io.BufferedWriter(stream.wfile, 1000) as file:
        file.writelines([BODY[:999]] * 201)


def read_all(stream: Any, tmp_path: Any) -> None:
    stream.read()


def read_some(stream: Any, tmp_path: Any) -> None:
    while stream.read(10):
        pass


def read_line(stream: Any, tmp_path: Any) -> None:
    stream.readline()


def read_into(stream: Any, tmp_path: Any) -> None:
    stream.rfile.readinto(bytearray(10))


def trailers(stream: Any, tmp_path: Any) -> None:
    stream.wait_trailers()


def closed(stream: Any, tmp_path: Any) -> None:
    stream.wait_closed()


def push(stream: Any, tmp_path: Any) -> None:
    pushed = stream.push_stream({":path": "/pushed"})
    pushed.respond()
    pushed.end(BODY)


WAYS = [write, write_file, write_pieces, read_all, read_some, read_line, read_into, trailers, closed, push]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("secure", [False, True], ids=["h2c", "TLS"])
def test_one_that_waits_leaves_its_place(way: Any, secure: bool, tmp_path: Any, certificate: Any) -> None:
    """With a single worker: while the first handler waits, another connection is served, many times."""
    waiting: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] != "/wait":
            stream.end(b"served")
            return
        waiting.append(stream)
        try:
            way(stream, tmp_path)
        finally:
            waiting.append("gone on")

    trust: dict[str, Any] = {}
    if secure:
        trust["cafile"] = str(certificate.cafile)
        server = create_secure_server(
            handler, certfile=certificate.certfile, keyfile=certificate.keyfile, max_workers=1, read_timeout=None
        )
    else:
        server = create_server(handler, max_workers=1, read_timeout=None)
    shut = {"initial_window_size": 0, "enable_push": True}
    with server, connect(server.url, settings=shut, **trust) as slow, connect(server.url, **trust) as other:
        first = slow.request({":method": "POST", ":path": "/wait"})
        eventually(lambda: waiting)
        for _ in range(3):
            assert other.request().read(timeout=TIMEOUT) == b"served"
        assert len(waiting) == 1
        assert not first.closed
        slow.destroy()
        eventually(lambda: len(waiting) == 2)
        assert other.request().read(timeout=TIMEOUT) == b"served"


@pytest.mark.parametrize("way", [write, write_file, read_all, read_some], ids=lambda way: way.__name__)
def test_one_that_waits_for_a_client_of_http1_leaves_its_place(way: Any, tmp_path: Any) -> None:
    waiting: list[Any] = []

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] != "/wait":
            stream.end(b"served")
            return
        waiting.append(stream)
        if way in (write, write_file):
            for _ in range(1000):  # more than the kernel's buffers take
                stream.write(BODY)
        way(stream, tmp_path)

    with (
        create_server(handler, max_workers=1, allow_http1=True) as server,
        connect(server.url) as other,
        socket.create_connection(server.address) as slow,
    ):
        slow.sendall(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n1")
        eventually(lambda: waiting and waits(waiting[0]))
        for _ in range(3):
            assert other.request().read(timeout=TIMEOUT) == b"served"


def test_all_workers_are_one_connections_while_nobody_else_wants_them() -> None:
    together = threading.Barrier(8)

    def handler(stream: Any, headers: Any) -> None:
        together.wait(TIMEOUT)
        stream.end(b"together")

    with create_server(handler, max_workers=8) as server, connect(server.url) as session:
        streams = [session.request() for _ in range(8)]
        assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"together"] * 8


def test_many_that_go_on_at_once_are_all_served() -> None:
    """Workers beyond the limit, which come back from waiting, do what they have to and make room again."""

    def handler(stream: Any, headers: Any) -> None:
        body = stream.read(timeout=TIMEOUT)
        stream.end(body)

    with create_server(handler, max_workers=2) as server, connect(server.url) as session:
        pool: Any = server._pool
        for _ in range(3):
            streams = [session.request({":method": "POST"}) for _ in range(50)]
            eventually(lambda: pool._peer_waits.count == 50)
            for number, stream in enumerate(streams):
                stream.end(b"%d" % number)
            assert [stream.read(timeout=TIMEOUT) for stream in streams] == [b"%d" % number for number in range(50)]
        eventually(lambda: not pool._peer_waits._by_key and pool._peer_waits.count == 0 and not pool._assigned)
        assert not pool._peer_waits._giving_up


def test_beyond_the_cap_the_longest_waiting_of_the_greediest_connection_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []
    errors: dict[str, HTTP2Error] = {}

    def handler(stream: Any, headers: Any) -> None:
        begun.append(headers[":path"])
        try:
            stream.read()
        except HTTP2Error as error:
            errors[headers[":path"]] = error
            raise
        stream.end(b"done")

    def ask(session: Any, name: str) -> Any:
        stream = session.request({":method": "POST", ":path": f"/{name}"})
        eventually(lambda: f"/{name}" in begun)
        return stream

    with (
        create_server(handler, max_workers=1, max_waiting_handlers=4) as server,
        connect(server.url) as modest,
        connect(server.url) as greedy,
    ):
        pool: Any = server._pool
        first = ask(modest, "modest")
        streams = [ask(greedy, f"greedy{number}") for number in range(3)]
        eventually(lambda: pool._peer_waits.count == 4)
        assert not errors
        with caplog.at_level(logging.WARNING, "sync_h2"):
            streams.append(ask(greedy, "one-too-many"))
            with pytest.raises(StreamReset) as reset:
                streams[0].read(timeout=TIMEOUT)
        assert reset.value.code == ErrorCode.ENHANCE_YOUR_CALM
        eventually(lambda: errors)
        assert set(errors) == {"/greedy0"}
        assert "max_waiting_handlers" in str(errors["/greedy0"])
        eventually(lambda: pool._peer_waits.count == 4 and not pool._peer_waits._giving_up)
        for stream in [first, *streams[1:]]:
            stream.end()
            assert stream.read(timeout=TIMEOUT) == b"done"
    assert [record for record in caplog.records if "max_waiting_handlers" in record.getMessage()]


def test_a_request_that_waits_long_for_a_thread_is_noted_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_h2.connection.server_side.handling_session._LONG_WAIT", 0.05)
    let_go = threading.Semaphore(0)

    def handler(stream: Any, headers: Any) -> None:
        assert let_go.acquire(timeout=TIMEOUT)
        stream.end(b"x")

    def notes() -> list[str]:
        return [record.getMessage() for record in caplog.records if "max_workers" in record.getMessage()]

    with (
        caplog.at_level(logging.WARNING, "sync_h2"),
        create_server(handler, max_workers=1) as server,
        connect(server.url) as session,
    ):
        streams = [session.request() for _ in range(3)]
        eventually(notes)
        for stream in streams:
            let_go.release()
            assert stream.read(timeout=TIMEOUT) == b"x"
    assert len(notes()) == 1


def test_waits_of_threads_that_are_no_workers_change_nothing() -> None:
    """A stream that was detached is read by whom its handler gave it to."""
    threads: list[threading.Thread] = []

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        threads.append(threading.Thread(target=lambda: stream.end(stream.read(timeout=TIMEOUT))))
        threads[0].start()

    with create_server(handler, max_workers=1) as server, connect(server.url) as session:
        stream = session.request({":method": "POST"})
        eventually(lambda: threads)
        pool: Any = server._pool
        assert pool._peer_waits.count == 0
        stream.end(b"body")
        assert stream.read(timeout=TIMEOUT) == b"body"
        threads[0].join(TIMEOUT)
