"""What type checkers say of code that uses the package: nothing about `good.py` and the page of the documentation about
types, all of what `wrong.py` says of itself.

    python tests/typing/check.py

It needs mypy and pyright, and what `good.py` imports; `tox -e types` has these.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
PAGE = ROOT / "docs" / "how-to" / "types.md"
VERSIONS = ("3.10", "3.15")

Errors = set[tuple[int, str]]
"""Lines and what a checker calls what is wrong there."""


def mypy(file: Path, version: str) -> Errors:
    finished = _run(
        "mypy", "--strict", "--no-error-summary", "--output", "json", "--python-version", version, str(file)
    )
    found = [json.loads(line) for line in finished.splitlines()]
    return {(error["line"], error["code"]) for error in found if error["severity"] == "error"}


def pyright(file: Path, version: str) -> Errors:
    found = json.loads(_run("pyright", "--outputjson", "--pythonversion", version, str(file)))
    if found["summary"]["filesAnalyzed"] != 1:
        sys.exit(f"pyright checked nothing: {found}")
    return {
        (error["range"]["start"]["line"] + 1, error["rule"])
        for error in found["generalDiagnostics"]
        if error["severity"] in ("error", "warning")
    }


def _run(*command: str) -> str:
    finished = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    if finished.returncode not in (0, 1):
        sys.exit(f"{command[0]} failed: {finished.stdout}{finished.stderr}")
    return finished.stdout


def expected(file: Path, checker: str) -> Errors:
    """What a file says that `checker` finds: `# mypy: call-arg; pyright: reportCallIssue` at a line's end."""
    says = re.compile(rf"  # .*\b{checker}: ([\w-]+(?:, [\w-]+)*)")
    lines = file.read_text(encoding="utf-8").splitlines()
    return {
        (number, code)
        for number, line in enumerate(lines, 1)
        if (said := says.search(line))
        for code in said[1].split(", ")
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.py")
        page.write_text("\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)))
        wrong = 0
        for file in (page, FOLDER / "good.py", FOLDER / "wrong.py"):
            for checker in (mypy, pyright):
                wanted = expected(file, checker.__name__)
                for version in VERSIONS:
                    wrong += compare(checker, file, version, wanted)
    return 1 if wrong else 0


def compare(checker: Callable[[Path, str], Errors], file: Path, version: str, wanted: Errors) -> int:
    found = checker(file, version)
    print(f"{checker.__name__} for Python {version}: {file.name}: {len(found)} errors, {len(wanted)} expected")
    for number, code in sorted(found - wanted):
        print(f"{file}:{number}: {code} is not expected")
    for number, code in sorted(wanted - found):
        print(f"{file}:{number}: {code} is not found")
    return len(found ^ wanted)


if __name__ == "__main__":
    sys.exit(main())
