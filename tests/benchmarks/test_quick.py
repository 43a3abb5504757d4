"""The benchmarks run, and their report is right about the samples."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import free_threading, report, servers, workplace
from benchmarks.rows import CPU_PER_REQUEST, OURS, REQUESTS_PER_SECOND, ROWS, Entry, Goal, Row
from benchmarks.sitting import Result
from support.programs.others import program

TESTS = Path(__file__).parent.parent
PARTS = 6
"""All rows at once would take longer than a test may on a slow machine."""


def quick(folder: Path, only: str, *options: str) -> list[Any]:
    """The rows of the results."""
    # Not measured by coverage: it makes every process slow to start, and there are many.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    searched = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(folder), "--only", f"^({only})$", *options],
        env={**unmeasured, "PYTHONPATH": searched},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            output, _ = process.communicate()
        finally:
            process.terminate()  # it ends its servers then
    assert process.returncode == 0, output
    assert (folder / "results.txt").read_text() in output
    rows: list[Any] = json.loads((folder / "results.json").read_text())["rows"]
    return rows


@pytest.mark.parametrize("part", range(PARTS))
def test_every_row_runs(tmp_path: Path, part: int) -> None:
    names = [row.name for row in ROWS if not row.free_threaded][part::PARTS]
    for name in ("node", "nghttpd", "h2load", "curl"):
        program(name)
    rows = quick(tmp_path, "|".join(names))
    assert [row["name"] for row in rows] == names
    for row in rows:
        measured = {entry["peer"] for entry in row["entries"]}
        assert OURS in measured, row
        assert "node" in measured or row["name"] in ("server-processes", "server-wsgi", "client-calls"), row
        assert all(entry["median"][row["metric"]] > 0 for entry in row["entries"]), row
        assert set(row["left_out"].values()) <= {"not installed"}


def test_rows_of_free_threading_run(tmp_path: Path) -> None:
    """What an interpreter with the GIL can: only half of each row."""
    program("h2load")
    rows = quick(tmp_path, "free-threaded.*", "--peers", servers.WITH_GIL, "--free-threaded", sys.executable)
    assert [row["name"] for row in rows] == [row.name for row in ROWS if row.free_threaded]
    for row in rows:
        assert [entry["peer"] for entry in row["entries"]] == [servers.WITH_GIL]
        assert all(entry["median"][free_threading.ALONE] > 0 for entry in row["entries"]), row


def test_rows_of_free_threading_say_what_they_need(tmp_path: Path) -> None:
    program("h2load")
    (row,) = quick(tmp_path, "free-threaded", "--free-threaded", "")
    assert row["left_out"] == {"all": "no free-threaded Python (python3.15t, python3.14t, python3.13t) is installed"}


def test_a_free_threaded_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workplace.sysconfig, "get_config_var", lambda name: 0)
    monkeypatch.setattr(workplace, "_SEARCH_PATH", str(tmp_path))
    assert workplace.free_threaded_python() is None
    for name in ("python3.13", "python3.13t", "python3.14t"):
        (tmp_path / name).touch(0o755)
    assert workplace.free_threaded_python() == str(tmp_path / "python3.14t")
    monkeypatch.setattr(workplace.sysconfig, "get_config_var", lambda name: 1)
    assert workplace.free_threaded_python() == sys.executable


@pytest.mark.parametrize(
    ("gil", "cores_of_load", "expected"), [(False, 0.5, 400), (True, 0.5, 300), (True, 1.25, 400), (False, 0, 300)]
)
def test_the_share_of_who_asks_is_taken_into_account(gil: bool, cores_of_load: float, expected: float) -> None:
    assert free_threading.alone(300, cores_of_load, cores=2, gil=gil) == expected


def a_result(ours: list[float], theirs: list[float]) -> Result:
    """Of a row whose goals are half of their requests, and 100 us of CPU for one of ours."""
    us, them = Entry(OURS), Entry("node")
    goals = [
        Goal(REQUESTS_PER_SECOND, us, them, 0.5),
        Goal(CPU_PER_REQUEST, us, None, 100, at_most=True),
    ]
    row = Row("a-row", "A row", REQUESTS_PER_SECOND, pytest.fail, (OURS, "node", "gunicorn"), goals=goals)
    samples = {
        entry: [{REQUESTS_PER_SECOND: rate, CPU_PER_REQUEST: 1e6 / rate} for rate in rates]
        for entry, rates in ((us, ours), (them, theirs))
    }
    return Result(row, samples, {"gunicorn": "not installed"})


def test_a_goal_is_judged_by_the_median_of_the_rounds_ratios() -> None:
    # The last round was slow for both. The ratio of the medians would be 0.4.
    result = a_result(ours=[4000, 6000, 3000], theirs=[10000, 11000, 5000])
    assert report.as_text(result, judged=True).splitlines() == [
        "A row  (a-row)",
        "           requests/s  CPU us/request  sync_h2 / peer         goal",
        "  sync_h2       4,000             250",
        "  node         10,000             100           0.55x  >= 0.5x met",
        "  sync_h2: CPU us/request 250, goal <= 100 NOT MET",
        "  gunicorn: left out, not installed",
    ]


def test_a_goal_of_another_entry_has_a_line_of_its_own() -> None:
    result = a_result(ours=[4000], theirs=[5000])
    goals = [Goal(REQUESTS_PER_SECOND, Entry("node"), Entry("gunicorn"), 2)]
    result = Result(dataclasses.replace(result.row, goals=goals), result.samples, {})
    result.samples[Entry("gunicorn")] = [{REQUESTS_PER_SECOND: 1000, CPU_PER_REQUEST: 1000}]
    assert "  requests/s, node / gunicorn: 5.00x, goal >= 2x met" in report.as_text(result, judged=True).splitlines()


def test_others_may_fail_now_and_then_we_may_not() -> None:
    result = a_result(ours=[4000], theirs=[5000])
    outcomes = iter([OSError("timed out"), 1])

    def act() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    assert result.attempt(Entry("node"), act) == 1
    outcomes = iter([OSError("timed out\nat some place"), 1])
    assert result.attempt(Entry(OURS), act) is None
    assert report.as_text(result, judged=False).splitlines()[-2:] == [
        "  node: 1 measurements failed and were repeated, OSError: timed out",
        "  sync_h2: FAILED, OSError: timed out",
    ]
    assert list(result.samples) == [Entry("node")]


def test_what_was_not_measured_is_not_judged() -> None:
    result = a_result(ours=[4000], theirs=[5000])
    del result.samples[Entry("node")]
    result.failures[Entry("node")] = "RuntimeError: requests failed"
    assert "  node: FAILED, RuntimeError: requests failed" in report.as_text(result, judged=True).splitlines()
    (row,) = json.loads(report.as_json([result], {}))["rows"]
    assert [(goal["value"], goal["met"]) for goal in row["goals"]] == [(None, None), (250, False)]
