"""A server's session: requests become jobs of the handler pool, and closing takes two steps. Threads and locks as in
session.py.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from ...arguments import type_name
from ...constants import MAX_STREAM_ID, ErrorCode, error_code_name
from ...errors import HTTP2Error, InvalidArgument, InvalidState, ProtocolError, Timeout
from ...interpreter import FREE_THREADED_BUILD
from ...protocol import events
from ...protocol.fields.headers import Headers, encode_response
from ...protocol.fields.sensitive import printable
from ...protocol.limits import Limits
from ...protocol.settings import Settings
from ...transport.transport import Transport
from ..inspection.trace import TraceFunction
from ..session.events import DRAIN_PING
from ..session.origins import HasOrigin, serialized_origin
from ..session.session import Session
from ..shared.listeners import Listener
from ..shared.priorities import parse_priority
from ..shared.stream_state import End, Posted, StreamState
from ..stream.stream import Stream, stream_listeners
from ..timing.watchdog import LAST_WORDS
from .early_answers import EarlyAnswers
from .server_stream import ServerStream
from .unattended_data import UnattendedData

logger = logging.getLogger("sync_h2.server")
access_logger = logging.getLogger("sync_h2.access")

Handler = Callable[[ServerStream, Headers], object]

_LONG_WAIT = 1.0  # seconds for which a request may wait for a thread without a word
_NEXT_HANDLER_BEGINS = 0.002  # seconds after the last one, where handlers follow one another

# Octets, measured on CPython 3.11 (see tests/connection/test_session_memory.py).
_SESSION_MEMORY = 64 * 1024
"""What a session takes that has no stream, with its thread."""
_TLS_MEMORY = 96 * 1024
_STREAM_MEMORY = 1280 if FREE_THREADED_BUILD else 1024  # an object has a larger head there
"""What a stream takes as long as it is open, and ..."""
_JOB_MEMORY = 2048
"""... as long as its handler waits or runs, header lists and bodies apart."""
_MEMORY_STEP = 64 * 1024
"""The server is told of larger changes only."""

_ALTERNATIVE = re.compile(r"[\t\x20-\x7e]*")


def _printable(text: str) -> str:
    """`text` as it can stand between quotes in one line of a log."""
    return printable(text, '"')


def _target(request: Headers) -> str:
    """What a request is for, in one word."""
    return str(request.get(":path", request.get(":authority", "")))


class Host(Protocol):
    """What a session needs of the server it belongs to; called with no lock held."""

    def _handlers(self) -> list[Handler]:
        """The functions that a new stream is given to."""

    def _submit(self, session: ServerSession, job: Callable[[], None]) -> bool:
        """Run `job` on the pool, some time; never blocks. True if the session's `_handlers_wait` is called every few
        milliseconds until then.
        """

    def _handler_waits(self, give_up: Callable[[], None]) -> Callable[[], None] | None:
        """A handler is about to wait for its client, and needs no place among those that run until what this returns is
        called. `give_up` is called when too many wait.
        """

    def _handlers_that_wait(self, session: ServerSession) -> int:
        """How many handlers of the session wait for its client now."""

    def _keep_worker(self, session: ServerSession, wanted: bool) -> None:
        """Whether a thread that runs jobs has to stay for this session; its end takes that back."""

    def _memory_changed(self, session: ServerSession) -> None:
        """What `_memory_taken` says has changed by a good deal."""

    def _session_idle(self, session: ServerSession) -> bool:
        """The session was idle for its timeout; True when somebody listens for that and decides."""

    def _session_ended(self, session: ServerSession, error: HTTP2Error | None) -> None:
        """The session is gone."""


class ServerSession(Session):
    """The server's end of a connection."""

    type = "server"
    origin_set: None = None
    """What a client over TLS has (RFC 8336); None on a server."""

    def __init__(
        self,
        transport: Transport,
        host: Host,
        *,
        settings: Settings,
        limits: Limits,
        listeners: Mapping[str, Listener] | None = None,
        origins: Sequence[str] = (),
        trace: TraceFunction | None = None,
    ) -> None:
        self._host = host
        self._first_origins = origins
        self._logs_access = access_logger.isEnabledFor(logging.INFO)
        # Guarded by the lock. A job is counted until its handler returns or its response has ended, not until the
        # stream closes: otherwise a client that opens and resets could buy unlimited work. (Not until it returns
        # alone: a client that sees END_STREAM may open the next stream before the handler's last line has run.)
        self._jobs = 0
        # Of PRIORITY_UPDATEs for streams that are not open yet: urgency, and whether it is sequential.
        self._early_priorities: dict[int, tuple[int, bool]] = {}
        self._handler_threads: set[int] = set()
        self._waiting_handlers = 0  # jobs that no thread has begun yet
        self._handler_began_at = 0.0
        self._handlers_wait_since = 0.0
        self._memory_told = 0  # what `_memory_taken` was when the host was last told
        self._noted_waiting = False  # set without the lock: a second line would do no harm
        self._drains_until = 0.0  # while a request is under way
        self._last_stream_closed_at = time.monotonic()
        # Whether `_handlers_wait` is called while there are some, as the pool last said. If that has changed since, a
        # send is made too soon, or waits for a handler that is about to begin.
        self._pool_watched = False
        super().__init__(transport, settings=settings, limits=limits, listeners=listeners, trace=trace)
        self._early_answers = EarlyAnswers(self)
        self._unattended = UnattendedData(self)
        self._watchdog.inactivity = limits.idle_timeout
        self._watchdog.flush_patience = limits.write_timeout

    def _start(self) -> None:
        super()._start()
        if self._first_origins:
            with self._monitor, self._lock:
                self._protocol.origin(self._first_origins)
                self._sender.send_locked()

    def altsvc(self, value: str, origin_or_stream: str | HasOrigin | Stream | int) -> None:
        """Name an alternative service (ALTSVC, RFC 7838 section 4) for an origin, or for that of an open stream.

        `value` is what an Alt-Svc field has, `clear` included; it is ASCII and otherwise not looked at. The origin is
        a URL, which is reduced to its origin, or an object whose `.origin` is one. Raises `InvalidArgument` for what
        gives no origin, a stream id that is not open, and a value that is too long for a frame; `InvalidState` for a
        stream that is closed.
        """
        if not isinstance(value, str):
            raise TypeError(f"value must be a str, not {type_name(value)}")
        if not _ALTERNATIVE.fullmatch(value):
            raise InvalidArgument(f"value must be ASCII without control characters, not {value[:100]!r}")
        origin, stream_id = "", 0
        if isinstance(origin_or_stream, Stream):
            if origin_or_stream.session is not self:
                raise InvalidArgument("origin_or_stream is a stream of another session")
            assert origin_or_stream.id is not None, "only a client's streams can be pending"
            stream_id = origin_or_stream.id
        elif isinstance(origin_or_stream, int) and not isinstance(origin_or_stream, bool):
            stream_id = origin_or_stream
        else:
            origin = serialized_origin(origin_or_stream)
        with self._monitor, self._lock:
            self._check_alive_locked()
            if not origin and stream_id not in self._streams:
                if isinstance(origin_or_stream, Stream):
                    raise InvalidState("ALTSVC for a stream that is closed", stream_id=stream_id)
                raise InvalidArgument(f"origin_or_stream: no stream {origin_or_stream!r} is open")
            self._protocol.altsvc(origin, value, stream_id)
            self._sender.send_locked()

    def origin(self, *origins: str | HasOrigin) -> None:
        """Tell a client which origins this connection may be used for (ORIGIN, RFC 8336); without any, nothing is sent.

        Each is a URL, which is reduced to its origin, or an object whose `.origin` is one; what gives no origin raises
        `InvalidArgument`. Clients heed it over TLS only.
        """
        serialized = [serialized_origin(origin) for origin in origins]
        if not serialized:
            return
        with self._monitor, self._lock:
            self._check_alive_locked()
            self._protocol.origin(serialized)
            self._sender.send_locked()

    @property
    def _idle_since(self) -> float | None:
        """Since when there has been nothing to do (a moment of `time.monotonic()`); None if there is, or it closes.

        A look without the lock: what begins meanwhile is finished by the graceful close.
        """
        watchdog = self._watchdog
        if self._streams or self._jobs or self._leaving or watchdog.header_block is not None:
            return None
        if watchdog.handshake is not None or self._sender.held_locked:
            return None  # it has not begun: `handshake_timeout` is for those
        return self._last_stream_closed_at

    @property
    def _stalled_since(self) -> float | None:
        """Since when nothing has gone on because the client lets all of it wait (a moment of `time.monotonic()`); None
        if anything goes on, or the session closes. A look without the lock.
        """
        if self._leaving:
            return None
        watchdog = self._watchdog
        if watchdog.handshake is not None or self._sender.held_locked:
            return self._began_at
        working = len(self._handler_threads) + self._waiting_handlers - self._host._handlers_that_wait(self)
        if working > 0:
            return None
        streams = list(self._streams.values())
        if not streams:  # it is idle, if only for a moment, or sends a header block
            block, patience = watchdog.header_block, self._limits.header_timeout
            return None if block is None or patience is None else block - patience
        if any(state.detached and not state.end_posted and not state.outgoing for state in streams):
            return None  # something else than a handler works for it
        moments = [state.opened_at for state in streams if state.opened_at is not None]
        return max(self._body_received_at, self._pump.body_sent_at, self._last_stream_closed_at, *moments)

    @property
    def _leaving(self) -> bool:
        """Whether it is this side that ends the session, or has."""
        return self._destroyed or self._draining or self._said_goodbye

    def _make_room(self) -> None:
        """The server is full, and this session is of least use. No lock held."""
        with self._monitor, self._lock:
            message = "its client lets everything wait, and others wait for a connection"
            self._fail_locked(ProtocolError(message, code=ErrorCode.ENHANCE_YOUR_CALM), "max_sessions")

    def _memory_taken(self) -> int:
        """Octets that the client has this session keep, about; what handlers collect is their own. A look that needs no
        lock.
        """
        return (
            _SESSION_MEMORY
            + (_TLS_MEMORY if self._transport.encrypted else 0)
            + _STREAM_MEMORY * len(self._streams)
            + _JOB_MEMORY * self._jobs
            + self._header_memory.together
            + self._inbound.unread
            + self._unattended.held
            + self._outbox.size
            + self._transport.unsent_locked
            + self._protocol.memory
        )

    def _memory_changed_locked(self) -> None:
        taken = self._memory_taken()
        if abs(taken - self._memory_told) >= _MEMORY_STEP:
            self._memory_told = taken
            self._monitor.after_unlock(partial(self._host._memory_changed, self))

    def _out_of_memory(self, octets: int, together: int) -> None:
        """The server's sessions take too much together, and this one takes most. No lock held."""
        message = f"it takes {octets} of {together} octets that the server's sessions take together"
        with self._monitor, self._lock:
            for state in list(self._streams.values()):
                self._inbound.discard(state)
            self._fail_locked(ProtocolError(message, code=ErrorCode.ENHANCE_YOUR_CALM), "max_server_memory")

    def _stay_ready(self, stays: bool) -> None:
        self._host._keep_worker(self, stays)

    # -- requests

    def _new_stream_locked(
        self, stream_id: int, headers: Headers | None, method: str = "GET", priority: str | None = None
    ) -> StreamState:
        state = StreamState(self._monitor, stream_listeners(self._dispatcher), self._receive_window())
        state.id = stream_id
        state.request_headers = headers
        state.request_method = method
        early = self._early_priorities.pop(stream_id, None) if self._early_priorities else None
        if early is not None:
            state.urgency, state.sequential = early
        elif priority is not None:
            state.urgency, state.sequential = parse_priority(priority)
        self._opened_locked(state)
        return state

    def _priority_update_received_locked(self, event: events.PriorityUpdateReceived) -> None:
        state = self._streams.get(event.prioritized_stream_id)
        if state is None:
            self._early_priority_locked(event.prioritized_stream_id, event.value)
        else:
            self._pump.change_priority(state, *parse_priority(event.value))

    def _early_priority_locked(self, stream_id: int, value: str) -> None:
        """RFC 9218 section 7.1: what comes before its request is kept, the latest of it; within bounds."""
        last_stream_id = self._protocol.last_inbound_stream_id
        self._early_priorities = {
            early: kept for early, kept in self._early_priorities.items() if early > last_stream_id
        }
        self._early_priorities.pop(stream_id, None)
        if value and stream_id > last_stream_id and len(self._early_priorities) < self._limits.max_concurrent_streams:
            self._early_priorities[stream_id] = parse_priority(value)  # its text may be as long as a frame

    def _request_received_locked(self, event: events.RequestReceived) -> None:
        if self._jobs >= self._limits.max_concurrent_streams or not self._header_memory.has_room(event.memory):
            self._protocol.refuse(event.stream_id)
            return
        state = self._new_stream_locked(event.stream_id, event.headers, event.method, event.priority)
        self._header_memory.keep(state, event.memory)
        state.first_header_at = state.opened_at
        state.remote_ended = state.ended_with_headers = event.end_stream
        self._jobs += 1
        state.has_job = True
        if not self._waiting_handlers:
            self._handlers_wait_since = time.monotonic()
        self._waiting_handlers += 1
        stream = ServerStream(self, state)
        self._monitor.after_unlock(partial(self._submit, stream, event.headers))

    def _submit(self, stream: ServerStream, headers: Headers) -> None:
        try:
            watched = self._host._submit(self, partial(self._handle, stream, headers))
        except Exception:
            with self._monitor, self._lock:
                self._handler_begins_locked()
                wanted = (
                    not stream._state.closed
                )  # the session, and with it its pool, may have ended before this was run
                self._job_done_locked(stream._state)
                self._reset_locked(stream._state, ErrorCode.REFUSED_STREAM)
            if wanted:
                logger.exception("no handler can be run for stream %s", stream.id)
        else:
            if watched is not self._pool_watched:
                with self._monitor, self._lock:
                    self._pool_watched = watched

    def _header_list_too_large_locked(self, event: events.HeaderListTooLarge) -> None:
        state = self._new_stream_locked(event.stream_id, None)
        state.first_header_at = state.opened_at
        state.remote_ended = event.end_stream
        state.declined = True
        block = encode_response({":status": 431, "content-length": 0})
        self._protocol.send_response(event.stream_id, block, True)
        state.sent_headers = Headers.from_wire(block)
        state.end_posted = state.local_ended = True
        self._local_end_locked(state)

    def _handle(self, stream: ServerStream, headers: Headers) -> None:
        """One stream's job, on a thread of the pool."""
        state = stream._state
        thread = threading.get_ident()
        functions: list[Callable[..., object]] = list(self._host._handlers())
        with self._monitor, self._lock:
            if state.handler_begun:
                return  # submitted twice, because an interrupt fell into that
            state.handler_begun = True
            self._handler_begins_locked()
            if state.closed:
                functions = []
            else:
                functions += self._listeners.take_locked("stream")
            self._handler_threads.add(thread)
        assert state.opened_at is not None
        if self._handler_began_at - state.opened_at > _LONG_WAIT:
            self._note_waiting()
        failed = True
        try:
            for function in functions:
                function(stream, headers)
            failed = False
        except Exception as error:
            if isinstance(error, HTTP2Error) and stream.closed:
                if not self.destroyed:  # otherwise the session has said so, once for all its streams
                    logger.info("the handler of stream %s ended with its stream: %s", state.id, error)
            elif isinstance(error, Timeout):  # a peer's slowness, as a rule: no place in a program that is worth a look
                logger.warning("the handler of stream %s failed: %s", state.id, error)
            else:
                logger.exception("the handler of stream %s failed", state.id)
        finally:
            with self._monitor, self._lock:
                self._job_done_locked(state)
                self._handler_threads.discard(thread)
                self._finish_locked(stream, failed)
                if state.closed:
                    self._header_memory.release(state)

    def _handler_begins_locked(self) -> None:
        self._waiting_handlers -= 1
        self._handler_began_at = time.monotonic()
        if not self._waiting_handlers and self._sender.deferred_locked:
            self._sender.send_locked()

    def _handlers_wait(self) -> None:
        """The pool has no thread for some handlers yet: what others sent may wait for them no longer. No lock held."""
        if self._sender.deferred_locked:
            with self._monitor, self._lock:
                self._sender.send_locked()
        if time.monotonic() - max(self._handlers_wait_since, self._handler_began_at) > _LONG_WAIT:
            self._note_waiting()

    def _note_waiting(self) -> None:
        if not self._noted_waiting:
            self._noted_waiting = True
            logger.warning(
                "%r: a request waits for more than %g s for a thread; where handlers wait for something other than "
                "their client, a larger max_workers lets more of them run at once",
                self,
                _LONG_WAIT,
            )

    def _more_is_coming_locked(self) -> bool:
        return (
            self._waiting_handlers > 0
            and self._pool_watched
            # Those that wait may wait for long: for threads that block.
            and time.monotonic() - self._handler_began_at < _NEXT_HANDLER_BEGINS
        )

    def _job_done_locked(self, state: StreamState) -> None:
        if state.has_job:
            state.has_job = False
            self._jobs -= 1

    def _local_end_locked(self, state: StreamState) -> None:
        self._job_done_locked(state)
        super()._local_end_locked(state)
        if state.closed:  # like the job's, its place is free for what the client sends next
            self._header_memory.release(state)

    def _finish_locked(self, stream: ServerStream, failed: bool) -> None:
        """The last handler has returned: the peer gets a whole answer or an error, never silence, never a short body
        that looks whole.
        """
        state = stream._state
        unanswered = state.sent_headers is None
        if state.closed or (state.detached and not failed and not (unanswered and state.fails_unanswered)):
            return
        state.declined = not state.remote_ended
        if failed:
            self._early_answers.release(state)
            self._sender.send_locked()
        if unanswered and state.fails_unanswered:
            self._reset_locked(state, ErrorCode.INTERNAL_ERROR)
        elif unanswered:
            if not failed:
                self._monitor.after_unlock(partial(self._log_no_answer, state))
            stream._respond_locked(encode_response({":status": 500, "content-length": 0}), True, False)
        elif failed or (state.unsent_length and not state.trailers_posted and not state.end_posted):
            self._fail_stream_locked(state)
        elif not state.end_posted or (state.wait_for_trailers and not state.trailers_posted):
            state.wait_for_trailers = False
            if state.held is not None or self._early_answers.may_hold(state):
                self._early_answers.hold(state, ends=True)
            else:
                state.end_posted = True
                self._pump.post(state, End.END_STREAM)
        if state.declined and not state.closed:
            self._decline_rest_locked(state)
        self._sender.send_soon_locked()
        if state.outgoing:  # and no thread waits for the client to take it
            self._unattended.watch(state)

    def _fail_stream_locked(self, state: StreamState) -> None:
        """The stream ends with INTERNAL_ERROR, behind what its handler had not to wait for; unless that was a whole
        answer.
        """
        if not state.outgoing:
            self._reset_locked(state, ErrorCode.INTERNAL_ERROR)
        elif isinstance(state.outgoing[-1], Posted):
            state.end_posted = True
            state.wait_for_trailers = False
            self._pump.post(state, End.RESET)

    def _unattended_overdue_locked(self, now: float) -> None:
        self._unattended.look(now)

    def _say_reason_locked(self, state: StreamState, reason: str) -> None:
        """The phrase of the next response's status line: HTTP/2 has none."""

    def _decline_rest_locked(self, state: StreamState) -> None:
        state.declined = True
        if not (state.closed or self._early_answers.discard(state)):
            self._early_answers.release(state)
            if state.local_ended:
                self._reset_locked(state, ErrorCode.NO_ERROR)
            else:
                state.reset_after_end = ErrorCode.NO_ERROR

    def _short_body_locked(self, state: StreamState) -> None:
        if state.arrived.waiting:  # it must never look whole to who reads it
            state.remote_ended = False
            error = ProtocolError("the body ended too early", stream_id=state.id, code=ErrorCode.PROTOCOL_ERROR)
            self._reset_locked(state, ErrorCode.PROTOCOL_ERROR, error)
        else:
            state.declined = True

    def _release_end_locked(self, state: StreamState) -> None:
        self._early_answers.release(state)
        self._sender.send_locked()

    def _declined_data_locked(self, state: StreamState, length: int) -> None:
        self._early_answers.received(state, length)

    def _discards_overdue_locked(self, now: float) -> None:
        self._early_answers.expire(now)

    def _remote_end_locked(self, state: StreamState) -> None:
        super()._remote_end_locked(state)
        self._early_answers.release(state)
        self._early_answers.over(state)

    def _stream_closed_locked(self, state: StreamState) -> None:
        self._last_stream_closed_at = time.monotonic() if state.closed_at is None else state.closed_at
        self._early_answers.over(state)
        self._unattended.over(state)
        if self._logs_access:
            self._monitor.after_unlock(partial(self._log_access, state))

    def _log_no_answer(self, state: StreamState) -> None:
        request = state.request_headers or Headers()
        target = _printable(_target(request))
        logger.error('no handler answered stream %s: "%s %s"', state.id, state.request_method, target)

    def _requests_under_way(self) -> list[str]:
        with self._monitor, self._lock:
            requests = [(state.request_method, state.request_headers) for state in self._streams.values()]
        return [
            f"{method} {'' if headers is None else _printable(_target(headers))} of {self._peer_name}"
            for method, headers in requests
        ]

    def _log_access(self, state: StreamState) -> None:
        assert state.opened_at is not None and state.closed_at is not None
        request = state.request_headers
        access_logger.info(
            '%s "%s %s HTTP/%s" %s %d %.3fs%s',
            self._peer_name,
            state.request_method,
            "" if request is None else _printable(_target(request)),
            "2" if self._http_version == "2.0" else self._http_version,
            "-" if state.sent_headers is None else state.sent_headers[":status"],
            state.sent_bytes,
            state.closed_at - state.opened_at,
            "" if not state.rst_code else f" reset with {error_code_name(state.rst_code)}",
        )

    def _forgotten_locked(self, state: StreamState) -> bool:
        if state.end_posted:
            # The answer is complete and on its way; only what the peer still sends is of no interest.
            self._decline_rest_locked(state)
            return False
        self._reset_locked(state, ErrorCode.CANCEL)
        return True

    def _jobs_locked(self) -> int:
        return self._jobs

    def _handler_threads_locked(self) -> set[int]:
        return self._handler_threads

    def _opened_here(self, stream_id: int) -> bool:
        return stream_id % 2 == 0

    @contextlib.contextmanager
    def _as_callback(self) -> Iterator[None]:
        """The calling thread, which will read, runs listeners first: they must not wait for anything that has to be
        read.
        """
        thread = threading.get_ident()
        with self._monitor, self._lock:
            self._handler_threads.add(thread)
            self._monitor.may_not_wait = thread
        try:
            yield
        finally:
            with self._monitor, self._lock:
                self._handler_threads.discard(thread)
                self._monitor.may_not_wait = 0

    # -- closing

    def _runs_callback(self) -> bool:
        return threading.get_ident() in self._handler_threads or super()._runs_callback()

    def _start_closing_locked(self) -> None:
        """The first of two steps: a GOAWAY that refuses nothing. What the client had sent before it saw that is still
        served.
        """
        if self._destroyed or self._draining or self._said_goodbye:
            return
        self._closing = self._draining = True
        self._early_answers.hurry()
        # A client that waits for our SETTINGS with requests at hand (HAProxy) would give them up at a GOAWAY.
        if not self._settings_sent:
            self._say_goodbye_locked()
        patience = self._limits.close_timeout
        self._drains_until = math.inf if patience is None else time.monotonic() + patience
        self._await_last_words_locked()

    def _say_goodbye_locked(self) -> None:
        self._said_goodbye = True
        self._send_goaway_locked(ErrorCode.NO_ERROR, MAX_STREAM_ID)
        self._protocol.ping(DRAIN_PING)

    def _settings_acknowledged_locked(self, event: events.SettingsAcknowledged) -> None:
        super()._settings_acknowledged_locked(event)
        if self._draining and not self._said_goodbye and not self._settings_sent:
            self._say_goodbye_locked()

    def _await_last_words_locked(self) -> None:
        self._watchdog.drain = time.monotonic() + LAST_WORDS
        self._watchdog.rearm_locked()

    def _drain_overdue_locked(self, now: float) -> None:
        if self._streams and now < self._drains_until:  # its requests keep a client busy that is slow to read
            if not self._said_goodbye:
                self._say_goodbye_locked()
                self._sender.send_locked()
            self._await_last_words_locked()
            return
        self._drained_locked()
        if self._destroyed:  # who does not read will not hang up either
            self._watchdog.linger = now

    def _drained_locked(self) -> None:
        """The second step, a round trip later: the real last id."""
        if not self._draining:
            return
        self._draining = False
        self._said_goodbye = True
        self._watchdog.drain = None
        last_stream_id = self._protocol.last_inbound_stream_id
        self._send_goaway_locked(ErrorCode.NO_ERROR, last_stream_id)
        self._protocol.refuse_streams_above(last_stream_id)
        self._maybe_finish_locked()
        self._sender.send_locked()

    def _finish_now(self) -> bool:
        """The server waits no longer: the end, here and now; False if a request or its answer is under way."""
        with self._monitor, self._lock:
            if self._streams or self._unsent_locked():
                return False
            self._drained_locked()
            self._ending_locked(abrupt=True)
            self._hang_up_locked()
            return True

    def _unsent_locked(self) -> bool:
        return not self._sender.finished and bool(self._outbox.size or self._transport.unsent_locked)

    def _inactive_locked(self) -> None:
        if not self._listeners.emit_locked("timeout"):
            self._monitor.after_unlock(self._ask_host_about_idleness)

    def _ask_host_about_idleness(self) -> None:
        if not self._host._session_idle(self):
            self.close(wait=False)

    def _session_gone(self) -> None:
        error = self._end_reason if self._failed else None
        self._host._session_ended(self, error)
