"""The exchanges of one call: with hooks, with the client's cookies, and one more for each redirect that is followed.

Runs on the thread that makes the call.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...arguments import full_type_name
from ...deadline import Deadline
from ...exceptions import TooManyRedirects
from ..messages.prepared_request import PreparedRequest
from ..messages.progress import Progress
from ..messages.response import Response
from ..options.cookies import take_cookies
from ..options.environment import proxies_for
from ..options.timeouts import Timeouts
from ..options.trust import Trust
from .adapters import PoolAdapter
from .redirects import Redirecting, following


class Exchanging(Redirecting, Protocol):
    """What is needed of a client to make exchanges for it."""

    max_redirects: int

    def get_adapter(self, url: str) -> Any: ...


@dataclass(eq=False, repr=False)
class Exchanges:
    """The exchanges of one call, all made in the same way. Hooks that answer a response with another request send it
    with this, which is the `response.connection`.
    """

    client: Exchanging
    stream: bool
    timeout: Any
    verify: Trust
    cert: Any
    proxies: Mapping[str, str | None]
    on_upload: Progress | None = None
    on_download: Progress | None = None

    def __post_init__(self) -> None:
        total = Timeouts.of(self.timeout).total
        self._total = None if total is None else Deadline(total)

    def send(self, request: PreparedRequest, **_: Any) -> Response:
        """One exchange, without hooks and redirects: the response's head is there."""
        adapter = self.client.get_adapter(request.url)
        options = self._options(proxies_for(request.url, self.proxies, trust_env=self.client.trust_env))
        if isinstance(adapter, PoolAdapter):
            options |= self._options_of_ours()
        began_at = time.perf_counter()
        response: Response = adapter.send(request, **options)
        if not isinstance(response, Response):
            raise TypeError(f"an adapter's send returns a sync_h2.Response, not {full_type_name(response)}")
        response.elapsed = datetime.timedelta(seconds=time.perf_counter() - began_at)
        response.connection = self
        return response

    def send_with_hooks(self, request: PreparedRequest) -> Response:
        """One exchange, and what the request's hooks make of it."""
        response = self.send(request)
        for hook in (request.hooks or {}).get("response", ()):
            replaced = hook(response, **self._options(dict(self.proxies)))
            if replaced is not None:  # a 404 would be false
                response = replaced
        for passed in (*response.history, response):
            take_cookies(self.client.cookies, passed)
        return response

    def redirects(self, response: Response) -> Iterator[Response]:
        """The responses that a redirect leads to, one after the other, each when it is asked for."""
        history: list[Response] = []
        while (request := following(self.client, response)) is not None:
            response._finish()
            if len(history) >= self.client.max_redirects:
                raise TooManyRedirects(f"Exceeded {self.client.max_redirects} redirects.", response=response)
            history.append(response)
            response = self.send_with_hooks(request)
            response.history = list(history)
            yield response

    def _options(self, proxies: Mapping[str, str | None]) -> dict[str, Any]:
        """What requests gives to hooks, and to adapters: some have a timeout of their own in place of None."""
        return {
            "stream": self.stream,
            "timeout": self.timeout,
            "verify": self.verify,
            "cert": self.cert,
            "proxies": proxies,
        }

    def _options_of_ours(self) -> dict[str, Any]:
        """What else there is. Where there is nothing, `send` may be overridden with the arguments of requests."""
        more: dict[str, Any] = {}
        if self._total is not None:
            more["total"] = self._total
        if self.on_upload is not None:
            more["on_upload"] = self.on_upload
        if self.on_download is not None:
            more["on_download"] = self.on_download
        return more
