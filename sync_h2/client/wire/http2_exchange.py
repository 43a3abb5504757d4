"""A request on a session, and its answer. Runs on the thread that makes the request, then on the one
that reads the body.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from ... import errors
from ...connection.client_side.client_session import ClientSession
from ...connection.client_side.client_stream import ClientStream
from ...constants import ErrorCode
from ...exceptions import ConnectionError, PoolTimeout, RequestException, WriteTimeout
from ...protocol.fields.headers import Headers
from ..messages.call import Call
from ..options.tracing import in_octets, step
from ..values.fields import Fields, by_name
from ..values.status_codes import phrase_of
from .ending import Ending
from .failures import broke_off, closed_too_early, failed, no_response, nothing_came
from .uploads import PATIENCE_FOR_CONTINUE, Upload

_PIECE = 256 * 1024  # of a body that has to come within the call's total


class HTTP2Answer:
    """A stream's response. `ending` is told when the stream needs its place no more."""

    http_version = "HTTP/2"

    def __init__(
        self,
        stream: ClientStream,
        headers: Headers,
        call: Call,
        session: ClientSession,
        ending: Ending,
        upload: Upload | None,
    ) -> None:
        self._stream = stream
        self._call = call
        self._ending = ending
        self._upload = upload
        self._closed = False
        self._pushes: list[ClientStream] = []
        self.session = session
        call.patience.processed = True
        status, *fields = headers.pairs()  # pseudo-header fields come first, and a response has this one
        self.status = int(status[1])
        self.reason = phrase_of(self.status)
        self.headers: Fields = fields
        if stream._state.closed:  # a look that needs no lock
            ending.end(reusable=True)

    @property
    def socket(self) -> Any:
        return self.session.socket

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
        self._pushes += self._stream._promised()
        return self._pushes

    def read(self, size: int = -1) -> bytes:
        patience = self._call.patience
        try:
            if size >= 0:
                data = self._stream.read(size, patience.read)
            elif self._call.timeouts.total is None:
                data = self._stream._read_all(patience.read, between_pieces=True)
            else:
                data = b"".join(iter(lambda: self._stream.read(_PIECE, patience.read), b""))
            if (size < 0 or not data) and self._upload is not None:
                self._upload.wait()
        except errors.Timeout as error:
            if isinstance(error, RequestException):
                raise
            patience.check()
            raise nothing_came(self._call, error.stream_id) from error
        except errors.HTTP2Error as error:
            self._ending.end(reusable=True)
            if self._upload is not None:
                self._upload.raise_failure()  # it has ended the stream
            if isinstance(error, RequestException):
                raise
            if self._closed:
                raise closed_too_early(self._call) from error
            raise broke_off(self._call, errors.said(error), error.stream_id, error.code) from error
        if size < 0 or (size and not data):
            if self._upload is None:  # both sides have ended: there is nothing to close
                self._closed = True
                self._ending.end(reusable=True)
            else:
                self.close()
        return data

    def close(self) -> None:
        self._closed = True
        try:
            if self._upload is None or self._upload.complete:
                with self._stream:
                    pass  # which discards what is unread
            else:
                self._stream.close(ErrorCode.CANCEL)
        except errors.SessionClosed:
            pass  # a forked child may close its copy of a parent's answer
        self._ending.end(reusable=True)


def send_on(session: ClientSession, call: Call, ending: Ending) -> HTTP2Answer:
    """Make the request and wait for the response's head.

    Raises `PoolTimeout`, `WriteTimeout`, `ReadTimeout`, what the maker of the body raises, and errors of
    `sync_h2.errors`, which say whether the request may be repeated.
    """
    has_body = call.body is not None and call.body.length != 0
    try:
        if call.trace is None:
            stream = _opened(session, call, has_body)
        else:
            with step(call.trace, "http2.send_request_headers", request=call.request):
                stream = _opened(session, call, has_body)
    except errors.Timeout as error:
        call.patience.check()
        raise PoolTimeout(
            f"{call.url}: the server took no more streams for {call.timeouts.pool} s",
            request=call.request,
            processed=False,
        ) from error
    call.patience.processed = None
    try:
        if call.trace is None:
            upload = _uploaded(stream, call) if has_body else None
            headers = _response(stream, call)
        else:
            with step(call.trace, "http2.send_request_body", request=call.request):
                upload = _uploaded(stream, call) if has_body else None
            with step(call.trace, "http2.receive_response_headers", request=call.request) as told:
                headers = _response(stream, call)
                fields = in_octets(pair for pair in headers.pairs() if pair[0] != ":status")
                told.value = (int(headers[":status"]), fields)
        answer = HTTP2Answer(stream, headers, call, session, ending, upload)
        if upload is not None and upload.is_wanted(answer.status):
            upload.go_on()
        return answer
    except BaseException as error:
        broken = _broken_answer(error, stream, call)
        stream.close(ErrorCode.CANCEL)
        if broken is not None:
            raise broken from error
        raise


def _opened(session: ClientSession, call: Call, has_body: bool) -> ClientStream:
    return session.request(_headers(call), end_stream=not has_body, timeout=call.patience.pool)


def _broken_answer(error: BaseException, stream: ClientStream, call: Call) -> ConnectionError | None:
    """What an answer that can't be understood, or broke off, makes of a request, which is not sent again: somebody has
    answered it. None if there was none.
    """
    if not isinstance(error, errors.HTTP2Error) or isinstance(error, (RequestException, errors.Timeout)):
        return None
    faulty = isinstance(error, errors.ProtocolError)
    # A fault of the whole connection reaches all of its streams, whichever it was in.
    answered = bool(stream.informational) or (faulty and getattr(error.__cause__, "stream_id", None) == stream.id)
    if error.retryable or not (faulty or answered):
        return None
    return failed(call, error, processed=True if answered else None)


def _uploaded(stream: ClientStream, call: Call) -> Upload:
    """Send the body until the response begins."""
    write, cancel = partial(_write, stream, call), partial(stream.close, ErrorCode.CANCEL)
    upload = Upload(call.chunks(), call.announced_length, write, cancel)
    if call.expects_continue:
        with contextlib.suppress(errors.Timeout):
            if not stream.wait_continue(timeout=PATIENCE_FOR_CONTINUE):
                upload.stopped = True
                return upload
    try:
        upload.run()
    except RequestException:
        raise
    except errors.HTTP2Error:
        if stream.response_headers is None:
            raise
        upload.stopped = True  # the server has answered, and wants no more (RFC 9113 section 8.1)
    return upload


def _write(stream: ClientStream, call: Call, data: bytes | memoryview, ends: bool, until_answered: bool) -> int:
    sent = 0
    while True:
        try:
            rest = data[sent:] if sent else data
            return sent + stream._write(rest, call.patience.write, ends=ends, until_answered=until_answered)
        except errors.Timeout as error:
            if not error.bytes_written:
                call.patience.check()
                raise WriteTimeout(
                    f"{call.url}: the server took nothing of the body for {call.timeouts.write} s",
                    request=call.request,
                    stream_id=stream.id,
                ) from error
            sent += error.bytes_written


def _response(stream: ClientStream, call: Call) -> Headers:
    try:
        return stream.wait_response(timeout=call.patience.read)
    except errors.Timeout as error:
        call.patience.check()
        raise no_response(call, stream.id) from error


def _headers(call: Call) -> dict[str, str] | list[tuple[str, str]]:
    fields: list[tuple[str, str]] = [
        (":method", call.method),
        (":scheme", call.origin.scheme),
        (":authority", call.host),
        (":path", "*" if call.method == "OPTIONS" and call.parts.path == "*" else call.target),
    ]
    fields += call.sent_fields()
    body = call.body
    if body is not None and body.length is not None and not any(name.lower() == "content-length" for name, _ in fields):
        fields.append(("content-length", str(body.length)))
    return by_name(fields)
