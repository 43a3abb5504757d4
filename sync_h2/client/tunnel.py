"""A tunnel through an HTTP proxy (RFC 9110 section 9.3.6). Blocks the thread that opens a connection."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import unquote

from ..deadline import Deadline
from ..errors import InvalidArgument, said
from ..exceptions import InvalidProxyURL, ProxyError
from ..transport.urls import shown_url, split_url
from .auth import basic_credentials
from .exchange import Fields, Origin
from .http1_response import HTTP1Response, Incoming

_LONGEST_HEAD = 65_536


class ProxyResponse(HTTP1Response):
    """A proxy's answer to CONNECT, read byte by byte: what follows it is the tunnel's."""

    def __init__(self, sock: socket.socket, *, method: str | None = None) -> None:
        super().__init__(Incoming(sock, _LONGEST_HEAD), method, buffered=False)


def proxy_origin(proxy: str) -> Origin:
    """Where a proxy listens. Raises InvalidProxyURL."""
    try:
        parts = split_url(proxy)
    except InvalidArgument as error:
        raise InvalidProxyURL(f"{shown_url(proxy)!r} is no proxy's URL: {error}", processed=False) from error
    if parts.scheme != "http" or not parts.host:
        raise InvalidProxyURL(
            f"{shown_url(proxy)!r} is no proxy to be reached: http://[user:password@]host[:port] is", processed=False
        )
    return Origin.of(parts)


def proxy_fields(proxy: str) -> Fields:
    """What a proxy is told with a request: the credentials that its URL has."""
    userinfo = split_url(proxy).userinfo
    if userinfo is None:
        return []
    name, _, password = userinfo.partition(":")
    return [("Proxy-Authorization", basic_credentials(unquote(name), unquote(password)))]


def open_tunnel(sock: socket.socket, target: Origin, proxy: str, deadline: Deadline) -> None:
    """Make a connection to a proxy one to `target`. Raises ProxyError, and TimeoutError."""
    authority = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in proxy_fields(proxy)]
    sock.settimeout(deadline.remaining())
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        with ProxyResponse(sock, method="CONNECT") as response, response.by(deadline):
            response.begin()
            status, reason = response.status, response.reason
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ProxyError(f"the proxy {proxy_origin(proxy)} hung up: {said(error)}", processed=False) from error
    if status // 100 != 2:
        raise ProxyError(
            f"the proxy {proxy_origin(proxy)} makes no tunnel to {authority}: {status} {reason}", processed=False
        )
