"""The units of docs/deployment/systemd.md: systemd takes them, and their commands start, reload and end the service."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sync_h2
from support.connections.retrying_client import RetryingClient
from support.pages.blocks import blocks_of
from support.programs.others import program
from support.threads.background import Background, background, eventually
from support.tls.certificates import Certificate

__all__ = ["background"]

PAGE = Path(__file__).parents[2] / "docs" / "deployment" / "systemd.md"
CONNECTIONS, HANDLERS = 1000, 256  # gunicorn's worker_connections, and the worker's handlers


def files_of_the_page() -> dict[str, str]:
    return {block.name: block.source for block in blocks_of(PAGE) if block.kind == "file"}


def settings_of(unit: str) -> dict[str, str]:
    """The last value of each setting; lines that go on are joined."""
    lines = files_of_the_page()[unit].replace("\\\n", " ").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What would be /srv/shop: the application and the program that the unit starts."""
    (tmp_path / "shop.py").write_text(files_of_the_page()["shop.py"])
    gunicorn = tmp_path / "venv" / "bin" / "gunicorn"
    gunicorn.parent.mkdir(parents=True)
    gunicorn.write_text(f'#!/bin/sh\nexec {sys.executable} -m gunicorn "$@"\n')
    gunicorn.chmod(0o755)
    return tmp_path


def test_systemd_takes_them(folder: Path) -> None:
    units = []
    for name, source in files_of_the_page().items():
        if name.endswith((".service", ".socket")):
            units.append(folder / name)
            units[-1].write_text(source.replace("/srv/shop", str(folder)))
    finished = subprocess.run([program("systemd-analyze"), "verify", *units], capture_output=True, text=True)
    about_these = [line for line in finished.stderr.splitlines() if line.startswith("shop.") or str(folder) in line]
    assert (finished.returncode, about_these) == (0, [])
    assert len(units) == 2


def test_its_limits_are_enough() -> None:
    unit = settings_of("shop.service")
    workers, graceful_timeout = (
        int(value[1])
        for option in ("--workers", "--graceful-timeout")
        if (value := re.search(rf"{option} (\d+)", unit["ExecStart"]))
    )
    assert int(unit["TasksMax"]) > workers * (CONNECTIONS + HANDLERS)
    assert int(unit["LimitNOFILE"]) > workers * CONNECTIONS * 2
    assert int(unit["TimeoutStopSec"]) > graceful_timeout


class Service:
    """Does what systemd does with the units: holds the port, and runs the commands."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self._folder = folder
        credentials = folder / "credentials"
        credentials.mkdir()
        (credentials / "server.pem").symlink_to(certificate.certfile)
        (credentials / "server.key").symlink_to(certificate.keyfile)
        self._unit = {
            name: value.replace("/srv/shop", str(folder)).replace("%d", str(credentials))
            for name, value in settings_of("shop.service").items()
        }
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=int(settings_of("shop.socket")["Backlog"]))
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A path that is short enough for one of a socket, which the test's folder may not be.
        self._places = tempfile.TemporaryDirectory()
        self._notices.bind(f"{self._places.name}/notify")
        self._notices.settimeout(30)
        self.url = f"https://localhost:{self._socket.getsockname()[1]}"
        self._log = (folder / "log").open("w+")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Returns when it has said that it is ready."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        searched = os.pathsep.join([str(Path(sync_h2.__file__).parent.parent), *sys.path])
        self._process = subprocess.Popen(
            # The shell has the process' id, and keeps it when it becomes gunicorn.
            ["bash", "-c", f"exec 3<&{self._socket.fileno()}; LISTEN_PID=$$ exec {self._unit['ExecStart']}"],
            cwd=self._folder,
            env={**inherited, "PYTHONPATH": searched, "LISTEN_FDS": "1", "NOTIFY_SOCKET": self._notices.getsockname()},
            pass_fds=[self._socket.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        assert b"READY=1" in self._notices.recv(4096)

    def reload(self) -> None:
        assert self._process is not None
        command = self._unit["ExecReload"].replace("$MAINPID", str(self._process.pid))
        subprocess.run(shlex.split(command), check=True)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(int(self._unit["TimeoutStopSec"]))

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()
        self._socket.close()
        self._notices.close()
        self._places.cleanup()


@pytest.fixture
def service(folder: Path, certificate: Certificate) -> Iterator[Service]:
    service = Service(folder, certificate)
    try:
        yield service
    finally:
        service.close()


def reload(service: Service) -> None:
    service.reload()
    eventually(lambda: service.log.count("Booting worker") == 4, "the new processes", seconds=60)


def restart(service: Service) -> None:
    assert service.stop() == 0
    service.start()


@pytest.mark.parametrize("change", [reload, restart])
def test_no_request_is_lost(
    change: Callable[[Service], None], service: Service, certificate: Certificate, background: Background
) -> None:
    service.start()
    client = RetryingClient(service.url, cafile=str(certificate.cafile))
    try:
        working = background(client.get_all, ["/apples"] * 4000, 8)
        client.has(500)
        change(service)
        assert working.result(100) == [b"apples\n"] * 4000
        assert client.get("/apples") == b"apples\n"
    finally:
        client.close()
    assert service.stop() == 0
