"""`requests.adapters.HTTPAdapter`'s name, for `Client.mount`. Runs on the threads that use the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arguments import check_options
from ..client.calls.adapters import PoolAdapter
from ..client.messages.answer import Answer
from ..client.messages.call import Call
from ..client.pool.limits import PoolLimits
from ..client.pool.options import AdapterOptions
from ..interpreter import Unpack

if TYPE_CHECKING:
    from urllib3 import Retry


class HTTPAdapter(PoolAdapter):
    """Connections with options of their own, for URLs that begin with some prefix. All threads may use one.

    The first arguments are those of requests' adapter: `max_retries` is a number or urllib3's `Retry`, which decides
    alone then what is sent again, and `pool_maxsize` how many connections there may be to one origin; who finds all of
    them busy waits, as with `pool_block`. The others are a `Client`'s about connections.
    """

    def __init__(
        self,
        pool_connections: int | None = None,
        pool_maxsize: int | None = None,
        max_retries: int | Retry | None = None,
        pool_block: bool = False,
        *,
        limits: PoolLimits | None = None,
        **options: Unpack[AdapterOptions],
    ) -> None:
        check_options(HTTPAdapter.__init__, options, AdapterOptions)
        if max_retries is not None:
            options["retries"] = max_retries if isinstance(max_retries, int) else 0
        super().__init__(limits_of(limits, pool_connections, pool_maxsize), **options)
        self.max_retries = max_retries

    def _send(self, call: Call) -> Answer:
        if self.max_retries is None or isinstance(self.max_retries, int):
            return super()._send(call)
        from .urllib3_retries import send_with  # who has a Retry has urllib3

        return send_with(self.max_retries, super()._send, call)


def limits_of(limits: PoolLimits | None, pool_connections: int | None, pool_maxsize: int | None) -> PoolLimits | None:
    """What requests' arguments mean for a pool; None leaves it to the pool."""
    if pool_maxsize is None:
        return limits
    if limits is not None:
        raise TypeError("limits and pool_maxsize both bound the connections: give one of them")
    pool_maxsize = max(pool_maxsize, 1)  # 0 is a pool that keeps none, in requests
    most = max(pool_maxsize * (pool_connections or 1), PoolLimits.max_connections)
    return PoolLimits(max_connections=most, max_connections_per_origin=pool_maxsize)
