"""Busy readers take turns, so that a newcomer finds one of them before it and not all.

A peer that sends tiny frames as fast as it can costs this side far more than itself, and may be honest all the same. So
it is not cut off: once it has used up what any session may use, its reader waits for the other busy ones. On an
interpreter with a GIL that slows none of them, and everybody else competes with one thread. Reader threads, with no
lock held.
"""

from __future__ import annotations

import os
import threading
import time

_BURST = 500.0  # small frames that are nobody's business
_RATE = 500.0  # and so many more a second
_OCTETS_OF_A_LARGE_FRAME = 256  # octets that are worth a frame's work

_turn = threading.Lock()


def _new_turn() -> None:
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):  # the child has none of the threads, one of which may have held it
    os.register_at_fork(after_in_child=_new_turn)


def take_turn() -> None:
    """Blocks until no other busy reader is at work; `end_turn` has to follow."""
    _turn.acquire()


def end_turn() -> None:
    """The next busy reader may go on."""
    _turn.release()


class FrameBudget:
    """What one session's frames cost beyond the octets they carry. Its reader alone uses it."""

    __slots__ = ("_left", "_updated")

    def __init__(self) -> None:
        self._left = _BURST
        self._updated = time.monotonic()

    def spend(self, frames: int, octets: int) -> None:
        """So many frames have been handled, which carried so many octets."""
        small = frames - octets // _OCTETS_OF_A_LARGE_FRAME
        if small > 0:
            self._left = max(self._left - small, -_BURST)

    def used_up(self) -> bool:
        """Whether the session's reader is a busy one."""
        if self._left >= _BURST / 2:
            return False
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._updated) * _RATE)
        self._updated = now
        return self._left < 0
