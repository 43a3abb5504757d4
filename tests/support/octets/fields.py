"""The field lists of the plainest messages."""

from __future__ import annotations

REQUEST = ((":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/"))
UPLOAD = ((":method", "POST"), *REQUEST[1:])
RESPONSE = ((":status", "200"),)
