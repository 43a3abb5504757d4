"""Bodies whose bytes follow a rule, so that both sides make and check them piece by piece, whatever their size.

Byte i is i modulo 251: a prime, so that frames that changed places change the checksum. tests/interop/node/pattern.js
is the same rule for Node.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_PERIOD = 251
_BLOCK = bytes(range(_PERIOD)) * 1000

# Around the default frame size, and one that needs many windows.
SIZES = (0, 1, 16_383, 16_384, 16_385, 100_000_000)


class Digest(NamedTuple):
    length: int
    sha256: str


def pattern(size: int) -> Iterator[memoryview]:
    """The body of `size` bytes, in pieces."""
    block = memoryview(_BLOCK)
    for start in range(0, size, len(_BLOCK)):
        yield block[: size - start]


def digest(chunks: Iterable[bytes | memoryview]) -> Digest:
    checksum = hashlib.sha256()
    length = 0
    for chunk in chunks:
        checksum.update(chunk)
        length += len(chunk)
    return Digest(length, checksum.hexdigest())


@functools.cache
def pattern_digest(size: int) -> Digest:
    return digest(pattern(size))


def file_digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return digest(iter(functools.partial(file.read, len(_BLOCK)), b""))


def write_pattern(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.writelines(pattern(size))
    return path
