"""The trace of a session: one line for each frame, both ways, for a function of the user's.

Frames are noted under the session's lock, received ones before they are handled, sent ones when they go to the
transport; so the lines stand in the order of the wire. Threads that leave the lock hand them out: one at a time, which
goes on until no line is left, while the others leave theirs to it and go their way. No line is handed out under the
lock. Since a frame is noted before it wakes anybody, its line mostly comes before what it causes.

A session that is not traced has none of this: `traced` decides once, when it is made.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from ...arguments import type_name
from ...protocol.events import Event
from ...protocol.frames.frame_lines import FrameLines
from ...transport.log import Log
from ..receiving.frame_receiver import ReceiveFrame
from ..sending.outbox import Buffer, Outbox
from ..shared.monitor import Monitor

logger = Log("sync_h2.connection")

TraceFunction = Callable[[str], object]

MOST_WAITING = 10_000
"""Lines that may wait for a function that is slower than the frames; what comes beyond is left out, and that is said.
"""

_numbers = itertools.count(1)


def check_trace(function: object) -> None:
    """Raise `TypeError` for a `trace` that can't be called; before anything is opened."""
    if function is not None and not callable(function):
        raise TypeError(f"trace must be a function that takes a line, not {type_name(function)}")


def traced(function: TraceFunction | None, monitor: Monitor, session_type: str) -> Trace | None:
    """The trace of a new session; None when neither its user nor SYNC_H2_TRACE asks for one."""
    if function is None:
        if os.environ.get("SYNC_H2_TRACE", "") in ("", "0"):
            return None
        function = _to_standard_error
    return Trace(function, monitor, f"{session_type}-{next(_numbers)}")


def _to_standard_error(line: str) -> None:
    sys.stderr.write(f"{line}\n")  # in one call: sessions share it


class Trace:
    """What the user is told of one session's frames; `name` is what its lines begin with."""

    def __init__(self, function: TraceFunction, monitor: Monitor, name: str) -> None:
        self.name = name
        self._monitor = monitor
        self._function: TraceFunction | None = function  # None once it has failed
        self._handing_out = threading.Lock()  # never waited for
        # Appended to under the session's lock, taken from by the thread that has `_handing_out`.
        self._lines: deque[str] = deque()
        # Under the session's lock:
        self._frames = FrameLines()
        self._left_out = 0

    def watching(self, receive_frame: ReceiveFrame) -> ReceiveFrame:
        """`receive_frame`, of whose frames the lines tell."""

        def watched(frame_type: int, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
            if self._function is not None:
                self._add_locked(self._frames.received(frame_type, flags, stream_id, payload))
            return receive_frame(frame_type, flags, stream_id, payload)

        return watched

    def note_locked(self, line: str) -> None:
        """A line of a protocol that has no frames."""
        if self._function is not None:
            self._add_locked(line)

    def sent_locked(self, buffers: list[Buffer]) -> None:
        """These whole frames go to the transport."""
        if self._function is not None:
            for line in self._frames.sent(buffers):
                self._add_locked(line)

    def _add_locked(self, line: str) -> None:
        lines = self._lines
        if len(lines) >= MOST_WAITING:
            self._left_out += 1
            return
        if self._left_out:
            lines.append(f"{self.name} left out {self._left_out} lines: the trace function is too slow")
            self._left_out = 0
        lines.append(f"{self.name} {line}")
        # For each line, because an interrupt may have stopped what was left for the one before.
        self._monitor.after_unlock(self._hand_out, stand_by=False)

    def _hand_out(self) -> None:
        # Looks again after letting go: a thread that came meanwhile has left its line here.
        while self._lines and self._handing_out.acquire(blocking=False):
            try:
                while self._lines:
                    self._call(self._lines.popleft())
            finally:
                self._handing_out.release()

    def _call(self, line: str) -> None:
        function = self._function
        if function is None:
            return
        try:
            function(line)
        except BaseException as error:
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise  # an interrupt: meant for the program, not for the function that it happened to strike
            self._function = None
            logger.exception("the trace function of %s failed and is not called again", self.name)


class TracedOutbox(Outbox):
    """An outbox that tells `trace` what is taken from it."""

    __slots__ = ("_trace",)

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    def take(self, limit: int) -> list[Buffer]:
        buffers = super().take(limit)
        self._trace.sent_locked(buffers)
        return buffers
