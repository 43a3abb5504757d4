"""A received field list with what has been found out about it.

The same octets mean the same list (see hpack_memo.py), so most messages share theirs: it is checked once, and decoded
to text once. Session's lock, but for `copied_texts`, which reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .header_rules import check_request, check_response

_MOST_SHARED_FIELDS = 32
_LARGEST_SHARED = 2048  # octets: the texts take some times as much, and a session may remember many lists

Texts = tuple[list[tuple[str, str]], dict[str, list[str]], set[str]]
"""The fields in order, the values by name, and the names of those that are never indexed."""


class Request(NamedTuple):
    """What the server has to know of a request."""

    method: str
    content_length: int | None
    priority: str | None


class FieldList:
    """A list of fields; never changed."""

    __slots__ = ("_request", "_response", "_texts", "fields", "size")

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        # RFC 9113 section 6.5.2
        self.size = sum([len(name) + len(value) for name, value in fields]) + 32 * len(fields)
        self._request: Request | None = None
        self._response: tuple[bytes, int | None] | None = None
        self._texts: Texts | None = None

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
            texts = texts_of(self.fields)
            if len(self.fields) > _MOST_SHARED_FIELDS or self.size > _LARGEST_SHARED:
                return texts
            self._texts = texts
        fields, index, sensitive = texts
        return fields.copy(), {name: values.copy() for name, values in index.items()}, sensitive.copy()


def texts_of(fields: Sequence[tuple[bytes, bytes]]) -> Texts:
    """Decode a field list."""
    texts = [(field[0].decode("latin-1"), field[1].decode("latin-1")) for field in fields]
    index: dict[str, list[str]] = {}
    for name, value in texts:
        index.setdefault(name, []).append(value)
    return texts, index, {field[0].decode("latin-1") for field in fields if not getattr(field, "indexable", True)}
