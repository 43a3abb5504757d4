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

    @classmethod
    def for_client(
        cls,
        limits: Mapping[str, Any],
        settings: Settings | Mapping[str, Any] | None,
        trace: TraceFunction | None,
        listeners: Mapping[str, Listener] | None = None,
    ) -> Configuration:
        """Of what a user gives: `limits` are options, and change the defaults. Raises `TypeError` and
        `InvalidArgument`.
        """
        check_trace(trace)
        return cls(*_announced(Limits.for_client(**limits), settings, server=False), trace, listeners)

    @classmethod
    def for_server(
        cls,
        limits: Mapping[str, Any],
        settings: Settings | Mapping[str, Any] | None,
        trace: TraceFunction | None,
        listeners: Mapping[str, Listener] | None = None,
    ) -> Configuration:
        """As `for_client`, with a server's defaults."""
        check_trace(trace)
        return cls(*_announced(Limits.for_server(**limits), settings, server=True), trace, listeners)


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
