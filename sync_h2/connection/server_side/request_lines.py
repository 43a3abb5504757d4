"""Requests as they stand in lines of a log. Pure functions, which need no lock."""

from __future__ import annotations

from ...protocol.fields.sensitive import printable
from ..shared.stream_state import StreamState


def printable_request(state: StreamState) -> str:
    """Method and path of the request that a stream of a server's answers, each in one word, as they can stand between
    quotes; "-" for what is not known. For CONNECT, where it is sent to in place of a path.
    """
    headers = state.request_headers
    target = "" if headers is None else str(headers.get(":path", headers.get(":authority", "")))
    target = printable(target, '"')
    return f"{state.request_method or '-'} {target or '-'}"
