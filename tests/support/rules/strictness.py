"""What a test run may not do: skip under CI=true, or give one test more than two minutes."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

LONGEST_TIMEOUT_SECONDS = 120


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under CI=true everything that tests need is there, so a skip hides something: make it a failure."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {report.longreprtext}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("timeout"):
            seconds = marker.args[0] if marker.args else marker.kwargs["timeout"]
            if not 0 < seconds <= LONGEST_TIMEOUT_SECONDS:
                raise pytest.UsageError(
                    f"{item.nodeid}: a timeout of {seconds} s is not within 0 to {LONGEST_TIMEOUT_SECONDS} s"
                )
