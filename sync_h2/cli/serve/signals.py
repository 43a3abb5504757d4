"""Signals that end a server, waited for on the main thread."""

from __future__ import annotations

import signal
import socket
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "finishing what is under way; a second signal ends it at once"
"""What the user is told after the first signal."""


class StopSignals:
    """SIGINT and SIGTERM, kept for `wait` while the block lasts; an ignored one stays ignored. For the main thread.

    It is Python's own handler in C that wakes the main thread, over a socket: which thread a signal reaches does not
    matter then.
    """

    def __enter__(self) -> StopSignals:
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        numbers = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, _nothing) for number in numbers}
        return self

    def wait(self, *others: Any) -> Any:
        """Wait for a signal: None; or for one of `others`, which are to be read, or sentinels of processes."""
        ready = wait([self._receiver, *others])
        if self._receiver not in ready:
            return ready[0]
        self._receiver.recv(1)
        return None

    def release(self) -> None:
        """From now on a signal ends the process at once, as by default."""
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)

    def __exit__(self, *exception: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._receiver.close()
        self._sender.close()


def _nothing(number: int, frame: FrameType | None) -> None:
    """What Python calls later; without a handler there is no wake-up."""
