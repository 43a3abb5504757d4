"""What setup.cfg can't say: where the project lives, which only those who publish it know.

SYNC_H2_URL in the environment is the address of the repository on GitHub; the workflow that publishes sets it. With it
the package has links to its sources, documentation, changes and issues, and the relative links of README.md lead into
the repository at the version's tag: the package index shows README.md without the files around it.
"""

from __future__ import annotations

import os
import re
import runpy
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
RELATIVE = r"(?![a-z]+:|#|/)"  # what follows is neither a URL nor a place on the same page


def with_absolute_links(text: str, url: str, tag: str) -> str:
    """Markdown, with the HTML that may be in it, whose links into the repository lead to this tag of it at `url`."""
    text = re.sub(rf"""(!\[[^\]]*\]\(|\b(?:src|srcset)="){RELATIVE}""", rf"\g<1>{url}/raw/{tag}/", text)
    return re.sub(rf"""(\]\(|\bhref="){RELATIVE}""", rf"\g<1>{url}/blob/{tag}/", text)


url = os.environ.get("SYNC_H2_URL", "").rstrip("/")
tag = f"v{runpy.run_path(str(HERE / 'sync_h2' / 'version.py'))['__version__']}"
readme = (HERE / "README.md").read_text(encoding="utf-8")
links = {
    "Source": url,
    "Documentation": f"{url}/blob/{tag}/docs/index.md",
    "Changelog": f"{url}/blob/{tag}/CHANGELOG.md",
    "Issues": f"{url}/issues",
}
setup(
    long_description=with_absolute_links(readme, url, tag) if url else readme,
    project_urls=links if url else {},
)
