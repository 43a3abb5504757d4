"""What docs/contributing.md, docs/security.md and CHANGELOG.md tell maintainers is so."""

from __future__ import annotations

import configparser
import dataclasses
import re
from pathlib import Path

import sync_h2
from sync_h2.protocol.limits import Limits
from sync_h2.version import __version__

REPOSITORY = Path(__file__).parent.parent
CONTRIBUTING = (REPOSITORY / "docs" / "contributing.md").read_text()
SECURITY = (REPOSITORY / "docs" / "security.md").read_text()
CHANGES = (REPOSITORY / "CHANGELOG.md").read_text()


def environments_of_tox() -> set[str]:
    """Those that tox.ini has a section for, and those of its list; not those that a factor makes (`stress-py310`)."""
    configuration = configparser.RawConfigParser()
    configuration.read(REPOSITORY / "tox.ini")
    sections = {name.removeprefix("testenv:").partition("{")[0] for name in configuration if "testenv:" in name}
    return sections | {name.strip() for name in configuration["tox"]["env_list"].split(",")}


def test_every_environment_has_its_command():
    named = set(re.findall(r"tox run -e ([\w-]+)", CONTRIBUTING))
    assert "(`py310` to `py314`)" in CONTRIBUTING
    between = {"py310", "py311", "py312", "py314"}
    assert named | between == environments_of_tox() | {"py315"}  # which tox makes of its factor


def test_the_command_for_all_is_that_of_readme():
    (command,) = re.findall(r"\.venv/bin/(tox run-parallel[^`\n]*)", (REPOSITORY / "README.md").read_text())
    assert f"`{command}`" in CONTRIBUTING


def test_the_files_and_variables_that_the_pages_name_are_there():
    named = re.findall(r"`(\.?[\w-]+(?:/[\w.-]+)+|[A-Z]+\.md)`", CONTRIBUTING + SECURITY)
    assert len(named) > 5
    made = {".venv/bin", "docs/_build"}
    assert not [name for name in named if name not in made and not (REPOSITORY / name).exists()]
    variables = set(re.findall(r"SYNC_H2_[A-Z_]+", CONTRIBUTING))
    settings = "".join((REPOSITORY / name).read_text() for name in ("tox.ini", "setup.py"))
    assert variables and all(name in settings for name in variables)


def test_the_limits_of_the_code_are_those_that_are_checked():
    checked = (REPOSITORY / "tests" / "test_packaging.py").read_text()
    assert "at most 450 lines; at most 15 modules a folder" in CONTRIBUTING
    assert "> 450]" in checked and "> 15]" in checked


def test_every_attack_is_tried():
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("*.py") if path != Path(__file__))
    attacks = re.findall(r"CVE-\d+-\d+", SECURITY)
    assert len(attacks) > 4
    assert not [attack for attack in attacks if attack not in tests]


def test_every_option_that_protects_exists():
    options = set(re.findall(r"`((?:max|stream)_\w+|\w+_timeout)`", SECURITY))
    known = {field.name for field in dataclasses.fields(Limits)}
    assert len(options) > 10
    assert options - known == {"max_sessions_per_address", "max_sessions"} - known


def test_only_marked_fields_and_authorization_stay_out_of_compression():
    marked = sync_h2.Headers()
    marked.add("x-key", "k" * 50, sensitive=True)
    frames: list[str] = []
    with (
        sync_h2.create_server(lambda stream, headers: stream.end(b"")) as server,
        sync_h2.connect(server.url, trace=frames.append) as session,
    ):
        for headers in (marked, {"authorization": "a" * 50}, {"x-key": "u" * 50}):
            for _ in range(2):
                session.request(headers).read()
    lengths = [int(length) for length in re.findall(r"sent HEADERS .*?length=(\d+)", "\n".join(frames))]
    # What is in the table is not sent a second time.
    assert [length > 30 for length in lengths] == [True, True, True, True, True, False]


def test_the_change_log_begins_with_this_version():
    versions = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", CHANGES, re.MULTILINE)
    assert versions[0] == __version__
    assert len(versions) == CHANGES.count("\n## ")


def test_what_is_compared_is_what_the_page_says():
    """A newer version is tried when somebody changes both, and fails nothing until then."""
    page = (REPOSITORY / "docs" / "compare.md").read_text()
    named = set(re.findall(r"^- (\w+) (\d+\.\d+)$", page, re.MULTILINE))
    named = {(name, version) for name, version in named if name != "Node"}  # which no package index has
    assert {name for name, _ in named} == {"requests", "httpx", "niquests", "hypercorn", "gunicorn"}
    assert set(re.findall(r"(\w+)\[[\w,]+\]==([\d.]+)\.\*", (REPOSITORY / "tox.ini").read_text())) == named
