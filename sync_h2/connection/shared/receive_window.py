"""How much the peer may send: credit that is owed to it, and when to announce it (RFC 9113 section 6.9).

The window that the peer knows lives in the protocol; here stands only what has been used up and not yet given back.
Announcing in batches of half a window keeps WINDOW_UPDATE frames rare. Every method needs the session's lock.
"""

from __future__ import annotations

STREAM_WINDOW = 256 * 1024
"""A stream's first window: enough for 256 KiB per round trip, little enough to hold for each of 100 streams."""
LARGEST_STREAM_WINDOW = 4 * 1024 * 1024
LEAST_WINDOW = 16 * 1024
"""What a waiting reader opens when SETTINGS give streams no window at all."""
CONNECTION_WINDOW = 8 * 1024 * 1024


def first_stream_window(max_memory: int, max_streams: int, *, server: bool) -> int:
    """The size that a stream's window begins with, unless the user chooses one.

    A server's streams may have to wait for a handler. What they hold unread meanwhile must not stop the data of those
    that are read: all of it fits into the half of the memory up to which the connection's credit is given back (see
    receiving/inbound_flow.py).
    """
    if not server:
        return STREAM_WINDOW
    return min(STREAM_WINDOW, max(max_memory // 2 // max(max_streams, 1), LEAST_WINDOW))


class ReceiveWindow:
    """One window's size and the credit that is owed. `grows_to` is the size up to which `credit` may double it."""

    __slots__ = ("grows_to", "owed", "size")

    def __init__(self, size: int, grows_to: int = 0) -> None:
        self.size = size
        self.grows_to = grows_to
        self.owed = 0

    def resize(self, size: int) -> int:
        """Make it another size; return the increment to announce now, or 0.

        What the peer was granted can't be taken back: after a reduction credit is owed to this side (`owed` is
        negative), and what the peer uses up pays for that first.
        """
        self.owed += size - self.size
        grows = size > self.size
        self.size = size
        if not grows or self.owed <= 0:
            return 0
        increment, self.owed = self.owed, 0
        return increment

    def credit(self, count: int, remaining: int, *, grow: bool = False) -> int:
        """Add `count` bytes of credit; return the increment to announce now, or 0.

        `remaining` is what the peer may still send. When it is less than what is owed, half of the window in force is
        used up: that may be a smaller one than `size` when SETTINGS have shrunk it since. With `grow`, the reader has
        kept up with a whole batch, so the window is what limits it: the batch brings a larger one.
        """
        self.owed += count
        if self.owed <= 0 or (self.owed * 2 < self.size and self.owed < remaining):
            return 0
        increment = self.owed
        self.owed = 0
        if grow and self.size < self.grows_to:
            growth = min(self.size, self.grows_to - self.size)
            self.size += growth
            increment += growth
        return increment
