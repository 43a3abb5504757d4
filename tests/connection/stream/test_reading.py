"""Reading a body: in every way, with timeouts, and when it ends badly."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from support.threads.background import eventually, waits
from sync_h2 import ErrorCode, InvalidState, StreamReset, Timeout


def test_read_gives_what_there_is(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.write(b"abcdef")
    eventually(lambda: len(served._state.buffer) == 6)
    assert served.read(0) == b""
    assert served.read(4) == b"abcd"
    assert served.read(100) == b"ef"
    stream.end(b"ghi")
    assert served.read(100) == b"ghi"
    assert served.read(1) == b""
    assert served.read() == b""
    assert served.read(None) == b""


def test_read_waits_for_the_first_byte_only(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    reading = background(served.read, 1000)
    eventually(lambda: waits(served))
    stream.write(b"x")
    assert reading.result(5) == b"x"


def test_read_of_everything_waits_for_the_end(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    reading = background(served.read)
    stream.write(b"a" * 1_000_000)
    stream.write(b"b" * 1_000_000)
    assert not reading.done()
    stream.end()
    assert reading.result(5) == b"a" * 1_000_000 + b"b" * 1_000_000


def test_a_client_reads_without_waiting_for_the_response_first(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    reading = background(stream.read)
    eventually(lambda: waits(stream))
    served.end(b"body")
    assert reading.result(5) == b"body"


def test_readinto(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"abcdef")
    eventually(lambda: len(served._state.buffer) == 6)
    target = bytearray(4)
    assert served.readinto(target) == 4
    assert target == b"abcd"
    assert served.readinto(target) == 2
    assert target == b"efcd"
    assert served.readinto(target) == 0
    assert served.readinto(bytearray()) == 0


@pytest.mark.parametrize(
    "mistake",
    [
        lambda stream: stream.readinto(b"read-only"),
        lambda stream: stream.readinto("text"),
        lambda stream: stream.read("1"),
        lambda stream: stream.read(2.5),
        lambda stream: stream.readline("1"),
        lambda stream: stream.readline(1.5),
        lambda stream: stream.read(1, timeout="1"),
    ],
)
def test_a_mistake_of_the_caller_harms_nothing(ends: Any, mistake: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"line\nrest")
    eventually(lambda: len(served._state.buffer) == 9)
    with pytest.raises(TypeError):
        mistake(served)
    assert served.read() == b"line\nrest"
    assert not ends.server.destroyed


def test_readline(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.write(b"one\ntw")
    assert served.readline() == b"one\n"
    stream.end(b"o\n\nthree")
    assert served.readline() == b"two\n"
    assert served.readline() == b"\n"
    assert served.readline(2) == b"th"
    assert served.readline(0) == b""
    assert served.readline(None) == b"ree"
    assert served.readline() == b""


def test_a_line_longer_than_the_window(ends: Any, background: Any) -> None:
    line = b"x" * 1_000_000 + b"\n"
    stream, served = ends.exchange()
    writing = background(stream.end, line + b"rest")
    assert served.readline(timeout=10) == line
    assert served.read() == b"rest"
    writing.result(5)


def test_iteration_gives_all_chunks(ends: Any, background: Any) -> None:
    body = bytes(range(256)) * 10_000
    stream, served = ends.exchange()
    writing = background(stream.end, body)
    chunks = list(served)
    assert b"".join(chunks) == body
    assert all(chunks)
    writing.result(5)


def test_two_threads_that_read_share_the_body(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()

    def collect() -> int:
        return sum(len(chunk) for chunk in served)

    readers = [background(collect) for _ in range(4)]
    stream.end(b"x" * 2_000_000)
    assert sum(reader.result(10) for reader in readers) == 2_000_000


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read(1, timeout=0.05),
        lambda stream: stream.read(timeout=0.05),
        lambda stream: stream.readinto(bytearray(1), timeout=0.05),
        lambda stream: stream.readline(timeout=0.05),
        lambda stream: stream.wait_trailers(timeout=0.05),
        lambda stream: stream.wait_closed(timeout=0.05),
        lambda stream: stream.wait_response(timeout=0.05),
        lambda stream: stream.wait_continue(timeout=0.05),
        lambda stream: stream.wait_push(timeout=0.05),
    ],
)
def test_a_timeout_leaves_the_stream_usable(ends: Any, call: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises(Timeout) as raised:
        call(stream)
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.stream_id == 1
    served.end(b"late")
    assert stream.read() == b"late"


def test_a_timeout_of_zero_takes_what_is_there(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"abc")
    eventually(lambda: len(served._state.buffer) == 3)
    assert served.read(2, timeout=0) == b"ab"
    assert served.read(timeout=0) == b"c"


def test_read_of_everything_that_times_out_loses_nothing(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.write(b"first ")
    with pytest.raises(Timeout):
        served.read(timeout=0.05)
    with pytest.raises(Timeout):
        served.readline(timeout=0.05)
    stream.end(b"second")
    assert served.read() == b"first second"


def test_the_sessions_read_timeout_counts_time_without_progress(open_ends: Any, background: Any) -> None:
    ends = open_ends(client={"read_timeout": 0.3})
    stream, served = ends.exchange()
    step = threading.Event()

    def trickle() -> None:
        for _ in range(8):  # more than the timeout in all
            served.write(b"x")
            step.wait(0.1)
        served.end()

    trickling = background(trickle)
    assert stream.read() == b"x" * 8
    trickling.result(5)
    stream, served = ends.exchange()
    served.write(b"x")
    with pytest.raises(Timeout):
        stream.read()


def test_what_came_before_a_reset_is_read_first(ends: Any) -> None:
    stream, served = ends.exchange()
    served.write(b"abcdef")
    served.close(ErrorCode.INTERNAL_ERROR)
    assert stream.wait_closed() == ErrorCode.INTERNAL_ERROR
    assert stream.wait_response()[":status"] == "200"
    assert stream.read(4) == b"abcd"
    assert stream.read(4) == b"ef"
    for _ in range(2):
        with pytest.raises(StreamReset) as raised:
            stream.read(4)
        assert raised.value.code == ErrorCode.INTERNAL_ERROR
        assert raised.value.stream_id == 1
        assert not raised.value.retryable


def test_a_cut_body_never_looks_whole(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    reading = background(stream.read)
    served.write(b"half")
    eventually(lambda: waits(stream))
    served.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset) as raised:
        reading.result(5)
    assert raised.value.partial == b"half"
    assert raised.value.code == ErrorCode.CANCEL
    with pytest.raises(StreamReset) as raised:
        stream.read()
    assert raised.value.partial == b""


def test_a_line_that_a_reset_cut_is_not_lost(ends: Any) -> None:
    stream, served = ends.exchange()
    served.write(b"whole\nhalf")
    served.close(ErrorCode.CANCEL)
    stream.wait_closed()
    assert stream.readline() == b"whole\n"
    with pytest.raises(StreamReset):
        stream.readline()
    assert stream.read(100) == b"half"


def test_each_raise_is_an_instance_of_its_own(ends: Any) -> None:
    stream, served = ends.exchange()
    served.close(ErrorCode.CANCEL)
    stream.wait_closed()
    errors = []
    for _ in range(2):
        with pytest.raises(StreamReset) as raised:
            stream.read()
        errors.append(raised.value)
    assert errors[0] is not errors[1]
    assert errors[0].__cause__ is errors[1].__cause__ is not None


def test_after_our_own_close_reading_says_so(ends: Any) -> None:
    stream, served = ends.exchange()
    served.write(b"unread")
    stream.wait_response()
    stream.close(ErrorCode.CANCEL)
    with pytest.raises((StreamReset, InvalidState)):
        stream.read()
    assert served.wait_closed() == ErrorCode.CANCEL
    assert served.aborted
    assert stream.aborted


READING = {
    "all": lambda stream: stream.read(),
    "some": lambda stream: stream.read(10),
    "into": lambda stream: stream.readinto(bytearray(10)),
    "a line": lambda stream: stream.readline(),
    "iteration": lambda stream: next(iter(stream)),
    "file": lambda stream: stream.rfile.read(),
    "file, some": lambda stream: stream.rfile.read(10),
    "file, a line": lambda stream: stream.rfile.readline(),
    "buffered": lambda stream: io.BufferedReader(stream.rfile).read(),
}


@pytest.mark.parametrize("way", READING)
def test_what_a_with_block_has_discarded_is_no_end(ends: Any, way: str) -> None:
    stream, served = ends.exchange()
    served.end(b"line\n" * 100)
    eventually(lambda: stream._state.remote_ended)
    with stream:
        assert stream.read(5) == b"line\n"
    with pytest.raises(InvalidState, match="discarded"):
        READING[way](stream)


def test_what_close_has_discarded_is_no_end(ends: Any) -> None:
    stream, served = ends.exchange()
    served.end(b"body")
    eventually(lambda: stream._state.remote_ended)
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset, match="this side"):
        stream.read()


def test_a_servers_with_block_discards_too(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"request")
    eventually(lambda: served._state.remote_ended)
    with served:
        served.end(b"answer")
    with pytest.raises(InvalidState, match="discarded"):
        served.read()
    assert stream.read() == b"answer"


@pytest.mark.parametrize("body", [b"", b"body"])
def test_a_body_that_was_read_has_its_end_behind_the_with_block_too(ends: Any, body: bytes) -> None:
    stream, served = ends.exchange()
    with stream:
        served.end(body)
        assert stream.read() == body
    assert stream.read() == stream.read(10) == stream.readline() == b""
    assert list(stream) == []
