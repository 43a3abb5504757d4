"""Draws docs/_static/benchmarks.svg: the ratios in the table of benchmarks.md, a bar for each, on a logarithmic scale.

`python docs/draw_benchmarks.py` after the table has changed.
"""

from __future__ import annotations

import math
import re
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = FOLDER / "benchmarks.md"
PICTURE = FOLDER / "_static" / "benchmarks.svg"

ROW, LABEL, BARS, MARGIN = 22, 230, 470, 60
LEAST, MOST = 0.2, 10.0
TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = {"Node": "#4f9d69", "hypercorn": "#3d7ec7", "gunicorn": "#f2b134", "httpx": "#9b6fc0"}


def ratios(page: str) -> list[tuple[str, str, float]]:
    """What was measured, beside whom, and the ratio, in the order of the table."""
    rows = page.split("\n| sync_h2's |", 1)[1].split("\n\n")[0].splitlines()[2:]
    found = []
    for row in rows:
        work, beside = (cell.strip() for cell in row.strip("|").split("|"))
        found += [(work, peer, float(ratio)) for ratio, peer in re.findall(rf"([\d.]+) {TIMES} (\w+)", beside)]
    return found


def x(ratio: float) -> float:
    return LABEL + BARS * math.log(ratio / LEAST) / math.log(MOST / LEAST)


def drawn(bars: list[tuple[str, str, float]]) -> str:
    width, height = LABEL + BARS + MARGIN, ROW * (len(bars) + 3)
    bottom = height - 1.2 * ROW
    shapes = [f'<rect width="{width}" height="{height}" fill="white"/>']
    for number, (peer, colour) in enumerate(COLOURS.items()):
        left = LABEL + number * 125
        shapes.append(f'<rect x="{left}" y="8" width="12" height="12" fill="{colour}"/>')
        shapes.append(f'<text x="{left + 18}" y="18">beside {peer}</text>')
    for tick in (0.25, 0.5, 1, 2, 4, 8):
        colour = "#888888" if tick == 1 else "#e4e4e4"
        shapes.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{1.4 * ROW}" y2="{bottom}" stroke="{colour}"/>')
        shapes.append(f'<text x="{x(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g} {TIMES}</text>')
    before = ""
    for number, (work, peer, ratio) in enumerate(bars):
        y = ROW * (number + 1.6)
        if work != before:
            shapes.append(f'<text x="{LABEL - 10}" y="{y + 13}" text-anchor="end">{escape(work)}</text>')
        before = work
        left, right = sorted((x(1), x(ratio)))
        title = f"<title>{escape(work)}: {ratio:g} {TIMES} {peer}</title>"
        shapes.append(
            f'<rect x="{left:.1f}" y="{y + 2}" width="{right - left:.1f}" height="{ROW - 8}" '
            f'fill="{COLOURS[peer]}">{title}</rect>'
        )
        shapes.append(f'<text x="{max(right, x(1)) + 6:.1f}" y="{y + 13}">{ratio:g}</text>')
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    PICTURE.write_text(drawn(ratios(PAGE.read_text())))
