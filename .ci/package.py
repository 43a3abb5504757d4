"""Makes what is published, the source distribution and the wheel, and tries it as those who install it get it.

    python .ci/package.py [FOLDER]    FOLDER (dist) has the two files then, and nothing else of this package

In order: build; twine's check; the classifiers; what is in the files; the wheel alone in an empty environment of each
Python that setup.cfg names, with the quickstart; the tests of the source distribution are collected. The first thing
that is wrong ends it with a line that says what. A Python that is not there is left out, unless CI=true.
"""

from __future__ import annotations

import configparser
import email
import email.message
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import build.util
from trove_classifiers import classifiers as known_classifiers

REPOSITORY = Path(__file__).resolve().parent.parent
# Belongs to nobody (RFC 2606): what README's links become with an address is looked at, and not published.
SOME_ADDRESS = "https://example.org/sync_h2"


def fail(what: str) -> None:
    sys.exit(f"package: {what}")


def run(*command: str | Path, **environment: str) -> str:
    """What the command has written. It runs outside of the repository, so that nothing of that is imported."""
    with tempfile.TemporaryDirectory() as elsewhere:
        finished = subprocess.run(
            command,
            cwd=elsewhere,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if finished.returncode:
        fail(f"{' '.join(map(str, command))} ended with {finished.returncode}:\n{finished.stdout}")
    return finished.stdout


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(REPOSITORY / "setup.cfg")
    return parser


def files_of_the_repository() -> set[str]:
    """Those that git knows, as they are now; of a source distribution all that is not made."""
    if (REPOSITORY / ".git").exists():
        return set(run("git", "-c", "safe.directory=*", "-C", REPOSITORY, "ls-files").splitlines())
    made = re.compile(
        r"(\.tox|\.venv|build|dist|docs/_build|sync_h2\.egg-info)/|(.*/)?(__pycache__|\.\w+_cache)/|PKG-INFO$"
    )
    files = (str(path.relative_to(REPOSITORY)) for path in REPOSITORY.rglob("*") if path.is_file())
    return {name for name in files if not made.match(name)}


def make(files: set[str], scratch: Path, folder: Path) -> tuple[Path, Path]:
    """It is built from a copy: setuptools leaves files where it builds, and others may build there meanwhile."""
    for name in files:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, scratch / name)
    for old in (*folder.glob("sync_h2-*.tar.gz"), *folder.glob("sync_h2-*.whl")):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", folder, scratch)
    (source,), (wheel,) = folder.glob("sync_h2-*.tar.gz"), folder.glob("sync_h2-*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", source, wheel)
    return source, wheel


def check_source(source: Path, files: set[str], folder: Path) -> Path:
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = folder.iterdir()
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    found = {name for name in found if ".egg-info/" not in name}
    expected = files - {".gitignore"} | {"PKG-INFO"}
    if found != expected:
        fail(f"{source.name} lacks {sorted(expected - found)}, and has besides {sorted(found - expected)}")
    return unpacked


def check_wheel(wheel: Path, unpacked: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        of_package = {str(path.relative_to(unpacked)) for path in (unpacked / "sync_h2").rglob("*") if path.is_file()}
        of_package |= {f"{name}.py" for name in configuration()["options"].get("py_modules", "").split()}
        described = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
        expected = of_package | {
            f"{described}/{name}"
            for name in ("METADATA", "WHEEL", "RECORD", "top_level.txt", "entry_points.txt", "licenses/LICENSE")
        }
        if names != expected or "sync_h2/py.typed" not in names:
            fail(f"{wheel.name} lacks {sorted(expected - names)}, and has besides {sorted(names - expected)}")
        return email.message_from_bytes(archive.read(f"{described}/METADATA"))


def check_metadata(metadata: email.message.Message, version: str) -> None:
    if metadata["Version"] != version:
        fail(f"the wheel has version {metadata['Version']}, and sync_h2/version.py says {version}")
    if metadata["License-Expression"] != "MIT":
        fail(f"the wheel's licence is {metadata['License-Expression']}")
    unknown = set(metadata.get_all("Classifier", [])) - set(known_classifiers)
    if unknown:
        fail(f"the package index knows no such classifiers: {sorted(unknown)}")
    if f"\n## {version} (" not in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"):
        fail(f"CHANGELOG.md has no section '## {version} (date)'")


def check_links(unpacked: Path) -> None:
    """With an address, the package's page on the index has no link that only works in the repository."""
    os.environ["SYNC_H2_URL"] = SOME_ADDRESS
    metadata = build.util.project_wheel_metadata(unpacked)
    urls = metadata.get_all("Project-URL") or []
    if len(urls) < 4 or not all(f", {SOME_ADDRESS}" in url for url in urls):
        fail(f"the package's addresses are {urls}")
    readme = metadata["Description"] or ""
    if not readme.startswith("# sync_h2\n"):
        fail("the package's description is not README.md")
    targets = re.findall(r"""\]\(([^)\s]+)|\b(?:src|srcset|href)="([^"]+)""", readme)
    relative = [link or attribute for link, attribute in targets if not re.match(r"[a-z]+:|#", link or attribute)]
    if relative:
        fail(f"README.md's links {relative} lead nowhere on the package index")


def path_of(version: str) -> str:
    """Empty if it is not there."""
    program = shutil.which(f"python{version}")
    # pyenv's python3.12 runs only where that version is selected.
    choices: tuple[dict[str, str], ...] = ({}, {"PYENV_VERSION": version})
    for selected in choices if program else ():
        command = [f"python{version}", "-c", "import sys; print(sys.executable)"]
        finished = subprocess.run(command, env=os.environ | selected, capture_output=True, text=True)
        if finished.returncode == 0:
            return finished.stdout.strip()
    return ""


def pythons() -> Iterator[tuple[str, str]]:
    """The Pythons that setup.cfg names, as version and path."""
    for version in re.findall(r"Python :: (3\.\d+)$", configuration()["metadata"]["classifiers"], re.MULTILINE):
        path = path_of(version)
        if path:
            yield version, path
        elif os.environ.get("CI") == "true":
            fail(f"there is no python{version}")
        else:
            print(f"Python {version}: left out, it is not there", flush=True)


def environment(python: str, folder: Path) -> Path:
    run(sys.executable, "-m", "virtualenv", "-q", "-p", python, folder)
    return folder / "bin"


def install(programs: Path, what: str | Path) -> None:
    run(programs / "pip", "install", "-q", "--no-compile", "--disable-pip-version-check", what)


def try_wheel(wheel: Path, unpacked: Path, version: str, python: str, folder: Path) -> str:
    programs = environment(python, folder)
    install(programs, wheel)
    list_all = "from importlib.metadata import *; print(*(each.metadata['Name'] for each in distributions()))"
    names = {name.replace("_", "-") for name in run(programs / "python", "-c", list_all).split()}
    if names - {"pip", "setuptools", "wheel"} != {"sync-h2", "h2", "hpack", "hyperframe", "certifi"}:
        fail(f"the wheel alone installs {sorted(names)}")
    said = run(programs / "sync-h2", "--version").strip()
    if version not in said.split():
        fail(f"sync-h2 --version says {said!r}, and not {version}")
    install(programs, f"{wheel}[examples]")
    run(programs / "python", "-W", "error", unpacked / "examples" / "quickstart.py")
    return f"{run(programs / 'python', '--version').strip()}: the wheel installs, the quickstart runs, {said}"


def collect_tests(source: Path, unpacked: Path, python: str, folder: Path) -> str:
    programs = environment(python, folder)
    install(programs, f"{source}[test,examples]")
    options = ("--collect-only", "-q", "-c", unpacked / "setup.cfg")
    collected = run(programs / "python", "-m", "pytest", *options, unpacked / "tests")
    return f"{source.name}: {collected.strip().splitlines()[-1]}"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else REPOSITORY / "dist").absolute()
    files = files_of_the_repository()
    version = runpy.run_path(str(REPOSITORY / "sync_h2" / "version.py"))["__version__"]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source, wheel = make(files, scratch / "copy", folder)
        unpacked = check_source(source, files, scratch / "unpacked")
        check_metadata(check_wheel(wheel, unpacked), version)
        check_links(unpacked)
        print(f"{source.name} and {wheel.name}: whole, and twine has nothing to say", flush=True)
        found = list(pythons())
        # Two at a time: they wait for the package index, and for each other's disks.
        with ThreadPoolExecutor(2) as threads:
            tries = [
                threads.submit(try_wheel, wheel, unpacked, version, python, scratch / python_version)
                for python_version, python in found
            ]
            tries.append(threads.submit(collect_tests, source, unpacked, found[-1][1], scratch / "tests"))
            for attempt in tries:
                print(attempt.result(), flush=True)
    if not os.environ.get("SYNC_H2_URL"):
        print("SYNC_H2_URL is not set: the package has no addresses, and is not to be published")


if __name__ == "__main__":
    main()
