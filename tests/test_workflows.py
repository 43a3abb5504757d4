"""The workflows in .github: they run README's command on every supported Python, and publish nothing untested."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parent.parent
FOLDER = REPOSITORY / ".github" / "workflows"


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load((FOLDER / name).read_text())


def steps_of(loaded: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in loaded["jobs"].values():
        yield from job.get("steps", [])


def commands_of(loaded: dict[Any, Any]) -> list[str]:
    return [step["run"] for step in steps_of(loaded) if "run" in step]


def versions_of(loaded: dict[Any, Any]) -> list[list[str]]:
    return [step["with"]["python-version"].split() for step in steps_of(loaded) if "setup-python" in str(step)]


def supported() -> set[str]:
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    return set(re.findall(r"Python :: (3\.\d+)$", configuration["metadata"]["classifiers"], re.MULTILINE))


def test_every_action_is_pinned_to_a_commit():
    names = sorted(path.name for path in FOLDER.iterdir())
    assert names == ["release.yml", "tests.yml"]
    used = [step["uses"] for name in names for step in steps_of(workflow(name)) if "uses" in step]
    assert len(used) > 5
    assert not [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)]


def test_the_tests_are_those_of_readme_on_every_python():
    tests = workflow("tests.yml")
    assert commands_of(tests)[-1] == ".ci/run"
    for name in (".ci/run", "README.md"):
        assert "<!-- test command -->" in (REPOSITORY / name).read_text()
    (versions,) = versions_of(tests)
    # The folder of the free-threaded build has a python3.13, too: it comes last in PATH.
    assert versions[0] == "3.13t"
    assert set(versions[1:]) == supported()


def test_the_workflow_installs_the_programs_that_ci_wants():
    wanted = re.findall(r"command -v ([\w-]+)", (REPOSITORY / ".ci" / "run").read_text())
    (install,) = (command for command in commands_of(workflow("tests.yml")) if "apt-get install" in command)
    installed = set(install.split())
    of_package = {
        "nghttp": "nghttp2",
        "nghttpd": "nghttp2",
        "h2load": "nghttp2",
        "go": "golang-go",
        "systemd-analyze": "systemd",
    }
    programs = {of_package.get(name, name) for name in wanted if not name.startswith("python")}
    assert len(programs) > 4
    assert programs - installed == {"chromium"}  # GitHub's machines have it, and Debian's package is not there


def test_what_is_published_was_tested_and_tried():
    release = workflow("release.yml")
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 takes the key `on` for a truth value
    jobs = release["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert "workflow_call" in workflow("tests.yml")[True]
    assert set(jobs["publish"]["needs"]) == {"tests", "package"}
    (versions,) = versions_of(release)
    assert set(versions) == supported()
    assert [command for command in commands_of(release) if command.endswith("/tox run -e package")]
    assert [command for command in commands_of(release) if '"$GITHUB_REF_NAME" = "v' in command]


def test_only_the_publishing_job_may_do_more_than_read():
    for name in ("tests.yml", "release.yml"):
        loaded = workflow(name)
        assert loaded["permissions"] == {"contents": "read"}
        allowed = {job: value["permissions"] for job, value in loaded["jobs"].items() if "permissions" in value}
        assert allowed == ({"publish": {"id-token": "write"}} if name == "release.yml" else {})
        assert "secrets." not in (FOLDER / name).read_text()
        checkouts = [step for step in steps_of(loaded) if "actions/checkout" in step.get("uses", "")]
        assert all(step["with"] == {"persist-credentials": False} for step in checkouts)
    publishing = workflow("release.yml")["jobs"]["publish"]["steps"]
    assert not [step for step in publishing if "run" in step]
