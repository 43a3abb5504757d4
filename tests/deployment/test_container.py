"""The Dockerfile of docs/deployment/container.md, as far as that goes without a daemon: its commands do in a fresh
virtual environment and a folder of their own what they would do in the image. And the manifest for Kubernetes.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import sync_h2
from support.pages.blocks import blocks_of
from support.programs.others import accepts, free_port
from support.threads.background import eventually

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "deployment" / "container.md"
GRACEFUL_TIMEOUT = 30


def files_of(page: Path) -> dict[str, str]:
    return {block.name: block.source for block in blocks_of(page) if block.kind == "file"}


def instructions() -> list[tuple[str, str]]:
    lines = files_of(PAGE)["Dockerfile"].replace("\\\n", " ").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


def command_of(name: str) -> list[str]:
    """The command of CMD or HEALTHCHECK, which has to be a list: a shell would keep the signals to itself."""
    return list(json.loads(re.sub(r"^.*?(?=\[)", "", dict(instructions())[name])))


class Image:
    """The folder and the environment of the container; `port` is what its port 8080 is here."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        self.folder = root / dict(instructions())["WORKDIR"].lstrip("/")
        self.folder.mkdir(parents=True)
        self._context = {
            name: source.replace("8080", str(self.port))
            for name, source in files_of(PAGE).items()
            if name != "Dockerfile"
        }
        venv.create(root / "venv")
        programs = root / "venv" / "bin"
        # What the image gets from the index is what the tests run with: pip, which is there too, finds it or fails.
        [packages] = (root / "venv").glob("lib/python*/site-packages")
        (packages / "tested.pth").write_text(sysconfig.get_path("purelib"))
        (programs / "pip").write_text(f'#!/bin/sh\nexec {programs}/python -m pip "$@"\n')
        (programs / "pip").chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PIP_"))}
        self.environment = {
            **inherited,
            "HOME": "/nonexistent",
            "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PIP_NO_INDEX": "1",
            "PYTHONPATH": str(Path(sync_h2.__file__).parent.parent),
        }

    def copy(self, names: list[str], destination: str) -> None:
        assert destination in (".", "./")
        for name in names:
            (self.folder / name).write_text(self._context[name])

    def run(self, command: str) -> str:
        finished = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=100
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder.parent / "log").open("w+") as log:
            process = subprocess.Popen(
                command_of("CMD"), cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                eventually(lambda: accepts(self.port) or process.poll() is not None, "gunicorn's start", seconds=60)
                log.seek(0)
                assert process.poll() is None, log.read()
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_what_the_dockerfile_does(tmp_path: Path) -> None:
    image = Image(tmp_path)
    said = []
    for name, rest in instructions():
        if name == "COPY":
            *names, destination = rest.split()
            image.copy(names, destination)
        elif name == "RUN":
            said.append(image.run(rest))
    assert "Requirement already satisfied: sync_h2[gunicorn,http1]" in said[0]
    assert sorted(path.name for path in image.folder.iterdir()) == [
        *("__pycache__", "gunicorn.conf.py", "requirements.txt", "shop.py")
    ]
    with image.running() as process:
        check = [part.replace("8080", str(image.port)) for part in command_of("HEALTHCHECK")]
        assert image.run(shlex.join(check)) == "well\n"
        with sync_h2.connect(f"http://127.0.0.1:{image.port}") as session:
            assert session.request().read(timeout=30) == b"apples and pears\n"
            process.send_signal(getattr(signal, dict(instructions())["STOPSIGNAL"]))
            assert process.wait(30) == 0


def test_its_python_is_supported() -> None:
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    found = re.fullmatch(r"python:([\d.]+)-slim", dict(instructions())["FROM"])
    assert found
    assert f"Programming Language :: Python :: {found[1]}\n" in configuration["metadata"]["classifiers"]


def test_it_may_take_longer_to_stop_than_requests_may() -> None:
    assert f"graceful_timeout = {GRACEFUL_TIMEOUT}\n" in files_of(PAGE)["gunicorn.conf.py"]
    said = re.findall(r"(?:--stop-timeout |stop_grace_period: )(\d+)", PAGE.read_text())
    assert said and min(map(int, said)) > GRACEFUL_TIMEOUT


def test_the_manifest_for_kubernetes_asks_what_is_answered(tmp_path: Path) -> None:
    page = PAGE.with_name("health.md")
    manifest: Any = yaml.safe_load(files_of(page)["deployment.yaml"])
    spec = manifest["spec"]["template"]["spec"]
    [container] = spec["containers"]
    assert manifest["spec"]["selector"]["matchLabels"] == manifest["spec"]["template"]["metadata"]["labels"]
    assert container["readinessProbe"]["httpGet"]["port"] == container["ports"][0]["containerPort"]
    drained_from = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] - drained_from > GRACEFUL_TIMEOUT
    probe = container["livenessProbe"]
    command = probe["exec"]["command"]
    assert int(command[command.index("--timeout") + 1]) < probe["timeoutSeconds"]

    answered = []

    def handler(stream: Any, headers: Any) -> None:
        answered.append(headers[":path"])
        stream.end(b"well")

    with sync_h2.create_server(handler, port=0) as server:
        asked = [part.replace("127.0.0.1:9000", f"127.0.0.1:{server.address[1]}") for part in command]
        finished = subprocess.run(
            [sys.executable, "-m", "sync_h2", *asked[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    assert (finished.returncode, finished.stdout, asked[0]) == (0, b"well", "sync-h2")
    assert answered == [container["readinessProbe"]["httpGet"]["path"]]


@pytest.mark.parametrize("page", ["container.md", "systemd.md", "health.md"])
def test_what_no_page_can_run_is_tested_here(page: str) -> None:
    """A block that is not run says why, and this folder's tests take its place."""
    reasons = re.findall(r"<!-- not run: (.*) -->", PAGE.with_name(page).read_text())
    assert all("tests/deployment" in reason for reason in reasons)
