"""A request on a session, and its answer. Runs on the thread that makes the request, then on the one that reads."""

from __future__ import annotations

from typing import Any

from .. import errors
from ..connection.client_session import ClientSession
from ..connection.client_stream import ClientStream
from ..constants import ErrorCode
from ..exceptions import ChunkedEncodingError, ReadTimeout, WriteTimeout
from ..protocol.headers import Headers
from .exchange import CONNECTION_FIELDS, Call, Ending, Fields, phrase_of, pieces_and_last

_PATIENCE_FOR_CONTINUE = 1.0  # seconds, which is curl's: not every server sends 100


class HTTP2Answer:
    """A stream's response. `ending` is told when the stream needs its place no more."""

    http_version = "HTTP/2"

    def __init__(
        self, stream: ClientStream, headers: Headers, call: Call, session: ClientSession, ending: Ending
    ) -> None:
        self._stream = stream
        self._call = call
        self._ending = ending
        self.session = session
        self.status = int(headers[":status"])
        self.reason = phrase_of(self.status)
        self.headers: Fields = [pair for pair in headers.pairs() if pair[0] != ":status"]
        if stream.closed:
            ending.end(reusable=True)

    @property
    def informational(self) -> list[tuple[int, Fields]]:
        return [
            (int(headers[":status"]), [pair for pair in headers.pairs() if pair[0] != ":status"])
            for headers in self._stream.informational
        ]

    @property
    def trailers(self) -> Fields:
        trailers = self._stream.trailers
        return [] if trailers is None else trailers.pairs()

    @property
    def pushes(self) -> list[ClientStream]:
        return list(self._stream.pushes())

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(size, timeout=self._call.timeouts.read)
        except errors.Timeout as error:
            raise ReadTimeout(
                f"{self._call.url}: nothing of the body came for {self._call.timeouts.read} s",
                request=self._call.request,
                processed=True,
                stream_id=error.stream_id,
            ) from error
        except errors.HTTP2Error as error:
            self._ending.end(reusable=True)
            raise ChunkedEncodingError(
                f"{self._call.url}: the body broke off: {error}",
                request=self._call.request,
                processed=True,
                stream_id=error.stream_id,
                code=error.code,
            ) from error
        if size < 0 or not data:
            self.close()
        return data

    def close(self) -> None:
        self._stream.close(ErrorCode.NO_ERROR if self._stream.closed else ErrorCode.CANCEL)
        self._ending.end(reusable=True)


def send_on(session: ClientSession, call: Call, ending: Ending) -> HTTP2Answer:
    """Make the request and wait for the response's head.

    Raises `WriteTimeout`, `ReadTimeout`, and errors of `sync_h2.errors`, which say whether the request may be repeated.
    """
    body = call.body
    has_body = body is not None and body.length != 0
    stream = session.request(_headers(call), end_stream=not has_body, timeout=call.timeouts.pool)
    try:
        if body is not None and has_body:
            _send_body(stream, call)
        headers = stream.wait_response(timeout=call.timeouts.read)
    except errors.Timeout as error:
        stream.close(ErrorCode.CANCEL)
        if isinstance(error, WriteTimeout):
            raise
        raise ReadTimeout(
            f"{call.url}: no response within {call.timeouts.read} s", request=call.request, stream_id=stream.id
        ) from error
    except BaseException:
        stream.close(ErrorCode.CANCEL)
        raise
    return HTTP2Answer(stream, headers, call, session, ending)


def _send_body(stream: ClientStream, call: Call) -> None:
    """Send the body, or as much of it as the server wants: an early response ends it."""
    if call.expects_continue:
        try:
            if not stream.wait_continue(timeout=_PATIENCE_FOR_CONTINUE):
                return
        except errors.Timeout:
            pass
    try:
        for piece, last in pieces_and_last(call.chunks()):
            (stream.end if last else stream.write)(piece, timeout=call.timeouts.write)
    except errors.Timeout as error:
        raise WriteTimeout(
            f"{call.url}: the server took nothing of the body for {call.timeouts.write} s",
            request=call.request,
            stream_id=stream.id,
        ) from error
    except errors.StreamReset:
        if stream.response_headers is None:
            raise
        # The server has answered, and wants no more (RFC 9113 section 8.1).


def _headers(call: Call) -> list[tuple[str, Any]]:
    fields: list[tuple[str, Any]] = [
        (":method", call.method),
        (":scheme", call.origin.scheme),
        (":authority", call.host),
        (":path", "*" if call.method == "OPTIONS" and call.parts.path == "*" else call.target),
    ]
    for name, value in call.headers:
        lowered = name.lower()
        if lowered in CONNECTION_FIELDS or lowered == "host" or (lowered == "te" and value != "trailers"):
            continue
        fields.append((lowered, value if isinstance(value, str) else value.decode("latin-1")))
    body = call.body
    if body is not None and body.length is not None and not any(name == "content-length" for name, _ in fields):
        fields.append(("content-length", str(body.length)))
    return fields
