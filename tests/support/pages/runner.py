"""Runs a page: its blocks in their order, in a directory that has nothing but what they put there."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import re
import socket
import sys
from pathlib import Path

from .blocks import Block, PageError, blocks_of
from .interpreter import Interpreter
from .shell import Shell
from .time_limit import TimeLimit

# On pages these stand for any free port, and a page's own blocks name others by mistake only.
PORTS = re.compile(r"(?<![\w.])(?:8080|8443|8081|900[0-9])\b")
SOCKETS = re.compile(r"(?<![\w/.-])[\w/.-]+\.sock\b")
# Less than pytest's timeout by what ending a page's programs may take.
SECONDS = 105.0


def free_port() -> str:
    """One that is free now, and that no connection gets by chance: below those that the kernel hands out."""
    families = {"127.0.0.1": socket.AF_INET, **({"::1": socket.AF_INET6} if has_ipv6() else {})}
    why: OSError | None = None
    for port in random.sample(range(20_000, 32_000), 100):
        try:
            for address, family in families.items():
                socket.create_server((address, port), family=family).close()
        except OSError as error:
            why = error
        else:
            return str(port)
    raise PageError(f"no port is free: {why}")


def has_ipv6() -> bool:
    """Whether this machine has IPv6's address of itself, which containers often lack."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class Ports:
    """The free ports that stand for those of a page."""

    def __init__(self) -> None:
        self._replacements: dict[str, str] = {}

    def replaced(self, text: str) -> str:
        return PORTS.sub(lambda match: self._replacement(match[0]), text)

    def places_in(self, text: str) -> list[str]:
        """The ports and sockets' paths in a text whose ports are replaced."""
        ports = [port for port in re.findall(r"\b\d{5}\b", text) if port in self._replacements.values()]
        return list(dict.fromkeys(ports + SOCKETS.findall(text)))

    def _replacement(self, port: str) -> str:
        while port not in self._replacements:
            if (free := free_port()) not in self._replacements.values():
                self._replacements[port] = free
        return self._replacements[port]


def matches(expected: list[str], lines: list[str]) -> bool:
    """Whether the lines are those expected, where a line `...` stands for any lines and `…` for any characters."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in lines)) is not None


def environment_of(directory: Path) -> dict[str, str]:
    """This process's, without what measures coverage, which takes long, and with this interpreter's programs first."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTEST_"))}
    programs = str(Path(sys.executable).parent)
    return {**environment, "PATH": programs + os.pathsep + environment.get("PATH", ""), "PWD": str(directory)}


def check_syntax(block: Block) -> None:
    """A file of Python may be there only to be read."""
    try:
        compile("\n" * (block.line - 1) + block.source, str(block.page), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise PageError(f"{block.page}:{error.lineno}: {block.name}: {error.msg}") from None


def run_page(page: Path, directory: Path, seconds: float = SECONDS) -> list[Block]:
    """Runs the blocks of the page in `directory`, which is made, and returns them. Raises PageError."""
    limit = TimeLimit(seconds)
    ports = Ports()
    blocks = [dataclasses.replace(block, source=ports.replaced(block.source)) for block in blocks_of(page)]
    run = [block for block in blocks if block.kind != "text" and not block.not_run]
    if not run:
        return blocks
    directory.mkdir()
    scripts = directory.parent / f"{directory.name}-scripts"
    scripts.mkdir()
    environment = environment_of(directory)
    with contextlib.ExitStack() as ends:
        shell = Shell(directory, environment, scripts, limit, ports.places_in)
        ends.callback(shell.close)
        interpreter: Interpreter | None = None
        for number, block in enumerate(run):
            later = [block.source for block in run[number + 1 :]]
            if block.kind == "file":
                path = directory / block.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.source)
                if path.suffix == ".py":
                    check_syntax(block)
            elif block.kind == "sh":
                shell.run(block, later)
            elif block.kind == "console":
                shell.run_console(block, later, matches)
            else:
                if interpreter is None:
                    interpreter = Interpreter(directory, environment, scripts / "stderr", limit)
                    ends.callback(interpreter.kill)
                interpreter.run(block, matches)
        if interpreter is not None:
            interpreter.finish(page)
        shell.finish()
    return blocks
