"""Clients that are programs of raw sockets: what attackers and honest ones have in common.

A `Crowd` drives many on one thread, which sleeps unless something arrives or is due, so that it is the server which is
slow when something is; setting them up blocks the caller.
"""

from __future__ import annotations

import contextlib
import functools
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sync_h2.constants import PREFACE

from ..octets import frames

PATIENCE = 10.0
LARGEST_WINDOW = 2**31 - 1
FIRST_WINDOW = 65_535
PIECE = 65_536
SMALL_BUFFER = 4096


@functools.cache
def _context(cafile: str, protocol: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cafile)
    context.set_alpn_protocols([protocol])
    return context


@dataclass(frozen=True)
class Where:
    """A server; over TLS with a certificate of `cafile`, cleartext without."""

    address: tuple[str, int]
    cafile: str | None = None

    def dial(self, protocol: str = "h2", receive_buffer: int | None = None) -> socket.socket:
        """A connection that speaks `protocol`; with `receive_buffer` the kernel holds little more for us."""
        sock = socket.socket()
        try:
            sock.settimeout(PATIENCE)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.connect(self.address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.cafile is None:
                return sock
            return _context(self.cafile, protocol).wrap_socket(sock, server_hostname="localhost")
        except BaseException:
            sock.close()
            raise


def request(stream_id: int, method: str, path: str, *fields: frames.Field, ends: bool = True) -> bytes:
    flags = frames.END_HEADERS | (frames.END_STREAM if ends else 0)
    pseudo = ((":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path))
    return frames.headers(stream_id, *pseudo, *fields, flags=flags)


class Client:
    """A connection that a crowd drives: `readable` and `due` are called on its thread."""

    sock: socket.socket
    reads = True
    """Whether it is told when something has arrived."""
    due_at: float | None = None

    def readable(self) -> None:
        """Something has arrived, or the connection has ended."""

    def due(self) -> None:
        """`due_at` has come; it sets the next one."""

    def close(self) -> None:
        self.sock.close()

    def _receive(self, most: int = PIECE) -> bytes | None:
        """What there is; None for nothing yet, empty at the end."""
        try:
            return self.sock.recv(most)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def _send(self, octets: bytes) -> None:
        """Little enough for the kernel to take it whole, as the server reads all the time; what a server that has gone
        does not take is lost.
        """
        with contextlib.suppress(OSError):
            self.sock.sendall(octets)


class HTTP2Client(Client):
    """One whose requests have been sent. `answered` and `reset` say what became of them, `ended` that there is no
    connection any more.
    """

    def __init__(
        self,
        where: Where,
        requests: bytes,
        *,
        window: int,
        receive_buffer: int | None = None,
        afterwards: bytes = b"",
    ) -> None:
        """`window` is what each stream may send at first. Returns when the server has taken note of the `requests`;
        then `afterwards` is sent.
        """
        self.reset: dict[int, int] = {}
        self.answered: set[int] = set()
        self.ended = False
        self.received = 0
        """Octets of content."""
        self._input = bytearray()
        self._pongs = 0
        self._has_settings = False
        self.sock = where.dial("h2", receive_buffer)
        try:
            self.sock.sendall(PREFACE + frames.settings((frames.INITIAL_WINDOW_SIZE, window)))
            while not self._has_settings:
                self._take_more()
            self.sock.sendall(requests)
            for number in (1, 2):  # what arrives together with the first may be handled after it is answered
                self.sock.sendall(frames.ping())
                while self._pongs < number:
                    self._take_more()
            self.sock.sendall(afterwards)
            self.sock.setblocking(False)
        except BaseException:
            self.sock.close()
            raise

    def ask(self, octets: bytes, stream_id: int) -> None:
        """Send a request and wait for the end of its answer, for who drives this client himself; blocks as long as the
        socket's timeout lets it.
        """
        self.sock.sendall(octets)
        while stream_id not in self.answered:
            if stream_id in self.reset:
                raise ConnectionError(f"stream {stream_id} was reset with code {self.reset[stream_id]}")
            self._take_more()

    def _take_more(self) -> None:
        octets = self.sock.recv(PIECE)
        if not octets:
            raise ConnectionError(f"the server has closed the connection: {bytes(self._input)!r}")
        self._take(octets)

    def readable(self) -> None:
        while (octets := self._receive()) is not None:
            if not octets:
                self.ended = True
                self.reads = False
                return
            self._take(octets)

    def _take(self, octets: bytes) -> None:
        self._input += octets
        for kind, flags, stream_id, payload in cut_frames(self._input):
            if kind == frames.SETTINGS and not flags & frames.ACK:
                self._has_settings = True
                self._send(frames.settings_ack())
            elif kind == frames.PING and flags & frames.ACK:
                self._pongs += 1
            elif kind == frames.PING:
                self._send(frames.ping(payload, frames.ACK))
            elif kind == frames.RST_STREAM:
                self.reset[stream_id] = int.from_bytes(payload, "big")
            elif kind == frames.DATA:
                self.received += len(payload)
                self._content(payload)
            if kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM:
                self.answered.add(stream_id)

    def _content(self, payload: bytes) -> None:
        """Content has come."""


def cut_frames(received: bytearray) -> list[tuple[int, int, int, bytes]]:
    """Take the whole frames from the front: kind, flags, stream and payload."""
    found = []
    place = 0
    while len(received) >= place + 9:
        length = int.from_bytes(received[place : place + 3], "big")
        end = place + 9 + length
        if len(received) < end:
            break
        kind, flags, stream_id = struct.unpack_from(">BBI", received, place + 3)
        found.append((kind, flags, stream_id, bytes(received[place + 9 : end])))
        place = end
    del received[:place]
    return found


class Crowd:
    """Drives clients on a thread of its own while the block lasts, and closes them."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self._stopping, self._stop = socket.socketpair()
        self._error: BaseException | None = None

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.close()
        self._thread.join()
        self._stopping.close()
        for client in self._clients:
            client.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                self._drive(selector)
        except BaseException as error:
            self._error = error

    def _drive(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._stopping, selectors.EVENT_READ)
        for client in self._clients:
            if client.reads:
                client.readable()  # what TLS has decrypted already
            if client.reads:
                selector.register(client.sock, selectors.EVENT_READ, client)
        timed = [client for client in self._clients if client.due_at is not None]
        while True:
            moments = [client.due_at for client in timed if client.due_at is not None]
            timeout = max(min(moments) - time.monotonic(), 0.0) if moments else None
            for key, _ in selector.select(timeout):
                if key.data is None:
                    return
                key.data.readable()
                if not key.data.reads:
                    selector.unregister(key.fileobj)
            now = time.monotonic()
            for client in timed:
                if client.due_at is not None and client.due_at <= now:
                    client.due()


def gathered(makers: Sequence[Callable[[], Client]]) -> list[Client]:
    """One client of each; none stays open when one can't be made."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(contextlib.closing(make())) for make in makers]
        stack.pop_all()
    return made
