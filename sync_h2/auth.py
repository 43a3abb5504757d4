"""`requests.auth`'s names: what adds credentials to requests. Nothing runs here."""

from __future__ import annotations

from .client.options.auth import AuthBase, HTTPBasicAuth, HTTPBearerAuth, HTTPDigestAuth, HTTPProxyAuth

__all__ = ["AuthBase", "HTTPBasicAuth", "HTTPBearerAuth", "HTTPDigestAuth", "HTTPProxyAuth"]
