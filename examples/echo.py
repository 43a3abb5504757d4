"""One stream as a conversation, each line answered before the next is sent: echo.py LINE..."""

import sys

import sync_h2


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"content-type": "text/plain"})
    while line := stream.readline():
        stream.write(line.upper())
    stream.end(b"goodbye\n")


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    stream = session.request({":method": "POST"})
    for line in sys.argv[1:]:
        stream.write(f"{line}\n".encode())
        print(line, "->", stream.readline().decode().strip())
    stream.end()
    print(stream.read().decode().strip())
