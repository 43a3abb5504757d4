"""What a session's streams hold of header lists: requests, responses, trailers, promises that nobody has looked at yet.

No window bounds them, so this does: when the large ones fill their share of memory, the next is refused. Small ones are
bounded by the number of streams. Every method needs the session's lock.
"""

from __future__ import annotations

from ..shared.stream_state import StreamState

_SMALL = 16 * 1024
"""Octets that each stream's lists may take uncounted: more than browsers send, cookies included."""


class HeaderMemory:
    """The octets that header lists take in one session, as the protocol's events estimate them (`memory`)."""

    def __init__(self, max_memory: int) -> None:
        self._most = max_memory // 8
        self.held = 0  # of those that are large
        self.together = 0  # of all

    def has_room(self, size: int) -> bool:
        """Whether a new stream's list of `size` octets may be kept. A single one always may."""
        return size <= _SMALL or not self.held or self.held + size <= self._most

    def keep(self, state: StreamState, size: int) -> bool:
        """A stream gets a list of `size` octets; False if there is no room for it."""
        before = state.header_memory
        total = before + size
        if total > _SMALL:
            counted = size if before > _SMALL else total
            if self.held and self.held + counted > self._most:
                return False
            self.held += counted
        state.header_memory = total
        self.together += size
        return True

    def release(self, state: StreamState) -> None:
        """Nobody needs the stream's lists any more."""
        if state.header_memory > _SMALL:
            self.held -= state.header_memory
        self.together -= state.header_memory
        state.header_memory = 0
