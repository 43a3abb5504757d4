"""The reader thread: it blocks in `recv` and in nothing else of ours.

It refers to its session only while that handles what came. So a session that nobody refers to any more can be collected
although its reader waits.

A server's reader also runs handlers that are quick as a rule (see server_side/quick_handlers.py): to wake another
thread takes longer than they do. It leaves its seat for that. When one takes long after all, another thread takes the
seat and reads on, and the first ends with its handler.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

from ...errors import ConnectionLost, HTTP2Error
from ...protocol.wire import Input
from ...transport.log import Log
from ...transport.transport import Transport
from ..shared.timers import timers
from .receiver import Receiver

logger = Log("sync_h2.connection")


class Reading(Protocol):
    """What the reader needs of its session; called on its thread, with no lock held."""

    @property
    def _receiver(self) -> Receiver:
        """Handles what comes."""

    @property
    def _for_reader(self) -> object:
        """What the reader does before it reads on, if that is anything."""

    def _do_for_reader(self) -> bool:
        """Do that; True if the calling thread is still the one that reads."""

    def _interrupted(self, error: BaseException) -> None:
        """The reader failed: nobody may wait for it."""

    def _close_down(self) -> None:
        """Nothing more is read: close the descriptor."""


SessionReference = Callable[[], "Reading | None"]
"""A weak reference to a session."""


class Seat:
    """Where the thread that reads a session sits. Who leaves it comes back to it, unless another thread has taken it:
    each of the two is one step in C. Needs no lock.
    """

    __slots__ = ("_absences",)

    def __init__(self) -> None:
        self._absences: list[object] = []  # one at most

    @property
    def vacant(self) -> bool:
        """Whether nobody sits there, at this moment."""
        return bool(self._absences)

    @property
    def absence(self) -> object | None:
        """What the seat was left for, if it is vacant."""
        absences = self._absences.copy()
        return absences[0] if absences else None

    def leave(self) -> object:
        """For the thread that reads: it does something else now, until it returns from this absence."""
        absence = object()
        self._absences.append(absence)
        return absence

    def is_left_for(self, absence: object) -> bool:
        """Whether nobody has taken it since."""
        return absence in self._absences

    def return_from(self, absence: object) -> bool:
        """False if the seat has been taken meanwhile, even if that thread has left it, too."""
        try:
            self._absences.remove(absence)
        except ValueError:
            return False
        return True

    def take(self) -> bool:
        """For another thread: False if somebody sits there."""
        try:
            self._absences.pop()
        except IndexError:
            return False
        return True


class Fate:
    """What the reader has to know of its session when that was garbage collected."""

    __slots__ = ("ended",)

    def __init__(self) -> None:
        self.ended = False


def read_forever(session_reference: SessionReference, transport: Transport, frames: Input, fate: Fate) -> None:
    """Read until the connection ends, then close the descriptor; or until another thread reads. Runs on the reader
    thread.
    """
    try:
        if not _read_until_end(session_reference, transport, frames):
            return
        _leave(session_reference, transport)
    except BaseException as error:  # a MemoryError, say: whatever it is, nobody may wait for a reader that is gone
        logger.exception("the reader failed")
        session = session_reference()
        if session is not None:
            session._interrupted(error)
        transport.shutdown_both()
        _leave(session_reference, transport)
    if not fate.ended:
        # Said here and not in a finalizer, which could run anywhere.
        warnings.warn("a session was dropped without close()", ResourceWarning, stacklevel=1)


def _leave(session_reference: SessionReference, transport: Transport) -> None:
    session = session_reference()
    if session is not None:
        session._close_down()
    else:
        timers.run(transport.close)  # there, because the session's finalizer has had the connection shut down there


def _read_until_end(session_reference: SessionReference, transport: Transport, frames: Input) -> bool:
    """False if another thread has taken over before the end."""
    session = session_reference()
    while session is None or not session._for_reader or session._do_for_reader():
        del session
        view = frames.writable()
        lost: HTTP2Error | None = None
        try:
            transport.receive(view)
        except ConnectionLost as error:
            lost = error
        session = session_reference()
        if session is None or not session._receiver.received(view, lost):
            return True
        del view
    return False
