"""A server's stream as handlers get it: the request, the answer, files, and promises. Any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...constants import FrameType
from ...errors import InvalidArgument, InvalidState
from ...protocol.fields.headers import (
    Headers,
    HeadersSource,
    encode_push,
)
from ..shared.priorities import DEFAULT_WEIGHT, check_priority, set_priority_locked
from ..shared.stream_state import End
from ..stream.frame_errors import HeaderBlockTooLong, fail_for_frame
from .answering_stream import AnsweringStream
from .file_responses import FileRange, StatCheck, respond_with_fd, respond_with_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import FileDescriptorLike, StrOrBytesPath


class ServerStream(AnsweringStream):
    """What a server's handler gets. The first `write` or `end` sends `respond()`'s defaults if nothing was sent."""

    __slots__ = ()

    @property
    def request_headers(self) -> Headers:
        """The request's headers; of a pushed stream, those of the promised request. Empty where they were too long to
        be kept.
        """
        request = self._state.request_headers
        return Headers() if request is None else request

    @property
    def headers_sent(self) -> bool:
        """True once the final response's headers are on their way."""
        with self._monitor, self._lock:
            return self._state.sent_headers is not None

    @property
    def end_after_headers(self) -> bool:
        """True when the request ended with its headers: it has no body."""
        return self._state.ended_with_headers  # set before there was a stream to ask

    @property
    def push_allowed(self) -> bool:
        """Whether `push_stream` can succeed: this is no pushed stream, and the client has not disabled push."""
        with self._monitor, self._lock:
            return self._why_no_push_locked() is None

    def respond_with_fd(
        self,
        fd: FileDescriptorLike,
        headers: HeadersSource | None = None,
        *,
        stat_check: StatCheck | None = None,
        offset: int = 0,
        length: int = -1,
        wait_for_trailers: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Respond with `length` bytes (-1: all) of an open file from `offset` on, and end our side; blocks as `write`.
        Where the length is known, and there are no trailers and no `timeout`, a client that is slow holds no thread for
        much longer than a second: the session sends the rest, and what goes wrong then is logged.

        `fd` is a descriptor or a file object. It is read by position, so that several streams may share it, and not
        closed. `stat_check(stat, headers, range)` may change the headers and the range's `offset` and `length`, or
        return False to send nothing. On HEAD only the headers go. A read error, or an end before `length` bytes, resets
        the stream with INTERNAL_ERROR and raises. Raises as `respond` and `write`.
        """
        respond_with_fd(self, fd, headers, stat_check, FileRange(offset, length), wait_for_trailers, timeout)

    def respond_with_file(
        self,
        path: StrOrBytesPath,
        headers: HeadersSource | None = None,
        *,
        stat_check: StatCheck | None = None,
        on_error: Callable[[Exception], object] | None = None,
        offset: int = 0,
        length: int = -1,
        wait_for_trailers: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Respond with a regular file, or `length` bytes of it from `offset` on; blocks as `respond_with_fd`.

        `content-length` is set, unless only reading tells how long the file is (/proc: the range's `size` is None, and
        `length` is the most that is sent), and the file is closed on every path. `stat_check` is as in
        `respond_with_fd`, and may answer by itself (304) before it returns False. `on_error(error)` gets what fails
        before the headers have gone out, and may answer. Without it the call raises, and the stream is reset with
        INTERNAL_ERROR unless the handler answers otherwise.
        """
        span = FileRange(offset, length)
        respond_with_file(self, path, headers, stat_check, on_error, span, wait_for_trailers, timeout)

    def additional_headers(self, headers: HeadersSource) -> None:
        """Send a 1xx response (not 101) before the final one; does not block. Raises as `respond`.

        A client of HTTP/1.0 gets none, one of HTTP/1.1 none but 100 unless the server's `http1_early_hints` is set.
        """
        self._inform(headers)

    def _say_reason(self, reason: str) -> None:
        """Have this phrase in the status line, in HTTP/1, which has one; before the headers are sent."""
        if reason and self.http_version != "2.0":
            with self._monitor, self._lock:
                self._check_unanswered_locked()
                self._session._say_reason_locked(self._state, reason)

    def push_stream(
        self, headers: HeadersSource | None = None, *, exclusive: bool = False, parent: int = 0
    ) -> ServerStream:
        """Promise a response to a request that the client has not made (RFC 9113 section 8.4), and return its stream;
        does not block.

        `:method` defaults to GET, `:path` to `/`, scheme and authority to this stream's; `exclusive` and `parent` are
        as for `priority`. Raises `InvalidState` inside a pushed stream and when the client has disabled push,
        `InvalidArgument` for a request that can't be pushed or whose names lack a colon, as `ClientSession.request`
        does. One with fields over `max_send_header_block_length` destroys this stream.
        """
        request = self.request_headers
        block = encode_push(
            headers, scheme=request.get(":scheme", "http"), authority=request.get(":authority", request.get("host", ""))
        )
        priority = check_priority(exclusive, parent, DEFAULT_WEIGHT)
        session = self._session
        try:
            with self._monitor, self._lock:
                self._raise_if_closed_locked()
                reason = self._why_no_push_locked()
                if reason is not None:
                    raise InvalidState(reason, stream_id=self._state.id)
                assert self._state.id is not None
                if session._protocol.has_stream_ids and parent == session._protocol.next_outbound_stream_id:
                    raise InvalidArgument(f"parent {parent} is the pushed stream itself: it can't depend on itself")
                promised_id = session._protocol.push(self._state.id, block)
                promised = Headers.from_wire(block)
                state = session._new_stream_locked(promised_id, promised, promised[":method"], promised.get("priority"))
                state.is_push = True
                state.remote_ended = True
                set_priority_locked(session._streams, state, priority)
                pushed = ServerStream(session, state)
                session._sender.send_locked()
        except HeaderBlockTooLong as error:
            fail_for_frame(session, self._state, FrameType.PUSH_PROMISE, error)
            raise
        return pushed

    def _why_no_push_locked(self) -> str | None:
        protocol = self._session._protocol
        if self._state.is_push:
            return "a pushed stream can't push"
        if self._state.request_method == "CONNECT" and self._state.sent_headers is not None:
            return "a tunnel carries nothing but DATA"
        if not protocol.remote_settings.enable_push:
            return "the client has disabled push"
        pushed = sum(1 for state in self._session._streams.values() if state.is_push)
        if pushed >= protocol.peer_max_concurrent_streams:
            return f"the client takes no more than {protocol.peer_max_concurrent_streams} pushed streams at a time"
        if self._session._closing:
            return "the session is closing"
        return None

    def _forgo_trailers(self) -> None:
        """No trailers will come: `end` ends the stream, and has ended it if it was called."""
        with self._monitor, self._lock:
            state = self._state
            if not state.wait_for_trailers or state.trailers_posted or state.closed:
                return
            state.wait_for_trailers = False
            if state.end_posted:
                self._session._pump.post(state, End.END_STREAM)
                self._session._sender.send_soon_locked()

    def detach(self) -> None:
        """Leave the stream open when its handler returns: whoever took it over ends it."""
        with self._monitor, self._lock:
            self._state.detached = True

    @property
    def detached(self) -> bool:
        """Whether `detach` was called."""
        with self._monitor, self._lock:
            return self._state.detached
