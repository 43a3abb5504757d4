"""One connection's octets, with or without TLS: what is there is read, what is taken is sent, and nothing ever blocks
but `wait`. On the connection's own thread, all but `wake`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading

from ...transport.fork import close_in_forked_child

_AT_ONCE = 65_536
_SEND_AT_ONCE = 16_384
_FULL = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Channel:
    """A connected socket and what is still to be sent on it. A peer that has gone is an OSError, or `ended`."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        self.ended = False  # the peer sends nothing more
        self._handshakes = context is not None
        self._encrypted = ssl.MemoryBIO()  # from the peer
        self._encrypts = ssl.MemoryBIO()
        self._sendable = bytearray()  # as the network has it
        # Not `wrap_socket`: it fails on a socket that was reset, and leaves what it made of it unclosed.
        self._tls = None if context is None else context.wrap_bio(self._encrypted, self._encrypts, server_side=True)
        self._outgoing = bytearray()
        self._wakes, self._waker = socket.socketpair()
        self._waking = threading.Lock()  # by when the descriptor is closed, it may be somebody else's
        self._closed = False  # guarded by it
        for own in (sock, self._wakes, self._waker):
            own.setblocking(False)
            close_in_forked_child(own)
        if sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):  # the peer may have gone
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._raw = sock

    @property
    def full(self) -> bool:
        """Whether the peer takes less than there is: whoever has time should wait."""
        return len(self._outgoing) >= _FULL

    @property
    def empty(self) -> bool:
        return not (self._outgoing or self._sendable)

    def send(self, octets: bytes) -> None:
        """Send these as soon as the peer takes them."""
        self._outgoing += octets

    def flush(self) -> None:
        """Send what the peer takes now."""
        while True:
            if not self._sendable and not self._handshakes:
                self._make_sendable()
            if not self._sendable:
                return
            try:
                sent = self._raw.send(self._sendable)
            except BlockingIOError:
                return
            del self._sendable[:sent]

    def _make_sendable(self) -> None:
        piece = bytes(self._outgoing[:_SEND_AT_ONCE])
        taken = len(piece)
        if self._tls is None:
            self._sendable += piece
        elif piece:
            taken = self._tls.write(piece)
            self._sendable += self._encrypts.read()
        del self._outgoing[:taken]

    def receive(self) -> bytes:
        """What is there; b"" if nothing is, or if the peer has ended."""
        try:
            octets = self._raw.recv(_AT_ONCE)
        except BlockingIOError:
            return b""
        if not octets:  # with TLS, without a close_notify
            self.ended = True
        return octets if self._tls is None or not octets else self._decrypt(self._tls, octets)

    def _decrypt(self, tls: ssl.SSLObject, octets: bytes) -> bytes:
        self._encrypted.write(octets)
        received = bytearray()
        try:
            if self._handshakes:
                tls.do_handshake()
                self._handshakes = False
            while piece := tls.read(_AT_ONCE):
                received += piece
            self.ended = True  # by a close_notify
        except ssl.SSLWantReadError:
            pass
        finally:  # the handshake's part, or what went wrong
            self._sendable += self._encrypts.read()
            self.flush()
        return bytes(received)

    def wait(self, timeout: float | None, *, reads: bool = True) -> None:
        """Wait for octets (if `reads`), for room, for `wake`, or for `timeout` seconds."""
        writes = self._sendable or (self._outgoing and not self._handshakes)
        events = (select.POLLIN if reads else 0) | (select.POLLOUT if writes else 0)
        poll = select.poll()
        poll.register(self._wakes, select.POLLIN)
        poll.register(self._raw, events)
        for descriptor, happened in poll.poll(None if timeout is None else max(timeout, 0.0) * 1000 + 1):
            if descriptor == self._wakes.fileno():
                with contextlib.suppress(BlockingIOError):
                    self._wakes.recv(_AT_ONCE)
            elif happened & ~events:  # it has been reset, or has ended while nobody reads
                self.ended = True

    def wake(self) -> None:
        """Let `wait` return. Any thread."""
        with self._waking:
            if not self._closed:
                with contextlib.suppress(BlockingIOError):  # it has been woken already
                    self._waker.send(b"\0")

    def end(self) -> None:
        """Send nothing more; what the peer still sends can be received. It sees that the connection was cut: TLS's
        close_notify is not sent.
        """
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)

    def close(self, *, reset: bool = False) -> None:
        if reset:
            with contextlib.suppress(OSError):
                self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        with self._waking:
            self._closed = True
        for sock in (self._raw, self._wakes, self._waker):
            sock.close()
