"""Tables of a page, for tests that try each row."""

from __future__ import annotations

import re
from pathlib import Path

_BETWEEN_CELLS = re.compile(r"(?<!\\) \| ")


def tables_of(page: Path, heading: str = "") -> list[list[list[str]]]:
    """The tables behind the line that begins with `heading`, each as its rows, these as lists of cells."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(heading):
            break
    tables: list[list[list[str]]] = []
    within = False
    for line in lines:
        if line.startswith("|"):
            if not within:
                tables.append([])
            row = f"{line} ".removeprefix("|").removesuffix("| ")
            tables[-1].append([cell.strip() for cell in _BETWEEN_CELLS.split(row)])
        within = line.startswith("|")
    return [table[2:] for table in tables]


def table_after(page: Path, heading: str) -> list[list[str]]:
    """The first of them."""
    return tables_of(page, heading)[0]
