"""HTTP/2 for synchronous Python: client and server on threads and blocking sockets."""

from __future__ import annotations

from . import constants
from .client.connect import connect
from .compat.wsgi import serve_wsgi
from .connection.client_session import ClientSession
from .connection.client_stream import ClientStream
from .connection.file_responses import FileRange
from .connection.round_trips import Pong
from .connection.server_session import ServerSession
from .connection.server_stream import ServerStream
from .connection.session_calls import Session
from .connection.snapshots import SessionState, StreamState
from .connection.stats import SessionStats, StreamStats
from .connection.stream import Stream
from .constants import ErrorCode
from .errors import (
    ALPNError,
    ConnectionLost,
    HTTP2Error,
    InvalidArgument,
    InvalidState,
    PingLimit,
    ProtocolError,
    SessionClosed,
    SessionGoaway,
    SocketManipulationError,
    StreamIDsExhausted,
    StreamReset,
    StreamUnprocessed,
    Timeout,
    TLSError,
)
from .protocol.headers import Headers
from .protocol.settings import Settings, default_settings, pack_settings, unpack_settings
from .server.create import create_secure_server, create_server, serve_socket
from .server.server import SecureThreadingServer, ThreadingServer

__all__ = [
    "ALPNError",
    "ClientSession",
    "ClientStream",
    "ConnectionLost",
    "ErrorCode",
    "FileRange",
    "HTTP2Error",
    "Headers",
    "InvalidArgument",
    "InvalidState",
    "PingLimit",
    "Pong",
    "ProtocolError",
    "SecureThreadingServer",
    "ServerSession",
    "ServerStream",
    "Session",
    "SessionClosed",
    "SessionGoaway",
    "SessionState",
    "SessionStats",
    "Settings",
    "SocketManipulationError",
    "Stream",
    "StreamIDsExhausted",
    "StreamReset",
    "StreamState",
    "StreamStats",
    "StreamUnprocessed",
    "TLSError",
    "ThreadingServer",
    "Timeout",
    "connect",
    "constants",
    "create_secure_server",
    "create_server",
    "default_settings",
    "pack_settings",
    "serve_socket",
    "serve_wsgi",
    "unpack_settings",
]
