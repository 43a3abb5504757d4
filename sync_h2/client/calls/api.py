"""`sync_h2.get(url)` and the like: calls without a client of one's own.

They run on the threads that call them, and share connections, which are closed when nobody has used them for a while;
and nothing else: no cookies, no state.
"""

from __future__ import annotations

import os
from typing import Any

from ...interpreter import Lock, Unpack
from ..messages.response import Response
from ..pool.pool import Pool
from .call_options import CallOptions, GetOptions, PostOptions, PutOptions
from .client import Client

_making = Lock()
_pool: Pool | None = None


def request(method: str, url: str, **options: Unpack[CallOptions]) -> Response:
    """Make a request and return its response; blocks. The options are `Client.request`'s."""
    return Client(pool=_shared_pool()).request(method, url, **options)


def get(url: str, params: Any = None, **options: Unpack[GetOptions]) -> Response:
    """GET; options are `Client.request`'s."""
    return request("GET", url, params=params, **options)


def options(url: str, **options: Unpack[CallOptions]) -> Response:
    """OPTIONS; options are `Client.request`'s."""
    return request("OPTIONS", url, **options)


def head(url: str, **options: Unpack[CallOptions]) -> Response:
    """HEAD, without following redirects unless `allow_redirects=True`; options are `Client.request`'s."""
    options.setdefault("allow_redirects", False)
    return request("HEAD", url, **options)


def post(url: str, data: Any = None, json: Any = None, **options: Unpack[PostOptions]) -> Response:
    """POST; options are `Client.request`'s."""
    return request("POST", url, data=data, json=json, **options)


def put(url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
    """PUT; options are `Client.request`'s."""
    return request("PUT", url, data=data, **options)


def patch(url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
    """PATCH; options are `Client.request`'s."""
    return request("PATCH", url, data=data, **options)


def delete(url: str, **options: Unpack[CallOptions]) -> Response:
    """DELETE; options are `Client.request`'s."""
    return request("DELETE", url, **options)


def session() -> Client:
    """A new client, as `requests.session()`."""
    return Client()


def close_connections() -> None:
    """Close the connections that these calls have left open, before they close by themselves."""
    global _pool
    with _making:
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


def _shared_pool() -> Pool:
    global _pool
    with _making:
        if _pool is None:
            _pool = Pool()
        return _pool


def _forget_pool() -> None:
    """In a forked child, whose parent goes on using the connections."""
    global _pool, _making
    _making = Lock()
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
