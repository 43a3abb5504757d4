"""A TLS connection as a socket, for what is written for sockets. Any two threads may use it, one of them to receive."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from ... import errors
from ...transport.blocking_tls import BlockingTLSConnection


class TLSSocket:
    """A TLS connection with as much of a socket's interface as `http.client` and `socket.SocketIO` use."""

    def __init__(self, connection: BlockingTLSConnection) -> None:
        self._connection = connection
        self._timeout: float | None = None
        self._ahead: bytes | None = None  # what `has_data` has taken
        self._files = 0
        self._closed = False

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def sendall(self, data: Any) -> None:
        self._connection.sendall(data, self._timeout)

    def recv_into(self, buffer: Any) -> int:
        data, self._ahead = self._ahead, None
        if data is None:
            data = self._connection.recv(len(buffer), self._timeout)
        buffer[: len(data)] = data
        return len(data)

    def has_data(self) -> bool:
        """Whether there is something to be read, or the end. What TLS sends for itself is nothing."""
        if self._ahead is None:
            with contextlib.suppress(errors.Timeout):
                self._ahead = self._connection.recv(1, timeout=0)
        return self._ahead is not None

    def makefile(self, mode: str, buffering: int) -> socket.SocketIO:
        """A file without a buffer."""
        self._files += 1
        return socket.SocketIO(self, "r")  # type: ignore[arg-type]  # takes what has the methods of a socket

    def fileno(self) -> int:
        return self._connection.fileno()

    def getpeername(self) -> Any:
        return self._connection.getpeername()

    def getsockname(self) -> Any:
        return self._connection.getsockname()

    @property
    def ssl_object(self) -> Any:
        """To look at: `getpeercert`, `cipher`, `version`."""
        return self._connection.ssl_object

    def shutdown(self, how: int) -> None:
        """Wake who waits; nothing comes or goes any more."""
        self._connection.shutdown()

    def close(self) -> None:
        """Close it once its files are closed, as a socket does."""
        self._closed = True
        if self._files == 0:
            self._connection.close()

    def _decref_socketios(self) -> None:
        self._files -= 1
        if self._closed:
            self.close()
