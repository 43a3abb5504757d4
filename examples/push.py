"""The server sends a page's style sheet before the client asks for it: push.py"""

import sync_h2


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    if stream.push_allowed:
        with stream.push_stream({":path": "/style.css"}) as pushed:
            pushed.respond({"content-type": "text/css"})
            pushed.end(b"body { color: green }")
    stream.respond({"content-type": "text/html"})
    stream.end(b"<link rel=stylesheet href=/style.css>")


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    stream = session.request({":path": "/page.html"})
    for pushed in stream.pushes():
        print("pushed:", pushed.request_headers[":path"], pushed.read().decode())
    print("asked for:", stream.read().decode())
