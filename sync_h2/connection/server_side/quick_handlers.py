"""Handlers on the thread that has read their requests: most are quick, and to wake another thread takes longer.

The thread leaves its seat meanwhile. Whoever finds that a handler takes long, or that it is about to wait for its peer,
has another thread read on and gives what is left to the pool; so somebody always reads, at most some milliseconds late.
Answers are sent together when the thread is back. Threads and locks otherwise as in session/state.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ...errors import InvalidState
from ...interpreter import taken_lock
from ...transport.log import Log
from ...transport.transport import Transport
from ..session.configuration import Configuration
from .handling_session import Handling, HandlingSession
from .server_stream import ServerStream

logger = Log("sync_h2.server")

_USED_BEFORE = 32  # requests: connections that are used little leave the reader's own work to those that are used much
_QUICK = 0.0005  # seconds that a handler may take on a reader: some times what it takes to wake a worker
_LONGEST_TURN = 0.005  # seconds until what is left of what was read goes to the pool


class SharesReaders(Handling, Protocol):
    """What runs the handlers; called with no lock held."""

    def _reader_leaves(self, session: QuickHandlingSession) -> object | None:
        """The calling thread may run quick handlers now: it has left its seat, for this absence, and is watched. None:
        it may not.
        """

    def _reader_helps(self, session: QuickHandlingSession, absence: object, slow: bool) -> None:
        """The calling thread has run the handlers of what it has read, one of which may have been slow, and may run
        others that wait.
        """

    def _reader_ends(self, session: QuickHandlingSession) -> None:
        """The calling thread has left its seat, and another has it."""


class QuickHandlingSession(HandlingSession):
    """A session whose reader runs handlers of requests that have come whole."""

    _host: SharesReaders

    def __init__(self, transport: Transport, host: Handling, configuration: Configuration) -> None:
        # Requests that the reader handles before it reads on; a new list for each reader. Each change is one operation.
        self._for_reader: list[ServerStream] = []
        self.handled_by_reader = 0  # handlers that the reader has begun; nobody else changes it
        super().__init__(transport, host, configuration)

    def _input_handled_locked(self, has_more: bool) -> None:
        if has_more and self._for_reader:  # the rest may come late: of busy readers each takes its turn
            self._arrived[:0] = self._for_reader
            self._for_reader = []
        arrived = self._arrived
        if not arrived:
            return
        if self._reader_handles and not has_more and (arrived[0]._state.id or 0) > 2 * _USED_BEFORE:
            for stream in arrived:
                if not stream._state.remote_ended:
                    break
            else:
                self._for_reader += arrived
                self._arrived = []
                return
        super()._input_handled_locked(has_more)

    def _do_for_reader(self) -> bool:
        """Handle what was read; False if another thread reads now."""
        streams = self._for_reader
        absence = self._host._reader_leaves(self)
        if absence is None:
            self._hand_on(streams)
            return True
        try:
            slow = self._handle_here(streams)
            self._host._reader_helps(self, absence, slow)
        except BaseException:
            if self._returns_from(absence):
                raise
            # The session goes on without this thread, and must not end with it.
            logger.exception("what a reader did besides failed")
            return False
        if not self._returns_from(absence):
            return False
        self._send_now()
        return True

    def _handle_here(self, streams: list[ServerStream]) -> bool:
        """Run the handlers of these; whether one took long. What is left then is the pool's."""
        slow = False
        now = began = time.monotonic()
        while streams:
            try:
                stream = streams.pop(0)
            except IndexError:  # it went to the pool, because this takes long
                break
            self.handled_by_reader += 1
            try:
                self._handle(stream)
            except BaseException:  # SystemExit too: a handler that calls `sys.exit` ends itself, not its session
                logger.exception("the handler of %s failed", stream._words)
            del stream
            before, now = now, time.monotonic()
            slow = slow or now - before > _QUICK
            if slow or now - began > _LONGEST_TURN:
                self._hand_on(streams)
        return slow

    def _returns_from(self, absence: object) -> bool:
        """Whether the calling thread still reads."""
        if self._seat.return_from(absence):
            return True
        self._host._reader_ends(self)
        return False

    def _send_now(self) -> None:
        """Send what answers have left to be sent together, also those of other threads that found the reader away."""
        with self._monitor, self._lock:
            self._sender.send_locked()

    def _hand_on(self, streams: list[ServerStream]) -> None:
        """Give to the pool what the reader has not begun of these."""
        taken = []
        while streams:
            try:
                taken.append(streams.pop(0))
            except IndexError:
                break
        if taken:
            self._submit(taken)

    def _read_on(self, relieve: Callable[[], bool]) -> None:
        """Have another thread read if `relieve()`, which is called when that is there. No lock held.

        Raises InvalidState when no thread can be started.
        """
        may_begin = taken_lock()
        relieved: list[None] = []
        reader = partial(_read_in_place, may_begin.acquire, relieved, self._reader_target())
        try:
            threading.Thread(target=reader, name="sync_h2-reader", daemon=True).start()
        except RuntimeError as error:
            raise InvalidState("no thread can be started to read while a handler waits") from error
        try:
            if not relieve():
                return
            relieved.append(None)
            streams, self._for_reader = self._for_reader, []
        finally:
            may_begin.release()
        self._hand_on(streams)
        self._send_now()


def _read_in_place(wait: Callable[[], bool], relieved: list[None], read: Callable[[], None]) -> None:
    """On a thread that is to read in place of another."""
    wait()
    if relieved:
        read()
