"""Whose a buffer is: its caller's as soon as a call has returned or raised, also while somebody keeps the error."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest

from support.threads.background import PATIENCE, eventually
from sync_h2 import (
    Headers,
    HTTP2Error,
    InvalidArgument,
    InvalidState,
    ServerStream,
    Stream,
    StreamReset,
    Timeout,
)
from sync_h2.testing import pair

SIZE = 1_000_000  # more than any window has room for

Call = Callable[[Stream, bytearray], object]

CALLS: dict[str, Call] = {
    "readinto": lambda stream, buffer: stream.readinto(buffer, timeout=0.05),
    "write": lambda stream, buffer: stream.write(buffer, timeout=0.05),
    "end": lambda stream, buffer: stream.end(buffer, timeout=0.05),
}


def fails(error: type[HTTP2Error], call: Call, stream: Stream) -> None:
    """Whether the call raises `error`, whose traceback keeps its variables, and leaves its buffer alone."""
    buffer = bytearray(SIZE)
    with pytest.raises(error) as raised:
        call(stream, buffer)
    buffer.clear()  # BufferError while there is a view of it
    assert raised.value.__traceback__ is not None


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_when_the_time_is_over(ends: Any, call: Call) -> None:
    for stream in ends.exchange():
        fails(Timeout, call, stream)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_when_the_stream_is_reset(ends: Any, call: Call) -> None:
    stream, served = ends.exchange()
    stream.close()
    eventually(lambda: served.closed)
    for end in (stream, served):
        fails(StreamReset, call, end)


@pytest.mark.parametrize(
    "call",
    [
        lambda stream, buffer: stream.readinto(buffer, timeout=-1),
        lambda stream, buffer: stream.write(buffer, timeout=-1),
        lambda stream, buffer: stream.end(buffer, timeout=-1),
    ],
    ids=CALLS,
)
def test_when_the_call_is_a_mistake(ends: Any, call: Call) -> None:
    for stream in ends.exchange():
        fails(InvalidArgument, call, stream)


def test_when_our_side_has_ended(ends: Any) -> None:
    stream, served = ends.exchange({":method": "GET"})
    served.end()
    for end in (stream, served):
        fails(InvalidState, CALLS["write"], end)


@pytest.mark.parametrize("headers", [{}, {"content-length": SIZE}], ids=["no length", "a length"])
def test_of_an_answer_whose_end_waits_for_the_request(headers: dict[str, Any]) -> None:
    failures: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def handler(stream: ServerStream, _: Headers) -> None:
        stream.respond(headers)
        try:
            fails(Timeout, CALLS["end"], stream)
            failures.put(None)
        except BaseException as error:
            failures.put(error)

    client, _server = pair(handler)
    with client:
        stream = client.request({":method": "POST"})
        assert failures.get(timeout=PATIENCE) is None
        stream.close()


def test_in_a_file(ends: Any) -> None:
    stream, served = ends.exchange()
    ends.destroy()
    for end in (stream, served):
        eventually(lambda end=end: end.closed)
        fails(HTTP2Error, lambda stream, buffer: stream.rfile.readinto(buffer), end)
