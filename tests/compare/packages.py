"""The libraries that are compared, as packages: where they are, and what their metadata say."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

NIQUESTS = os.environ.get("SYNC_H2_NIQUESTS", "")
"""The folder that niquests was installed into, with `pip install --target`: where it is installed as others are, it
takes the place of urllib3 for all of them, and requests is another library then. `tox -e compare` sees to that.
"""

# What the count is for, whatever runs the tests: older ones need more.
_PYTHON = {"python_version": "3.13", "python_full_version": "3.13.0"}


def distribution(name: str) -> importlib.metadata.Distribution:
    """As it was installed for the comparison."""
    for folder in ([NIQUESTS], None):
        found = importlib.metadata.distributions(name=name, **({"path": folder} if folder else {}))
        if one := next(iter(found), None):
            return one
    raise AssertionError(f"{name} is not installed: see `tox -e compare`")


def _needed(name: str, extras: set[str]) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        environments = [{**_PYTHON, "extra": extra} for extra in (extras or {""})]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement


def dependencies(name: str, *extras: str) -> set[str]:
    """All packages that come with it, theirs too."""
    found: set[str] = set()
    looked_at = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        one = waiting.pop()
        if one in looked_at:
            continue
        looked_at.add(one)
        for requirement in _needed(one[0], set(one[1])):
            found.add(requirement.name.lower().replace("_", "-"))
            waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def classifier(name: str, topic: str) -> list[str]:
    """What it says of itself under that topic."""
    classifiers = distribution(name).metadata.get_all("Classifier") or []
    return [text.rpartition(" :: ")[2] for text in classifiers if text.startswith(f"{topic} :: ")]


def is_typed(name: str) -> bool:
    """Whether it says that its annotations may be relied on (PEP 561)."""
    spec = importlib.machinery.PathFinder.find_spec(name, [NIQUESTS, *sys.path])
    return spec is not None and spec.origin is not None and Path(spec.origin).with_name("py.typed").is_file()
