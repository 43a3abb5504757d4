"""Both ends of the wire: frames built by hand, and a protocol `Connection` whose output is kept."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from hpack import Encoder, HeaderTuple

from sync_h2.constants import PREFACE, FrameFlag, FrameType
from sync_h2.protocol.connection import Connection
from sync_h2.protocol.events import Event, StreamReset
from sync_h2.protocol.fields.headers import RequestFields, encode_request
from sync_h2.protocol.frames.framing import FrameReader, frame_header
from sync_h2.protocol.limits import Limits
from sync_h2.protocol.settings import Settings

END_STREAM = int(FrameFlag.END_STREAM)
END_HEADERS = int(FrameFlag.END_HEADERS)
ACK = int(FrameFlag.ACK)
PADDED = int(FrameFlag.PADDED)
PRIORITY = int(FrameFlag.PRIORITY)

REQUEST = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"example.org"), (b":path", b"/")]
POST = [(b":method", b"POST"), *REQUEST[1:]]
RESPONSE = [(b":status", b"200")]

GET = encode_request(None, scheme="https", authority="example.org")
"""REQUEST as our own side sends it."""

Fields = Iterable[tuple[bytes, bytes]]


class Frame(NamedTuple):
    """A frame as the peer sees it."""

    type: int
    flags: int
    stream_id: int
    payload: bytes


def frame(frame_type: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return frame_header(len(payload), frame_type, flags, stream_id) + payload


def settings(*items: tuple[int, int]) -> bytes:
    return frame(FrameType.SETTINGS, 0, 0, b"".join(struct.pack(">HL", *item) for item in items))


SETTINGS_ACK = frame(FrameType.SETTINGS, ACK, 0)


def data(stream_id: int, payload: bytes = b"", *, end_stream: bool = False) -> bytes:
    return frame(FrameType.DATA, END_STREAM if end_stream else 0, stream_id, payload)


def reset(stream_id: int, code: int = 8) -> bytes:
    return frame(FrameType.RST_STREAM, 0, stream_id, struct.pack(">L", code))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(FrameType.WINDOW_UPDATE, 0, stream_id, struct.pack(">L", increment))


def goaway(last_stream_id: int, code: int = 0, debug: bytes = b"") -> bytes:
    return frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", last_stream_id, code) + debug)


def split_frames(octets: bytes, *, preface: bool = False) -> list[Frame]:
    """The frames in `octets`, which must end with the end of a frame."""
    reader = FrameReader(expect_preface=preface, max_frame_size=2**24 - 1)
    frames = []
    while octets:
        room = reader.writable()
        count = min(len(room), len(octets))
        room[:count] = octets[:count]
        reader.received(count)
        octets = octets[count:]
        while (cut := reader.next_frame()) is not None:
            frames.append(Frame(*cut[:3], bytes(cut[3])))
    assert reader.partial_type is None
    return frames


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """One of our connections, what it has sent, and an HPACK encoder for what its peer sends."""

    def __init__(self, *, client: bool, values: Settings | None = None, handshake: bool = True, **limits: Any) -> None:
        self.clock = Clock()
        self.emitted: list[tuple[bool, bytes]] = []
        self.encoder = Encoder()
        self.connection = Connection(
            client=client,
            settings=values or Settings(),
            limits=Limits.for_client(**limits) if client else Limits.for_server(**limits),
            emit=lambda urgent, buffers: self.emitted.append((urgent, b"".join(buffers))),
            clock=self.clock,
        )
        if handshake:
            self.connection.start()
            self.receive((b"" if client else PREFACE) + settings() + SETTINGS_ACK)
            self.sent()

    def receive(self, octets: bytes) -> list[Event]:
        """The events of these octets from the peer."""
        events: list[Event] = []
        frames = self.connection.frames
        while octets:
            room = frames.writable()
            count = min(len(room), len(octets))
            room[:count] = octets[:count]
            frames.received(count)
            octets = octets[count:]
            while (cut := frames.next_frame()) is not None:
                events += self.connection.receive_frame(*cut)
        return events

    def sent(self) -> list[Frame]:
        """The frames sent since the last call."""
        octets = b"".join(buffer for _, buffer in self.emitted)
        self.emitted.clear()
        return split_frames(octets.removeprefix(PREFACE))

    def headers(
        self, stream_id: int, fields: Fields, *, end_stream: bool = False, flags: int = END_HEADERS, prefix: bytes = b""
    ) -> bytes:
        """A HEADERS frame from the peer."""
        block = prefix + self.encoder.encode([HeaderTuple(*field) for field in fields])
        return frame(FrameType.HEADERS, flags | (END_STREAM if end_stream else 0), stream_id, block)

    def promise(self, stream_id: int, promised_stream_id: int, fields: Fields = tuple(REQUEST)) -> bytes:
        """A PUSH_PROMISE frame from the peer."""
        block = self.encoder.encode([HeaderTuple(*field) for field in fields])
        return frame(FrameType.PUSH_PROMISE, END_HEADERS, stream_id, struct.pack(">L", promised_stream_id) + block)


def server(**options: Any) -> Endpoint:
    """Our server after the exchange of SETTINGS."""
    return Endpoint(client=False, **options)


def client(**options: Any) -> Endpoint:
    """Our client after the exchange of SETTINGS."""
    return Endpoint(client=True, **options)


def asking(fields: RequestFields = GET, *, end_stream: bool = True, **options: Any) -> Endpoint:
    """A client with a request on stream 1."""
    endpoint = client(**options)
    endpoint.connection.send_request(fields, end_stream)
    endpoint.sent()
    return endpoint


def only_reset(endpoint: Endpoint, events: list[Event], stream_id: int, code: int) -> StreamReset:
    """The one event is a reset that we sent; the connection goes on."""
    (event,) = [event for event in events if isinstance(event, StreamReset)]
    assert (event.stream_id, event.code, event.remote) == (stream_id, code, False)
    assert event.reason
    assert endpoint.sent() == [(FrameType.RST_STREAM, 0, stream_id, code.to_bytes(4, "big"))]
    assert not endpoint.connection.stream_is_open(stream_id)
    return event
