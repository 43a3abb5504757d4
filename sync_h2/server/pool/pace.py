"""How many workers of a pool may run at once: few while the interpreter is busy, more as handlers wait.

Pure arithmetic on what the pool counted between two ticks; called under the pool's lock. Threads that all want to run
Python code only take the interpreter's lock from each other: with 128 requests under way, 128 workers served 3,000
small ones a second where one or two served 7,000. Handlers that wait (for data, a database, a sleep) need a worker
each.
"""

from __future__ import annotations

_IDLE = 0.25  # of a core: with less of those idle that handlers can use, another thread would only wait for one
_TINY_JOB = 0.00025  # seconds: to spread jobs as short as this over several cores costs more than it gives
_LATE = 3.0  # ticks: who wakes this late waits for a core or for the interpreter, and so would another worker
_CROWD = 2  # workers that move, for each of several cores: more only keep cores from readers
_SHORT_JOBS = 4  # begun in a tick by each worker that moves: then fewer workers do as well
_PATIENCE = (
    10  # ticks for which jobs wait for workers that are slow although the interpreter is busy, perhaps with others
)


class Pace:
    """The number of workers that may have a job or look for one."""

    __slots__ = ("_begun", "_moving", "_slow_ticks", "_tick", "allowed")

    def __init__(self) -> None:
        self.allowed = 1
        self._tick = 0
        self._begun = 0
        self._moving = 0
        self._slow_ticks = 0

    def began(self, last_tick: int) -> int:
        """A worker begins a job; it gives what it got from here the last time (at first -1)."""
        self._begun += 1
        if last_tick != self._tick:
            self._moving += 1
        return self._tick

    def is_now(self, tick: int) -> bool:
        """Whether `tick` is the tick that runs now."""
        return tick == self._tick

    def tick(self, active: int, seconds: float, ticks_passed: float, cores_used: float, cores: int) -> None:
        """Jobs wait. `active` workers have a job, or are about to get one.

        `seconds` is the time since the last call, `ticks_passed` the same in ticks, `cores_used` what the process
        computed meanwhile, divided by it, and `cores` how many threads can run Python code at once.
        """
        moving, begun = self._moving, self._begun
        self._tick += 1
        self._moving = self._begun = 0
        waiting = max(active - moving, 0)  # they got no new job since the last tick: they wait, or compute for long
        usable = 1 if begun * _TINY_JOB > seconds * moving else cores
        if cores_used < usable - _IDLE and ticks_passed < _LATE:
            if not moving and cores_used < max(usable / 2, 1 - _IDLE):
                moving = max(active, 1)
            else:
                moving += 1 + moving // 4
            self._slow_ticks = 0
        elif moving and (begun >= _SHORT_JOBS * moving or moving > _CROWD * usable > _CROWD):
            moving -= min(moving // 4 or 1, max(moving - usable, 0))
            self._slow_ticks = 0
        else:
            self._slow_ticks += 1
            moving += self._slow_ticks > _PATIENCE
        self.allowed = max(waiting + moving, 1)
