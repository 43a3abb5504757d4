"""A 103 tells the client what it will need while the server still works on the answer (RFC 8297): early_hints.py"""

import threading

import sync_h2

hints_seen = threading.Event()


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload; as=style"})
    hints_seen.wait(timeout=10)  # stands for the work
    stream.respond({"content-type": "text/html"})
    stream.end(b"<p>Finished</p>")


def show_hints(headers: sync_h2.Headers) -> None:
    print("early:", headers[":status"], headers["link"])
    hints_seen.set()


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    stream = session.request(listeners={"headers": show_hints})
    print("final:", stream.wait_response()[":status"], stream.read().decode())
