"""Each cell of the table of packages: their metadata say what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import packages
from .package_rows import COLUMNS, ROWS

WITH_HTTP2 = {"httpx": "http2", "gunicorn": "http2"}


def dependencies(name: str) -> Any:
    count = len(packages.dependencies(name))
    extra = WITH_HTTP2.get(name)
    return f"{count}, with HTTP/2 {len(packages.dependencies(name, extra))}" if extra else f"{count}"


def status(name: str) -> Any:
    [found] = packages.classifier(name, "Development Status")
    return found.partition(" - ")[2]


def windows(name: str) -> Any:
    systems = packages.classifier(name, "Operating System")
    assert systems
    return "OS Independent" in systems or any("Windows" in system for system in systems)


def typed(name: str) -> Any:
    return packages.is_typed(name)


QUESTIONS: dict[str, Callable[[str], Any]] = {
    "dependencies": dependencies,
    "status": status,
    "windows": windows,
    "typed": typed,
}
TESTED = [(row, column) for row in ROWS for column in COLUMNS if not row.cells[column].untested]


@pytest.mark.parametrize(("row", "column"), TESTED, ids=lambda value: getattr(value, "question", value))
def test_a_package_is_what_its_cell_says(row: Any, column: str) -> None:
    expected = row.expected(column)
    if isinstance(expected, dict):
        expected = expected[column]
        assert row.cells[column].text == expected
    assert QUESTIONS[row.question](column) == expected
