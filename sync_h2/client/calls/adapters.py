"""Who makes a client's exchanges: adapters, by the beginnings of URLs. They run on the threads that use the client."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from ...arguments import full_type_name, type_name
from ...deadline import Deadline
from ..messages.answer import Answer
from ..messages.call import Call
from ..messages.prepared_request import PreparedRequest
from ..messages.progress import Progress, ReportedBody
from ..messages.response import Response
from ..options.environment import select_proxy
from ..options.timeouts import Timeouts
from ..options.trust import verify_or_context
from ..pool.limits import PoolLimits
from ..pool.pool import Pool, PoolUser
from ..values.fields import as_text


class BaseAdapter:
    """Base of adapters, as in requests: what `Client.mount` takes."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str | None] | None = None,
    ) -> Response:
        """One exchange, without redirects and hooks: the response, whose body is read later."""
        raise NotImplementedError

    def close(self) -> None:
        """Give up connections and the like."""


class PoolAdapter(PoolUser, BaseAdapter):
    """The connections of a pool; its options are a `Client`'s about connections, of which a `context` comes before what
    the client says with `verify`. All threads may use one.
    """

    def __init__(
        self,
        limits: PoolLimits | None = None,
        *,
        pool: Pool | None = None,
        context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self._context = None if context is None else verify_or_context(True, context)
        self._owns_pool = pool is None
        self._pool = Pool(limits, **options) if pool is None else pool

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str | None] | None = None,
        *,
        total: Deadline | None = None,
        on_upload: Progress | None = None,
        on_download: Progress | None = None,
    ) -> Response:
        """Make the request; blocks until the response's head is there. Raises exceptions of `sync_h2.exceptions`."""
        if not isinstance(request, PreparedRequest):
            raise TypeError(
                f"{type_name(self)} sends what a sync_h2.Client prepares, not a {full_type_name(request)}: "
                "use sync_h2.adapters.RequestsAdapter on a requests.Session"
            )
        body = request.content
        if body is not None and on_upload is not None:
            body = ReportedBody(body, on_upload)
        answer = self._send(
            Call(
                method=request.method,
                url=request.url,
                headers=[
                    (name, value if type(value) is str else as_text(value))
                    for name, value in (request.headers or {}).items()
                ],
                body=body,
                timeouts=Timeouts.of(timeout),
                proxy=select_proxy(request.url, proxies or {}),
                verify=verify if self._context is None else self._context,
                cert=cert,
                request=request,
                total=total,
                streams=stream,
            )
        )
        return Response(request, answer, on_download=on_download)

    def _send(self, call: Call) -> Answer:
        return self._pool.send(call)

    def close(self) -> None:
        """Close the connections, unless somebody else's pool has them."""
        if self._owns_pool:
            self._pool.close()

    def uses(self, pool: Pool) -> bool:
        """Whether it is this pool that it uses."""
        return self._pool is pool


def check_adapter(adapter: object) -> None:
    """It has the methods that a client calls. Raises TypeError."""
    missing = [name for name in ("send", "close") if not callable(getattr(adapter, name, None))]
    if missing:
        raise TypeError(
            "an adapter has the methods of sync_h2.adapters.BaseAdapter: "
            f"{type_name(adapter)} has no {', '.join(missing)}"
        )


def matches(url: str, prefix: str) -> bool:
    """Whether a URL begins with `prefix`, which ends no host in its middle: `http://a.org` is none of `http://a.org.b/`."""
    if not url.startswith(prefix):
        return False
    within_host = "/" not in prefix.partition("://")[2] and not prefix.endswith("/")
    return not within_host or url[len(prefix) : len(prefix) + 1] in ("", "/", "?", "#", ":")
