"""Opening a client's session: address, socket, TLS, preface. Everything here runs on the caller's thread."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..connection.client_session import ClientSession
from ..connection.configuration import configuration
from ..connection.listeners import Listener
from ..connection.trace import TraceFunction, check_trace
from ..deadline import Deadline
from ..errors import InvalidArgument
from ..protocol.limits import Limits
from ..protocol.settings import Settings
from ..transport.sockets import UNIX_PREFIX, connect_tcp, connect_unix
from ..transport.tls import PEM, TLSEngine, client_context, set_alpn
from ..transport.transport import TLSTransport, Transport

DEFAULT_PORTS = {"http": 80, "https": 443}


def connect(
    authority: str,
    *,
    timeout: float | None = None,
    context: ssl.SSLContext | None = None,
    cafile: PEM | None = None,
    certfile: PEM | None = None,
    keyfile: PEM | None = None,
    verify: bool = True,
    settings: Settings | Mapping[str, Any] | None = None,
    sock: socket.socket | None = None,
    listeners: Mapping[str, Listener] | None = None,
    trace: TraceFunction | None = None,
    **limits: Any,
) -> ClientSession:
    """Open an HTTP/2 connection and return its session; blocks up to `timeout` seconds, and for the TLS handshake no
    longer than `handshake_timeout`.

    `authority` is `https://host[:port]` (TLS with ALPN `h2`), `http://host[:port]` (cleartext with prior knowledge)
    or `unix:/path`. It returns after TLS and our preface, without waiting for the peer's SETTINGS. `cafile`,
    `certfile` and `keyfile` are paths or PEM bytes, by default certifi's authorities are trusted; `verify=False`
    trusts anybody; a `context` replaces all of these. `sock` is a connected socket to use instead; it belongs to the
    session from then on. `listeners` are in place before the first byte; `trace(line)` is called for each frame, both
    ways; `limits` are the options of the README's table.

    Raises `ConnectionLost` when no connection comes about, `Timeout`, `TLSError`, `ALPNError` when the peer does not
    choose `h2`, and `InvalidArgument`.
    """
    check_trace(trace)
    bounds, values = configuration(Limits.for_client(**limits), settings, server=False)
    scheme, host, port, name = _parse(authority)
    deadline = Deadline(timeout)
    if scheme == "https":
        if context is None:
            context = client_context(cafile=cafile, certfile=certfile, keyfile=keyfile, verify=verify)
        elif cafile is not None or certfile is not None:
            raise InvalidArgument("a context replaces cafile, certfile and keyfile")
        else:
            set_alpn(context)
    if sock is None:
        sock = connect_unix(host, deadline) if scheme == "unix" else connect_tcp(host, port, deadline)
    try:
        transport = _transport(sock, scheme, host, context, deadline.at_most(bounds.handshake_timeout))
        session = ClientSession(
            transport,
            scheme="https" if scheme == "https" else "http",
            authority=name,
            settings=values,
            limits=bounds,
            listeners=listeners,
            trace=trace,
        )
    except BaseException:
        sock.close()
        raise
    session._begin()
    return session


def _transport(
    sock: socket.socket, scheme: str, host: str, context: ssl.SSLContext | None, deadline: Deadline
) -> Transport:
    if context is None or scheme != "https":
        return Transport(sock)
    engine = TLSEngine(context, server_side=False, server_hostname=host)
    engine.handshake(sock, deadline)
    return TLSTransport(sock, engine)


def _parse(authority: str) -> tuple[str, str, int, str]:
    """Scheme, host or path, port, and the `:authority` that requests carry."""
    if not isinstance(authority, str):
        raise TypeError(f"an authority is a str, not {type(authority).__name__}")
    if authority.startswith(UNIX_PREFIX):
        path = authority[len(UNIX_PREFIX) :]
        if not path:
            raise InvalidArgument("unix: needs the path of a socket")
        return "unix", path, 0, "localhost"
    try:
        parts = urlsplit(authority)
    except ValueError as error:
        raise InvalidArgument(f"{authority!r} is no URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise InvalidArgument(f"{authority!r} is no https://host[:port], http://host[:port] or unix:/path")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidArgument(f"{authority!r} names more than a server: a path belongs into request()")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("an authority takes no user name or password: send an authorization header")
    try:
        port = parts.port
    except ValueError as error:
        raise InvalidArgument(f"{authority!r} has no valid port") from error
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], parts.netloc
