"""Our own SETTINGS between being sent and being acknowledged (RFC 9113 section 6.5.3).

Pure bookkeeping, under the session's lock. h2's would apply, at one ACK, the oldest pending value of every setting:
those of different frames at once.
"""

from __future__ import annotations

from typing import Any

from .settings import Settings


class LocalSettings:
    """The values that the peer has acknowledged, and the queue of frames that it has not."""

    __slots__ = ("_pending", "acknowledged")

    def __init__(self) -> None:
        self.acknowledged = Settings.defaults()
        self._pending: list[Settings] = []

    @property
    def pending_count(self) -> int:
        """SETTINGS frames without an ACK."""
        return len(self._pending)

    def sent(self, values: Settings) -> None:
        """A frame that states `values` went out."""
        self._pending.append(values)

    def acknowledge(self) -> Settings | None:
        """The peer acknowledged the oldest frame: what it stated. None when nothing was waiting for an ACK."""
        if not self._pending:
            return None
        values = self._pending.pop(0)
        self.acknowledged = self.acknowledged.merged(values)
        return values

    def latest(self, name: str) -> Any:
        """The value stated last, acknowledged or not."""
        for values in reversed(self._pending):
            if getattr(values, name) is not None:
                return getattr(values, name)
        return getattr(self.acknowledged, name)

    def largest(self, name: str) -> Any:
        """The largest value that the peer may go by now: a larger one at once, a smaller one when acknowledged."""
        stated = [getattr(values, name) for values in (self.acknowledged, *self._pending)]
        return max(value for value in stated if value is not None)
