"""Where a redirect leads, and what of the request goes there (RFC 9110 section 15.4, and what requests makes of it).

They run on the thread that calls the client.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...exceptions import RequestException
from ..messages.prepared_request import PreparedRequest
from ..messages.response import Response
from ..options.auth import keeps_authorization, netrc_auth
from ..options.cookies import copied_jar, jar_of, merge_cookies, take_cookies
from ..values.urls import joined

_OF_BODY = ("content-length", "content-type", "transfer-encoding")


def location_of(response: Response) -> str | None:
    """Where a redirect leads, or None if this is none."""
    return (response.headers["location"].strip() or None) if response.is_redirect else None


class Redirecting(Protocol):
    """What is needed of a client to follow redirects for it."""

    cookies: Any
    trust_env: bool

    def get_redirect_target(self, resp: Response) -> str | None: ...


def following(client: Redirecting, response: Response) -> PreparedRequest | None:
    """The request that follows a response, with the client's cookies and netrc's credentials; None if it is no
    redirect. Raises InvalidURL for a location that is none.
    """
    try:
        location = client.get_redirect_target(response)
        if not location:
            return None
        request = redirected(response, location)
        if client.trust_env and not keeps_authorization(response.request.url, request.url):
            auth = netrc_auth(request.url)
            if auth is not None:
                request.prepare_auth(auth)
        # What the request had, what the response has changed of it, and what others have changed meanwhile.
        cookies = copied_jar(jar_of(response.request.cookies))
        take_cookies(cookies, response)
        request.prepare_cookies(merge_cookies(cookies, client.cookies))
        return request
    except RequestException as error:
        response._finish()
        error.request, error.response, error.processed, error.retryable = response.request, response, True, False
        raise


def redirected(response: Response, location: str) -> PreparedRequest:
    """The request that follows a redirect to `location`. Cookies and proxies' credentials are taken off it, and what is
    for the first server alone if it leads to another: credentials, and a Host field of its own.

    The body stays only with 307 and 308. Raises InvalidURL for a location that is none.
    """
    request: PreparedRequest = response.request.copy()
    request.method = method_after(response.status_code, request.method)
    request.prepare_url(_target(response, location), None)
    if response.status_code not in (307, 308):
        request.body = None
        for name in _OF_BODY:
            request.headers.pop(name, None)
        if request.method in ("POST", "PUT", "PATCH"):
            request.headers["Content-Length"] = "0"
    request.headers.pop("cookie", None)  # the jar says which go there
    request.headers.pop("proxy-authorization", None)  # another proxy may be asked, or none
    if not keeps_authorization(response.request.url, request.url):
        request.headers.pop("authorization", None)
        request.headers.pop("host", None)  # which cookies would go by too
    elif request.digest is not None:
        request.digest.renew(request)
    return request


def _target(response: Response, location: str) -> str:
    """The absolute URL of `location`; a fragment of the request's stays unless there is a new one."""
    url, _, fragment = joined(response.url, location).partition("#")
    if not fragment:
        fragment = response.request.url.partition("#")[2]
    return f"{url}#{fragment}" if fragment else url


def method_after(status: int, method: str) -> str:
    """Browsers' practice, which RFC 9110 allows: POST becomes GET behind 301 and 302, all but HEAD behind 303."""
    if status in (302, 303) and method != "HEAD":
        return "GET"
    if status == 301 and method == "POST":
        return "GET"
    return method
