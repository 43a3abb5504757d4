"""What protocol a client speaks, by its first octets: a server without TLS looks before it says anything. And the whole
answers to those that it does not serve.

Pure functions of what has arrived; a session's reader thread calls them under its lock, the acceptor and a connection's
own thread before there is a session.
"""

from __future__ import annotations

from enum import Enum, auto

from ...constants import FRAME_HEADER_LENGTH, PREFACE, ErrorCode, FrameType
from ...errors import ProtocolError
from .framing import frame_header, parse_frame_header

# A TLS record (RFC 8446 section 5.1): handshake, then the major number of a version that says 3 in all of them.
_TLS = b"\x16\x03"
# RFC 9110 section 5.6.2: what a method is made of.
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

# RFC 9112 section 3.2: what a target begins with, but for CONNECT, whose target is a host.
_TARGETS = (b"/", b"*", b"http://", b"https://")

_ABOUT_WHAT_FOLLOWS = frozenset({FrameType.SETTINGS, FrameType.WINDOW_UPDATE, FrameType.PRIORITY, FrameType.GOAWAY})

LONGEST_OPENING = max(len(PREFACE), 32)
"""As many octets as are ever needed; no method that is registered is half as long."""

_NOT_HERE = (
    b"This port speaks HTTP/2 only, without TLS.\n"
    b"In Python: sync_h2.Client(h2c=True); curl: --http2-prior-knowledge.\n"
    b"For browsers: serve with TLS. For HTTP/1.1: pip install 'sync_h2[http1]', and create_server(allow_http1=True).\n"
)
HTTP_1_REFUSAL = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\n"
    b"content-type: text/plain\r\n"
    b"content-length: %d\r\n"
    b"connection: close\r\n"
    b"\r\n%b" % (len(_NOT_HERE), _NOT_HERE)
)
"""The answer to whatever was asked in HTTP/1, for people who read it (RFC 9110 section 15.6.6)."""


class Opening(Enum):
    """What a connection begins with."""

    UNDECIDED = auto()
    HTTP_2 = auto()
    HTTP_1 = auto()
    TLS = auto()
    UNKNOWN = auto()


def recognise(octets: bytes) -> Opening:
    """What a client speaks whose first octets these are (at most `LONGEST_OPENING` matter)."""
    if octets.startswith(PREFACE):
        return Opening.HTTP_2
    if PREFACE.startswith(octets) or octets == _TLS[:1]:
        return Opening.UNDECIDED
    if octets.startswith(_TLS):
        return Opening.TLS
    method, space, target = octets.partition(b" ")
    if not method or not _TOKEN.issuperset(method):
        return Opening.UNKNOWN
    if method == b"CONNECT" and target:
        return Opening.HTTP_1
    # HTTP/2's preface was made to look like a request (RFC 9113 section 3.4); with another version or without its end
    # it is neither.
    target = target.lower()
    if space and target.startswith(_TARGETS):
        return Opening.UNKNOWN if method == b"PRI" else Opening.HTTP_1
    may_become_one = not space or any(beginning.startswith(target) for beginning in _TARGETS)
    return Opening.UNDECIDED if may_become_one and len(octets) < LONGEST_OPENING else Opening.UNKNOWN


def asks_for_something(octets: bytes) -> bool:
    """Whether a client of HTTP/2 that has sent this and will send nothing more gets anything from a session: there is
    a request among it, or some other frame that is answered.
    """
    place = len(PREFACE)
    while len(octets) >= place + FRAME_HEADER_LENGTH:
        length, frame_type, _, _ = parse_frame_header(octets[place : place + FRAME_HEADER_LENGTH])
        if frame_type not in _ABOUT_WHAT_FOLLOWS:
            return True
        place += FRAME_HEADER_LENGTH + length
    return False


def refusal(limit: str) -> bytes:
    """All that a server says to a client that is one too many: nothing was processed (RFC 9113 section 6.8)."""
    return goodbye(ErrorCode.ENHANCE_YOUR_CALM, limit)


def goodbye(code: ErrorCode, text: str = "") -> bytes:
    """All that a server says to a client of which nothing was processed."""
    payload = bytes(4) + code.to_bytes(4, "big") + text.encode()
    return frame_header(0, FrameType.SETTINGS, 0, 0) + frame_header(len(payload), FrameType.GOAWAY, 0, 0) + payload


def wrong_protocol(opening: Opening) -> ProtocolError:
    """Why a session with a client that speaks HTTP/1 or TLS ends."""
    if opening is Opening.TLS:
        message = "the client begins with TLS, and this port has none: create_secure_server makes one that has"
    else:
        message = "the client speaks HTTP/1, and this port HTTP/2 only"
    return ProtocolError(message, code=ErrorCode.PROTOCOL_ERROR)
