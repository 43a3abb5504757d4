"""Tables of a page, for tests that try each row."""

from __future__ import annotations

import re
from pathlib import Path

_BETWEEN_CELLS = re.compile(r"(?<!\\) \| ")


def table_after(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table behind the line that begins with `heading`, as lists of cells."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(heading):
            break
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            rows.append(
                [cell.strip() for cell in _BETWEEN_CELLS.split(line.strip().removeprefix("|").removesuffix("|"))]
            )
        elif rows:
            break
    return rows[2:]
