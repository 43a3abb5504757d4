"""Requests that cost their sender little and whoever keeps them much: header lists of many small fields.

Octets only, without sockets. Each of the functions in `KINDS` gives what one connection sends, behind its preface, for
so many GETs of a path; `seed` makes what can differ from connection to connection do so.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from ..octets import frames

FIELDS = 118
"""So many beside the four that a request needs are within a server's `max_header_pairs`."""

_FIRST_OF_TABLE = 62  # RFC 7541 section 2.3.3
_COOKIE = 32
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _indexed(number: int) -> bytes:
    return frames.integer(number, 7, 0x80)


def _added(name: str, value: str = "") -> bytes:
    """A literal with incremental indexing and a new name (RFC 7541 section 6.2.1)."""
    return b"\x40" + frames.block((name, value))[1:]


def _get(path: str) -> bytes:
    """The four fields of a request."""
    return b"\x82\x86\x01\x01h\x04" + frames.integer(len(path), 7) + path.encode()


def _requests(count: int, path: str, fields: Callable[[int], bytes], first: bytes = b"") -> bytes:
    """GETs with the octets of `fields(number)` in their header blocks; before those of number 0 comes `first`."""
    blocks = [_get(path) + fields(number) for number in range(count)]
    blocks[0] = _get(path) + first + fields(0)
    return b"".join(frames.split_headers(2 * number + 1, block, end_stream=True) for number, block in enumerate(blocks))


def _name(number: int) -> str:
    """Names of three letters, all different."""
    number %= 26**3
    return _LETTERS[number // 676] + _LETTERS[number // 26 % 26] + _LETTERS[number % 26]


def plain(count: int, path: str, seed: int = 0) -> bytes:
    return _requests(count, path, lambda number: b"")


def one_field_of_the_table(count: int, path: str, seed: int = 0) -> bytes:
    """References to one empty field, an octet each."""
    return _requests(count, path, lambda number: _indexed(_FIRST_OF_TABLE) * (FIELDS - 1), _added("a"))


def fields_of_the_table(count: int, path: str, seed: int = 0) -> bytes:
    """References to fields that differ, in another order each time."""
    chance = random.Random(seed)
    table = [_indexed(_FIRST_OF_TABLE + number) for number in range(100)]

    def fields(number: int) -> bytes:
        return b"".join(chance.sample(table, 100)) if number else b""

    return _requests(count, path, fields, b"".join(_added(_name(number)) for number in range(100)))


def one_literal(count: int, path: str, seed: int = 0) -> bytes:
    """The same field again and again, written out."""
    return _requests(count, path, lambda number: frames.block(*[("a", "")] * FIELDS))


def literals(count: int, path: str, seed: int = 0) -> bytes:
    """Names that nobody else has."""
    start = seed * count * FIELDS

    def fields(number: int) -> bytes:
        first = start + number * FIELDS
        return frames.block(*[(_name(first + place), "") for place in range(FIELDS)])

    return _requests(count, path, fields)


def cookie_crumbs(count: int, path: str, seed: int = 0) -> bytes:
    start = seed * count * FIELDS

    def fields(number: int) -> bytes:
        crumbs = [_name(start + number * FIELDS + place).encode() for place in range(FIELDS)]
        return b"".join(frames.integer(_COOKIE, 4) + frames.integer(len(crumb), 7) + crumb for crumb in crumbs)

    return _requests(count, path, fields)


def large_lists(count: int, path: str, seed: int = 0) -> bytes:
    """A field of the table of almost all its size, fifteen times."""
    return _requests(count, path, lambda number: _indexed(_FIRST_OF_TABLE) * 14, _added("a", "b" * 3900))


KINDS: dict[str, Callable[[int, str, int], bytes]] = {
    "plain": plain,
    "one field of the table": one_field_of_the_table,
    "fields of the table": fields_of_the_table,
    "one literal": one_literal,
    "literals": literals,
    "cookie crumbs": cookie_crumbs,
    "large lists": large_lists,
}
