"""`from-code`: a directive that shows what the code says, so that a page can't say anything else.

Its argument is one of the functions of SHOWN. Each returns Markdown.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import sync_h2.errors
from sync_h2.cli.command import _parser
from sync_h2.cli.exit_status import MEANINGS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def exit_statuses() -> str:
    rows = [(str(int(status)), meaning.replace("--", r"\--")) for status, meaning in MEANINGS.items()]
    return table(("exit status", "what went wrong"), rows)


def error_tree() -> str:
    lines = inspect.cleandoc(sync_h2.errors.__doc__ or "").splitlines()
    tree = "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))
    return f"```text\n{tree}\n```"


def options_of(command: str) -> str:
    """The arguments of a command as its --help has them."""
    commands = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    parser: argparse.ArgumentParser = commands.choices[command]
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        takes = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        names = ", ".join(f"`{name}{takes}`" for name in action.option_strings) or f"`{action.metavar}`"
        help_text = (action.help or "") % {"default": action.default}
        rows.append((names, help_text.replace("--", r"\--").replace("'", "`").replace("*", r"\*")))
    return table(("argument", "what it does"), rows)


SHOWN: dict[str, Callable[[], str]] = {
    "exit-statuses": exit_statuses,
    "error-tree": error_tree,
    "options-of-serve": lambda: options_of("serve"),
    "options-of-get": lambda: options_of("get"),
}


class FromCode(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(SHOWN[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("from-code", FromCode)
    return {"version": "1", "parallel_read_safe": True}
