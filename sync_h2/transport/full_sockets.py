"""The process's one thread that waits until sockets which were full take octets again, for all sessions.

So a peer that reads nothing costs its session no thread that is blocked in `send`: there is one only once it can send.
`watch` is one system call that never blocks and takes no lock, so it is allowed under a session's lock. Who waits is
kept alive, and knows itself whether it still waits: a call that comes too early or twice is harmless. Without epoll
nothing is watched.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from contextlib import suppress
from typing import Protocol

from ..interpreter import Lock
from .log import Log

logger = Log("sync_h2.connection")


class Sending(Protocol):
    """What can wait for its socket."""

    def on_writable(self) -> None:
        """Called on the watching thread, with no lock held: the socket takes octets, or is broken or shut down."""


class FullSockets:
    """The thread and what it waits for; `watch` may be called from any thread, under any lock."""

    def __init__(self) -> None:
        self._watched: dict[int, Sending] = {}
        self._starting = Lock()
        self._running = False
        if sys.platform == "linux":
            self._epoll: select.epoll | None = None

    def ensure_running(self) -> None:
        """Start the thread if it is not there; to be called, with no lock held, before the first `watch`."""
        if sys.platform == "linux" and not self._running:
            with self._starting:
                if self._epoll is None:
                    with suppress(OSError):  # no descriptor is left: the next session may find one
                        self._epoll = select.epoll()
                if self._epoll is not None and not self._running:
                    threading.Thread(target=self._run, name="sync_h2-full-sockets", daemon=True).start()
                    self._running = True

    def watch(self, sock: socket.socket, target: Sending) -> bool:
        """Have `target.on_writable()` called once, as soon as `sock` takes octets; False where that can't be. `sock` is
        not closed before that, or before `forget`.
        """
        if sys.platform == "linux" and self._running and self._epoll is not None:
            number = sock.fileno()
            self._watched[number] = target
            try:
                try:
                    self._epoll.register(number, select.EPOLLOUT | select.EPOLLONESHOT)
                except FileExistsError:  # it was full before
                    self._epoll.modify(number, select.EPOLLOUT | select.EPOLLONESHOT)
            except (OSError, ValueError):  # the kernel watches no more than it does; or it is closed
                self._watched.pop(number, None)
                return False
            return True
        return False

    def forget(self, sock: socket.socket) -> None:
        """Who waits for it waits no more."""
        self._watched.pop(sock.fileno(), None)

    def _run(self) -> None:
        if sys.platform == "linux" and self._epoll is not None:
            while True:
                for number, _ in self._epoll.poll():
                    self._call(self._watched.pop(number, None))

    def _call(self, target: Sending | None) -> None:
        try:
            if target is not None:
                target.on_writable()
        except BaseException:  # SystemExit too: all sessions hang on this thread
            logger.exception("going on with a socket that was full failed")

    def forget_in_child(self) -> None:
        """The thread did not survive the fork, and the parent's sockets are not the child's to watch."""
        if sys.platform == "linux" and self._epoll is not None:
            self._epoll.close()  # a frame of the thread that is no more refers to it
        self.__init__()  # type: ignore[misc]  # the same object: other modules hold it


full_sockets = FullSockets()

os.register_at_fork(after_in_child=full_sockets.forget_in_child)
