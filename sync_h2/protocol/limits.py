"""Every limit that an option can change, with its default. Pure values.

A field here is an option of everything that makes sessions.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypedDict

from ..arguments import unknown_option
from ..constants import PADDING_STRATEGY_ALIGNED, PADDING_STRATEGY_MAX, PADDING_STRATEGY_NONE, ErrorCode
from ..errors import InvalidArgument, ProtocolError

PADDING_STRATEGIES = (PADDING_STRATEGY_NONE, PADDING_STRATEGY_MAX, PADDING_STRATEGY_ALIGNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The options that bound a server or a session. Times are seconds (None: no limit), sizes octets."""

    max_sessions: int = 4096
    max_sessions_per_address: int | None = None
    handshake_timeout: float | None = 10.0
    max_concurrent_streams: int = 100
    max_header_list_size: int = 65_536
    max_header_pairs: int = 128
    max_continuation_frames: int = 16
    header_timeout: float | None = 20.0
    read_timeout: float | None = None
    write_timeout: float | None = None
    idle_timeout: float | None = None
    settings_timeout: float | None = 10.0
    keepalive_interval: float | None = None
    keepalive_timeout: float | None = 10.0
    close_timeout: float | None = 10.0
    stream_reset_burst: int = 1000
    stream_reset_rate: float = 33.0
    max_session_invalid_frames: int = 1000
    max_session_rejected_streams: int = 100
    max_settings: int = 32
    max_queued_control_frames: int = 1000
    max_session_memory: int = 16 * 1024 * 1024
    max_server_memory: int = 1024 * 1024 * 1024
    max_waiting_handlers: int = 1000
    max_outstanding_pings: int = 10
    max_discarded_body: int = 16 * 1024 * 1024
    discard_timeout: float | None = 10.0
    max_send_header_block_length: int = 65_536
    max_deflate_dynamic_table_size: int = 4096
    peer_max_concurrent_streams: int = 100
    max_origin_set_size: int = 128
    padding_strategy: str = PADDING_STRATEGY_NONE
    http1_early_hints: bool = False

    @classmethod
    def for_server(cls, **options: Any) -> Limits:
        """A server's defaults, changed by `options`: dead peers must give its workers back."""
        return cls._made_of({"read_timeout": 60.0, "write_timeout": 60.0, "idle_timeout": 120.0, **options})

    @classmethod
    def for_client(cls, **options: Any) -> Limits:
        """A client's defaults, changed by `options`: it chose its peer, and waits as long as its caller wants."""
        return cls._made_of({"max_session_memory": 64 * 1024 * 1024, **options})

    @classmethod
    def _made_of(cls, options: dict[str, Any]) -> Limits:
        names = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in names:
                raise unknown_option(name, names)
        return cls(**options)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            # With postponed evaluation of annotations a field's type is its source text.
            if field.name == "padding_strategy":
                if value not in PADDING_STRATEGIES:
                    raise InvalidArgument(
                        f"padding_strategy must be one of {', '.join(PADDING_STRATEGIES)}, not {value!r}"
                    )
            elif field.type == "bool":
                if not isinstance(value, bool):
                    raise InvalidArgument(f"{field.name} must be True or False, not {value!r}")
            elif value is None:
                if "None" not in field.type:
                    raise InvalidArgument(f"{field.name} must be a number, not None")
            elif isinstance(value, bool) or not isinstance(value, (int, float) if "float" in field.type else int):
                kind = "a number" if "float" in field.type else "a whole number"
                raise InvalidArgument(f"{field.name} must be {kind}, not {value!r}")
            elif not value >= 0:  # written so that NaN is refused too
                raise InvalidArgument(f"{field.name} must not be negative, not {value!r}")


class LimitOptions(TypedDict, total=False):
    """The fields of `Limits` as keyword arguments, for type checkers."""

    max_sessions: int
    max_sessions_per_address: int | None
    handshake_timeout: float | None
    max_concurrent_streams: int
    max_header_list_size: int
    max_header_pairs: int
    max_continuation_frames: int
    header_timeout: float | None
    read_timeout: float | None
    write_timeout: float | None
    idle_timeout: float | None
    settings_timeout: float | None
    keepalive_interval: float | None
    keepalive_timeout: float | None
    close_timeout: float | None
    stream_reset_burst: int
    stream_reset_rate: float
    max_session_invalid_frames: int
    max_session_rejected_streams: int
    max_settings: int
    max_queued_control_frames: int
    max_session_memory: int
    max_server_memory: int
    max_waiting_handlers: int
    max_outstanding_pings: int
    max_discarded_body: int
    discard_timeout: float | None
    max_send_header_block_length: int
    max_deflate_dynamic_table_size: int
    peer_max_concurrent_streams: int
    max_origin_set_size: int
    padding_strategy: str
    http1_early_hints: bool


class LimitReached(ProtocolError):
    """The peer went over the limit named `limit`: the session ends with ENHANCE_YOUR_CALM."""

    def __init__(self, limit: str, message: str, *, stream_id: int | None = None) -> None:
        super().__init__(f"{message} ({limit})", stream_id=stream_id, code=ErrorCode.ENHANCE_YOUR_CALM)
        self.limit = limit
