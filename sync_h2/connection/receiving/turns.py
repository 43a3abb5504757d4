"""Busy readers take turns, so that a newcomer finds one of them before it and not all.

A peer that sends tiny frames as fast as it can costs this side far more than itself, and may be honest all the same. So
it is not cut off: once it has used up what any session may use, its reader waits for the other busy ones, and each turn
is a short one. On an interpreter with a GIL that slows none of them, and everybody else competes with one thread.
Reader threads, with no lock held.
"""

from __future__ import annotations

import os
import threading
import time

MOST_AT_ONCE = 100
"""Small pieces that are handled before others get a chance."""

_PATIENCE = 1.0  # seconds for which a reader waits for its turn
_BURST = 500.0  # small pieces that are nobody's business
_FIRST_BURST = 100.0  # and of a session that has just begun: connections are made anew as fast as frames
_RATE = 500.0  # and so many more a second
_OCTETS_OF_A_LARGE_PIECE = 256  # octets that are worth a piece's work


class Turns:
    """One at a time, or nearly: `with turns:` blocks until it is this thread's turn, but not for long, since what a
    reader calls in its turn (an executor, a log's handler) may itself wait for another reader. In no order, because to
    hand over in order costs busy servers a tenth of their requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    def __enter__(self) -> None:
        if self._lock.acquire(timeout=_PATIENCE):
            self._holder = threading.get_ident()

    def __exit__(self, *exception: object) -> None:
        if self._holder == threading.get_ident():
            self._holder = 0
            self._lock.release()


def let_others_go() -> None:
    """Between two turns: whoever waits for his own, or for the interpreter, gets his chance."""
    time.sleep(0)


turns = Turns()


def _forget_in_child() -> None:
    turns.__init__()  # type: ignore[misc]  # none of the threads is there, one of which may have had its turn


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def small_pieces(pieces: int, octets: int) -> int:
    """How many of them were not worth their work, which carried so many octets together."""
    return pieces - octets // _OCTETS_OF_A_LARGE_PIECE


class Budget:
    """What the pieces (frames, chunks) of one session cost beyond the octets they carry."""

    __slots__ = ("_left", "_updated")

    def __init__(self) -> None:
        self._left = _FIRST_BURST
        self._updated = time.monotonic()

    def spend(self, pieces: int, octets: int) -> None:
        """So many have been handled, which carried so many octets. With the session's lock held."""
        small = small_pieces(pieces, octets)
        if small > 0:
            self._left = max(self._left - small, -_BURST)

    def used_up(self) -> bool:
        """Whether the session's reader is a busy one. Its reader alone asks."""
        if self._left >= _BURST / 2:
            return False
        now = time.monotonic()
        self._left = min(_BURST, self._left + (now - self._updated) * _RATE)
        self._updated = now
        return self._left < 0
