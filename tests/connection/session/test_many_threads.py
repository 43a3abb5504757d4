"""Many threads and streams on one connection: nobody stands still, nobody gets another's bytes."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
from typing import Any

import pytest

from support.threads.background import eventually, waits
from sync_h2 import ErrorCode, HTTP2Error, Timeout
from sync_h2.testing import pair

MEBIBYTE = 1024 * 1024


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


def patterned(number: int, size: int) -> bytes:
    return bytes((number * 37 + position) % 251 for position in range(251)) * (size // 251 + 1)


@pytest.mark.parametrize("tls", [False, True])
def test_both_peers_write_before_either_reads(open_ends: Any, background: Any, tls: bool, request: Any) -> None:
    """16 MiB on 4 streams each way; the writers stand against closed windows, PING is answered meanwhile."""
    options: dict[str, Any] = {}
    if tls:
        options = request.getfixturevalue("tls_contexts")
    ends = open_ends(**options)
    size = 4 * MEBIBYTE
    pairs = [ends.exchange() for _ in range(4)]
    up = [patterned(number, size)[:size] for number in range(4)]
    down = [patterned(number + 4, size)[:size] for number in range(4)]
    writing = [background(pairs[number][0].end, up[number]) for number in range(4)]
    writing += [background(pairs[number][1].end, down[number]) for number in range(4)]
    eventually(lambda: all(waits(stream) and waits(served) for stream, served in pairs))
    assert not any(call.done() for call in writing)
    for session in (ends.client, ends.server):
        assert session.ping(timeout=5).duration < 5
    reading = [background(lambda served=served: hashlib.sha256(served.read()).digest()) for _, served in pairs]
    reading += [background(lambda stream=stream: hashlib.sha256(stream.read()).digest()) for stream, _ in pairs]
    assert ends.client.ping(timeout=5).duration < 5
    assert [call.result(30) for call in reading] == [hashlib.sha256(body).digest() for body in up + down]
    for call in writing:
        call.result(5)


def test_with_windows_for_all_of_it_the_writes_end_unread(open_ends: Any, background: Any) -> None:
    size = 4 * MEBIBYTE
    options = {"settings": {"initial_window_size": size}, "max_session_memory": 64 * MEBIBYTE}
    ends = open_ends(client=dict(options), server=dict(options))
    ends.client.ping()
    ends.server.ping()
    pairs = [ends.exchange() for _ in range(4)]
    body = patterned(1, size)[:size]
    writing = [background(end.end, body) for ends_of_stream in pairs for end in ends_of_stream]
    assert ends.client.ping(timeout=5).duration < 5
    for call in writing:
        call.result(20)
    for stream, served in pairs:
        assert served.read() == body
        assert stream.read() == body


def test_200_threads_share_one_session(background: Any) -> None:
    client, server = pair(echo)
    starting = threading.Barrier(200)

    def ask(number: int) -> int:
        starting.wait(20)
        answered = 0
        for count in range(20):
            stream = client.request({":method": "POST"})
            body = f"{number}/{count} ".encode() * 100
            stream.end(body)
            answered += stream.read() == body
        return answered

    calls = [background(ask, number) for number in range(200)]
    assert sum(call.result(110) for call in calls) == 200 * 20
    client.close(timeout=5)
    server.close(timeout=5)
    assert client._streams == server._streams == {}


def test_one_stream_stays_unread_while_99_others_finish(background: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.end(b"x" * 3_000_000)

    client, server = pair(handler)
    unread = client.request()
    unread.wait_response()
    calls = [background(lambda: len(client.request().read())) for _ in range(99)]
    assert [call.result(50) for call in calls] == [3_000_000] * 99
    assert not unread.closed
    assert len(unread._state.buffer) <= 256 * 1024
    assert len(unread.read()) == 3_000_000
    client.close(timeout=5)
    server.close(timeout=5)


def test_threads_that_do_everything_at_once(background: Any) -> None:
    """Requests, resets, timeouts, pings, settings and pushes on one session, and it still works afterwards."""

    def handler(stream: Any, headers: Any) -> None:
        kind = headers[":path"]
        if kind == "/echo":
            stream.end(stream.read())
        elif kind == "/reset":
            stream.close(ErrorCode.CANCEL)
        elif kind == "/push" and stream.push_allowed:
            pushed = stream.push_stream({":path": "/pushed"})
            pushed.end(b"pushed")
            stream.end(b"page")
        elif kind == "/early":
            stream.end(b"early")
        else:
            stream.write(b"x" * 500_000)

    client, server = pair(handler)
    failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def use(number: int) -> None:
        for count in range(30):
            which = (number + count) % 7
            try:
                if which == 0:
                    stream = client.request({":method": "POST", ":path": "/echo"})
                    stream.end(b"y" * 100_000)
                    assert stream.read() == b"y" * 100_000
                elif which == 1:
                    stream = client.request({":path": "/reset"})
                    assert stream.wait_closed(timeout=20) == ErrorCode.CANCEL
                elif which == 2:
                    with client.request({":path": "/endless"}) as stream:
                        assert stream.read(10)
                elif which == 3:
                    stream = client.request({":path": "/push"})
                    assert stream.read() == b"page"
                    for pushed in stream.pushes():
                        assert pushed.read() == b"pushed"
                elif which == 4:
                    try:
                        client.ping(timeout=20)
                    except HTTP2Error as error:
                        assert "pings" in str(error)
                elif which == 5:
                    with client.request({":method": "POST", ":path": "/early"}) as stream:
                        with contextlib.suppress(HTTP2Error):
                            stream.end(b"z" * 1_000_000, timeout=20)
                        assert stream.read() == b"early"
                else:
                    stream = client.request({":method": "POST", ":path": "/echo"})
                    with stream, contextlib.suppress(Timeout):
                        stream.read(timeout=0.001)
            except BaseException as error:
                failures.put(error)
                raise

    calls = [background(use, number) for number in range(20)]
    for call in calls:
        call.result(50)
    assert failures.empty()
    stream = client.request({":method": "POST", ":path": "/echo"})
    stream.end(b"still works")
    assert stream.read() == b"still works"
    client.close(timeout=10)
    server.close(timeout=10)
