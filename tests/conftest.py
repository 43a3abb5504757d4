"""Fixtures and rules for every test: see the modules named here, in tests/support/."""

from __future__ import annotations

import os

# Before sync_h2 is imported: a thread that takes one of our locks while it holds another raises instead of going on.
os.environ.setdefault("SYNC_H2_DEBUG", "1")

pytest_plugins = ["pytester", "support.certificates", "support.leaks", "support.strictness"]
