"""Servers whose threads are to be taken, in a process of its own. Run with a JSON object: `kind` (stream, wsgi, class),
`tls` with `certfile` and `keyfile` or empty, `options` of `create_server`, and `file`.

Whatever the kind, `GET /` answers `hello`, `GET /big/N` answers N octets and `POST /read` when the body has come; the
WSGI application has `/list/N`, `/generator/N`, `/write/N` and `/file` besides, and `application` is for gunicorn, which
finds the file's name in the environment. It prints its port, serves until its standard input ends, and leaves with
code 0.
"""

from __future__ import annotations

import http.server
import io
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import sync_h2
from sync_h2 import compat

HELLO = b"hello"
PIECE = bytes(range(250)) * 40  # 10,000 octets
_file = os.environ.get("HOSTAGE_FILE", "")


def pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, len(PIECE)):
        yield PIECE[: size - start]


def stream_handler(stream: Any, headers: Any) -> None:
    _, name, *size = headers[":path"].split("/")
    if name == "big":
        stream.respond({"content-length": size[0]})
        for piece in pieces(int(size[0])):
            stream.write(piece)
    elif name == "file":
        stream.respond_with_file(_file)
    elif name == "read":
        stream.end(b"%d" % len(stream.read()))
    else:
        stream.end(HELLO)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    _, name, *size = environ["PATH_INFO"].split("/")
    body: Iterable[bytes] = [HELLO]
    if name == "read":
        body = [b"%d" % len(environ["wsgi.input"].read())]
    elif size:  # of any way
        body = pieces(int(size[0])) if name == "generator" else [b"".join(pieces(int(size[0])))]
    elif name == "file":
        body = environ["wsgi.file_wrapper"](io.FileIO(_file))
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if name == "write":
        for piece in body:
            write(piece)
        return []
    return body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        _, name, *size = self.path.split("/")
        body = b"".join(pieces(int(size[0]))) if name == "big" else HELLO
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


HANDLERS: dict[str, Any] = {
    "stream": lambda: stream_handler,
    "wsgi": lambda: compat.wsgi(application),
    "class": lambda: compat.handler_for(Handler),
}


def main() -> None:
    global _file
    job = json.loads(sys.argv[1])
    _file = job["file"]
    # A server's own handlers of log records are the operator's affair; these lines would fill a pipe.
    logging.getLogger("sync_h2").addHandler(logging.NullHandler())
    logging.getLogger("sync_h2").propagate = False
    make: Any = sync_h2.create_secure_server if job["tls"] else sync_h2.create_server
    with make(HANDLERS[job["kind"]](), allow_http1=True, **job["tls"], **job["options"]) as server:
        print(server.address[1], flush=True)
        sys.stdin.read()
        server.close(timeout=0.5)


if __name__ == "__main__":
    main()
