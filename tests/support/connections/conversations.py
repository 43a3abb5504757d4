"""Conversations for the tests of conformance: a session of ours, and its peer as raw frames.

A test brings a stream into a state, sends octets, and says which of the three outcomes RFC 9113 section 5.4 knows is
right: nothing is wrong (`ACCEPTED`, ignoring included), `stream_error` (RST_STREAM with that code, and the session goes
on, which an exchange afterwards proves) or `connection_error` (GOAWAY with that code and the right last stream id, then
the end of the connection).
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PushPromiseFrame, RstStreamFrame

from sync_h2 import ClientSession, ClientStream, ErrorCode, Headers, ProtocolError, ServerSession, ServerStream

from ..octets import frames
from ..octets.fields import REQUEST, UPLOAD
from ..peers.raw_peer import PATIENCE, RawPeer, client_and_raw_server, server_and_raw_client
from ..threads.background import eventually


class Outcome(NamedTuple):
    """What a peer is told about what it sent."""

    scope: str
    code: ErrorCode | None = None

    def __str__(self) -> str:
        return self.scope if self.code is None else f"{self.scope} error {self.code.name}"


ACCEPTED = Outcome("accepted")


def stream_error(code: ErrorCode) -> Outcome:
    return Outcome("stream", code)


def connection_error(code: ErrorCode) -> Outcome:
    return Outcome("connection", code)


STATES = (
    "idle",
    "open",
    "half_closed_remote",
    "half_closed_local",
    "ended",
    "reset_here",
    "reset_by_peer",
    "reset_by_both",
    "reserved",
)
"""The states of RFC 9113 section 5.1 as the session under test sees them: `ended` and the three below it are "closed",
told apart by how; `reserved` is "reserved (local)" for a server and "reserved (remote)" for a client. Each is the name
of a method of `Conversation`.
"""


class Conversation:
    """A session and its raw peer. `last_stream_id` is the highest stream that the peer has opened so far: what a GOAWAY
    names.
    """

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.last_stream_id = 0

    def send(self, *pieces: bytes) -> None:
        self.peer.sock.sendall(b"".join(pieces))

    def in_state(self, state: str) -> int:
        """Bring a new stream into one of `STATES`; its id."""
        stream_id: int = getattr(self, state)()
        return stream_id

    def check(self, outcome: Outcome, stream_id: int) -> None:
        """What was sent has this outcome; a stream error is one of `stream_id`."""
        if outcome.code is None:
            self.accepted()
        elif outcome.scope == "stream":
            self.stream_error(stream_id, outcome.code)
        else:
            self.connection_error(outcome.code)

    def accepted(self) -> list[Frame]:
        """Nothing that was sent is held against the peer. Gives what the session had to say."""
        said = self.peer.settled()
        assert not _complaints(said)
        self.goes_on()
        return said

    def stream_error(self, stream_id: int, code: int) -> None:
        """RST_STREAM for this stream alone; the session goes on."""
        assert [_read(frame) for frame in _complaints(self.peer.settled())] == [
            f"RST_STREAM {ErrorCode(code).name} on stream {stream_id}"
        ]
        self.goes_on()

    def connection_error(self, code: int, *, last_stream_id: int | None = None) -> GoAwayFrame:
        """GOAWAY with this code, and the connection is closed."""
        said = self.peer.until_end()
        goaways = [frame for frame in said if isinstance(frame, GoAwayFrame)]
        last = self.last_stream_id if last_stream_id is None else last_stream_id
        assert [_read(frame) for frame in goaways] == [f"GOAWAY {ErrorCode(code).name} after stream {last}"], said
        return goaways[0]

    def reset_here(self) -> int:
        raise NotImplementedError

    def reset_by_both(self) -> int:
        """By the session under test first; its peer was about to do the same."""
        stream_id = self.reset_here()
        self.send(frames.rst_stream(stream_id))
        return stream_id

    def goes_on(self) -> None:
        """A new request is answered."""
        raise NotImplementedError


class ServerConversation(Conversation):
    """A server's session under test; the test is the client. Requests are answered with the body they brought, but for
    those for `/held`, whose streams wait in `held` for what the test does with them.
    """

    def __init__(self, peer: RawPeer) -> None:
        super().__init__(peer)
        self.requests: list[Headers] = []
        self.held: queue.SimpleQueue[ServerStream] = queue.SimpleQueue()
        self._kept: list[Any] = []  # a stream that nobody holds is reset
        self.session: ServerSession

    def serve(self, stream: ServerStream, request: Headers) -> None:
        self.requests.append(request)
        if request.get(":path") == "/held":
            stream.detach()
            self.held.put(stream)
        elif request[":method"] == "CONNECT":
            stream.respond({":status": 200})
            for chunk in stream:
                stream.write(chunk)
            stream.end()
        else:
            body = stream.read()
            stream.respond({":status": 200})
            stream.end(body)

    def new_id(self) -> int:
        self.last_stream_id += 2 if self.last_stream_id else 1
        return self.last_stream_id

    def hold(self, fields: tuple[tuple[str, str], ...] = UPLOAD, flags: int = frames.END_HEADERS) -> ServerStream:
        """Open a stream for `/held`; the server's end of it."""
        self.send(frames.headers(self.new_id(), *frames.replaced(fields, path="/held"), flags=flags))
        stream = self.held.get(timeout=PATIENCE)
        self._kept.append(stream)
        # Until its handler has returned, the stream counts against MAX_CONCURRENT_STREAMS even if it is reset.
        eventually(lambda: not stream._state.has_job, "the return of the handler")
        return stream

    def goes_on(self) -> None:
        stream_id = self.new_id()
        self.send(frames.upload(stream_id), frames.data(stream_id, b"again", frames.END_STREAM))
        assert self.answer(stream_id) == ("200", b"again")

    def answer(self, stream_id: int) -> tuple[str, bytes]:
        """The (status, body) of a response. No other frame may bring bad news before it ends."""
        status, body = "", b""
        while True:
            frame = self.peer.receive()
            assert frame is not None, f"the connection ended before the response on stream {stream_id} did"
            assert not isinstance(frame, GoAwayFrame | RstStreamFrame), _read(frame)
            if frame.stream_id == stream_id:
                if isinstance(frame, HeadersFrame):
                    status = status or _status(frame)
                elif isinstance(frame, DataFrame):
                    body += frame.data
                if "END_STREAM" in frame.flags:
                    return status, body

    # the states

    def idle(self) -> int:
        return self.last_stream_id + 2 if self.last_stream_id else 1

    def open(self) -> int:
        return _id(self.hold())

    def half_closed_remote(self) -> int:
        return _id(self.hold(REQUEST, frames.END_HEADERS | frames.END_STREAM))

    def half_closed_local(self) -> int:
        stream = self.hold()
        stream.end(b"all of it")
        self.peer.expect(DataFrame, stream.id, lambda frame: "END_STREAM" in frame.flags)
        return _id(stream)

    def ended(self) -> int:
        stream_id = self.new_id()
        self.send(frames.request(stream_id))
        assert self.answer(stream_id) == ("200", b"")
        return stream_id

    def reset_here(self) -> int:
        stream = self.hold()
        stream.close(ErrorCode.CANCEL)
        self.peer.expect(RstStreamFrame, stream.id)
        return _id(stream)

    def reset_by_peer(self) -> int:
        stream_id = self.open()
        self.send(frames.rst_stream(stream_id))
        return stream_id

    def reserved(self) -> int:
        pushed = self.hold().push_stream()
        self._kept.append(pushed)
        assert self.peer.expect(PushPromiseFrame).promised_stream_id == pushed.id
        return _id(pushed)


class ClientConversation(Conversation):
    """A client's session under test; the test is the server. `streams` are the requests made so far."""

    def __init__(self, peer: RawPeer, session: ClientSession) -> None:
        super().__init__(peer)
        self.session = session
        self.streams: list[ClientStream] = []

    def request(self, method: str = "GET", authority: str = "localhost") -> ClientStream:
        """Make a request, which has arrived on return."""
        stream = self.session.request({":method": method, ":authority": authority})
        self.streams.append(stream)
        self.peer.expect(HeadersFrame, stream.id)
        return stream

    def goes_on(self) -> None:
        stream = self.request()
        stream_id = _id(stream)
        self.send(frames.response(stream_id), frames.data(stream_id, b"again", frames.END_STREAM))
        assert stream.read(timeout=PATIENCE) == b"again"

    def connection_error(self, code: int, *, last_stream_id: int | None = None) -> GoAwayFrame:
        goaway = super().connection_error(code, last_stream_id=last_stream_id)
        with pytest.raises(ProtocolError) as raised:
            self.session.request()
        assert raised.value.code == code
        return goaway

    # the states

    def idle(self) -> int:
        return _id(self.streams[-1]) + 2 if self.streams else 1

    def open(self) -> int:
        stream_id = _id(self.request("POST"))
        self.send(frames.response(stream_id))
        return stream_id

    def half_closed_remote(self) -> int:
        stream_id = _id(self.request("POST"))
        self.send(frames.response(stream_id, flags=frames.END_HEADERS | frames.END_STREAM))
        return stream_id

    def half_closed_local(self) -> int:
        stream_id = _id(self.request())
        self.send(frames.response(stream_id))
        return stream_id

    def ended(self) -> int:
        stream_id = _id(self.request())
        self.send(frames.response(stream_id, flags=frames.END_HEADERS | frames.END_STREAM))
        return stream_id

    def reset_here(self) -> int:
        stream = self.request("POST")
        stream.close(ErrorCode.CANCEL)
        self.peer.expect(RstStreamFrame, stream.id)
        return _id(stream)

    def reset_by_peer(self) -> int:
        stream_id = _id(self.request("POST"))
        self.send(frames.rst_stream(stream_id))
        return stream_id

    def reserved(self) -> int:
        self.last_stream_id += 2
        self.send(frames.push_promise(self.half_closed_local(), self.last_stream_id))
        return self.last_stream_id


@contextlib.contextmanager
def server_conversation(*, handshake: bool = True, **options: Any) -> Iterator[ServerConversation]:
    """With a server; `options` are `server_and_raw_client`'s. Unless told otherwise, the handshake is over."""
    waiting: list[ServerConversation] = []

    def handler(stream: ServerStream, request: Headers) -> None:
        waiting[0].serve(stream, request)

    with server_and_raw_client(handler, handshake=handshake, **options) as (session, peer):
        conversation = ServerConversation(peer)
        conversation.session = session
        waiting.append(conversation)
        if handshake:
            peer.settled()
        yield conversation


@contextlib.contextmanager
def client_conversation(*, handshake: bool = True, **options: Any) -> Iterator[ClientConversation]:
    """With a client; `options` are `client_and_raw_server`'s. Unless told otherwise, the handshake is over."""
    with client_and_raw_server(handshake=handshake, **options) as (session, peer):
        if handshake:
            peer.settled()
        yield ClientConversation(peer, session)


def _complaints(said: list[Frame]) -> list[Frame]:
    return [frame for frame in said if isinstance(frame, RstStreamFrame | GoAwayFrame)]


def _read(frame: Frame) -> str:
    if isinstance(frame, GoAwayFrame):
        return f"GOAWAY {ErrorCode(frame.error_code).name} after stream {frame.last_stream_id}"
    assert isinstance(frame, RstStreamFrame)
    return f"RST_STREAM {ErrorCode(frame.error_code).name} on stream {frame.stream_id}"


def _status(frame: Any) -> str:
    return str(dict(frame.fields)[":status"])


def _id(stream: ClientStream | ServerStream) -> int:
    assert stream.id is not None
    return stream.id
