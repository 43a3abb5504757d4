"""The `environ` of a WSGI application (PEP 3333): a request, as the dict that CGI made of it.

Runs on the handler's thread. What is the same for all requests of a connection is found out once for each.
"""

from __future__ import annotations

import functools
import ssl
import sys
import urllib.parse
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

from ..connection.server_side.server_stream import ServerStream
from ..protocol.fields.headers import Headers
from .wsgi_input import request_input

if TYPE_CHECKING:
    from ..connection.session.session import Session

Environ = dict[str, Any]

_DEFAULT_PORTS = {"http": "80", "https": "443"}


_LONGEST_REMEMBERED = 64  # characters of a name: longer ones are nobody's but an attacker's


def _key(name: str) -> str | None:
    """The key that a header field has; None for one that must not be there."""
    # `x_real_ip` would be read as `x-real-ip`, which a proxy in front may have checked.
    if name.startswith(":") or "_" in name:
        return None
    key = name.upper().replace("-", "_")
    return key if name in ("content-type", "content-length") else "HTTP_" + key


_remembered_key = functools.lru_cache(1024)(_key)

# What all requests of a session have in common.
_of_connections: weakref.WeakKeyDictionary[Session, Environ] = weakref.WeakKeyDictionary()


def _of_connection(session: Session) -> Environ:
    known = _of_connections.get(session)
    if known is None:
        known = _of_connections[session] = _look_at(session)
    return known


def _look_at(session: Session) -> Environ:
    address = session.socket.getsockname()
    peer = session.socket.getpeername()
    known: Environ = {
        "wsgi.url_scheme": "https" if session.encrypted else "http",
        "sync_h2.alpn_protocol": session.alpn_protocol,
        "sync_h2.peer_certificate": session.peer_certificate,
        "REMOTE_ADDR": "",
    }
    if isinstance(address, tuple):
        known["SERVER_NAME"], known["SERVER_PORT"] = address[0], str(address[1])
    if isinstance(peer, tuple):
        known["REMOTE_ADDR"], known["REMOTE_PORT"] = peer[0], str(peer[1])
    if session.encrypted:
        known["HTTPS"] = "on"
        known["SSL_PROTOCOL"] = session.socket.version()
        known["SSL_CIPHER"] = session.socket.cipher()[0]
        certificate = session.socket.getpeercert(True)
        if certificate is not None:
            known["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(certificate)
    return known


def make_environ(stream: ServerStream, headers: Headers, base: Mapping[str, Any]) -> Environ:
    """The environ of one request. `base` goes into each, whatever the client says; its SCRIPT_NAME is no part of the
    path.
    """
    target = headers.get(":path", "")
    path, _, query = target.partition("?")
    path = urllib.parse.unquote(path, "latin-1")  # PEP 3333: str that stands for bytes
    script_name = base.get("SCRIPT_NAME", "").rstrip("/")
    if script_name and (path == script_name or path.startswith(script_name + "/")):
        path = path[len(script_name) :]
    http_version = stream.http_version
    environ = {
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input": request_input(stream),
        "wsgi.input_terminated": True,
        "SERVER_SOFTWARE": "sync_h2",
        **_of_connection(stream.session),
        **base,
        "SCRIPT_NAME": script_name,
        "SERVER_PROTOCOL": "HTTP/2" if http_version == "2.0" else f"HTTP/{http_version}",
        "REQUEST_METHOD": headers[":method"],
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "sync_h2.stream": stream,
        "sync_h2.trailers": stream.wait_trailers,
        "wsgi.early_hints": functools.partial(_send_early_hints, stream),
    }
    for name in headers:
        key = _remembered_key(name) if len(name) <= _LONGEST_REMEMBERED else _key(name)
        if key is not None and key not in base:
            # RFC 9113 section 8.2.3, RFC 9110 section 5.2
            environ[key] = ("; " if key == "HTTP_COOKIE" else ",").join(headers.get_all(name))
    authority = headers.get(":authority")
    if authority and "HTTP_HOST" not in base:
        environ["HTTP_HOST"] = authority
    if "SERVER_NAME" not in environ:  # a Unix socket has neither
        environ["SERVER_NAME"], environ["SERVER_PORT"] = _host_and_port(environ)
    return environ


def _host_and_port(environ: Environ) -> tuple[str, str]:
    host, colon, port = environ.get("HTTP_HOST", "").rpartition(":")
    if not colon or not port.isdigit():
        host, port = host + colon + port, ""
    return host or "localhost", port or _DEFAULT_PORTS[environ["wsgi.url_scheme"]]


def _send_early_hints(stream: ServerStream, headers: Iterable[tuple[str, str]]) -> None:
    """103 with these fields; nothing once the response has begun, nor for HTTP/1 (see `additional_headers`)."""
    if not stream.headers_sent:
        fields = Headers(iter(headers))
        fields[":status"] = 103
        stream.additional_headers(fields)
