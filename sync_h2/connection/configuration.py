"""What a session is configured with: its limits, and the SETTINGS that announce them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..protocol.limits import Limits
from ..protocol.settings import Settings
from .flow_control import LEAST_WINDOW, STREAM_WINDOW


def server_configuration(limits: Limits, settings: Settings | Mapping[str, Any] | None) -> tuple[Limits, Settings]:
    """`configuration` of a server, whose streams may have to wait for a handler.

    What they hold unread meanwhile must not stop the data of those that are read: all of it fits into the half of the
    memory up to which the connection's credit is given back (see inbound_flow.py).
    """
    share = limits.max_session_memory // 2 // max(limits.max_concurrent_streams, 1)
    return configuration(limits, settings, stream_window=min(STREAM_WINDOW, max(share, LEAST_WINDOW)))


def configuration(
    limits: Limits, settings: Settings | Mapping[str, Any] | None, *, stream_window: int = STREAM_WINDOW
) -> tuple[Limits, Settings]:
    """The SETTINGS to send, made of `limits` and of what the user gives; a setting that the user gives moves its
    limit.
    """
    given = settings if isinstance(settings, Settings) else Settings(settings)
    values = Settings(
        max_concurrent_streams=limits.max_concurrent_streams,
        max_header_list_size=limits.max_header_list_size,
        initial_window_size=stream_window,
    ).merged(given)
    limits = dataclasses.replace(
        limits,
        max_concurrent_streams=values["max_concurrent_streams"],
        max_header_list_size=values["max_header_list_size"],
    )
    return limits, values
