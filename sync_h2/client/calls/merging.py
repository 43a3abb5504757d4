"""What a client adds to a request. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..messages.decoding import accept_encoding
from ..values.urls import parts_of


def default_headers() -> dict[str, str]:
    """The fields that every client sends unless they are taken away."""
    return {"User-Agent": "sync_h2", "Accept-Encoding": accept_encoding(), "Accept": "*/*"}


def absolute(base_url: str, url: Any) -> Any:
    """`url`, or if it names no server, what it is behind `base_url`. Raises InvalidURL."""
    if not base_url or not isinstance(url, str):
        return url
    parts = parts_of(url)
    if parts.host or parts.userinfo is not None:
        return url
    return f"{base_url.rstrip('/')}/{url.lstrip('/')}" if url else base_url


def merged(own: Any, general: Any, kind: Callable[[Any], Any]) -> Any:
    """A request's own mapping over the client's; where either is no mapping, the request's own, or else the client's.
    None takes a key away.
    """
    if own is None or general is None:
        return general if own is None else own
    if not own and not general:
        return own
    if not (isinstance(own, Mapping) and isinstance(general, Mapping)):
        return own or general
    merged = kind(general)
    if own:
        merged.update(own)
    for name in [name for name, value in merged.items() if value is None]:
        del merged[name]
    return merged
