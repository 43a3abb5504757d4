"""Sphinx: how the pages of docs/ become HTML. `tox -e docs` builds them."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER / "_ext"))

project = "sync_h2"
author = copyright = "the sync_h2 authors"
version = release = version_of("sync_h2")

extensions = ["myst_parser", "sphinx.ext.autodoc", "from_code"]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []

# Headings are link targets, as on GitHub; `...` and `…` stand in output where it differs.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Hyphens and quotes are often code's, and stay as they are.
smartquotes = False

# Docstrings have single backticks around code, as Markdown has.
default_role = "code"
add_module_names = False
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
# By their names, not by what they stand for, which takes several lines.
autodoc_type_aliases = {
    name: name
    for name in ("FieldsSource", "FieldValue", "HeadersSource", "HeaderValue", "Listener", "TimeoutLike", "Verify")
}

html_theme = "furo"
html_title = f"sync_h2 {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# What functions make, and nobody else: how they are made is not to be read.
MADE_BY_FUNCTIONS = {
    *("ClientSession", "ClientStream", "Stream", "ServerSession", "ServerStream", "ServerRequest", "ServerResponse"),
    *("ThreadingServer", "SecureThreadingServer", "Pong", "SessionState", "StreamState", "SessionStats", "StreamStats"),
}


def process_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str] | None:
    if what == "class" and name.rpartition(".")[2] in MADE_BY_FUNCTIONS:
        return "", ""
    alias = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")  # what autodoc makes of one in a union
    found = alias.search(f"{signature} {returned}")
    return (alias.sub(r"\1", signature or ""), alias.sub(r"\1", returned or "")) if found else None


def show_code(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """What a docstring sets apart by four spaces is code."""
    for number in range(len(lines) - 1, 1, -1):
        before = next((line for line in reversed(lines[:number]) if line), "")
        begins = lines[number].startswith("    ") and not lines[number - 1]
        if begins and not before.startswith((" ", "- ")) and not before.endswith("::"):
            lines[number:number] = ["::", ""]


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", show_code)
    app.add_lexer("haproxy", TextLexer)
    app.connect("autodoc-process-signature", process_signature)
