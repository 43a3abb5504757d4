"""What a request and its response have in common: the stream whose two directions they are. Any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from ...connection.inspection.socket_proxy import SocketProxy
from ...connection.server_side.server_stream import ServerStream
from ...connection.shared.listeners import Function, Listener


class StreamMessage:
    """One direction of a stream, with what Node's objects tell of the stream itself."""

    _stream: ServerStream

    @property
    def stream(self) -> ServerStream:
        """The stream itself, for whatever HTTP/1 has no name for."""
        return self._stream

    @property
    def socket(self) -> SocketProxy:
        """The connection's socket, to look at: `session.socket`."""
        return self._stream.session.socket

    @property
    def connection(self) -> SocketProxy:
        """`socket`, by its older name."""
        return self.socket

    def set_timeout(self, seconds: float | None, callback: Listener | None = None) -> None:
        """`stream.set_timeout`: fire `timeout` each time nothing happened for so long; None or 0 switches it off."""
        self._stream.set_timeout(seconds, callback)

    def destroy(self, error: BaseException | None = None) -> None:
        """`stream.destroy`: end the stream at once, both directions of it."""
        self._stream.destroy(error)

    @overload
    def on(self, name: str, function: Function) -> Function: ...
    @overload
    def on(self, name: str, function: None = None) -> Callable[[Function], Function]: ...
    def on(self, name: str, function: Listener | None = None) -> Any:
        """`stream.on`: the events (`aborted`, `close`, `timeout`, `trailers`…) are the stream's."""
        return self._stream.on(name, function)

    @overload
    def once(self, name: str, function: Function) -> Function: ...
    @overload
    def once(self, name: str, function: None = None) -> Callable[[Function], Function]: ...
    def once(self, name: str, function: Listener | None = None) -> Any:
        """`stream.once`."""
        return self._stream.once(name, function)

    def off(self, name: str, function: Listener) -> None:
        """`stream.off`."""
        self._stream.off(name, function)
