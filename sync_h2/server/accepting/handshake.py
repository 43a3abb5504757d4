"""How a connection begins, and so what session it gets: HTTP/2, or HTTP/1.1 where that is allowed.

On the connection's own thread, or with `serve_socket` the caller's, before anything is shared; it blocks for up to
`handshake_timeout`.
"""

from __future__ import annotations

import importlib.util
import socket
from dataclasses import dataclass
from typing import Any

from ...connection.server_side.server_session import ServerSession
from ...deadline import Deadline
from ...protocol.limits import Limits
from ...transport.contexts import HTTP2_ALPN
from ...transport.tls import TLSEngine
from ...transport.transport import TLSTransport, Transport
from .detection import read_opening, speaks_http1

HTTP1_ALPN = "http/1.1"


@dataclass(frozen=True)
class Beginning:
    """A connection that is ready for its session. `received` is what was read of it to find out what the client
    speaks.
    """

    transport: Transport
    session_class: type[ServerSession] = ServerSession
    received: bytes = b""


def http1_is_installed() -> bool:
    """Whether `allow_http1` can be had: the extra `http1` is there."""
    return importlib.util.find_spec("h11") is not None


def http1_session_class(allowed: bool) -> type[ServerSession] | None:
    """What `allow_http1` asks for; raises ImportError when h11 is missing."""
    if not isinstance(allowed, bool):
        raise TypeError(f"allow_http1 must be True or False, not {allowed!r}")
    if not allowed:
        return None
    try:
        from ...http1.session import HTTP1Session
    except ModuleNotFoundError as error:
        if error.name != "h11":
            raise
        raise ImportError("allow_http1 needs the package h11: pip install 'sync_h2[http1]'", name="h11") from error
    return HTTP1Session


def protocols(http1: type[ServerSession] | None) -> tuple[str, ...]:
    """What ALPN offers, the preferred one first."""
    return (HTTP2_ALPN,) if http1 is None else (HTTP2_ALPN, HTTP1_ALPN)


def begin_plain(
    sock: socket.socket, limits: Limits, http1: type[ServerSession] | None, *, address: Any = None
) -> Beginning:
    """Without TLS the first octets tell; they are looked at only where there is a choice. Raises Timeout and
    ConnectionLost.
    """
    if http1 is None:
        return Beginning(Transport(sock, address))
    received = read_opening(sock, Deadline(limits.handshake_timeout))
    return Beginning(Transport(sock, address), http1 if speaks_http1(received) else ServerSession, received)


def begin_secure(
    sock: socket.socket,
    engine: TLSEngine,
    limits: Limits,
    http1: type[ServerSession] | None,
    *,
    require_known: bool,
    address: Any = None,
) -> Beginning | None:
    """Shake hands; ALPN decides, and who has none speaks HTTP/1.1, if that is allowed. None: the client wants something
    else, which without `require_known` is no error. Raises TLSError, ALPNError, Timeout and ConnectionLost.
    """
    require_h2 = require_known and http1 is None
    engine.handshake(sock, Deadline(limits.handshake_timeout), require_h2=require_h2)
    if engine.alpn_protocol == HTTP2_ALPN:
        return Beginning(TLSTransport(sock, engine, address))
    if http1 is not None and engine.alpn_protocol in (HTTP1_ALPN, None):
        return Beginning(TLSTransport(sock, engine, address), http1)
    return None
