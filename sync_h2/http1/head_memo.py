"""Heads of requests that were parsed before: many clients ask for few things, and to parse and check a head is a third
of what a small request costs. Under the session's lock.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.limits import Limits
from .request_heads import RequestHead, parse_request

_LONGEST_REMEMBERED = 2048  # octets of a head
_MOST_REMEMBERED = 32  # heads
_MOST_MEMORY = 128 * 1024  # octets that they take: an octet or four can stand for a field
_HEAD_MEMORY = 512  # octets: what a head takes beside its fields, with its place among them


class HeadMemo:
    """The latest heads of one connection. `authority` is asked for only where a request names no host."""

    def __init__(self, limits: Limits, scheme: str, authority: Callable[[], str]) -> None:
        self._limits = limits
        self._scheme = scheme.encode("ascii")
        self._authority = authority
        self._heads: dict[bytes, RequestHead] = {}
        self.memory = 0
        """Octets that these take, about. A look needs no lock."""

    def parse(self, octets: bytes) -> RequestHead:
        """What a whole head says. Raises UnreadableRequest."""
        head = self._heads.get(octets)
        if head is None:
            head = parse_request(octets, self._limits, scheme=self._scheme, authority=self._authority)
            if head.chunked is None and len(octets) <= _LONGEST_REMEMBERED:
                memory = head.fields.memory + len(octets) + _HEAD_MEMORY
                if len(self._heads) >= _MOST_REMEMBERED or self.memory + memory > _MOST_MEMORY:
                    self._heads.clear()
                    self.memory = 0
                self._heads[octets] = head
                self.memory += memory
        return head
