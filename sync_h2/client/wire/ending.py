"""The end of an exchange: its place on a connection becomes free, once, on whatever thread that is.

What is dropped unread ends in a finalizer, which must take no lock, and is given back by the next request.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from ...transport.log import Log

logger = Log("sync_h2.client")


class Ending:
    """What becomes of a connection's place when an answer needs it no more: `reuse` or `drop` is called, once. Without
    either, the finalizer puts `drop` where the pool finds it.
    """

    def __init__(
        self, reuse: Callable[[], None], drop: Callable[[], None], forgotten: collections.deque[Callable[[], None]]
    ) -> None:
        self._actions = [(reuse, drop)]  # who takes them out calls one of them
        self._forgotten = forgotten

    @property
    def has_come(self) -> bool:
        return not self._actions

    def end(self, *, reusable: bool) -> None:
        try:
            reuse, drop = self._actions.pop()  # in one step: two threads may end an answer at once
        except IndexError:
            return
        (reuse if reusable else drop)()

    def __del__(self) -> None:
        if self._actions:
            self._forgotten.append(self._actions[0][1])


class Forgotten(collections.deque[Callable[[], None]]):
    """What answers that nobody has read or closed have left behind."""

    def give_back(self) -> None:
        """Give back what they held."""
        while self:
            try:
                drop = self.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                drop()
            except Exception:  # the request that is made now has no part in it
                logger.exception("the connection of a response that was dropped can't be closed")
