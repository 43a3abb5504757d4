"""The progress bar of `get`: one line on a terminal, for all bodies together. Drawn on the main thread."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

from .fetch import Fetch

INTERVAL = 0.1
"""Seconds between two drawings."""

_ERASE_LINE = "\r\x1b[K"


class ProgressBar:
    def __init__(self, fetches: Sequence[Fetch]) -> None:
        self._fetches = fetches
        self._began_at = time.monotonic()

    def draw(self) -> None:
        line = progress_line(self._fetches, time.monotonic() - self._began_at, shutil.get_terminal_size().columns)
        sys.stderr.write(_ERASE_LINE + line)
        sys.stderr.flush()

    def erase(self) -> None:
        sys.stderr.write(_ERASE_LINE)
        sys.stderr.flush()


def progress_line(fetches: Sequence[Fetch], seconds: float, columns: int) -> str:
    """A bar that fits into `columns`; how much of it is full is known once the length of every body is."""
    received = sum(fetch.received for fetch in fetches)
    done = sum(fetch.ended_at is not None for fetch in fetches)
    lengths = [fetch.expected for fetch in fetches]
    words = [size(received), f"{size(received / seconds if seconds else 0)}/s"]
    if len(fetches) > 1:
        words.append(f"{done} of {len(fetches)}")
    text = "  ".join(words)
    width = columns - len(text) - len("[]  100%  ") - 1
    known = [length for length in lengths if length is not None]
    if width < 1 or len(known) < len(lengths):
        return text[: columns - 1]
    share = min(received / sum(known), 1.0) if sum(known) else done / len(fetches)
    full = int(share * width)
    return f"[{'#' * full}{'.' * (width - full)}] {share:4.0%}  {text}"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
