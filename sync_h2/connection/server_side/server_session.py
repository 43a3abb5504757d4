"""A server's session as its server sees it: what it takes, whether it is idle, and how it closes, in two steps. Threads
and locks as in session/state.py.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from ...constants import MAX_STREAM_ID, ErrorCode, error_code_name
from ...errors import HTTP2Error, ProtocolError
from ...interpreter import FREE_THREADED_BUILD
from ...protocol import events
from ...transport.log import Log
from ...transport.transport import Transport
from ..session.configuration import Configuration
from ..session.events import DRAIN_PING
from ..shared.stream_state import StreamState
from ..timing.watchdog import LAST_WORDS
from .quick_handlers import QuickHandlingSession, SharesReaders
from .request_lines import printable_request

logger = Log("sync_h2.server")
access_logger = Log("sync_h2.access")

# Octets, measured on CPython 3.11 (see tests/connection/server_side/test_session_memory.py).
# An object has a larger head, and a thread more of its own, without the interpreter's lock.
_SESSION_MEMORY = (52 if FREE_THREADED_BUILD else 40) * 1024
"""What a session takes that has no stream, with its thread."""
_TLS_MEMORY = 40 * 1024
_STREAM_MEMORY = 1280 if FREE_THREADED_BUILD else 1024
"""What a stream takes as long as it is open, and ..."""
_JOB_MEMORY = 2048
"""... as long as its handler waits or runs, header lists and bodies apart."""
_MEMORY_STEP = 64 * 1024
"""The server is told of larger changes only."""


class Host(SharesReaders, Protocol):
    """What a session needs of the server it belongs to; called with no lock held."""

    def _handlers_that_wait(self, session: ServerSession) -> int:
        """How many handlers of the session wait for its client now."""

    def _keep_worker(self, session: ServerSession, wanted: bool) -> None:
        """Whether a thread that runs jobs has to stay for this session; its end takes that back."""

    def _memory_changed(self, session: ServerSession) -> None:
        """What `_memory_taken` says has changed by a good deal."""

    def _session_idle(self, session: ServerSession) -> bool:
        """The session was idle for its timeout; True when somebody listens for that and decides."""

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        """The session is gone."""


class ServerSession(QuickHandlingSession):
    """The server's end of a connection."""

    _host: Host
    origin_set: None = None
    """What a client over TLS has (RFC 8336); None on a server."""

    def __init__(
        self, transport: Transport, host: Host, configuration: Configuration, *, origins: Sequence[str] = ()
    ) -> None:
        self._first_origins = origins
        self._logs_access = access_logger.is_enabled_for(logging.INFO)
        self._memory_told = 0  # what `_memory_taken` was when the host was last told
        self._drains_until = 0.0  # while a request is under way
        self._last_stream_closed_at = time.monotonic()
        super().__init__(transport, host, configuration)
        self._watchdog.inactivity = self._limits.idle_timeout
        self._watchdog.flush_patience = self._limits.write_timeout

    def _start(self) -> None:
        super()._start()
        if self._first_origins:
            with self._monitor, self._lock:
                self._protocol.origin(self._first_origins)
                self._sender.send_locked()

    @property
    def _idle_since(self) -> float | None:
        """Since when there has been nothing to do (a moment of `time.monotonic()`); None if there is, or it closes.

        A look without the lock: what begins meanwhile is finished by the graceful close.
        """
        watchdog = self._watchdog
        if self._streams or self._jobs or self._leaving or watchdog.header_block is not None:
            return None
        if watchdog.handshake is not None or self._sender.held_locked:
            return None  # it has not begun: `handshake_timeout` is for those
        return self._last_stream_closed_at

    @property
    def _stalled_since(self) -> float | None:
        """Since when nothing has gone on because the client lets all of it wait (a moment of `time.monotonic()`); None
        if anything goes on, or the session closes. A look without the lock.
        """
        if self._leaving:
            return None
        watchdog = self._watchdog
        if watchdog.handshake is not None or self._sender.held_locked:
            return self._began_at
        working = len(self._handler_threads) + len(self._unbegun) - self._host._handlers_that_wait(self)
        if working > 0:
            return None
        streams = list(self._streams.values())
        if not streams:  # it is idle, if only for a moment, or sends a header block
            block, patience = watchdog.header_block, self._limits.header_timeout
            return None if block is None or patience is None else block - patience
        if any(state.detached and not state.end_posted and not state.outgoing for state in streams):
            return None  # something else than a handler works for it
        moments = [state.opened_at for state in streams if state.opened_at is not None]
        return max(self._body_received_at, self._pump.body_sent_at, self._last_stream_closed_at, *moments)

    @property
    def _leaving(self) -> bool:
        """Whether it is this side that ends the session, or has."""
        return self._destroyed or self._draining or self._said_goodbye

    def _make_room(self) -> None:
        """The server is full, and this session is of least use. No lock held."""
        with self._monitor, self._lock:
            message = "its client lets everything wait, and others wait for a connection"
            self._fail_locked(ProtocolError(message, code=ErrorCode.ENHANCE_YOUR_CALM), "max_sessions")

    def _memory_taken(self) -> int:
        """Octets that the client has this session keep, about; what handlers collect is their own. A look that needs no
        lock.
        """
        return (
            _SESSION_MEMORY
            + (_TLS_MEMORY if self._transport.encrypted else 0)
            + _STREAM_MEMORY * len(self._streams)
            + _JOB_MEMORY * self._jobs
            + self._header_memory.together
            + self._inbound.unread
            + self._unattended.held
            + self._outbox.size
            + self._transport.unsent_locked
            + self._transport.memory
            + self._protocol.memory
        )

    def _memory_changed_locked(self) -> None:
        taken = self._memory_taken()
        # At first in any case: what a session takes by itself is less than a step.
        if not self._memory_told or abs(taken - self._memory_told) >= _MEMORY_STEP:
            self._memory_told = taken
            self._monitor.after_unlock(partial(self._host._memory_changed, self))

    def _out_of_memory(self, octets: int, together: int) -> None:
        """The server's sessions take too much together, and this one takes most. No lock held."""
        message = f"it takes {octets} of {together} octets that the server's sessions take together"
        with self._monitor, self._lock:
            for state in list(self._streams.values()):
                self._inbound.discard(state)
            self._fail_locked(ProtocolError(message, code=ErrorCode.ENHANCE_YOUR_CALM), "max_server_memory")

    def _stay_ready(self, stays: bool) -> None:
        self._host._keep_worker(self, stays)

    # -- requests

    def _stream_closed_locked(self, state: StreamState) -> None:
        self._last_stream_closed_at = time.monotonic() if state.closed_at is None else state.closed_at
        super()._stream_closed_locked(state)
        if self._logs_access:
            self._monitor.after_unlock(partial(self._log_access, state))

    def _log_access(self, state: StreamState) -> None:
        assert state.opened_at is not None and state.closed_at is not None
        access_logger.info(
            '%s "%s HTTP/%s" %s %d %.3fs%s',
            self._peer_name,
            printable_request(state),
            "2" if self._http_version == "2.0" else self._http_version,
            "-" if state.sent_headers is None else state.sent_headers[":status"],
            state.sent_bytes,
            state.closed_at - state.opened_at,
            "" if not state.rst_code else f" reset with {error_code_name(state.rst_code)}",
        )

    # -- closing

    def _start_closing_locked(self) -> None:
        """The first of two steps: a GOAWAY that refuses nothing. What the client had sent before it saw that is still
        served.
        """
        if self._destroyed or self._draining or self._said_goodbye:
            return
        self._closing = self._draining = True
        self._early_answers.hurry()
        # A client that waits for our SETTINGS with requests at hand (HAProxy) would give them up at a GOAWAY.
        if not self._settings_sent:
            self._say_goodbye_locked()
        patience = self._limits.close_timeout
        self._drains_until = math.inf if patience is None else time.monotonic() + patience
        self._await_last_words_locked()

    def _say_goodbye_locked(self) -> None:
        self._said_goodbye = True
        self._send_goaway_locked(ErrorCode.NO_ERROR, MAX_STREAM_ID)
        self._pings.add_own(DRAIN_PING)
        self._protocol.ping(DRAIN_PING)

    def _settings_acknowledged_locked(self, event: events.SettingsAcknowledged) -> None:
        super()._settings_acknowledged_locked(event)
        if self._draining and not self._said_goodbye and not self._settings_sent:
            self._say_goodbye_locked()

    def _await_last_words_locked(self) -> None:
        self._watchdog.drain = time.monotonic() + LAST_WORDS
        self._watchdog.rearm_locked()

    def _drain_overdue_locked(self, now: float) -> None:
        if self._streams and now < self._drains_until:  # its requests keep a client busy that is slow to read
            if not self._said_goodbye:
                self._say_goodbye_locked()
                self._sender.send_locked()
            self._await_last_words_locked()
            return
        self._drained_locked()
        if self._destroyed:  # who does not read will not hang up either
            self._watchdog.linger = now

    def _drained_locked(self) -> None:
        """The second step, a round trip later: the real last id."""
        if not self._draining:
            return
        self._draining = False
        self._said_goodbye = True
        self._watchdog.drain = None
        last_stream_id = self._protocol.last_inbound_stream_id
        self._send_goaway_locked(ErrorCode.NO_ERROR, last_stream_id)
        self._protocol.refuse_streams_above(last_stream_id)
        self._maybe_finish_locked()
        self._sender.send_locked()

    def _finish_now(self) -> bool:
        """The server waits no longer: the end, here and now; False if a request or its answer is under way."""
        with self._monitor, self._lock:
            if self._streams or self._unsent_locked():
                return False
            self._drained_locked()
            self._ending_locked(abrupt=True)
            self._hang_up_locked()
            return True

    def _unsent_locked(self) -> bool:
        return not self._sender.finished and bool(self._outbox.size or self._transport.unsent_locked)

    def _inactive_locked(self) -> None:
        if not self._listeners.emit_locked("timeout"):
            self._monitor.after_unlock(self._ask_host_about_idleness)

    def _ask_host_about_idleness(self) -> None:
        if not self._host._session_idle(self):
            self.close(wait=False)

    def _session_gone(self) -> None:
        error = self._end_reason if self._failed else None
        self._host._session_ended(self, error)
        self._unbegun.clear()  # the pool has dropped their jobs
