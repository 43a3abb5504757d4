"""What HTTP/2 has and HTTP/1 has not: what a session asks of its protocol all the same, and the answers.

Under the session's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InvalidState
from ..protocol.fields.headers import EncodableFields
from ..protocol.frames.padding import Padding
from ..protocol.settings import Settings


class WithoutFrames:
    """The base of `HTTP1Protocol`: advice does nothing, what waits for an answer raises."""

    padding: Padding | None = None
    peer_max_concurrent_streams = 0  # of pushed ones
    deflate_dynamic_table_size = inflate_dynamic_table_size = 0
    has_stream_ids = False  # for pushes
    next_outbound_stream_id = 0
    pending_settings = 0

    @property
    def local_settings(self) -> Settings:
        return Settings.defaults()

    @property
    def remote_settings(self) -> Settings:
        return Settings.defaults().merged({"enable_push": False})

    def start(self) -> None:
        """There is nothing to begin with."""

    def goaway(self, code: int, last_stream_id: int, data: bytes = b"") -> None:
        """The end of the connection says it."""

    def refuse_streams_above(self, last_stream_id: int) -> None:
        """The next request is not looked at in any case."""

    def origin(self, origins: Iterable[str]) -> None:
        """ORIGIN and ALTSVC are advice, which a client does without."""

    def altsvc(self, origin: str, value: str, stream_id: int) -> None:
        """See `origin`; the Alt-Svc field says the same."""

    def may_end_short(self, stream_id: int) -> None:
        """A request's end is where its length says."""

    def update_settings(self, values: Settings) -> None:
        raise InvalidState("HTTP/1 has no SETTINGS")

    def ping(self, payload: bytes) -> None:
        raise InvalidState("HTTP/1 has no PING")

    def push(self, stream_id: int, headers: EncodableFields) -> int:
        raise InvalidState("HTTP/1 has no server push", stream_id=stream_id)
