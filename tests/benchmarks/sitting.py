"""A sitting: the entries of a row take turns, round by round, so that what slows the machine down slows all of them."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .rows import OURS, Entry, Goal, Row, Sample, Setting
from .workplace import installed


@dataclass
class Result:
    """What a row's entries reached: a sample for each round."""

    row: Row
    samples: dict[Entry, list[Sample]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Peer, or `all` -> why it was not measured."""
    failures: dict[Entry, str] = field(default_factory=dict)
    """What went wrong with those that were to be measured; they have no samples."""

    @contextlib.contextmanager
    def failing(self, entry: Entry) -> Iterator[None]:
        """What is raised in the block is the entry's failure, and the sitting goes on without it."""
        try:
            yield
        except Exception as error:
            self.failures[entry] = f"{type(error).__name__}: {error}"
            self.samples.pop(entry, None)

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
    wanted = [entry for entry in row.entries(quick=setting.quick) if peers is None or entry.peer in peers]
    for entry in wanted:
        if entry.peer != OURS and not installed(entry.peer):
            result.left_out[entry.peer] = "not installed"
    with contextlib.ExitStack() as stack:
        measures: dict[Entry, Callable[[], Sample]] = {}
        for entry in wanted:
            if entry.peer in result.left_out:
                continue
            say(f"{row.name}: starting {entry}")
            with result.failing(entry):
                measures[entry] = stack.enter_context(row.prepare(setting, entry))
                result.samples[entry] = []
        for number in range(rounds):
            for entry in list(result.samples):
                say(f"{row.name}: round {number + 1} of {rounds}, {entry}")
                with result.failing(entry):
                    result.samples[entry].append(measures[entry]())
    return result
