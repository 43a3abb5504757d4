"""A client as scripts know it from requests: calls with URLs, redirects, cookies, authentication, proxies.

Runs on the threads that call it; any number may share a client, whose sessions its pool looks after (see pool/).
"""

from __future__ import annotations

import collections
import contextlib
import copy
import inspect
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from ...arguments import check_options, type_name
from ...connection.client_side.client_session import ClientSession
from ...interpreter import RLock, Unpack
from ...transport.fork import renew_in_forked_child
from ...transport.urls import shown_url
from ..messages.hooks import checked_hooks, merged_hooks
from ..messages.prepared_request import PreparedRequest
from ..messages.progress import Progress
from ..messages.request import Request
from ..messages.response import Response
from ..options.auth import keeps_authorization, netrc_auth
from ..options.cookies import CookieJar, jar_of, merged_cookies
from ..options.environment import ca_bundle, proxies_for
from ..options.timeouts import TimeoutLike
from ..options.trust import Certificate, Trust, Verify, check_together, checked_cert, checked_verify, verify_or_context
from ..pool.limits import PoolLimits
from ..pool.options import ConnectionOptions
from ..pool.pool import Pool
from ..values.structures import CaseInsensitiveDict
from ..values.urls import no_adapter_for
from .adapters import PoolAdapter, check_adapter, matches
from .call_options import CallOptions, GetOptions, PostOptions, PutOptions, StreamOptions
from .exchanges import Exchanges
from .map import Calls
from .merging import absolute, default_headers, merged
from .redirects import following, location_of
from .unknown_options import explains_unknown

_SAME: Any = object()  # as the client has it
MOST_REDIRECTS = 30

Self = TypeVar("Self", bound="Client")


def _options_of_client() -> frozenset[str]:
    keys: frozenset[str] = ConnectionOptions.__optional_keys__
    return keys.union(inspect.signature(Client.__init__).parameters)


class Client:
    """Makes requests over HTTP/2, or HTTP/1.1 where a server has nothing else; safe to share by threads.

    `base_url` goes before URLs that name no server. `headers`, `params`, `auth`, `cookies`, `hooks` and `proxies` go
    into every request; a request's own come before them, and None takes one away. `timeout` (seconds) is a float,
    `(connect, read)`, `Timeouts` or None, which waits for ever. `verify` is True (certifi's authorities), False
    (anybody), the path of a file or folder with other authorities, or an `ssl.SSLContext`; anything else is a
    TypeError. `context` is the same as a context for `verify`. `cert` is the path of a client's certificate, or
    `(certificate, key)`. `limits` bounds the connections, or `pool` is one that others share, and stays theirs.
    `http1=False` insists on HTTP/2, `h2c=True` speaks HTTP/2 to `http://` too. `alt_svc` is what servers can lead it to
    with `Alt-Svc`: True: other ports of their host, "other-hosts": these too, False: nothing. `retries` is how often a
    request that was certainly not processed, or may be repeated, is sent again (the former also more often, as long as
    the server takes others); `retry_statuses` names statuses that count as that. `trust_env=False` leaves the
    environment's proxies, authorities and netrc alone. `resolve` says where to connect to for a host: a mapping of
    `host` or `host:port` to `address`, `address:port` or `unix:/path`, or a function of host and port; `unix_socket` is
    the path of a socket for all, without proxies. All other options are `connect`'s; until the server's SETTINGS come
    `peer_max_concurrent_streams` is 1.

    Raises what is in `sync_h2.exceptions`.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        headers: Mapping[str, str | None] | None = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Mapping[str, Any] | None = None,
        proxies: Mapping[str, str | None] | None = None,
        timeout: TimeoutLike = None,
        limits: PoolLimits | None = None,
        verify: Verify = True,
        cert: Certificate = None,
        context: ssl.SSLContext | None = None,
        http1: bool = True,
        h2c: bool = False,
        alt_svc: bool | str = True,
        retries: int = 5,
        retry_statuses: Iterable[int] = (),
        max_redirects: int = MOST_REDIRECTS,
        trust_env: bool = True,
        pool: Pool | None = None,
        **session_options: Unpack[ConnectionOptions],
    ) -> None:
        check_options(Client.__init__, session_options, ConnectionOptions)
        self.base_url = base_url
        self.headers = CaseInsensitiveDict(default_headers())
        self.headers.update(headers or {})
        self.params = params or {}
        self.auth = auth
        self.cookies = cookies
        self.hooks: dict[str, list[Callable[..., Any]]] = checked_hooks(hooks)
        self.proxies: dict[str, str | None] = dict(proxies or {})
        self.timeout = timeout
        self.verify = verify_or_context(verify, context)
        self.cert = cert
        check_together(checked_verify(self.verify), checked_cert(cert))
        self.max_redirects = max_redirects
        self.trust_env = trust_env
        self.adapters: collections.OrderedDict[str, Any] = collections.OrderedDict()
        """Who makes the requests of URLs that begin so; the longest come first."""
        self._owns_pool = pool is None
        self._pool = pool or Pool(
            limits,
            http1=http1,
            h2c=h2c,
            alt_svc=alt_svc,
            retries=retries,
            retry_statuses=retry_statuses,
            **session_options,
        )
        for prefix in ("https://", "http://"):
            self.mount(prefix, PoolAdapter(pool=self._pool))
        renew_in_forked_child(self)

    def _renew(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self.cookies._cookies_lock = RLock()

    @property
    def cookies(self) -> Any:
        """The jar that is used, and filled by responses: any `http.cookiejar.CookieJar`, by default a
        `sync_h2.cookies.CookieJar`; a mapping that is set becomes one.
        """
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        self._cookies = jar_of(cookies)

    @property
    def sessions(self) -> tuple[ClientSession, ...]:
        """Its HTTP/2 connections at this moment, to look at (`stats`, `state`, `dump`); with those of others, where
        they share its pool. Those over HTTP/1.1, and of adapters that were mounted, are not among them.
        """
        return tuple(session for session in self._pool.sessions() if not session.destroyed)

    # -- calls

    def get(self, url: str, params: Any = None, **options: Unpack[GetOptions]) -> Response:
        """GET; options are `request`'s."""
        return self.request("GET", url, params=params, **options)

    def options(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """OPTIONS; options are `request`'s."""
        return self.request("OPTIONS", url, **options)

    def head(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """HEAD, without following redirects unless `allow_redirects=True`; options are `request`'s."""
        options.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Unpack[PostOptions]) -> Response:
        """POST; options are `request`'s."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
        """PUT; options are `request`'s."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Unpack[PutOptions]) -> Response:
        """PATCH; options are `request`'s."""
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """DELETE; options are `request`'s."""
        return self.request("DELETE", url, **options)

    @explains_unknown(_options_of_client)
    def request(
        self,
        method: str,
        url: str,
        params: Any = None,
        data: Any = None,
        headers: Mapping[str, str | None] | None = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: TimeoutLike = _SAME,
        allow_redirects: bool = True,
        proxies: Mapping[str, str | None] | None = None,
        hooks: Mapping[str, Any] | None = None,
        stream: bool = False,
        verify: Verify = None,
        cert: Certificate = None,
        json: Any = None,
        *,
        on_upload: Progress | None = None,
        on_download: Progress | None = None,
    ) -> Response:
        """Make a request and return its response; blocks until it is there, with its body unless `stream`.

        The arguments are those of `requests.request`. `on_upload` and `on_download` are called with the octets of the
        body so far and their total, or None where that is not known.
        """
        request = Request(method.upper(), url, headers, files, data, params, auth, cookies, hooks, json)
        return self.send(
            self.prepare_request(request),
            stream=stream,
            timeout=timeout,
            verify=verify,
            cert=cert,
            proxies=proxies,
            allow_redirects=allow_redirects,
            on_upload=on_upload,
            on_download=on_download,
        )

    @contextlib.contextmanager
    def stream(self, method: str, url: str, **options: Unpack[StreamOptions]) -> Iterator[Response]:
        """`with client.stream("GET", url) as response`: a response whose body is read as it is wanted."""
        with self.request(method, url, stream=True, **options) as response:
            yield response

    def map(
        self,
        requests: Iterable[str | Request | Mapping[str, Any]],
        max_workers: int = 16,
        *,
        return_exceptions: bool = False,
    ) -> Iterator[Response]:
        """Make many requests at once, `max_workers` at a time, and yield their responses as they finish.

        Each of `requests` is a URL to get, a `Request`, or a mapping of `request`'s arguments; they are taken as there
        is room. What one raises is raised here, or with `return_exceptions` yielded in its place. An error, or the end
        of the loop, waits for nobody: calls that have not begun are not made, and what comes of the others is closed.
        """
        return Calls(self._make, max_workers).outcomes(requests, return_exceptions)

    def _make(self, item: Any) -> Response:
        if isinstance(item, str):
            return self.get(item)
        if isinstance(item, Request):
            return self.send(self.prepare_request(item))
        if isinstance(item, Mapping):
            return self.request(**{"method": "GET", **item})
        raise TypeError(f"map takes URLs, Requests and mappings of request()'s arguments, not {type_name(item)}")

    def prepare_request(self, request: Request) -> PreparedRequest:
        """`request` with what the client adds to it, ready for `send`. Raises for what can't be sent."""
        url = absolute(self.base_url, request.url)
        auth = request.auth or self.auth
        if auth is None and self.trust_env:
            auth = netrc_auth(url)
        prepared = PreparedRequest()
        prepared.prepare(
            method=(request.method or "GET").upper(),
            url=url,
            headers=merged(request.headers, self.headers, CaseInsensitiveDict),
            files=request.files,
            data=request.data,
            json=request.json,
            params=merged(request.params, self.params, dict),
            auth=auth,
            cookies=merged_cookies(self.cookies, request.cookies),
            hooks=merged_hooks(request.hooks, self.hooks),
        )
        return prepared

    def send(
        self,
        request: PreparedRequest,
        *,
        stream: bool = False,
        timeout: TimeoutLike = _SAME,
        verify: Verify = None,
        cert: Certificate = None,
        proxies: Mapping[str, str | None] | None = None,
        allow_redirects: bool = True,
        on_upload: Progress | None = None,
        on_download: Progress | None = None,
    ) -> Response:
        """Send a prepared request, follow redirects, and return the last response. Blocks and raises as `request`."""
        if isinstance(request, Request):
            raise ValueError("You can only send PreparedRequests.")
        timeout = self.timeout if timeout is _SAME else timeout
        exchanges = Exchanges(
            self,
            stream,
            timeout,
            self._trusted(verify),
            self.cert if cert is None else cert,
            {**self.proxies, **(proxies or {})},
            on_upload,
            on_download,
        )
        response = exchanges.send_with_hooks(request)
        if allow_redirects:
            for later in exchanges.redirects(response):
                response = later
        else:
            response.next = following(self, response)
        if not stream:
            try:
                response.content  # noqa: B018 - reads it
            except BaseException:
                response.close()  # nobody else has it
                raise
        return response

    def resolve_redirects(
        self,
        resp: Response,
        req: PreparedRequest,
        stream: bool = False,
        timeout: TimeoutLike = None,
        verify: Verify = True,
        cert: Certificate = None,
        proxies: Mapping[str, str | None] | None = None,
        yield_requests: bool = False,
    ) -> Iterator[Any]:
        """The responses that a redirect leads to, one after the other, each when it is asked for; with `yield_requests`
        only the next request. `req` is the one that `resp` answers.
        """
        if resp.request is None:
            resp.request = req
        if not yield_requests:
            return Exchanges(self, stream, timeout, self._trusted(verify), cert, dict(proxies or {})).redirects(resp)
        request = following(self, resp)
        return iter(() if request is None else (request,))

    def get_redirect_target(self, resp: Response) -> str | None:
        """Where `resp` redirects to, or None if it does not; for who overrides it, as in requests."""
        return location_of(resp)

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        """Whether Authorization is taken off a request that is redirected so."""
        return not keeps_authorization(old_url, new_url)

    def merge_environment_settings(
        self, url: str, proxies: Mapping[str, str | None] | None, stream: bool | None, verify: Any, cert: Certificate
    ) -> dict[str, Any]:
        """What `send` is to be given for a prepared request, with what the client and the environment have."""
        return {
            "proxies": dict(proxies_for(url, {**self.proxies, **(proxies or {})}, trust_env=self.trust_env)),
            "stream": bool(stream),
            "verify": self._trusted(verify),
            "cert": self.cert if cert is None else cert,
        }

    def _trusted(self, verify: Verify) -> Trust:
        trust = checked_verify(self.verify if verify is None else verify)
        return (ca_bundle() or True) if trust is True and self.trust_env else trust

    # -- who makes the exchanges

    def mount(self, prefix: str, adapter: Any) -> None:
        """Let `adapter` make the requests of URLs that begin with `prefix`, unless a longer one has another. It is an
        object with the methods `send` and `close` of `sync_h2.adapters.BaseAdapter`; anything else is a TypeError.
        """
        check_adapter(adapter)
        adapters = {**self.adapters, prefix: adapter}
        # In place of the old one, which others may be looking at.
        self.adapters = collections.OrderedDict(sorted(adapters.items(), key=lambda item: -len(item[0])))

    def get_adapter(self, url: str) -> Any:
        """The adapter for a URL. Raises InvalidSchema if there is none."""
        shown = shown_url(url)
        lowered = shown.lower()
        for prefix, adapter in self.adapters.items():
            prefix = prefix.lower()
            if lowered.startswith(prefix) and matches(lowered, prefix):
                return adapter
        raise no_adapter_for(url)

    # -- its end

    def close(self) -> None:
        """Make no more calls, and close its connections, those that responses still come on after these, and the
        adapters that were mounted. A pool that was given stays open.
        """
        for adapter in self.adapters.values():
            adapter.close()
        if self._owns_pool:
            self._pool.close()

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled; the client that comes out has connections of its own, and the cookies in a jar of ours if
        they were in one of the standard library, which can't be pickled.
        """
        jar = self._cookies if isinstance(self._cookies, CookieJar) else merged_cookies(self._cookies, None)
        return {**self.__dict__, "_owns_pool": True, "_cookies": jar}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        renew_in_forked_child(self)

    def __copy__(self) -> Client:
        other = object.__new__(type(self))
        renew_in_forked_child(other)
        other.__dict__.update(self.__dict__, _owns_pool=True, _pool=copy.copy(self._pool))
        other.adapters = collections.OrderedDict(self.adapters)
        for prefix, adapter in self.adapters.items():
            if isinstance(adapter, PoolAdapter) and adapter.uses(self._pool):
                other.adapters[prefix] = PoolAdapter(pool=other._pool)
        return other

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
