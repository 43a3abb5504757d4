"""What sessions are made with, checked before anything is opened: limits, the SETTINGS that announce them, who is told
what. Plain values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...protocol.limits import Limits
from ...protocol.settings import Settings
from ..inspection.trace import TraceFunction, check_trace
from ..shared.listeners import Listener
from ..shared.receive_window import first_stream_window


@dataclass(frozen=True, slots=True)
class Configuration:
    """The same for all sessions of a server, or of a pool; an option for sessions is a field here."""

    limits: Limits
    settings: Settings
    trace: TraceFunction | None = None
    listeners: Mapping[str, Listener] | None = None
    """Those that are in place before the first octet."""

    def __post_init__(self) -> None:
        check_trace(self.trace)

    @classmethod
    def for_client(cls, settings: Settings | Mapping[str, Any] | None, **options: Any) -> Configuration:
        """Of what a user gives: `options` are fields of this class, and otherwise limits. Raises `TypeError` and
        `InvalidArgument`.
        """
        own = cls._own(options)
        return cls(*_announced(Limits.for_client(**options), settings, server=False), **own)

    @classmethod
    def for_server(cls, settings: Settings | Mapping[str, Any] | None, **options: Any) -> Configuration:
        """As `for_client`, with a server's defaults."""
        own = cls._own(options)
        return cls(*_announced(Limits.for_server(**options), settings, server=True), **own)

    @classmethod
    def _own(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Take those of `options` out that are no limits."""
        names = {field.name for field in dataclasses.fields(cls)} - {"limits", "settings"}
        return {name: options.pop(name) for name in names & options.keys()}


def _announced(
    limits: Limits, settings: Settings | Mapping[str, Any] | None, *, server: bool
) -> tuple[Limits, Settings]:
    """The SETTINGS to send, made of `limits` and of what the user gives; a setting that the user gives moves its
    limit.
    """
    given = settings if isinstance(settings, Settings) else Settings(settings)
    values = Settings(
        max_concurrent_streams=limits.max_concurrent_streams, max_header_list_size=limits.max_header_list_size
    ).merged(given)
    limits = dataclasses.replace(
        limits,
        max_concurrent_streams=values["max_concurrent_streams"],
        max_header_list_size=values["max_header_list_size"],
    )
    if values.initial_window_size is None:
        values.initial_window_size = first_stream_window(
            limits.max_session_memory, limits.max_concurrent_streams, server=server
        )
    return limits, values
