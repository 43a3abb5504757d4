"""Honest clients, beside those that hold a server's threads: those whose downloads are slow, and a bystander, who
measures and has a thread of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time

from sync_h2.constants import PREFACE

from ..octets import frames
from .raw_clients import (
    FIRST_WINDOW,
    LARGEST_WINDOW,
    PATIENCE,
    PIECE,
    SMALL_BUFFER,
    HTTP2Client,
    Where,
    cut_frames,
    request,
)


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
        opening = frames.window_update(0, LARGEST_WINDOW - FIRST_WINDOW)
        if by_reading:
            opening += frames.settings((frames.INITIAL_WINDOW_SIZE, LARGEST_WINDOW))
        super().__init__(
            where,
            request(1, "GET", path),
            window=0,
            receive_buffer=4 * SMALL_BUFFER if by_reading else None,
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
                octets = sock.recv(PIECE)
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
