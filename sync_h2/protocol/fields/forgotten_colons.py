"""Header fields called as a pseudo-header field is, without its colon: whether somebody has forgotten that.

HTTP allows such fields, and a proxy may have to forward them. So one is refused only where the pseudo-header field that
it looks like would get a default in its place. Pure functions.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from ...errors import InvalidArgument

_BY_THEMSELVES = ("method", "path")
_WITH_NONE_GIVEN = ("scheme", "authority")
"""These are seldom given with a colon: whoever gives another one so, knows about it."""


def check_request_names(headers: Mapping[str, object]) -> None:
    """Raise `InvalidArgument` for a forgotten colon in a request."""
    # A plain CONNECT has no path (RFC 9113 section 8.5), an extended one has (RFC 8441).
    connects = headers.get(":method") == "CONNECT"
    _check(headers, ("method",) if connects and ":protocol" not in headers else _BY_THEMSELVES)
    if not any(name in headers for name in _WITH_NONE_GIVEN) and "protocol" not in headers:
        return
    if not any(name.startswith(":") for name in headers):
        _check(headers, _WITH_NONE_GIVEN)
    if connects and ":path" in headers:
        _check(headers, ("protocol",))


def check_response_names(headers: Container[str]) -> None:
    """The same in a response, final or not."""
    _check(headers, ("status",))


def _check(headers: Container[str], names: Iterable[str]) -> None:
    for name in names:
        if name in headers and f":{name}" not in headers:
            raise InvalidArgument(
                f"header {name!r}: did you mean ':{name}'? (give ':{name}' too, if a field {name!r} is meant)"
            )
