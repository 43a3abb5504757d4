"""Header fields, and their values: those that have quoted strings in them (RFC 9110 section 5.6.4) taken apart.

The values are what a peer sent: each octet is looked at a bounded number of times. Pure functions.
"""

from __future__ import annotations

import re

Fields = list[tuple[str, str]]
"""Names and values, in order."""

_marks = re.compile(r'["\\,;]').finditer
_special = re.compile(r'["\\]').sub
_MOST_DIGITS = 40
_escaped = re.compile(r"\\(.)", re.DOTALL).sub


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """What stands between separators, which are commas or semicolons, outside of quoted strings. One that is not closed
    goes on to the end.
    """
    parts = []
    start, escaped = 0, -1
    quoted = False
    for found in _marks(text):
        place = found.start()
        mark = text[place]
        if place == escaped:
            continue
        if mark == '"':
            quoted = not quoted
        elif quoted:
            escaped = place + 1 if mark == "\\" else -1
        elif mark == separator:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def named_values(parts: list[str]) -> dict[str, str]:
    """`name=value` each, where a value may be quoted; names in lower case. What is not so is left out."""
    found = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            found[name.strip().lower()] = unquoted(value.strip())
    return found


def challenges(fields: list[str]) -> list[tuple[str, dict[str, str]]]:
    """The schemes, in lower case, and the parameters of WWW-Authenticate fields, each of which may have several
    challenges (RFC 9110 section 11.6.1).
    """
    found: list[tuple[str, list[str]]] = []
    for part in (part.strip() for field in fields for part in split_outside_quotes(field, ",")):
        first, _, rest = part.partition(" ")
        rest = rest.lstrip()
        if "=" not in first and not rest.startswith("="):
            found.append((first.lower(), [rest]))
        elif found:
            found[-1][1].append(part)
    return [(scheme, named_values(parameters)) for scheme, parameters in found]


def length_of(value: str) -> int | None:
    """The octets that a content-length announces; None where it is no number, or one that is no length."""
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else None


def unquoted(value: str) -> str:
    """What a quoted string stands for; others stay as they are."""
    return _escaped(r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def quoted_string(value: str) -> str:
    """A quoted string that stands for `value`."""
    return '"{}"'.format(_special(r"\\\g<0>", value))


def as_text(value: str | bytes) -> str:
    """A name or value that may be given as octets, which are Latin-1."""
    return value if isinstance(value, str) else value.decode("latin-1")


def by_name(fields: Fields) -> dict[str, str] | Fields:
    """`fields` as a dict, unless a name stands twice: `encode_request` remembers of these what it has checked."""
    found = dict(fields)
    return found if len(found) == len(fields) else fields
