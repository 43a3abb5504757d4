"""What a session is configured with: its limits, and the SETTINGS that announce them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ...protocol.limits import Limits
from ...protocol.settings import Settings
from ..shared.receive_window import first_stream_window


def configuration(
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
