"""A server's session with a client of HTTP/1: the machinery of HTTP/2's sessions above, one request at a time beneath.
Threads and locks as in connection/session/state.py.

Where that differs:

- The reader pauses while little can be done with what it would read: a handler has not read the body, or the answer to
  the request before is not complete. It is woken by whoever changes that, and by the end of the session.
- What was held back is handled by that thread too, once it has left the lock: there may be nothing more to receive.
- A stream that is reset ends the connection. Where its body would have ended with the connection, that is reset, too,
  once what was written has arrived at the client.
- A client that has sent its request and shuts its side down gets its answer all the same.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from ..connection.receiving.receiver import Receiver
from ..connection.receiving.turns import MOST_AT_ONCE, small_pieces
from ..connection.sending.outbox import Outbox
from ..connection.server_side.server_session import Host, ServerSession
from ..connection.session.configuration import Configuration
from ..connection.session.events import EventHandlers
from ..connection.shared.limit_log import log_limit
from ..connection.shared.monitor import WaitQueue
from ..connection.shared.receive_window import first_stream_window
from ..connection.shared.stream_state import StreamState
from ..connection.timing.round_trips import Pong
from ..constants import ErrorCode
from ..deadline import Deadline
from ..errors import ConnectionLost, HTTP2Error, InvalidState, ProtocolError
from ..protocol import events
from ..protocol.events import DataDiscarded, DataReceived
from ..protocol.limits import Limits
from ..protocol.settings import Settings
from ..transport.sockets import format_address
from ..transport.transport import Transport
from .protocol import HTTP1Protocol
from .request_heads import UnreadableRequest

_LONGEST_LINGER = 10.0  # seconds for which octets of a request that was answered early are read and discarded
_FIRST_LOOK = 0.25  # seconds until what is to be reset is looked at: most answers have been acknowledged by then
_TIMEOUTS = frozenset({"handshake_timeout", "header_timeout"})


class HTTP1Session(ServerSession):
    """The server's end of a connection on which the client speaks HTTP/1.1, or 1.0.

    Of what `ServerSession` offers, `ping`, `settings` and `goaway` raise `InvalidState`; `altsvc` and `origin` do
    nothing.
    """

    _protocol: HTTP1Protocol

    _reader_handles = False  # it waits for handlers: see above

    def __init__(
        self, transport: Transport, host: Host, configuration: Configuration, *, origins: Sequence[str] = ()
    ) -> None:
        self._still_sends = False  # since it ended, and the timer last looked; set by the reader without the lock
        # Guarded by the lock:
        self._lingers_until = 0.0
        self._cut = False
        super().__init__(
            transport, host, dataclasses.replace(configuration, limits=_without_frames(configuration.limits))
        )

    def _new_outbox(self) -> Outbox:
        return Outbox()

    def _new_protocol(self, settings: Settings) -> HTTP1Protocol:
        # Guarded by the lock: the reader, while it pauses.
        self._pause = WaitQueue(self._monitor)
        window = settings.initial_window_size
        if window is None:
            limits = self._limits
            window = first_stream_window(limits.max_session_memory, limits.max_concurrent_streams, server=True)
        return HTTP1Protocol(
            limits=self._limits,
            scheme="https" if self._transport.encrypted else "http",
            authority=partial(_own_address, self._transport),
            emit=self._outbox.put,
            stream_window=window,
            on_window=self._go_on_soon_locked,
            note=None if self._trace is None else self._trace.note_locked,
        )

    def _new_receiver(self, handlers: EventHandlers) -> HTTP1Receiver:
        return HTTP1Receiver(self, self._protocol, handlers)

    def _start(self) -> None:
        with self._monitor, self._lock:
            self._inbound.start()
            self._watchdog.rearm_locked()

    @property
    def alpn_protocol(self) -> str | None:
        """`"http/1.1"` if the client chose that; None without TLS, and over TLS from a client without ALPN."""
        return self._transport.alpn_protocol if self._transport.encrypted else None

    # -- requests

    def _request_received_locked(self, event: events.RequestReceived) -> None:
        self._http_version = self._protocol.version
        if self._watchdog.handshake is not None:
            self._watchdog.handshake = None
            self._listeners.emit_locked("connect")
        super()._request_received_locked(event)

    def _stream_closed_locked(self, state: StreamState) -> None:
        super()._stream_closed_locked(state)
        if self._protocol.aborted:
            reason = ConnectionLost("a response was cut short, and the connection with it")
            self._end_locked(None, None, reason=reason, abrupt=False)  # what was written of it goes out before the cut
            if self._cuts_locked:
                self._watchdog.linger_locked(_FIRST_LOOK)
        elif self._protocol.closes:
            self._serve_no_more_locked()
        else:
            if self._draining:
                self._await_last_words_locked()
            self._go_on_soon_locked()

    def _say_reason_locked(self, state: StreamState, reason: str) -> None:
        assert state.id is not None
        self._protocol.say_reason(state.id, reason)

    def _local_end_locked(self, state: StreamState) -> None:
        super()._local_end_locked(state)
        if self._protocol.tunnels and not self._destroyed:
            self._sender.finish_locked()  # the other direction goes on

    def _go_on_soon_locked(self) -> None:
        """What waits in the input can perhaps be handled now."""
        if self._protocol.has_input or self._protocol.input_ended:
            self._monitor.after_unlock(self._go_on)

    def _go_on(self) -> None:
        while self._goes_on():
            pass

    def _goes_on(self) -> bool:
        """A turn's worth of it; True if there is more."""
        with self._monitor, self._lock:
            if self._destroyed:
                return False
            has_more = self._receiver._handle_input_locked()
            if not self._destroyed:
                self._watchdog.header_block_locked(self._protocol.header_block_open)
            if self._protocol.wants_input:
                self._pause.wake_all_locked()
            self._sender.send_locked()
            return has_more

    # -- closing and ending

    def _start_closing_locked(self) -> None:
        """The next answer is the last one, and says so. Who expects none now may have sent a request, which is on its
        way.
        """
        if self._destroyed or self._said_goodbye:
            return
        self._closing = self._said_goodbye = self._protocol.closing = True
        if self._protocol.closes:
            return
        self._draining = True
        if not self._streams:
            self._await_last_words_locked()

    def _drained_locked(self) -> None:
        self._protocol.close()
        self._serve_no_more_locked()

    def _serve_no_more_locked(self) -> None:
        self._draining = False
        self._watchdog.drain = None
        self._refuse_new_locked()

    def _write_failed_locked(self, error: ConnectionLost) -> None:
        # Unlike in HTTP/2, the one answer that is due can't be sent: whatever comes is of no use.
        self._end_locked(error, None)

    def _fail_locked(self, error: ProtocolError, limit: str | None = None) -> None:
        """The client broke the protocol, or a limit: it is told so, unless an answer has begun, and that is the end."""
        protocol = self._protocol
        answered = False
        if limit in _TIMEOUTS:
            if protocol.idle and not protocol.has_input:  # opened in advance, and not needed
                reason = ConnectionLost("no request came in time", retryable=True)
                self._end_locked(None, None, reason=reason)
                return
            answered = protocol.answer_error(408, "the request's head did not come in time")
        elif limit == "max_server_memory":
            answered = protocol.answer_error(503, "the server has no memory for it now")
        elif isinstance(error, UnreadableRequest):
            answered = protocol.answer_error(error.status, str(error.message))
        log: Callable[[HTTP2Error], None] = self._log_end if limit is None else partial(log_limit, self, limit)
        self._end_locked(error, None, abrupt=not answered, log=log)

    def _ending_locked(self, abrupt: bool) -> None:
        self._lingers_until = 0.0 if abrupt else time.monotonic() + _LONGEST_LINGER
        if self._protocol.cuts_what_the_end_delimits(dropped=abrupt and self._unsent_locked()):
            if abrupt:
                self._cut_locked()
            else:
                self._transport.withhold_end_locked()
        self._pause.wake_all_locked()

    @property
    def _cuts_locked(self) -> bool:
        """Whether a reset follows, once what was sent has arrived."""
        return self._transport.without_end_locked and not self._cut

    def _cut_locked(self) -> None:
        """End the connection with a reset, now."""
        self._cut = True
        self._sender.abort_locked()
        self._pause.wake_all_locked()

    def _hang_up_locked(self) -> None:
        if self._still_sends:  # many read no answer before they have sent all, and a reset would take it from them
            self._still_sends = False
            if time.monotonic() < self._lingers_until:
                return
        unsent = self._unsent_locked()
        if self._protocol.cuts_what_the_end_delimits(dropped=unsent):
            self._cut_locked()
            if not unsent:
                return  # the end that shutting it down sends would come first
        super()._hang_up_locked()

    def _wake_everybody_locked(self, reason: HTTP2Error) -> None:
        super()._wake_everybody_locked(reason)
        self._pause.wake_all_locked()

    # -- what HTTP/1 has not

    def settings(self, values: Settings | Mapping[str, Any], timeout: float | None = None, wait: bool = False) -> None:
        _refuse("SETTINGS")

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> Pong:
        _refuse("PING")

    def goaway(self, code: int = 0, last_stream_id: int | None = None, opaque_data: bytes = b"") -> None:
        _refuse("GOAWAY")


class HTTP1Receiver(Receiver):
    """What the reader does with octets of HTTP/1."""

    _session: HTTP1Session
    _protocol: HTTP1Protocol

    def received(self, view: memoryview, lost: HTTP2Error | None) -> bool:
        goes_on = super().received(view, lost)
        if goes_on and self._session._destroyed:
            self._session._still_sends = True
        # A look without the lock: what else changes these wakes the reader, or makes it pause once more.
        cuts = not goes_on and self._session._cuts_locked
        if cuts or not self._protocol.wants_input or self._protocol.input_ended:
            self._session._monitor.wait(self._may_go_on_locked, Deadline(None), "room for what arrives")
        return goes_on

    def _may_go_on_locked(self) -> bool | WaitQueue:
        session, protocol = self._session, self._protocol
        if session._cuts_locked:  # whoever closes the descriptor resets the connection
            return session._pause
        if session._destroyed or (protocol.wants_input and not protocol.input_ended):
            return True
        return session._pause

    def _handle_input_locked(self) -> bool:
        session, protocol = self._session, self._protocol
        handlers = self._handlers
        before = protocol.pieces
        octets = 0
        try:
            while not session._destroyed:
                if small_pieces(protocol.pieces - before, octets) >= MOST_AT_ONCE:
                    return True
                event = protocol.next_event()
                if event is None:
                    break
                if isinstance(event, DataReceived | DataDiscarded):
                    octets += event.flow_controlled_length
                handlers[type(event)](event)
        except ProtocolError as error:
            session._fail_locked(error, getattr(error, "limit", None))
        finally:
            session._input_handled_locked(False)
            self._budget.spend(protocol.pieces - before, octets)
        if session._destroyed:
            return False
        if session._streams:
            if protocol.cut_short:
                super()._end_of_input_locked()
            return False
        if protocol.input_ended:
            protocol.close()  # the last whole request has been answered
        if protocol.closes:
            session._serve_no_more_locked()
        return False

    def _end_of_input_locked(self) -> None:
        if not self._session._destroyed:
            self._protocol.end_of_input(truncated=self._transport.truncated)
            while self._handle_input_locked():
                pass


@functools.lru_cache(maxsize=8)
def _without_frames(limits: Limits) -> Limits:
    """What is left of them in HTTP/1. Made once for all connections of a server."""
    return dataclasses.replace(
        limits,
        settings_timeout=None,
        keepalive_interval=None,
        max_discarded_body=0,  # the protocol does that by itself
    )


def _own_address(transport: Transport) -> str:
    """What a request that names no host is for."""
    try:
        address = transport.sock.getsockname()
    except OSError:  # the peer has gone already
        address = ""
    return format_address(address) if isinstance(address, tuple) else "localhost"


def _refuse(what: str) -> NoReturn:
    raise InvalidState(f"the client speaks HTTP/1, which has no {what}", code=ErrorCode.HTTP_1_1_REQUIRED)
