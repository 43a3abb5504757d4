"""What users can ask of a session and tell it to do, in either role. Any thread may call anything here; the fields,
the lock and the rules are state.py's.
"""

from __future__ import annotations

import builtins
import struct
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TypeVar

from ...arguments import check_cause, check_error_code, check_whole_number, type_name
from ...constants import MAX_STREAM_ID, MAX_WINDOW_SIZE, ErrorCode
from ...deadline import Deadline, check_timeout
from ...errors import HTTP2Error, InvalidArgument, SessionClosed, Timeout
from ...protocol.settings import Settings
from ...transport.log import Log
from ...transport.transport import TLSTransport
from ..inspection import snapshots
from ..inspection.dump import dump_session
from ..inspection.socket_proxy import SocketProxy
from ..inspection.stats import SessionStats, session_stats_locked
from ..shared.listeners import Listener
from ..shared.monitor import WaitQueue
from ..timing.round_trips import Pong
from .core import SessionCore

logger = Log("sync_h2.connection")

Self = TypeVar("Self", bound="Session")


class Session(SessionCore):
    """An HTTP/2 connection. Use `ClientSession` and `ServerSession`; every method may be called from any thread."""

    _http_version = "2.0"

    # -- attributes

    @property
    def alpn_protocol(self) -> str | None:
        """`"h2"` over TLS, `"h2c"` over cleartext."""
        return self._transport.alpn_protocol

    @property
    def encrypted(self) -> bool:
        """Whether the connection is over TLS."""
        return self._transport.encrypted

    @property
    def peer_certificate(self) -> dict[str, Any] | None:
        """The peer's certificate as `ssl.SSLSocket.getpeercert` gives it; None without TLS or when it showed none."""
        if not isinstance(self._transport, TLSTransport):
            return None
        with self._monitor, self._lock:
            certificate = self._transport.engine.peer_certificate()
        assert not isinstance(certificate, bytes)
        return certificate or None

    @property
    def socket(self) -> SocketProxy:
        """The connection's socket, to look at: `getpeername()`, `getsockopt()`, over TLS `cipher()`, `version()` and so
        on, and `setsockopt()`. Reading, writing, closing and the like raise `SocketManipulationError`;
        `settimeout(seconds)` is `set_timeout(seconds)`. Its calls raise `SessionClosed` once the connection has gone.
        """
        return SocketProxy(self)

    @property
    def connecting(self) -> bool:
        """True until the peer's SETTINGS have come."""
        with self._monitor, self._lock:
            return not self._protocol.settings_received and not self._destroyed

    @property
    def closed(self) -> bool:
        """True as soon as closing starts: no new streams."""
        with self._monitor, self._lock:
            return self._closing

    @property
    def destroyed(self) -> bool:
        """True once the session has ended, and its connection with it: nothing can be sent or received any more."""
        with self._monitor, self._lock:
            return self._destroyed

    @property
    def local_settings(self) -> Settings:
        """Our settings, as far as the peer has acknowledged them."""
        with self._monitor, self._lock:
            return self._protocol.local_settings

    @property
    def remote_settings(self) -> Settings:
        """The peer's settings, as far as they have come; the defaults of RFC 9113 section 6.5.2 for the others."""
        with self._monitor, self._lock:
            return self._protocol.remote_settings

    @property
    def pending_settings_ack(self) -> bool:
        """Whether the peer has not acknowledged all our settings yet."""
        with self._monitor, self._lock:
            return bool(self._settings_sent)

    @property
    def state(self) -> snapshots.SessionState:
        """Windows, stream ids, the outbound queue and the compression tables at this moment (Node's
        `http2session.state`).
        """
        with self._monitor, self._lock:
            return snapshots.of_session_locked(self)

    @property
    def stats(self) -> SessionStats:
        """What the session has done so far, in numbers; a new snapshot each time."""
        with self._monitor, self._lock:
            return session_stats_locked(self)

    def dump(self) -> dict[str, Any]:
        """State, settings, windows, streams, queues, threads and timers, as plain values that `json.dumps` takes; with
        the values of sensitive headers hidden. Works after the end too. For people: keys may change between versions.
        """
        return dump_session(self)

    # -- calls

    def set_local_window_size(self, size: int) -> None:
        """Set how many bytes of bodies, of all streams together, the peer may send before it hears from us again (the
        connection's receive window, RFC 9113 section 6.9; Node's `setLocalWindowSize`). `size` is the whole window.

        A larger window is announced at once. A smaller one comes about when the peer has used up the difference,
        because what it was granted can't be taken back; 0 lets it send nothing more after that, until a larger size is
        set. Does not block. Raises `InvalidArgument` for a size out of 0 to 2**31 - 1, and the session's error when it
        has ended.
        """
        check_whole_number("size", size, 0, MAX_WINDOW_SIZE)
        with self._monitor, self._lock:
            self._check_alive_locked()
            self._inbound.resize(size)
            self._sender.send_locked()

    def settings(self, values: Settings | Mapping[str, Any], timeout: float | None = None, wait: bool = False) -> None:
        """Send SETTINGS; with `wait`, block until the peer has acknowledged them.

        Raises `InvalidArgument` for a value out of range, `Timeout`, and the session's error if it has ended.
        """
        changes = values if isinstance(values, Settings) else Settings(values)
        check_timeout(timeout)
        with self._monitor, self._lock:
            self._check_alive_locked()
            self._protocol.update_settings(changes)
            if changes.initial_window_size is not None:
                self._stream_window = changes.initial_window_size
            sent = self._settings_sent.add()
            self._watchdog.await_settings_locked()
            self._sender.send_locked()
        if wait:

            def acknowledged() -> bool | WaitQueue:
                if not sent.acknowledged:
                    self._check_alive_locked()
                    return sent.applied
                return True

            self._monitor.wait(acknowledged, Deadline(timeout), "the peer to acknowledge SETTINGS")

    def ping(self, payload: bytes | None = None, timeout: float | None = None) -> Pong:
        """Send a PING and wait for its answer (RFC 9113 section 6.7).

        `payload` is 8 bytes, by default the start time as a 64-bit little-endian integer. Raises `InvalidArgument`,
        `PingLimit` when `max_outstanding_pings` are unanswered, `Timeout`, and the session's error when it ends
        meanwhile.
        """
        if payload is None:
            payload = struct.pack("<Q", time.time_ns() // 1_000_000)
        elif not isinstance(payload, bytes | bytearray | memoryview) or len(payload) != 8:
            raise InvalidArgument("a ping's payload must be 8 bytes")
        check_timeout(timeout)
        with self._monitor, self._lock:
            self._check_alive_locked()
            ping = self._pings.add(bytes(payload))
            self._protocol.ping(ping.payload)
            self._sender.send_locked()

        def answered() -> Pong | WaitQueue:
            if ping.pong is None:
                self._check_alive_locked()
                return ping.answered
            return ping.pong

        return self._monitor.wait(answered, Deadline(timeout), "the answer to a PING")

    def goaway(self, code: int = 0, last_stream_id: int | None = None, opaque_data: bytes = b"") -> None:
        """Send GOAWAY without closing (RFC 9113 section 6.8). `last_stream_id` None is the last one the peer opened."""
        check_error_code(code)
        if last_stream_id is not None:
            check_whole_number("last_stream_id", last_stream_id, 0, MAX_STREAM_ID)
        if not isinstance(opaque_data, bytes | bytearray | memoryview):
            raise TypeError(f"opaque_data must be bytes, not {type_name(opaque_data)}")
        with self._monitor, self._lock:
            self._check_alive_locked()
            self._send_goaway_locked(code, last_stream_id, bytes(opaque_data))
            self._sender.send_locked()

    def set_timeout(self, seconds: float | None, callback: Listener | None = None) -> None:
        """Fire `timeout` each time nothing was sent or received for so long; None or 0 switches it off. Closes
        nothing.
        """
        check_timeout(seconds)
        if callback is not None:
            self.on("timeout", callback)
        with self._monitor, self._lock:
            self._watchdog.inactivity = seconds or None
            self._watchdog.last_activity = time.monotonic()
            self._watchdog.rearm_locked()

    def ref(self) -> None:
        """Keep the interpreter from exiting until this session has ended and its listeners have heard of it, or until
        `unref`.

        That is off by default, the other way round than in Node. The session is held, too: it does not end because
        nobody refers to it any more. From Python 3.12 on no thread can be started once the main thread has ended: open
        further sessions before that.
        """
        self._keeper.ref()

    def unref(self) -> None:
        """Take `ref` back: the interpreter may exit while this session is open."""
        self._keeper.unref()

    def close(self, timeout: float | None = None, *, wait: bool = True) -> None:
        """Start no new streams, let the open ones finish, then end the connection; waits for that.

        With `wait=False`, and from this session's own handlers and listeners, it starts the closing and returns.
        Raises `Timeout` after `timeout` seconds; the draining goes on.
        """
        check_timeout(timeout)
        if self._monitor.refusal is not None:
            return  # a forked child has let go of it already
        with self._monitor, self._lock:
            self._start_closing_locked()
            self._sender.send_locked()
        if wait and not self._runs_callback():
            self._wait_gone(timeout)

    def destroy(self, error: BaseException | None = None, code: int | None = None) -> None:
        """End everything at once: GOAWAY, then every blocked call fails (with `error`, if given), and the connection
        goes.
        """
        check_cause(error)
        if code is not None:
            check_error_code(code)
        if self._monitor.refusal is not None:
            return
        with self._monitor, self._lock:
            if error is None:
                reason = None
            elif isinstance(error, HTTP2Error):
                reason = error
            else:
                reason = SessionClosed(f"the session was destroyed: {error!r}")
                reason.__cause__ = error
            if code is None:
                code = ErrorCode.NO_ERROR if error is None else ErrorCode.INTERNAL_ERROR
            self._end_locked(reason, code)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel streams that nobody reads or writes, close within `close_timeout`, then destroy; at once after an
        exception.
        """
        if self._monitor.refusal is not None:
            return
        if kind is not None:
            self.destroy()
            if not self._runs_callback():
                self._wait_gone(None)
            return
        with self._monitor, self._lock:
            for state in list(self._streams.values()):
                if not (state.reader_waits or state.writer_waits):
                    self._reset_locked(state, ErrorCode.CANCEL)
        try:
            self.close(self._limits.close_timeout)
        except Timeout:
            logger.warning("%r did not close within %s s and is destroyed", self, self._limits.close_timeout)
            self.destroy()
            self._wait_gone(None)
