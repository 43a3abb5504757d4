"""Serve a function until Ctrl-C: serve.py [PORT]"""

import contextlib
import sys

import sync_h2


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    size = sum(len(chunk) for chunk in stream)  # reads the request's body
    stream.respond({"content-type": "text/plain"})
    stream.end(f"{headers[':method']} {headers[':path']} with {size} bytes\n".encode())


with sync_h2.create_server(handler, port=int(sys.argv[1]) if sys.argv[1:] else 0) as server:
    print(server.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
