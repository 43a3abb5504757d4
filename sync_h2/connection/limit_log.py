"""The log's line for a session that a limit has ended: one per limit and ten seconds, so that a flood of bad peers
does not become a flood of lines. Called with no session's lock held, on any thread.
"""

from __future__ import annotations

import logging
import threading
import time

from ..errors import HTTP2Error

logger = logging.getLogger("sync_h2.connection")

_SECONDS_BETWEEN = 10.0

_lock = threading.Lock()
_last_logged: dict[str, float] = {}


def log_limit(session: object, limit: str, error: HTTP2Error) -> None:
    """Warn that `limit` has ended `session`, unless the same was said of another a moment ago."""
    now = time.monotonic()
    with _lock:
        if now - _last_logged.get(limit, -_SECONDS_BETWEEN) < _SECONDS_BETWEEN:
            return
        _last_logged[limit] = now
    logger.warning("%r ended by the limit %s: %s", session, limit, error)
