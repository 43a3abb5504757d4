"""Options of connections and pools, for type checkers: what `Client`, the adapters and httpx's transport take beside
the arguments that their signatures name. Types alone: what is given is checked where it is used.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

from ...connection.inspection.trace import TraceFunction
from ...connection.shared.listeners import Listener
from ...protocol.limits import LimitOptions
from ...protocol.settings import Settings
from ..opening.resolver import Resolve
from .limits import PoolLimits
from .pool import Pool


class ConnectionOptions(LimitOptions, total=False):
    """A `Client`'s about its connections."""

    settings: Settings | Mapping[str, Any] | None
    listeners: Mapping[str, Listener] | None
    trace: TraceFunction | None
    resolve: Resolve | None
    unix_socket: str | os.PathLike[str] | None


class PoolOptions(ConnectionOptions, total=False):
    """Those of `RequestsAdapter` and `HTTPXTransport`."""

    alt_svc: bool | str
    retry_statuses: Iterable[int]


class TransportOptions(PoolOptions, total=False):
    """Those of `HandlerTransport` and `WSGITransport`."""

    limits: PoolLimits | None
    retries: int


class AdapterOptions(PoolOptions, total=False):
    """`HTTPAdapter`'s."""

    http1: bool
    h2c: bool
    retries: int
    context: ssl.SSLContext | None
    pool: Pool | None
