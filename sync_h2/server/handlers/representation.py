"""Which representation of a file a request selects: preconditions, ranges and content codings (RFC 9110 sections 12 to
14). Values in, values out; no I/O and nothing shared.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timezone
from email.utils import parsedate_to_datetime

from ...protocol.fields.headers import Headers

_ENTITY_TAG = re.compile(r'(W/)?("[^"]*")')
# Numbers that have more digits than any file's size has are no range to us, and so ignored, which section 14.2 allows.
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)
_QUALITY = re.compile(r"[ \t]*q[ \t]*=[ \t]*([01](?:\.[0-9]{0,3})?)[ \t]*", re.IGNORECASE)


def precondition_failure(request: Headers, etag: str, modified: int) -> int | None:
    """The status that answers a GET or HEAD in place of the file: 304, 412, or None when the file is to be sent
    (section 13.2.2).

    `etag` is the file's strong entity tag, `modified` its time in whole seconds since 1970.
    """
    if "if-match" in request:
        if not _lists(request["if-match"], etag, weakly=False):
            return 412
    elif "if-unmodified-since" in request:
        limit = _seconds(request["if-unmodified-since"])
        if limit is not None and modified > limit:
            return 412
    if "if-none-match" in request:
        if _lists(request["if-none-match"], etag, weakly=True):
            return 304
    elif "if-modified-since" in request:
        limit = _seconds(request["if-modified-since"])
        if limit is not None and modified <= limit:
            return 304
    return None


def wanted_range(request: Headers, size: int, etag: str, modified: int) -> range | None:
    """The bytes that a GET asks for out of `size`; empty when there are none such (416), None when all are to be sent.

    Several ranges at once are answered with the whole file, which section 14.2 allows.
    """
    wanted = _RANGE.fullmatch(request.get("range", ""))
    if wanted is None or not any(wanted.groups()):
        return None
    condition = request.get("if-range")
    if condition is not None and condition != etag and ('"' in condition or _seconds(condition) != modified):
        return None
    first, last = wanted.groups()
    if not first:
        return range(max(size - int(last), 0), size) if size else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def best_coding(accept_encoding: str, codings: Collection[str]) -> str | None:
    """The one of `codings` (the best first) that the client likes most, None for the file as it is (section 12.5.3)."""
    qualities: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, _, parameter = item.partition(";")
        quality = _QUALITY.fullmatch(parameter)
        qualities[name.strip()] = float(quality[1]) if quality else 1.0
    best, most = None, qualities.get("identity", 0.0)
    for coding in codings:
        quality_of_coding = qualities.get(coding, qualities.get("*", 0.0))
        if quality_of_coding > most or (best is None and quality_of_coding == most > 0):
            best, most = coding, quality_of_coding
    return best


def _lists(field: str, etag: str, *, weakly: bool) -> bool:
    """Whether an If-Match or If-None-Match field names `etag`; `weakly`, marks of weakness do not count."""
    return field.strip() == "*" or any(tag == etag and (weakly or not weak) for weak, tag in _ENTITY_TAG.findall(field))


def _seconds(date: str) -> float | None:
    """Seconds since 1970; None for what is no date."""
    try:
        moment = parsedate_to_datetime(date)
        # One of HTTP's three formats, C's asctime, names no zone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
