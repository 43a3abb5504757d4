"""The command line: `sync-h2`, or `python -m sync_h2`. Everything but the requests of `get` runs on the main thread."""

from __future__ import annotations

from .command import main

__all__ = ["main"]
