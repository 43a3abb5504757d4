"""What a scripted server has received: requests, as they come. Connections' threads write, any thread reads and waits;
one lock for all of a server's.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Any

from ...deadline import Deadline
from ...errors import Timeout
from ...protocol.fields.headers import Headers

PATIENCE = 10.0


class ReceivedRequest:
    """A request, from its headers on; the rest is what has come so far.

    `headers` has all fields, `:method` and the like too. `connection` is the number of the connection that it came on,
    beginning with 1, and `stream_id` its stream there. `routed` is False when no route was there for it, which was
    answered with 404.
    """

    def __init__(
        self, fields: list[tuple[bytes, bytes]], *, connection: int, stream_id: int, routed: bool, log: RequestLog
    ) -> None:
        self.headers = Headers.from_wire(fields)
        self.connection = connection
        self.stream_id = stream_id
        self.routed = routed
        self._log = log
        self._body = bytearray()
        self._body_length = 0
        self._trailers: Headers | None = None
        self._complete = False
        self._reset_code: int | None = None
        self._lost = False  # with its stream, or the connection
        self._kept = True  # in the log

    @property
    def method(self) -> str:
        """`:method`."""
        return str(self.headers.get(":method", ""))

    @property
    def path(self) -> str:
        """`:path`, with the query."""
        return str(self.headers.get(":path", ""))

    @property
    def body(self) -> bytes:
        """What has come of the body, at most the first `max_body` octets."""
        with self._log.changed:
            return bytes(self._body)

    @property
    def body_length(self) -> int:
        """How many octets of the body have come."""
        with self._log.changed:
            return self._body_length

    @property
    def trailers(self) -> Headers | None:
        """The trailers, if some have come."""
        with self._log.changed:
            return self._trailers

    @property
    def complete(self) -> bool:
        """Whether the client has ended the request, with its body and trailers."""
        with self._log.changed:
            return self._complete

    @property
    def reset_code(self) -> int | None:
        """The code with which the client has reset the stream; None if it has not."""
        with self._log.changed:
            return self._reset_code

    @property
    def lost(self) -> bool:
        """Whether the connection ended before the request was complete, or the script ended the stream, by a reset or
        GOAWAY.
        """
        with self._log.changed:
            return self._lost and not self._complete

    def wait_complete(self, timeout: float | None = PATIENCE) -> None:
        """Block until the client has ended the request. Timeout, after so many seconds, or when it can't any more."""
        self._log.wait(lambda: self._complete or self._over(), timeout, f"{self!r} was not completed")
        if not self.complete:
            raise Timeout(f"{self!r} will never be complete")

    def wait_reset(self, timeout: float | None = PATIENCE) -> int:
        """Block until the client resets the stream, and return the code. Timeout after so many seconds, or when the
        stream or the connection has ended without.
        """
        self._log.wait(lambda: self._over(), timeout, f"{self!r} was not reset")
        code = self.reset_code
        if code is None:
            raise Timeout(f"{self!r} was not reset: the stream or the connection has ended")
        return code

    def _over(self) -> bool:
        return self._lost or self._reset_code is not None

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} of connection {self.connection}>"

    # -- The connection's thread

    def _add_body(self, octets: bytes) -> None:
        with self._log.changed:
            self._body_length += len(octets)
            kept = octets[: max(self._log.max_body - len(self._body), 0)] if self._kept else b""
            self._body += kept
            self._log.count_locked(len(kept))

    def _note_end(self, trailers: list[tuple[bytes, bytes]] | None = None) -> None:
        with self._log.changed:
            if trailers is not None:
                self._trailers = Headers.from_wire(trailers)
            self._complete = True
            self._log.changed.notify_all()

    def _note_reset(self, code: int) -> None:
        with self._log.changed:
            self._reset_code = code
            self._log.changed.notify_all()

    def _note_loss(self) -> None:
        """The stream, or the connection, has ended; where the client has reset it, that is all there is to say."""
        with self._log.changed:
            self._lost = self._reset_code is None
            self._log.changed.notify_all()


class RequestLog:
    """The requests of a server. The last `max_requests` are kept, and of bodies at most 64 times `max_body` octets."""

    def __init__(self, max_requests: int, max_body: int) -> None:
        self.changed = threading.Condition()
        self.max_body = max_body
        self._most_octets = 64 * max_body
        self._octets = 0
        self._requests: collections.deque[ReceivedRequest] = collections.deque(maxlen=max_requests)
        self._unclaimed: collections.deque[ReceivedRequest] = collections.deque(maxlen=max_requests)
        self._count = 0

    def add(self, request: ReceivedRequest) -> None:
        with self.changed:
            if len(self._requests) == self._requests.maxlen:
                self._forget_locked()
            self._requests.append(request)
            self._unclaimed.append(request)
            self._count += 1
            self.changed.notify_all()

    def count_locked(self, octets: int) -> None:
        """So many octets more are kept of some body."""
        self._octets += octets
        while self._octets > self._most_octets and len(self._requests) > 1:
            self._forget_locked()

    def _forget_locked(self) -> None:
        oldest = self._requests.popleft()
        oldest._kept = False
        self._octets -= len(oldest._body)
        if self._unclaimed and self._unclaimed[0] is oldest:
            self._unclaimed.popleft()

    def all(self) -> list[ReceivedRequest]:
        with self.changed:
            return list(self._requests)

    def next(self, timeout: float | None, *, complete: bool) -> ReceivedRequest:
        """Block for the first that was not handed out yet, and, if `complete`, for its end, whatever that is."""

        def ready() -> ReceivedRequest | None:
            for request in self._unclaimed:
                if not complete or request._complete or request._over():
                    return request
            return None

        def claim() -> ReceivedRequest | None:
            request = ready()
            if request is not None:
                self._unclaimed.remove(request)
            return request

        claimed: ReceivedRequest | None = self.wait(claim, timeout, "no request came", details=True)
        assert claimed is not None
        return claimed

    def wait(self, condition: Callable[[], Any], timeout: float | None, what: str, *, details: bool = False) -> Any:
        """Block until `condition()` holds, and return what it gave; Timeout after `timeout` seconds."""
        deadline = Deadline(timeout)
        with self.changed:
            outcome = self.changed.wait_for(condition, deadline.remaining())
            if not outcome:
                incomplete = f"; {len(self._unclaimed)} of {self._count} are not complete" if details else ""
                raise Timeout(f"{what} within {timeout} s{incomplete}")
            return outcome
