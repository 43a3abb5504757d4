"""How a server's stream answers: head, body and end, and what is held back for a client that has not sent all of its
request. Used by handlers, on any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...constants import ErrorCode, FrameType
from ...deadline import check_timeout
from ...errors import InvalidArgument, InvalidState, StreamReset
from ...protocol.fields.headers import (
    EncodableFields,
    Headers,
    HeadersSource,
    ResponseFields,
    encode_informational,
    encode_response,
)
from ..shared.limit_log import log_limit
from ..shared.stream_state import Posted
from ..stream.frame_errors import HeaderBlockTooLong, fail_for_frame
from ..stream.stream import Stream
from .answering_session import AnsweringSession
from .date import current_date
from .unattended_data import MOST_OF_A_STREAM, FileRest

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

_METHODS_APART = ("HEAD", "CONNECT")  # whose answers are no common ones
_REDIRECTS = frozenset({"301", "302", "303", "307", "308"})
STATUSES_WITHOUT_BODY = ("204", "205", "304")


class AnsweringStream(Stream):
    """A stream with an answer on its way out."""

    __slots__ = ()

    _answers = True

    _session: AnsweringSession

    @property
    def session(self) -> AnsweringSession:
        """The `ServerSession` that it is a stream of."""
        return self._session

    @property
    def _words(self) -> str:
        return self._session._stream_words(self._state)

    def respond(
        self,
        headers: HeadersSource | None = None,
        *,
        end_stream: bool = False,
        wait_for_trailers: bool = False,
        send_date: bool = True,
    ) -> None:
        """Send the response's headers; does not block.

        `:status` defaults to 200; a `date` field is added unless `send_date` is False. 204, 205, 304 and answers to
        HEAD have no body: our side ends at once and what is written is dropped. A 2xx answer to CONNECT begins a
        tunnel: what is written and read from then on are its bytes, without length or trailers. A field `status` is
        taken for a forgotten colon and refused, unless `:status` is given too. Raises `InvalidArgument` for headers
        that HTTP/2 forbids, and for fields over `max_send_header_block_length` (which destroys the stream),
        `InvalidState` the second time, and the stream's error if it is closed.
        """
        self._respond(headers, end_stream, wait_for_trailers, send_date)

    def _respond(
        self,
        headers: HeadersSource | None,
        end_stream: bool,
        wait_for_trailers: bool,
        send_date: bool = True,
        *,
        data_follows: bool = False,
    ) -> None:
        """`respond`; where `data_follows`, the headers wait for the caller's next call, which takes them along."""
        block = encode_response(headers, date=current_date() if send_date else None)
        try:
            with self._monitor, self._lock:
                self._respond_locked(block, end_stream, wait_for_trailers)
                if not data_follows:
                    self._session._sender.send_soon_locked()
        except HeaderBlockTooLong as error:
            fail_for_frame(self._session, self._state, FrameType.HEADERS, error)
            raise

    def _respond_locked(self, block: ResponseFields, end_stream: bool, wait_for_trailers: bool) -> None:
        state = self._state
        if state.closed or state.sent_headers is not None:
            self._check_unanswered_locked()  # raises
        assert state.id is not None
        status, length = block.status, block.content_length
        if not (
            end_stream
            or wait_for_trailers
            or not state.remote_ended
            or status in STATUSES_WITHOUT_BODY
            or state.request_method in _METHODS_APART
        ):  # nothing is held back, and a body follows
            self._session._protocol.send_response(state.id, block, False)
            state.unsent_length = length
            state.sent_headers = Headers.from_wire(block)
            return
        if state.request_method == "CONNECT" and status.startswith("2"):
            # RFC 9110 section 8.6, RFC 9113 section 8.5
            if length is not None:
                raise InvalidArgument("a tunnel has no length: leave out content-length", stream_id=state.id)
            if wait_for_trailers:
                raise InvalidArgument("a tunnel has no trailers: leave out wait_for_trailers", stream_id=state.id)
        answers = self._session._early_answers
        early = not state.remote_ended
        if early and answers.needs_continue(state, status):
            self._inform_locked(encode_informational({":status": 100}))
        no_body = state.request_method == "HEAD" or status in STATUSES_WITHOUT_BODY
        if no_body:
            length = None
        if end_stream and length:
            raise InvalidArgument(
                f"content-length {length} on a response that ends with its headers", stream_id=state.id
            )
        ends = end_stream or no_body
        if wait_for_trailers:
            self._session._protocol.trailers_will_follow(state.id)
        empty = ends or (length == 0 and not wait_for_trailers)
        # Whoever follows it takes no notice of its body, and curl reads nothing behind its head.
        redirects = early and not empty and status in _REDIRECTS and answers.will_be_whole(state)
        redirects = redirects and "location" in Headers.from_wire(block)
        holds = early and (empty or redirects) and answers.may_hold(state) and not (redirects and wait_for_trailers)
        # Of an answer without octets the head is its end; but who is told of a failure stops sending.
        holds_head = holds and (status < "3" or redirects)
        if holds_head:
            self._session._protocol.check_block_length(block)
        else:
            self._session._protocol.send_response(state.id, block, ends and not holds)
            if early and status >= "3":
                self._session._protocol.may_end_short(state.id)
        state.unsent_length = length
        state.sent_headers = Headers.from_wire(block)
        state.no_body = no_body
        if holds and (holds_head or ends):
            answers.hold(state, ends=ends, block=block if holds_head else None)
            return
        state.wait_for_trailers = wait_for_trailers and not ends
        if ends:
            state.end_posted = state.local_ended = True
            self._session._local_end_locked(state)

    def write(self, data: ReadableBuffer, timeout: float | None = None) -> int:
        """Send `data` (bytes-like) and return its length; blocks until no more than 64 KiB of the stream's data wait
        for the client, as long as the session's waiting data has room in half of `max_session_memory`; with a `timeout`
        until flow control has let all through.

        What waits goes out as the client lets it, and is given up, with the stream, when the client takes nothing of it
        for `write_timeout`. The buffer is the caller's again when this returns or raises. Raises as a client's stream.
        """
        if not self._state.remote_ended and self._hold_back(data, timeout, ends=False):
            return memoryview(data).nbytes
        return self._write(data, timeout, ends=False)

    def end(self, data: ReadableBuffer = b"", timeout: float | None = None) -> None:
        """Send `data`, if any, and end our side of the stream (END_STREAM). Blocks and raises as `write`; a second
        call does nothing.
        """
        if self._state.remote_ended or not self._hold_back(data, timeout, ends=True):
            self._write(data, timeout, ends=True)

    def _hold_back(self, data: ReadableBuffer, timeout: float | None, *, ends: bool) -> bool:
        """Write all but the answer's end, which waits for the request's; False, and nothing done, where none has to."""
        state = self._state
        if isinstance(data, str):
            return False
        length = memoryview(data).nbytes
        if not ends and state.held is None and (not length or length != state.unsent_length):
            return False
        self._before_writing(length, ends=ends)
        with memoryview(data).cast("B") as view:
            return self._hold_view_back(view, timeout, ends=ends)

    def _hold_view_back(self, view: memoryview, timeout: float | None, *, ends: bool) -> bool:
        state = self._state
        length = len(view)
        answers = self._session._early_answers
        if state.held is not None and self._hold_with_head(view, ends=ends):
            return True
        with self._monitor, self._lock:
            if state.sent_headers is None or not answers.may_hold(state):
                return False
            if not self._may_post_locked(length, ends):
                return True
            # Where the length is known, its last octet is an end, too.
            at_once = length if state.unsent_length is None else max(length - 1, 0)
        check_timeout(timeout)
        if at_once:
            with view[:at_once] as piece:
                self._write(piece, timeout, ends=False)
        with self._monitor, self._lock:
            self._raise_if_closed_locked()
            if self._may_post_locked(length - at_once, ends):
                answers.hold(state, bytes(view[at_once:]), ends=ends)
                if state.remote_ended:
                    answers.release(state)
                self._session._sender.send_soon_locked()
        return True

    def _hold_with_head(self, view: memoryview, *, ends: bool) -> bool:
        """Add to an answer whose head is held back; False if it is not, or would become too long, and goes."""
        state = self._state
        answers = self._session._early_answers
        with self._monitor, self._lock:
            if state.held is None or state.held[0] is None:
                return False
            if not self._may_post_locked(len(view), ends):
                return True
            if len(state.held[1]) + len(view) > MOST_OF_A_STREAM:
                answers.release(state)
                self._session._sender.send_soon_locked()
                return False
            answers.hold(state, bytes(view), ends=ends)
            return True

    def _check_unanswered(self) -> None:
        with self._monitor, self._lock:
            self._check_unanswered_locked()

    def _check_unanswered_locked(self) -> None:
        self._raise_if_closed_locked()
        if self._state.sent_headers is not None:
            raise InvalidState("the response's headers have been sent already", stream_id=self._state.id)

    def _fail_unless_answered(self) -> None:
        """Reset the stream with INTERNAL_ERROR when its handler returns without an answer; now, if it has returned."""
        with self._monitor, self._lock:
            if self._state.detached or not self._state.has_job:
                self._session._reset_locked(self._state, ErrorCode.INTERNAL_ERROR)
            else:
                self._state.fails_unanswered = True

    def _inform(self, headers: HeadersSource) -> bool:
        """`additional_headers`; whether anything was sent."""
        block = encode_informational(headers)
        try:
            with self._monitor, self._lock:
                return self._inform_locked(block)
        except HeaderBlockTooLong as error:
            fail_for_frame(self._session, self._state, FrameType.HEADERS, error)
            raise

    def _inform_locked(self, block: EncodableFields) -> bool:
        state = self._state
        self._raise_if_closed_locked()
        if state.sent_headers is not None:
            raise InvalidState("an informational response comes before the final one", stream_id=state.id)
        assert state.id is not None
        if not self._session._protocol.send_informational(state.id, block):
            return False
        fields = Headers.from_wire(block)
        state.sent_info_headers += (fields,)
        if fields[":status"] == "100":
            state.continued = True
        self._session._sender.send_locked()
        return True

    def _before_blocking(self) -> Callable[[], None] | None:
        return self._session._host._handler_waits(self._give_up)

    def _takes_long(self) -> None:
        """For a handler to call first that takes long as a rule, or keeps things for each of its threads: readers are
        not for it, nor from then on for any other handler of its server.
        """
        if self._session._reader_handles:
            self._session._reader_handles = False
            self._session._host._handler_takes_long()

    def _give_up(self) -> None:
        """More handlers wait for their peers than may, and this stream's has for longest: it ends."""
        session = self._session
        error = StreamReset(
            "its handler has waited for the client for longest of too many; max_waiting_handlers says how many may",
            stream_id=self._state.id,
            code=ErrorCode.ENHANCE_YOUR_CALM,
        )
        log_limit(self, "max_waiting_handlers", error)
        with self._monitor, self._lock:
            session._reset_locked(self._state, ErrorCode.ENHANCE_YOUR_CALM, error)

    def _goes_on_without_locked(self, posted: Posted) -> bool:
        return self._session._unattended.take_over(self._state, posted)

    def _leave_file(self, descriptor: int, offset: int, length: int) -> bool:
        """Have the session send the rest of the answer, so much of a file; False if a thread has to do that."""
        state = self._state
        with self._monitor, self._lock:
            if (
                state.wait_for_trailers
                or not state.remote_ended
                or state.closed
                or not self._may_post_locked(length, True)
            ):
                return False
            try:
                file = FileRest(descriptor, offset, length, lambda: self._words, self._monitor)
            except OSError:  # no descriptor is left
                return False
            self._session._unattended.take_over_file(state, file)
            self._post_locked(file, True)
        return True

    def _fail(self, error: Exception | None = None) -> None:
        """Reset the stream with INTERNAL_ERROR because of `error`, behind what has been written."""
        with self._monitor, self._lock:
            if self._state.outgoing:
                self._session._fail_stream_locked(self._state)
                return
        if error is None:
            self.close(ErrorCode.INTERNAL_ERROR)
        else:
            self.destroy(error)

    def _before_reading(self) -> None:
        if self._state.held is not None or self._state.declined:
            self._read_after_end()
        request = self._state.request_headers
        if request is not None and not self._state.remote_ended and request.get("expect", "").lower() == "100-continue":
            with self._monitor, self._lock:
                state = self._state
                if state.sent_headers is None and not state.continued and not state.closed:
                    self._inform_locked(encode_informational({":status": 100}))

    def _read_after_end(self) -> None:
        with self._monitor, self._lock:
            if self._state.held is not None:  # somebody reads, and that may take long: the client gets its answer first
                self._session._early_answers.release(self._state)
                self._session._sender.send_locked()
            if self._state.declined and not self._state.closed:
                raise StreamReset("what is left of the body is not read", stream_id=self._state.id)

    def _before_writing(self, length: int, *, ends: bool) -> None:
        if self._state.sent_headers is None:
            block = encode_response({}, date=current_date())
            with self._monitor, self._lock:
                if self._state.sent_headers is None:
                    self._respond_locked(block, ends and not length, False)
                    if not length or self._state.no_body:  # otherwise the data takes the headers along
                        self._session._sender.send_soon_locked()
