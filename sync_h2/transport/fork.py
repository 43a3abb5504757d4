"""What a forked child does with our sockets: close its copies of the descriptors, without a byte to anyone; and what
it makes anew.

`os.fork` copies descriptors but not the threads that serve them. A copy left open would keep the connection alive after
the parent closed it, and a GOAWAY or a TLS alert sent from the child would corrupt the parent's stream of frames. Any
thread may register a socket; no lock is taken, because a lock held by another thread at the time of the fork would stay
taken for ever in the child.
"""

from __future__ import annotations

import os
import socket
import weakref
from typing import Protocol


class Renewable(Protocol):
    """What refers to a lock, or to sockets."""

    def _renew(self) -> None:
        """Make anew what can't be used in a forked child. Takes no lock."""


_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
_renewable: weakref.WeakValueDictionary[int, Renewable] = weakref.WeakValueDictionary()  # by id: not all have a hash


def close_in_forked_child(sock: socket.socket) -> None:
    """From now on a child made by `os.fork` closes its copy of `sock`."""
    _sockets.add(sock)


def renew_in_forked_child(thing: Renewable) -> None:
    """From now on a child made by `os.fork` calls `thing._renew()`."""
    _renewable[id(thing)] = thing


def _close_all() -> None:
    for sock in list(_sockets):
        # detach, not close: `socket.close` leaves the descriptor open while a `makefile` object refers to it.
        descriptor = sock.detach()
        if descriptor != -1:
            os.close(descriptor)
    _sockets.clear()


def _renew_all() -> None:
    for thing in list(_renewable.values()):
        thing._renew()


os.register_at_fork(after_in_child=_close_all)
os.register_at_fork(after_in_child=_renew_all)
