"""The peer's handlers, and a WSGI application under /wsgi, on sync_h2's server until TERM: serve_sync_h2.py JSON"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import urllib.parse

import a2wsgi
import serve_asgi
import serve_gunicorn
from asked import application

import sync_h2
from compare.peer import Peer

places = json.loads(sys.argv[1])
peer = Peer(together_seconds=8)
wsgi = sync_h2.compat.wsgi(application)
asgi = sync_h2.compat.wsgi(a2wsgi.ASGIMiddleware(serve_asgi.app))
wsgi_workload = sync_h2.compat.wsgi(serve_gunicorn.app)
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    path = urllib.parse.urlsplit(headers.get(":path", "/")).path
    if path in ("/wsgi", "/asgi"):
        {"/wsgi": wsgi, "/asgi": asgi}[path](stream, headers)
    elif places["application"] == "wsgi":
        wsgi_workload(stream, headers)
    elif path == "/slow":
        time.sleep(1.5)
        stream.end(b"finished")
    else:
        peer.handle(stream, headers)


options = {"port": places["port"], "allow_http1": True, "settings": {"enable_connect_protocol": True}}
if places["tls"]:
    server = sync_h2.create_secure_server(handler, certfile=places["certfile"], keyfile=places["keyfile"], **options)
else:
    server = sync_h2.create_server(handler, **options)
with server:
    ended.wait()
    server.close(30)
