"""The benchmarks' server with sync_h2. One argument, JSON: {port, file, certfile, keyfile, processes, http1}; without
the files of a certificate it speaks h2c. Several processes share the port. The other servers here answer the same:
GET / with 12 bytes, /file with the file, PUT /upload with the number of bytes received; /open responds at once, and
ends when the request's body has. For attacks there are /big/N, which is so many bytes, and /events, which begins to
answer and then waits for ever. Of this one alone there is /compute, which has a core busy for a millisecond first.
"""

from __future__ import annotations

import json
import os
import queue
import sys

import sync_h2

OPTIONS = json.loads(sys.argv[1])
PIECE = bytes(64 * 1024)
STEPS = 30_000
"""Of a loop, for a millisecond: the same work with and without the GIL, however long it takes."""


def compute() -> int:
    total = 0
    for number in range(STEPS):
        total ^= number
    return total


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    path = headers[":path"]
    if path == "/file":
        stream.respond_with_file(OPTIONS["file"])
    elif path == "/upload":
        size = sum(len(chunk) for chunk in stream)
        stream.respond({"content-type": "text/plain"})
        stream.end(b"%d" % size)
    elif path == "/compute":
        compute()
        stream.end(b"hello world\n")
    elif path == "/open":
        stream.respond({"content-type": "text/plain"})
        stream.read()
        stream.end()
    elif path.startswith("/big/"):
        size = int(path[5:])
        stream.respond()
        for start in range(0, size, len(PIECE)):
            stream.write(PIECE[: size - start])
    elif path == "/events":
        stream.write(b"subscribed")
        queue.SimpleQueue[bytes]().get()
    else:
        stream.respond({"content-type": "text/plain"})
        stream.end(b"hello world\n")


def make_server() -> sync_h2.ThreadingServer:
    common = {"port": OPTIONS["port"], "reuse_port": OPTIONS["processes"] > 1, "allow_http1": OPTIONS["http1"]}
    if OPTIONS["certfile"]:
        return sync_h2.create_secure_server(handler, certfile=OPTIONS["certfile"], keyfile=OPTIONS["keyfile"], **common)
    return sync_h2.create_server(handler, **common)


def main() -> None:
    # Each child listens before its parent does, so that all of them do as soon as the port accepts a connection.
    for _ in range(OPTIONS["processes"] - 1):
        reader, writer = os.pipe()
        if os.fork():
            os.close(writer)
            os.read(reader, 1)
            os.close(reader)
        else:
            server = make_server()
            os.write(writer, b"\0")
            server.serve_forever()
    make_server().serve_forever()


if __name__ == "__main__":
    main()
