"""The rules of tests/support/ catch what they are there for: a breach, in a test run of its own, fails that run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import sync_h2
from support.rules.growth import assert_linear

# The run under test imports tests/support/ and the same package as this one, and obeys the same settings.
REPOSITORY = Path(__file__).parent.parent
IMPORTED = os.pathsep.join((str(REPOSITORY / "tests"), str(Path(sync_h2.__file__).parent.parent)))
OPTIONS = ("-p", "support.rules.leaks", "-p", "support.rules.strictness", "-c", str(REPOSITORY / "setup.cfg"), "-rfE")


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str, *, ci: str = "") -> pytest.RunResult:
    monkeypatch.setenv("PYTHONPATH", IMPORTED)
    monkeypatch.setenv("CI", ci)
    return pytester.runpytest_subprocess(*OPTIONS, "--rootdir", pytester.path, pytester.makepyfile(test_sample=source))


def test_what_is_left_over_fails_the_test_that_left_it(pytester, monkeypatch):
    result = run(
        pytester,
        monkeypatch,
        """
        import os, socket, threading
        import support.rules.leaks

        support.rules.leaks.GRACE_SECONDS = 0.1

        def wait_for_ever():
            threading.Event().wait()

        def test_clean():
            thread = threading.Thread(target=lambda: None)
            thread.start()
            with socket.socket():
                pass

        def test_process_wide_timers():
            threading.Thread(target=wait_for_ever, name="sync_h2-timers", daemon=True).start()

        def test_thread():
            threading.Thread(target=wait_for_ever, name="forgotten", daemon=True).start()

        def test_descriptor():
            os.pipe()

        def test_unclosed_socket():
            socket.socket()

        def test_exception_in_a_thread():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        """,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "ERROR test_sample.py::test_thread - *threads*",
            "forgotten (daemon):",
            "*in wait_for_ever",
            "ERROR test_sample.py::test_descriptor - *descriptors*",
            "*: pipe:*",
            "* test_sample.py::test_unclosed_socket - *",
            "*ResourceWarning: unclosed <socket.socket*",
            "* test_sample.py::test_exception_in_a_thread - *",
            "*ZeroDivisionError: division by zero",
        ]
    )
    result.stdout.no_fnmatch_line("* test_sample.py::test_clean - *")
    result.stdout.no_fnmatch_line("* test_sample.py::test_process_wide_timers - *")


def test_a_hang_fails_with_the_stacks_of_all_threads(pytester, monkeypatch):
    result = run(
        pytester,
        monkeypatch,
        """
        import threading
        import pytest

        release = threading.Event()

        def wait_for_ever():
            release.wait()

        @pytest.mark.timeout(1)
        def test_hang():
            thread = threading.Thread(target=wait_for_ever, name="hanging")
            thread.start()
            try:
                thread.join()
            finally:
                release.set()
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Stack of hanging*", "*in wait_for_ever"])


def test_a_timeout_above_two_minutes_is_refused(pytester, monkeypatch):
    result = run(
        pytester,
        monkeypatch,
        """
        import pytest

        @pytest.mark.timeout(121)
        def test_long():
            pass
        """,
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_long: a timeout of 121 s is not within 0 to 120 s"])


@pytest.mark.parametrize(
    ("ci", "outcomes"), [("", {"skipped": 1, "xfailed": 1}), ("true", {"failed": 1, "xfailed": 1})]
)
def test_a_skip_fails_under_ci_only(pytester, monkeypatch, ci, outcomes):
    result = run(
        pytester,
        monkeypatch,
        """
        import pytest

        def test_skip():
            pytest.skip("no such program")

        @pytest.mark.xfail
        def test_expected_failure():
            assert False
        """,
        ci=ci,
    )
    result.assert_outcomes(**outcomes)


def test_a_skipped_module_fails_under_ci(pytester, monkeypatch):
    result = run(pytester, monkeypatch, "import pytest; pytest.importorskip('no_such_module')", ci="true")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*skipped under CI=true: *no_such_module*"])


def quadratic(size: int) -> Callable[[], object]:
    return lambda: [sum(range(size)) for _ in range(size)]


def linear_with_a_step(size: int) -> Callable[[], object]:
    return lambda: sum(range(size * 4 if size > 300 else size))


@pytest.mark.parametrize("size", [60, 200])
def test_what_grows_with_its_square_is_found(size: int) -> None:
    with pytest.raises(AssertionError, match="4 times the input takes"):
        assert_linear(quadratic, size)


@pytest.mark.parametrize("size", [100, 1000])
def test_a_step_is_no_growth(size: int) -> None:
    assert_linear(linear_with_a_step, size)
