"""What happened when, as bars one below the other: as text for terminals, and as SVG. Values in, text out."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .connections import Opening
from .fetch import Fetch
from .progress import size

# What a part of a bar stands for: its name, its character, its colour.
_PARTS = {
    "connecting": ("~", "#9aa5b1"),
    "waiting to be sent": (".", "#d3dae1"),
    "sent, no answer yet": ("-", "#f2b134"),
    "headers, no body yet": ("=", "#4f9d69"),
    "body": ("#", "#3d7ec7"),
}
_LEAST_BAR = 20  # characters
_LONGEST_LABEL = 40


@dataclass(frozen=True)
class Bar:
    """One row: parts are (name, beginning, end), in seconds since the first of all."""

    label: str
    detail: str
    parts: list[tuple[str, float, float]]

    @property
    def end(self) -> float:
        return max((end for _, _, end in self.parts), default=0.0)


def bars(fetches: Sequence[Fetch], openings: Sequence[Opening]) -> list[Bar]:
    """Connections and streams as bars, in the order of their beginning."""
    began = [fetch.asked_at for fetch in fetches if fetch.asked_at is not None]
    start = min(began, default=0.0)
    rows = [
        Bar(f"connect {opening.origin}", "", [("connecting", opening.began_at - start, opening.ended_at - start)])
        for opening in openings
    ]
    rows += [_bar(fetch, start) for fetch in fetches]
    return rows


def _bar(fetch: Fetch, start: float) -> Bar:
    detail = "failed" if fetch.error is not None else f"{fetch.status} {size(fetch.received)}"
    if fetch.asked_at is None or fetch.ended_at is None:
        return Bar(fetch.target.url, "not begun", [])
    ended = fetch.ended_at
    moments: list[tuple[str, float | None]] = [("waiting to be sent", fetch.asked_at)]
    if fetch.opened_at is not None and fetch.stats is not None:
        opened, stats = fetch.opened_at, fetch.stats

        def after_opening(seconds: float | None) -> float | None:
            return None if seconds is None else opened + seconds

        moments.append(("sent, no answer yet", opened))
        moments.append(("headers, no body yet", after_opening(stats.time_to_first_header)))
        moments.append(("body", after_opening(stats.time_to_first_byte)))
        ended = after_opening(stats.duration) or ended
    known = [(name, moment) for name, moment in moments if moment is not None]
    ends = [moment for _, moment in known[1:]] + [ended]
    return Bar(
        fetch.target.url,
        detail,
        [(name, moment - start, max(end, moment) - start) for (name, moment), end in zip(known, ends, strict=True)],
    )


def waterfall(fetches: Sequence[Fetch], openings: Sequence[Opening]) -> str:
    """Bars for a terminal, as wide as that is."""
    return text(bars(fetches, openings), shutil.get_terminal_size().columns)


def text(rows: Sequence[Bar], columns: int) -> str:
    """Lines of at most `columns` characters, as far as that can be."""
    labels = [_shortened(row.label, _LONGEST_LABEL) for row in rows]
    label_width = max(map(len, labels), default=0)
    detail_width = max((len(row.detail) for row in rows), default=0)
    total = max((row.end for row in rows), default=0.0)
    time_width = len(_milliseconds(total))
    width = max(columns - label_width - detail_width - time_width - 5, _LEAST_BAR)
    lines = [" ".join(f"{character} {name} " for name, (character, _) in _PARTS.items()).rstrip()]
    for row, label in zip(rows, labels, strict=True):
        cells = [" "] * width
        for name, begins_at, ends_at in row.parts:
            first = int(begins_at / total * (width - 1)) if total else 0
            last = int(ends_at / total * (width - 1)) if total else 0
            cells[first : last + 1] = _PARTS[name][0] * (last + 1 - first)
        bar, end = "".join(cells), _milliseconds(row.end)
        lines.append(f"{label:{label_width}} {row.detail:{detail_width}} |{bar}| {end:>{time_width}}")
    return "".join(f"{line}\n" for line in lines)


def _shortened(label: str, most: int) -> str:
    return label if len(label) <= most else f"{label[: most // 3]}...{label[3 - most + most // 3 :]}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


_ROW_HEIGHT, _LABEL_WIDTH, _BAR_WIDTH, _TIME_WIDTH = 20, 420, 700, 100
_TICKS = 5


def waterfall_picture(fetches: Sequence[Fetch], openings: Sequence[Opening]) -> str:
    return svg(bars(fetches, openings))


def svg(rows: Sequence[Bar]) -> str:
    """A picture: a row for each bar, a legend above, times below; each part says what it is when pointed at."""
    total = max((row.end for row in rows), default=0.0) or 1e-3
    width = _LABEL_WIDTH + _BAR_WIDTH + _TIME_WIDTH
    top = 2 * _ROW_HEIGHT
    bottom = top + len(rows) * _ROW_HEIGHT
    height = bottom + 2 * _ROW_HEIGHT

    def x(seconds: float) -> float:
        return _LABEL_WIDTH + seconds / total * _BAR_WIDTH

    shapes = [f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, (name, (_, colour)) in enumerate(_PARTS.items()):
        left = 10 + number * 170
        shapes.append(f'<rect x="{left}" y="10" width="12" height="12" fill="{colour}"/>')
        shapes.append(f'<text x="{left + 18}" y="20">{escape(name)}</text>')
    for tick in range(_TICKS + 1):
        moment = total * tick / _TICKS
        shapes.append(f'<line x1="{x(moment):.1f}" x2="{x(moment):.1f}" y1="{top}" y2="{bottom}" stroke="#eeeeee"/>')
        shapes.append(
            f'<text x="{x(moment):.1f}" y="{bottom + 16}" text-anchor="middle">{_milliseconds(moment)}</text>'
        )
    for number, row in enumerate(rows):
        y = top + number * _ROW_HEIGHT
        label = escape(_shortened(row.label, 44))
        shapes.append(f'<text x="10" y="{y + 14}">{label}<title>{escape(row.label)}</title></text>')
        shapes.append(f'<text x="{_LABEL_WIDTH - 10}" y="{y + 14}" text-anchor="end">{escape(row.detail)}</text>')
        for name, begin, end in row.parts:
            title = escape(f"{name}: {_milliseconds(begin)} to {_milliseconds(end)}")
            shapes.append(
                f'<rect x="{x(begin):.2f}" y="{y + 3}" width="{max(x(end) - x(begin), 0.5):.2f}" height="14" '
                f'fill="{_PARTS[name][1]}"><title>{title}</title></rect>'
            )
        shapes.append(f'<text x="{x(row.end) + 6:.1f}" y="{y + 14}">{_milliseconds(row.end)}</text>')
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'
    )
