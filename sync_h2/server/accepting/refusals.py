"""What connections without TLS are told that are refused: in the words of the protocol that they speak. Those that have
not shown yet what that is may do so for a moment.

On the acceptor's thread alone, which waits for them beside all else.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Collection

from ...connection.server_side.date import current_date
from ...http1.response_heads import error_answer
from ...protocol.frames.first_octets import Opening, recognise, refusal
from .detection import speaks_http1

_PATIENCE = 0.5  # seconds
_MOST = 100  # connections; those beyond hear nothing
_LAST_READ = 64 * 1024  # octets that are taken from one that is refused


class Refusals:
    """The connections that are refused; `http1`: whether HTTP/1.1 is one of the protocols that they may speak."""

    def __init__(self, selector: selectors.BaseSelector, *, http1: bool) -> None:
        self._selector = selector
        self._http1 = http1
        self._waiting: dict[socket.socket, tuple[float, str]] = {}  # until when, and the limit; the oldest first

    def __enter__(self) -> Refusals:
        return self

    def __exit__(self, *exception: object) -> None:
        self.look((), last=True)

    def refuse(self, sock: socket.socket, limit: str) -> None:
        """Say that this is one too many, as far as that can be done without waiting, and close it."""
        # Where there is a choice, the client's first octets tell, and come in a moment.
        if self._http1 and len(self._waiting) < _MOST:
            self._selector.register(sock, selectors.EVENT_READ)
            self._waiting[sock] = (time.monotonic() + _PATIENCE, limit)
        else:
            self._tell(sock, limit)

    @property
    def patience(self) -> float | None:
        """Seconds until `look` is to be called, whatever the selector says; None: for ever."""
        for until, _ in self._waiting.values():
            return max(until - time.monotonic(), 0.0)
        return None

    def look(self, ready: Collection[object], *, last: bool = False) -> None:
        """Tell those that are `ready`, or have been silent for too long; the `last` time all."""
        now = time.monotonic()
        for sock, (until, limit) in list(self._waiting.items()):
            if last or sock in ready or until <= now:
                del self._waiting[sock]
                self._selector.unregister(sock)
                self._tell(sock, limit)

    def _tell(self, sock: socket.socket, limit: str) -> None:
        received = b""
        with contextlib.suppress(OSError):  # it may have gone already
            sock.setblocking(False)
            received = sock.recv(_LAST_READ)
        say_and_close(sock, refusal_of(limit, received, http1=self._http1))


def say_and_close(sock: socket.socket, farewell: bytes) -> None:
    """As far as that can be done without waiting."""
    with contextlib.suppress(OSError):  # it may have gone already
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.recv(_LAST_READ)  # what is unread when it is closed makes a reset of the end
        if farewell:
            sock.send(farewell)
            sock.shutdown(socket.SHUT_WR)
    sock.close()


def refusal_of(limit: str, received: bytes, *, http1: bool) -> bytes:
    """What a client without TLS is told that has said `received`; nothing if it would not understand."""
    if http1 and received and speaks_http1(received):
        return error_answer(503, f"too many connections ({limit})", current_date(), with_body=True)
    understands = (Opening.HTTP_2,) if http1 else (Opening.HTTP_2, Opening.UNDECIDED)
    return refusal(limit) if recognise(received) in understands else b""
