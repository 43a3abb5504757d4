"""What the reader does with what has come: octets into events, and each event to whoever handles it.

Runs on the reader thread; methods ending in `_locked` hold the session's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...errors import HTTP2Error, TLSError
from ...protocol.wire import Wire
from ...transport.transport import END, Transport
from ..sending.sender import Sender
from ..shared.monitor import Monitor
from ..timing.watchdog import Watchdog
from .turns import Budget, let_others_go, turns

Handlers = Mapping[type, Callable[[Any], None]]
"""Who handles an event, by its type; called with the session's lock."""

_MEMORY_LOOK = 64
"""Octets that may come before it is looked at what memory is taken for them: at most some hundred times as much."""


class ReceivingSession(Protocol):
    """What a receiver needs of its session."""

    _monitor: Monitor
    _transport: Transport
    _sender: Sender
    _watchdog: Watchdog
    _destroyed: bool

    def _end_locked(self, error: HTTP2Error | None, goaway_code: int | None) -> None:
        """The connection is at its end."""

    def _input_ended_locked(self, hint: str) -> None:
        """The peer sends nothing more; `hint` says why that may be, to be added to a sentence."""

    def _memory_changed_locked(self) -> None:
        """Something has come, and may be kept."""

    def _input_handled_locked(self, has_more: bool) -> None:
        """What has come has been handled, or others go first with it; the lock is about to be released."""

    def _goaway_words(self) -> str:
        """What the peer's GOAWAY said, to be added to a sentence."""


class Receiver:
    """What the reader does with one session; how events are made of octets is left to the protocol's own receiver."""

    def __init__(self, session: ReceivingSession, protocol: Wire, handlers: Handlers) -> None:
        self._session = session
        self._protocol = protocol
        self._input = protocol.frames
        self._handlers = handlers
        self._monitor = session._monitor
        self._transport = session._transport
        self._sender = session._sender
        self._watchdog = session._watchdog
        self._budget = Budget()
        # Under the lock:
        self._has_more = False
        self._since_memory_look = _MEMORY_LOOK  # octets; a session takes more by itself than what comes first
        self.frames_received = 0
        self.bytes_received = 0

    def received(self, view: memoryview, lost: HTTP2Error | None) -> bool:
        """Handle what the transport has just received; False when nothing more can come. Blocks for as long as other
        busy readers have their turns.
        """
        while True:
            if self._budget.used_up():
                with turns:
                    goes_on = self._receive_some(view, lost)
            else:
                goes_on = self._receive_some(view, lost)
            if goes_on is not None:
                return goes_on
            let_others_go()

    def _receive_some(self, view: memoryview, lost: HTTP2Error | None) -> bool | None:
        """A turn's worth of what has been received; None when there is more."""
        session = self._session
        with self._monitor, self._monitor.lock:
            if lost is not None:
                lost.message += self._hint_locked()
                session._end_locked(lost, None)
                return False
            try:
                while True:
                    if not self._has_more:
                        count = self._transport.plaintext_locked(view)
                        if count == END:
                            self._end_of_input_locked()
                            return False
                        if not count:
                            break
                        if session._destroyed:  # what comes is read and discarded
                            continue
                        self._input.received(count)
                        self._since_memory_look += count
                    self._has_more = self._handle_input_locked()
                    if self._has_more:
                        self._sender.send_locked()
                        return None
                    if not self._transport.encrypted:
                        break  # what the kernel gave is all
                    view = self._input.writable()
            except TLSError as error:
                session._end_locked(error, None)
                return False
            if not session._destroyed:
                self._watchdog.received_locked()
                self._watchdog.header_block_locked(self._protocol.header_block_open)
            if self._since_memory_look >= _MEMORY_LOOK:
                self._since_memory_look = 0
                session._memory_changed_locked()
            self._sender.send_locked()
            return True

    def begin_with(self, octets: bytes) -> None:
        """Handle what was received before there was a session, in place of the reader, which has not begun."""
        view = self._input.writable()
        view[: len(octets)] = octets
        self._transport.already_received(len(octets))
        self.received(view, None)

    def _handle_input_locked(self) -> bool:
        """Take what has arrived for events, and handle these; whatever the peer did wrong has ended the session. True
        when there is more, for which others should not have to wait.
        """
        raise NotImplementedError

    def _end_of_input_locked(self) -> None:
        self._session._input_ended_locked(self._hint_locked())

    def _hint_locked(self) -> str:
        """Why the peer may have hung up, to be added to a sentence."""
        return self._session._goaway_words()
