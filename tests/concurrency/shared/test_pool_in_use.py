"""Handlers that block, raise, return early, call their own server and outlive their streams: each gets its due, none
takes what is another's.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame

from support.connections.pairs import Connections
from support.octets.fields import REQUEST, UPLOAD
from support.threads.background import PATIENCE, eventually
from sync_h2 import ErrorCode, HTTP2Error, StreamReset, connect, create_server
from sync_h2.connection.server_side import quick_handlers

POST = {":method": "POST"}


class Gate:
    """Handlers that say that they have started, and stay until they are let go."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._open = False
        self._free: set[str] = set()
        self.running: list[str] = []
        self.most_running = 0

    def pass_through(self, name: str) -> None:
        with self._condition:
            self.running.append(name)
            self.most_running = max(self.most_running, len(self.running))
            self._condition.notify_all()
            assert self._condition.wait_for(lambda: self._open or name in self._free, PATIENCE)
            self.running.remove(name)
            self._condition.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many handlers run."""
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.running) == count, PATIENCE), self.running

    def let_go(self, name: str) -> None:
        with self._condition:
            self._free.add(name)
            self._condition.notify_all()

    def open(self) -> None:
        """Let everybody go, and those who come."""
        with self._condition:
            self._open = True
            self._condition.notify_all()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


# -- who is next


def test_a_session_with_few_requests_does_not_wait_for_all_of_one_with_many(gate: Gate) -> None:
    def handler(stream: Any, headers: Any) -> None:
        gate.pass_through(headers[":path"])
        stream.end(b"done")

    with create_server(handler, max_workers=1) as server, connect(server.url) as greedy, connect(server.url) as other:
        many = [greedy.request({":path": f"/{number}"}) for number in range(50)]
        gate.wait_for(1)
        few = [other.request({":path": "/few"}) for _ in range(2)]
        pool: Any = server._pool
        eventually(lambda: len(pool._turns) == 2)
        assert greedy.ping(timeout=PATIENCE)
        gate.let_go("/few")
        for number in range(20):  # a worker takes some of one session in a row
            gate.let_go(f"/{number}")
        assert [stream.read(timeout=PATIENCE) for stream in few] == [b"done"] * 2
        gate.open()
        assert [stream.read(timeout=PATIENCE) for stream in many] == [b"done"] * 50
        assert gate.most_running == 1


def test_streams_that_died_while_their_handlers_waited_are_skipped(connections: Connections, gate: Gate) -> None:
    handled: list[str] = []

    def handler(stream: Any, headers: Any) -> None:
        handled.append(headers[":path"])
        gate.pass_through(headers[":path"])
        stream.end()

    client, server = connections.pair(handler, server={"max_workers": 1})
    first = client.request({":path": "/first"})
    gate.wait_for(1)
    waiting = [client.request({":path": f"/{number}"}) for number in range(10)]
    eventually(lambda: len(server._streams) == 11)
    for stream in waiting[:9]:
        stream.close(ErrorCode.CANCEL)
    eventually(lambda: len(server._streams) == 2)
    gate.open()
    assert first.read(timeout=5) == waiting[9].read(timeout=5) == b""
    assert handled == ["/first", "/9"]


def test_handlers_of_streams_that_were_reset_count_until_they_return(connections: Connections, gate: Gate) -> None:
    """Otherwise a client that opens and resets has as many handlers run as it likes."""
    session, peer = connections.raw_client(
        lambda stream, headers: gate.pass_through(headers[":path"]), max_concurrent_streams=3, max_workers=40
    )
    for number in range(3):
        peer.headers(2 * number + 1, [*REQUEST[:3], (":path", f"/{number}")], end_stream=True)
        gate.wait_for(number + 1)
        peer.reset(2 * number + 1, ErrorCode.CANCEL)
    for stream_id in (7, 9, 11):
        peer.headers(stream_id, REQUEST, end_stream=True)
        assert peer.expect(RstStreamFrame, stream_id).error_code == ErrorCode.REFUSED_STREAM
    assert len(gate.running) == 3
    gate.let_go("/0")
    eventually(lambda: session._jobs == 2)
    peer.headers(13, REQUEST, end_stream=True)
    gate.wait_for(3)
    peer.headers(15, REQUEST, end_stream=True)
    assert peer.expect(RstStreamFrame, 15).error_code == ErrorCode.REFUSED_STREAM
    gate.open()
    assert peer.expect(HeadersFrame, 13)
    eventually(lambda: session._jobs == 0)


# -- what handlers do


def test_handlers_of_every_kind_at_once(connections: Connections, background: Any, caplog: Any) -> None:
    """Each client thread gets what its handler's kind promises, whatever the others do."""
    caplog.set_level(logging.CRITICAL, "sync_h2")

    def handler(stream: Any, headers: Any) -> None:
        kind = headers[":path"][1:]
        if kind == "echo":
            stream.end(stream.read())
        elif kind == "raises":
            raise ValueError("a bug")
        elif kind == "raises late":
            stream.respond()
            stream.write(b"half")
            raise ValueError("a bug")
        elif kind == "early":
            stream.respond({":status": 413}, end_stream=True)
        elif kind == "silent":
            pass
        elif kind == "open":
            stream.write(b"left to the end of the handler")
        elif kind == "short":
            stream.respond({"content-length": 10})
            stream.write(b"short")
        elif kind == "reset":
            stream.close(ErrorCode.ENHANCE_YOUR_CALM)
        elif kind == "exit":
            raise SystemExit
        else:
            stream.respond({":status": 404}, end_stream=True)

    kinds = ["echo", "raises", "raises%20late", "early", "silent", "open", "short", "reset", "exit", "none"]
    client, server = connections.pair(
        lambda stream, headers: handler(stream, {":path": headers[":path"].replace("%20", " ")}),
        server={"max_workers": 16},
    )

    def call(kind: str) -> Any:
        stream = client.request({**POST, ":path": f"/{kind}"})
        with contextlib.suppress(HTTP2Error):  # the handler may be faster; the answer says how
            stream.end(b"x" * 1_000)
        try:
            body: Any = stream.read(timeout=15)
        except StreamReset as error:
            body = error.code
        headers = stream.response_headers
        return (headers and headers[":status"]), body

    expected = {
        "echo": ("200", b"x" * 1_000),
        "raises": ("500", b""),
        "raises%20late": ("200", ErrorCode.INTERNAL_ERROR),
        "early": ("413", b""),
        "silent": ("500", b""),
        "open": ("200", b"left to the end of the handler"),
        "short": ("200", ErrorCode.INTERNAL_ERROR),
        "reset": (None, ErrorCode.ENHANCE_YOUR_CALM),
        "exit": ("500", b""),
        "none": ("404", b""),
    }

    def load(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            kind = chance.choice(kinds)
            status, body = call(kind)
            assert body == expected[kind][1], kind
            # A reset may overtake the headers before it in the reader's eyes only, never lose them.
            assert status == expected[kind][0], kind

    for future in [background(load, seed) for seed in range(8)]:
        future.result(25)
    eventually(lambda: server._jobs == 0 and not server._streams, "the end of all jobs")


def test_a_handler_that_returns_before_the_upload_ends(connections: Connections, background: Any) -> None:
    """The answer stays, the upload is told to stop, and its credit returns: together the uploads are many times the
    connection's window.
    """
    client, server = connections.pair(
        lambda stream, headers: stream.respond({":status": 413}, end_stream=True),
        server={"max_session_memory": 512 * 1024, "max_discarded_body": 100_000},
    )
    for _ in range(30):
        stream = client.request(POST)
        stream.end(b"x" * 2_000_000, timeout=10)
        assert stream.wait_response(timeout=5)[":status"] == "413"
        assert stream.read(timeout=5) == b""
        assert stream.wait_closed(timeout=5) == ErrorCode.NO_ERROR
    eventually(lambda: not server._streams and server._inbound.unread == 0)
    assert client.ping(timeout=5)


def test_handlers_that_call_their_own_server(background: Any) -> None:
    """Each request is three deep, each depth on a connection of its own; forty at once on a pool that is not much
    larger than what they need.
    """

    def handler(stream: Any, headers: Any) -> None:
        depth = int(headers[":path"][1:])
        below = clients[depth - 1].request({":path": f"/{depth - 1}"}).read(timeout=20) if depth else b"bottom"
        stream.end(b"%d>" % depth + below)

    with create_server(handler, max_workers=160) as server:
        clients = [connect(server.url) for _ in range(3)]
        with clients[0], clients[1], clients[2]:
            calls = [background(clients[2].request({":path": "/2"}).read, timeout=20) for _ in range(40)]
            assert [call.result(25) for call in calls] == [b"2>1>0>bottom"] * 40


def test_handlers_that_call_the_server_over_the_same_connection_they_serve(
    connections: Connections, background: Any
) -> None:
    """A client in the handler's hand that leads back to the very session that the handler serves."""

    def handler(stream: Any, headers: Any) -> None:
        depth = int(headers[":path"][1:])
        below = client.request({":path": f"/{depth - 1}"}).read(timeout=20) if depth else b""
        stream.end(b"%d" % depth + below)

    client, _ = connections.pair(handler, server={"max_workers": 256})
    calls = [background(client.request({":path": "/3"}).read, timeout=20) for _ in range(12)]
    assert [call.result(25) for call in calls] == [b"3210"] * 12


def test_a_handler_that_outlives_its_stream_is_told(connections: Connections, gate: Gate) -> None:
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        gate.pass_through("handler")
        for call in (lambda: stream.write(b"x"), lambda: stream.end(), lambda: stream.read(), stream.wait_trailers):
            try:
                outcomes.put(call())
            except HTTP2Error as error:
                outcomes.put(error)
        outcomes.put(stream.closed)

    client, server = connections.pair(handler)
    stream = client.request(POST)
    gate.wait_for(1)
    stream.close(ErrorCode.CANCEL)
    eventually(lambda: not server._streams)
    gate.open()
    for _ in range(4):
        error = outcomes.get(timeout=5)
        assert isinstance(error, StreamReset)
        assert error.code == ErrorCode.CANCEL
    assert outcomes.get(timeout=5) is True
    eventually(lambda: server._jobs == 0)
    assert client.request().read(timeout=5) == b"x"


def test_a_handler_that_outlives_its_session_is_told(connections: Connections, gate: Gate) -> None:
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        gate.pass_through("handler")
        try:
            stream.end(b"x")
        except HTTP2Error as error:
            outcome.put(error)
            raise

    client, server = connections.pair(handler)
    stream = client.request()
    gate.wait_for(1)
    client.destroy()
    server.close(timeout=5)
    gate.open()
    assert isinstance(outcome.get(timeout=5), HTTP2Error)
    assert stream.closed


# -- executor=


def test_an_executor_of_the_users_decides_how_many_run(connections: Connections, background: Any, gate: Gate) -> None:
    def handler(stream: Any, headers: Any) -> None:
        gate.pass_through(headers[":path"])
        stream.end(threading.current_thread().name.encode())

    with ThreadPoolExecutor(2, thread_name_prefix="mine") as executor:
        client, _ = connections.pair(handler, server={"executor": executor})
        streams = [client.request() for _ in range(10)]
        gate.wait_for(2)
        assert client.ping(timeout=5)
        gate.open()
        assert all(stream.read(timeout=10).startswith(b"mine") for stream in streams)
        assert gate.most_running == 2
        client.close(timeout=5)
        assert executor.submit(int).result(5) == 0, "the executor is its owner's to shut down"


def test_an_executor_that_takes_no_more_refuses_streams(connections: Connections) -> None:
    """A peer is never left hanging: what cannot be handled is refused, and safe to send elsewhere."""
    executor = ThreadPoolExecutor(1)
    client, server = connections.pair(lambda stream, headers: stream.end(b"x"), server={"executor": executor})
    assert client.request().read(timeout=5) == b"x"
    executor.shutdown()
    stream = client.request()
    with pytest.raises(StreamReset) as raised:
        stream.read(timeout=5)
    assert raised.value.retryable
    assert not server.destroyed
    assert client.ping(timeout=5)
    assert server._jobs == 0


def test_without_a_thread_for_the_first_worker_streams_are_refused(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process has as many threads as it may have."""
    monkeypatch.setattr(quick_handlers, "_USED_BEFORE", 1)
    client, server = connections.pair(lambda stream, headers: stream.end(b"x"))

    start = threading.Thread.start

    def start_no_worker(self: threading.Thread) -> None:
        if self.name.startswith("sync_h2-handler-"):
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_no_worker)
        stream = client.request()
        with pytest.raises(StreamReset) as raised:
            stream.read(timeout=5)
        assert raised.value.retryable
    assert client.request().read(timeout=5) == b"x"
    assert server._jobs == 0


# -- detach()


def test_a_detached_stream_is_its_new_owners(connections: Connections, background: Any) -> None:
    handed_over: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        stream.respond()
        handed_over.put(stream)

    # Many more streams than workers: a detached one takes none.
    client, server = connections.pair(handler, server={"max_workers": 4})
    streams = [client.request(POST) for _ in range(30)]
    owned = [handed_over.get(timeout=5) for _ in streams]
    eventually(lambda: server._jobs == 0)
    serving = [background(lambda stream=stream: stream.end(stream.read())) for stream in owned]
    for number, stream in enumerate(streams):
        stream.end(b"%d" % number)
    assert [stream.read(timeout=5) for stream in streams] == [b"%d" % number for number in range(30)]
    for call in serving:
        call.result(5)


def test_a_handler_that_detaches_and_raises_does_not_leave_the_stream_open(connections: Connections) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        raise ValueError("a bug")

    client, _ = connections.pair(handler)
    assert client.request().wait_response(timeout=5)[":status"] == "500"


def test_a_detached_stream_that_everybody_forgets_is_cancelled(connections: Connections) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.detach()
        stream.respond()

    client, server = connections.pair(handler)
    with pytest.warns(ResourceWarning, match="dropped unfinished") as caught:
        stream = client.request(POST)
        stream.wait_response(timeout=5)

        def closed() -> bool:
            gc.collect()
            return stream.closed and bool(caught.list)

        eventually(closed, "the end of a stream that nobody holds")
    assert stream.rst_code == ErrorCode.CANCEL
    eventually(lambda: not server._streams)


def test_an_upload_nobody_reads_holds_one_worker_for_its_time_only(connections: Connections) -> None:
    """A client that opens uploads and sends nothing gives the workers back after `read_timeout`."""
    session, peer = connections.raw_client(
        lambda stream, headers: stream.end(stream.read()), read_timeout=0.2, discard_timeout=0.2
    )
    for stream_id in (1, 3, 5):
        peer.headers(stream_id, UPLOAD)
    resets = {peer.expect(RstStreamFrame).stream_id for _ in range(3)}
    assert resets == {1, 3, 5}
    eventually(lambda: session._jobs == 0)
    peer.headers(7, UPLOAD)
    peer.data(7, b"x", end_stream=True)
    assert peer.expect(DataFrame, 7).data == b"x"
