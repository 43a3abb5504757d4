"""A request with its response, and how far both have come. Under the session's lock."""

from __future__ import annotations

from enum import Enum, auto

from .bodies import RequestBody, TunnelBody

MOST_DISCARDED = 256 * 1024
"""Octets of a body that nobody wants which are read and thrown away, so that the connection can be kept."""


class Framing(Enum):
    """How the end of a response's body is told."""

    NONE = auto()  # it has no body
    LENGTH = auto()
    CHUNKED = auto()
    END_OF_CONNECTION = auto()


class Exchange:
    """A request and its response."""

    def __init__(self, stream_id: int, method: str, version: str, body: RequestBody, window: int) -> None:
        self.stream_id = stream_id
        self.method = method
        self.version = version
        self.body = body
        self.window = window  # octets of the body that may be handed on before the handler has read some
        self.keep_alive = True
        self.awaits_continue = False
        self.request_ended = body.ended  # and the session was told so
        self.discards = MOST_DISCARDED
        self.discarding = False
        self.trailers_follow = False
        self.reason = ""  # a phrase of the handler's own
        self.framing: Framing | None = None  # None: the response's head has not been sent
        self.response_ended = False

    @property
    def is_tunnel(self) -> bool:
        return isinstance(self.body, TunnelBody) and self.framing is Framing.END_OF_CONNECTION
