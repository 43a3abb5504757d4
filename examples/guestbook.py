"""A small application of requests and responses, as HTTP/1 code is written: guestbook.py [PORT]"""

import contextlib
import json
import sys

import sync_h2

entries: list[object] = []


def on_request(request: sync_h2.ServerRequest, response: sync_h2.ServerResponse) -> None:
    if request.path != "/entries":
        response.write_head(404).end(b"there is only /entries\n")
    elif request.method == "POST":
        entries.append(json.load(request))
        response.write_head(201, {"location": "/entries"}).end()
    elif request.method in ("GET", "HEAD"):
        response.set_header("content-type", "application/json")
        response.end(json.dumps(entries).encode() + b"\n")
    else:
        response.write_head(405, {"allow": "GET, HEAD, POST"}).end()


with sync_h2.create_server(on_request=on_request, port=int(sys.argv[1]) if sys.argv[1:] else 0) as server:
    print(server.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
