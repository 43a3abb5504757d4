"""HTTP/2 for synchronous Python: client and server on threads and blocking sockets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from . import auth, constants, cookies, exceptions, structures
from .client.calls.api import delete, get, head, options, patch, post, put, request, session
from .client.calls.client import Client
from .client.messages.prepared_request import PreparedRequest
from .client.messages.request import Request
from .client.messages.response import Response
from .client.opening.connect import connect
from .client.options.timeouts import Timeouts
from .client.pool.limits import PoolLimits
from .client.values.status_codes import codes
from .connection.client_side.client_session import ClientSession
from .connection.client_side.client_stream import ClientStream
from .connection.inspection.snapshots import SessionState, StreamState
from .connection.inspection.stats import SessionStats, StreamStats
from .connection.server_side.file_responses import FileRange
from .connection.server_side.server_session import ServerSession
from .connection.server_side.server_stream import ServerStream
from .connection.stream.stream import Stream
from .connection.timing.round_trips import Pong
from .constants import ErrorCode
from .errors import (  # `Timeout` is the base of the one in `exceptions`
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
from .exceptions import (
    ConnectionError,
    ConnectTimeout,
    HTTPError,
    JSONDecodeError,
    ReadTimeout,
    RequestException,
    TooManyRedirects,
    URLRequired,
)
from .protocol.fields.headers import Headers
from .protocol.settings import Settings, default_settings, pack_settings, unpack_settings
from .server.create import create_secure_server, create_server
from .server.handlers.request import ServerRequest
from .server.handlers.response import ServerResponse
from .server.handlers.static_files import static_files
from .server.secure_server import SecureThreadingServer
from .server.serve_socket import serve_socket
from .server.server import ThreadingServer
from .version import __version__

Session = Client  # by the name that it has in requests

__all__ = [
    "ALPNError",
    "Client",
    "ClientSession",
    "ClientStream",
    "ConnectTimeout",
    "ConnectionError",
    "ConnectionLost",
    "ErrorCode",
    "FileRange",
    "HTTP2Error",
    "HTTPError",
    "Headers",
    "InvalidArgument",
    "InvalidState",
    "JSONDecodeError",
    "PingLimit",
    "Pong",
    "PoolLimits",
    "PreparedRequest",
    "ProtocolError",
    "ReadTimeout",
    "Request",
    "RequestException",
    "Response",
    "SecureThreadingServer",
    "ServerRequest",
    "ServerResponse",
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
    "Timeouts",
    "TooManyRedirects",
    "URLRequired",
    "__version__",
    "adapters",
    "auth",
    "codes",
    "compat",
    "connect",
    "constants",
    "cookies",
    "create_secure_server",
    "create_server",
    "default_settings",
    "delete",
    "exceptions",
    "get",
    "head",
    "options",
    "pack_settings",
    "patch",
    "post",
    "put",
    "request",
    "serve_socket",
    "serve_wsgi",
    "session",
    "static_files",
    "structures",
    "testing",
    "unpack_settings",
]

# These are imported when they are first asked for: `http.server` and `urllib.request`, which `compat` needs, take as
# long to import as a quarter of all else here.
if TYPE_CHECKING:
    from . import adapters as adapters
    from . import compat as compat
    from . import testing as testing
    from .compat.wsgi import serve_wsgi
else:

    def __getattr__(name: str) -> object:
        if name in ("adapters", "compat", "testing"):
            return importlib.import_module(f".{name}", __name__)
        if name == "serve_wsgi":
            return importlib.import_module(".compat.wsgi", __name__).serve_wsgi
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What users need, and not the packages and helpers that are attributes too."""
    return sorted(__all__)
