"""Fixtures and rules for every test: see the modules named here, in tests/support/."""

from __future__ import annotations

import os
import signal

# Before sync_h2 is imported: a thread that takes one of our locks while it holds another raises instead of going on.
os.environ.setdefault("SYNC_H2_DEBUG", "1")

# Where SIGINT is ignored, as in a job that a shell has put into the background, Python leaves it so, and no test of
# interrupts, nor any program that a test starts, would see one.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester", "support.tls.certificates", "support.rules.leaks", "support.rules.strictness"]
