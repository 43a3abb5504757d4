"""The code blocks of a page, by the convention that docs/writing-pages.md tells: of what kind each is, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^`]*)$")
# Such a block is shown, but would not be seen here.
HIDDEN_FENCE = re.compile(r"^\s*(?:(?:>|[-*+]|\d+[.)])\s*)+(?:`{3,}|~{3,}|:{3,})[^`]*$")
NOT_RUN = re.compile(r"^\s*<!-- not run: \S.* -->$")
OPTION = re.compile(r"^:(?P<name>[\w-]+):\s*(?P<value>.*)$")

# What MyST shows as code, and what is no code itself, but may have some inside.
CODE_DIRECTIVES = {"code-block", "code", "sourcecode"}
OTHER_DIRECTIVES = {
    *("admonition", "note", "tip", "important", "warning", "caution", "seealso", "versionadded", "versionchanged"),
    *("figure", "image", "include", "raw", "toctree", "contents", "list-table", "csv-table", "table"),
    *("from-code", "eval-rst", "currentmodule", "automodule", "autoclass", "autofunction", "autoexception", "autodata"),
}
RUN_KINDS = {"python", "sh", "console"}


class PageError(Exception):
    """A block that the convention does not know, or that did not do what the page says."""


@dataclass(frozen=True)
class Block:
    """One code block. `kind` is python, sh, console, text or file; `line` is that of its first line of code, from 1."""

    page: Path
    line: int
    kind: str
    source: str
    name: str = ""
    not_run: bool = False

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The blocks in their order. Raises PageError for one of a kind that is unknown, or that never ends."""
    return list(_blocks(page, page.read_text().splitlines()))


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    containers: list[str] = []
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        number += 1
        if opening is None:
            if HIDDEN_FENCE.match(lines[number - 1]):
                raise PageError(
                    f"{page}:{number}: a block in a quote, or on the line of a list's item, is not run: give it a line"
                )
            continue
        fence, info = opening["fence"], opening["info"].strip()
        if not info and containers and _closes(fence, containers[-1]):
            containers.pop()
            continue
        directive = re.fullmatch(r"\{([\w:-]+)\}\s*(.*)", info)
        if directive and directive[1] in OTHER_DIRECTIVES:
            containers.append(fence)
            continue
        end = next(
            (at for at in range(number, len(lines)) if (m := FENCE.match(lines[at])) and _ends(m, opening)), None
        )
        if end is None:
            raise PageError(f"{page}:{number}: the block has no end")
        if directive and directive[1] not in CODE_DIRECTIVES:
            raise PageError(f"{page}:{number}: an unknown directive, {info}")
        code = [line.removeprefix(opening["indent"]) for line in lines[number:end]]
        not_run = number > 1 and NOT_RUN.match(lines[number - 2]) is not None
        yield _block(page, number, directive[2] if directive else info, bool(directive), code, not_run)
        number = end + 1
    if containers:
        raise PageError(f"{page}: a directive has no end ({containers[-1]})")


def _closes(fence: str, opening: str) -> bool:
    return fence[0] == opening[0] and len(fence) >= len(opening)


def _ends(closing: re.Match[str], opening: re.Match[str]) -> bool:
    return not closing["info"].strip() and _closes(closing["fence"], opening["fence"])


def _block(page: Path, opening_line: int, language: str, directive: bool, code: list[str], not_run: bool) -> Block:
    options = {}
    line = opening_line + 1
    if directive:
        while code and (option := OPTION.match(code[0])):
            options[option["name"]] = option["value"].strip()
            code = code[1:]
            line += 1
        if options and code and not code[0]:
            code = code[1:]
            line += 1
    source = "".join(f"{text}\n" for text in code)
    if caption := options.get("caption"):
        if caption.startswith("/") or ".." in caption.split("/"):
            raise PageError(f"{page}:{opening_line}: a file outside of the page's directory, {caption}")
        return Block(page, line, "file", source, caption, not_run)
    if language not in RUN_KINDS | {"text"}:
        raise PageError(
            f"{page}:{opening_line}: nobody knows how to run a block of {language or 'no kind'}; "
            "there are python, sh, console, text, and code-block with a caption, which is a file"
        )
    return Block(page, line, language, source, not_run=not_run)
