"""Serve a WSGI application until Ctrl-C: wsgi.py [PORT]

Try it with: curl --http2-prior-knowledge URL
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import sync_h2


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    size = sum(len(line) for line in environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "text/plain")])

    def body() -> Iterator[bytes]:
        yield f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode("latin-1")
        yield f"with {size} bytes over {environ['SERVER_PROTOCOL']}\n".encode()
        environ["sync_h2.send_trailers"]([("x-lines", "1")])

    return body()


if __name__ == "__main__":
    port = int(sys.argv[1]) if sys.argv[1:] else 8080
    print(f"http://127.0.0.1:{port}", flush=True)
    sync_h2.serve_wsgi(app, port=port)
