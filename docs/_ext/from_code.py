"""`from-code`: a directive that shows what the code says, so that a page can't say anything else.

Its argument is one of the functions of SHOWN. Each returns Markdown.
"""

from __future__ import annotations

import argparse
import inspect
import re
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
    rows = [(str(int(status)), as_markdown(meaning)) for status, meaning in MEANINGS.items()]
    return table(("exit status", "what went wrong"), rows)


def error_tree() -> str:
    lines = inspect.cleandoc(sync_h2.errors.__doc__ or "").splitlines()
    tree = "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))
    return f"```text\n{tree}\n```"


def commands() -> str:
    """A section for each command, with its arguments as its --help has them."""
    choices = next(a.choices for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return "\n\n".join(
        f"## sync-h2 {name}\n\n{description(parser)}\n\n{arguments(parser)}" for name, parser in choices.items()
    )


def description(parser: argparse.ArgumentParser) -> str:
    return " ".join((parser.description or "").split())


def arguments(parser: argparse.ArgumentParser) -> str:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        takes = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        names = ", ".join(f"`{name}{takes}`" for name in action.option_strings) or f"`{action.metavar}`"
        rows.append((names, as_markdown((action.help or "") % {"default": action.default})))
    return table(("argument", "what it does"), rows)


def as_markdown(text: str) -> str:
    """Plain text: nothing is emphasised."""
    return re.sub(r"[*_<]", lambda match: f"\\{match[0]}", text)


SHOWN: dict[str, Callable[[], str]] = {
    "exit-statuses": exit_statuses,
    "error-tree": error_tree,
    "commands": commands,
}


class FromCode(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(SHOWN[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("from-code", FromCode)
    return {"version": "1", "parallel_read_safe": True}
