"""Tables of a page, for tests that try each row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Case = TypeVar("Case", bound=Callable[..., Any])

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


def row(
    cases: dict[str, tuple[Case, object, object]], name: str, there: object, here: object
) -> Callable[[Case], Case]:
    """Keep the decorated function in `cases`, by a row's first cell, as what tries it; with what comes of it with the
    other library and here.
    """

    def keep(case: Case) -> Case:
        cases[name] = (case, there, here)
        return case

    return keep
