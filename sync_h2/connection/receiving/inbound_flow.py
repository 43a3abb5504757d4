"""A session's receiving side of flow control: which credit goes back to the peer, and when (RFC 9113 section 6.9).

A stream's credit returns when its data is read, or comes for a call that takes all of it. The connection's returns when
data arrives, so that a slow reader stops only itself; when more is unread than memory allows, it is held back until
something is read. Every method needs the session's lock.
"""

from __future__ import annotations

from ...constants import DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW_SIZE
from ...protocol.wire import Wire
from ..sending.outbox import Outbox
from ..sending.sender import Sender
from ..shared.receive_window import CONNECTION_WINDOW, LEAST_WINDOW, ReceiveWindow
from ..shared.stream_state import StreamState


class InboundFlow:
    """The credit of one session and its streams."""

    def __init__(self, protocol: Wire, outbox: Outbox, sender: Sender, max_memory: int) -> None:
        self._protocol = protocol
        self._outbox = outbox
        self._sender = sender
        # A quarter is left for what else a peer can make a session hold: header lists (half of it, see
        # header_memory.py), queues, its handlers' threads.
        self._max_unread = max_memory // 4 * 3
        # It starts at this size whatever SETTINGS say (RFC 9113 section 6.9.2).
        self._connection = ReceiveWindow(DEFAULT_WINDOW_SIZE)
        self._most_unread = 0  # beyond this much unread, the connection's credit is held back
        self._withheld = 0  # credit that arrived data has earned and that is held back while too much is unread
        self.unread = 0  # bytes in all streams' buffers that nobody has read

    def start(self) -> None:
        """Give the connection's window the size that memory allows."""
        self.resize(max(min(CONNECTION_WINDOW, self._max_unread // 3), 1))

    @property
    def window_size(self) -> int:
        """The size of the connection's window."""
        return self._connection.size

    def resize(self, size: int) -> None:
        """Make the connection's window another size; a larger one is announced at once."""
        increment = self._connection.resize(size)
        # What is unread and what may come stay within the memory allowed; but if a window that the user chose leaves
        # little of that, as much again may be unread: a few unread streams must not stop all others.
        self._most_unread = max(self._max_unread - size, size)
        if increment:
            self._protocol.open_window(0, increment)
        self._release()

    def arrived(self, count: int) -> None:
        """`count` bytes of the connection's window have been used up."""
        self._withheld += count
        self._release()

    def buffered(self, state: StreamState, size: int) -> None:
        """`size` bytes of those have gone into a stream's buffer."""
        if state.reading_all:
            state.precredited += size
            self.used_up(state, size)
        else:
            self.unread += size

    def used_up(self, state: StreamState, count: int) -> None:
        """`count` bytes of a stream's window are used up for good: they were read, or were padding."""
        if count and not state.remote_ended and not state.closed:
            assert state.id is not None
            # Little waits, a frame or an eighth of the window: the reader keeps up, so the window is what limits it.
            keeps_up = state.unread <= max(DEFAULT_MAX_FRAME_SIZE, state.window.size // 8)
            increment = state.window.credit(count, self._protocol.inbound_window(state.id), grow=keeps_up)
            if increment:
                self._protocol.open_window(state.id, increment)

    def was_read(self, state: StreamState, count: int) -> None:
        """Somebody has taken `count` bytes from the front of a stream's buffer."""
        already = min(count, state.precredited)
        state.precredited -= already
        self._returned(state, count - already)

    def take_ahead(self, state: StreamState) -> None:
        """Somebody collects everything: return the credit for what is in the buffer, although it stays there."""
        count = state.unread
        state.precredited += count
        self._returned(state, count)

    def discard(self, state: StreamState) -> None:
        """Nobody will read what is in the buffer."""
        dropped = state.buffer.clear()
        state.discarded = state.discarded or dropped > 0
        self.was_read(state, dropped)

    def wait_for(self, state: StreamState) -> None:
        """Somebody waits for data. If SETTINGS of ours allow none at all, the reader opens the window."""
        if state.id is None or state.closed or state.unread:
            return
        remaining = self._protocol.inbound_window(state.id)
        if remaining <= 0:
            # What is owed was too little to be announced in the window that was in force.
            self._protocol.open_window(state.id, max(LEAST_WINDOW, state.window.owed) - remaining)
            state.window.owed = min(state.window.owed, 0)
            self._sender.send_locked()

    def window_shrunk(self, state: StreamState) -> None:
        """SETTINGS of ours have come into force, maybe while somebody waits for data."""
        if state.reader_waits:
            self.wait_for(state)

    def _returned(self, state: StreamState, count: int) -> None:
        if not count:
            return
        self.unread -= count
        self.used_up(state, count)
        self._release()
        if self._outbox.size:
            self._sender.send_locked()

    def _release(self) -> None:
        window = self._connection
        if self._withheld and self.unread <= self._most_unread:
            increment = window.credit(self._withheld, self._protocol.inbound_window())
            self._withheld = 0
            if increment:
                self._protocol.open_window(0, increment)
