"""What peers send as it may be shown to people: header fields without what is secret, and text that stays in its place.

Pure functions, on field lists as HPACK takes and gives them and on text.
"""

from __future__ import annotations

from .field_list import FieldList
from .header_rules import CREDENTIALS
from .headers import Headers, WireFields

HIDDEN = "<sensitive>"


def printable(text: str, escaped: str = "") -> str:
    """`text` as it can stand in a line of a log: what ends that or commands a terminal is escaped, and `escaped`."""
    if text.isprintable() and not any(character in text for character in escaped):
        return text
    return "".join(
        character if character.isprintable() and character not in escaped else f"\\x{ord(character):02x}"
        for character in text
    )


def shown_fields(fields: WireFields) -> list[tuple[str, str]]:
    """The fields as text, in order; the value of a sensitive one is `HIDDEN`.

    Sensitive are credentials and every name that has a never-indexed field (RFC 7541 section 7.1.3).
    """
    hidden = CREDENTIALS | {field[0] for field in fields if not getattr(field, "indexable", True)}
    return [
        (name.decode("latin-1"), HIDDEN if name in hidden else value.decode("latin-1"))
        for name, value in (field[:2] for field in fields)
    ]


def shown_headers(headers: Headers) -> list[tuple[str, str]]:
    """The same of `Headers`. Nobody has looked into received ones yet, or their owner may be doing so, on another
    thread, for the first time: that is not done here.
    """
    wire = headers._wire
    if wire is not None:
        return shown_fields(wire.fields if isinstance(wire, FieldList) else wire)
    hidden = headers.sensitive | {name.decode() for name in CREDENTIALS}
    return [(name, HIDDEN if name in hidden else value) for name, value in headers.pairs()]
