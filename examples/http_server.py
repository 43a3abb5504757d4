"""Serve a folder with the standard library's own handler class, and take uploads, until Ctrl-C:
http_server.py FOLDER [PORT]

Try it with: curl --http2-prior-knowledge -T FILE URL
"""

import contextlib
import http.server
import pathlib
import shutil
import sys

import sync_h2
from sync_h2 import compat


class Folder(http.server.SimpleHTTPRequestHandler):
    """Not a line of it knows of HTTP/2: http.server.HTTPServer takes it just as well."""

    def do_PUT(self) -> None:
        path = pathlib.Path(self.directory, pathlib.PurePosixPath(self.path).name)
        if "Content-Length" not in self.headers or not path.name:
            self.send_error(411 if path.name else 404)
            return
        with path.open("wb") as file:
            shutil.copyfileobj(self.rfile, file)
        self.send_response(201)
        self.send_header("Location", f"/{path.name}")
        self.end_headers()


if len(sys.argv) < 2:
    sys.exit(__doc__)
handler = compat.handler_for(Folder, directory=sys.argv[1])
with sync_h2.create_server(handler, port=int(sys.argv[2]) if sys.argv[2:] else 0) as server:
    print(server.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
