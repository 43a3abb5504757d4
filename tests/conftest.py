"""Fixtures and rules for every test: see the modules named here, in tests/support/."""

from __future__ import annotations

pytest_plugins = ["pytester", "support.certificates", "support.leaks", "support.strictness"]
