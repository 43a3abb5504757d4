"""How many connections a pool holds, and for how long. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolLimits:
    """How many connections a pool holds open, and for how long, in seconds, when nobody uses them: `keepalive_expiry`
    (None: for ever). One that was idle for `ping_after` must answer a PING before it is used again.
    """

    max_connections: int = 100
    max_connections_per_origin: int = 8
    keepalive_expiry: float | None = 60.0
    ping_after: float = 5.0
