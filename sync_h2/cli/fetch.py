"""One request of `get`, from its beginning to the end of its body. Runs on a thread of its own; what it counts may be
looked at from others.
"""

from __future__ import annotations

import threading
import time

from ..connection.client_session import ClientSession
from ..connection.client_stream import ClientStream
from ..connection.stats import StreamStats
from ..constants import ErrorCode, error_code_name
from ..deadline import Deadline
from ..errors import HTTP2Error
from ..protocol.headers import Headers
from .connections import Connections
from .output import Output
from .status import CommandError, ExitStatus, cannot_read, status_of
from .targets import Body, Target

_ATTEMPTS = 5  # for a request that a server did not look at, because it goes away or has enough to do
_PIECE = 64 * 1024


class Fetch:
    """A request, and what came of it. Moments are those of `time.monotonic`."""

    def __init__(self, target: Target, fields: Headers, body: Body | None, output: Output) -> None:
        self.target = target
        self._fields = fields
        self._body = body
        self._output = output
        self.asked_at: float | None = None
        self.opened_at: float | None = None
        self.ended_at: float | None = None
        self.stats: StreamStats | None = None
        self.status: str | None = None
        self.expected: int | None = None
        """The body's length, once that is known."""
        self.received = 0
        self.error: BaseException | None = None

    def run(self, connections: Connections, *, timeout: float | None, include: bool, fail: bool) -> None:
        """Do all of it; a failure is left in `error`."""
        self.asked_at = time.monotonic()
        deadline = Deadline(timeout)
        try:
            self._insist(connections, deadline, include, fail)
            self._output.finish()
        except BaseException as error:
            self.error = self._in_words(error)
            try:
                self._output.abandon()
            except (CommandError, BrokenPipeError) as another:
                self.error = another
        finally:
            self.ended_at = time.monotonic()

    def _in_words(self, error: BaseException) -> BaseException:
        if isinstance(error, HTTP2Error):
            code = "" if error.code is None else f" [{error_code_name(error.code)}]"
            return CommandError(f"{self.target.url}: {error.message}{code}", status_of(error))
        return error

    def _insist(self, connections: Connections, deadline: Deadline, include: bool, fail: bool) -> None:
        """Send the request until somebody looks at it."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            session = connections.session(self.target.origin)
            try:
                self._request(session, deadline, include, fail)
                return
            except HTTP2Error as error:
                if not error.retryable or not attempts_left:
                    raise
                if session.closed:
                    connections.give_up(session, self.target.origin)

    def _request(self, session: ClientSession, deadline: Deadline, include: bool, fail: bool) -> None:
        fields = self._fields.copy()
        fields[":path"] = self.target.path
        stream = session.request(fields, end_stream=self._body is None, timeout=deadline.remaining())
        self.opened_at = time.monotonic() - (stream.stats.duration or 0.0)
        upload = None if self._body is None else _Upload(stream, self._body, deadline)
        try:
            with stream:
                self._receive(stream, deadline, include, fail)
                if upload is not None:
                    upload.wait()
        except HTTP2Error:
            if upload is not None and upload.error is not None:
                raise upload.error from None  # it came first
            raise
        finally:
            self.stats = stream.stats

    def _receive(self, stream: ClientStream, deadline: Deadline, include: bool, fail: bool) -> None:
        response = stream.wait_response(timeout=deadline.remaining())
        self.status = response[":status"]
        if fail and int(self.status) >= 400:
            raise CommandError(f"{self.target.url}: the server answered {self.status}", ExitStatus.HTTP_STATUS)
        if include:
            for headers in (*stream.informational, response):
                self._output.write(_head(headers))
        if not stream.end_after_headers and "content-length" in response:
            self.expected = int(response["content-length"])
        while data := stream.read(_PIECE, timeout=deadline.remaining()):
            self.received += len(data)
            self._output.write(data)
        self.expected = self.received


class _Upload:
    """A request's body on its way, beside the answer: the server may begin with that before it has all of the body."""

    def __init__(self, stream: ClientStream, body: Body, deadline: Deadline) -> None:
        self.error: Exception | None = None
        """What kept the body from being sent, other than the end of the stream."""
        self._stream = stream
        self._body = body
        self._deadline = deadline
        self._thread = threading.Thread(target=self._run, name="sync-h2-upload", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the body is sent, or not wanted any more."""
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            with self._body.open() as file:
                while data := file.read(_PIECE):
                    self._stream.write(data, timeout=self._deadline.remaining())
            self._stream.end(timeout=self._deadline.remaining())
        except Exception as error:
            if not self._stream.closed:  # otherwise who reads the answer is told
                self.error = error
                if isinstance(error, OSError) and not isinstance(error, HTTP2Error):
                    self.error = cannot_read(error)
                self._stream.close(ErrorCode.CANCEL)


def _head(headers: Headers) -> bytes:
    """Headers as HTTP/1.1 has them, which is what people and programs know."""
    lines = [f"HTTP/2 {headers[':status']}", *(f"{name}: {value}" for name, value in headers.pairs() if name[0] != ":")]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")
