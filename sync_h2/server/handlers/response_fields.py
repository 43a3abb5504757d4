"""Header fields as code written for HTTP/1 gives them: any case, spaces around them, and fields that speak of a
connection which is not there. Pure functions; any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from ...errors import InvalidArgument
from ...protocol.fields.header_rules import CONNECTION_SPECIFIC
from ...protocol.fields.headers import HeaderValue, check_field
from ...transport.log import Log

logger = Log("sync_h2.server")

FieldValue: TypeAlias = HeaderValue

FieldsSource: TypeAlias = "Mapping[str, FieldValue] | Iterable[Any]"
"""A mapping, (name, value) pairs, or a flat list: name, value, name, value…"""

_DROPPED = frozenset(name.decode() for name in CONNECTION_SPECIFIC) | {"http2-settings"}

_is_plain_name = re.compile(r"[a-z][a-z0-9\-]*").fullmatch

_told: set[str] = set()


def tell_once(key: str, message: str) -> None:
    """Log what is left out, once in a process: whoever does it does it for every response."""
    if key not in _told:
        _told.add(key)
        logger.info("%s; this is said once", message)


def field_name(name: str) -> str:
    """The name as it is looked up and sent."""
    if not isinstance(name, str):
        raise TypeError(f"a header's name must be a str, not {type(name).__name__}")
    name = name.strip()
    return name.lower() if name.isascii() else name  # a Kelvin sign would become the letter k


def field(name: str, value: FieldValue) -> tuple[str, FieldValue] | None:
    """A field's name and value as they can be sent; None for one of HTTP/1.1's connection, which is left out.

    Raises `InvalidArgument` for pseudo-header fields, and for names and values that no HTTP allows.
    """
    name = field_name(name)
    value = _stripped(value)
    if name in _DROPPED or (name == "te" and value != "trailers"):
        tell_once(
            name, f"the header {name!r} speaks of an HTTP/1.1 connection and is left out (RFC 9113 section 8.2.2)"
        )
        return None
    is_plain = type(value) is int or (type(value) is str and value.isascii() and value.isprintable())
    if not (is_plain and _is_plain_name(name)):
        check_field(name, value)
    return name, value


def _stripped(value: FieldValue) -> FieldValue:
    if isinstance(value, str):
        return value.strip(" \t")
    if isinstance(value, list | tuple):
        return [item.strip(" \t") if isinstance(item, str) else item for item in value]
    return value


def pairs_of(source: FieldsSource) -> list[tuple[str, FieldValue]]:
    """The fields of `source`, one after the other."""
    if isinstance(source, Mapping):
        return list(source.items())
    if isinstance(source, str) or not isinstance(source, Iterable):
        raise TypeError(f"headers are a mapping, pairs or a flat list, not {type(source).__name__}")
    items = list(source)
    if items and isinstance(items[0], str):
        if len(items) % 2:
            raise InvalidArgument("headers are a flat list, whose last name has no value")
        return list(zip(items[::2], items[1::2], strict=True))
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InvalidArgument(f"headers are a mapping, pairs or a flat list; {item!r} is no pair")
    return [(name, value) for name, value in items]
