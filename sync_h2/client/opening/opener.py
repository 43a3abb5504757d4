"""Opening a connection to an origin: TCP, a proxy's tunnel, TLS, and what ALPN chooses. Blocks the calling thread."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ... import errors
from ...arguments import type_name
from ...connection.client_side.client_session import ClientSession
from ...connection.session.configuration import Configuration
from ...connection.shared.listeners import Listener
from ...deadline import Deadline
from ...errors import InvalidArgument
from ...exceptions import ConnectionError, ConnectTimeout, InvalidURL, ProxyError, SSLError
from ...interpreter import Lock
from ...protocol.settings import Settings
from ...transport.blocking_tls import BlockingTLSConnection
from ...transport.contexts import HTTP2_ALPN
from ...transport.fork import renew_in_forked_child
from ...transport.sockets import UNIX_PREFIX, connect_tcp, connect_unix, peer_address
from ...transport.tls import TLSEngine
from ...transport.transport import TLSTransport, Transport
from ...transport.urls import split_url
from ..options.tracing import Trace, step
from ..options.trust import Shown, Trust, make_context
from ..values.origin import Origin
from ..wire.http1_connection import HTTP1Connection
from ..wire.tls_socket import TLSSocket
from .destination import Destination
from .network_stream import NetworkStream
from .proxies import open_tunnel, proxy_fields, proxy_origin, speaks_socks
from .resolver import Resolve, resolver

_HTTP1_ALPN = "http/1.1"
_ADVICE_ON_AUTHORITIES = "; pass verify='authority.pem', the authority that signed it, or verify=False to trust anybody"


class Opener:
    """Opens connections with the same options."""

    def __init__(
        self,
        *,
        keepalive_expiry: float | None,
        http1: bool = True,
        h2c: bool = False,
        settings: Settings | Mapping[str, Any] | None = None,
        listeners: Mapping[str, Listener] | None = None,
        resolve: Resolve | None = None,
        unix_socket: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._resolve = resolver(resolve, unix_socket)
        self.resolves = resolve is not None or unix_socket is not None
        self.needs_no_proxy = unix_socket is not None  # what is here is not reached through one
        self.speaks_http1 = http1
        self._h2c = h2c
        options.setdefault("idle_timeout", keepalive_expiry)
        options.setdefault("peer_max_concurrent_streams", 1)  # the SETTINGS are a round trip away
        self._configuration = Configuration.for_client(settings, **options)
        self._listeners = dict(listeners or {})
        self._making_context = Lock()
        self._contexts: dict[tuple[Trust, Shown, tuple[str, ...]], ssl.SSLContext] = {}
        renew_in_forked_child(self)

    def _renew(self) -> None:
        self._making_context = Lock()

    def open(
        self,
        destination: Destination,
        place: tuple[str, int],
        timeout: float | None,
        listeners: Mapping[str, Listener],
        trace: Trace | None = None,
        *,
        only_http1: bool = False,
    ) -> ClientSession | HTTP1Connection:
        """Connect to `place`, which serves the destination's origin. Raises exceptions of `sync_h2.exceptions`."""
        origin, proxy = destination.origin, destination.proxy
        deadline = Deadline(timeout)
        try:
            host, port = place
            if proxy is not None:
                towards = proxy_origin(proxy)
                host, port = towards.host, towards.port
            with step(trace, "connection.connect_tcp", host=host, port=port, timeout=timeout) as told:
                sock = self._dial(host, port, deadline)
                if told is not None:
                    told.value = NetworkStream(sock)
            try:
                return self._begin(sock, destination, deadline, listeners, trace, only_http1)
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            why = error.message if isinstance(error, errors.Timeout) else f"no connection within {timeout} s"
            raise ConnectTimeout(f"{origin}: {why}", processed=False) from error
        except (errors.TLSError, errors.ALPNError) as error:
            if isinstance(error, SSLError):
                raise
            raise SSLError(f"{origin}: {errors.said(error)}", processed=False) from error
        except errors.InvalidArgument as error:
            raise InvalidURL(f"{origin}: {errors.said(error)}", processed=False) from error
        except errors.ConnectionLost as error:
            if isinstance(error, ConnectionError):
                raise
            kind = ConnectionError if proxy is None else ProxyError
            raise kind(f"{origin}: {errors.said(error)}", processed=False) from error

    def _dial(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """A socket that is connected to where `host` and `port` are to be found."""
        try:
            place = self._resolve(host, port)
        except TimeoutError as error:
            raise errors.Timeout(f"resolve found no place for {host}:{port} in time: {errors.said(error)}") from error
        except OSError as error:
            what = error.strerror or errors.said(error)
            raise errors.ConnectionLost(f"resolve finds no place for {host}:{port}: {what}", retryable=True) from error
        if place is None:
            return connect_tcp(host, port, deadline)
        if not isinstance(place, str):
            raise TypeError(f"resolve gives a str for {host}:{port}, or None, not {type_name(place)}")
        if place.startswith(UNIX_PREFIX):
            return connect_unix(place[len(UNIX_PREFIX) :], deadline)
        bare = place.count(":") > 1 and not place.startswith("[")  # an IPv6 address
        try:
            parts = split_url(f"//[{place}]" if bare else f"//{place}")
        except InvalidArgument:
            parts = split_url("")
        if not parts.host:
            raise InvalidArgument(
                f"resolve gives {place!r} for {host}:{port}: an address, address:port or unix:/path is wanted"
            )
        return connect_tcp(parts.host, parts.port or port, deadline)

    def _begin(
        self,
        sock: socket.socket,
        destination: Destination,
        deadline: Deadline,
        listeners: Mapping[str, Listener],
        trace: Trace | None,
        only_http1: bool,
    ) -> ClientSession | HTTP1Connection:
        origin, proxy = destination.origin, destination.proxy
        plain = origin.scheme == "http" and (only_http1 or not self._h2c)
        if proxy is not None:
            if plain and not speaks_socks(proxy):
                return HTTP1Connection(sock, origin.host, proxy_fields=proxy_fields(proxy))
            open_tunnel(sock, origin, proxy, deadline)
        if plain:
            return HTTP1Connection(sock, origin.host)
        if origin.scheme == "http":
            return self._session(Transport(sock), origin, listeners)
        name = destination.server_name or origin.host
        with step(trace, "connection.start_tls", server_hostname=name, timeout=deadline.timeout) as told:
            engine = TLSEngine(
                self._context_for(destination, only_http1),
                server_side=False,
                server_hostname=name,
                advice_on_authorities=_ADVICE_ON_AUTHORITIES,
            )
            engine.handshake(
                sock, deadline.at_most(self._configuration.limits.handshake_timeout), require_h2=not self.speaks_http1
            )
            if told is not None:
                told.value = NetworkStream(sock, engine.ssl_object)
        if engine.alpn_protocol == HTTP2_ALPN:
            return self._session(TLSTransport(sock, engine), origin, listeners)
        return HTTP1Connection(TLSSocket(BlockingTLSConnection(sock, engine, peer_address(sock))), origin.host)

    def _session(self, transport: Transport, origin: Origin, listeners: Mapping[str, Listener]) -> ClientSession:
        configuration = replace(self._configuration, listeners={**listeners, **self._listeners})
        session = ClientSession(transport, configuration, scheme=origin.scheme, authority=origin.authority)
        session._begin()
        return session

    def _context_for(self, destination: Destination, only_http1: bool) -> ssl.SSLContext:
        """The context for what a call trusts and shows; made once, since reading the authorities takes long."""
        alpn = (_HTTP1_ALPN,) if only_http1 else (HTTP2_ALPN, _HTTP1_ALPN) if self.speaks_http1 else (HTTP2_ALPN,)
        key = (destination.verify, destination.cert, alpn)
        if isinstance(destination.verify, ssl.SSLContext):
            return make_context(*key)  # the user's own, which nobody else keeps
        with self._making_context:
            if key not in self._contexts:
                self._contexts[key] = make_context(*key)
            return self._contexts[key]
