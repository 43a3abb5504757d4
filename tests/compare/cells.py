"""What a cell of the tables in docs/compare.md says, and what a program has to find out for it to be true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOBODY_ASKED = object()


@dataclass(frozen=True)
class Cell:
    """`text` stands on the page. What a program finds is what the row wants, unless `found` says something else, and
    then the text begins with "no". Where no program can find it out, `untested` says why.
    """

    text: str
    found: Any = NOBODY_ASKED
    untested: str = ""

    def __post_init__(self) -> None:
        says_no = self.text == "no" or self.text.startswith(("no,", "no:"))
        assert self.untested or says_no == (self.found is not NOBODY_ASKED), self.text


@dataclass(frozen=True)
class Row:
    """`title` stands on the page. Programs are asked the `question`, and find `wanted` where they can do it."""

    title: str
    question: str
    wanted: Any
    cells: Mapping[str, Cell]

    def expected(self, column: str) -> Any:
        found = self.cells[column].found
        return self.wanted if found is NOBODY_ASKED else found


def no(found: Any, remark: str = "") -> Cell:
    """It can't, and this is what comes of trying."""
    return Cell(f"no{remark}", found)


YES = Cell("yes")
