"""URLs as the client has them: taken apart with its own exceptions, and quoted. Pure functions."""

from __future__ import annotations

import contextlib
import functools
import re
from urllib.parse import quote, urljoin, urlunsplit

from ...errors import InvalidArgument
from ...exceptions import InvalidSchema, InvalidURL, MissingSchema
from ...transport.host_names import in_url
from ...transport.urls import URL, shown_url, split_url

_begins_with_port = re.compile(r"[^/?#:@]+:\d+(?:[/?#]|$)").match  # behind a name, which looks like a scheme then
_IN_USERINFO = "!$%&'()*+,:;=~"
_RESERVED = "!#$%&'()*+,/:;=?@[]~"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_UNRESERVED = re.compile(r"%(2[DEde]|3\d|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
_SENDABLE = "".join(map(chr, range(0x21, 0x7F)))
_unsendable = re.compile(r"[^\x21-\x7e]").search
_escapes = re.compile("%[0-9A-Fa-f]{2}").sub


def parts_of(url: str) -> URL:
    """The parts of `url`. Raises InvalidURL."""
    try:
        return split_url(url)
    except InvalidArgument as error:
        raise InvalidURL(f"Failed to parse: {shown_url(url)}: {error}") from error


def no_adapter_for(url: str) -> InvalidSchema:
    """The error for a URL with a scheme that nobody knows."""
    return InvalidSchema(f"No connection adapters were found for {shown_url(url)!r}{_without_scheme(url)}")


def _without_scheme(url: str) -> str:
    """What may have been meant by a URL whose host was taken for a scheme."""
    shown = shown_url(url)
    return f". Perhaps you meant https://{shown}?" if _begins_with_port(shown) else ""


def joined(base: str, location: str) -> str:
    """The absolute URL that a Location field of the answer to `base` means. Raises InvalidURL."""
    with contextlib.suppress(UnicodeError):  # octets beyond ASCII are UTF-8 as a rule, and otherwise Latin-1
        location = location.encode("latin-1").decode()
    if location.startswith("//"):
        location = f"{parts_of(base).scheme}:{location}"
    if parts_of(location).host:
        return location
    try:
        return urljoin(base, quoted(location))  # which drops tabs otherwise
    except ValueError as error:  # brackets
        raise InvalidURL(f"Failed to parse: {shown_url(location)}") from error


def quoted(part: str, safe: str = _RESERVED) -> str:
    """A part of a URL with what may not stand in it quoted, by default in any, and escapes in upper case."""
    part = _BAD_ESCAPE.sub("%25", part)
    return quote(_escapes(lambda match: match[0].upper(), part), safe=safe, errors="surrogatepass")


def sendable(target: str) -> str:
    """A path and query of somebody else's making with what would end it, or is no ASCII, quoted."""
    return quote(target, safe=_SENDABLE, errors="surrogatepass") if _unsendable(target) else target


def complete_url(url: str, query: str) -> str:
    """A URL, quoted, its host in IDNA, and `query` behind its own. Raises InvalidURL and its kinds."""
    parts = parts_of(url)
    if not parts.scheme:
        shown = shown_url(url)
        if (shown.startswith("/") and not parts.host) or not shown:
            hint = "Give a whole URL, or Client(base_url=...)."
        else:
            hint = f"Perhaps you meant https://{shown.removeprefix('//')}?"
        raise MissingSchema(f"Invalid URL {shown!r}: No scheme supplied. {hint}")
    if not parts.host:
        raise InvalidURL(f"Invalid URL {shown_url(url)!r}: No host supplied{_without_scheme(url)}")
    if parts.host.startswith("*"):
        raise InvalidURL(f"URL has an invalid label: {shown_url(url)!r}")
    netloc = in_url(parts.host)
    if parts.userinfo is not None:
        netloc = f"{quoted(parts.userinfo, _IN_USERINFO)}@{netloc}"
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    path = _without_dot_segments(quoted(parts.path) or "/")
    query = "&".join(part for part in (quoted(parts.query or ""), query) if part)
    return _requoted(urlunsplit((parts.scheme, netloc, path, query, quoted(parts.fragment or ""))))


remembered_url = functools.lru_cache(256)(complete_url)
"""The same, for short ones."""


def _requoted(url: str) -> str:
    """A URL whose escapes are right: none for what needs none, one for each character that does."""
    return quote(_unescaped(_BAD_ESCAPE.sub("%25", url)), safe=_RESERVED)


def _unescaped(url: str) -> str:
    return _ESCAPED_UNRESERVED.sub(lambda match: _unreserved(match[1]), url)


def _unreserved(digits: str) -> str:
    character = chr(int(digits, 16))
    return character if character.isalnum() or character in "-._~" else f"%{digits}"


def _without_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith(("/.", "/..")) else "")
