"""A checksum that is known only at the end travels behind the body, as a trailer: trailers.py [LINES]"""

import hashlib
import sys

import sync_h2

lines = int(sys.argv[1]) if sys.argv[1:] else 1000


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    checksum = hashlib.sha256()
    stream.respond({"trailer": "x-sha256"}, wait_for_trailers=True)
    for number in range(lines):
        line = f"line {number}\n".encode()
        checksum.update(line)
        stream.write(line)
    stream.send_trailers({"x-sha256": checksum.hexdigest()})


with sync_h2.create_server(handler) as server, sync_h2.connect(server.url) as session:
    stream = session.request()
    body = stream.read()
    is_whole = stream.wait_trailers()["x-sha256"] == hashlib.sha256(body).hexdigest()
    print(body.count(b"\n"), "lines,", "whole" if is_whole else "damaged")
