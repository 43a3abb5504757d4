"""The files that servers and clients of the benchmarks need, and the programs that are installed."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h2

import sync_h2
from support.tls.authority import CA

PROGRAMS = Path(__file__).parent / "programs"
BODY = b"hello world\n"
FREE_THREADED_PYTHONS = ("python3.15t", "python3.14t", "python3.13t")
_SEARCH_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"  # Debian's place for servers
_VERSION_OPTIONS = {"node": "--version", "nghttpd": "--version", "h2load": "--version", "curl": "--version"}
_MODULES = ("sync_h2", "hypercorn", "gunicorn", "httpx", "niquests", "pycurl", "matplotlib")


@dataclass(frozen=True)
class Workplace:
    """`folder` is what nghttpd serves: `index.html` with 12 bytes, `file` with `file_size`, and `upload` to PUT to.
    `free_threaded` is an interpreter that can do without the GIL, if there is one.
    """

    folder: Path
    file_size: int
    certfile: Path
    keyfile: Path
    cafile: Path
    free_threaded: str | None

    @property
    def file(self) -> Path:
        return self.folder / "file"


@contextlib.contextmanager
def workplace(file_size: int, free_threaded: str | None) -> Iterator[Workplace]:
    with tempfile.TemporaryDirectory(prefix="sync_h2-bench-") as name:
        folder = Path(name)
        (folder / "index.html").write_bytes(BODY)
        (folder / "upload").touch()
        piece = os.urandom(1_000_000)
        with (folder / "file").open("wb") as file:
            for offset in range(0, file_size, len(piece)):
                file.write(piece[: file_size - offset])
        authority = CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        certfile, keyfile, cafile = folder / "server.pem", folder / "server.key", folder / "authority.pem"
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certfile, append=True)
        issued.private_key_pem.write_to_path(keyfile)
        authority.cert_pem.write_to_path(cafile)
        yield Workplace(folder, file_size, certfile, keyfile, cafile, free_threaded)


def environment(places: Workplace) -> dict[str, str]:
    """What a child process gets: ours, without what would have it do more than its work, and the ways to sync_h2 and
    h2, which a free-threaded interpreter need not have.
    """
    child = {name: value for name, value in os.environ.items() if not name.startswith(("SYNC_H2_", "COVERAGE_"))}
    child["PYTHONPATH"] = os.pathsep.join(str(Path(module.__file__).parent.parent) for module in (sync_h2, h2))
    child["BENCHMARK_FILE"] = str(places.file)
    return child


def find_program(name: str) -> str | None:
    return shutil.which(name, path=_SEARCH_PATH)


def free_threaded_python() -> str | None:
    """This interpreter, or the newest on PATH that can do without the GIL."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return sys.executable
    return next(filter(None, map(find_program, FREE_THREADED_PYTHONS)), None)


def installed(peer: str) -> bool:
    """Whether the program, or the module of this Python, is there; for "sync_h2 under gunicorn", gunicorn."""
    ours, under, other = peer.partition(" under ")
    peer = other if under else ours.split()[0]
    if peer in _VERSION_OPTIONS:
        return find_program(peer) is not None
    return importlib.util.find_spec(peer) is not None


def versions(free_threaded: str | None) -> dict[str, str]:
    """Name -> version, of everything that is installed."""
    found = {"python": sys.version.split()[0]}
    for module in _MODULES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[module] = importlib.metadata.version(module)
    programs = [(name, find_program(name), option) for name, option in _VERSION_OPTIONS.items()]
    for name, path, option in [("free-threaded python", free_threaded, "--version"), *programs]:
        if path:
            said = subprocess.run([path, option], capture_output=True, text=True, timeout=10).stdout
            number = re.search(r"\d+(\.\d+)+", said)
            found[name] = number[0] if number else "?"
    return found
