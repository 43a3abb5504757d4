"""Where the libraries are that are compared."""

from __future__ import annotations

import os

NIQUESTS = os.environ.get("SYNC_H2_NIQUESTS", "")
"""The folder that niquests was installed into, with `pip install --target`: where it is installed as others are, it
takes the place of urllib3 for all of them, and requests is another library then. `tox -e compare` sees to that.
"""
