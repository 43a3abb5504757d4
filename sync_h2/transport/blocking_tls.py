"""A TLS connection as a blocking socket, for a peer that did not choose HTTP/2: a server's `unknown_protocol`, a
client's HTTP/1.1.

One thread may receive while another sends. The engine is used under a lock of its own, for a moment at a time; the
socket is non-blocking, and whoever has to wait for it waits in `poll` with a deadline. Only what would let a record be
cut in two, or a descriptor's number be reused under somebody who waits, is held for as long as a call lasts: `sendall`
by one thread at a time, `recv` by one, and both have left before `close` closes the descriptor.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from types import TracebackType
from typing import Any

from ..deadline import Deadline
from ..errors import ConnectionLost, InvalidArgument, InvalidState, Timeout
from ..interpreter import Lock
from .tls import END, TLSEngine

_PIECE = 64 * 1024
_MOST_UNREAD = 1024 * 1024  # that `close` reads and discards


class BlockingTLSConnection:
    """A TLS connection after its handshake; it owns `sock`. Use it as a context manager, or close it."""

    def __init__(self, sock: socket.socket, engine: TLSEngine, peer_address: Any) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._peer_address = peer_address
        self._engine = engine
        self._engine_lock = Lock()
        self._receiving = Lock()
        self._sending = Lock()
        self._closed = False
        self._broken = False  # a record was cut in two: nothing can follow it

    @property
    def closed(self) -> bool:
        return self._closed

    def selected_alpn_protocol(self) -> str | None:
        """What ALPN chose (RFC 7301); None when the client offered nothing that the server has."""
        return self._engine.alpn_protocol

    def getpeername(self) -> Any:
        """The peer's address, as `accept` gave it: a peer that has gone meanwhile keeps it."""
        return self._peer_address

    def getsockname(self) -> Any:
        """Our own address."""
        return self._sock.getsockname()

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """To look at; what reads, writes or shakes hands is this connection's alone."""
        return self._engine.ssl_object

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._sock.fileno()

    def recv(self, size: int, timeout: float | None = None) -> bytes:
        """Wait for up to `size` bytes, and `timeout` seconds (None: for ever); `b""` is the end.

        Raises `Timeout`, `ConnectionLost`, `TLSError`, and `InvalidState` when it is closed.
        """
        deadline = Deadline(timeout)
        if size < 0:
            raise InvalidArgument(f"size must not be negative, not {size}")
        view = memoryview(bytearray(min(size, _PIECE)))
        received = False
        with self._receiving:
            while True:
                self._check_open()
                if not view:
                    return b""
                with self._engine_lock:
                    # What this may leave to send (a key update) goes out with the next `sendall`, as RFC 8446 section
                    # 4.6.3 has it.
                    count = self._engine.read_into(view)
                if count:
                    return b"" if count == END else bytes(view[:count])
                if received and deadline.expired:  # what came was TLS's own: tickets, say, of which there may be no end
                    raise Timeout("timed out while waiting for bytes")
                data = self._receive(deadline)
                received = True
                with self._engine_lock:
                    if data:
                        self._engine.feed(data)
                    else:
                        self._engine.feed_eof()

    def sendall(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Send all of `data`; waits up to `timeout` seconds (None: for ever). After a failure only `close` is left.

        Raises `Timeout`, `ConnectionLost`, `TLSError`, and `InvalidState` when it is closed.
        """
        deadline = Deadline(timeout)
        with memoryview(data).cast("B") as view, self._sending:
            self._check_open()
            if self._broken:
                raise InvalidState("an earlier sendall failed half-way: the connection can only be closed")
            self._broken = True
            for start in range(0, len(view), _PIECE):
                with self._engine_lock:
                    self._engine.encrypt([bytes(view[start : start + _PIECE])])
                    records = self._engine.outgoing()
                for record in records:
                    self._send(record, deadline)
            self._broken = False

    def shutdown(self) -> None:
        """Let nothing come or go any more: a thread that waits in `recv` or `sendall` is woken. Never raises."""
        with self._engine_lock, contextlib.suppress(OSError):  # the peer may have gone
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection; a thread that waits in `recv` or `sendall` is woken. A second call does nothing."""
        self._closed = True
        if self._sending.acquire(blocking=False):  # nobody is in the middle of a record
            try:
                if not self._broken and self._sock.fileno() != -1:
                    self._say_goodbye()
            finally:
                self._sending.release()
        self.shutdown()
        with self._receiving, self._sending:
            with contextlib.suppress(OSError):
                # With unread octets the close would be a reset, which can take from the peer what it has not read yet.
                for _ in range(_MOST_UNREAD // _PIECE):
                    if not self._sock.recv(_PIECE):
                        break
            with self._engine_lock:  # whoever shuts it down has left, and finds it closed from here on
                self._sock.close()

    def __enter__(self) -> BlockingTLSConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidState("the connection is closed")

    def _say_goodbye(self) -> None:
        with self._engine_lock:
            self._engine.close_notify()
            farewell = b"".join(self._engine.outgoing())
        self._broken = True
        with contextlib.suppress(OSError):  # if the kernel takes it; nothing waits for it
            self._sock.send(farewell)

    def _receive(self, deadline: Deadline) -> bytes:
        while True:
            try:
                return self._sock.recv(_PIECE)
            except BlockingIOError:
                self._wait(select.POLLIN, deadline, "bytes")
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {error.strerror or error}") from error

    def _send(self, record: bytes, deadline: Deadline) -> None:
        rest = memoryview(record)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline, "the peer to read")
            except OSError as error:
                raise ConnectionLost(f"the connection broke: {error.strerror or error}") from error

    def _wait(self, event: int, deadline: Deadline, what: str) -> None:
        poll = select.poll()
        poll.register(self._sock, event)
        remaining = deadline.remaining()
        if not poll.poll(None if remaining is None else remaining * 1000):
            raise Timeout(f"timed out while waiting for {what}")
        self._check_open()
