"""Which of a pool's jobs wait for their peers, and which of them gives up when too many do.

Pure bookkeeping, under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable


class PeerWaits:
    """Waits by the key of the job; each has a thread, and `give_up()`, which ends it."""

    __slots__ = ("_by_key", "_giving_up", "count")

    def __init__(self) -> None:
        # Who has waited for longest comes first. Who has been told to give up is not among them.
        self._by_key: dict[Hashable, dict[int, Callable[[], None]]] = {}
        self._giving_up: set[int] = set()
        self.count = 0  # of both

    def begin(self, thread: int, key: Hashable, give_up: Callable[[], None]) -> None:
        self._by_key.setdefault(key, {})[thread] = give_up
        self.count += 1

    def end(self, thread: int, key: Hashable) -> None:
        self.count -= 1
        if thread in self._giving_up:
            self._giving_up.remove(thread)
        else:
            self._leave(thread, key)

    def of(self, key: Hashable) -> int:
        """How many of `key` wait. A look needs no lock."""
        return len(self._by_key.get(key, ()))

    def longest(self) -> Callable[[], None] | None:
        """What makes the job give up that has waited for longest, of the key that has most; it is noted as doing so."""
        key = max(self._by_key, key=lambda key: len(self._by_key[key]), default=None)
        if key is None:
            return None
        thread, give_up = next(iter(self._by_key[key].items()))
        self._leave(thread, key)
        self._giving_up.add(thread)
        return give_up

    def _leave(self, thread: int, key: Hashable) -> None:
        waits = self._by_key[key]
        del waits[thread]
        if not waits:
            del self._by_key[key]
