"""The standard library's HTTP over TLS, in both versions: a handler class of `http.server` served over HTTP/1.1 by
`http.server` and over HTTP/2 by us, and a connection to each.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import sync_h2
from sync_h2 import compat

from ..tls.certificates import Certificate

HandlerClass = Callable[..., http.server.BaseHTTPRequestHandler]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # joined by server_close

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes in the middle is no news in these tests."""


@contextlib.contextmanager
def http1_server(handler_class: HandlerClass, certificate: Certificate | None) -> Iterator[int]:
    """Serves over HTTP/1.1 while the block lasts, and gives the port."""
    with _Server(("127.0.0.1", 0), handler_class) as server:
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate.certfile, certificate.keyfile)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def http2_server(handler_class: HandlerClass, certificate: Certificate | None, **options: Any) -> Iterator[int]:
    """The same over HTTP/2."""
    handler = compat.handler_for(handler_class)
    if certificate is None:
        server = sync_h2.create_server(handler, **options)
    else:
        server = sync_h2.create_secure_server(
            handler, certfile=certificate.certfile, keyfile=certificate.keyfile, **options
        )
    with server:
        yield server.address[1]


def http1_connection(port: int, certificate: Certificate, **options: Any) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    return http.client.HTTPSConnection("localhost", port, context=context, **options)


def http2_connection(port: int, certificate: Certificate | None, **options: Any) -> compat.HTTP2Connection:
    """Over TLS; h2c without a certificate."""
    if certificate is None:
        return compat.HTTP2Connection("127.0.0.1", port, h2c=True, **options)
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    return compat.HTTP2Connection("localhost", port, context=context, **options)
