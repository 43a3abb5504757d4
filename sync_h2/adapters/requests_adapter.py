"""requests over HTTP/2: an adapter for `requests.Session.mount`. Runs on the threads that use the session."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict, Retry
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from ..arguments import check_options, full_type_name
from ..client.messages.answer import Answer
from ..client.messages.bodies import FileBody, body_of
from ..client.messages.call import Call
from ..client.messages.raw import RawResponse
from ..client.options.cookies import understood
from ..client.options.environment import select_proxy
from ..client.options.timeouts import Timeouts
from ..client.options.trust import Verify, verify_or_context
from ..client.pool.limits import PoolLimits
from ..client.pool.options import PoolOptions
from ..client.pool.pool import Pool, PoolUser
from ..client.values.fields import as_text
from ..exceptions import RequestException
from ..interpreter import Unpack
from ..transport.urls import shown_url
from .http_adapter import limits_of
from .urllib3_retries import send_with


class RequestsAdapter(PoolUser, BaseAdapter):
    """`session.mount("https://", RequestsAdapter())`: what the session asks for goes over shared HTTP/2 connections.

    All threads may use one adapter, also by way of several sessions. The keyword arguments are those of
    `sync_h2.Client` about connections, of which a `context` comes before what the session says with `verify`; the
    others are `requests.adapters.HTTPAdapter`'s: `max_retries` is a number or urllib3's `Retry`, which decides alone
    then what is sent again, and `pool_maxsize` how many connections there may be to one origin; who finds all of them
    busy waits, as with `pool_block`. `response.raw.version` is 20 for HTTP/2; failures are requests' exceptions, with
    this package's as `__cause__`.
    """

    def __init__(
        self,
        pool_connections: int | None = None,
        pool_maxsize: int | None = None,
        max_retries: int | Retry | None = None,
        pool_block: bool = False,
        *,
        limits: PoolLimits | None = None,
        http1: bool = True,
        h2c: bool = False,
        retries: int = 5,
        context: ssl.SSLContext | None = None,
        **session_options: Unpack[PoolOptions],
    ) -> None:
        check_options(RequestsAdapter.__init__, session_options, PoolOptions)
        super().__init__()
        self._context = None if context is None else verify_or_context(True, context)
        limits = limits_of(limits, pool_connections, pool_maxsize)
        self.max_retries = None if max_retries is None else Retry.from_int(max_retries, redirect=False)
        if self.max_retries is not None:
            retries = 0
        self._pool = Pool(limits, http1=http1, h2c=h2c, retries=retries, **session_options)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Verify = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Called by the session. Raises exceptions of requests."""
        if not isinstance(request, requests.PreparedRequest):
            raise TypeError(
                f"RequestsAdapter sends what a requests.Session prepares, not a {full_type_name(request)}: "
                "use sync_h2.adapters.HTTPAdapter on a sync_h2.Client"
            )
        url = request.url or ""
        headers = [(as_text(name), as_text(value)) for name, value in request.headers.items()]
        try:
            body = body_of(request.body)
            if isinstance(body, FileBody) and body.is_recoded:
                # requests takes its characters, or the octets of the file, for those that it gives
                headers = [field for field in headers if field[0].lower() != "content-length"]
            call = Call(
                method=request.method or "GET",
                url=url,
                headers=headers,
                body=body,
                timeouts=Timeouts.of(timeout),
                proxy=select_proxy(url, proxies or {}),
                verify=verify if self._context is None else self._context,
                cert=cert,
                request=request,
                streams=stream,
            )
            if self.max_retries is None:
                answer = self._pool.send(call)
            else:
                answer = send_with(self.max_retries, self._pool.send, call)
        except RequestException as error:
            kind = getattr(requests.exceptions, type(error).__name__, requests.exceptions.ConnectionError)
            raise kind(error, request=request) from error
        try:
            return self._response(request, answer)
        except HTTPError as error:  # two lengths, say
            answer.close()
            raise requests.exceptions.InvalidHeader(error, request=request) from error

    def close(self) -> None:
        """Close the connections, those that responses still come on after these; the next request opens others."""
        self._pool.clear()

    def build_response(self, req: requests.PreparedRequest, resp: HTTPResponse) -> requests.Response:
        """What the session returns, made of what came: for who overrides it, as in requests."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = resp
        response.reason = resp.reason or ""
        response.url = req.url or ""
        response.request = req
        response.connection = self  # type: ignore[assignment]  # any adapter may stand there
        requests.cookies.extract_cookies_to_jar(response.cookies, req, resp)
        return response

    def _response(self, request: requests.PreparedRequest, answer: Answer) -> requests.Response:
        body = RawResponse(answer)
        raw = _Raw(
            body=body,
            headers=HTTPHeaderDict(answer.headers),
            status=answer.status,
            reason=answer.reason or None,
            version=body.version,
            preload_content=False,
            decode_content=False,
            original_response=_Original(answer, body),  # type: ignore[arg-type]  # has what is asked of it
            pool=shown_url(request.url or ""),  # type: ignore[arg-type]  # for the message of a timeout, and nothing else
            request_method=request.method,
        )
        raw.version_string = body.version_string
        return self.build_response(request, raw)


class _Raw(HTTPResponse):
    """urllib3's response, whose pieces are handed on as they come (before urllib3 2.2: when there are `amt` octets).

    Once it has failed, `read` gives nothing, as urllib3's: so sessions go on behind a redirect whose body broke off.
    But `stream` fails again, so that what is left of a body does not look whole.
    """

    _failed: HTTPError | None = None

    def stream(self, amt: int | None = 65_536, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]
        if self._failed is not None:
            raise self._failed
        try:
            if not hasattr(self, "read1"):
                yield from super().stream(amt, decode_content)
                return
            while piece := self.read1(amt, decode_content):
                yield piece
        except HTTPError as error:
            self._failed = error
            raise

    def __del__(self) -> None:
        """In place of IOBase's own, which calls `close`: a finalizer takes no lock. The dropped stream is reset."""


class _Original:
    """As much of an `http.client.HTTPResponse` as cookies are taken from."""

    def __init__(self, answer: Answer, body: RawResponse) -> None:
        self._body = body
        self.msg = Message()
        for field in understood(value for name, value in answer.headers if name == "set-cookie"):
            self.msg["set-cookie"] = field

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        self._body.close()
