"""Every exception that sync_h2 raises on purpose, in one tree.

    HTTP2Error
    ├── Timeout                    the call's time ran out; the object stays usable   (TimeoutError)
    ├── InvalidArgument            a value that HTTP/2 or this API forbids            (ValueError)
    ├── InvalidState               the call does not fit the state of stream or session
    ├── PingLimit                  too many PINGs without an answer
    ├── StreamIDsExhausted         this connection has used up its stream ids
    ├── SocketManipulationError    a call on `session.socket` that belongs to the session
    ├── ProtocolError              the peer broke the protocol
    ├── StreamReset                the peer, or this side, reset the stream
    │   └── StreamUnprocessed      the peer has not processed the request: safe to send again
    ├── SessionGoaway              the peer ended the session with an error code
    ├── ConnectionLost             the connection broke                               (ConnectionError)
    ├── SessionClosed              used after `close()` or `destroy()`
    ├── ALPNError                  the peer did not choose HTTP/2
    └── TLSError                   the TLS handshake or a certificate check failed

Each carries `stream_id` (int, or None when it concerns the whole session), `code` (an `ErrorCode`; an int where nobody
has defined it; or None) and `retryable` (True when the request was certainly not processed, whatever its method). An
instance is made for each raise; what caused it is chained as `__cause__`.
"""

from __future__ import annotations

from .constants import error_code, error_code_name


class HTTP2Error(Exception):
    """Base of all errors of this package.

    `stream_id` is the stream it concerns (None: the session), `code` the `ErrorCode` (RFC 9113 section 7), or the
    number where nobody has defined it, or None, `retryable` whether the request can be sent again whatever its method.
    """

    retryable: bool = False

    partial: bytes = b""
    """From `read(-1)`: the body's bytes that came before the error."""

    def __init__(
        self, message: str = "", *, stream_id: int | None = None, code: int | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stream_id = stream_id
        self.code = None if code is None else error_code(code)
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        details = []
        if self.stream_id is not None:
            details.append(f"stream {self.stream_id}")
        if self.code is not None:
            details.append(error_code_name(self.code))
        if self.retryable:
            details.append("safe to retry")
        return f"{self.message} [{', '.join(details)}]" if details else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def again(self, stream_id: int | None = None, *, retryable: bool | None = None) -> HTTP2Error:
        """A new instance that says the same, chained from this one; of `stream_id`, if it named none.

        Several callers may be woken by one failure; each raises an instance of its own, because a traceback belongs
        to one raise.
        """
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.args = self.args
        if copy.stream_id is None:
            copy.stream_id = stream_id
        if retryable is not None:
            copy.retryable = retryable
        copy.__cause__ = self
        return copy


def is_unprocessed(error: BaseException) -> bool:
    """Whether the request that failed so was certainly not processed: also where it would fail again."""
    if isinstance(error, TLSError):
        return error.stream_id is None
    return isinstance(error, HTTP2Error) and error.retryable


def said(error: BaseException) -> str:
    """What an error says, for another one that it is the cause of: without the details that this says by itself."""
    return (error.message if isinstance(error, HTTP2Error) else str(error)) or type(error).__name__


class Timeout(HTTP2Error, TimeoutError):
    """A blocking call ran out of time. After a write, `bytes_written` says how many bytes had been handed to HTTP/2."""

    bytes_written: int = 0


class InvalidArgument(HTTP2Error, ValueError):
    """An argument that HTTP/2 or this API forbids; the message names it."""


class InvalidState(HTTP2Error):
    """The call does not fit the state the stream or session is in (a second response, a write after the end, ...)."""


class PingLimit(HTTP2Error):
    """More PINGs are unanswered than `max_outstanding_pings` allows."""


class StreamIDsExhausted(HTTP2Error):
    """This connection has used its last stream id; open another (RFC 9113 section 5.1.1)."""

    retryable = True


class SocketManipulationError(HTTP2Error):
    """`session.socket` refuses what would take bytes or control away from the session."""


class ProtocolError(HTTP2Error):
    """The peer broke the protocol."""


class StreamReset(HTTP2Error):
    """The stream ended with RST_STREAM."""


class StreamUnprocessed(StreamReset):
    """The peer says it has not processed the request (REFUSED_STREAM, or GOAWAY with a lower last id)."""

    retryable = True


class SessionGoaway(HTTP2Error):
    """The peer ended the session with GOAWAY and an error code."""


class ConnectionLost(HTTP2Error, ConnectionError):
    """The connection broke, or the peer closed it while streams were open."""


class SessionClosed(HTTP2Error):
    """The session was closed, or is closing, without an error."""


class ALPNError(HTTP2Error):
    """The peer did not choose HTTP/2 in the TLS handshake (ALPN, RFC 7301)."""


class TLSError(HTTP2Error):
    """The TLS handshake, or the check of a certificate, failed. It would again: `retryable` is False."""

    def again(self, stream_id: int | None = None, *, retryable: bool | None = None) -> HTTP2Error:
        """As with every error, but that `retryable` stays False."""
        return super().again(stream_id)
