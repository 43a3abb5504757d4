"""`urllib.request` over HTTP/2: a handler to build an opener with. It runs on the thread that opens the URL."""

from __future__ import annotations

import http.client
import ssl
import urllib.request

from ..transport.tls import client_context
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
        return self.do_open(HTTP2Connection, req, context=self._context)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse | None:
        """None, which passes the request on, unless it is to go over HTTP/2."""
        return self.do_open(HTTP2Connection, req, h2c=True) if self._h2c and not req.has_proxy() else None

    http_request = urllib.request.AbstractHTTPHandler.do_request_
