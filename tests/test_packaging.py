"""What a user installs: complete, typed, with two dependencies, and without secrets."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import sync_h2

REPOSITORY = Path(__file__).parent.parent
INSTALLED = Path(sync_h2.__file__).parent


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_every_file_of_the_package_is_installed():
    assert files_of(INSTALLED) == files_of(REPOSITORY / "sync_h2")
    assert "py.typed" in files_of(INSTALLED)


def test_runtime_dependencies_are_h2_and_certifi():
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    assert configuration["options"]["install_requires"].split() == ["h2>=4.4.1,<5", "certifi"]


def test_the_command_is_installed():
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    name, _, place = configuration["options.entry_points"]["console_scripts"].strip().partition(" = ")
    module, _, function = place.partition(":")
    script = f"import sys; from {module} import {function}; sys.exit({function}(['--help']))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (name, finished.returncode, finished.stderr) == ("sync-h2", 0, "")
    assert finished.stdout.startswith("usage: sync-h2 ")


# Modules that an option asks for, which says what to install where that is missing: extra -> its modules and package.
NEED_H11 = ("bodies", "exchange", "head_memo", "protocol", "request_heads", "sending", "session", "state")
OF_EXTRAS = {
    "http1": ({f"http1.{name}" for name in NEED_H11}, "h11"),
    "gunicorn": ({"gunicorn"}, "gunicorn"),
    "httpx": ({"adapters.httpx_transport"}, "httpx"),
    "requests": ({"adapters.requests_adapter", "adapters.urllib3_retries"}, "requests"),
}


def test_importing_everything_needs_nothing_else():
    # A process of its own, so that what the tests import does not count.
    script = """
import sys
before = set(sys.modules)
import os, pkgutil, sync_h2, sysconfig
for module in pkgutil.walk_packages(sync_h2.__path__, "sync_h2."):
    if module.name not in sys.argv:
        __import__(module.name)
imported = {name.partition(".")[0] for name in sys.modules if name not in before}
# A build may add modules to the standard library that its list of names has not.
standard = {name.partition(".")[0] for name in os.listdir(sysconfig.get_path("stdlib"))}
print(*imported - sys.stdlib_module_names - standard)
"""
    left_out = [f"sync_h2.{name}" for names, _ in OF_EXTRAS.values() for name in names]
    finished = subprocess.run([sys.executable, "-c", script, *left_out], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    # "__mp_main__" is what multiprocessing calls the main module, too.
    assert set(finished.stdout.split()) <= {"sync_h2", "h2", "hpack", "hyperframe", "certifi", "__mp_main__"}


def test_what_needs_more_is_an_extra():
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    extras = configuration["options.extras_require"]
    for extra, (names, package) in OF_EXTRAS.items():
        assert extras[extra].startswith(f"\n{package}")
        assert package in extras["test"]
        assert {f"{name.replace('.', '/')}.py" for name in names} <= files_of(INSTALLED)


def test_no_private_key_is_in_the_repository():
    mark = b"PRIVATE" + b" KEY-----"
    folders = [REPOSITORY / name for name in ("sync_h2", "tests", "examples", ".ci")]
    files = {path for path in REPOSITORY.iterdir() if path.is_file()}
    files.update(folder / name for folder in folders for name in files_of(folder))
    assert [path for path in files if mark in path.read_bytes()] == []


def test_no_module_is_long_and_no_folder_is_full():
    modules = list((REPOSITORY / "sync_h2").rglob("*.py"))
    assert len(modules) > 200
    assert not [str(path) for path in modules if len(path.read_text().splitlines()) > 450]
    folders = [path.parent for path in [*modules, *(REPOSITORY / "tests").rglob("*.py")]]
    assert not [str(folder) for folder in set(folders) if folders.count(folder) > 15]
