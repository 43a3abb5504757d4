"""A session: one HTTP/2 connection and everything that is known of it, shared by any number of threads.

Here its parts are put together, and started. The threads of a session are the reader (receiving/reader.py: in blocking
`recv` or under the lock, never anywhere else), the writer (sending/writer.py: only when the kernel did not take
everything at once), the dispatcher (shared/listeners.py: only while there are events somebody listens for), the keeper
(keeper.py: only after `ref`), and whoever calls the public methods; and two of the process, the timer thread
(shared/timers.py), which looks at deadlines, and the one that waits for full sockets (transport/full_sockets.py).
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial

from ...protocol.connection import Connection
from ...protocol.settings import Settings
from ...protocol.wire import Wire
from ...transport.full_sockets import full_sockets
from ...transport.transport import Transport
from ..inspection.trace import TracedOutbox, traced
from ..receiving.frame_receiver import FrameReceiver, ReceiveFrame
from ..receiving.header_memory import HeaderMemory
from ..receiving.inbound_flow import InboundFlow
from ..receiving.reader import read_forever
from ..receiving.receiver import Receiver
from ..sending.outbox import Outbox
from ..sending.pump import Pump
from ..sending.sender import Sender
from ..shared.listeners import KEPT, NOT_KEPT, Dispatcher, Listeners
from ..shared.timers import timers
from ..timing.round_trips import Pings, SettingsSent
from ..timing.watchdog import Watchdog
from .configuration import Configuration
from .events import EventHandlers, ReceivingLifecycle
from .keeper import Keeper

_EVENTS = {
    "altsvc": KEPT,
    "close": KEPT,
    "connect": KEPT,
    "error": KEPT,
    "frame_error": NOT_KEPT,
    "goaway": KEPT,
    "local_settings": NOT_KEPT,
    "origin": KEPT,
    "ping": NOT_KEPT,
    "remote_settings": KEPT,
    "stream": KEPT,
    "timeout": NOT_KEPT,
}

_KEEPALIVE_PING = b"keepaliv"


class SessionCore(ReceivingLifecycle):
    """A session without what users call, which `Session` (session.py) adds."""

    def __init__(self, transport: Transport, configuration: Configuration) -> None:
        timers.ensure_running()
        full_sockets.ensure_running()
        super().__init__(transport, configuration)
        limits = self._limits
        client = self.type == "client"
        self._trace = traced(configuration.trace, self._monitor, self.type)
        self._outbox = self._new_outbox()
        self._protocol: Wire = self._new_protocol(configuration.settings)
        self._pump = Pump(
            self._protocol,
            self._outbox,
            on_end=self._local_end_locked,
            on_failed_end=self._failed_end_locked,
            shared_by_requests=client,
        )
        self._sender = Sender(
            self._monitor,
            transport,
            self._outbox,
            self._pump,
            most_queued=limits.max_session_memory // 2,
            on_broken_locked=self._write_failed_locked,
            on_overflow=self._nothing_is_read,
            more_is_coming_locked=self._more_is_coming_locked,
            sends_unlocked=client,
        )
        self._dispatcher = Dispatcher(self._monitor)
        self._listeners = Listeners(self._dispatcher, _EVENTS)
        self._watchdog = Watchdog(self)
        self._pings = Pings(self._monitor, limits.max_outstanding_pings)
        self._settings_sent = SettingsSent(self._monitor)
        self._inbound = InboundFlow(self._protocol, self._outbox, self._sender, limits.max_session_memory)
        self._header_memory = HeaderMemory(limits.max_session_memory)
        self._keeper = Keeper(self)
        self._receiver = self._new_receiver(EventHandlers(self))
        self._register_all(configuration.listeners)

    # -- what it is made of; a session with another protocol than HTTP/2 beneath it has others

    def _new_outbox(self) -> Outbox:
        return Outbox() if self._trace is None else TracedOutbox(self._trace)

    def _new_protocol(self, settings: Settings) -> Wire:
        client = self.type == "client"
        return Connection(client=client, settings=settings, limits=self._limits, emit=self._outbox.put)

    def _new_receiver(self, handlers: EventHandlers) -> Receiver:
        protocol = self._protocol
        assert isinstance(protocol, Connection)
        receive_frame: ReceiveFrame = protocol.receive_frame
        if self._trace is not None:
            receive_frame = self._trace.watching(receive_frame)
            protocol.frames.one_by_one = True
        return FrameReceiver(self, protocol, handlers, receive_frame)

    # -- start

    def _start(self) -> None:
        """Send the preface, SETTINGS and the connection's window. The caller starts the reader afterwards.

        A server sends its SETTINGS at once where ALPN has agreed on HTTP/2, which saves a round trip, and otherwise
        when the client's preface has come: who speaks something else could make nothing of them.
        """
        with self._monitor, self._lock:
            self._protocol.start()
            # Now, because the WINDOW_UPDATE is urgent and would overtake the preface.
            if self.type == "server" and not self._transport.encrypted:
                self._sender.hold_locked()
            else:
                self._sender.send_locked()
            self._settings_sent.add()
            self._watchdog.await_settings_locked()
            self._inbound.start()
            self._watchdog.rearm_locked()
            self._sender.send_locked()

    def _begin(self, received: bytes = b"") -> None:
        """Start, with a reader of its own; `received` is what the peer has already said. Whatever goes wrong, the
        connection does not stay open.
        """
        reader: threading.Thread | None = None
        try:
            self._start()
            if received:
                self._receiver.begin_with(received)
            reader = threading.Thread(target=self._reader_target(), name="sync_h2-reader", daemon=True)
            reader.start()
        except BaseException as error:
            self._interrupted(error)
            with self._monitor, self._lock:
                self._transport.shutdown_both()
            if reader is None or reader.ident is None:
                self._close_down()  # there is no reader that would
            raise

    def _reader_target(self) -> Callable[[], None]:
        """What the reader thread runs. It holds the session weakly while it waits for bytes: when that is collected
        unclosed, its connection is shut down, and so the reader woken, by the timer thread, because a finalizer may run
        anywhere, under any lock.
        """
        transport = self._transport

        def dropped(_: object, is_exiting: Callable[[], bool] = sys.is_finalizing) -> None:
            if not is_exiting():  # otherwise the timer thread is gone, and so may be what the modules hold
                timers.run(transport.shutdown_both)

        session = weakref.ref(self, dropped)
        return partial(read_forever, session, transport, self._protocol.frames, self._fate)

    def _keepalive_locked(self) -> None:
        self._pings.add_own(_KEEPALIVE_PING)
        self._protocol.ping(_KEEPALIVE_PING)
        self._sender.send_locked()
