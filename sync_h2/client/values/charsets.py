"""Charsets that a content-type names, as Python's codecs.

Only those that turn octets into text in linear time: a peer chooses the name. Pure functions.
"""

from __future__ import annotations

import codecs
import re

_LONGEST_NAME = 64
_named = re.compile(r";\s*charset\s*=\s*[\"']?([^\"';\s]+)", re.IGNORECASE).search
# idna and punycode take the square of what they decode, utf-7 of what comes piece by piece; the others are no charsets.
_REFUSED = frozenset({"idna", "punycode", "utf-7", "undefined", "unicode-escape", "raw-unicode-escape"})


def charset_of(content_type: str) -> str | None:
    """The charset that a content-type names; what requests takes for granted where it names none; or None."""
    named = _named(content_type)
    if named is not None:
        return named[1]
    kind = content_type.partition(";")[0].strip().lower()
    if "text" in kind:
        return "ISO-8859-1"
    return "utf-8" if "application/json" in kind else None


def codec_of(charset: str | None) -> codecs.CodecInfo:
    """The codec of that name; UTF-8's if there is none that is one of text."""
    utf_8 = codecs.lookup("utf-8")
    if charset is None or len(charset) > _LONGEST_NAME or not charset.isascii():
        return utf_8
    try:
        found = codecs.lookup(charset)
    except (LookupError, ValueError):  # of a name with NUL in it
        return utf_8
    return found if found._is_text_encoding and found.name not in _REFUSED else utf_8
