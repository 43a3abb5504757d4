"""What HTTP/2 allows in a field list (RFC 9113 sections 8.2 and 8.3), for both directions.

Pure functions of bytes. Received lists are checked under the session's lock by the reader thread, ours before the lock
is taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ...interpreter import SharedDict

CONNECTION_SPECIFIC = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Fields that speak of one HTTP/1.1 connection: forbidden (RFC 9113 section 8.2.2)."""

SINGLE_VALUE = frozenset(
    b"access-control-allow-credentials access-control-max-age access-control-request-method age authorization "
    b"content-encoding content-language content-length content-location content-md5 content-range content-type date "
    b"dnt etag expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified "
    b"location max-forwards proxy-authorization range referer retry-after tk upgrade-insecure-requests user-agent "
    b"x-content-type-options".split()
)
"""Fields that have one value: we do not send them twice. The list is Node's; receiving is not so strict."""

CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"})
"""Whoever reads one of these can act for its sender, whether or not that sender thought of marking it."""

_REQUEST_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path", b":protocol"})
_RESPONSE_PSEUDO = frozenset({b":status"})
_LONGEST_PSEUDO = 16  # octets
_NO_PSEUDO: frozenset[bytes] = frozenset()

# Common names that need no look at their spelling: a table is ten times as fast as the pattern.
_COMMON_NAMES = SINGLE_VALUE - {b"content-length", b"host"} | frozenset(
    b"accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-origin allow alt-svc "
    b"cache-control content-disposition cookie expect forwarded link origin pragma priority proxy-authenticate refresh "
    b"server set-cookie strict-transport-security traceparent tracestate trailer vary via www-authenticate "
    b"x-forwarded-for x-forwarded-host x-forwarded-proto x-powered-by x-request-id".split()
)
_DEFAULT_PORTS = SharedDict({b"http": b"80", b"https": b"443"})
_COMMON_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT"})

_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch  # a token of RFC 9110 section 5.6.2 in lower case
_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_scheme = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch  # RFC 3986 section 3.1
# RFC 3986 section 3.2, less userinfo. A path or a query in here would be taken for one by whoever builds a URL of it.
_is_authority = re.compile(rb"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]*").fullmatch
_forbidden_in_value = re.compile(rb"[\x00\r\n]").search  # RFC 9113 section 8.2.1
# A fragment is no part of :path (RFC 9113 section 8.3.1): some would cut it off, and others take it for one.
_forbidden_in_target = re.compile(rb"[\x00-\x20#\x7f]").search
# Longer ones are no lengths of this world, and int() refuses text of more than 4300 digits.
_LONGEST_CONTENT_LENGTH = 19


class MalformedHeaders(Exception):
    """A field list that HTTP/2 forbids; the message names the field."""


def check_request(fields: Sequence[tuple[bytes, bytes]], *, extended_connect: bool) -> tuple[bytes, int | None]:
    """Check a request's field list; its method, and the octets of content that it announces (None: it does not say).

    `extended_connect`: whether `:protocol` is known here (RFC 8441).
    """
    pseudo, content_length, host = _check_fields(fields, _REQUEST_PSEUDO)
    method = pseudo.get(b":method")
    if method is None:
        raise MalformedHeaders(":method is missing")
    if method not in _COMMON_METHODS and not _is_token(method):
        raise MalformedHeaders(f":method is not a token: {_shown(method)}")
    authority = pseudo.get(b":authority")
    if authority is not None and not _is_authority(authority):
        raise MalformedHeaders(f":authority is not a host and a port: {_shown(authority)}")
    if host is not None and not _is_authority(host):
        raise MalformedHeaders(f"host is not a host and a port: {_shown(host)}")
    if authority is not None and host is not None and not same_authority(authority, host, pseudo.get(b":scheme", b"")):
        raise MalformedHeaders(f":authority ({_shown(authority)}) and host ({_shown(host)}) differ")
    if b":protocol" in pseudo:
        if not extended_connect:
            raise MalformedHeaders(":protocol without SETTINGS_ENABLE_CONNECT_PROTOCOL")
        if method != b"CONNECT":
            raise MalformedHeaders(f":protocol with the method {_shown(method)}; only CONNECT has one")
        if not _is_token(pseudo[b":protocol"]):
            raise MalformedHeaders(f":protocol is not a token: {_shown(pseudo[b':protocol'])}")
    elif method == b"CONNECT":
        for name in (b":scheme", b":path"):
            if name in pseudo:
                raise MalformedHeaders(f"{name.decode()} with CONNECT, which has only :authority")
        if not authority:
            raise MalformedHeaders("CONNECT without :authority")
    if method == b"CONNECT":
        # RFC 9110 section 9.3.6: what follows is the tunnel's data.
        if content_length:
            raise MalformedHeaders(f"content-length is {content_length} with CONNECT, which has no content")
        content_length = None
    if method != b"CONNECT" or b":protocol" in pseudo:
        _check_target(pseudo, method, authority or host)
    return method, content_length


def check_response(fields: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, int | None]:
    """Check a response's field list; its status (three digits), and the octets of content that it announces."""
    pseudo, content_length, _ = _check_fields(fields, _RESPONSE_PSEUDO)
    status = pseudo.get(b":status")
    if status is None:
        raise MalformedHeaders(":status is missing")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise MalformedHeaders(f":status is not a number from 100 to 999: {_shown(status)}")
    if status == b"101":
        raise MalformedHeaders(":status 101 does not exist in HTTP/2")  # RFC 9113 section 8.6
    return status, content_length


def check_trailers(fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Check trailers: no pseudo-header fields (RFC 9113 section 8.1), and none that frame or route the message, which
    would come too late (RFC 9110 section 6.5.1).
    """
    _, content_length, host = _check_fields(fields, _NO_PSEUDO)
    if content_length is not None:
        raise MalformedHeaders("content-length in trailers")
    if host is not None:
        raise MalformedHeaders("host in trailers")


def check_fields(fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Check fields that stand by themselves: no pseudo-header fields."""
    _check_fields(fields, _NO_PSEUDO)


def same_authority(one: bytes, other: bytes, scheme: bytes) -> bool:
    """Whether both name one host and port; the scheme's default port may be left out (RFC 9110 section 4.2.3)."""
    if one == other:
        return True
    default = _DEFAULT_PORTS.get(scheme.lower(), b"")
    return _without_port(one, default) == _without_port(other, default)


def _without_port(authority: bytes, default: bytes) -> bytes:
    host, colon, port = authority.lower().rpartition(b":")
    is_default = colon and port in (b"", default) and (b":" not in host or host.endswith(b"]"))
    return host if is_default else authority.lower()


def _check_fields(
    fields: Sequence[tuple[bytes, bytes]], allowed_pseudo: frozenset[bytes]
) -> tuple[dict[bytes, bytes], int | None, bytes | None]:
    """What holds for every field list; gives the pseudo-header fields, content-length and host."""
    pseudo: dict[bytes, bytes] = {}
    content_length: int | None = None
    host: bytes | None = None
    regular_seen = False
    for name, value in fields:
        if name in _COMMON_NAMES:
            regular_seen = True
        elif name.startswith(b":"):
            if name not in allowed_pseudo:
                hint = _similar(name, allowed_pseudo)
                raise MalformedHeaders(f"pseudo-header field {_shown(name)} is not allowed here{hint}")
            if regular_seen:
                raise MalformedHeaders(f"pseudo-header field {_shown(name)} after other fields")
            if name in pseudo:
                raise MalformedHeaders(f"pseudo-header field {_shown(name)} twice")
            pseudo[name] = value
        else:
            regular_seen = True
            if name == b"content-length":
                if content_length is not None:
                    raise MalformedHeaders("content-length twice")
                content_length = _checked_content_length(value)
            elif name == b"host":
                if host is not None:
                    raise MalformedHeaders("host twice")
                host = value
            elif name in CONNECTION_SPECIFIC:
                raise MalformedHeaders(f"{_shown(name)} is a connection-specific field, which HTTP/2 forbids")
            elif name == b"te":
                if value.lower() != b"trailers":
                    raise MalformedHeaders(f"te may only say trailers in HTTP/2, not {_shown(value)}")
            elif not _is_name(name):
                raise MalformedHeaders(f"{_shown(name)} is not the name of a field")
        # Text that can be printed has none of the forbidden octets; asking that costs a quarter of the search.
        if not value.decode("latin-1").isprintable() and _forbidden_in_value(value):
            raise MalformedHeaders(f"the value of {_shown(name)} has a NUL, CR or LF in it")
        if value != value.strip(b" \t"):
            raise MalformedHeaders(f"the value of {_shown(name)} begins or ends with a space or tab")
    return pseudo, content_length, host


def _similar(name: bytes, allowed: frozenset[bytes]) -> str:
    """For whoever has mistyped it; a name that is not short is none of these."""
    if len(name) > _LONGEST_PSEUDO:
        return ""
    similar = difflib.get_close_matches(name.decode("latin-1"), [one.decode() for one in sorted(allowed)], 1)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def _check_target(pseudo: dict[bytes, bytes], method: bytes, authority: bytes | None) -> None:
    scheme, path = pseudo.get(b":scheme"), pseudo.get(b":path")
    if scheme is None or not _is_scheme(scheme):
        raise MalformedHeaders(":scheme is missing" if scheme is None else f":scheme is not a scheme: {_shown(scheme)}")
    if path is None:
        raise MalformedHeaders(":path is missing")
    if _forbidden_in_target(path):
        raise MalformedHeaders(f":path has a space, a control character or '#' in it: {_shown(path)}")
    if scheme.lower() in _DEFAULT_PORTS and not authority:
        raise MalformedHeaders("neither :authority nor host says whom the request is for")
    # RFC 9113 leaves other schemes their own paths. Nobody serves these; and who guards the paths that begin with
    # "/admin" must not be got round by ":scheme: x" and "admin".
    if not path.startswith(b"/") and not (path == b"*" and method == b"OPTIONS"):
        raise MalformedHeaders(f":path does not begin with a slash: {_shown(path)}")


def _checked_content_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > _LONGEST_CONTENT_LENGTH:
        raise MalformedHeaders(f"content-length is not a number: {_shown(value)}")
    return int(value)


def _shown(value: bytes) -> str:
    """`value` for a message: bounded, and with nothing unprintable in it."""
    return ascii(value[:100].decode("latin-1"))
