"""The connections of `get`: one for each origin, shared by the threads of all its requests."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ...client.opening.connect import connect
from ...connection.client_side.client_session import ClientSession
from ...errors import HTTP2Error, TLSError
from ...interpreter import Lock
from ...transport.tls import ADVICE_ON_AUTHORITIES

_ADVICE_ON_AUTHORITIES = "; name the authority that signed it (--cacert FILE), or trust anybody (-k)"
_GOODBYE = 2.0  # seconds that a server may take to close its end, when frames are shown


@dataclass
class Opening:
    """How long it took to open a connection; moments are those of `time.monotonic`."""

    origin: str
    began_at: float
    ended_at: float


@dataclass
class _Place:
    """An origin's connection. The lock is held while one is opened: who comes meanwhile waits for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: ClientSession | None = None
    error: HTTP2Error | None = None
    answered_at: float = -math.inf  # the last time


class Connections:
    """Sessions by origin; made with the options of `connect`."""

    def __init__(self, *, verbose: bool, timeout: float | None, **options: Any) -> None:
        if verbose:
            options["trace"] = _show
        self._verbose = verbose
        self._timeout = timeout
        self._options = options
        self._lock = Lock()
        self._places: dict[str, _Place] = {}
        self._sessions: list[ClientSession] = []
        self._ended = False
        self.openings: list[Opening] = []

    def session(self, origin: str) -> ClientSession:
        """The session with `origin`; blocks while it is opened. A failure to open it is raised for every request."""
        with self._lock:
            place = self._places.setdefault(origin, _Place())
        with place.lock:
            if place.error is not None:
                raise place.error.again()
            if place.session is None:
                try:
                    place.session = self._open(origin)
                except HTTP2Error as error:
                    place.error = error
                    raise
            return place.session

    def give_up(self, session: ClientSession, origin: str) -> None:
        """This one takes no more requests: the next gets another."""
        place = self._places[origin]
        with place.lock:
            if place.session is session:
                place.session = None

    def answered(self, origin: str) -> None:
        """One of its requests has got an answer."""
        self._places[origin].answered_at = time.monotonic()

    def takes_requests(self, session: ClientSession, origin: str, since: float) -> bool:
        """Whether others of the origin's requests have been answered meanwhile, or will be by a session that ends."""
        return (session.closed and session._has_streams) or self._places[origin].answered_at >= since

    def _open(self, origin: str) -> ClientSession:
        began_at = time.monotonic()
        try:
            session = connect(
                origin,
                timeout=self._timeout,
                settings={"enable_push": False},
                peer_max_concurrent_streams=1,  # until the server's SETTINGS, a round trip away, say how many it takes
                **self._options,
            )
        except TLSError as error:
            error.message = error.message.replace(ADVICE_ON_AUTHORITIES, _ADVICE_ON_AUTHORITIES)
            raise
        self.openings.append(Opening(origin, began_at, time.monotonic()))
        with self._lock:
            self._sessions.append(session)
            ended = self._ended
        if ended:
            session.destroy()
        if self._verbose:
            socket = session.socket
            security = f"{socket.version()}, ALPN {session.alpn_protocol}" if session.encrypted else "cleartext"
            address = socket.getpeername()
            peer = address[0] if isinstance(address, tuple) else "a local peer"
            _show(f"connected to {origin}: {peer}, {security}")
        return session

    def close(self) -> None:
        """Say goodbye; the requests have ended."""
        for session in self._sessions:
            session.close(wait=False)
        if self._verbose:  # the last frames are to be seen too
            for session in self._sessions:
                with contextlib.suppress(HTTP2Error):
                    session.close(timeout=_GOODBYE)

    def destroy(self) -> None:
        """End everything now: what waits for a session raises."""
        with self._lock:
            self._ended = True
            sessions = list(self._sessions)
        for session in sessions:
            session.destroy()


def _show(line: str) -> None:
    sys.stderr.write(f"{line}\n")
