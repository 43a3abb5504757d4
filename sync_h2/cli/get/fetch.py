"""One request of `get`, from its beginning to the end of its body. Runs on a thread of its own; what it counts may be
looked at from others.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ...client.messages.decoding import decoded
from ...client.pool.retries import Tries
from ...connection.client_side.client_session import ClientSession
from ...connection.client_side.client_stream import ClientStream
from ...connection.inspection.stats import StreamStats
from ...constants import ErrorCode, error_code_name
from ...deadline import Deadline
from ...errors import HTTP2Error
from ...protocol.fields.headers import Headers
from ..exit_status import CommandError, ExitStatus, cannot_read, status_of
from .connections import Connections
from .output import Output, ResumedOutput
from .targets import Body, Target, followed

_RETRIES = 4  # of a request that a server did not look at, because it goes away or has enough to do
_PIECE = 64 * 1024
_MOST_REDIRECTS = 50
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Wishes:
    """How answers are taken, the same for all: for each `timeout` seconds, with heads (`include`), without those of 400
    and above (`fail`), behind redirects (`follow`), and without their content codings (`decode`).
    """

    timeout: float | None
    include: bool
    fail: bool
    follow: bool
    decode: bool


class Fetch:
    """A request, and what came of it. Moments are those of `time.monotonic`."""

    def __init__(
        self,
        target: Target,
        fields: Headers,
        body: Body | None,
        output: Output,
        wishes: Wishes,
        connections: Connections,
    ) -> None:
        self.target = target
        self._fields = fields
        self._body = body
        self._output = output
        self._wishes = wishes
        self._connections = connections
        self.asked_at: float | None = None
        self.opened_at: float | None = None
        self.ended_at: float | None = None
        self.stats: StreamStats | None = None
        self.status: str | None = None
        self.expected: int | None = None
        """The body's length, once that is known."""
        self.received = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        """Do all of it; a failure is left in `error`."""
        self.asked_at = time.monotonic()
        deadline = Deadline(self._wishes.timeout)
        try:
            redirects = 0
            while (location := self._insist(deadline)) is not None:
                if redirects == _MOST_REDIRECTS:
                    raise CommandError(f"{self.target.url}: more than {redirects} redirects", ExitStatus.REDIRECTS)
                redirects += 1
                self._follow(location)
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

    def _follow(self, location: str) -> None:
        assert self.status is not None
        self.target, self._fields, keeps_body = followed(self.target, self._fields, int(self.status), location)
        if not keeps_body:
            self._body = None

    def _insist(self, deadline: Deadline) -> str | None:
        """Send the request until somebody looks at it; returns where it is to be sent next, or None."""
        origin, connections = self.target.origin, self._connections
        tries = Tries(_RETRIES)
        began_at = time.monotonic()
        while True:
            since, began_at = began_at, time.monotonic()
            session = connections.session(origin)
            try:
                return self._request(session, deadline)
            except HTTP2Error as error:
                if not error.retryable:
                    raise
                refused = not session.closed
                pause = tries.pause(progress=connections.takes_requests(session, origin, since), refused=refused)
                remaining = deadline.remaining()
                if pause is None or (remaining is not None and remaining <= pause):
                    raise
                if not refused:
                    connections.give_up(session, origin)
            time.sleep(pause)

    def _request(self, session: ClientSession, deadline: Deadline) -> str | None:
        fields = self._fields.copy()
        fields[":path"] = self.target.path
        if isinstance(self._output, ResumedOutput) and self._output.offset:
            fields["range"] = f"bytes={self._output.offset}-"
        stream = session.request(fields, end_stream=self._body is None, timeout=deadline.remaining())
        self.opened_at = time.monotonic() - (stream.stats.duration or 0.0)
        upload = None if self._body is None else _Upload(stream, self._body, deadline)
        try:
            with stream:
                stream.wait_response(timeout=deadline.remaining())
                self._connections.answered(self.target.origin)
                location = self._receive(stream, deadline)
                if upload is not None:
                    upload.wait()
                return location
        except HTTP2Error:
            if upload is not None and upload.error is not None:
                raise upload.error from None  # it came first
            raise
        finally:
            self.stats = stream.stats

    def _receive(self, stream: ClientStream, deadline: Deadline) -> str | None:
        wishes = self._wishes
        response = stream.wait_response(timeout=deadline.remaining())
        self.status = response[":status"]
        status = int(self.status)
        location = response.get("location", "").strip() if wishes.follow and status in _REDIRECTS else ""
        if wishes.fail and status >= 400 and not self._is_complete(response):
            raise CommandError(f"{self.target.url}: the server answered {self.status}", ExitStatus.HTTP_STATUS)
        if isinstance(self._output, ResumedOutput) and not location and not self._resumes(self._output, response):
            return None
        if wishes.include:
            for headers in (*stream.informational, response):
                self._output.write(_head(headers))
        if location:
            return location
        if not stream.end_after_headers and "content-length" in response:
            self.expected = int(response["content-length"])
        pieces = self._pieces(stream, deadline)
        first = next(pieces, None)
        if first is not None:  # the answer to HEAD has a coding, and no body
            pieces = itertools.chain([first], pieces)
            if wishes.decode:
                pieces = decoded(pieces, response.get("content-encoding", ""))
            for data in pieces:
                self._output.write(data)
        self.expected = self.received
        return None

    def _pieces(self, stream: ClientStream, deadline: Deadline) -> Iterator[bytes]:
        while data := stream.read(_PIECE, timeout=deadline.remaining()):
            self.received += len(data)
            yield data

    def _is_complete(self, response: Headers) -> bool:
        """Whether the file that is to be resumed has all that there is (RFC 9110 section 15.5.17)."""
        output = self._output
        whole = isinstance(output, ResumedOutput) and response.get("content-range") == f"bytes */{output.offset}"
        return whole and response[":status"] == "416"

    def _resumes(self, output: ResumedOutput, response: Headers) -> bool:
        """Whether the body is to be written: the rest, or all of it once more. Raises CommandError if it is neither."""
        if self._is_complete(response):
            return False
        status, ranged = response[":status"], response.get("content-range", "")
        if status == "200":
            output.restart()
        elif status != "206" or not ranged.startswith(f"bytes {output.offset}-"):
            answer = f"{status} {ranged}".strip()
            raise CommandError(
                f"{self.target.url}: the server answered {answer} for what follows octet {output.offset} of the file, "
                "which is left as it is",
                ExitStatus.CANNOT_RESUME,
            )
        return True


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
                while not self._stream.closed and (data := file.read(_PIECE)):
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
