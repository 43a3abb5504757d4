"""Threads that do the same things again and again until they are told to stop, and what became of it."""

from __future__ import annotations

import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable

Act = Callable[[random.Random], None]


class Crowd:
    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, act: Act) -> None:
        """Have `act` called again and again on a thread of its own. The name's first word is what it is counted as."""
        chance = random.Random(name)

        def run() -> None:
            while not self._stop.is_set():
                try:
                    act(chance)
                except Exception as error:
                    self.failed(f"{name}: {error!r}\n{''.join(traceback.format_exception(error))}")
                else:
                    self.count(name.split()[0])

        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()

    def count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def failed(self, why: str) -> None:
        with self._lock:
            self.failures.append(why)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until all are to stop."""
        self._stop.wait(seconds)

    def finish(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
