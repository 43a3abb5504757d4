"""A gRPC server, with nothing but HTTP/2: grpc_echo.py [PORT], until Ctrl-C.

Any gRPC client can call it. It takes messages for the bytes they are; with protobuf, they would be parsed first. The
protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import contextlib
import io
import struct
import sys
from collections.abc import Iterator

import sync_h2

UNIMPLEMENTED, INTERNAL = 12, 13  # of gRPC's status codes
PREFIX = struct.Struct(">BL")  # whether the message is compressed, and its length
LONGEST = 4 << 20


def receive(stream: sync_h2.ServerStream) -> Iterator[bytes]:
    """The messages of a call, as they come."""
    body = io.BufferedReader(stream.rfile)
    while prefix := body.read(PREFIX.size):
        compressed, length = PREFIX.unpack(prefix)
        if compressed or length > LONGEST:
            raise ValueError("a message that is compressed or too long")
        message = body.read(length)
        if len(message) < length:
            raise ValueError("a message that was cut short")
        yield message


def once(requests: Iterator[bytes]) -> Iterator[bytes]:
    """One message in, one out."""
    [request] = requests
    yield request


def each(requests: Iterator[bytes]) -> Iterator[bytes]:
    """A conversation: each message is answered before the next one comes."""
    yield from requests


METHODS = {"/example.Echo/Once": once, "/example.Echo/Each": each}


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    method = METHODS.get(headers[":path"])
    if method is None:
        failure: dict[str, str | int] = {"grpc-status": UNIMPLEMENTED, "grpc-message": "there is no such method"}
        stream.respond({"content-type": "application/grpc", **failure}, end_stream=True)
        return
    stream.respond({"content-type": "application/grpc"}, wait_for_trailers=True)
    trailers: dict[str, str | int] = {"grpc-status": 0}
    try:
        for answer in method(receive(stream)):
            stream.write(PREFIX.pack(False, len(answer)) + answer)
    except (ValueError, struct.error) as error:
        trailers = {"grpc-status": INTERNAL, "grpc-message": str(error)}
    stream.send_trailers(trailers)


port = int(sys.argv[1]) if sys.argv[1:] else 0
# A conversation may pause for as long as its client likes.
with sync_h2.create_server(handler, port=port, read_timeout=None) as server:
    print(server.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
