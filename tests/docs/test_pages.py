"""Every page of the documentation does what it says: its code blocks are run, in a directory with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages.runner import run_page

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = [REPOSITORY / "README.md"]
PAGES += sorted(page for page in (REPOSITORY / "docs").rglob("*.md") if "_build" not in page.parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_block_does_what_the_page_says(page: Path, tmp_path: Path) -> None:
    assert run_page(page, tmp_path / "page") is not None
