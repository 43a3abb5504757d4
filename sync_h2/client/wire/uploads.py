"""A request's body on its way to the server.

It runs on the thread that makes the request until the response begins; what is left then goes out on a thread of its
own, beside the response. Otherwise a server that answers while it reads, and a client that sends before it reads, would
wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from ... import errors
from ...exceptions import RequestException
from ..messages.call import BodyFailure

PATIENCE_FOR_CONTINUE = 1.0  # seconds, which is curl's: not every server sends 100

Write = Callable[["bytes | memoryview", bool, bool], int]
"""`write(data, ends, until_answered)` sends data, the last if the body `ends` with it, and returns how many octets
went: fewer only if the response began `until_answered`. It raises WriteTimeout, and `errors.HTTP2Error` when the server
takes nothing more.
"""


class Upload:
    """A body of `length` octets (None: the request's head does not say it); `cancel()` ends the whole exchange."""

    def __init__(self, pieces: Iterator[bytes], length: int | None, write: Write, cancel: Callable[[], object]) -> None:
        self._pieces = pieces
        self._left = length
        self._write = write
        self._cancel = cancel
        self._rest: bytes | memoryview = b""
        self._ended = False
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.complete = False
        """Whether all of the body has been sent."""
        self.stopped = False
        """Whether the server wants no more of it."""

    def run(self, until_answered: bool = True) -> None:
        """Send until all is sent, or until the response begins. Blocks; raises what `write` does, and what the body's
        maker does.
        """
        while not self.complete:
            if not self._rest and not self._next_piece():
                if not self._ended:
                    self._write(b"", True, False)
                self.complete = True
                return
            ends = self._left is not None and len(self._rest) == self._left
            sent = self._write(self._rest, ends, until_answered)
            if self._left is not None:
                self._left -= sent
            self._ended = ends and sent == len(self._rest)
            self._rest = memoryview(self._rest)[sent:]
            if self._rest:
                return

    def _next_piece(self) -> bool:
        """Take the next piece that is not empty; False if there is none."""
        self._rest = next(filter(None, self._pieces), b"")
        if self._left is not None and len(self._rest) > self._left:
            raise RequestException("the body has more octets than its content-length says")
        if not self._rest and self._left:
            raise RequestException(f"the body has {self._left} octets fewer than its content-length says")
        return bool(self._rest)

    def is_wanted(self, status: int) -> bool:
        """Whether there is more to be sent although the response has begun. As curl does, a failure ends it."""
        return not self.complete and not self.stopped and status < 400

    def go_on(self) -> None:
        """Send the rest on another thread."""
        self._thread = threading.Thread(target=self._run_beside, name="sync_h2-upload", daemon=True)
        self._thread.start()

    def _run_beside(self) -> None:
        try:
            self.run(until_answered=False)
        except BaseException as error:
            if isinstance(error, RequestException) or not isinstance(error, errors.HTTP2Error):
                self._error = error.__cause__ if isinstance(error, BodyFailure) else error
                self._cancel()
            self.stopped = True

    def wait(self) -> None:
        """Wait for the thread that `go_on` started. Raises what it ended with."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what the thread ended with, if it did."""
        if self._error is not None:
            raise self._error
