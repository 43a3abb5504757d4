"""URLs taken apart, in one way for everybody who looks at one.

Pure functions, for any thread. `urllib.parse` takes line ends and tabs out of a URL before it looks at it, and finds
another host than browsers behind a backslash: what one reads, another would not.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from ..errors import InvalidArgument
from .host_names import encode_host

# RFC 3986, appendix B. Every text matches.
_parts = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL
).fullmatch
_forbidden_in_authority = re.compile(r"[\x00-\x20\x7f\\\s]").search
_host_and_port = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?").fullmatch
_escaped_zone = re.compile(r"(\[[^%]*%)25(?=[^\]])").sub  # an address's, as URLs have it (RFC 6874)
_MOST_PORT = 65_535
_MOST_DIGITS = len(str(_MOST_PORT))
LONGEST_REMEMBERED = 2048
"""Characters of a URL of which caches keep something."""


class URL(NamedTuple):
    """A URL's parts, as they stand in it but for `scheme` and `host`: these are in lower case, the host in ASCII and
    without brackets.
    """

    scheme: str
    userinfo: str | None
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None


def split_url(url: str) -> URL:
    """The parts of `url`; "" where there is no scheme or host. Raises `InvalidArgument`, which does not say the URL."""
    return _remembered(url) if len(url) <= LONGEST_REMEMBERED else _split(url)


def _split(url: str) -> URL:
    found = _parts(url)
    assert found is not None
    scheme, authority, path, query, fragment = found.groups()
    userinfo, host, port = None, "", None
    if authority:
        if _forbidden_in_authority(authority):
            raise InvalidArgument("spaces, backslashes and control characters can't stand before the path")
        before, at, server = authority.rpartition("@")
        userinfo = before if at else None
        parts = _host_and_port(server)
        if parts is None:
            raise InvalidArgument("what stands before the path is no host and port")
        host = encode_host(_escaped_zone(r"\1", parts[1], 1)).lower()
        if parts[2]:
            digits = parts[2].lstrip("0")
            port = int(digits) if 0 < len(digits) <= _MOST_DIGITS else 0
            if not 0 < port <= _MOST_PORT:
                raise InvalidArgument(f"the port is none from 1 to {_MOST_PORT}")
    return URL((scheme or "").lower(), userinfo, host, port, path, query, fragment)


_remembered = functools.lru_cache(256)(_split)


def shown_url(url: str) -> str:
    """`url` for messages and logs: without user name and password."""
    if "@" not in url:
        return url
    try:
        parts = split_url(url)
    except InvalidArgument:
        return _hidden(url)
    if not parts.host:
        return _hidden(url)
    return url if parts.userinfo is None else url.replace(f"{parts.userinfo}@", "", 1)


def _hidden(url: str) -> str:
    """Nobody knows where a password ends in what is no URL."""
    scheme, separator, _ = url.rpartition("@")[0].partition("://")
    start = f"{scheme}://" if separator else ""
    return f"{start}***@{url.rpartition('@')[2]}"
