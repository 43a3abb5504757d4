"""A peer that sends anything, and a user who calls anything, in any order: `Connection` raises our exceptions alone,
changes nothing when a call is refused, and holds no more than its limits say.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.octets.http2_endpoint import POST, REQUEST, RESPONSE, Endpoint, frame
from sync_h2 import HTTP2Error, ProtocolError, Settings
from sync_h2.constants import PREFACE
from sync_h2.protocol.fields.headers import encode_push, encode_request, encode_response, encode_trailers

from .holding import holds_little

LIMITS = {"max_concurrent_streams": 5, "max_continuation_frames": 2, "max_settings": 4, "stream_reset_burst": 20}

stream_ids = st.one_of(st.integers(0, 14), st.sampled_from((2**31 - 1, 2**31 - 2)))
flags = st.sampled_from((0, 0x1, 0x4, 0x5, 0x8, 0xC, 0xD, 0x20, 0x25, 0xFF))
numbers = st.one_of(st.integers(0, 10), st.sampled_from((65_535, 2**31 - 1, 2**31, 2**32 - 1)))
payloads = st.one_of(
    st.binary(max_size=40),
    numbers.map(lambda number: struct.pack(">L", number)),
    st.tuples(st.integers(0, 10), numbers).map(lambda item: struct.pack(">HL", *item)),
    st.tuples(numbers, st.integers(0, 13)).map(lambda item: struct.pack(">LL", *item)),
    st.just(bytes(8)),
)
fields = st.sampled_from(
    (
        REQUEST,
        POST,
        RESPONSE,
        [*POST, (b"content-length", b"5")],
        [(b":status", b"103")],
        [(b":status", b"204"), (b"content-length", b"5")],
        [(b"x-trailer", b"1")],
        [(b"X-Upper", b"1")],
        [*REQUEST, (b"x", b"y" * 100_000)],
        [],
    )
)


class Conversation(RuleBasedStateMachine):
    """One connection; its peer is played by `receive_*`, its user by `call_*`."""

    client: bool

    def __init__(self) -> None:
        super().__init__()
        self.endpoint = Endpoint(client=self.client, handshake=False, **LIMITS)
        self.connection: Any = self.endpoint.connection
        self.connection.start()
        self.received = 0
        self.called = 0
        self.ended = False

    def receive(self, octets: bytes) -> None:
        self.received += len(octets)
        try:
            self.endpoint.receive(octets)
        except ProtocolError as error:
            assert error.code
            assert str(error)
            self.ended = True

    def call(self, name: str, *arguments: Any) -> None:
        before = len(self.endpoint.emitted)
        try:
            getattr(self.connection, name)(*arguments)
        except HTTP2Error:
            assert len(self.endpoint.emitted) == before, f"{name} was refused and has sent something"
        self.called += 1

    # -- the peer

    @initialize(well_begun=st.sampled_from((True, True, True, False)))
    def begin(self, well_begun: bool) -> None:
        self.receive(b"" if self.client else PREFACE)
        if well_begun:
            self.receive_settings()

    @precondition(lambda self: not self.ended)
    @rule(octets=st.binary(max_size=60))
    def receive_octets(self, octets: bytes) -> None:
        self.receive(octets)

    @precondition(lambda self: not self.ended)
    @rule()
    def receive_settings(self) -> None:
        self.receive(frame(0x4, 0, 0) + frame(0x4, 0x1, 0))

    @precondition(lambda self: not self.ended)
    @rule(
        frame_type=st.sampled_from((*range(0xB), 0xC, 0x10, 0xBB)), flags=flags, stream_id=stream_ids, payload=payloads
    )
    def receive_frame(self, frame_type: int, flags: int, stream_id: int, payload: bytes) -> None:
        self.receive(frame(frame_type, flags, stream_id, payload))

    @precondition(lambda self: not self.ended)
    @rule(stream_id=stream_ids, fields=fields, end_stream=st.booleans(), cuts=st.integers(0, 3))
    def receive_headers(self, stream_id: int, fields: Any, end_stream: bool, cuts: int) -> None:
        block = self.endpoint.encoder.encode(fields)
        size = -(-len(block) // (cuts + 1)) or 1
        pieces = [block[start : start + size] for start in range(0, len(block), size)] or [b""]
        for position, piece in enumerate(pieces):
            flags = 0x4 if position == len(pieces) - 1 else 0
            if position == 0:
                flags |= 0x1 if end_stream else 0
            if not self.ended:
                self.receive(frame(0x9 if position else 0x1, flags, stream_id, piece))

    @precondition(lambda self: not self.ended)
    @rule(stream_id=stream_ids, size=st.sampled_from((0, 1, 5, 16_384)), end_stream=st.booleans())
    def receive_data(self, stream_id: int, size: int, end_stream: bool) -> None:
        self.receive(frame(0x0, 0x1 if end_stream else 0, stream_id, bytes(size)))

    # -- the user

    @rule(stream_id=stream_ids, end_stream=st.booleans())
    def call_response(self, stream_id: int, end_stream: bool) -> None:
        self.call("send_response", stream_id, encode_response({"x": "y"}), end_stream)

    @rule(end_stream=st.booleans())
    def call_request(self, end_stream: bool) -> None:
        self.call("send_request", encode_request({}, scheme="http", authority="x"), end_stream)

    @rule(stream_id=stream_ids, size=st.sampled_from((0, 1, 16_384)), end_stream=st.booleans())
    def call_data(self, stream_id: int, size: int, end_stream: bool) -> None:
        self.call("send_data", stream_id, bytes(size), end_stream)

    @rule(stream_id=stream_ids)
    def call_trailers(self, stream_id: int) -> None:
        self.call("send_trailers", stream_id, encode_trailers({"x": "y"}))

    @rule(stream_id=stream_ids)
    def call_push(self, stream_id: int) -> None:
        self.call("push", stream_id, encode_push({":path": "/"}, scheme="http", authority="x"))

    @rule(stream_id=stream_ids)
    def call_reset(self, stream_id: int) -> None:
        self.call("reset", stream_id, 8)

    @rule(stream_id=stream_ids, increment=numbers)
    def call_open_window(self, stream_id: int, increment: int) -> None:
        self.call("open_window", stream_id, increment)

    @rule(size=st.sampled_from((0, 1, 65_535, 2**31 - 1)), streams=st.integers(0, 5))
    def call_update_settings(self, size: int, streams: int) -> None:
        values = Settings(initial_window_size=size, max_concurrent_streams=streams, header_table_size=size % 4097)
        self.call("update_settings", values)

    @rule()
    def call_ping(self) -> None:
        self.call("ping", bytes(8))

    @rule(stream_id=stream_ids)
    def call_goaway(self, stream_id: int) -> None:
        self.call("goaway", 0, stream_id)

    # -- what holds

    @invariant()
    def holds_little(self) -> None:
        holds_little(self.endpoint, self.called)

    @invariant()
    def answers_are_no_longer_than_questions(self) -> None:
        """A frame of nine octets makes us send thirteen at most; each call and the beginning a frame of data."""
        sent = sum(len(octets) for _, octets in self.endpoint.emitted)
        assert sent <= 2 * self.received + 16_500 * self.called + 500


class ServersConversation(Conversation):
    client = False


class ClientsConversation(Conversation):
    client = True


TestServer = ServersConversation.TestCase
TestServer.settings = hypothesis_settings(hypothesis_settings.get_profile("fuzz"), stateful_step_count=40)
TestClient = ClientsConversation.TestCase
TestClient.settings = TestServer.settings
