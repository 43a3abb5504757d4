"""The programming interfaces that people know from HTTP/1, over HTTP/2."""

from __future__ import annotations

from ..server.handlers.request import ServerRequest
from ..server.handlers.response import ServerResponse
from .http_client import HTTP2Connection
from .http_server import handler_for
from .urllib_request import HTTP2Handler
from .wsgi import wsgi

__all__ = ["HTTP2Connection", "HTTP2Handler", "ServerRequest", "ServerResponse", "handler_for", "wsgi"]
