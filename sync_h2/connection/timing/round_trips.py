"""What is sent and awaits its answer: PINGs and SETTINGS. Every method needs the session's lock.

The protocol layer keeps what the peer may be told; here stand the callers who wait, and what they wait for. For the
answers to a session's own PINGs nobody waits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...errors import PingLimit
from ..shared.monitor import Monitor, WaitQueue


@dataclass(frozen=True)
class Pong:
    """The answer to a PING: `duration` in seconds, and the eight bytes of `payload`."""

    duration: float
    payload: bytes


class Ping:
    """One PING of a caller's; `pong` is set when `answered` is woken, unless the session has ended."""

    __slots__ = ("_started", "answered", "payload", "pong")

    def __init__(self, payload: bytes, monitor: Monitor) -> None:
        self.payload = payload
        self._started = time.monotonic()
        self.pong: Pong | None = None
        self.answered = WaitQueue(monitor)

    def answer(self) -> None:
        self.pong = Pong(time.monotonic() - self._started, self.payload)
        self.answered.wake_all_locked()


class Pings:
    """The PINGs without an answer, oldest first. Answers are told apart by their payload, equal ones by their order."""

    def __init__(self, monitor: Monitor, most: int) -> None:
        self._monitor = monitor
        self._most = most
        self._outstanding: list[Ping] = []
        self._own: dict[bytes, float] = {}  # when the oldest of each payload was sent that is unanswered
        self.last_duration: float | None = None  # seconds that the last one took that was answered

    def add(self, payload: bytes) -> Ping:
        if len(self._outstanding) >= self._most:
            raise PingLimit(f"{self._most} pings are unanswered, no more are allowed (max_outstanding_pings)")
        ping = Ping(payload, self._monitor)
        self._outstanding.append(ping)
        return ping

    def add_own(self, payload: bytes) -> None:
        """The session sends one by itself."""
        self._own.setdefault(payload, time.monotonic())

    def answered(self, payload: bytes) -> None:
        """An answer has come; one to nothing that was asked is ignored."""
        for ping in self._outstanding:
            if ping.payload == payload:
                ping.answer()  # before it leaves the table, in which those who wait are found when the session ends
                self._outstanding.remove(ping)
                assert ping.pong is not None
                self.last_duration = ping.pong.duration
                return
        sent_at = self._own.pop(payload, None)
        if sent_at is not None:
            self.last_duration = time.monotonic() - sent_at

    @property
    def queues(self) -> list[WaitQueue]:
        """Where callers wait for an answer."""
        return [ping.answered for ping in self._outstanding]

    def wake_all(self) -> None:
        for ping in self._outstanding:
            ping.answered.wake_all_locked()


class SentSettings:
    """One SETTINGS frame of ours; `applied` is woken when the peer has acknowledged it, or the session has ended."""

    __slots__ = ("acknowledged", "applied")

    def __init__(self, monitor: Monitor) -> None:
        self.acknowledged = False
        self.applied = WaitQueue(monitor)


class SettingsSent:
    """The SETTINGS without an acknowledgement: each ACK is for the oldest (RFC 9113 section 6.5.3)."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._outstanding: list[SentSettings] = []

    def __bool__(self) -> bool:
        return bool(self._outstanding)

    def add(self) -> SentSettings:
        sent = SentSettings(self._monitor)
        self._outstanding.append(sent)
        return sent

    def acknowledged(self) -> None:
        if self._outstanding:
            sent = self._outstanding[0]
            sent.acknowledged = True
            sent.applied.wake_all_locked()
            del self._outstanding[0]

    @property
    def queues(self) -> list[WaitQueue]:
        """Where callers wait for an acknowledgement."""
        return [sent.applied for sent in self._outstanding]

    def wake_all(self) -> None:
        for sent in self._outstanding:
            sent.applied.wake_all_locked()
