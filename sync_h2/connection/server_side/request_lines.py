"""Requests as they stand in lines of a log. Pure functions."""

from __future__ import annotations

from ...protocol.fields.headers import Headers
from ...protocol.fields.sensitive import printable


def printable_target(request: Headers) -> str:
    """What a request is for, in one word, as it can stand between quotes."""
    return printable(str(request.get(":path", request.get(":authority", ""))), '"')
