"""docs/compare.md says what the tests have found out, and nothing else."""

from __future__ import annotations

import re
import subprocess

import pytest

from support.programs.others import program

from . import client_rows, package_rows, packages, server_rows
from .page import PAGE, table_of, tables_on_the_page

TABLES = [table_of(rows.COLUMNS, rows.ROWS) for rows in (client_rows, server_rows, package_rows)]


def test_the_page_has_the_tables_that_are_tested() -> None:
    """`python -m compare.page`, in tests/, prints them as they should be."""
    assert tables_on_the_page() == TABLES


@pytest.mark.parametrize("rows", [client_rows, server_rows, package_rows])
def test_every_cell_is_tested_or_says_why_not(rows: object) -> None:
    for row in rows.ROWS:  # type: ignore[attr-defined]
        assert set(row.cells) == set(rows.COLUMNS)  # type: ignore[attr-defined]
        for cell in row.cells.values():
            assert not cell.untested or len(cell.untested) > 10


def version_of(name: str) -> str:
    if name != "Node":
        return packages.distribution(name).version
    said = subprocess.run([program("node"), "--version"], capture_output=True, text=True, check=True)
    return said.stdout.removeprefix("v")


def test_the_page_names_the_versions_that_were_tried() -> None:
    """At least those: tox.ini asks for them, and other tests may find newer ones."""
    said = dict(re.findall(r"^- (\w+) (\d+\.\d+)$", PAGE.read_text(), re.MULTILINE))
    assert set(said) == {*client_rows.COLUMNS, *server_rows.COLUMNS} - {"sync_h2", "node"} | {"Node"}
    for name, version in said.items():
        installed = version_of(name).split(".")[:2]
        assert [int(part) for part in installed] >= [int(part) for part in version.split(".")], name
