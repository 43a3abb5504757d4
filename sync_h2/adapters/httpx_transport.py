"""httpx, and httpx2, over this package's connections: a transport for their `Client`. Runs on the threads that use the
client.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .. import errors, exceptions
from ..arguments import check_options
from ..client.messages.answer import Answer
from ..client.messages.bodies import Body
from ..client.messages.call import Call
from ..client.opening.network_stream import NetworkStream
from ..client.options.timeouts import Timeouts
from ..client.options.tracing import Trace, step
from ..client.options.trust import Certificate, Verify, check_together, checked_cert, checked_verify, verify_or_context
from ..client.pool.limits import PoolLimits
from ..client.pool.options import PoolOptions
from ..client.pool.pool import Pool, PoolUser
from ..interpreter import Unpack

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ModuleNotFoundError as missing:
        try:
            import httpx2 as httpx
        except ModuleNotFoundError:
            raise missing from None

# The most special first.
_ERRORS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ConnectTimeout, "ConnectTimeout"),
    (exceptions.ReadTimeout, "ReadTimeout"),
    (exceptions.WriteTimeout, "WriteTimeout"),
    (exceptions.PoolTimeout, "PoolTimeout"),
    (exceptions.ProxyError, "ProxyError"),
    (exceptions.ChunkedEncodingError, "RemoteProtocolError"),
    (exceptions.InvalidSchema, "UnsupportedProtocol"),
    (exceptions.InvalidHeader, "LocalProtocolError"),
)


# As many as httpx has itself: it does not say which responses are read when their reader likes, so that all count.
_LIMITS = PoolLimits(max_connections_per_origin=PoolLimits.max_connections)


class HTTPXTransport(PoolUser, httpx.BaseTransport):
    """`httpx.Client(transport=HTTPXTransport())`: what the client asks for goes over shared HTTP/2 connections.

    The same for `httpx2.Client`. All threads may use one transport. `verify`, `cert` and `proxy` are as in
    `sync_h2.Client`, the other arguments too, but that `limits` are those of httpx by default: 100 connections, which
    may all be to one origin. Failures are the library's exceptions, with this package's as
    `__cause__`. Of the extensions a request may have `timeout`, `sni_hostname` and `trace`; responses have
    `http_version`, `reason_phrase` and `network_stream`, whose `get_extra_info` tells of the connection.
    """

    def __init__(
        self,
        *,
        verify: Verify = True,
        cert: Certificate = None,
        context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        limits: PoolLimits | None = None,
        http1: bool = True,
        h2c: bool = False,
        retries: int = 5,
        **session_options: Unpack[PoolOptions],
    ) -> None:
        check_options(HTTPXTransport.__init__, session_options, PoolOptions)
        self._verify = checked_verify(verify_or_context(verify, context))
        self._cert = checked_cert(cert)
        check_together(self._verify, self._cert)
        self._proxy = proxy
        self._pool = Pool(limits or _LIMITS, http1=http1, h2c=h2c, retries=retries, **session_options)

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
                server_name=_server_name(request),
                trace=_trace(request),
            )
            answer = self._pool.send(call)
        response: httpx.Response = _library_of(request).Response(
            answer.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers],
            stream=_stream_class(_library_of(request))(answer, request),
            extensions={
                "http_version": answer.http_version.encode(),
                "reason_phrase": answer.reason.encode("latin-1"),
                "network_stream": NetworkStream(answer.socket),
            },
        )
        return response

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
        return not self._begun or type(self._stream).__name__ == "ByteStream"  # of either library

    def chunks(self) -> Iterator[bytes]:
        self._begun = True
        yield from self._stream


def _body(request: httpx.Request) -> Body | None:
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        return None
    assert isinstance(request.stream, _library_of(request).SyncByteStream)
    try:
        return _Body(request.stream, None if length is None else int(length))
    except ValueError as error:
        raise exceptions.InvalidHeader(f"{length!r} is no content-length") from error


def _library_of(request: httpx.Request) -> Any:
    """httpx or httpx2, whichever has made the request."""
    return sys.modules[type(request).__module__.partition(".")[0]]


def _server_name(request: httpx.Request) -> str | None:
    name = request.extensions.get("sni_hostname")
    return name.decode("ascii") if isinstance(name, bytes) else name


def _trace(request: httpx.Request) -> Trace | None:
    """The function that is to be told of the steps; it is told of the request as httpcore has it."""
    tell = request.extensions.get("trace")
    if tell is None:
        return None
    url = request.url
    shown = SimpleNamespace(
        method=request.method.encode("ascii"),
        url=SimpleNamespace(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        stream=request.stream,
        extensions=request.extensions,
    )
    return lambda name, info: tell(name, {**info, "request": shown} if "request" in info else info)


@functools.cache
def _stream_class(library: Any) -> type[_Stream]:
    """A response's body as the library insists on it."""
    return type("_Stream", (_Stream, library.SyncByteStream), {})


class _Stream:
    """A response's body."""

    def __init__(self, answer: Answer, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request
        self._trace = _trace(request)
        self._step = "http2" if answer.http_version == "HTTP/2" else "http11"

    def __iter__(self) -> Iterator[bytes]:
        step_name = f"{self._step}.receive_response_body"
        with _errors_of_httpx(self._request), step(self._trace, step_name, request=self._request):
            while chunk := self._answer.read(65_536):
                yield chunk

    def close(self) -> None:
        with step(self._trace, f"{self._step}.response_closed", request=self._request):
            self._answer.close()


@contextlib.contextmanager
def _errors_of_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except exceptions.RequestException as error:
        raise getattr(_library_of(request), _kind_of(error))(str(error), request=request) from error


def _kind_of(error: exceptions.RequestException) -> str:
    """What httpx calls it. ConnectError is a promise that nothing was sent: callers send again even a POST then."""
    for ours, theirs in _ERRORS:
        if isinstance(error, ours):
            return theirs
    if isinstance(error, exceptions.InvalidURL):
        return "ConnectError"
    if not isinstance(error, exceptions.ConnectionError):
        return "LocalProtocolError"  # the request contradicts itself
    if error.processed is False and not isinstance(error.__cause__, errors.StreamReset):
        return "ConnectError"
    cause = error.__cause__
    while cause is not None:
        # Errors of the operating system and of TLS; theirs and ours may be OSErrors too.
        if isinstance(cause, errors.TLSError) or (
            isinstance(cause, OSError) and not isinstance(cause, (errors.HTTP2Error, http.client.HTTPException))
        ):
            return "ReadError"
        cause = cause.__cause__
    return "RemoteProtocolError"
