"""What a WSGI application answers (PEP 3333): `start_response`, its `write`, and the pieces that are iterated over.

Runs on the handler's thread. What the application does wrong raises in it where that is possible; otherwise the handler
fails, and the session answers with 500 or resets a response that has begun.
"""

from __future__ import annotations

import functools
import io
import os
import re
from collections.abc import Callable, Iterable
from types import TracebackType
from wsgiref.util import FileWrapper, is_hop_by_hop

from ..connection.server_side.server_stream import ServerStream
from ..errors import HTTP2Error, InvalidState
from ..file_size import size_of
from ..protocol.fields.header_rules import SINGLE_VALUE
from ..protocol.fields.headers import Headers, RepeatedHeaders
from ..transport.log import Log
from .wsgi_environ import Environ
from .wsgi_input import BodyBuffers, Unacceptable

logger = Log("sync_h2.wsgi")

Fields = list[tuple[str, str]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Application = Callable[[Environ, Callable[..., Callable[[bytes], object]]], Iterable[bytes]]

_WITHOUT_CONTENT = frozenset({"204", "205", "304"})
_WITHOUT_LENGTH = frozenset({"204", "205"})  # RFC 9110 sections 8.6 and 15.3.6
_ONCE = frozenset(name.decode() for name in SINGLE_VALUE)

_is_status = re.compile(r"[2-9][0-9]{2}(?: [\t -~\x80-\xff]*)?").fullmatch
_is_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_is_value = re.compile(r"[\t -~\x80-\xff]*").fullmatch
_is_length = re.compile(r"[0-9]{1,19}").fullmatch


class Response:
    """What one run of an application answers. `status` and `headers` are as the application gave them, None and empty
    before `start_response`; `sent` is how many bytes of content went out.
    """

    def __init__(self, stream: ServerStream, method: str, bodies: BodyBuffers) -> None:
        self.status: str | None = None
        self.headers: Fields = []
        self.sent = 0
        self._stream = stream
        self._bodies = bodies
        self._is_head = method == "HEAD"
        # From `start_response`: what is sent, and the content-length in it.
        self._code = ""
        self._fields: Fields = []
        self._length: int | None = None
        # From when the headers have gone out:
        self._begun = False
        self._without_content = False
        self._takes_trailers = False
        self._ended = False
        self._has_excess = False
        self._trailers: Fields = []

    @property
    def headers_sent(self) -> bool:
        """True once the application can't take its status and headers back."""
        return self._begun

    def run(self, app: Application, environ: Environ) -> None:
        """Call `app`, send what it answers, and close that, whatever happens. A body without a length is received
        first. Raises what the application raises, and the stream's errors.
        """
        environ["sync_h2.send_trailers"] = self.send_trailers
        if self._stream.end_after_headers:
            self._run(app, environ)
            return
        try:
            with self._bodies.receiving(environ, self._stream):
                self._run(app, environ)
        except Unacceptable as error:
            self.start_response(error.status, [])
            self._finish()

    def _run(self, app: Application, environ: Environ) -> None:
        try:
            result = app(environ, self.start_response)
            try:
                if not (isinstance(result, FileWrapper) and self._send_file(result.filelike)):
                    self._send_pieces(result)
                self._finish()
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except OSError as error:
            if isinstance(error.__cause__, HTTP2Error):  # from wsgi.input: it is the stream's
                raise error.__cause__ from None
            raise

    # -- what the application calls

    def start_response(self, status: str, headers: Fields, exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        """PEP 3333's. Raises `ValueError` and `TypeError` for what can't be sent, `AssertionError` the second time;
        with `exc_info` it replaces what was said before, or raises that error if the headers have gone out.
        """
        if exc_info is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self.status is not None:
            raise AssertionError("start_response was called before; a second call needs exc_info")
        if not isinstance(status, str):
            raise TypeError(f"the status must be a str, not {type(status).__name__}")
        if not _is_status(status):
            raise ValueError(f"the status must look like '200 OK', not {status!r}")
        code = status[:3]
        self._fields, self._length = _checked(headers, with_length=code not in _WITHOUT_LENGTH)
        self._code = code
        self.status, self.headers = status, list(headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """PEP 3333's `write`: sends `data` before it returns."""
        self._check(data)
        if data:
            if not self._begun:
                self._begin(length_known=False, piece=data)
            if self._length is not None and self.sent + len(data) > self._length:
                raise InvalidState(f"the application writes more than its content-length, {self._length}")
            self._send(data)

    def send_trailers(self, trailers: Iterable[tuple[str, str]]) -> None:
        """Have these fields sent behind the content. Raises `InvalidState` when it is too late for that."""
        if self._begun and not self._without_content and (self._ended or not self._takes_trailers):
            raise InvalidState(
                "it is too late for trailers: where the length of the content is known, give them before its first "
                "byte, or announce them with a 'trailer' header",
                stream_id=self._stream.id,
            )
        self._trailers = list(trailers)

    # -- sending

    def _send_pieces(self, result: Iterable[bytes]) -> None:
        count = _length_of(result)
        for number, piece in enumerate(result, 1):
            self._check(piece)
            if piece:
                if not self._begun:
                    if count == 1 and self._length is None:
                        self._announce(len(piece))
                    self._begin(length_known=count is not None, piece=piece)
                self._send(piece, last=number == count)
            if self._begun and self._without_content:
                return  # nobody would read the rest, which may be endless
            if (not piece or self._ended) and self._stream.closed:  # what is sent would have told
                if self._ended:
                    return
                self._stream._raise_if_closed()

    def _check(self, data: object) -> None:
        if self.status is None:
            raise AssertionError("the application has sent data without having called start_response")
        if not isinstance(data, bytes):
            raise TypeError(f"the application's data must be bytes, not {type(data).__name__}")

    def _announce(self, length: int) -> None:
        if self._code not in _WITHOUT_CONTENT:
            self._length = length
            self._fields.append(("content-length", str(length)))

    def _send(self, piece: bytes, *, last: bool = False) -> None:
        """Send a piece of the content, which is not empty; the `last` one if that is known."""
        if self._without_content:
            return
        if self._length is not None and self.sent + len(piece) > self._length:
            piece = piece[: self._length - self.sent]
            if not self._has_excess:
                self._has_excess = True
                logger.warning("%s: what is beyond content-length %s is dropped", self._stream._words, self._length)
        if self._ended:
            return
        self.sent += len(piece)
        if ((last and self._length is None) or self.sent == self._length) and not self._takes_trailers:
            self._ended = True
            self._stream.end(piece)
        else:
            self._stream.write(piece)

    def _begin(self, *, length_known: bool, piece: bytes = b"") -> None:
        """Send the headers, or leave them to the `piece` that is sent next: without one, content there is none."""
        self._prepare(length_known or self._length is not None)
        self._say_reason()
        length = self._length
        self._stream._respond(
            _fields_to_send(self._code, self._fields),
            end_stream=not piece and not self._takes_trailers,
            wait_for_trailers=self._takes_trailers,
            data_follows=not self._without_content and 0 < len(piece) <= (len(piece) if length is None else length),
        )
        self._begun = True
        self._ended = not piece and not self._takes_trailers

    def _say_reason(self) -> None:
        assert self.status is not None
        self._stream._say_reason(self.status[4:])

    def _prepare(self, length_known: bool) -> None:
        self._without_content = self._is_head or self._code in _WITHOUT_CONTENT
        announced = bool(self._trailers) or "trailer" in dict(self._fields)
        self._takes_trailers = not self._without_content and (announced or not length_known)

    def _send_file(self, file: object) -> bool:
        """Send a file of the system from where it stands, read by position; False if it is not one."""
        if self._begun or self.status is None or type(file) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
            return False
        assert isinstance(file, io.FileIO | io.BufferedReader | io.BufferedRandom)
        if isinstance(file, io.BufferedReader | io.BufferedRandom) and type(file.raw) is not io.FileIO:
            return False
        size = size_of(file.fileno(), os.fstat(file.fileno()))
        if size is None:
            return False
        offset = file.tell()
        if self._length is None:
            self._announce(max(size - offset, 0))
        self._prepare(length_known=True)
        self._say_reason()
        self._begun = True
        self._stream.respond_with_fd(
            file,
            _fields_to_send(self._code, self._fields),
            offset=offset,
            length=self._length or 0,
            wait_for_trailers=self._takes_trailers,
        )
        self._ended = not self._takes_trailers
        if not self._without_content:
            self.sent = self._length or 0
        return True

    def _finish(self) -> None:
        if self.status is None:
            raise AssertionError("the application has not called start_response")
        if not self._begun:
            if self._length is None and not self._is_head:
                self._announce(0)
            self._begin(length_known=True)
        if self._ended or self._without_content:
            return
        self._ended = True
        if self._length is not None and self.sent < self._length:
            # A file that shrinks while it is served is how it happens.
            missing = self._length - self.sent
            logger.warning(
                "%s: %d bytes of content-length %d are missing: it is reset",
                self._stream._words,
                missing,
                self._length,
            )
            self._stream._fail()
        elif self._trailers:
            self._stream.send_trailers(self._trailers)
        else:
            self._stream.end()


def _length_of(result: object) -> int | None:
    try:
        return len(result)  # type: ignore[arg-type]  # whether it has one is the question
    except TypeError:  # many have none
        return None


def _checked(headers: Iterable[tuple[str, str]], *, with_length: bool) -> tuple[Fields, int | None]:
    """The fields to send, names in lower case, and their content-length; raises for what can't be sent."""
    fields: Fields = []
    length: int | None = None
    for name, value in headers:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a header's name and value must be str, not {name!r} and {type(value).__name__}")
        if not _is_name(name):
            raise ValueError(f"this is not the name of a header: {name!r}")
        if not _is_value(value):
            raise ValueError(f"the value of {name!r} has a character that a header can't have")
        name = name.lower()
        value = value.strip(" \t")
        if is_hop_by_hop(name) or name == "proxy-connection":
            _say_dropped(name)
            continue
        if name == "content-length":
            if not _is_length(value):
                raise ValueError(f"content-length is a number, not {value!r}")
            if not with_length:
                continue
            if length not in (None, int(value)):
                raise ValueError(f"content-length is said twice, {length} and {value}")
            length = int(value)
        if name in _ONCE and (name, value) in fields:
            continue  # layers of middleware may each have added it
        if name == "date" and any(other == name for other, _ in fields):
            continue
        fields.append((name, value))
    return fields, length


@functools.cache
def _say_dropped(name: str) -> None:
    """Said once for each of a few names."""
    logger.warning("header %r is about the server's connection (PEP 3333, other server features): it is dropped", name)


def _fields_to_send(code: str, fields: Fields) -> dict[str, str] | Headers:
    """As a dict if possible: what that is encoded to is remembered. What the application says twice is sent twice."""
    mapping = {":status": code}
    mapping.update(fields)
    return mapping if len(mapping) == len(fields) + 1 else RepeatedHeaders([(":status", code), *fields])
