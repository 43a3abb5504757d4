"""Serve over TLS until Ctrl-C, and take a renewed certificate without a restart: tls_server.py CERTFILE KEYFILE [PORT]

Enter on the terminal reads both files again; connections that are open go on.
"""

import sys

import sync_h2


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"content-type": "text/plain"})
    stream.end(f"Hello, {headers[':authority']}\n".encode())


if len(sys.argv) < 3:
    sys.exit(__doc__)
certfile, keyfile = sys.argv[1:3]
port = int(sys.argv[3]) if sys.argv[3:] else 0
with sync_h2.create_secure_server(handler, port=port, certfile=certfile, keyfile=keyfile) as server:
    print(server.url, flush=True)
    for _ in sys.stdin:  # until its end
        server.reload_certificate(certfile, keyfile)
        print("reloaded", flush=True)
