"""Proxies, and a tunnel through one of HTTP (RFC 9110 section 9.3.6). Blocks the thread that opens a connection."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import unquote

from ...deadline import Deadline
from ...errors import InvalidArgument, said
from ...exceptions import InvalidProxyURL, ProxyError
from ...transport.host_names import as_authority
from ...transport.urls import shown_url, split_url
from ..options.auth import basic_credentials
from ..values.fields import Fields
from ..values.origin import DEFAULT_PORTS, Origin
from ..wire.http1_response import HTTP1Response, Incoming
from .socks import SOCKS_PORTS, open_socks_tunnel

_LONGEST_HEAD = 65_536
_DEFAULT_PORTS = {"http": DEFAULT_PORTS["http"], **SOCKS_PORTS}


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
    if parts.scheme not in _DEFAULT_PORTS or not parts.host:
        raise InvalidProxyURL(
            f"{shown_url(proxy)!r} is no proxy to be reached: http://[user:password@]host[:port] is, and with "
            "socks5:// or socks5h://",
            processed=False,
        )
    return Origin(parts.scheme, parts.host, parts.port or _DEFAULT_PORTS[parts.scheme])


def speaks_socks(proxy: str) -> bool:
    """Whether a proxy makes tunnels only."""
    return proxy_origin(proxy).scheme in SOCKS_PORTS


def proxy_fields(proxy: str) -> Fields:
    """What a proxy is told with a request: the credentials that its URL has."""
    userinfo = split_url(proxy).userinfo
    if userinfo is None:
        return []
    name, _, password = userinfo.partition(":")
    return [("Proxy-Authorization", basic_credentials(unquote(name), unquote(password)))]


def open_tunnel(sock: socket.socket, target: Origin, proxy: str, deadline: Deadline) -> None:
    """Make a connection to a proxy one to `target`. Raises ProxyError, what `open_socks_tunnel` raises, and
    TimeoutError.
    """
    if speaks_socks(proxy):
        open_socks_tunnel(sock, target, split_url(proxy), deadline)
        return
    authority = f"{as_authority(target.host)}:{target.port}"
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
    except (OSError, http.client.HTTPException) as error:  # of both kinds is RemoteDisconnected
        what = "hung up" if isinstance(error, OSError) else "gives an answer to CONNECT that can't be understood"
        raise ProxyError(f"the proxy {proxy_origin(proxy)} {what}: {said(error)}", processed=False) from error
    if status // 100 != 2:
        raise ProxyError(
            f"the proxy {proxy_origin(proxy)} makes no tunnel to {authority}: {status} {reason}", processed=False
        )
