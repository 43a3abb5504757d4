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
import re
import select
import ssl
import threading
import time
from http import HTTPStatus
from typing import Any

from .compat.wsgi import may_run
from .compat.wsgi_environ import Environ, make_environ
from .compat.wsgi_input import MAX_BUFFERED_BODY, BodyBuffers
from .compat.wsgi_response import Response
from .connection.server_side.server_session import ServerSession
from .connection.server_side.server_stream import ServerStream
from .interpreter import Lock
from .protocol.fields.headers import Headers
from .protocol.fields.sensitive import printable
from .server.accepting.handshake import http1_is_installed
from .server.create import create_secure_server, create_server
from .server.server import ThreadingServer
from .transport.contexts import server_context

try:
    import gunicorn
    from gunicorn.errors import ConfigError
    from gunicorn.http.wsgi import WSGIErrorsWrapper
    from gunicorn.workers import base
except ImportError as error:  # pragma: no cover - by the name that it has, gunicorn itself imports this module
    raise ImportError("sync_h2.gunicorn needs gunicorn: pip install 'sync_h2[gunicorn]'") from error

_THREADS = 256
_LONGEST_SILENCE = 1.0  # seconds between two signs of life
_CLOSES_BEFORE = 1.5  # seconds before gunicorn would kill us: a busy machine needs some to end a process
_LOOKS_AGAIN = 0.1  # seconds between two looks at what is still under way
_is_conventional = re.compile("[^a-z#]{3,20}").fullmatch  # a method, in gunicorn's eyes
_LARGEST_REQUEST_LINE = 8190  # octets; as gunicorn takes larger values of limit_request_line
_MOST_FIELDS = 32_768  # as gunicorn takes 0 and larger values of limit_request_fields

_NOT_OFFERED: dict[str, tuple[tuple[object, ...], str]] = {
    "proxy_protocol": ((False, "off"), "does not know the PROXY protocol"),
    "protocol": (("http",), "speaks HTTP"),
    "http2_cleartext": (("off", "prior-knowledge"), "takes HTTP/2 without TLS with prior knowledge only"),
    "http_parser": (("auto", "python"), "has a parser of its own"),
    "permit_obsolete_folding": ((False,), "refuses folded lines"),
    "strip_header_spaces": ((False,), "refuses spaces before the colon"),
    "permit_unconventional_http_version": ((False,), "speaks HTTP/2, 1.1 and 1.0"),
    "casefold_http_method": ((False,), "takes methods as they are"),
}
"""Settings that some values of can't be heeded: those that can, and why not the others."""


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
        """The header fields, names in upper case. Host is there, whatever the client called it."""
        fields = [(name.upper(), value) for name, value in self._headers.pairs() if not name.startswith(":")]
        authority = self._headers.get(":authority")
        if authority:
            fields = [("HOST", authority), *(field for field in fields if field[0] != "HOST")]
        return fields


def _printing(atoms: type[Any]) -> type[Any]:
    """gunicorn's class of what its access log may show, without what commands a terminal or ends a line: field values
    of HTTP/2 may have anything but NUL, CR and LF in them.
    """

    class PrintableAtoms(atoms):  # type: ignore[misc]  # a base class that is found at run time
        def __getitem__(self, name: str) -> Any:
            value = super().__getitem__(name)
            return printable(value) if isinstance(value, str) else value

    return PrintableAtoms


class _PerRequest:
    """The settings that each request asks for: of gunicorn's configuration each look takes a microsecond."""

    def __init__(self, cfg: Any) -> None:
        self.keepalive = bool(cfg.keepalive)
        self.pre_request, self.post_request = cfg.pre_request, cfg.post_request
        line = cfg.limit_request_line
        self.longest_line = min(line, _LARGEST_REQUEST_LINE) if line else None
        fields: int = cfg.limit_request_fields
        self.most_fields = fields if 0 < fields <= _MOST_FIELDS else _MOST_FIELDS
        self.longest_field: int = cfg.limit_request_field_size
        self.takes_any_method = bool(getattr(cfg, "permit_unconventional_http_method", True))
        self.forwarder_headers = getattr(cfg, "forwarder_headers", [])
        self.header_map = getattr(cfg, "header_map", "drop")
        self.scheme_keys = {
            "HTTP_" + name.upper().replace("-", "_"): value for name, value in cfg.secure_scheme_headers.items()
        }


class Worker(base.Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves HTTP/2 (over TLS if gunicorn has a certificate, otherwise cleartext) with gunicorn's settings, and
    HTTP/1.1 where the extra `http1` is installed.

    Heeded are, besides all that gunicorn does itself: threads (at most so many handlers compute at once; 1, which
    is gunicorn's default, means 256 here), worker_connections, max_requests, graceful_timeout, timeout (a sign of
    life of the process; and how long a handler waits for a peer that makes no progress), keepalive, TLS with
    certfile, keyfile, ca_certs, cert_reqs, ciphers and the hook ssl_context, limit_request_line,
    limit_request_fields, limit_request_field_size, http_protocols ("h1", which is gunicorn's default, means HTTP/2
    and 1.1 here), permit_unconventional_http_method, http2_max_concurrent_streams, http2_max_header_list_size,
    http2_initial_window_size and http2_max_frame_size (their defaults mean this package's), forwarded_allow_ips
    with secure_scheme_headers and forwarder_headers, header_map, tmp_upload_dir (for long bodies that come without a
    length), the access log, the hooks pre_request and post_request, and SCRIPT_NAME, from the process' environment or
    a trusted proxy. `check_config` refuses what can't be heeded.
    """

    max_buffered_body = MAX_BUFFERED_BODY
    """As for `compat.wsgi`; a subclass with 0 hands bodies without a length on as they come."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._bodies = BodyBuffers(self.max_buffered_body, self.cfg.tmp_upload_dir)
        self._counting = Lock()
        self._used_up = False  # max_requests is reached
        self._base: Environ = {}
        # Asked for each request.
        self._is_trusted = functools.lru_cache(4096)(self._is_trusted_address)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called by gunicorn before it forks. Raises its ConfigError for what can't be served."""
        for name, (heeded, why) in _NOT_OFFERED.items():
            if getattr(cfg, name, heeded[0]) not in heeded:
                raise ConfigError(f"sync_h2.gunicorn.Worker {why}: leave out {name}")
        if getattr(cfg, "http2_max_header_list_size", None) == 0:
            raise ConfigError("sync_h2.gunicorn.Worker takes no header lists without end: http2_max_header_list_size")
        if cfg.tmp_upload_dir is not None and not os.path.isdir(cfg.tmp_upload_dir):
            raise ConfigError(f"tmp_upload_dir is no directory: {cfg.tmp_upload_dir!r}")
        protocols = getattr(cfg, "http_protocols", ["h1"])
        if protocols == ["h1", "h2"]:
            raise ConfigError('sync_h2.gunicorn.Worker prefers HTTP/2: make http_protocols "h2,h1"')
        if "h1" in protocols and "h2" in protocols and not http1_is_installed():
            raise ConfigError("sync_h2.gunicorn.Worker needs h11 for HTTP/1.1: pip install 'sync_h2[http1]'")

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
        while not self._used_up and self._goes_on(self._silence):
            pass
        if self._used_up:
            self._end_sessions(servers)
        self._close(servers)

    def _goes_on(self, seconds: float) -> bool:
        """Wait for so long, or until woken; False when this worker has to end."""
        self.notify()
        if os.getppid() != self.ppid:
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False
        elif self.alive and select.select([self.PIPE[0]], [], [], seconds)[0]:
            os.read(self.PIPE[0], 4096)
        return bool(self.alive)

    def _end_sessions(self, servers: list[ThreadingServer]) -> None:
        """Let the requests of this moment finish, for `graceful_timeout`, and go on accepting: until this process has
        ended gunicorn starts no other, and it may be the only one.
        """
        sessions = [session for server in servers for session in server.sessions]
        for session in sessions:
            session.close(wait=False)
        until = time.monotonic() + self.cfg.graceful_timeout
        while (busy := [session for session in sessions if session._streams]) and self._goes_on(_LOOKS_AGAIN):
            if time.monotonic() > until:
                for session in busy:
                    self.log.warning("%r did not finish in time and is destroyed", session)
                    session.destroy()
                break

    @property
    def _silence(self) -> float:
        return min(self.timeout or _LONGEST_SILENCE, _LONGEST_SILENCE)

    def _close(self, servers: list[ThreadingServer]) -> None:
        """Let requests finish for `graceful_timeout`: GOAWAY in two steps tells clients which ones do."""
        seconds = self.cfg.graceful_timeout - min(_CLOSES_BEFORE, self.cfg.graceful_timeout / 2)
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
            "allow_http1": http1_is_installed() and getattr(cfg, "http_protocols", None) != ["h2"],
            "max_workers": cfg.threads if cfg.threads > 1 else _THREADS,
            "max_sessions": cfg.worker_connections,
            "max_header_pairs": self._per_request.most_fields + len((":method", ":scheme", ":authority", ":path")),
            "read_timeout": cfg.timeout or None,
            "write_timeout": cfg.timeout or None,
            "settings": {},
        }
        for name in ("max_concurrent_streams", "max_header_list_size"):
            value = getattr(cfg, f"http2_{name}", None)  # gunicorn 25 and later
            if value:
                options[name] = value
        for name in ("initial_window_size", "max_frame_size"):
            value = getattr(cfg, f"http2_{name}", None)
            if value is not None and value != cfg.settings[f"http2_{name}"].default:
                options["settings"][name] = value
        server: ThreadingServer
        if cfg.is_ssl:
            server = create_secure_server(self._handle, context=cfg.ssl_context(cfg, self._default_context), **options)
        else:
            server = create_server(self._handle, **options)
        server._workers_option = "--threads"
        server.set_timeout(cfg.keepalive, _close_idle)
        return server

    @functools.cached_property
    def _per_request(self) -> _PerRequest:
        return _PerRequest(self.cfg)

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
        stream._takes_long()  # frameworks keep a database's connection for each thread
        if not may_run(stream, headers):
            return
        environ = make_environ(stream, headers, self._base)
        if script_name := self._script_name_of_proxy(environ, headers):
            environ = make_environ(stream, headers, {**self._base, "SCRIPT_NAME": script_name})
        if refusal := self._refusal(stream, headers) or self._map_fields(environ, headers):
            self._refuse(stream, environ, headers, *refusal)
            return
        settings = self._per_request
        if not settings.keepalive and stream.http_version != "2.0":
            stream.session.close(wait=False)
        request = Request(environ, headers)
        response = Response(stream, request.method, self._bodies)
        began_at = time.monotonic()
        settings.pre_request(self, request)
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
                settings.post_request(self, request, environ, response)
            except Exception:
                self.log.exception("Exception in post_request hook")

    def _refusal(self, stream: ServerStream, headers: Headers) -> tuple[HTTPStatus, str] | None:
        """What to answer to a request that goes over a limit, and which; octets are counted as gunicorn does."""
        settings = self._per_request
        http1 = stream.http_version != "2.0"
        fields = [(name, value) for name, value in headers.pairs() if not name.startswith(":")]
        line = len(headers.get(":path", ""))
        if http1:
            line += len(headers[":method"]) + len("  HTTP/1.1")
        if settings.longest_line is not None and line > settings.longest_line:
            return HTTPStatus.REQUEST_URI_TOO_LONG, "limit_request_line"
        if not settings.takes_any_method and not _is_conventional(headers[":method"]):
            return HTTPStatus.BAD_REQUEST, "permit_unconventional_http_method"
        if len(fields) + http1 > settings.most_fields:  # Host is one
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "limit_request_fields"
        if settings.longest_field:
            most = settings.longest_field - len(": \r\n" if http1 else ": ")
            if any(len(name) + len(value) > most for name, value in fields):
                return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "limit_request_field_size"
        return None

    def _refuse(self, stream: ServerStream, environ: Environ, headers: Headers, status: HTTPStatus, why: str) -> None:
        self.log.warning("Invalid request from ip=%s: %s", environ["REMOTE_ADDR"], why)
        response = Response(stream, headers[":method"], self._bodies)
        response.status = f"{status.value} {status.phrase}"
        self.log.access(response, Request(environ, headers), environ, datetime.timedelta())
        stream.respond({":status": status.value, "content-length": 0}, end_stream=True)

    def _script_name_of_proxy(self, environ: Environ, headers: Headers) -> str:
        if "script_name" in headers and self._sets_environ("SCRIPT_NAME", environ):
            return str(headers["script_name"])
        return ""

    def _sets_environ(self, name: str, environ: Environ) -> bool:
        """Whether the peer is a proxy whose word on this key counts."""
        names = self._per_request.forwarder_headers
        return (name in names or "*" in names) and self._is_trusted(environ["REMOTE_ADDR"])

    def _map_fields(self, environ: Environ, headers: Headers) -> tuple[HTTPStatus, str] | None:
        """Take what a trusted proxy says into the environ, and names with an underscore, if that is wanted."""
        policy = self._per_request.header_map
        for name in {name for name, _ in headers.pairs() if "_" in name}:
            if policy != "dangerous" and not self._sets_environ(name.upper(), environ):
                if policy == "refuse":
                    return HTTPStatus.BAD_REQUEST, f"header_map refuses {name!r}"
                continue
            dashed = name.replace("_", "-")
            values = [value for other, value in headers.pairs() if other.replace("_", "-") == dashed]
            environ["HTTP_" + name.upper().replace("-", "_")] = ",".join(values)
        if not self._take_scheme_of_proxy(environ):
            return HTTPStatus.BAD_REQUEST, "contradictory scheme headers"
        return None

    def _take_scheme_of_proxy(self, environ: Environ) -> bool:
        """False when a trusted proxy contradicts itself."""
        said = {
            "https" if environ[key] == value else "http"
            for key, value in self._per_request.scheme_keys.items()
            if key in environ and self._is_trusted(environ["REMOTE_ADDR"])
        }
        if len(said) == 1:
            environ["wsgi.url_scheme"] = said.pop()
        return len(said) < 2

    def _count(self) -> None:
        with self._counting:
            self.nr += 1
            last = self.nr == self.max_requests
        if last:
            self.log.info("Autorestarting worker after current request.")
            self._used_up = True
            os.write(self.PIPE[1], b"1")


def _close_idle(session: ServerSession) -> None:
    """Nothing came or went for `keepalive` seconds. That a request takes long is something else."""
    if not session._streams:
        session.close(wait=False)
