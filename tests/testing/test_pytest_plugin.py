"""The fixtures of pytest, in test runs of their own."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sync_h2

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGES = str(Path(sync_h2.__file__).parent.parent)


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str) -> pytest.RunResult:
    # `-p`, because a checkout has no entry points; where there are some, the module is loaded once all the same.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([PACKAGES, str(REPOSITORY)]))
    return pytester.runpytest_subprocess(
        "-p", "sync_h2_pytest", "-p", "no:cacheprovider", "-W", "error", pytester.makepyfile(source)
    )


def test_a_server_and_its_client(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(
        pytester,
        monkeypatch,
        """
        import pytest
        import sync_h2

        def test_news(http2_server, http2_client):
            http2_server.route("/news").respond(200, {}, "hello")
            assert http2_client.get("/news").text == "hello"
            assert http2_server.wait_request().path == "/news"

        def test_each_test_has_a_server_of_its_own(http2_server, http2_client):
            assert http2_server.requests == []
            assert http2_client.get("/news").status_code == 404
            assert [request.routed for request in http2_server.requests] == [False]

        def test_what_stalls_is_no_matter_afterwards(http2_server, http2_client):
            http2_server.route("/unused").respond(204)
            http2_server.route("/").stall()
            with pytest.raises(sync_h2.ReadTimeout):
                http2_client.get("/", timeout=(10, 0.1))
        """,
    )
    result.assert_outcomes(passed=3)


def test_a_server_with_tls(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(
        pytester,
        monkeypatch,
        """
        import pytest

        @pytest.fixture
        def http2_server_options():
            return {"tls": True, "settings": {"max_concurrent_streams": 1}}

        def test_news(http2_server, http2_client):
            assert http2_server.url.startswith("https:")
            http2_server.route("/news").respond(200, {}, "hello")
            assert http2_client.get("/news").text == "hello"
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_plugin_imports_nothing_before_a_test_asks(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(
        pytester,
        monkeypatch,
        """
        import sys

        def test_nothing_is_imported():
            assert "sync_h2_pytest" in sys.modules
            assert not [name for name in sys.modules if name.split(".")[0] in ("sync_h2", "h2", "hpack")]
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_plugin_is_installed_by_its_own_name() -> None:
    """So that `-p sync_h2_pytest` loads it no second time."""
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    assert configuration["options"]["py_modules"] == "sync_h2_pytest"
    assert configuration["options.entry_points"]["pytest11"].strip() == "sync_h2_pytest = sync_h2_pytest"


def test_the_package_imports_no_pytest_and_little_else() -> None:
    script = """
import sys
import sync_h2.testing
assert not [name for name in sys.modules if name.startswith("sync_h2.testing.")]
from sync_h2.testing import ScriptedServer
assert "sync_h2.compat" not in sys.modules
from sync_h2.testing import *
assert not {"pytest", "trustme"} & set(sys.modules)
assert {"pair", "ScriptedServer", "HandlerTransport"} <= set(dir(sync_h2.testing))
"""
    environment = {**os.environ, "PYTHONPATH": PACKAGES}
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr


def test_a_name_that_is_not_there() -> None:
    import sync_h2.testing

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sync_h2.testing.nothing  # noqa: B018
