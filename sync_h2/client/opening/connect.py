"""Opening a client's session: address, socket, TLS, preface. Everything here runs on the caller's thread."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from ...arguments import check_options, type_name
from ...connection.client_side.client_session import ClientSession
from ...connection.inspection.trace import TraceFunction
from ...connection.session.configuration import Configuration
from ...connection.shared.listeners import Listener
from ...deadline import Deadline
from ...errors import InvalidArgument
from ...interpreter import Unpack
from ...protocol.limits import LimitOptions
from ...protocol.settings import Settings
from ...transport.contexts import PEM, client_context, set_alpn
from ...transport.host_names import as_authority
from ...transport.sockets import UNIX_PREFIX, connect_tcp, connect_unix
from ...transport.tls import TLSEngine
from ...transport.transport import TLSTransport, Transport
from ...transport.urls import shown_url, split_url
from ..options.trust import Trust, Verify, checked_verify, verify_or_context
from ..values.origin import DEFAULT_PORTS


def connect(
    authority: str,
    *,
    timeout: float | None = None,
    context: ssl.SSLContext | None = None,
    cafile: PEM | None = None,
    certfile: PEM | None = None,
    keyfile: PEM | None = None,
    verify: Verify = True,
    settings: Settings | Mapping[str, Any] | None = None,
    sock: socket.socket | None = None,
    listeners: Mapping[str, Listener] | None = None,
    trace: TraceFunction | None = None,
    **limits: Unpack[LimitOptions],
) -> ClientSession:
    """Open an HTTP/2 connection and return its session; blocks up to `timeout` seconds, and for the TLS handshake no
    longer than `handshake_timeout`.

    `authority` is `https://host[:port]` (TLS with ALPN `h2`), `http://host[:port]` (cleartext with prior knowledge)
    or `unix:/path`. It returns after TLS and our preface, without waiting for the peer's SETTINGS. `verify` is as in
    `Client`: True (certifi's authorities), False (anybody), the path of a file or folder with other authorities, or a
    context. `cafile`, `certfile` and `keyfile` are paths or PEM bytes; a `context` replaces all of these. `sock` is a
    connected socket to use instead; it belongs to the session from then on. `listeners` are in place before the first
    byte; `trace(line)` is called for each frame, both ways; `limits` are those of docs/reference/options.md.

    Raises `ConnectionLost` when no connection comes about, `Timeout`, `TLSError`, `ALPNError` when the peer does not
    choose `h2`, and `InvalidArgument`.
    """
    check_options(connect, limits, LimitOptions)
    configuration = Configuration.for_client(settings, trace=trace, listeners=listeners, **limits)
    scheme, host, port, name = _parse(authority)
    deadline = Deadline(timeout)
    trust = checked_verify(verify_or_context(verify, context))
    if scheme == "https":
        context = _context(trust, cafile, certfile, keyfile)
    if sock is None:
        sock = connect_unix(host, deadline) if scheme == "unix" else connect_tcp(host, port, deadline)
    try:
        transport = _transport(sock, scheme, host, context, deadline.at_most(configuration.limits.handshake_timeout))
        session = ClientSession(
            transport, configuration, scheme="https" if scheme == "https" else "http", authority=name
        )
    except BaseException:
        sock.close()
        raise
    session._begin()
    return session


def _context(trust: Trust, cafile: PEM | None, certfile: PEM | None, keyfile: PEM | None) -> ssl.SSLContext:
    if isinstance(trust, ssl.SSLContext):
        if cafile is not None or certfile is not None:
            raise InvalidArgument("a context replaces cafile, certfile and keyfile")
        set_alpn(trust)
        return trust
    if isinstance(trust, str):
        if cafile is not None:
            raise InvalidArgument("verify and cafile both name authorities: leave one out")
        cafile = trust
    return client_context(cafile=cafile, certfile=certfile, keyfile=keyfile, verify=trust is not False)


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
        is_port = isinstance(authority, int) and not isinstance(authority, bool)
        hint = f"; did you mean 'http://localhost:{authority}'?" if is_port else ""
        raise TypeError(f"an authority is a str, not {type_name(authority)}{hint}")
    if authority.startswith(UNIX_PREFIX):
        path = authority[len(UNIX_PREFIX) :]
        if not path:
            raise InvalidArgument("unix: needs the path of a socket")
        try:
            os.fsencode(path)
        except UnicodeEncodeError as error:
            raise InvalidArgument(f"{authority!r} names no file: {error}") from error
        return "unix", path, 0, "localhost"
    try:
        parts = split_url(authority)
    except InvalidArgument as error:
        raise InvalidArgument(f"{shown_url(authority)!r} is no URL: {error}") from error
    if parts.userinfo is not None:
        raise InvalidArgument("an authority takes no user name or password: send an authorization header")
    if parts.scheme not in DEFAULT_PORTS or not parts.host:
        raise InvalidArgument(f"{shown_url(authority)!r} is no https://host[:port], http://host[:port] or unix:/path")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidArgument(f"{authority!r} names more than a server: a path belongs into request()")
    name = as_authority(parts.host)
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    return parts.scheme, parts.host, port, name if parts.port is None else f"{name}:{port}"
