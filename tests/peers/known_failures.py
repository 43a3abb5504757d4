"""A plugin: what stands in `known_failures.toml` for the suite has to fail, and all else to succeed."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomllib


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--known-failures", metavar="SUITE", help="the section of known_failures.toml")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    suite = config.getoption("--known-failures")
    sections = tomllib.loads(Path(__file__).with_name("known_failures.toml").read_text())
    reasons = {test: entry["reason"] for entry in sections.get(suite, []) for test in entry["tests"]}
    found = set()
    for item in items:
        # A function stands for itself with all of its parameters.
        for name in {item.nodeid, item.nodeid.partition("[")[0]} & reasons.keys():
            item.add_marker(pytest.mark.xfail(reason=reasons[name], strict=True))
            item.add_marker(pytest.mark.timeout(10))  # some of their servers wait for what does not come
            found.add(name)
    if unknown := reasons.keys() - found:
        raise pytest.UsageError(f"known_failures.toml, {suite}: no such tests: {', '.join(sorted(unknown))}")
