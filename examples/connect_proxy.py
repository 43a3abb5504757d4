"""A forward proxy, and a client that reaches a server through it.

connect_proxy.py [PORT]             serves until Ctrl-C: tunnels to wherever its clients ask for
connect_proxy.py PROXY HOST:PORT    sends its input to HOST:PORT through the proxy, and prints what comes back

It serves this machine alone: whoever reaches a proxy's port can reach what the proxy can.
"""

import contextlib
import math
import os
import socket
import sys
import threading

import sync_h2

CHUNK = 64 * 1024


def proxy(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    if headers[":method"] != "CONNECT":
        stream.respond({":status": 405, "allow": "CONNECT"}, end_stream=True)
        return
    host, _, port = headers[":authority"].rpartition(":")
    try:
        far = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    except (OSError, ValueError, OverflowError) as error:
        stream.respond({":status": 502, "content-type": "text/plain"})
        stream.end(f"{headers[':authority']}: {error}".encode())
        return
    with far:
        far.settimeout(None)
        stream.respond()
        returning = threading.Thread(target=bring_back, args=(far, stream))
        returning.start()
        try:
            while data := stream.read(CHUNK, timeout=math.inf):  # a tunnel may be silent for hours
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)  # the client has ended its side, and may still read
            stream.wait_closed(timeout=math.inf)
        except (OSError, sync_h2.HTTP2Error):
            stream.close(sync_h2.ErrorCode.CONNECT_ERROR)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)  # wakes the other thread, if it still waits
        returning.join()


def bring_back(far: socket.socket, stream: sync_h2.ServerStream) -> None:
    try:
        while data := far.recv(CHUNK):
            stream.write(data, timeout=math.inf)
        stream.end()
    except (OSError, sync_h2.HTTP2Error):
        stream.close(sync_h2.ErrorCode.CONNECT_ERROR)  # wakes the other thread, and tells the client


def serve(port: int) -> None:
    with sync_h2.create_server(proxy, port=port, close_timeout=1) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def talk(proxy_url: str, target: str) -> None:
    with sync_h2.connect(proxy_url, timeout=10) as session:
        stream = session.request({":method": "CONNECT", ":authority": target})
        if stream.wait_response(timeout=15)[":status"] != "200":
            sys.exit(f"refused: {stream.read(timeout=15).decode()}")
        threading.Thread(target=send_input, args=(stream,), daemon=True).start()
        try:
            for data in stream:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        except sync_h2.StreamReset as error:
            sys.exit(f"broken: {error}")


def send_input(stream: sync_h2.ClientStream) -> None:
    with contextlib.suppress(sync_h2.HTTP2Error):  # which the main thread sees too
        while data := os.read(0, CHUNK):
            stream.write(data)
        stream.end()


if len(sys.argv) == 3:
    talk(sys.argv[1], sys.argv[2])
else:
    serve(int(sys.argv[1]) if sys.argv[1:] else 0)
