"""What a connection answers a call with, whatever it speaks, and what stands in for it in a response that has none.

One thread at a time reads it.
"""

from __future__ import annotations

from typing import Any, Protocol

from ...connection.client_side.client_session import ClientSession
from ..values.fields import Fields


class Answer(Protocol):
    """A response whose body is read by whoever wants it. `read` and `close` are one thread's at a time."""

    status: int
    reason: str
    http_version: str
    headers: Fields

    @property
    def session(self) -> ClientSession | None:
        """The session that it came on; None for HTTP/1.1."""

    @property
    def socket(self) -> Any:
        """The connection's socket, to look at."""

    @property
    def informational(self) -> list[tuple[int, Fields]]:
        """The responses with 1xx before it."""

    @property
    def trailers(self) -> Fields:
        """The fields behind the body, once that has been read."""

    @property
    def pushes(self) -> list[Any]:
        """Pushed streams that have been promised."""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` octets of the body as soon as there are any, all for -1; b"" at the end."""

    def close(self) -> None:
        """Give up what is unread."""


class AnswerByHand:
    """What stands for an answer in a response that is made by hand, with a file for its body, or None."""

    status = None
    reason = None
    http_version = ""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.headers: Fields = []
        self.trailers: Fields = []
        self.informational: list[tuple[int, Fields]] = []
        self.pushes: list[Any] = []

    def close(self) -> None:
        close = getattr(self._file, "close", None)
        if close is not None:
            close()


class PastAnswer:
    """What is left of an answer whose body has been read."""

    def __init__(self, answer: Any) -> None:
        self.status: int = answer.status
        self.reason: str = answer.reason
        self.http_version: str = answer.http_version
        self.headers: Fields = answer.headers
        self.trailers = list(answer.trailers)
        self.informational = list(answer.informational)
        self.pushes: list[Any] = []

    def read(self, size: int = -1) -> bytes:
        return b""

    def close(self) -> None:
        pass
