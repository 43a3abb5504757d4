"""A peer that does what a test tells it, frame by frame: the other end of a session that has to meet a slow, silent or
misbehaving one.

It runs on the test's own thread over a socketpair: what it sends it sends at once, what it expects it waits for.
"""

from __future__ import annotations

import collections
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from sync_h2 import ClientSession, ServerSession, connect, serve_socket
from sync_h2.constants import DEFAULT_WINDOW_SIZE, PREFACE, SettingId

Fields = Sequence[tuple[str, str]]
FrameKind = TypeVar("FrameKind", bound=Frame)

PATIENCE = 10.0

DATA_ON_STREAM_0 = bytes.fromhex("000001 00 00 00000000 78")
"""What nobody may send."""


class RawPeer:
    """One end of a connection. `client` says which; `fields` of a received HEADERS or PUSH_PROMISE frame is its decoded
    block. PINGs are answered only when `answers_pings` is set, and then while something is awaited.

    It keeps to the windows that it has seen announced (RFC 9113 section 6.9), unless `keeps_to_windows` is cleared:
    what sends more than that relies on how soon a handler reads.
    """

    def __init__(self, sock: socket.socket, *, client: bool) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock
        self.answers_pings = False
        self.keeps_to_windows = True
        self._initial_window = DEFAULT_WINDOW_SIZE
        self._sent: dict[int, int] = collections.defaultdict(int)  # octets of DATA, by stream; 0 is the connection
        self._granted: dict[int, int] = collections.defaultdict(int)  # by WINDOW_UPDATE
        self._client = client
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._received = bytearray()

    def handshake(self, settings: Mapping[int, int] | None = None) -> SettingsFrame:
        """Exchange preface and SETTINGS, and acknowledge; returns the SETTINGS of the session."""
        if self._client:
            self.sock.sendall(PREFACE)
        self.send(SettingsFrame(0, settings=dict(settings or {})))
        self.receive_preface()
        theirs = self.expect(SettingsFrame)
        self.acknowledge_settings()
        return theirs

    def send_preface_without_acknowledging(self) -> None:
        """A client's side of the handshake but for the acknowledgement."""
        self.sock.sendall(PREFACE + SettingsFrame(0).serialize())

    def receive_preface(self) -> None:
        """Of a client: `handshake` does it; to be called by what does not make one."""
        if not self._client:
            preface = self._read(len(PREFACE))
            assert preface == PREFACE, preface

    # -- sending

    def credit(self, stream_id: int) -> int:
        """How many octets of DATA may be sent now, by what was received so far."""
        connection = DEFAULT_WINDOW_SIZE + self._granted[0] - self._sent[0]
        return min(connection, self._initial_window + self._granted[stream_id] - self._sent[stream_id])

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            if isinstance(frame, DataFrame):
                length = frame.flow_controlled_length
                if self.keeps_to_windows and length:
                    credit = self.credit(frame.stream_id)
                    assert length <= credit, f"stream {frame.stream_id}: {length} octets, where {credit} may be sent"
                self._sent[0] += length
                self._sent[frame.stream_id] += length
        self.sock.sendall(b"".join(frame.serialize() for frame in frames))

    def acknowledge_settings(self) -> None:
        self.send(SettingsFrame(0, flags=["ACK"]))

    def headers(self, stream_id: int, fields: Fields, *, end_stream: bool = False) -> None:
        frame = HeadersFrame(stream_id, self._encoder.encode(fields), flags=["END_HEADERS"])
        if end_stream:
            frame.flags.add("END_STREAM")
        self.send(frame)

    def promise(self, stream_id: int, promised_id: int, fields: Fields) -> None:
        block = self._encoder.encode(fields)
        self.send(PushPromiseFrame(stream_id, promised_id, block, flags=["END_HEADERS"]))

    def data(self, stream_id: int, body: bytes, *, end_stream: bool = False) -> None:
        self.send(DataFrame(stream_id, body, flags=["END_STREAM"] if end_stream else []))

    def reset(self, stream_id: int, code: int) -> None:
        self.send(RstStreamFrame(stream_id, code))

    def open_window(self, stream_id: int, increment: int) -> None:
        self.send(WindowUpdateFrame(stream_id, increment))

    def goaway(self, last_stream_id: int, code: int = 0, data: bytes = b"") -> None:
        self.send(GoAwayFrame(0, last_stream_id, code, data))

    def close(self) -> None:
        self.sock.close()

    # -- receiving

    def expect(
        self, kind: type[FrameKind], stream_id: int | None = None, matching: Callable[[FrameKind], bool] | None = None
    ) -> FrameKind:
        """The next frame of this kind (and stream, and for which `matching` holds); those before it are skipped."""
        skipped = []
        while (frame := self.receive()) is not None:
            if (
                isinstance(frame, kind)
                and (stream_id is None or frame.stream_id == stream_id)
                and (matching is None or matching(frame))
            ):
                return frame
            skipped.append(frame)
        raise AssertionError(f"the connection ended without {kind.__name__}; before that came {skipped}")

    def settled(self) -> list[Frame]:
        """All that the session has to say to what it got so far."""
        frames = []
        for question in (
            b"settled?",
            b"really? ",
        ):  # twice, because the answer to a PING overtakes what was there first
            self.send(PingFrame(0, question))
            while not (isinstance(frame := self.receive(), PingFrame) and frame.opaque_data == question):
                assert frame is not None, f"the connection ended after {frames}"
                frames.append(frame)
        return frames

    def until_end(self) -> list[Frame]:
        """All frames up to the end of the connection."""
        return list(iter(self.receive, None))

    def farewell(self) -> GoAwayFrame:
        """The last GOAWAY before the end of the connection, for which this waits."""
        goaways = [frame for frame in self.until_end() if isinstance(frame, GoAwayFrame)]
        assert goaways, "the connection ended without GOAWAY"
        return goaways[-1]

    def receive(self) -> Any:
        """The next frame, whatever it is; None at the end of the connection."""
        try:
            header = self._read(9)
        except EOFError:
            return None
        frame, length = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(self._read(length)))
        if isinstance(frame, WindowUpdateFrame):
            self._granted[frame.stream_id] += frame.window_increment
        elif isinstance(frame, SettingsFrame):
            self._initial_window = frame.settings.get(SettingId.INITIAL_WINDOW_SIZE, self._initial_window)
        if self.answers_pings and isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
        if isinstance(frame, HeadersFrame | PushPromiseFrame):
            block = frame.data
            while "END_HEADERS" not in frame.flags:
                continuation = self.receive()
                assert isinstance(continuation, ContinuationFrame)
                block += continuation.data
                frame.flags |= continuation.flags
            frame.fields = self._decoder.decode(block)
        return frame

    def _read(self, count: int) -> bytes:
        while len(self._received) < count:
            try:
                data = self.sock.recv(65_536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._received += data
        result = bytes(self._received[:count])
        del self._received[:count]
        return result


@contextlib.contextmanager
def client_and_raw_server(
    *, peer_settings: Mapping[int, int] | None = None, handshake: bool = True, **options: Any
) -> Iterator[tuple[ClientSession, RawPeer]]:
    """A client's session and the server that the test plays; `options` are `connect`'s. Both are gone afterwards."""
    near, far = socket.socketpair()
    session = connect("http://localhost", sock=near, **options)
    peer = RawPeer(far, client=False)
    try:
        if handshake:
            peer.handshake(peer_settings)
        yield session, peer
    finally:
        session.destroy()
        peer.close()


@contextlib.contextmanager
def server_and_raw_client(
    handler: Any = None, *, peer_settings: Mapping[int, int] | None = None, handshake: bool = True, **options: Any
) -> Iterator[tuple[ServerSession, RawPeer]]:
    """A server's session and the client that the test plays; `options` are `serve_socket`'s. Both are gone
    afterwards.
    """
    near, far = socket.socketpair()
    session = serve_socket(near, handler, **options)
    peer = RawPeer(far, client=True)
    try:
        if handshake:
            peer.handshake(peer_settings)
        yield session, peer
    finally:
        session.destroy()
        peer.close()
