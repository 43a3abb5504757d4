"""A connection's octets, plain or TLS, behind one interface for the session.

Three kinds of callers: the reader thread alone calls `receive`, takes the session's lock and calls `plaintext_locked`
until that gives nothing more. Whoever holds the session's lock calls the methods that end in `_locked`; none of them
blocks. Without the lock, with what it took under the lock, one thread at a time sends: the writer with `send_blocking`,
any other with `send_without_waiting`.

The order on the wire is the order of the calls of `wrap_locked`: while a thread has octets in hand, nobody else sends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Sequence
from typing import Any

from ..errors import ConnectionLost
from .sockets import peer_address, prepare
from .tls import DECRYPT_SIZE, END, TLSEngine

__all__ = ["END", "TLSTransport", "Transport"]

# Linux and macOS refuse more than 1024 buffers in one call; beyond some hundreds there is nothing to gain.
_MAX_BUFFERS = 512
# For ciphertext, once reads have filled smaller buffers: fewer and larger ones make a download a quarter faster.
_LARGE_READ = 256 * 1024
_SMALL_READ = 4 * 1024

_NO_LINGER = struct.pack("ii", 1, 0)
_SO_NWRITE = 0x1024  # macOS

# Plain numbers: an operation on IntFlag members costs a microsecond.
_NO_SIGNAL = int(getattr(socket, "MSG_NOSIGNAL", 0))
_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))


class Transport:
    """A plain connection. It owns `sock` from here on, and sets it up for the session. Whoever has accepted it says
    what the peer's address is: a peer that has reset it since has none any more.

    A KeyboardInterrupt that strikes in a `_locked` method leaves it unknown what was sent: the session has to end then.
    """

    encrypted = False

    def __init__(self, sock: socket.socket, address: Any = None) -> None:
        prepare(sock)
        self.sock = sock
        self.peer_address = peer_address(sock) if address is None else address
        # Whoever holds the session's lock:
        self._unsent: list[bytes | memoryview] = []
        self._unsent_size = 0
        self._borrows = False
        self._in_hand = 0
        self._closed = False
        self._without_end = False
        # The writer thread, while it sends; others only look at it:
        self._writer_sent = 0
        # The reader thread. None: nothing new; 0: the end.
        self._received: int | None = None

    @property
    def alpn_protocol(self) -> str | None:
        return "h2c"

    @property
    def memory(self) -> int:
        """Octets of room for what arrives, beside the `view` of `receive`. A look that needs no lock."""
        return 0

    # -- The reader thread, without the lock --

    def receive(self, view: memoryview) -> int:
        """Wait for octets and return how many came from the kernel, 0 at the end. `plaintext_locked` puts them into
        `view`.
        """
        while True:
            try:
                self._received = received = self.sock.recv_into(view)
                return received
            except OSError as error:
                # A receive that was short of octets for long is begun anew, see `sockets.prepare`. One that does not
                # block because somebody else has the socket so is not: there would be no end of it.
                if not (isinstance(error, BlockingIOError) and os.get_blocking(self.sock.fileno())):
                    raise _lost(error) from error

    def already_received(self, count: int) -> None:
        """`count` octets, which somebody read before the session began, stand in the next call's view. Not with TLS."""
        self._received = count

    # -- The reader thread, holding the session's lock --

    def plaintext_locked(self, view: memoryview) -> int:
        """Put more of what was received into `view` and return its length; call it until it gives nothing.

        After a `receive`, the first call must have the same view. 0 asks for another `receive`; `END` says that the
        peer has finished sending (`truncated` tells whether TLS was cut off rather than closed).
        """
        received = self._received
        if received == 0:
            return END
        self._received = None
        return received or 0

    @property
    def truncated(self) -> bool:
        return False

    # -- Whoever holds the session's lock --

    def wrap_locked(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Add frames to what is to be sent; memoryviews must be of octets.

        Call `send_some_locked` or one of `take_for_…_locked` before releasing the lock: after that, no buffer but
        `bytes` is referred to any more.
        """
        if self._closed:
            return
        for buffer in buffers:
            if buffer:
                self._unsent.append(buffer)
                self._unsent_size += len(buffer)
                if isinstance(buffer, memoryview) and not isinstance(buffer.obj, bytes):
                    self._borrows = True

    def close_notify_locked(self) -> None:
        """Add the last octets of this side, which TLS has and plain connections do not. Nothing may be wrapped after
        it.
        """

    @property
    def unsent_locked(self) -> int:
        """Octets that are committed to the wire and that the kernel has not taken yet. During a blocking send it falls
        call by call.
        """
        return self._unsent_size + self._in_hand - self._writer_sent

    def send_some_locked(self) -> bool:
        """Send what the kernel takes at once; True when nothing is left. Raises ConnectionLost.

        False means that the writer has to go on, or that another thread is at it already.
        """
        try:
            if self._in_hand == 0 and _DONT_WAIT:
                self._send_without_blocking()
        except BlockingIOError:
            pass
        except OSError as error:
            raise _lost(error) from error
        self._copy_borrowed()
        return not self._unsent and self._in_hand == 0

    def _copy_borrowed(self) -> None:
        if self._borrows:
            self._unsent = list(map(_own, self._unsent))
            self._borrows = False

    def _send_without_blocking(self) -> None:
        unsent = self._unsent
        while unsent:
            if len(unsent) <= _MAX_BUFFERS:
                batch = unsent
                size = self._unsent_size
            else:
                batch = unsent[:_MAX_BUFFERS]
                size = sum(map(len, batch))
            sent = self.sock.sendmsg(batch, (), _DONT_WAIT | _NO_SIGNAL)
            _drop(unsent, sent)
            self._unsent_size -= sent
            if sent < size:
                return

    def take_for_send_locked(self) -> list[bytes | memoryview] | None:
        """Hand all that is unsent to a thread that gives it to `send_without_waiting`, and what that leaves back with
        `sent_locked`. None when it has to be sent under the lock.
        """
        if self._borrows or not _DONT_WAIT:
            return None
        taken, self._unsent = self._unsent, []
        self._in_hand, self._unsent_size = self._unsent_size, 0
        return taken

    def sent_locked(self, rest: list[bytes | memoryview], sent: int) -> bool:
        """`sent` octets are gone, and `rest` comes before all else; True when that is nothing."""
        self._unsent_size += self._in_hand - sent
        self._in_hand = 0
        if not rest:
            return True
        rest.extend(self._unsent)
        self._unsent = rest
        return False

    def take_for_blocking_send_locked(self) -> list[bytes | memoryview]:
        """Hand all that is unsent to the writer, which gives it to `send_blocking` and then calls
        `blocking_send_done_locked`.
        """
        self._copy_borrowed()
        taken = self._unsent
        self._unsent = []
        self._in_hand = self._unsent_size
        self._unsent_size = 0
        return taken

    def take_back_locked(self, rest: list[bytes | memoryview]) -> None:
        """What `send_blocking` has left is not the writer's any more."""
        self.sent_locked(rest, self._writer_sent)
        self._writer_sent = 0

    def blocking_send_done_locked(self) -> None:
        """Whatever became of it, the writer has nothing in hand any more."""
        self._in_hand = self._writer_sent = 0

    def withhold_end_locked(self) -> None:
        """From here on nothing says that what was sent is all: no `shutdown_write`, no goodbye of TLS, and `close` is a
        reset. That takes from the peer what has not arrived: wait for `unacknowledged_locked`.
        """
        self._without_end = True
        self._reset_on_close()

    @property
    def without_end_locked(self) -> bool:
        """Whether `withhold_end_locked` was called."""
        return self._without_end

    def unacknowledged_locked(self) -> int:
        """How many octets the kernel holds that have not arrived at the peer. Never raises."""
        if self._closed:
            return 0
        try:
            if sys.platform == "darwin":
                return self.sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
            count: int = struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]
            return count
        except OSError:  # the peer may have gone
            return 0

    def mark_closed_locked(self) -> None:
        """From here on nothing is sent. Precedes `close`, so that no octet goes to whoever gets the descriptor's number
        next.
        """
        self._closed = True
        self._unsent.clear()
        self._unsent_size = 0

    @property
    def closed_locked(self) -> bool:
        """Whether the descriptor is closed, or about to be."""
        return self._closed

    # -- The writer thread, without the lock --

    def send_blocking(self, taken: list[bytes | memoryview]) -> None:
        """Send all of `taken`, which is emptied unless the peer has taken nothing for some time. Raises ConnectionLost;
        `shutdown_write` ends it early so.
        """
        try:
            while taken:
                sent = self.sock.sendmsg(taken[:_MAX_BUFFERS], (), _NO_SIGNAL)
                _drop(taken, sent)
                self._writer_sent += sent
        except BlockingIOError:
            pass
        except OSError as error:
            raise _lost(error) from error

    # -- Whoever has taken what is to be sent, without the lock --

    def send_without_waiting(self, taken: list[bytes | memoryview]) -> int:
        """Send what the kernel takes at once, which is removed from `taken`; returns its length. Raises
        ConnectionLost.
        """
        try:
            sent = self.sock.sendmsg(taken[:_MAX_BUFFERS], (), _DONT_WAIT | _NO_SIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _lost(error) from error
        _drop(taken, sent)
        return sent

    # -- Any thread; holding the session's lock, if the reader may be closing the descriptor --

    def shutdown_write(self) -> None:
        """Nothing more is sent: the peer sees the end after what the kernel has, unless that is withheld. Never
        raises.
        """
        if not self._without_end:
            self._shutdown(socket.SHUT_WR)

    def shutdown_both(self) -> None:
        """Ends a `receive` and a `send_blocking` that wait. Never raises."""
        self._shutdown(socket.SHUT_RDWR)

    def _shutdown(self, how: int) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):  # the peer may have gone, or this side may have closed
                self.sock.shutdown(how)

    def reset_on_close(self) -> None:
        """Have `close` end the connection with a reset, so that the peer can't take what it got for the whole; and end
        a `receive` that waits. Never raises.
        """
        self._reset_on_close()
        self._shutdown(socket.SHUT_RD)

    def _reset_on_close(self) -> None:
        with contextlib.suppress(OSError):  # as above, or no TCP
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)

    def close(self) -> None:
        """Close the descriptor: the reader, when the writer has left and after `mark_closed_locked`; without a reader,
        whoever made this.
        """
        self.sock.close()


class TLSTransport(Transport):
    """A TLS connection whose handshake is over. The engine is called with the session's lock held."""

    encrypted = True

    def __init__(self, sock: socket.socket, engine: TLSEngine, address: Any = None) -> None:
        super().__init__(sock, address)
        self.engine = engine
        self._alpn_protocol = engine.alpn_protocol  # any thread asks, without the lock
        # The reader thread:
        self._large: memoryview | None = None  # a busy connection's buffer for ciphertext
        self._leftover = engine.pending

    @property
    def alpn_protocol(self) -> str | None:
        return self._alpn_protocol

    @property
    def memory(self) -> int:
        return 0 if (large := self._large) is None else len(large)

    def receive(self, view: memoryview) -> int:
        # The peer's first frames may have come with the end of the handshake, and no other octets need follow them.
        leftover, self._leftover = self._leftover, 0
        if leftover:
            return leftover
        return super().receive(self._room(view))

    def _room(self, view: memoryview) -> memoryview:
        """Where ciphertext goes. That of a connection that is not busy goes where its plaintext will: no second buffer
        is needed, since the engine copies so much at once.
        """
        return view[:DECRYPT_SIZE] if self._large is None else self._large

    def plaintext_locked(self, view: memoryview) -> int:
        received = self._received
        self._received = None
        if received:
            self._feed(view, received)
        elif received == 0:
            self.engine.feed_eof()
        try:
            return self.engine.read_into(view)
        finally:
            super().wrap_locked(self.engine.outgoing())

    def _feed(self, view: memoryview, received: int) -> None:
        room = self._room(view)
        self.engine.feed(room[:received])
        if received < _SMALL_READ and received < len(room):
            self._large = None
        elif received == len(room) < _LARGE_READ:
            self._large = memoryview(bytearray(min(received * 16, _LARGE_READ)))

    @property
    def truncated(self) -> bool:
        return self.engine.truncated

    def wrap_locked(self, buffers: Sequence[bytes | memoryview]) -> None:
        if self._closed:
            return
        self.engine.encrypt(buffers)
        super().wrap_locked(self.engine.outgoing())

    def close_notify_locked(self) -> None:
        if self._without_end:
            return
        self.engine.close_notify()
        super().wrap_locked(self.engine.outgoing())


def _drop(buffers: list[bytes | memoryview], sent: int) -> None:
    """Forget the first `sent` octets of `buffers`, and the buffers they came from."""
    gone = 0
    for buffer in buffers:
        if sent < len(buffer):
            if sent:
                buffers[gone] = memoryview(buffer)[sent:]
            break
        sent -= len(buffer)
        gone += 1
    del buffers[:gone]


def _own(buffer: bytes | memoryview) -> bytes | memoryview:
    """`buffer`, or a copy if its memory is somebody else's to change."""
    if isinstance(buffer, memoryview) and not isinstance(buffer.obj, bytes):
        return bytes(buffer)
    return buffer


def _lost(error: OSError) -> ConnectionLost:
    return ConnectionLost(f"the connection broke: {error.strerror or error}")
