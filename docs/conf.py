"""Sphinx: how the pages of docs/ become HTML. `tox -e docs` builds them."""

from __future__ import annotations

import sys
from configparser import ConfigParser
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER / "_ext"))

metadata = ConfigParser()
metadata.read(FOLDER.parent / "setup.cfg")

project = "sync_h2"
author = metadata["metadata"]["author"]
copyright = author
version = release = metadata["metadata"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "from_code"]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []

# Headings are link targets, as on GitHub; `...` and `…` stand in output where it differs.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]

# Docstrings have single backticks around code, as Markdown has.
default_role = "code"
add_module_names = False
maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"sync_h2 {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
