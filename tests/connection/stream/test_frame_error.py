"""The `frame_error` event: headers of ours that are too long to be sent end their stream, and nothing else."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame

import sync_h2
from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2.constants import ErrorCode, FrameType, SettingId

LONG = {"x-long": "x" * 1000}
LIMIT = {"max_send_header_block_length": 500}
TOO_LONG = "max_send_header_block_length allows 500"


class Heard:
    """The events of one object, in order."""

    def __init__(self, *names: str) -> None:
        self._events: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.listeners: dict[str, Callable[..., object]] = {name: self._listener(name) for name in names}

    def _listener(self, name: str) -> Callable[..., object]:
        return lambda *arguments: self._events.put((name, *arguments))

    def next(self) -> tuple[Any, ...]:
        return self._events.get(timeout=10)

    @property
    def empty(self) -> bool:
        return self._events.empty()


def listen(stream: sync_h2.Stream) -> Heard:
    heard = Heard("frame_error", "error", "close")
    for name, function in heard.listeners.items():
        stream.on(name, function)
    return heard


def test_a_request_that_is_too_long() -> None:
    of_session = Heard("frame_error", "error", "close")
    with client_and_raw_server(**LIMIT, listeners=of_session.listeners) as (session, peer):
        of_request = Heard("frame_error", "error", "close")
        with pytest.raises(sync_h2.InvalidArgument, match=TOO_LONG) as raised:
            session.request(LONG, listeners=of_request.listeners)
        assert isinstance(raised.value, ValueError)
        assert of_request.next() == ("frame_error", FrameType.HEADERS, ErrorCode.FRAME_SIZE_ERROR, 0)
        name, error = of_request.next()
        assert (name, type(error), error.__cause__) == ("error", sync_h2.StreamReset, raised.value)
        assert of_request.next() == ("close", ErrorCode.INTERNAL_ERROR)
        assert of_session.next() == ("frame_error", FrameType.HEADERS, ErrorCode.FRAME_SIZE_ERROR, 0)
        # Nothing was sent, no id was used, and the session is usable.
        stream = session.request()
        assert peer.expect(HeadersFrame).stream_id == stream.id == 1
        peer.headers(1, RESPONSE, end_stream=True)
        assert stream.wait_response(timeout=10)[":status"] == "200"
        assert of_session.empty


@pytest.mark.parametrize("wait", [False, True])
def test_a_request_without_listeners(wait: bool) -> None:
    with client_and_raw_server(**LIMIT) as (session, peer):
        with pytest.raises(sync_h2.InvalidArgument, match=TOO_LONG):
            session.request(LONG, wait=wait)
        stream = session.request()
        assert peer.expect(HeadersFrame).stream_id == stream.id == 1


def refuse(act: Callable[[sync_h2.ServerStream], object], frame_type: FrameType, sent: type[Any] | None = None) -> None:
    """A handler that does `act` gets an exception, its listeners the event, the client a reset; others go on."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        if stream.id != 1:
            stream.respond(end_stream=True)
            return
        heard = listen(stream)
        try:
            act(stream)
        except sync_h2.InvalidArgument as error:
            results.put((heard, error, stream.destroyed, stream.rst_code))

    with server_and_raw_client(handler, **LIMIT) as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)
        heard, error, destroyed, rst_code = results.get(timeout=10)
        assert TOO_LONG in str(error)
        assert destroyed
        assert rst_code == ErrorCode.INTERNAL_ERROR
        assert heard.next() == ("frame_error", frame_type, ErrorCode.FRAME_SIZE_ERROR, 1)
        name, reset = heard.next()
        assert (name, reset.__cause__, reset.stream_id) == ("error", error, 1)
        assert heard.next() == ("close", ErrorCode.INTERNAL_ERROR)
        if sent is not None:
            peer.expect(sent)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
        # HPACK is in step.
        peer.headers(3, REQUEST, end_stream=True)
        assert dict(peer.expect(HeadersFrame, 3).fields)[":status"] == "200"


def test_a_response_that_is_too_long() -> None:
    refuse(lambda stream: stream.respond(LONG), FrameType.HEADERS)


def test_an_informational_response_that_is_too_long() -> None:
    refuse(lambda stream: stream.additional_headers({":status": 103, **LONG}), FrameType.HEADERS)


def test_a_promise_that_is_too_long() -> None:
    refuse(lambda stream: stream.push_stream(LONG), FrameType.PUSH_PROMISE)


def test_a_server_s_trailers_that_are_too_long() -> None:
    def act(stream: sync_h2.ServerStream) -> None:
        stream.respond(wait_for_trailers=True)
        stream.write(b"body")
        stream.send_trailers(LONG)

    refuse(act, FrameType.HEADERS, HeadersFrame)


def test_a_client_s_trailers_that_are_too_long() -> None:
    with client_and_raw_server(**LIMIT) as (session, peer):
        stream = session.request({":method": "POST"}, wait_for_trailers=True)
        heard = listen(stream)
        stream.write(b"body")
        with pytest.raises(sync_h2.InvalidArgument, match=TOO_LONG):
            stream.send_trailers(LONG)
        assert heard.next() == ("frame_error", FrameType.HEADERS, ErrorCode.FRAME_SIZE_ERROR, 1)
        assert stream.destroyed
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
        with pytest.raises(sync_h2.StreamReset):
            stream.read()
        following = session.request()
        assert following.id == 3
        following.close()


def test_trailers_that_are_too_long_for_a_pending_stream() -> None:
    """They are refused when they are given, not when they would go out, on whatever thread that is."""
    with client_and_raw_server(**LIMIT, peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 0}) as (session, _):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 0)
        stream = session.request({":method": "POST"}, wait_for_trailers=True, wait=False)
        heard = listen(stream)
        with pytest.raises(sync_h2.InvalidArgument, match=TOO_LONG):
            stream.send_trailers(LONG)
        assert heard.next() == ("frame_error", FrameType.HEADERS, ErrorCode.FRAME_SIZE_ERROR, 0)
        assert stream.closed


def test_a_second_response_that_is_too_long_ends_nothing(ends: Any) -> None:
    """It would not have been sent whatever its length."""
    stream, served = ends.exchange({})
    served.respond()
    with pytest.raises(sync_h2.InvalidState):
        served.respond({"x-long": "x" * 100_000})
    served.end(b"the first")
    assert stream.read(timeout=10) == b"the first"


def test_a_response_that_http_forbids_ends_nothing(ends: Any) -> None:
    stream, served = ends.exchange({})
    heard = listen(served)
    with pytest.raises(sync_h2.InvalidArgument):
        served.respond({"bad name": "x"})
    served.end(b"goes on")
    assert stream.read(timeout=10) == b"goes on"
    assert heard.next() == ("close", ErrorCode.NO_ERROR)


def test_a_goaway_that_is_too_long_ends_nothing(ends: Any) -> None:
    """Its data is an argument like any other: the session stays usable."""
    heard = Heard("frame_error")
    ends.client.on("frame_error", heard.listeners["frame_error"])
    with pytest.raises(sync_h2.InvalidArgument, match="octets of data do not fit into a GOAWAY frame"):
        ends.client.goaway(opaque_data=b"x" * 20_000)
    stream, served = ends.exchange({})
    served.end(b"goes on")
    assert stream.read(timeout=10) == b"goes on"
    assert heard.empty
