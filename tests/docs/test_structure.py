"""How the documentation hangs together: pages are found from the front page, begin with what they are for, and link to
what is there.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
DOCS = REPOSITORY / "docs"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if "_build" not in page.parts)
# Outside of code: spans of it may look like links.
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def test_the_front_page_has_every_page() -> None:
    listed = re.findall(r"```\{toctree\}\n(?::.*\n)*\n?((?:.+\n)+?)```", (DOCS / "index.md").read_text())
    patterns = " ".join(listed).split()
    assert len(patterns) > 20
    unlisted = [page for page in PAGES if not any(fnmatch.fnmatch(page, f"{pattern}.md") for pattern in patterns)]
    assert unlisted == ["index.md"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_begins_with_what_it_is_for(page: str) -> None:
    lines = (DOCS / page).read_text().splitlines()
    if lines[0].startswith("```{include}"):
        return  # of a page that is read elsewhere too
    title, between, sentence = lines[:3]
    assert title.startswith("# ")
    assert between == ""
    assert re.match(r"[`\w*]", sentence), sentence


@pytest.mark.parametrize("page", ["../README.md", *PAGES])
def test_links_lead_to_what_is_there(page: str) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]+`", "", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    folder = (DOCS / page).parent
    assert [target for target in LINK.findall(text) if not (folder / target).exists()] == []
