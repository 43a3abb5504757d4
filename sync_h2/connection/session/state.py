"""What is known of one connection: the fields that its parts share, the lock that guards them, and what the roles add.

Who may touch what:

- under the lock (`with self._monitor, self._lock`), from any thread: `_streams` and every field of the StreamStates
  in it, `_stream_window`, the flags and errors of the end (`_closing` to `_goaway_error`), and the insides of
  `_protocol`, `_outbox`, `_pump`, `_sender`, `_inbound`, `_header_memory`, `_stream_counters`, `_pings`,
  `_settings_sent`, `_listeners`, `_dispatcher`, `_watchdog`, `_keeper`, `_ended`, `_connected` and of the TLS engine.
  Methods that need the lock end in `_locked`; those classes say so of all their methods.
- set once by the constructor and only read afterwards, without the lock: the references to these objects, `_monitor`,
  `_lock`, `_transport`, `_limits`, `_peer_address`, `_receiver`, `_fate`, `_trace`, `_began_at`, `_first_window`.
- of the transport, the receiving side and `_protocol.frames` belong to the reader alone, its blocking send to the
  writer alone. `_fate` is written under the lock, and read by the reader when nobody is left who could write.

The rules of the lock itself stand in shared/monitor.py. Three that decide how this module is written:

- Under the lock nothing blocks and no foreign code runs: handlers, listeners, logging, starting threads are left with
  `after_unlock`.
- The reader waits for nothing but bytes. What it cannot finish at once (a handler, a listener, a full outbox) is
  queued and bounded.
- No finalizer takes the lock: a forgotten stream or session is handed to the timer thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sized
from typing import Any

from ...errors import HTTP2Error
from ...interpreter import SharedDict
from ...protocol.fields.sensitive import printable
from ...protocol.wire import Wire
from ...transport.sockets import format_address
from ...transport.transport import Transport
from ..inspection.stats import StreamCounters
from ..receiving.header_memory import HeaderMemory
from ..receiving.inbound_flow import InboundFlow
from ..receiving.reader import Fate
from ..sending.outbox import Outbox
from ..sending.pump import Pump
from ..sending.sender import Sender
from ..shared.listeners import Dispatcher, Observable
from ..shared.monitor import Monitor, WaitQueue
from ..shared.priorities import Priority, set_priority_locked
from ..shared.receive_window import LARGEST_STREAM_WINDOW, ReceiveWindow, first_stream_window
from ..shared.stream_state import StreamState
from ..timing.round_trips import Pings, SettingsSent
from ..timing.watchdog import Watchdog
from .configuration import Configuration


class SessionFields(Observable):
    """The fields, and what a role adds to what becomes of them."""

    type: str

    # The parts, which `SessionCore` (core.py) makes.
    _protocol: Wire
    _outbox: Outbox
    _pump: Pump
    _sender: Sender
    _dispatcher: Dispatcher
    _watchdog: Watchdog
    _inbound: InboundFlow
    _header_memory: HeaderMemory
    _pings: Pings
    _settings_sent: SettingsSent

    def __init__(self, transport: Transport, configuration: Configuration) -> None:
        limits, settings = configuration.limits, configuration.settings
        self._transport = transport
        self._limits = limits
        self._peer_address = transport.peer_address
        self._monitor = Monitor(self._interrupted)
        self._lock = self._monitor.lock

        self._streams: dict[int, StreamState] = SharedDict()  # the open ones, reserved ones included
        # Closed ones with something that nobody has read: a handle that is collected with its stream is not called.
        self._unread: dict[int, StreamState] = {}
        self._stream_counters = StreamCounters()
        self._began_at = time.monotonic()
        self._body_received_at = 0.0
        # What new streams count on; a value in SETTINGS that are not acknowledged yet counts already.
        self._first_window = first_stream_window(
            limits.max_session_memory, limits.max_concurrent_streams, server=self.type == "server"
        )
        self._stream_window = (
            self._first_window if settings.initial_window_size is None else settings.initial_window_size
        )

        self._closing = False  # no new streams
        self._draining = False  # a server between its two GOAWAYs
        self._said_goodbye = False  # the GOAWAY of a graceful close has been sent
        self._destroyed = False  # nothing works any more; `_end_reason` says why
        self._gone = False  # the descriptor is closed
        self._gone_at: float | None = None
        self._failed = False  # it ended with an error
        self._end_reason: HTTP2Error | None = None
        self._goaway_error: HTTP2Error | None = None  # what a GOAWAY with an error code makes of the end
        self._goaway_said = ""  # the code and the reason of the peer's GOAWAY, where it gave one
        self._ended = WaitQueue(self._monitor)
        self._connected = WaitQueue(self._monitor)  # the peer's SETTINGS have come, or the end
        self._fate = Fate()

    @property
    def _peer_name(self) -> str:
        return peer_name(self._peer_address)

    def __repr__(self) -> str:
        state = "gone" if self._gone else "destroyed" if self._destroyed else "closing" if self._closing else "open"
        return f"<{type(self).__name__} {self._peer_name} {state}>"

    def _receive_window(self) -> ReceiveWindow:
        """Of a new stream; it may grow, unless its size is one that the user chose."""
        size = self._stream_window
        return ReceiveWindow(size, LARGEST_STREAM_WINDOW if size == self._first_window else size)

    def _check_alive_locked(self) -> None:
        if self._destroyed:
            assert self._end_reason is not None
            raise self._end_reason.again()

    def _goaway_words(self) -> str:
        """What the peer's GOAWAY said, in brackets to be added to a sentence; "" if it said nothing."""
        return f" (GOAWAY with {self._goaway_said})" if self._goaway_said else ""

    def _interrupted(self, error: BaseException) -> None:
        """An exception left a critical section in the middle."""
        raise NotImplementedError

    # -- what the roles add to

    def _opened_here(self, stream_id: int) -> bool:
        """Whether it is this side's to open streams with such ids."""
        raise NotImplementedError

    def _prioritize_locked(self, state: StreamState, priority: Priority, silent: bool) -> None:
        """The user sets a stream's priority; `silent` tells the peer nothing of it."""
        set_priority_locked(self._streams, state, priority)

    def _slots_changed_locked(self) -> None:
        """The peer's MAX_CONCURRENT_STREAMS may have changed, or a stream has closed."""

    def _runs_callback(self) -> bool:
        """Whether the calling thread runs a listener or handler of this session, which must not wait for the
        session's end.
        """
        return threading.get_ident() == self._dispatcher.thread_id

    def _stream_closed_locked(self, state: StreamState) -> None:
        """A stream has left `_streams`."""

    def _more_is_coming_locked(self) -> bool:
        """Whether threads that are about to run will have something to send."""
        return False

    def _fail_pending_locked(self, error: HTTP2Error) -> None:
        """Requests that wait for a slot will not get one."""

    def _pending_states_locked(self) -> list[StreamState]:
        """The streams that wait for a slot."""
        return []

    def _jobs_locked(self) -> int:
        """How many handlers run or wait for a thread of the pool."""
        return 0

    def _handler_threads_locked(self) -> set[int]:
        """The threads that run this session's handlers."""
        return set()

    def _session_gone(self) -> None:
        """The descriptor is closed; called on the reader thread with no lock held."""

    def _stay_ready(self, stays: bool) -> None:
        """Whether what runs handlers has to be there when it is idle; called with no lock held."""

    def _inactive_locked(self) -> None:
        self._listeners.emit_locked("timeout")

    def _memory_changed_locked(self) -> None:
        """Something has come, and may be kept."""

    _for_reader: Sized = ()
    """What the reader does before it reads on."""

    def _do_for_reader(self) -> bool:
        """Do that, on the reader thread with no lock held; False if another thread reads now."""
        return True

    def _input_handled_locked(self, has_more: bool) -> None:
        """What has come has been handled; the lock is about to be released."""

    def _unattended_overdue_locked(self, now: float) -> None:
        """It is time to see whether the peer takes what nobody waits to send."""

    def _decline_rest_locked(self, state: StreamState) -> None:
        """Our side is whole, or will be without a handler; what the peer still has to send is of no use."""
        raise NotImplementedError("a client cancels")

    def _short_body_locked(self, state: StreamState) -> None:
        """The body ends before what its content-length says, and nobody but a server allows that."""

    def _release_end_locked(self, state: StreamState) -> None:
        """The end of our side waits for nothing any more."""

    def _declined_data_locked(self, state: StreamState, length: int) -> None:
        """`length` octets have come on a stream whose rest is declined."""

    def _discards_overdue_locked(self, now: float) -> None:
        """The time may be up for which what nobody reads is received."""

    def _forgotten_locked(self, state: StreamState) -> bool:
        """What becomes of an open stream that nobody holds; True when somebody should hear of it."""
        raise NotImplementedError

    def _drained_locked(self) -> None:
        """A server's second step: the peer has seen the first GOAWAY."""

    def _drain_overdue_locked(self, now: float) -> None:
        """The peer has not shown in time that it has."""

    def _ending_locked(self, abrupt: bool) -> None:
        """It ends; or it has ended gracefully, and is not to wait for what is still on its way out."""


def peer_name(address: Any) -> str:
    """A peer's address as it can stand in a log: the peer of a Unix socket may have bound its own to any name."""
    return printable(format_address(address)) if address else "a local peer"
