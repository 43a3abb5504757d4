"""The scripted server: its port, its routes, and its connections. Tests' threads call it; a thread accepts connections,
and each of these has one.
"""

from __future__ import annotations

import functools
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ...arguments import check_whole_number, type_name
from ...client.calls.client import Client
from ...constants import ErrorCode
from ...deadline import Deadline
from ...errors import InvalidArgument
from ...protocol.settings import Settings
from ...transport.contexts import PEM
from ...transport.contexts import client_context as trusting
from ...transport.contexts import server_context as presenting
from ...transport.sockets import UNIX_PREFIX, close_listener, format_address, listen
from ..certificates import local_authority
from .channel import Channel
from .connection import Connection
from .plan import Plan
from .received import PATIENCE, ReceivedRequest, RequestLog
from .script import ConnectionScript, Script

_MOST_CONNECTIONS = 1000
_CLOSING_PATIENCE = 10.0  # seconds; the threads do nothing that could block for long
_AFTER_FAILURE = 0.05  # seconds, when the process is out of descriptors
_DEFAULT_SETTINGS = {"max_concurrent_streams": 100}


class ScriptedServer:
    """A server for HTTP/2 that does what it is told, rule or not; for any client.

    `with ScriptedServer() as server:` starts and closes it, or `start()` and `close()`. It listens from when it is
    made, on a free port of the loopback by default; `host` may be `unix:/path`. It speaks cleartext (prior knowledge),
    or TLS with ALPN: with `certfile` and `keyfile` (paths or PEM), with a `context`, or, with `tls=True`, with a
    certificate for `localhost`, `127.0.0.1` and `::1` that is made on the spot, which needs the package trustme (the
    extra `cli`). `settings` are what it announces, by the names of `sync_h2.Settings`; 100 streams at once by default.

    Of the requests the last `max_requests` (at least 1) are kept, and of a body the first `max_body` octets.
    `log(request)` is called for each, on its connection's thread, when its headers have come.

    Raises OSError when it can't listen, TLSError when a certificate can't be used, ImportError without trustme.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: bool = False,
        certfile: PEM | None = None,
        keyfile: PEM | None = None,
        context: ssl.SSLContext | None = None,
        settings: Mapping[str, Any] | None = None,
        max_requests: int = 1000,
        max_body: int = 1024 * 1024,
        log: Callable[[ReceivedRequest], object] | None = None,
    ) -> None:
        check_whole_number("max_requests", max_requests, 1, sys.maxsize)
        check_whole_number("max_body", max_body, 0, sys.maxsize)
        self._authority_pem: bytes | None = None
        self._context = self._make_context(tls, certfile, keyfile, context)
        self._log = RequestLog(max_requests, max_body)
        tell = None if log is None else functools.partial(self._tell, log)
        self._plan = Plan(Settings({**_DEFAULT_SETTINGS, **(settings or {})}), self._log, self._wake, tell)
        self._lock = threading.Lock()  # guards what follows
        self._threads_changed = threading.Condition(self._lock)
        self._connections: set[Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._telling: set[threading.Thread] = set()  # those that are in `log`
        self._count = 0
        self._closing = False
        self._acceptor: threading.Thread | None = None
        self._listener = listen(host, port)
        self._address = self._listener.getsockname()
        self._listener.setblocking(False)
        self._wakes, self._waker = socket.socketpair()

    def _make_context(
        self, wanted: bool, certfile: PEM | None, keyfile: PEM | None, context: ssl.SSLContext | None
    ) -> ssl.SSLContext | None:
        if context is not None and certfile is not None:
            raise InvalidArgument("give either a context or a certfile")
        if keyfile is not None and certfile is None:
            raise InvalidArgument("a keyfile needs its certfile")
        if certfile is not None:
            return presenting(certfile=certfile, keyfile=keyfile)
        if context is not None or not wanted:
            return context
        authority = local_authority("ScriptedServer(tls=True)", "certfile and keyfile")
        self._authority_pem = authority.authority_pem
        return authority.server_context()

    # -- Where it is

    @property
    def address(self) -> Any:
        """Where it listens: `(host, port)`, or the path of a Unix socket."""
        return self._address[:2] if isinstance(self._address, tuple) else self._address

    @property
    def port(self) -> int:
        """The port; 0 for a Unix socket."""
        return int(self._address[1]) if isinstance(self._address, tuple) else 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:50000`, without a slash at the end; with TLS `https://…`, and `unix:/path`."""
        address = format_address(self._address)
        if address.startswith(UNIX_PREFIX):
            return address
        return f"http{'' if self._context is None else 's'}://{address}"

    @property
    def authority_pem(self) -> bytes:
        """The authority that signed the certificate which was made on the spot, as PEM, for clients to trust.
        InvalidArgument when none was made.
        """
        if self._authority_pem is None:
            raise InvalidArgument("no certificate was made for this server: it has tls=True for that")
        return self._authority_pem

    def client_context(self) -> ssl.SSLContext:
        """A context for clients that trusts that authority alone; for httpx's `verify=`, say."""
        return trusting(cafile=self.authority_pem)

    def client(self, **options: Any) -> Client:
        """A `sync_h2.Client` of this server, which takes paths for URLs: `client.get("/news")`. It trusts the
        certificate that was made on the spot (one that was given needs `verify=`), and leaves the environment's proxies
        alone. `options` are the client's.
        """
        own: dict[str, Any] = {"base_url": self.url, "trust_env": False, "h2c": self._context is None}
        if self.url.startswith(UNIX_PREFIX):
            scheme = "http" if self._context is None else "https"
            own |= {"base_url": f"{scheme}://localhost", "unix_socket": self.url[len(UNIX_PREFIX) :]}
        if self._authority_pem is not None:
            own["verify"] = self.client_context()
        return Client(**{**own, **options})

    # -- What it is to do

    def route(self, path: str | None = None, method: str | None = None) -> Script:
        """A script for requests of this path (without a query, unless it has one) and this method; None stands for all
        that have no other. More than one for the same answer one request after another, and then the last stays.
        Without any, the answer is 404.
        """
        if path is not None and not isinstance(path, str):
            raise TypeError(f"route(): a path must be a str or None, not {type_name(path)}")
        if path is not None and not path.startswith("/") and path != "*" and (method or "").upper() != "CONNECT":
            raise InvalidArgument(f"route(): a route is a path and begins with '/', which {path!r} does not")
        return self._plan.route(path, method)

    def on_connect(self) -> ConnectionScript:
        """A script for a connection's beginning. More than one are for one connection after another, and then the last
        stays.
        """
        return self._plan.on_connect()

    def goaway_after(self, count: int, code: int = ErrorCode.NO_ERROR, *, answers_first: bool = False) -> None:
        """Say GOAWAY on each connection that has brought so many requests, before the last of them is answered, or
        when all are if `answers_first`. Further requests on it are left alone; when it has answered the others, it is
        closed.
        """
        if count < 1:
            raise InvalidArgument(
                f"a number of requests must be at least 1, not {count} (on_connect().goaway() takes none)"
            )
        self._plan.goaway_after(count, code, answers_first)

    def release(self) -> None:
        """`release` all scripts there are."""
        for script in self._plan.scripts():
            script.release()

    # -- What has come

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What has come, in the order of the requests' headers on each connection."""
        return self._log.all()

    @property
    def connection_count(self) -> int:
        """How many connections have come."""
        with self._lock:
            return self._count

    def wait_request(self, timeout: float | None = PATIENCE, *, complete: bool = True) -> ReceivedRequest:
        """The next request that this has not returned yet; blocks until one has come and, if `complete`, its end too
        (or its reset, or the stream's or the connection's end). Timeout after so many seconds.
        """
        return self._log.next(timeout, complete=complete)

    # -- Running

    def start(self) -> None:
        """Accept connections from now on, on a thread in the background. A second call does nothing."""
        with self._lock:
            if self._acceptor is None and not self._closing:
                self._acceptor = threading.Thread(target=self._accept, name="sync_h2-scripted-acceptor", daemon=True)
                self._acceptor.start()

    def close(self) -> None:
        """Cut all connections, and wait for the threads; nothing that stalls or pauses holds this up, nor does a `log`
        that has not returned, which may also call this: its connection is cut when it has.
        """
        with self._lock:
            first, self._closing = not self._closing, True
            connections = list(self._connections)
            threads = set(self._threads)
        if first:
            self._waker.send(b"\0")
        for connection in connections:
            connection.close()
        deadline = Deadline(_CLOSING_PATIENCE)
        with self._threads_changed:
            self._threads_changed.wait_for(lambda: self._threads <= self._telling, deadline.remaining())
            threads -= self._threads
        for thread in [*threads, *([self._acceptor] if self._acceptor else [])]:
            thread.join(deadline.remaining())
        if first:
            close_listener(self._listener)
            self._wakes.close()
            self._waker.close()

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ScriptedServer {self.url}{' closed' if self._closing else ''}>"

    def _wake(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.channel.wake()

    # -- The acceptor's thread

    def _accept(self) -> None:
        poll = select.poll()
        for sock in (self._listener, self._wakes):
            poll.register(sock, select.POLLIN)
        while not self._closing:
            poll.poll()
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                continue
            except OSError:  # no descriptor is left
                time.sleep(_AFTER_FAILURE)
                continue
            try:
                self._take(sock)
            except OSError:
                sock.close()

    def _take(self, sock: socket.socket) -> None:
        with self._lock:
            if self._closing or len(self._connections) >= _MOST_CONNECTIONS:
                sock.close()
                return
            self._count += 1
            connection = Connection(self._plan, Channel(sock, self._context), self._count)
            name = f"sync_h2-scripted-{self._count}"
            thread = threading.Thread(target=self._run, args=(connection,), name=name, daemon=True)
            self._connections.add(connection)
            self._threads.add(thread)
            thread.start()

    # -- Connections' threads

    def _run(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._threads_changed:
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())
                self._threads_changed.notify_all()

    def _tell(self, log: Callable[[ReceivedRequest], object], request: ReceivedRequest) -> None:
        thread = threading.current_thread()
        with self._threads_changed:
            self._telling.add(thread)
            self._threads_changed.notify_all()
        try:
            log(request)
        finally:
            with self._lock:
                self._telling.discard(thread)
