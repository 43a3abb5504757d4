"""The thread that accepts a server's connections, from its start to its end. It does nothing that could block.

The server's monitor guards whether it runs; everything else here is the thread's alone.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from ...connection.shared.monitor import Monitor, WaitQueue
from ...deadline import Deadline
from ...errors import InvalidState
from ...interpreter import DROPPED_FOR_LONG, FREE_THREADED_BUILD
from ...transport.fork import close_in_forked_child
from ...transport.sockets import DEFAULT_BACKLOG, close_listener, turn_away
from .refusals import Refusals

OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Of `accept`'s errors those that end when others give back what they have."""

_LAST_ACCEPTED = 0.5  # seconds for which an acceptor that stops accepts what waits in the backlog
_LAST_ROUND_TRIP = 0.1  # seconds: others may be in the middle of TCP's handshake where somebody waited
_MOST_AT_ONCE = 100  # connections that are accepted before anything else is looked at
_PAUSE = 0.05  # seconds without resources


class Acceptor:
    """Gives connections to `take(sock, address)`, which returns True for one that was over already, and what `accept`
    raises to `failed(error)`. Neither may block.

    `refusals`, for as long as the thread runs, are for `take` to use. An `adopted` socket is the user's, and with it
    the path of a Unix socket.
    """

    refusals: Refusals

    def __init__(
        self,
        listening_socket: socket.socket,
        monitor: Monitor,
        take: Callable[[socket.socket, Any], bool],
        failed: Callable[[OSError], object],
        *,
        http1: bool,
        adopted: bool,
    ) -> None:
        self._socket = listening_socket
        self._monitor = monitor
        self._take = take
        self._failed = failed
        self._http1 = http1
        self._adopted = adopted
        # Guarded by the lock:
        self._thread: threading.Thread | None = None
        self._start_failed = False  # otherwise it begins soon, be it after `stop`
        self._never_accepts = False  # there is no thread: who stops it closes the socket
        self.stopping = False
        self.stopped = False  # the listening socket is closed
        self._turns_away = False  # nobody can begin a connection any more; the path of a Unix socket is gone
        self._accepted = 0  # connections; changed by the thread
        self._stops = WaitQueue(monitor)  # woken once: who is woken often is often between two waits
        # The thread wakes when one end of this pair is closed: closing a listening socket does not wake it everywhere.
        self._waker, self._wake_receiver = socket.socketpair()
        close_in_forked_child(self._waker)
        close_in_forked_child(self._wake_receiver)

    # -- Any thread --

    def start_locked(self) -> bool:
        """Accept from the release of the lock on; False when it did so before. Raises InvalidState after `stop`."""
        if self.stopping:
            raise InvalidState("the server was shut down and can't be started again: make another")
        if self._thread is not None:
            return False
        # In this order: an interrupt in between must not leave one that nobody starts and `stop` waits for.
        self._monitor.after_unlock(self._start_thread)
        self._thread = threading.Thread(target=self._run, name="sync_h2-acceptor", daemon=True)
        return True

    def _start_thread(self) -> None:
        if self._thread is not None and self._thread.ident is None:  # an interrupt may have this called twice
            try:
                self._thread.start()
            except RuntimeError:  # the system has no thread for it
                self._start_failed = True
                raise

    def stop(self) -> None:
        """Accept no more and close the listening socket; blocks until that has happened."""
        with self._monitor, self._monitor.lock:
            self.stopping = True
            thread = self._thread
            if thread is None or self._start_failed:
                self._never_accepts = True
        # Each step again in every call: an earlier one may have been interrupted.
        self._waker.close()
        if self._never_accepts:
            self._close()
        if thread is not None and threading.current_thread() is not thread:
            self.wait_stopped("the acceptor to stop")

    def wait_stopped(self, what: str) -> None:
        """Block until it has stopped."""
        self._monitor.wait(lambda: True if self.stopped else self._stops, Deadline(None), what)

    def _close(self) -> None:
        if self._adopted or self._turns_away:
            self._socket.close()
        else:
            close_listener(self._socket)
        self._wake_receiver.close()
        with self._monitor, self._monitor.lock:
            self.stopped = True
            self._stops.wake_all_locked()

    # -- The thread --

    def _run(self) -> None:
        with self._monitor, self._monitor.lock:
            if self._never_accepts:
                return
        try:
            listening = self._socket
            with selectors.DefaultSelector() as selector, Refusals(selector, http1=self._http1) as self.refusals:
                listening.setblocking(False)
                selector.register(listening, selectors.EVENT_READ)
                selector.register(self._wake_receiver, selectors.EVENT_READ)
                while not self.stopping:
                    patience = self.refusals.patience
                    if FREE_THREADED_BUILD:  # where it finalizes the sockets that it has made and others have dropped
                        patience = min(DROPPED_FOR_LONG, DROPPED_FOR_LONG if patience is None else patience)
                    ready = {key.fileobj for key, _ in selector.select(patience)}
                    if listening in ready and not self.stopping:
                        self._accept_some()
                    self.refusals.look(ready)
                selector.unregister(self._wake_receiver)
                self._accept_last(selector)
        finally:
            self._close()

    def _accept_last(self, selector: selectors.BaseSelector) -> None:
        """Who waits in the backlog takes the connection for made, and closing the socket would reset it."""
        # A socket that was adopted may be one that other processes accept from.
        self._turns_away = not self._adopted and turn_away(self._socket)
        until, patience = time.monotonic() + _LAST_ACCEPTED, 0.0
        for _ in range(DEFAULT_BACKLOG + 1):
            ready = {key.fileobj for key, _ in selector.select(patience)}
            if self._socket in ready:
                before = self._accepted
                self._accept_one()
                if self._turns_away and self._accepted != before:  # there is an end to them, however slow this is
                    until, patience = time.monotonic() + _LAST_ACCEPTED, _LAST_ROUND_TRIP
            elif not ready:
                return
            self.refusals.look(ready)
            if time.monotonic() >= until:
                return

    def _accept_some(self) -> None:
        """One that may come to something, and those before it that can't."""
        for _ in range(_MOST_AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """True for a connection that was over already."""
        try:
            sock, address = self._socket.accept()
        except BlockingIOError:
            return False  # another process that shares the port was faster
        except OSError as error:
            self._failed(error)
            if error.errno in OUT_OF_RESOURCES:
                # The connection stays in the backlog and `select` returns at once: let descriptors be given back first.
                select.select([] if self.stopping else [self._wake_receiver], [], [], _PAUSE)
            return False
        self._accepted += 1
        return self._take(sock, address)
