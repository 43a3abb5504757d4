"""WSGI (PEP 3333): applications of Flask, Django and the like on streams. docs/guide/wsgi.md has the keys of environs.

An application runs on the thread of the handler that `wsgi` makes of it: as many at once as the server has threads,
those of one connection included.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..arguments import check_host, check_options
from ..connection.server_side.handling_session import Handler
from ..connection.server_side.server_stream import ServerStream
from ..interpreter import Unpack
from ..protocol.fields.headers import Headers
from ..server.accepting.handshake import http1_is_installed
from ..server.create import SecureServerOptions, create_secure_server, create_server
from ..server.server import ThreadingServer
from ..server.shutdown_notice import telling_what_is_waited_for
from ..transport.contexts import PEM
from .wsgi_environ import Environ, make_environ
from .wsgi_input import MAX_BUFFERED_BODY, BodyBuffers
from .wsgi_response import Application, Response


def wsgi(
    app: Application, *, environ: Mapping[str, Any] | None = None, max_buffered_body: int = MAX_BUFFERED_BODY
) -> Handler:
    """A handler that runs a WSGI application, for `create_server`, `create_secure_server` and `serve_socket`.

    `environ` are keys for the environ of every request, in place of the server's own: `{"SCRIPT_NAME": "/app"}` for an
    application below that path, which is taken off PATH_INFO.

    Many frameworks read no body that has no CONTENT_LENGTH, and HTTP/2 and chunks need none. So a body that comes
    without is received before the application is called, in memory and then in a temporary file, up to
    `max_buffered_body` bytes; a longer one is answered with 413. With 0 each body is handed on as it comes:
    `wsgi.input` ends where the body does (`wsgi.input_terminated`). Raises `InvalidArgument` for what is no number.
    """
    if not callable(app):
        hint = f": import it, or run sync-h2 serve {app}" if isinstance(app, str) and ":" in app else ""
        raise TypeError(f"a WSGI application must be callable, not {type(app).__name__}{hint}")
    base = dict(environ or {})
    bodies = BodyBuffers(max_buffered_body)

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream._takes_long()  # frameworks keep a database's connection for each thread
        if may_run(stream, headers):
            Response(stream, headers[":method"], bodies).run(app, make_environ(stream, headers, base))

    return handler


def may_run(stream: ServerStream, headers: Headers) -> bool:
    """False for CONNECT, which WSGI has no words for: it has been answered."""
    if headers[":method"] != "CONNECT":
        return True
    stream.respond({":status": 501, "content-length": 0}, end_stream=True)
    return False


def serve_wsgi(
    app: Application,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    certfile: PEM | None = None,
    keyfile: PEM | None = None,
    environ: Mapping[str, Any] | None = None,
    max_buffered_body: int = MAX_BUFFERED_BODY,
    **options: Unpack[SecureServerOptions],
) -> None:
    """Serve a WSGI application; blocks until an interrupt (Ctrl-C), then lets requests finish, and returns. It says on
    stderr where it serves, and what it waits for in the end.

    With `certfile` (or `context`) over TLS. `environ` and `max_buffered_body` are as for `compat.wsgi`; the other
    options are those of `create_server` and `create_secure_server`, and raise as there. HTTP/1.1 is served too where
    the extra `http1` is installed, unless `allow_http1` is False.
    """
    check_host("serve_wsgi(app", host)
    check_options(serve_wsgi, options, SecureServerOptions)
    arguments: dict[str, Any] = {"allow_http1": http1_is_installed(), **options}
    handler = wsgi(app, environ=environ, max_buffered_body=max_buffered_body)
    server: ThreadingServer
    if certfile is not None or arguments.get("context") is not None:
        server = create_secure_server(handler, host, port, certfile=certfile, keyfile=keyfile, **arguments)
    else:
        server = create_server(handler, host, port, **arguments)
    with server:
        _say(f"serving at {server.url}, Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _say("finishing what is under way")
            with telling_what_is_waited_for(server, _say):
                server.close()


def _say(text: str) -> None:
    if sys.stderr is not None:  # a program without a terminal may have none
        print(f"sync_h2: {text}", file=sys.stderr, flush=True)


__all__ = ["Application", "Environ", "may_run", "serve_wsgi", "wsgi"]
