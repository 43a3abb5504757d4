"""Data that a server has taken over from its handlers: what a client has not let through yet, and nobody waits for.

A thread that waits for its client is the client's to hold. So a handler's call waits only until what is left is little,
64 KiB a stream and half of `max_session_memory` in all, or is a file; that is kept here, and goes out as windows allow.
A client that takes nothing of it for `write_timeout` gets a reset instead.

Runs on handlers' threads, on those that frame data, and the timer thread when time is up; every method needs the
session's lock. A file is read under it, too, a frame's worth at a time: a disk that is slow holds up no other session.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Protocol

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # looked at before it is used

from ...constants import ErrorCode
from ...errors import HTTP2Error, StreamReset
from ...interpreter import SharedDict
from ...protocol.limits import Limits
from ...protocol.wire import Wire
from ...transport.log import Log
from ..sending.pump import Pump
from ..shared.limit_log import log_limit
from ..shared.monitor import Monitor
from ..shared.stream_state import Posted, StreamState
from ..timing.watchdog import Watchdog

logger = Log("sync_h2.server")

MOST_OF_A_STREAM = 64 * 1024
"""Octets that one stream's handlers need not wait for."""

_LOOKS = 4  # at a stream's progress, in the time that it may be without


_open_files: weakref.WeakSet[io.FileIO] = weakref.WeakSet()


@functools.cache
def _most_files() -> int:
    """Those of slow clients: what is left of the descriptors is for newcomers, of whom each needs one."""
    if resource is None:
        return 64
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8, 1024)


class Unattended(Posted):
    """Data that no thread waits to send."""

    __slots__ = ()


class FileRest(Unattended):
    """What is left to send of an open file, `length` octets from `offset` on; read by position, and not shared."""

    __slots__ = ("_file", "_monitor", "_offset", "_stream_words")

    def __init__(
        self, descriptor: int, offset: int, length: int, stream_words: Callable[[], str], monitor: Monitor
    ) -> None:
        """Raises OSError when too many of the process' descriptors are used so."""
        super().__init__(b"")
        if len(_open_files) >= _most_files():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._monitor = monitor
        # One's own: the caller closes the other.
        self._file = io.FileIO(os.dup(descriptor), "rb")
        _open_files.add(self._file)
        self._offset = offset
        self._stream_words = stream_words
        self.remaining = length

    def take(self, count: int) -> bytes | None:
        descriptor = self._file.fileno()
        try:
            piece = os.pread(descriptor, count, self._offset)
        except OSError as error:
            self._warn(f"can't be read: {error}")
            return None
        if not piece:
            self._warn(f"ended {self.remaining} bytes too early")
            return None
        self._offset += len(piece)
        self.position += len(piece)
        self.remaining -= len(piece)
        return piece

    def _warn(self, what: str) -> None:
        self._monitor.after_unlock(lambda: logger.warning("%s: the file %s", self._stream_words(), what))

    def release(self) -> None:
        """Refer to the file no more."""
        self._file.close()
        _open_files.discard(self._file)


class _Kept(Unattended):
    """Octets. More may follow while there are some."""

    __slots__ = ("_buffer", "_data")

    def __init__(self, data: UnattendedData) -> None:
        super().__init__(b"")
        self._data = data
        self._buffer = bytearray()

    def append(self, posted: Posted) -> None:
        """Take over what is left of `posted`."""
        count = posted.remaining
        piece = posted.take(count)
        assert piece is not None
        self._buffer += piece
        self.remaining += count
        self._data.held += count

    def take(self, count: int) -> bytes:
        with memoryview(self._buffer) as view, view[:count] as front:
            piece = bytes(front)
        del self._buffer[:count]
        self.remaining -= count
        self._data.held -= count
        return piece


class _Stream:
    """One stream whose handlers need not wait, and when it was last seen to go on."""

    __slots__ = ("file", "framed_octets", "kept", "looks_left", "sent_bytes")

    def __init__(self, kept: _Kept, sent_bytes: int, framed_octets: int) -> None:
        self.kept = kept
        self.file: FileRest | None = None
        self.sent_bytes = sent_bytes
        self.framed_octets = framed_octets  # of the session
        self.looks_left = _LOOKS


class UnattendingSession(Protocol):
    """What this needs of its session."""

    _monitor: Monitor
    _limits: Limits
    _pump: Pump
    _watchdog: Watchdog

    @property
    def _protocol(self) -> Wire: ...

    def _memory_changed_locked(self) -> None: ...

    def _reset_locked(self, state: StreamState, code: int, error: HTTP2Error | None = None) -> None: ...


class UnattendedData:
    """What one session holds of it."""

    def __init__(self, session: UnattendingSession) -> None:
        self._session = session
        self._most = session._limits.max_session_memory // 2
        self._patience = session._limits.write_timeout
        self._streams: dict[StreamState, _Stream] = SharedDict()
        self.held = 0  # octets

    def take_over(self, state: StreamState, posted: Posted) -> bool:
        """Keep what is left of `posted`, which `state` has not sent, so that nobody has to wait; False without room."""
        stream = self._streams.get(state)
        if posted.remaining:
            kept = _Kept(self) if stream is None or not stream.kept.remaining else stream.kept
            if kept.remaining + posted.remaining > MOST_OF_A_STREAM or self.held + posted.remaining > self._most:
                return False
            outgoing = state.outgoing
            if outgoing[0] is posted:
                outgoing[0] = kept
            elif outgoing[0] is kept and outgoing[1] is posted:
                del outgoing[1]
            else:  # another thread waits to write before this one
                return False
            kept.append(posted)
            self.watch(state).kept = kept
            self._session._memory_changed_locked()
        else:  # the end waits for room in the outbox
            self.watch(state)
        return True

    def take_over_file(self, state: StreamState, file: FileRest) -> None:
        """Watch over a file that is posted next, and close it when it has been sent or the stream ends."""
        self.watch(state).file = file

    def watch(self, state: StreamState) -> _Stream:
        """No thread waits to send what is posted, or will be next: give the stream up if the client takes nothing."""
        if state not in self._streams:
            self._streams[state] = _Stream(_Kept(self), state.sent_bytes, self._session._pump.framed_octets)
            self._look_again()
        return self._streams[state]

    def over(self, state: StreamState) -> None:
        """The stream is closed, or all of its data has been framed."""
        if self._streams and (stream := self._streams.pop(state, None)) is not None:
            self.held -= stream.kept.remaining
            if stream.file is not None:
                stream.file.release()

    def look(self, now: float) -> None:
        """It is time to see who takes what is held for them."""
        self._session._watchdog.unattended = None
        for state, stream in list(self._streams.items()):
            if not state.outgoing:
                self.over(state)  # until there is something again
            elif self._goes_on(state, stream) or _has_writers(state):
                stream.framed_octets = self._session._pump.framed_octets
                stream.sent_bytes = state.sent_bytes
                stream.looks_left = _LOOKS
            else:
                stream.looks_left -= 1
                if not stream.looks_left:
                    self._give_up(state)
        self._look_again()

    def _goes_on(self, state: StreamState, stream: _Stream) -> bool:
        """Whether the client has taken something of it, or would have if it had been this stream's turn."""
        if state.sent_bytes != stream.sent_bytes:
            return True
        assert state.id is not None
        session = self._session
        return session._protocol.outbound_window(state.id) > 0 and session._pump.framed_octets != stream.framed_octets

    def _look_again(self) -> None:
        watchdog = self._session._watchdog
        if self._streams and self._patience and watchdog.unattended is None:
            watchdog.unattended = time.monotonic() + self._patience / _LOOKS
            watchdog.rearm_locked()

    def _give_up(self, state: StreamState) -> None:
        error = StreamReset("the client takes nothing of its answer", stream_id=state.id, code=ErrorCode.CANCEL)
        self._session._monitor.after_unlock(partial(log_limit, self._session, "write_timeout", error))
        self._session._reset_locked(state, ErrorCode.CANCEL, error)


def _has_writers(state: StreamState) -> bool:
    """Whether threads wait to write behind what is kept: they give up by themselves."""
    return any(isinstance(item, Posted) and not isinstance(item, Unattended) for item in state.outgoing)
