"""Runs suites: `python -m peers FOLDER [SUITE...]`, where the folder has the source distributions of `sources.txt`.

The package under test is imported from its own source distribution, so that it fits its tests.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

_MOST_MEMORY = 8 << 30


@dataclass(frozen=True)
class Suite:
    """Tests of `project`, whose package lies in its folder `package_root`, with plugins of this folder."""

    project: str
    package_root: str
    plugins: tuple[str, ...]
    tests: tuple[str, ...] = ("tests",)


# The others are about requests' parts, which have no counterpart here.
_OF_SESSIONS = tuple(f"tests/test_{name}.py" for name in ("requests", "lowlevel", "testserver", "structures"))
SUITES = {
    "requests-over-http1": Suite(
        "requests", "src", ("pytest_httpbin.plugin", "peers.httpbin_server", "peers.requests_over_http1")
    ),
    "requests-over-h2c": Suite(
        "requests", "src", ("pytest_httpbin.plugin", "peers.httpbin_server", "peers.requests_over_h2c")
    ),
    "sync_h2-as-requests": Suite(
        "requests", "src", ("pytest_httpbin.plugin", "peers.httpbin_server", "peers.sync_h2_as_requests"), _OF_SESSIONS
    ),
    "httpx": Suite("httpx", ".", ("anyio.pytest_plugin", "peers.httpx_over_transport")),
}


def run(name: str, suite: Suite, archive: Path) -> int:
    """Run a suite; its exit status."""
    print(f"{name}: the tests of {archive.name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sync_h2-peers-") as folder:
        with tarfile.open(archive) as contents:
            contents.extractall(folder, filter="data")
        root = next(Path(folder).iterdir())
        plugins = ["no:cacheprovider", "pytest_timeout", "pytest_mock", *suite.plugins, "peers.known_failures"]
        options = [option for plugin in plugins for option in ("-p", plugin)]
        options += ["--disable-warnings", "--tb=short", "-rfE", "--timeout=60", "--known-failures", name]
        path = [str(root / suite.package_root), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options, *suite.tests],
            cwd=root,
            env={
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTHONPATH": os.pathsep.join(filter(None, path)),
            },
        ).returncode


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m peers", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("suites", nargs="*", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    options = parser.parse_args()
    # A body that never ends is to end its test, not the machine.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    failed = []
    for name in options.suites or SUITES:
        (archive,) = options.folder.glob(f"{SUITES[name].project}-*.tar.gz")
        if run(name, SUITES[name], archive):
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
