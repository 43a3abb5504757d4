"""How many bytes a file has, as far as the system says so. Any thread; reads by position, and at most two bytes."""

from __future__ import annotations

import os
import stat


def size_of(descriptor: int, status: os.stat_result) -> int | None:
    """The size of a regular file with this status; None if only reading tells, or if it is none. Raises `OSError`."""
    if not stat.S_ISREG(status.st_mode):
        return None
    size = status.st_size
    if status.st_blocks:
        return size
    # What the kernel makes as it is read (/proc, /sys) has no blocks, and a size that says nothing. Empty files and
    # those of some file systems have none either.
    found = len(os.pread(descriptor, 2, max(size - 1, 0)))
    return size if found == min(size, 1) else None
