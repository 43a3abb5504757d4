"""The results of a sitting, told as text, JSON and a chart."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .rows import OURS, Entry, Goal
from .sitting import Result


def as_text(result: Result, *, judged: bool) -> str:
    """A table of medians; beside each, our ratio to that peer and, if it is to be `judged`, the goal for it."""
    row = result.row
    lines = [f"{row.title}  ({row.name})"]
    if result.samples:
        metrics = list(next(iter(result.samples.values()))[0])
        table = [["", *metrics, "sync_h2 / peer", "goal"]]
        for entry in result.samples:
            values = [_figure(result.median(entry, metric)) for metric in metrics]
            table.append([str(entry), *values, *_comparison(result, entry, judged)])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for cells in table:
            padded = [
                cells[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
            ]
            lines.append("  " + "  ".join(padded).rstrip())
    if judged:
        lines += [f"  {_goal_line(result, goal)}" for goal in row.goals if not _beside_a_peer(result, goal)]
    lines += [f"  {peer}: left out, {why}" for peer, why in result.left_out.items()]
    lines += [
        f"  {entry}: {len(reasons)} measurements failed and were repeated, {reasons[-1]}"
        for entry, reasons in result.repeated.items()
        if reasons
    ]
    lines += [f"  {entry}: FAILED, {_first_line(why)}" for entry, why in result.failures.items()]
    return "\n".join(lines) + "\n"


def _beside_a_peer(result: Result, goal: Goal) -> bool:
    if goal.against is None or goal.against.peer == OURS:
        return False
    return goal.of.peer == OURS and goal.metric == result.row.metric


def _comparison(result: Result, entry: Entry, judged: bool) -> list[str]:
    ours = Entry(OURS, entry.variant)
    if entry.peer == OURS or ours not in result.samples:
        return ["", ""]
    ratio = result.ratio(result.row.metric, ours, entry)
    for goal in result.row.goals:
        if judged and goal.against == entry and _beside_a_peer(result, goal):
            return [_times(ratio), f"{goal} {_verdict(goal, ratio)}"]
    return [_times(ratio), ""]


def _goal_line(result: Result, goal: Goal) -> str:
    value = result.value(goal)
    if goal.against is None:
        return (
            f"{goal.of}: {goal.metric} {'-' if value is None else _figure(value)}, goal {goal} {_verdict(goal, value)}"
        )
    return f"{goal.metric}, {goal.of} / {goal.against}: {_times(value)}, goal {goal} {_verdict(goal, value)}"


def _verdict(goal: Goal, value: float | None) -> str:
    return "not measured" if value is None else "met" if goal.met(value) else "NOT MET"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def as_json(results: Sequence[Result], sitting: dict[str, Any]) -> str:
    """`sitting` tells how it was measured; every sample is there."""
    return json.dumps({"sitting": {**sitting, **machine()}, "rows": [_row(result) for result in results]}, indent=1)


def _row(result: Result) -> dict[str, Any]:
    row = result.row
    return {
        "name": row.name,
        "title": row.title,
        "metric": row.metric,
        "left_out": result.left_out,
        "repeated": {str(entry): reasons for entry, reasons in result.repeated.items()},
        "failures": {str(entry): why for entry, why in result.failures.items()},
        "entries": [
            {
                "peer": entry.peer,
                "variant": entry.variant,
                "median": {metric: result.median(entry, metric) for metric in samples[0]},
                "samples": samples,
            }
            for entry, samples in result.samples.items()
        ],
        "ratios": dict(_ratios(result)),
        "goals": [
            {
                "metric": goal.metric,
                "of": str(goal.of),
                "against": str(goal.against) if goal.against else None,
                "bound": str(goal),
                "value": (value := result.value(goal)),
                "met": None if value is None else goal.met(value),
            }
            for goal in row.goals
        ],
    }


def _ratios(result: Result) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Ours to each other entry, in every metric."""
    for entry, samples in result.samples.items():
        ours = Entry(OURS, entry.variant)
        if entry.peer != OURS and ours in result.samples:
            yield str(entry), {metric: result.ratio(metric, ours, entry) for metric in samples[0]}


def machine() -> dict[str, Any]:
    return {"machine": platform.platform(), "processors": os.cpu_count(), "load": os.getloadavg()}


def draw(results: Sequence[Result], path: Path) -> bool:
    """A chart of the medians; False when there are none, or no matplotlib to draw it."""
    drawn = [result for result in results if result.samples]
    if not drawn or find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    heights = [0.9 + 0.25 * len(result.samples) for result in drawn]
    figure, plots = pyplot.subplots(
        len(drawn), 1, figsize=(12, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for result, plot in zip(drawn, plots[:, 0], strict=True):
        metric = result.row.metric
        medians = [result.median(entry, metric) for entry in result.samples]
        colours = ["tab:blue" if entry.peer == OURS else "lightgrey" for entry in result.samples]
        bars = plot.barh(range(len(medians)), medians, color=colours)
        plot.bar_label(bars, labels=[_figure(value) for value in medians], padding=3)
        plot.set_yticks(range(len(medians)), labels=[str(entry) for entry in result.samples])
        plot.invert_yaxis()
        plot.margins(x=0.1)
        plot.spines[["top", "right", "bottom"]].set_visible(False)
        plot.set_xticks([])
        plot.set_title(f"{result.row.title}: {metric}", loc="left", fontsize=10)
    figure.savefig(path)
    pyplot.close(figure)
    return True
