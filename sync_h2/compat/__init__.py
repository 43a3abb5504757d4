"""The programming interfaces that people know from HTTP/1, over HTTP/2."""

from __future__ import annotations

from .http_server import handler_for

__all__ = ["handler_for"]
