"""Clients that would hold a server's threads."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from ..octets import frames
from .raw_clients import (
    FIRST_WINDOW,
    LARGEST_WINDOW,
    SMALL_BUFFER,
    Client,
    Crowd,
    HTTP2Client,
    Where,
    gathered,
    request,
)


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
        window: int = FIRST_WINDOW,
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
    opening += frames.window_update(0, LARGEST_WINDOW - FIRST_WINDOW)
    return HostageTaker(
        where, _gets(paths, ids), ids, window=0, reads=False, receive_buffer=SMALL_BUFFER, afterwards=opening
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
        self.sock = where.dial("http/1.1", None if reads else SMALL_BUFFER)
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


@contextlib.contextmanager
def attacking(makers: Sequence[Callable[[], HostageTaker | HTTP1HostageTaker]]) -> Iterator[Callable[[], int]]:
    """A crowd of attackers; gives what counts the streams (of HTTP/1.1: the connections) that still stand."""
    takers = gathered(makers)
    with Crowd(takers):
        yield lambda: sum(taker.standing for taker in takers)  # type: ignore[attr-defined]  # all are takers
