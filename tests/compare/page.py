"""The tables of docs/compare.md, as they stand there and as the rows of the tests would have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .cells import Row

PAGE = Path(__file__).parents[2] / "docs" / "compare.md"
NAMES = {"node": "Node"}


def table_of(columns: Sequence[str], rows: Sequence[Row]) -> list[list[str]]:
    """The table of these rows: lines of cells, its head first."""
    head = ["", *(NAMES.get(column, column) for column in columns)]
    return [head, *([row.title, *(row.cells[column].text for column in columns)] for row in rows)]


def tables_on_the_page() -> list[list[list[str]]]:
    """All tables in their order, without the line that separates the head."""
    tables: list[list[list[str]]] = []
    before = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            cells = [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
            if not all(set(cell) <= set("-: ") and cell for cell in cells):
                tables[-1].append(cells)
        before = line
    return tables


def as_markdown(table: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in table]
    return "\n".join([lines[0], "| --- " * len(table[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    from . import client_rows, package_rows, server_rows

    for rows in (client_rows, server_rows, package_rows):
        print(as_markdown(table_of(rows.COLUMNS, rows.ROWS)), end="\n\n")
