"""A received field list with what has been found out about it.

The same octets mean the same list (see hpack_memo.py), so most messages share theirs: it is checked once, and decoded
to text once. But a peer can have a hundred small fields kept for a hundred octets: equal ones share an object, and long
lists that wait for somebody to look at them are packed. Session's lock, but for `copied_texts`, which reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hpack import NeverIndexedHeaderTuple

from .header_rules import check_request, check_response

FIELD_OVERHEAD = 32
"""What a field counts beside its octets in the size of a list (RFC 9113 section 6.5.2)."""
MOST_SHARED_FIELDS = 32
_LONGEST_PACKED_FIELD = 16  # octets: larger ones may be shared with the compression table and with other lists
_MOST_PACKED = 256  # different fields: an octet tells them apart
_SEPARATOR = b"\n"  # which no field that was checked has
_LARGEST_SHARED = 2048  # octets: the texts take some times as much, and a session may remember many lists

# Octets that objects take beside their text, measured on CPython 3.11 once an application has looked at a list: then
# there are texts instead of octets, with an index by name (see tests/protocol/fields/test_field_memory.py).
_LIST_MEMORY = 512
_FIELD_MEMORY = 384
_REPETITION_MEMORY = 24

Packed = tuple[bytes, tuple["tuple[bytes, bytes]", ...], bytes]
"""The small fields' names and values in one, the other fields, and which comes when."""

Texts = tuple[list[tuple[str, str]], dict[str, list[str]], set[str]]
"""The fields in order, the values by name, and the names of those that are never indexed."""


class Request(NamedTuple):
    """What the server has to know of a request."""

    method: str
    content_length: int | None
    priority: str | None


class FieldList:
    """A list of fields; never changed.

    There are `count`. `size` is what RFC 9113 section 6.5.2 counts, `memory` about how many octets it takes as long as
    it is kept.
    """

    __slots__ = ("_fields", "_packed", "_repeats", "_request", "_response", "_texts", "count", "memory", "size")

    def __init__(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        known: dict[tuple[type, tuple[bytes, bytes]], tuple[bytes, bytes]] = {}
        # With the type, because fields that differ only in the never-indexed mark are equal.
        shared = tuple([known.setdefault((type(field), field), field) for field in fields])
        self._fields: tuple[tuple[bytes, bytes], ...] | None = shared
        self._packed: Packed | None = None
        self.count = count = len(shared)
        text = sum([len(name) + len(value) for name, value in shared])
        self.size = text + FIELD_OVERHEAD * count
        self._repeats = len(known) < count
        if self._repeats:
            text = sum([len(name) + len(value) for name, value in known.values()])
        self.memory = text + _FIELD_MEMORY * len(known) + _REPETITION_MEMORY * (count - len(known)) + _LIST_MEMORY
        self._request: Request | None = None
        self._response: tuple[bytes, int | None] | None = None
        self._texts: Texts | None = None

    @property
    def fields(self) -> Sequence[tuple[bytes, bytes]]:
        fields = self._fields
        if fields is None:
            assert self._packed is not None
            joined, others, order = self._packed
            parts = joined.split(_SEPARATOR)
            different = [*others, *zip(parts[::2], parts[1::2], strict=False)]
            fields = tuple([different[place] for place in order])
        return fields

    def pack(self) -> None:
        """Take less memory from now on, if that is worth it: nobody may look for long. The list has been checked."""
        fields = self._fields
        if fields is None or len(fields) <= MOST_SHARED_FIELDS:
            return
        small: list[tuple[bytes, bytes]] = []
        others: list[tuple[bytes, bytes]] = []
        for field in {id(field): field for field in fields}.values():
            fits = len(field[0]) + len(field[1]) <= _LONGEST_PACKED_FIELD
            (small if fits and not isinstance(field, NeverIndexedHeaderTuple) else others).append(field)
        joined = _SEPARATOR.join([part for field in small for part in field])
        if len(small) + len(others) > _MOST_PACKED or joined.count(_SEPARATOR) != max(2 * len(small) - 1, 0):
            return
        places = {id(field): place for place, field in enumerate(others + small)}
        self._packed = joined, tuple(others), bytes([places[id(field)] for field in fields])
        self._fields = None

    def request(self, *, extended_connect: bool) -> Request:
        """Check it as a request's; raises MalformedHeaders."""
        request = self._request
        if request is None:
            method, content_length = check_request(self.fields, extended_connect=extended_connect)
            priority = b", ".join([value for name, value in self.fields if name == b"priority"])
            request = Request(method.decode("latin-1"), content_length, priority.decode("latin-1") or None)
            if method != b"CONNECT":  # what is allowed with it depends on our SETTINGS
                self._request = request
        return request

    def response(self) -> tuple[bytes, int | None]:
        """Check it as a response's; its status and content-length. Raises MalformedHeaders."""
        if self._response is None:
            self._response = check_response(self.fields)
        return self._response

    def copied_texts(self) -> Texts:
        """The fields as text (latin-1), for the caller to keep and to change."""
        texts = self._texts
        if texts is None:
            known = self.fields
            texts = texts_of(known, repeats=self._repeats)
            if len(known) > MOST_SHARED_FIELDS or self.size > _LARGEST_SHARED:
                return texts
            self._texts = texts
        fields, index, sensitive = texts
        return fields.copy(), {name: values.copy() for name, values in index.items()}, sensitive.copy()

    def copied_pairs(self) -> list[tuple[str, str]] | None:
        """The first of these alone, if they are kept here: then others have the list too, and it is not in memory for
        this caller.
        """
        return None if self._texts is None else self._texts[0].copy()


def texts_of(fields: Sequence[tuple[bytes, bytes]], *, repeats: bool = False) -> Texts:
    """Decode a field list; if it `repeats` fields, each of them once."""
    if not repeats:
        texts = [(field[0].decode("latin-1"), field[1].decode("latin-1")) for field in fields]
    else:
        known = {field: (field[0].decode("latin-1"), field[1].decode("latin-1")) for field in fields}
        texts = [known[field] for field in fields]
    index: dict[str, list[str]] = {}
    for name, value in texts:
        index.setdefault(name, []).append(value)
    return texts, index, {field[0].decode("latin-1") for field in fields if not getattr(field, "indexable", True)}
