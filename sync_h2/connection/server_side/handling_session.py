"""From requests to handlers: each becomes a job of the pool, and what becomes of its stream when the handler returns.

Jobs run on the pool's threads; otherwise threads and locks as in session/state.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from ...arguments import type_name
from ...constants import ErrorCode
from ...errors import HTTP2Error, InvalidState, Timeout
from ...protocol import events
from ...protocol.fields.headers import Headers, encode_response
from ...transport.log import Log
from ...transport.transport import Transport
from ..receiving.reader import Seat
from ..session.configuration import Configuration
from ..shared.stream_state import End, StreamState
from .answering_session import AnsweringSession, WaitedFor
from .request_lines import printable_request
from .server_stream import ServerStream

logger = Log("sync_h2.server")

Handler = Callable[[ServerStream, Headers], object]

_LONG_WAIT = 1.0  # seconds for which a request may wait for a thread without a word
_NEXT_HANDLER_BEGINS = 0.002  # seconds after the last one, where handlers follow one another


class Handling(WaitedFor, Protocol):
    """What runs the handlers; called with no lock held."""

    _workers_option: str  # what its user calls the number of threads

    def _handlers(self) -> list[Handler]:
        """The functions that a new stream is given to."""

    def _submit(self, session: Any, *jobs: Callable[[], None]) -> bool:
        """Run these jobs on the pool, some time; never blocks. True if the session's `_handlers_wait` is called every
        few milliseconds until then. Raises when it will not run them, and `JobsRefused` when it will not run some.
        """


class JobsRefused(InvalidState):
    """What runs the handlers takes some jobs that it was given together, and not these."""

    jobs: Sequence[Callable[[], None]] = ()


class HandlingSession(AnsweringSession):
    """A session whose requests are handled."""

    _host: Handling

    def __init__(self, transport: Transport, host: Handling, configuration: Configuration) -> None:
        self._host = host
        self._seat = Seat()  # the reader's, which it leaves to run handlers (see quick_handlers.py)
        # Guarded by the lock. A job is counted until its handler returns or its response has ended, not until the
        # stream closes: otherwise a client that opens and resets could buy unlimited work. (Not until it returns
        # alone: a client that sees END_STREAM may open the next stream before the handler's last line has run.)
        self._jobs = 0
        # Not guarded: each change is one operation of a set. Jobs that no thread has begun yet; threads that run one.
        self._unbegun: set[StreamState] = set()
        self._handler_threads: set[int] = set()
        self._arrived: list[ServerStream] = []  # in this turn of the reader's, and not given to the pool
        self._handler_began_at = 0.0
        self._handlers_wait_since = 0.0
        self._noted_waiting = False  # set without the lock: a second line would do no harm
        # Whether `_handlers_wait` is called while there are some, as the pool last said. If that has changed since, a
        # send is made too soon, or waits for a handler that is about to begin.
        self._pool_watched = False
        super().__init__(transport, configuration)

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
        if not self._unbegun:
            self._handlers_wait_since = state.opened_at or 0.0
        self._unbegun.add(state)
        self._arrived.append(ServerStream(self, state))

    def _input_handled_locked(self, has_more: bool) -> None:
        if self._arrived:
            self._monitor.after_unlock(partial(self._submit, self._arrived))
            self._arrived = []

    def _submit(self, streams: list[ServerStream]) -> None:
        jobs = [partial(self._handle, stream) for stream in streams]
        try:
            watched = self._host._submit(self, *jobs)
        except Exception as error:
            refused = error.jobs if isinstance(error, JobsRefused) else jobs
            for stream, job in zip(streams, jobs, strict=True):
                if job in refused:
                    self._refuse(stream, error)
        else:
            if watched is not self._pool_watched:
                with self._monitor, self._lock:
                    self._pool_watched = watched

    def _refuse(self, stream: ServerStream, error: Exception) -> None:
        """No handler will be run, unless one has begun."""
        state = stream._state
        try:
            self._unbegun.remove(state)
        except KeyError:
            return
        with self._monitor, self._lock:
            wanted = not state.closed  # the session, and with it its pool, may have ended before this was run
            self._job_done_locked(state)
            self._reset_locked(state, ErrorCode.REFUSED_STREAM)
            self._sender.send_locked()  # what others sent may have waited for it
        if wanted:
            logger.error("no handler can be run for %s", self._stream_words(state), exc_info=error)

    def _header_list_too_large_locked(self, event: events.HeaderListTooLarge) -> None:
        headers = event.headers if self._header_memory.has_room(event.memory) else None
        state = self._new_stream_locked(event.stream_id, headers, event.method)
        if headers is not None:
            self._header_memory.keep(state, event.memory)
        state.first_header_at = state.opened_at
        state.remote_ended = event.end_stream
        state.declined = True
        block = encode_response({":status": 431, "content-length": 0})
        self._protocol.send_response(event.stream_id, block, True)
        state.sent_headers = Headers.from_wire(block)
        state.end_posted = state.local_ended = True
        self._local_end_locked(state)

    def _handle(self, stream: ServerStream) -> None:
        """One stream's job, on a thread of the pool, or the one that has read the request."""
        state = stream._state
        try:
            self._unbegun.remove(state)
        except KeyError:
            return  # submitted twice, because an interrupt fell into that
        thread = threading.get_ident()
        self._handler_threads.add(thread)
        self._handler_began_at = time.monotonic()
        # What others sent waits for the last that begins, or for the reader's return to its seat. Who puts a send off
        # has found `_pool_watched` with the lock.
        if not self._unbegun and (self._pool_watched or self._sender.deferred_locked) and not self._seat.vacant:
            with self._monitor, self._lock:
                if self._sender.deferred_locked:
                    self._sender.send_locked()
        functions: list[Callable[..., object]] = [] if state.closed else self._stream_handlers()
        assert state.opened_at is not None
        if self._handler_began_at - state.opened_at > _LONG_WAIT:
            self._note_waiting()
        failed = True
        returned: object = None
        try:
            for function in functions:
                returned = function(stream, state.request_headers)
            failed = False
        except Exception as error:
            if isinstance(error, HTTP2Error) and stream.closed:
                if not self.destroyed:  # otherwise the session has said so, once for all its streams
                    logger.info("the handler of %s ended with its stream: %s", self._stream_words(state), error)
            elif isinstance(error, Timeout):  # a peer's slowness, as a rule: no place in a program that is worth a look
                logger.warning("the handler of %s failed: %s", self._stream_words(state), error)
            else:
                logger.exception("the handler of %s failed", self._stream_words(state))
        finally:
            if state.closed and state.is_settled:
                self._handler_threads.discard(thread)
            else:
                with self._monitor, self._lock:
                    if not functions:  # nobody has it who could read what came
                        self._inbound.discard(state)
                    self._job_done_locked(state)
                    self._handler_threads.discard(thread)
                    self._finish_locked(stream, failed, returned)
                    if state.closed:
                        self._header_memory.release(state)

    def _stream_handlers(self) -> list[Callable[..., object]]:
        functions = self._listeners.lasting("stream")
        if functions is None:
            with self._monitor, self._lock:
                functions = self._listeners.take_locked("stream")
        return [*self._host._handlers(), *functions]

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
                "their client, a larger %s lets more of them run at once",
                self,
                _LONG_WAIT,
                self._host._workers_option,
            )

    def _more_is_coming_locked(self) -> bool:
        return self._seat.vacant or (
            len(self._unbegun) > 0
            and self._pool_watched
            # Those that wait may wait for long: for threads that block.
            and time.monotonic() - self._handler_began_at < _NEXT_HANDLER_BEGINS
        )

    def _job_done_locked(self, state: StreamState) -> None:
        if state.has_job:
            state.has_job = False
            self._jobs -= 1

    def _local_end_locked(self, state: StreamState) -> None:
        if state.has_job:
            self._job_done_locked(state)
        if (
            state.remote_ended and state.header_memory
        ):  # like the job's, its place is free for what the client sends next
            self._header_memory.release(state)
        super()._local_end_locked(state)

    def _finish_locked(self, stream: ServerStream, failed: bool, returned: object) -> None:
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
                self._monitor.after_unlock(partial(self._log_no_answer, state, returned))
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

    def _log_no_answer(self, state: StreamState, returned: object) -> None:
        hint = (
            ""
            if returned is None
            else f" (the {type_name(returned)} that it returned is not sent: call stream.end(...))"
        )
        logger.error("no handler answered %s%s", self._stream_words(state), hint)

    def _jobs_locked(self) -> int:
        return self._jobs

    def _handler_threads_locked(self) -> set[int]:
        return self._handler_threads.copy()

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

    def _runs_callback(self) -> bool:
        return threading.get_ident() in self._handler_threads or super()._runs_callback()

    def _requests_under_way(self) -> list[str]:
        with self._monitor, self._lock:
            streams = list(self._streams.values())
        return [f"{printable_request(state)} of {self._peer_name}" for state in streams]
