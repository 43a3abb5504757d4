"""gunicorn's worker: `gunicorn -k sync_h2.gunicorn.Worker app:app`. gunicorn forks processes, watches and replaces
them; each runs a server of ours for each address that gunicorn has bound.

The process' main thread says that it lives, waits for signals, and closes the servers gracefully; applications run on
the servers' handler threads.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import logging
import os
import select
import ssl
import threading
import time
from typing import Any

from .compat.wsgi import may_run
from .compat.wsgi_environ import Environ, make_environ
from .compat.wsgi_response import Response
from .connection.server_stream import ServerStream
from .protocol.headers import Headers
from .protocol.sensitive import printable
from .server.beginning import http1_is_installed
from .server.create import create_secure_server, create_server
from .server.server import ThreadingServer
from .transport.tls import server_context

try:
    import gunicorn
    from gunicorn.errors import ConfigError
    from gunicorn.http.wsgi import WSGIErrorsWrapper
    from gunicorn.workers import base
except ImportError as error:  # pragma: no cover - by the name that it has, gunicorn itself imports this module
    raise ImportError("sync_h2.gunicorn needs gunicorn: pip install 'sync_h2[gunicorn]'") from error

_THREADS = 256
_LONGEST_SILENCE = 1.0  # seconds between two signs of life
_CLOSES_BEFORE = 0.5  # seconds before gunicorn would kill us


class Request:
    """What gunicorn's hooks and its access log get of a request: the names are those of its own."""

    def __init__(self, environ: Environ, headers: Headers) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        self.path, _, self.query = self.uri.partition("?")
        self.scheme: str = environ["wsgi.url_scheme"]
        self.version = (2, 0) if environ["SERVER_PROTOCOL"] == "HTTP/2" else (1, int(environ["SERVER_PROTOCOL"][-1]))
        self.peer_addr = (environ["REMOTE_ADDR"], int(environ.get("REMOTE_PORT", "0")))
        self._headers = headers

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields, names in upper case."""
        return [(name.upper(), value) for name, value in self._headers.pairs() if not name.startswith(":")]


def _printing(atoms: type[Any]) -> type[Any]:
    """gunicorn's class of what its access log may show, without what commands a terminal or ends a line: field values
    of HTTP/2 may have anything but NUL, CR and LF in them.
    """

    class PrintableAtoms(atoms):  # type: ignore[misc]
        def __getitem__(self, name: str) -> Any:
            value = super().__getitem__(name)
            return printable(value) if isinstance(value, str) else value

    return PrintableAtoms


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves HTTP/2 (over TLS if gunicorn has a certificate, otherwise cleartext) with gunicorn's settings, and
    HTTP/1.1 where the extra `http1` is installed.

    Heeded are, besides all that gunicorn does itself: threads (1, which is gunicorn's default, means 256 here),
    worker_connections, max_requests, graceful_timeout, timeout (as a sign of life of the process, not of requests),
    TLS with certfile, keyfile, ca_certs, cert_reqs, ciphers and the hook ssl_context, limit_request_fields,
    http2_max_concurrent_streams, http2_max_header_list_size, forwarded_allow_ips with secure_scheme_headers, the access
    log, the hooks pre_request and post_request, and SCRIPT_NAME in the process' environment.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._counting = threading.Lock()
        self._base: Environ = {}
        # Asked for each request.
        self._is_trusted = functools.lru_cache(4096)(self._is_trusted_address)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called by gunicorn before it forks. Raises its ConfigError for what can't be served."""
        if cfg.proxy_protocol not in (False, "off"):
            raise ConfigError("sync_h2.gunicorn.Worker does not know the PROXY protocol: leave out proxy_protocol")
        if getattr(cfg, "protocol", "http") != "http":
            raise ConfigError("sync_h2.gunicorn.Worker speaks HTTP: leave out protocol")

    def run(self) -> None:
        """The worker's life, on the process' main thread."""
        self._log_where_gunicorn_does()
        self._base = {
            "wsgi.errors": WSGIErrorsWrapper(self.cfg),
            "wsgi.multiprocess": self.cfg.workers > 1,
            "SCRIPT_NAME": os.environ.get("SCRIPT_NAME", ""),
            "SERVER_SOFTWARE": gunicorn.SERVER_SOFTWARE,
        }
        servers = [self._make_server(listener.sock) for listener in self.sockets]
        for server in servers:
            server.start()
        while self.alive:
            self.notify()
            if os.getppid() != self.ppid:
                self.log.info("Parent changed, shutting down: %s", self)
                break
            if select.select([self.PIPE[0]], [], [], self._silence)[0]:
                os.read(self.PIPE[0], 4096)
        self._close(servers)

    @property
    def _silence(self) -> float:
        return min(self.timeout or _LONGEST_SILENCE, _LONGEST_SILENCE)

    def _close(self, servers: list[ThreadingServer]) -> None:
        """Let requests finish for `graceful_timeout`: GOAWAY in two steps tells clients which ones do."""
        seconds = max(self.cfg.graceful_timeout - _CLOSES_BEFORE, 0.0)
        closing = [
            threading.Thread(target=server.close, args=(seconds,), name="sync_h2-closer", daemon=True)
            for server in servers
        ]
        for thread in closing:
            thread.start()
        for thread in closing:
            while thread.is_alive():
                self.notify()
                thread.join(self._silence)

    # -- what gunicorn's settings come to

    def _make_server(self, sock: Any) -> ThreadingServer:
        cfg = self.cfg
        options: dict[str, Any] = {
            "sock": sock,
            "allow_http1": http1_is_installed(),
            "max_workers": cfg.threads if cfg.threads > 1 else _THREADS,
            "max_sessions": cfg.worker_connections,
            "max_header_pairs": cfg.limit_request_fields + len((":method", ":scheme", ":authority", ":path")),
        }
        for name in ("max_concurrent_streams", "max_header_list_size"):
            value = getattr(cfg, f"http2_{name}", None)  # gunicorn 25 and later
            if value:
                options[name] = value
        if cfg.is_ssl:
            return create_secure_server(self._handle, context=cfg.ssl_context(cfg, self._default_context), **options)
        return create_server(self._handle, **options)

    def _default_context(self) -> ssl.SSLContext:
        cfg = self.cfg
        context = server_context(certfile=cfg.certfile, keyfile=cfg.keyfile, cafile=cfg.ca_certs)
        context.verify_mode = ssl.VerifyMode(cfg.cert_reqs)
        if cfg.ciphers:
            context.set_ciphers(cfg.ciphers)
        return context

    def _log_where_gunicorn_does(self) -> None:
        """Our warnings go into gunicorn's error log, unless the application has said what becomes of them."""
        atoms = getattr(self.log, "atoms_wrapper_class", None)
        if atoms is not None:  # a logger_class may have none
            self.log.atoms_wrapper_class = _printing(atoms)
        ours = logging.getLogger("sync_h2")
        error_log = getattr(self.log, "error_log", None)
        if ours.handlers or error_log is None:
            return
        ours.handlers = error_log.handlers
        ours.propagate = False
        ours.setLevel(logging.DEBUG if error_log.level <= logging.DEBUG else max(error_log.level, logging.WARNING))
        access_log = logging.getLogger("sync_h2.access")
        if access_log.level == logging.NOTSET:
            access_log.setLevel(logging.WARNING)  # gunicorn has its own

    def _is_trusted_address(self, address: str) -> bool:
        """Whether this is a proxy of ours, whose word on the scheme counts."""
        allowed = self.cfg.forwarded_allow_ips
        if not address or "*" in allowed:  # a Unix socket
            return True
        peer = ipaddress.ip_address(address.partition("%")[0])
        return any(peer in ipaddress.ip_network(network) for network in allowed)

    # -- one request, on a handler's thread

    def _handle(self, stream: ServerStream, headers: Headers) -> None:
        if not may_run(stream, headers):
            return
        environ = make_environ(stream, headers, self._base)
        if not self._take_scheme_of_proxy(environ):
            stream.respond({":status": 400, "content-length": 0}, end_stream=True)
            return
        request = Request(environ, headers)
        response = Response(stream, request.method)
        began_at = time.monotonic()
        self.cfg.pre_request(self, request)
        self._count()
        try:
            response.run(self.wsgi, environ)
        except BaseException:
            if not response.headers_sent:
                response.status, response.headers = "500 Internal Server Error", []  # what the session answers
            raise
        finally:
            self.log.access(response, request, environ, datetime.timedelta(seconds=time.monotonic() - began_at))
            try:
                self.cfg.post_request(self, request, environ, response)
            except Exception:
                self.log.exception("Exception in post_request hook")

    def _take_scheme_of_proxy(self, environ: Environ) -> bool:
        """False when a trusted proxy contradicts itself."""
        said = {
            "https" if environ[key] == value else "http"
            for key, value in self._scheme_keys.items()
            if key in environ and self._is_trusted(environ["REMOTE_ADDR"])
        }
        if len(said) == 1:
            environ["wsgi.url_scheme"] = said.pop()
        return len(said) < 2

    @functools.cached_property
    def _scheme_keys(self) -> dict[str, str]:
        return {
            "HTTP_" + name.upper().replace("-", "_"): value for name, value in self.cfg.secure_scheme_headers.items()
        }

    def _count(self) -> None:
        with self._counting:
            self.nr += 1
            last = self.nr == self.max_requests
        if last:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            os.write(self.PIPE[1], b"1")
