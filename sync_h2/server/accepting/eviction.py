"""Who makes room for a newcomer when a server is full. Runs on the acceptor's thread, and takes no session's lock to
choose.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from ...connection.server_side.server_session import ServerSession

LEAST_IDLE = 1.0
"""Seconds before a session makes room: a client between two requests is no idle one."""
LEAST_STALLED = 1.0
"""Seconds for which a client with a request under way may let everything wait."""


def make_room(sessions: Iterable[ServerSession]) -> bool:
    """End the session that has been idle for longest, or, where each has a request, the one whose client has let all of
    it wait for longest; False if there is none. Those that close already are left out: their room is spoken for.
    """
    now = time.monotonic()
    idle: ServerSession | None = None
    stalled: ServerSession | None = None
    idle_since, stalled_since = now - LEAST_IDLE, now - LEAST_STALLED
    for session in sessions:
        moment = session._idle_since
        if moment is not None and moment <= idle_since:
            idle, idle_since = session, moment
        elif idle is None and (moment := session._stalled_since) is not None and moment <= stalled_since:
            stalled, stalled_since = session, moment
    if idle is not None:
        idle.close(wait=False)
    elif stalled is not None:
        stalled._make_room()
    return idle is not None or stalled is not None
