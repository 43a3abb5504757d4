"""The log's line for a session that a limit has ended: one per limit and ten seconds, so that a flood of bad peers
does not become a flood of lines. Called with no session's lock held, on any thread.
"""

from __future__ import annotations

import time

from ...errors import HTTP2Error
from ...interpreter import Lock, SharedDict
from ...transport.log import Log

logger = Log("sync_h2.connection")

_SECONDS_BETWEEN = 10.0

_lock = Lock()
_last_logged: dict[str, float] = SharedDict()


def log_limit(session: object, limit: str, error: HTTP2Error) -> None:
    """Warn that `limit` has ended `session`, unless the same was said of another a moment ago."""
    if _is_due(limit):
        logger.warning("%r ended by the limit %s: %s", session, limit, error)


def log_out_of_resources(server: object, error: OSError) -> None:
    """Say that the operating system gives no descriptor or memory for another connection, and what helps."""
    if _is_due(str(error.errno)):
        logger.warning(
            "%r can't accept connections for now: %s; raise the limit on open files (ulimit -n) or lower max_sessions",
            server,
            error,
        )


def _is_due(subject: str) -> bool:
    now = time.monotonic()
    with _lock:
        if now - _last_logged.get(subject, -_SECONDS_BETWEEN) < _SECONDS_BETWEEN:
            return False
        _last_logged[subject] = now
        return True
