"""Clients that would hold a server's threads, and honest ones beside them: those whose downloads are slow, and a
bystander.

They are programs of raw sockets. A `Crowd` drives many on one thread, which sleeps unless something arrives or is due,
so that it is the server which is slow when something is; setting them up blocks the caller. The bystander, who
measures, has a thread of its own.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import select
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sync_h2.constants import PREFACE

from ..octets import frames

PATIENCE = 10.0
LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_PIECE = 65_536
_SMALL_BUFFER = 4096


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

    def _receive(self, most: int = _PIECE) -> bytes | None:
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
        octets = self.sock.recv(_PIECE)
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


# -- attackers


class HostageTaker(HTTP2Client):
    """Streams that are kept open. `poke` is sent `every` so many seconds; without `reads`, nothing is read after the
    beginning.
    """

    def __init__(
        self,
        where: Where,
        requests: bytes,
        streams: Sequence[int],
        *,
        window: int = _FIRST_WINDOW,
        reads: bool = True,
        every: float = 5.0,
        poke: bytes = b"",
        receive_buffer: int | None = None,
        afterwards: bytes = b"",
    ) -> None:
        super().__init__(where, requests, window=window, receive_buffer=receive_buffer, afterwards=afterwards)
        self._streams = streams
        self.reads = reads
        self._every = every
        self._poke = poke
        if poke:
            self.due_at = time.monotonic() + every

    def due(self) -> None:
        self.due_at = time.monotonic() + self._every
        self._send(self._poke)

    @property
    def standing(self) -> int:
        """How many of its streams still are what they were to be."""
        if self.ended or _has_hung_up(self.sock):
            return 0
        return sum(stream not in self.reset and stream not in self.answered for stream in self._streams)


def _ids(count: int) -> range:
    return range(1, 2 * count, 2)


def _gets(paths: Sequence[str], streams: Sequence[int]) -> bytes:
    """One on each stream, for the paths in turn."""
    return b"".join(request(stream, "GET", paths[number % len(paths)]) for number, stream in enumerate(streams))


def shut_windows(where: Where, streams: int, paths: Sequence[str]) -> HostageTaker:
    """Answers that may not be sent."""
    ids = _ids(streams)
    return HostageTaker(where, _gets(paths, ids), ids, window=0)


def windows_of_an_octet(where: Where, streams: int, paths: Sequence[str], every: float = 5.0) -> HostageTaker:
    """Answers of which an octet each may be sent every so many seconds."""
    ids = _ids(streams)
    poke = b"".join(frames.window_update(stream, 1) for stream in ids)
    return HostageTaker(where, _gets(paths, ids), ids, window=0, every=every, poke=poke)


def shut_connection(where: Where, streams: int, paths: Sequence[str]) -> HostageTaker:
    """All streams may send much, but the connection's window is used up by the first octets, and stays so."""
    ids = _ids(streams)
    return HostageTaker(where, _gets(paths, ids), ids, window=LARGEST_WINDOW)


def nobody_reads(where: Where, streams: int, paths: Sequence[str]) -> HostageTaker:
    """All may be sent, to a socket that nobody reads."""
    ids = _ids(streams)
    opening = frames.settings((frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW))
    opening += frames.window_update(0, LARGEST_WINDOW - _FIRST_WINDOW)
    return HostageTaker(
        where, _gets(paths, ids), ids, window=0, reads=False, receive_buffer=_SMALL_BUFFER, afterwards=opening
    )


def _posts(path: str, streams: Sequence[int]) -> bytes:
    """Requests with a body of which the first octet has come."""
    return b"".join(
        request(stream, "POST", path, ("content-length", "500"), ends=False) + frames.data(stream) for stream in streams
    )


def unfinished_bodies(where: Where, streams: int, path: str) -> HostageTaker:
    """Bodies of which no more comes."""
    ids = _ids(streams)
    return HostageTaker(where, _posts(path, ids), ids)


def bodies_of_an_octet(where: Where, streams: int, path: str, every: float = 5.0) -> HostageTaker:
    """Bodies of which an octet each comes every so many seconds."""
    ids = _ids(streams)
    return HostageTaker(
        where, _posts(path, ids), ids, every=every, poke=b"".join(frames.data(stream) for stream in ids)
    )


class HTTP1HostageTaker(Client):
    """A connection of HTTP/1.1 with one request, or with some that are pipelined, that does nothing more."""

    def __init__(self, where: Where, octets: bytes, *, reads: bool) -> None:
        self.sock = where.dial("http/1.1", None if reads else _SMALL_BUFFER)
        self.reads = reads
        self._over = False
        try:
            self.sock.sendall(octets)
        except BaseException:
            self.sock.close()
            raise
        self.sock.setblocking(False)

    def readable(self) -> None:
        if self._receive() is not None:  # an answer, or the end
            self._over = True
            self.reads = False

    @property
    def standing(self) -> int:
        return int(not self._over and not _has_hung_up(self.sock))


def _head(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def http1_body(where: Where, path: str) -> HTTP1HostageTaker:
    """A short body that never comes."""
    return HTTP1HostageTaker(where, _head("POST", path, "Content-Length: 5") + b"1", reads=True)


def http1_answers(where: Where, path: str, count: int = 1) -> HTTP1HostageTaker:
    """An answer that nobody reads, or `count` that were asked for at once."""
    return HTTP1HostageTaker(where, _head("GET", path) * count, reads=False)


def _has_hung_up(sock: socket.socket) -> bool:
    """Whether the server has ended the connection, as far as the kernel knows: for a socket that nobody reads."""
    poll = select.poll()
    poll.register(sock, select.POLLHUP | select.POLLERR | select.POLLRDHUP)
    return bool(poll.poll(0))


# -- honest clients


class Download(HTTP2Client):
    """Takes an answer of `size` octets at `rate` octets a second, by opening the window, or `by_reading`, no faster."""

    def __init__(
        self, where: Where, path: str, size: int, rate: float, *, by_reading: bool, every: float = 0.1
    ) -> None:
        self._hash = hashlib.sha256()
        self._size = size
        self._every = every
        self._portion = max(int(rate * every), 1)
        self._by_reading = by_reading
        self.outcome: str | None = None
        """None until it is over, then empty or what went wrong."""
        opening = frames.window_update(0, LARGEST_WINDOW - _FIRST_WINDOW)
        if by_reading:
            opening += frames.settings((frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW))
        super().__init__(
            where,
            request(1, "GET", path),
            window=0,
            receive_buffer=4 * _SMALL_BUFFER if by_reading else None,
            afterwards=opening,
        )
        self.reads = not by_reading
        self.due_at = time.monotonic()

    @property
    def digest(self) -> bytes:
        """Of what came, SHA-256."""
        return self._hash.digest()

    def due(self) -> None:
        assert self.due_at is not None
        if self.outcome is not None:
            self.due_at = None
            return
        self.due_at += self._every
        if not self._by_reading:
            self._send(frames.window_update(1, self._portion))
            return
        octets = self._receive(self._portion)
        if octets:
            self._take(octets)
        elif octets is not None:
            self.ended = True
        self._look()

    def readable(self) -> None:
        super().readable()
        self._look()

    def _content(self, payload: bytes) -> None:
        self._hash.update(payload)

    def _look(self) -> None:
        if 1 in self.answered:
            self.outcome = "" if self.received == self._size else f"{self.received} octets of {self._size} came"
        elif 1 in self.reset:
            self.outcome = f"reset with code {self.reset[1]} after {self.received} octets"
        elif self.ended:
            self.outcome = f"the connection ended after {self.received} octets"


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


@contextlib.contextmanager
def attacking(makers: Sequence[Callable[[], HostageTaker | HTTP1HostageTaker]]) -> Iterator[Callable[[], int]]:
    """A crowd of attackers; gives what counts the streams (of HTTP/1.1: the connections) that still stand."""
    takers = gathered(makers)
    with Crowd(takers):
        yield lambda: sum(taker.standing for taker in takers)  # type: ignore[attr-defined]  # all are takers


class Bystander:
    """Makes a connection and a request on it again and again, on a thread of its own, while the block lasts."""

    def __init__(
        self, where: Where, path: str, expected: bytes, *, pause: float = 0.01, patience: float = PATIENCE
    ) -> None:
        self._where = where
        self._path = path
        self._expected = expected
        self._pause = pause
        self._patience = patience
        self._changed = threading.Condition()
        self._stop = False
        self._error: BaseException | None = None
        self.rounds = 0
        self.waits: list[float] = []
        """Seconds from each connection's begin to the answer's end, or until it failed."""
        self._thread = threading.Thread(target=self._run, name="bystander", daemon=True)

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join()
        if self._error is not None and exception[0] is None:
            raise self._error

    @property
    def longest(self) -> float:
        """Its longest wait so far, in seconds."""
        return max(self.waits, default=0.0)

    def served(self, rounds: int) -> None:
        """Wait until it has been served so many times more. Raises what went wrong with that, TimeoutError for one."""
        with self._changed:
            until = self.rounds + rounds
            self._changed.wait_for(lambda: self.rounds >= until or self._error is not None)
            if self._error is not None:
                raise self._error

    def _run(self) -> None:
        error: BaseException | None = None
        while not self._stop and error is None:
            began = time.monotonic()
            try:
                self._once()
            except BaseException as raised:
                error = raised
            with self._changed:
                self.waits.append(time.monotonic() - began)
                self.rounds += error is None
                self._error = error
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._stop, self._pause)

    def _once(self) -> None:
        """On a new connection. Raises TimeoutError when nothing comes in time."""
        with self._where.dial() as sock:
            sock.settimeout(self._patience)
            sock.sendall(PREFACE + frames.settings() + request(1, "GET", self._path))
            received = bytearray()
            content = b""
            while True:
                octets = sock.recv(_PIECE)
                assert octets, "the server has hung up on a bystander"
                received += octets
                for kind, flags, stream_id, payload in cut_frames(received):
                    assert kind not in (frames.RST_STREAM, frames.GOAWAY), f"a bystander is refused: {payload!r}"
                    if kind == frames.SETTINGS and not flags & frames.ACK:
                        sock.sendall(frames.settings_ack())
                    elif kind == frames.DATA:
                        content += payload
                    if stream_id == 1 and kind in (frames.DATA, frames.HEADERS) and flags & frames.END_STREAM:
                        assert content == self._expected, content
                        return
