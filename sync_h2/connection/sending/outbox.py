"""Frames that are encoded and wait for the transport. Every method needs the session's lock.

Order on the wire is order of encoding (HPACK demands it), with one exception: urgent frames (PING, WINDOW_UPDATE,
GOAWAY) overtake at frame boundaries, so that a PING's answer does not wait behind 256 KiB of DATA.
"""

from __future__ import annotations

Buffer = bytes | memoryview
Frame = tuple[Buffer, ...]
"""The buffers of one frame (one, or two, or with padding three), or of one header block with all its CONTINUATION
frames (two each).
"""

HIGH_WATER_MARK = 256 * 1024
"""DATA is framed until this many bytes wait here: enough for a full send, little enough that priorities still decide.
"""


class Outbox:
    """The queue of frames; `size` is its length in bytes."""

    __slots__ = ("_ordered", "_urgent", "bytes_taken", "count_replies", "frames_taken", "replies", "size")

    def __init__(self) -> None:
        # Lists, of which a send empties nearly all: a deque takes 600 octets, and most connections are idle.
        self._urgent: list[Frame] = []
        self._ordered: list[Frame] = []
        self.size = 0
        self.bytes_taken = 0
        self.frames_taken = 0
        # Frames that the peer made us send since the queue was last empty: a flood of PINGs from a peer that reads
        # nothing shows here. The receiver sets count_replies while it feeds frames to the protocol.
        self.replies = 0
        self.count_replies = False

    def put(self, urgent: bool, frame: Frame) -> None:
        """Append a frame; `urgent` ones go out before the others. The buffers are kept by reference."""
        (self._urgent if urgent else self._ordered).append(frame)
        for buffer in frame:
            self.size += len(buffer)
        if self.count_replies:
            self.replies += 1

    @property
    def frame_count(self) -> int:
        """How many frames wait; a header block with its CONTINUATION frames is one."""
        return len(self._urgent) + len(self._ordered)

    def take(self, limit: int) -> list[Buffer]:
        """Remove and return whole frames, urgent ones first, until at least `limit` bytes are there or nothing is
        left.
        """
        buffers: list[Buffer] = []
        taken = frames = 0
        for queue in (self._urgent, self._ordered):
            count = 0
            for frame in queue:
                if taken >= limit:
                    break
                count += 1
                frames += len(frame) // 2 or 1
                buffers += frame
                for buffer in frame:
                    taken += len(buffer)
            del queue[:count]
        self.size -= taken
        self.bytes_taken += taken
        self.frames_taken += frames
        if not self.size:
            self.replies = 0
        return buffers

    def clear(self) -> None:
        """Drop everything, when the session ends at once."""
        self._urgent.clear()
        self._ordered.clear()
        self.size = self.replies = 0
