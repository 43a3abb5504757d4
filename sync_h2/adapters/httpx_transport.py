"""httpx over this package's connections: a transport for `httpx.Client`. Runs on the threads that use the client."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from .. import errors, exceptions
from ..client.bodies import Body
from ..client.exchange import Answer, Call
from ..client.pool import Pool, PoolLimits
from ..client.timeouts import Timeouts
from ..client.trust import Verify, check_together, checked_cert, checked_verify, verify_or_context

# The most special first.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (exceptions.ConnectTimeout, httpx.ConnectTimeout),
    (exceptions.ReadTimeout, httpx.ReadTimeout),
    (exceptions.WriteTimeout, httpx.WriteTimeout),
    (exceptions.PoolTimeout, httpx.PoolTimeout),
    (exceptions.ProxyError, httpx.ProxyError),
    (exceptions.ChunkedEncodingError, httpx.RemoteProtocolError),
    (exceptions.InvalidSchema, httpx.UnsupportedProtocol),
    (exceptions.InvalidHeader, httpx.LocalProtocolError),
)


class HTTPXTransport(httpx.BaseTransport):
    """`httpx.Client(transport=HTTPXTransport())`: what the client asks for goes over shared HTTP/2 connections.

    All threads may use one transport. `verify`, `cert` and `proxy` are as in `sync_h2.Client`, the other arguments too.
    Failures are httpx's exceptions, with this package's as `__cause__`.
    """

    def __init__(
        self,
        *,
        verify: Verify = True,
        cert: Any = None,
        context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        limits: PoolLimits | None = None,
        http1: bool = True,
        h2c: bool = False,
        retries: int = 5,
        **session_options: Any,
    ) -> None:
        self._verify = checked_verify(verify_or_context(verify, context))
        self._cert = checked_cert(cert)
        check_together(self._verify, self._cert)
        self._proxy = proxy
        self._pool = Pool(limits, http1=http1, h2c=h2c, retries=retries, **session_options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Called by the client. Raises exceptions of httpx."""
        timeouts = request.extensions.get("timeout", {})
        with _errors_of_httpx(request):
            call = Call(
                method=request.method,
                url=str(request.url),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                body=_body(request),
                timeouts=Timeouts(**{part: timeouts.get(part) for part in ("connect", "read", "write", "pool")}),
                proxy=self._proxy,
                verify=self._verify,
                cert=self._cert,
                request=request,
            )
            answer = self._pool.send(call)
        return httpx.Response(
            answer.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers],
            stream=_Stream(answer, request),
            extensions={
                "http_version": answer.http_version.encode(),
                "reason_phrase": answer.reason.encode("latin-1"),
            },
        )

    def close(self) -> None:
        """Close the connections, those that responses still come on after these."""
        self._pool.close()


class _Body(Body):
    """What httpx has for a request's body; it knows itself whether it can be had twice."""

    def __init__(self, stream: httpx.SyncByteStream, length: int | None) -> None:
        self._stream = stream
        self._begun = False
        self.length = length

    @property
    def rewindable(self) -> bool:
        return not self._begun or isinstance(self._stream, httpx.ByteStream)

    def chunks(self) -> Iterator[bytes]:
        self._begun = True
        yield from self._stream


def _body(request: httpx.Request) -> Body | None:
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        return None
    assert isinstance(request.stream, httpx.SyncByteStream)
    try:
        return _Body(request.stream, None if length is None else int(length))
    except ValueError as error:
        raise exceptions.InvalidHeader(f"{length!r} is no content-length") from error


class _Stream(httpx.SyncByteStream):
    """A response's body."""

    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx(self._request):
            while chunk := self._answer.read(65_536):
                yield chunk

    def close(self) -> None:
        self._answer.close()


@contextlib.contextmanager
def _errors_of_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except exceptions.RequestException as error:
        raise _kind_of(error)(str(error), request=request) from error


def _kind_of(error: exceptions.RequestException) -> type[httpx.TransportError]:
    """What httpx calls it. ConnectError is a promise that nothing was sent: callers send again even a POST then."""
    for ours, theirs in _ERRORS:
        if isinstance(error, ours):
            return theirs
    if isinstance(error, exceptions.InvalidURL):
        return httpx.ConnectError
    if not isinstance(error, exceptions.ConnectionError):
        return httpx.LocalProtocolError  # the request contradicts itself
    if error.processed is False and not isinstance(error.__cause__, errors.StreamReset):
        return httpx.ConnectError
    cause = error.__cause__
    while cause is not None:
        # Errors of the operating system and of TLS; theirs and ours may be OSErrors too.
        if isinstance(cause, errors.TLSError) or (
            isinstance(cause, OSError) and not isinstance(cause, (errors.HTTP2Error, http.client.HTTPException))
        ):
            return httpx.ReadError
        cause = cause.__cause__
    return httpx.RemoteProtocolError
