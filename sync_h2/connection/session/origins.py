"""Origins: what callers give, turned into the ASCII form that frames carry (RFC 6454 section 6.2), and a client's
Origin Set (RFC 8336).

The functions are pure and need no lock; they call nothing of the user's but the attribute `origin` of what they are
given. An `OriginSet` needs its session's lock.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from ...errors import InvalidArgument
from ...transport.urls import shown_url, split_url

# The schemes whose URLs have an origin at all; that of any other is opaque ("null"), as in Node
# (https://url.spec.whatwg.org/#concept-url-origin).
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}

_LONGEST_HOST = 253  # RFC 1035 section 2.3.4, written with dots
_LONGEST_ORIGIN = len("https://") + _LONGEST_HOST + len(":65535")
_LONGEST_SHOWN = 300  # characters
_CONTROLS_AND_SPACES = re.compile(r"[\x00-\x20\x7f\\]")


class HasOrigin(Protocol):
    """What has an origin of its own, a URL object for example."""

    @property
    def origin(self) -> str: ...


def serialized_origin(source: object) -> str:
    """The origin of a URL, or of an object with `.origin`: `scheme://host[:port]`, in lower case, international names
    in IDNA, without the scheme's default port.

    Raises `InvalidArgument` for what has none, whatever its type.
    """
    url = source if isinstance(source, str) else getattr(source, "origin", None)
    if not isinstance(url, str):
        raise InvalidArgument(f"an origin is a URL, or an object whose .origin is one; {source!r} gives none")
    shown = repr(shown_url(url)[:_LONGEST_SHOWN])
    if _CONTROLS_AND_SPACES.search(url):
        raise InvalidArgument(f"{shown} gives no origin: spaces, backslashes and control characters are no part of it")
    try:
        parts = split_url(url)
    except InvalidArgument as error:
        raise InvalidArgument(f"{shown} gives no origin: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.host:
        raise InvalidArgument(f"{shown} gives no origin: it is no URL like https://host[:port]")
    host = parts.host
    if ":" in host:  # a zone means something on one machine alone
        host = f"[{ipaddress.IPv6Address(host.partition('%')[0]).compressed}]"
    origin = f"{parts.scheme}://{host}"
    return origin if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{origin}:{parts.port}"


class OriginSet:
    """The origins that a server says it answers for on one connection (RFC 8336 section 2.3), the connection's own
    first, in the order in which they came and at most `most` of them.

    One more than `most` is left out: a server must not have its clients remember without bound.
    """

    def __init__(self, own: str, most: int) -> None:
        self._origins = {own: None}
        self._most = most

    def add(self, received: Iterable[str]) -> None:
        """Add what an ORIGIN frame has; an entry that is no origin is skipped."""
        for entry in received:
            if len(self._origins) >= self._most:
                return
            if not entry.isascii() or len(entry) > _LONGEST_ORIGIN:
                continue  # no origin in any case, and looking into it would take time under the lock
            try:
                self._origins.setdefault(serialized_origin(entry))
            except InvalidArgument:
                continue

    def __iter__(self) -> Iterator[str]:
        return iter(self._origins)
