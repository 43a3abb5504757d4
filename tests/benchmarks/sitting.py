"""A sitting: the entries of a row take turns, round by round, so that what slows the machine down slows all of them."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from .rows import OURS, Entry, Goal, Row, Sample, Setting
from .workplace import FREE_THREADED_PYTHONS, installed

MOST_REPEATED = 10
Outcome = TypeVar("Outcome")


@dataclass
class Result:
    """What a row's entries reached: a sample for each round."""

    row: Row
    samples: dict[Entry, list[Sample]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Peer, or `all` -> why it was not measured."""
    repeated: dict[Entry, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Why measurements of other programs were made again."""
    failures: dict[Entry, str] = field(default_factory=dict)
    """What went wrong with those that were to be measured; they have no samples."""

    def attempt(self, entry: Entry, act: Callable[[], Outcome]) -> Outcome | None:
        """Call `act` for an entry. What it raises is the entry's failure, and the sitting goes on without it; but other
        programs may fail now and then (httpx, when threads share a client) without being left out.
        """
        while True:
            try:
                return act()
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                repeated = self.repeated[entry]
                if entry.peer == OURS or len(repeated) == MOST_REPEATED:
                    self.failures[entry] = why
                    self.samples.pop(entry, None)
                    return None
                repeated.append(why.partition("\n")[0])

    def median(self, entry: Entry, metric: str) -> float:
        return statistics.median(sample[metric] for sample in self.samples[entry])

    def ratio(self, metric: str, of: Entry, against: Entry) -> float | None:
        """The median of the rounds' ratios; None where a value is too small to be measured."""
        pairs = [
            (one[metric], other[metric]) for one, other in zip(self.samples[of], self.samples[against], strict=True)
        ]
        if any(other <= 0 for _, other in pairs):
            return None
        return statistics.median(one / other for one, other in pairs)

    def value(self, goal: Goal) -> float | None:
        """What the goal bounds; None when its entries were not measured."""
        if goal.of not in self.samples:
            return None
        if goal.against is None:
            return self.median(goal.of, goal.metric)
        if goal.against not in self.samples:
            return None
        return self.ratio(goal.metric, goal.of, goal.against)


def measure(row: Row, setting: Setting, rounds: int, peers: set[str] | None, say: Callable[[str], None]) -> Result:
    """Measure those of the row's peers that are wanted (None: all) and installed."""
    result = Result(row)
    if row.needs and not installed(row.needs):
        result.left_out["all"] = f"{row.needs} is not installed"
        return result
    if row.free_threaded and not setting.places.free_threaded:
        result.left_out["all"] = f"no free-threaded Python ({', '.join(FREE_THREADED_PYTHONS)}) is installed"
        return result
    wanted = [entry for entry in row.entries(quick=setting.quick) if peers is None or entry.peer in peers]
    for entry in wanted:
        if entry.peer != OURS and not installed(entry.peer):
            result.left_out[entry.peer] = "not installed"
    with contextlib.ExitStack() as stack:

        def start(entry: Entry) -> Callable[[], Sample]:
            return stack.enter_context(row.prepare(setting, entry))

        measures: dict[Entry, Callable[[], Sample]] = {}
        for entry in wanted:
            if entry.peer in result.left_out:
                continue
            say(f"{row.name}: starting {entry}")
            measure_once = result.attempt(entry, partial(start, entry))
            if measure_once is not None:
                measures[entry] = measure_once
                result.samples[entry] = []
        rounds = min(rounds, row.most_rounds or rounds)
        for number in range(rounds):
            for entry in list(result.samples):
                say(f"{row.name}: round {number + 1} of {rounds}, {entry}")
                sample = result.attempt(entry, measures[entry])
                if sample is not None:
                    result.samples[entry].append(sample)
    return result
