"""What a session needs of the protocol beneath it: HTTP/2's `Connection`, or what else carries requests and responses
as streams.

Types only; what they describe runs under the session's lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .fields.headers import EncodableFields, ResponseFields
from .frames.padding import Padding
from .settings import Settings


class Input(Protocol):
    """Where the reader puts what arrives. `writable` is called without the lock, the others with it."""

    def writable(self) -> memoryview: ...

    def received(self, count: int) -> None: ...


class Wire(Protocol):
    """One connection as a pure protocol, as both roles use it; see `Connection` for what each method does."""

    settings_received: bool
    last_received_stream_id: int
    max_outbound_frame_size: int
    peer_max_concurrent_streams: int
    padding: Padding | None

    @property
    def frames(self) -> Input: ...

    @property
    def memory(self) -> int: ...

    @property
    def header_block_open(self) -> bool: ...

    # -- streams

    @property
    def has_stream_ids(self) -> bool: ...

    @property
    def next_outbound_stream_id(self) -> int: ...

    @property
    def last_inbound_stream_id(self) -> int: ...

    def stream_state(self, stream_id: int) -> str: ...

    def send_informational(self, stream_id: int, headers: EncodableFields) -> bool: ...

    def trailers_will_follow(self, stream_id: int) -> None: ...

    def send_response(self, stream_id: int, headers: ResponseFields, end_stream: bool) -> None: ...

    def send_data(
        self, stream_id: int, data: bytes | memoryview, end_stream: bool, padding: int | None = None
    ) -> None: ...

    def send_trailers(self, stream_id: int, headers: EncodableFields) -> None: ...

    def check_block_length(self, headers: EncodableFields) -> None: ...

    def push(self, stream_id: int, headers: EncodableFields) -> int: ...

    def reset(self, stream_id: int, code: int) -> bool: ...

    def refuse(self, stream_id: int, code: int = ...) -> None: ...

    def may_end_short(self, stream_id: int) -> None: ...

    def refuse_streams_above(self, last_stream_id: int) -> None: ...

    # -- windows

    def send_window(self, stream_id: int) -> int: ...

    def outbound_window(self, stream_id: int = 0) -> int: ...

    def inbound_window(self, stream_id: int = 0) -> int: ...

    def open_window(self, stream_id: int, increment: int) -> None: ...

    # -- the connection

    def start(self) -> None: ...

    @property
    def local_settings(self) -> Settings: ...

    @property
    def remote_settings(self) -> Settings: ...

    @property
    def pending_settings(self) -> int: ...

    def update_settings(self, values: Settings) -> None: ...

    def ping(self, payload: bytes) -> None: ...

    def goaway(self, code: int, last_stream_id: int, data: bytes = b"") -> None: ...

    def origin(self, origins: Iterable[str]) -> None: ...

    def altsvc(self, origin: str, value: str, stream_id: int) -> None: ...

    @property
    def deflate_dynamic_table_size(self) -> int: ...

    @property
    def inflate_dynamic_table_size(self) -> int: ...
