"""`session.socket`: the connection's socket, to look at and not to touch (Node's `http2session.socket`).

A session's bytes are its own: its reader may be in `recv` at any time, and one byte read or written by somebody else
breaks the framing for good. Any thread may use a proxy; what goes to the socket, or to the TLS object, runs under the
session's lock. None of it blocks, and the descriptor can't be closed and its number reused meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, Protocol

from ...errors import SessionClosed, SocketManipulationError
from ...transport.transport import TLSTransport, Transport
from ..shared.monitor import Monitor
from ..timing.watchdog import Watchdog

_INSTEAD = {
    "read": "read a stream instead: stream.read()",
    "write": "write to a stream instead: stream.write()",
    "close": "use session.close() or session.destroy()",
    "control": "it belongs to the session",
}
# Every such method of `socket.socket`, `ssl.SSLSocket` and `ssl.SSLObject`, on any platform.
_REFUSED = {
    **dict.fromkeys(
        ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "read", "makefile"), "read"
    ),
    **dict.fromkeys(("send", "sendall", "sendfile", "sendmsg", "sendmsg_afalg", "sendto", "write"), "write"),
    **dict.fromkeys(("close", "detach", "shutdown", "unwrap", "__enter__", "__exit__"), "close"),
    **dict.fromkeys(
        ("accept", "bind", "connect", "connect_ex", "dup", "ioctl", "listen", "setblocking", "share", "do_handshake"),
        "control",
    ),
    "verify_client_post_handshake": "control",  # RFC 9113 section 9.2.3 forbids it, too
}


class Connected(Protocol):
    """What a proxy needs of its session."""

    _monitor: Monitor
    _transport: Transport
    _watchdog: Watchdog
    _peer_address: Any

    def set_timeout(self, seconds: float | None) -> None: ...


class SocketProxy:
    """A session's socket. Reading, writing, closing and the like raise `SocketManipulationError`; `settimeout` is
    `session.set_timeout`; all else goes to the TLS object, as far as that has it, or to the socket, and raises
    `SessionClosed` after the session's end.
    """

    __slots__ = ("_session",)

    _session: Connected

    def __init__(self, session: Connected) -> None:
        object.__setattr__(self, "_session", session)

    def settimeout(self, value: float | None) -> None:
        """`session.set_timeout`: the `timeout` event fires after so many seconds without activity. Nothing blocks or
        fails by it.
        """
        self._session.set_timeout(value)

    def gettimeout(self) -> float | None:
        """The seconds set by `session.set_timeout`; None when it is off."""
        session = self._session
        with session._monitor, session._monitor.lock:
            return session._watchdog.inactivity

    @property
    def timeout(self) -> float | None:
        return self.gettimeout()

    def getpeername(self) -> Any:
        """The peer's address: when the connection was new, for a peer that resets it has none any more."""
        return self._look(lambda target: self._session._peer_address, "getpeername")

    def __enter__(self) -> NoReturn:
        _refuse("__enter__")

    def __exit__(self, *error: object) -> NoReturn:
        _refuse("__exit__")

    def __getattr__(self, name: str) -> Any:
        if name in _REFUSED:
            return partial(_refuse, name)
        if name.startswith("_"):
            raise AttributeError(f"session.socket has no attribute {name!r}")
        value = self._look(lambda target: getattr(target, name), name)
        return partial(self._call, name) if callable(value) else value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise SocketManipulationError(f"session.socket.{name} can't be set: the socket belongs to the session")

    def __delattr__(self, name: str) -> NoReturn:
        raise SocketManipulationError(f"session.socket.{name} can't be deleted: the socket belongs to the session")

    def __repr__(self) -> str:
        return f"<socket of {self._session!r}>"

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        return self._look(lambda target: getattr(target, name)(*arguments, **named), name)

    def _look(self, access: Callable[[Any], Any], name: str) -> Any:
        """`access(target)` under the lock, of the TLS object or the socket, whichever has `name`."""
        session = self._session
        transport = session._transport
        target: Any = transport.sock
        if isinstance(transport, TLSTransport) and hasattr(type(transport.engine.ssl_object), name):
            target = transport.engine.ssl_object
        with session._monitor, session._monitor.lock:
            if transport.closed_locked:
                raise SessionClosed(f"the session has ended, and its socket is closed: it has no {name} any more")
            try:
                return access(target)
            except Exception as error:
                failure = error  # not raised here: it would look like a change of the session's state cut short
        raise failure


def _refuse(name: str, *arguments: object, **named: object) -> NoReturn:
    raise SocketManipulationError(
        f"session.socket.{name}() is refused: the session's own threads use the socket; {_INSTEAD[_REFUSED[name]]}"
    )
