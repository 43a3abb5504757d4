"""The reference has every public name, and its directives name what there is."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
OF_PACKAGE = ("adapters", "compat", "errors", "exceptions", "gunicorn", "testing")
MODULES = ["sync_h2", "sync_h2_pytest", *(f"sync_h2.{name}" for name in OF_PACKAGE)]
FOR_OTHER_MODULES = {"is_unprocessed", "said"}  # of this package
DIRECTIVE = re.compile(r"^\.\. (?P<kind>auto\w+):: (?P<name>[\w.]+)\n(?P<options>(?:   :.*\n)*)", re.MULTILINE)


def public_names(module: ModuleType) -> list[str]:
    """What `__all__` has; where there is none, what the module itself makes."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if name != "__version__"]
    made_here = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    return [name for name in made_here - FOR_OTHER_MODULES if not name.startswith("_")]


def found(path: str) -> object:
    """What stands at a dotted path."""
    for cut in range(path.count(".") + 1, 0, -1):
        parts = path.split(".")
        try:
            place: object = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            place = getattr(place, name)
        return place
    raise AssertionError(f"there is no {path}")


def documented() -> Iterator[object]:
    """What the directives of the reference show."""
    for page in (DOCS / "reference").glob("*.md"):
        for directive in DIRECTIVE.finditer(page.read_text()):
            shown = found(directive["name"])
            yield shown
            members = re.search(r"^   :members:(.*)$", directive["options"], re.MULTILINE)
            if isinstance(shown, ModuleType) and members:
                names = re.findall(r"\w+", members[1]) or public_names(shown)
                yield from (getattr(shown, name) for name in names)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_on_a_page(module: str) -> None:
    shown = list(documented())
    place = importlib.import_module(module)
    missing = [name for name in public_names(place) if not any(getattr(place, name) is one for one in shown)]
    assert len(public_names(place)) > 0
    assert missing == []


def test_what_has_members_has_words_for_them() -> None:
    for shown in documented():
        if inspect.isclass(shown) or inspect.isfunction(shown):
            assert inspect.getdoc(shown), shown


def test_all_that_is_read_from_the_environment_is_in_the_table() -> None:
    source = "".join(path.read_text() for path in (DOCS.parent / "sync_h2").rglob("*.py"))
    read = set(re.findall(r"(?:os\.environ(?:\.get\(|\[)|\bvariable\()\"(\w+)\"", source))
    assert {"SYNC_H2_TRACE", "SSLKEYLOGFILE", "NETRC"} <= read
    told = (DOCS / "reference" / "environment.md").read_text()
    assert [name for name in read if f"`{name.upper()}`" not in told and name != "HOME"] == []


def test_what_is_made_from_code_is_on_the_pages() -> None:
    pages = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    made = set(re.findall(r"^```\{from-code\} (\S+)$", pages, re.MULTILINE))
    assert made == {"commands", "error-tree", "exit-statuses"}
