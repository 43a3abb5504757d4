"""For code that uses other clients: their own interfaces, over this package's connections. And what a `Client` can have
mounted: `HTTPAdapter`, and `BaseAdapter` to make others of.

`RequestsAdapter` needs the extra `requests`, `HTTPXTransport` the extra `httpx`; each is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..client.calls.adapters import BaseAdapter
from .http_adapter import HTTPAdapter

if TYPE_CHECKING:
    from .httpx_transport import HTTPXTransport
    from .requests_adapter import RequestsAdapter

__all__ = ["BaseAdapter", "HTTPAdapter", "HTTPXTransport", "RequestsAdapter"]

_MODULES = {"HTTPXTransport": ("httpx_transport", "httpx"), "RequestsAdapter": ("requests_adapter", "requests")}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, extra = _MODULES[name]
    try:
        return getattr(importlib.import_module(f".{module}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != extra:
            raise
        raise ImportError(f"{name} needs the package {extra}: pip install 'sync_h2[{extra}]'", name=extra) from error
