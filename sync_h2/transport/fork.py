"""What a forked child does with our sockets: close its copies of the descriptors, without a byte to anyone.

`os.fork` copies descriptors but not the threads that serve them. A copy left open would keep the connection alive after
the parent closed it, and a GOAWAY or a TLS alert sent from the child would corrupt the parent's stream of frames. Any
thread may register a socket; no lock is taken, because a lock held by another thread at the time of the fork would stay
taken for ever in the child.
"""

from __future__ import annotations

import os
import socket
import weakref

_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def close_in_forked_child(sock: socket.socket) -> None:
    """From now on a child made by `os.fork` closes its copy of `sock`."""
    _sockets.add(sock)


def _close_all() -> None:
    for sock in list(_sockets):
        # detach, not close: `socket.close` leaves the descriptor open while a `makefile` object refers to it.
        descriptor = sock.detach()
        if descriptor != -1:
            os.close(descriptor)
    _sockets.clear()


os.register_at_fork(after_in_child=_close_all)
