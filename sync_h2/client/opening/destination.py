"""Where requests go, as far as they can share a connection. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from ..options.trust import Shown, Trust
from ..values.origin import Origin


@dataclass(frozen=True)
class Destination:
    """What must be equal for requests to share a connection."""

    origin: Origin
    proxy: str | None
    verify: Trust
    cert: Shown
    server_name: str | None = None  # what TLS asks for, if it is not the origin's host
