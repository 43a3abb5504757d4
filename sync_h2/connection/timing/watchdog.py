"""A session's deadlines: one place that knows what is awaited until when, and what happens if it does not come.

The fields are guarded by the session's lock. `on_timer` is called by the timer thread; early and repeated calls are
harmless, because it looks at the fields alone.
"""

from __future__ import annotations

import time
import weakref
from typing import Protocol

from ...constants import ErrorCode
from ...errors import ConnectionLost, HTTP2Error, ProtocolError
from ...protocol.limits import Limits
from ...transport.transport import Transport
from ..sending.outbox import Outbox
from ..sending.sender import Sender
from ..shared.monitor import Monitor
from ..shared.stream_state import StreamState
from ..shared.timers import Timed, timers

LINGER = 1.0
"""How long, in seconds, a session that has ended waits for the peer's EOF before it shuts the connection down both
ways.
"""

LAST_WORDS = 1.0
"""How long, in seconds, a server that closes a session with nothing open waits for its client, which may have sent a
request by then, or does not read that it should send none.
"""


class Watched(Protocol):
    """What a watchdog needs of its session. The methods are called with the lock, when something was awaited for too
    long.
    """

    _monitor: Monitor
    _limits: Limits
    _transport: Transport
    _outbox: Outbox
    _sender: Sender
    _streams: dict[int, StreamState]
    _destroyed: bool
    _gone: bool

    def _end_locked(self, error: HTTP2Error | None, goaway_code: int | None) -> None:
        """The peer is taken for dead."""

    def _fail_locked(self, error: ProtocolError, limit: str | None = None) -> None:
        """The peer has not done in time what it has to; `limit` names the option that says when."""

    def _hang_up_locked(self) -> None:
        """It has ended, and the peer does not hang up or does not take what is left: no more is waited for."""

    def _pending_states_locked(self) -> list[StreamState]:
        """The streams that wait for a slot."""

    def _keepalive_locked(self) -> None:
        """Ask the peer whether it is there."""

    def _inactive_locked(self) -> None:
        """Nothing was sent or received for as long as `set_timeout` says."""

    def _drain_overdue_locked(self, now: float) -> None:
        """It is time to look whether the client may still not know that the session closes."""

    def _discards_overdue_locked(self, now: float) -> None:
        """The time may be up for which what nobody reads is received."""

    def _unattended_overdue_locked(self, now: float) -> None:
        """It is time to see whether the peer takes what nobody waits to send."""


class Watchdog:
    """The deadlines of one session; each is a moment of `time.monotonic()`, or None."""

    def __init__(self, session: Watched) -> None:
        self._session = session
        self._limits = session._limits
        self._weak_self: weakref.ref[Timed] = weakref.ref(self)
        self._armed: float | None = None
        now = time.monotonic()
        self.handshake: float | None = now + self._limits.handshake_timeout if self._limits.handshake_timeout else None
        self.settings: list[float] = []  # one for each SETTINGS that is not acknowledged
        self.header_block: float | None = None
        self.drain: float | None = None  # when to look whether the client may still not know that the session closes
        self.discards: float | None = None  # how long bodies are received that nobody reads
        self.unattended: float | None = None  # when to look who takes what no thread waits to send
        self.linger: float | None = None
        self.flushes = False  # it ended gracefully: what is queued still goes out, while the peer takes some of it ...
        self.flush_patience: float | None = 0.0  # ... within so many seconds; None: whenever that may be
        self._unsent = 0  # octets, when the linger was last looked at; 0: all were out
        self._unsent_since = 0.0
        self.inactivity: float | None = None  # seconds
        self.last_activity = now
        self.last_received = now
        self.keepalive_sent: float | None = None
        self.stream_timeouts = False  # some stream has an inactivity timeout of its own

    def arm_locked(self, when: float) -> None:
        """Make sure that `on_timer` is called at `when`."""
        if self._armed is None or when < self._armed:
            self._armed = when
            timers.arm(when, self._weak_self)

    def rearm_locked(self) -> None:
        """Look at all deadlines anew, after one of them was set."""
        following = self._next_locked()
        if following is not None:
            self.arm_locked(following)

    def await_settings_locked(self) -> None:
        if self._limits.settings_timeout:
            self.settings.append(time.monotonic() + self._limits.settings_timeout)
            self.arm_locked(self.settings[0])

    def settings_released_locked(self) -> None:
        """Our SETTINGS, which were held back until the client's preface came, go out only now."""
        for _ in range(len(self.settings)):
            del self.settings[0]
            self.await_settings_locked()

    def settings_acknowledged_locked(self) -> None:
        if self.settings:
            del self.settings[0]

    def header_block_locked(self, under_way: bool) -> None:
        """Whether, after what has just arrived, a header block has begun and not ended."""
        if not under_way:
            self.header_block = None
        elif self.header_block is None and self._limits.header_timeout:
            self.header_block = time.monotonic() + self._limits.header_timeout
            self.arm_locked(self.header_block)

    def linger_locked(self, seconds: float | None = None) -> None:
        """Look in LINGER seconds, or sooner, whether to hang up."""
        moment = time.monotonic() + (LINGER if seconds is None else seconds)
        if self.linger is None or moment < self.linger:
            self.linger = moment
            self.arm_locked(moment)

    def received_locked(self) -> None:
        self.last_received = time.monotonic()
        if self.keepalive_sent is not None:
            self.keepalive_sent = None
            self.rearm_locked()  # the next PING may be due before the patience with this one would have ended
        if self._session._streams:
            self.last_activity = self.last_received

    def on_timer(self, now: float) -> None:
        session = self._session
        with session._monitor, session._monitor.lock:
            self._armed = None
            if session._gone:
                return
            self._check_locked(now)
            self.rearm_locked()

    def deadlines_locked(self) -> dict[str, float]:
        """What is awaited, by the name of the option or call that set it, and until when."""
        if self._session._destroyed:
            return {} if self.linger is None or self._session._gone else {"linger": self.linger}
        moments = {
            "handshake_timeout": self.handshake,
            "settings_timeout": self.settings[0] if self.settings and not self._session._sender.held_locked else None,
            "header_timeout": self.header_block,
            "drain": self.drain,
            "discard_timeout": self.discards,
            "write_timeout": self.unattended,
            "linger": self.linger,
            "keepalive": self._keepalive_due_locked(),
            "timeout": self._last_activity_locked() + self.inactivity if self.inactivity else None,
        }
        if self.stream_timeouts:
            moments["timeout of a stream"] = min(
                (state.last_activity + state.inactivity for state in self._streams_locked() if state.inactivity),
                default=None,
            )
        return {name: moment for name, moment in moments.items() if moment is not None}

    def _streams_locked(self) -> list[StreamState]:
        """Those that wait for a slot too."""
        return [*self._session._streams.values(), *self._session._pending_states_locked()]

    def _next_locked(self) -> float | None:
        return min(self.deadlines_locked().values(), default=None)

    def _last_activity_locked(self) -> float:
        """Without a stream nothing is activity: anybody can send, and be sent the answers to, PING and SETTINGS."""
        session = self._session
        return max(self.last_activity, session._sender.last_sent) if session._streams else self.last_activity

    def _keepalive_due_locked(self) -> float | None:
        if self._limits.keepalive_interval is None:
            return None
        if self.keepalive_sent is not None:
            patience = self._limits.keepalive_timeout
            return None if patience is None else self.keepalive_sent + patience
        return self.last_received + self._limits.keepalive_interval

    def _check_locked(self, now: float) -> None:
        session = self._session
        if self.linger is not None and now >= self.linger:
            self.linger = now + LINGER
            if not self._flushing_locked(now):
                session._hang_up_locked()
        if session._destroyed:
            return
        if self.handshake is not None and now >= self.handshake:
            self.handshake = None
            session._fail_locked(
                ProtocolError("the peer's preface and SETTINGS did not come in time", code=ErrorCode.SETTINGS_TIMEOUT),
                limit="handshake_timeout",
            )
        elif self.settings and now >= self.settings[0] and not session._sender.held_locked:
            self.settings.clear()
            session._fail_locked(
                ProtocolError("the peer did not acknowledge our SETTINGS in time", code=ErrorCode.SETTINGS_TIMEOUT),
                limit="settings_timeout",
            )
        elif self.header_block is not None and now >= self.header_block:
            self.header_block = None
            session._fail_locked(
                ProtocolError("a header block did not end in time", code=ErrorCode.ENHANCE_YOUR_CALM),
                limit="header_timeout",
            )
        elif (due := self._keepalive_due_locked()) is not None and now >= due:
            if self.keepalive_sent is None:
                self.keepalive_sent = now
                session._keepalive_locked()
            else:
                session._end_locked(ConnectionLost("the peer does not answer PING: it is taken for dead"), None)
                session._transport.shutdown_both()
        else:
            if self.drain is not None and now >= self.drain:
                session._drain_overdue_locked(now)
            if self.discards is not None and now >= self.discards:
                session._discards_overdue_locked(now)
            if self.unattended is not None and now >= self.unattended:
                session._unattended_overdue_locked(now)
            if self.inactivity and now >= self._last_activity_locked() + self.inactivity:
                self.last_activity = now
                session._inactive_locked()
            if self.stream_timeouts:
                self._check_streams_locked(now)

    def _flushing_locked(self, now: float) -> bool:
        """Whether the peer still takes what was queued when the session ended gracefully; the linger begins then."""
        session = self._session
        before = self._unsent
        unsent = 0 if session._sender.finished else session._outbox.size + session._transport.unsent_locked
        resets = session._transport.without_end_locked
        if resets:
            unsent += session._transport.unacknowledged_locked()
        if unsent != before:
            self._unsent, self._unsent_since = unsent, now
        if not self.flushes or not (unsent or (before and not resets)):
            return False
        return self.flush_patience is None or now - self._unsent_since < self.flush_patience

    def _check_streams_locked(self, now: float) -> None:
        self.stream_timeouts = False
        for state in self._streams_locked():
            if state.inactivity:
                self.stream_timeouts = True
                if now >= state.last_activity + state.inactivity:
                    state.last_activity = now
                    state.listeners.emit_locked("timeout")
