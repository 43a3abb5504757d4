"""Answers that are whole before their requests are: what a server does about the rest of the body.

It may be declined with RST_STREAM(NO_ERROR) (RFC 9113 section 8.1), but curl 7 and httpx hang then when they wait for
a window: httpx looks at nothing else until it has sent all, and curl reads nothing more, windows and resets included,
once it has all of an answer. So what is left of a body is received and thrown away, within bounds, after the handler
has returned; and the end of an answer that makes a client stop reading is held back meanwhile, or for as long as the
client goes on sending. No thread waits for either.

Runs on handlers' threads, the reader, and the timer thread when time is up; every method needs the session's lock.
"""

from __future__ import annotations

import time
from typing import Protocol

from ...constants import DEFAULT_MAX_FRAME_SIZE, ErrorCode
from ...errors import HTTP2Error
from ...protocol.fields.headers import ResponseFields
from ...protocol.limits import Limits
from ...protocol.wire import Wire
from ..receiving.inbound_flow import InboundFlow
from ..sending.pump import Pump
from ..sending.sender import Sender
from ..shared.stream_state import End, Posted, StreamState
from ..timing.watchdog import LINGER, Watchdog
from .unattended_data import Unattended, UnattendedData

_PAUSE = 1.0  # seconds; a client that has sent nothing for so long waits for the end rather than for a window

_BEFORE_THE_RESET = 1.0  # seconds in which a client may see that it has all of its answer


class _Rest:
    """A body that is still to come."""

    __slots__ = ("left", "pauses_at", "state", "until")

    def __init__(self, state: StreamState, left: int, now: float, until: float | None) -> None:
        self.state = state
        self.left = left  # octets that are still thrown away
        self.pauses_at = now + _PAUSE
        self.until = until


class EarlyAnsweringSession(Protocol):
    """What this needs of its session."""

    _limits: Limits
    _pump: Pump
    _sender: Sender
    _inbound: InboundFlow
    _watchdog: Watchdog
    _unattended: UnattendedData
    _closing: bool

    @property
    def _protocol(self) -> Wire: ...

    def _local_end_locked(self, state: StreamState) -> None: ...

    def _reset_locked(self, state: StreamState, code: int, error: HTTP2Error | None = None) -> None: ...


class EarlyAnswers:
    """What one session holds back, and throws away."""

    def __init__(self, session: EarlyAnsweringSession) -> None:
        self._session = session
        self._most = session._limits.max_discarded_body
        self._patience = session._limits.discard_timeout
        self._rests: dict[StreamState, _Rest] = {}

    # -- the end of an answer

    def may_hold(self, state: StreamState) -> bool:
        """Whether the end of this answer should wait for the rest of the request."""
        if state.remote_ended or state.closed or state.wait_for_trailers or not self._most:
            return False
        if state.detached:  # whoever has taken it over may well read, after its answer too
            return False
        if state.request_method == "CONNECT":
            return False
        request = state.request_headers
        return request is not None and "trailers" not in request.get("te", "")  # gRPC's calls go both ways at once

    def will_be_whole(self, state: StreamState) -> bool:
        """Whether all of the body is on its way, and within the bound for what is thrown away."""
        length = "" if state.request_headers is None else state.request_headers.get("content-length", "")
        return length.isdecimal() and int(length[:18]) <= self._most and not _waits_to_send(state)

    def needs_continue(self, state: StreamState, status: str) -> bool:
        """Whether the client is to send its body before it gets this answer: some send it all the same, after a second,
        and read nothing then.
        """
        return _waits_to_send(state) and status < "3" and self.may_hold(state)

    def hold(self, state: StreamState, data: bytes = b"", *, ends: bool, block: ResponseFields | None = None) -> None:
        """Hold back the answer's last octet, and its END_STREAM if it `ends` with that, or all of it from its head
        (`block`) on.
        """
        if state.held is None:
            state.held = block, data
        else:
            state.held = state.held[0], state.held[1] + data
        if state.unsent_length is not None:
            state.unsent_length -= len(data)
        state.end_posted = ends
        if state not in self._rests:
            self._await(state)

    def release(self, state: StreamState) -> None:
        """Let go what is held back; whoever calls this sends."""
        if state.held is None:
            return
        (block, data), state.held = state.held, None
        if not state.declined:  # by a handler that may still read
            self.over(state)
        if state.closed:
            return
        session = self._session
        if block is not None:
            assert state.id is not None
            whole = state.end_posted and not data
            session._protocol.send_response(state.id, block, whole)
            if whole:
                state.local_ended = True
                session._local_end_locked(state)
                return
            if not data:
                return
        session._unattended.watch(state)
        items: list[Posted | End] = [Unattended(data)] if data else []
        if state.end_posted:
            items.append(End.END_STREAM)
        session._pump.post(state, *items)

    # -- the rest of a body

    def discard(self, state: StreamState) -> bool:
        """The handler has returned: throw away what is left of the body. False when the stream is to be reset."""
        # What comes through a tunnel must not vanish without a word, nor what somebody waits for.
        if not self._most or state.request_method == "CONNECT" or state.reader_waits:
            return False
        if state not in self._rests:
            self._await(state)
        else:
            self._rearm()  # the time for it begins to count
        assert state.id is not None
        self._session._protocol.may_end_short(state.id)
        self._throw_away(state, len(state.buffer))
        return True

    def received(self, state: StreamState, length: int) -> None:
        """`length` octets have come that nobody reads."""
        if state in self._rests:
            self._rests[state].pauses_at = time.monotonic() + _PAUSE
            self._throw_away(state, length)

    def _throw_away(self, state: StreamState, length: int) -> None:
        rest = self._rests[state]
        rest.left -= length
        self._session._inbound.discard(state)
        if rest.left < 0 and state in self._rests and not state.remote_ended:
            self._give_up(state)

    def over(self, state: StreamState) -> None:
        """Nothing more comes, or somebody reads it."""
        self._rests.pop(state, None)

    def hurry(self) -> None:
        """The session is closing, and waits no longer than it would for anybody who hangs up."""
        until = time.monotonic() + LINGER
        for rest in self._rests.values():
            rest.until = until if rest.until is None else min(rest.until, until)
        self._rearm()

    def expire(self, now: float) -> None:
        """Time is up for some of them."""
        for rest in list(self._rests.values()):
            state = rest.state
            if state.declined and rest.until is not None and now >= rest.until:
                self._give_up(state)
            elif state.held is not None and now >= rest.pauses_at:
                if state.declined and _waits_to_send(state):  # it has been told not to
                    self._give_up(state)
                else:
                    self._stop_waiting(rest)
        self._rearm()
        self._session._sender.send_locked()

    def _stop_waiting(self, rest: _Rest) -> None:
        """Let the end of an answer go although more of the request may come: the client need not read to send it."""
        state = rest.state
        assert state.id is not None
        more = rest.left - self._session._protocol.inbound_window(state.id)
        if state.declined and more > 0:
            self._session._protocol.open_window(state.id, more)
        self.release(state)

    def _await(self, state: StreamState) -> None:
        now = time.monotonic()
        until = None if self._patience is None else now + self._patience
        self._rests[state] = _Rest(state, self._most, now, until)
        if self._session._closing:
            self.hurry()
        else:
            self._rearm()

    def _rearm(self) -> None:
        rests = self._rests.values()
        moments = [rest.until for rest in rests if rest.until is not None and rest.state.declined]
        moments += [rest.pauses_at for rest in rests if rest.state.held is not None]
        self._session._watchdog.discards = min(moments, default=None)
        self._session._watchdog.rearm_locked()

    def _give_up(self, state: StreamState) -> None:
        rest = self._rests.pop(state)
        assert state.id is not None
        session = self._session
        # Who waits for a window looks at nothing else, the reset that stops it included.
        session._protocol.open_window(state.id, DEFAULT_MAX_FRAME_SIZE)
        if state.local_ended:
            session._reset_locked(state, ErrorCode.NO_ERROR)
        elif state.held is not None and not session._closing:
            # First the end alone: curl throws away what it has not handed on when a reset comes with it.
            self.release(state)
            if not state.closed:
                rest.left, rest.until = self._most, time.monotonic() + _BEFORE_THE_RESET
                self._rests[state] = rest
                self._rearm()
        else:
            state.reset_after_end = ErrorCode.NO_ERROR
            self.release(state)


def _waits_to_send(state: StreamState) -> bool:
    """Whether the client has asked whether it should send the body, and has got no answer to that."""
    request = state.request_headers
    return request is not None and "expect" in request and not state.continued and state.first_byte_at is None
