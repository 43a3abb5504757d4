"""The head of an HTTP/1 request: from octets to the field list that an HTTP/2 request has (RFC 9112).

h11 does the parsing. What it lets through and two programs could read differently is refused before that (line ends
that are not CRLF, folded lines, several lengths) or after it (targets, versions, codings); and before that, too, what
it would look at for longer than a time that is linear in its length. Pure functions, called under the session's lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import h11

from ..constants import ErrorCode
from ..errors import ProtocolError
from ..protocol.fields.field_list import FieldList
from ..protocol.fields.header_rules import CONNECTION_SPECIFIC, MalformedHeaders, same_authority
from ..protocol.limits import Limits

# Whatever is not one of RFC 9112's lines: a CR or LF alone, and a line that goes on (obs-fold, section 5.2). And the
# octets that are part of no value for h11, whose pattern tries each way to divide the spaces before one of them: `re`
# holds the interpreter for the 15 seconds that 64 KB of these take.
_bad_line = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n|\n[ \t]|[\x00\x0b\x0c]").search
_content_lengths = re.compile(rb"\r\ncontent-length[ \t]*:([^\r]*)", re.IGNORECASE).findall
_is_host_and_port = re.compile(rb".+:[0-9]{1,5}").fullmatch

# These too speak of the one connection. `te` is kept as far as HTTP/2 has it.
_HOP_BY_HOP = CONNECTION_SPECIFIC | {b"te", b"http2-settings"}
_SCHEMES = (b"http", b"https")
_LONGEST_REASON = 200  # characters


class UnreadableRequest(ProtocolError):
    """A request that is refused before there is a stream; `status` is what the client is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message[:_LONGEST_REASON], code=ErrorCode.PROTOCOL_ERROR)
        self.status = status


@dataclass(slots=True)
class RequestHead:
    """What a request's head says. `fields` are what HTTP/2 would have; `content_length` None with `parser`: chunked."""

    method: str
    version: str
    fields: FieldList
    content_length: int
    priority: str | None
    keep_alive: bool
    expects_continue: bool
    chunked: h11.Connection | None

    @property
    def is_connect(self) -> bool:
        return self.method == "CONNECT"


def check_lines(octets: bytes | bytearray, start: int = 0) -> None:
    """Refuse what no fields, whole or not, may have in them; what comes before `start` was checked already."""
    found = _bad_line(octets, start)
    if found is None:
        return
    if found[0] in (b"\0", b"\x0b", b"\x0c"):
        raise UnreadableRequest(400, "a NUL, vertical tab or form feed")
    raise UnreadableRequest(400, "a line that does not end with CR and LF, or that continues the one before")


def parse_request(octets: bytes, limits: Limits, *, scheme: bytes, authority: Callable[[], str]) -> RequestHead:
    """A request's whole head, its last line empty; `authority()` is for requests of HTTP/1.0 that name no host.

    Raises UnreadableRequest.
    """
    check_lines(octets)
    lengths = _content_lengths(octets)
    if len(lengths) > 1 or not all(length.strip(b" \t").isdigit() for length in lengths):
        raise UnreadableRequest(400, "several values of content-length, or one that is not a number")
    octets, target = _for_h11(octets)
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=max(limits.max_header_list_size, 1))
    request = next_event(parser, octets)
    if not isinstance(request, h11.Request):
        raise UnreadableRequest(400, "no request")
    if len(request.headers) > limits.max_header_pairs:
        raise UnreadableRequest(431, "more header fields than max_header_pairs")
    version = _version(request.http_version)
    fields: list[tuple[bytes, bytes]] = []
    connection: set[bytes] = set()
    host: bytes | None = None
    chunked = expects_continue = wants_trailers = False
    for name, value in request.headers:
        if name == b"host":
            host = value
        elif name in _HOP_BY_HOP:
            tokens = {token.strip(b" \t") for token in value.lower().split(b",")}
            if name == b"connection":
                connection |= tokens
            elif name == b"te":
                wants_trailers |= b"trailers" in tokens
            elif name == b"transfer-encoding":
                chunked = True  # the only one that h11 lets through
        elif name != b"expect" or version != "1.0":  # RFC 9110 section 10.1.1
            fields.append((name, value))
            expects_continue |= name == b"expect" and value.lower() == b"100-continue"
    if chunked and (lengths or version == "1.0"):
        raise UnreadableRequest(400, "transfer-encoding with content-length, or in HTTP/1.0")
    if wants_trailers:
        fields.append((b"te", b"trailers"))
    if target is None:
        target = request.target
    if version == "1.0" and not host:
        # Any other target says whom it is for.
        host = authority().encode("latin-1", "replace") if target.startswith((b"/", b"*")) else None
    list_of_fields = FieldList([*_pseudo_fields(request.method, target, scheme, host), *fields])
    if list_of_fields.size > limits.max_header_list_size:
        raise UnreadableRequest(431, "header fields over max_header_list_size")
    try:
        checked = list_of_fields.request(extended_connect=False)
    except MalformedHeaders as error:
        raise UnreadableRequest(400, str(error)) from error
    if checked.method == "CONNECT" and (chunked or lengths):
        raise UnreadableRequest(400, "CONNECT with content")
    return RequestHead(
        method=checked.method,
        version=version,
        fields=list_of_fields,
        content_length=checked.content_length or 0,
        priority=checked.priority,
        keep_alive=b"close" not in connection and (version == "1.1" or b"keep-alive" in connection),
        expects_continue=expects_continue,
        chunked=parser if chunked else None,
    )


def _for_h11(octets: bytes) -> tuple[bytes, bytes | None]:
    """The head with a target that h11 takes, and the true one if it has octets that are no ASCII: nobody should send
    these, but curl does, in queries, and over HTTP/2 they arrive.
    """
    line = octets[: octets.find(b"\r\n")]
    words = line.split(b" ")
    if line.isascii() or len(words) != 3:
        return octets, None
    method, target, version = words
    return b"%b / %b%b" % (method, version, octets[len(line) :]), target


def next_event(parser: h11.Connection, octets: bytes) -> object:
    """What h11 makes of a few octets more. Raises UnreadableRequest."""
    try:
        parser.receive_data(octets)
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        # Some of its messages end with the line, as a Python object.
        message = str(error).partition("bytearray(")[0].rstrip(": ")
        raise UnreadableRequest(error.error_status_hint, message) from error


def _version(version: bytes) -> str:
    """ "1.0" or "1.1"; later minor versions can be served as the latest that is known (RFC 9110 section 2.5)."""
    if not version.startswith(b"1."):
        raise UnreadableRequest(505, f"HTTP/{version.decode()} in a request of HTTP/1")
    return "1.0" if version == b"1.0" else "1.1"


def _pseudo_fields(method: bytes, target: bytes, scheme: bytes, host: bytes | None) -> list[tuple[bytes, bytes]]:
    """The request line and Host as pseudo-header fields (RFC 9112 section 3.2, RFC 9113 section 8.3.1)."""
    if method == b"CONNECT":
        if not _is_host_and_port(target):
            raise UnreadableRequest(400, "the target of CONNECT is not a host and a port")
        _check_same_host(target, host, b"")
        return [(b":method", method), (b":authority", target)]
    authority, path = host or b"", target
    if not target.startswith(b"/") and target != b"*":
        named_scheme, separator, rest = target.partition(b"://")
        scheme = named_scheme.lower()
        if not separator or scheme not in _SCHEMES:
            raise UnreadableRequest(400, "the target is neither a path nor a URL of http or https")
        end = next((index for index, octet in enumerate(rest) if octet in b"/?#"), len(rest))
        authority, path = rest[:end], rest[end:]
        _check_same_host(authority, host, scheme)
        if not path.startswith(b"/"):
            path = b"*" if method == b"OPTIONS" and not path else b"/" + path
    return [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path)]


def _check_same_host(authority: bytes, host: bytes | None, scheme: bytes) -> None:
    """RFC 9112 section 3.2.2 would have Host ignored: whoever stands in between may have gone by it."""
    if host is not None and not same_authority(authority, host, scheme):
        raise UnreadableRequest(400, "the target and Host name different hosts")
