"""`urllib.request` over HTTP/2: a handler to build an opener with. It runs on the thread that opens the URL."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request

from ..errors import InvalidArgument
from ..transport.contexts import client_context
from ..transport.urls import split_url
from .http_client import HTTP2Connection


class HTTP2Handler(urllib.request.HTTPSHandler):
    """Opens `https:` URLs over HTTP/2: `urllib.request.build_opener(HTTP2Handler())`.

    Redirects, cookies, proxies, authentication and errors are urllib's own. As with urllib's handlers, each request has
    a connection of its own. `context` is as for `HTTP2Connection`. With `h2c`, `http:` URLs are opened over
    HTTP/2 too (prior knowledge); those that go through a proxy are left to urllib's HTTP/1.1.
    """

    handler_order = urllib.request.HTTPHandler.handler_order - 1  # asked first for http: URLs

    def __init__(self, debuglevel: int = 0, *, context: ssl.SSLContext | None = None, h2c: bool = False) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self, debuglevel)
        self._context = client_context() if context is None else context
        self._h2c = h2c

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        if not req._tunnel_host:  # type: ignore[attr-defined]  # not in typeshed
            req.remove_header("Proxy-authorization")  # of a request that was redirected to where no proxy is asked
        return self.do_open(HTTP2Connection, req, context=self._context)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse | None:
        """None, which passes the request on, unless it is to go over HTTP/2."""
        if not self._h2c or req.has_proxy():
            return None
        req.remove_header("Proxy-authorization")
        return self.do_open(HTTP2Connection, req, h2c=True)

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """With the host's name in IDNA 2008, and the fields that urllib adds."""
        if request.host and not request.host.isascii():
            try:
                parts = split_url(f"//{request.host}")
            except InvalidArgument as error:
                raise urllib.error.URLError(str(error)) from error
            request.host = parts.host if parts.port is None else f"{parts.host}:{parts.port}"
        return self.do_request_(request)

    https_request = http_request
