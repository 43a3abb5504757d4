"""A server in a process of its own, so that what attacks cost it can be read from outside. Run with a JSON object:
`options` of `create_server`, `tls` with `certfile` and `keyfile` for `create_secure_server`, and `switch_interval`.

It prints its port, serves until its standard input ends, and leaves with code 0.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from typing import Any

import sync_h2

PIECE = bytes(64 * 1024)
"""What the large bodies are made of, once for all."""


def handler(stream: Any, headers: Any) -> None:
    _, name, *argument = headers[":path"].split("/")
    if name == "big":  # as much as is asked for, as fast as the client takes it
        stream.respond()
        for _ in range(int(argument[0]) // len(PIECE)):
            stream.write(PIECE)
        stream.end(PIECE[: int(argument[0]) % len(PIECE)])
    elif name == "read":  # takes what comes, and says how much it was
        stream.end(str(sum(len(chunk) for chunk in stream)).encode())
    elif name == "wait":  # never reads, never answers, for so many seconds
        stream.wait_closed(timeout=float(argument[0]) if argument else 60)
    elif name == "busy":  # as long as a handler may take that asks something else
        threading.Event().wait(0.02)
        stream.end(b"done")
    elif name == "work":  # until nobody is there any more who asked for it
        while not stream.closed:
            threading.Event().wait(0.02)
    else:
        stream.end(b"hello")


def main() -> None:
    job = json.loads(sys.argv[1])
    sys.setswitchinterval(job["switch_interval"])
    # A server's own handlers of log records are the operator's affair; these lines would fill a pipe.
    logging.getLogger("sync_h2").addHandler(logging.NullHandler())
    logging.getLogger("sync_h2").propagate = False
    make: Any = sync_h2.create_secure_server if job["tls"] else sync_h2.create_server
    with make(handler, **job["tls"], **job["options"]) as server:
        print(server.address[1], flush=True)
        sys.stdin.read()
        server.close(timeout=0.5)


if __name__ == "__main__":
    main()
