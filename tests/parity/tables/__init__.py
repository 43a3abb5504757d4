"""The reference API, a table for each part of it. A row is (the reference's name, or "" where it has none, ours, the
tests that prove it); see parity/test_table.py.
"""

from __future__ import annotations

Entry = tuple[str, ...]
