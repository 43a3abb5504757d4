"""URLs as the client has them: taken apart with its own exceptions, and quoted. Pure functions."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import quote, urljoin

from ...errors import InvalidArgument
from ...exceptions import InvalidURL
from ...transport.urls import URL, shown_url, split_url

IN_USERINFO = "!$%&'()*+,:;=~"
RESERVED = "!#$%&'()*+,/:;=?@[]~"
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SENDABLE = "".join(map(chr, range(0x21, 0x7F)))
_unsendable = re.compile(r"[^\x21-\x7e]").search
_escapes = re.compile("%[0-9A-Fa-f]{2}").sub


def parts_of(url: str) -> URL:
    """The parts of `url`. Raises InvalidURL."""
    try:
        return split_url(url)
    except InvalidArgument as error:
        raise InvalidURL(f"Failed to parse: {shown_url(url)}: {error}") from error


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


def quoted(part: str, safe: str = RESERVED) -> str:
    """A part of a URL with what may not stand in it quoted, by default in any, and escapes in upper case."""
    part = BAD_ESCAPE.sub("%25", part)
    return quote(_escapes(lambda match: match[0].upper(), part), safe=safe, errors="surrogatepass")


def sendable(target: str) -> str:
    """A path and query of somebody else's making with what would end it, or is no ASCII, quoted."""
    return quote(target, safe=_SENDABLE, errors="surrogatepass") if _unsendable(target) else target
