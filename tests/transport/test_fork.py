"""A forked child closes its copies of the descriptors and sends nothing.

The script runs in a process of its own, because forking one with threads (the test run's) is a warning of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = r"""
import os, socket, sys
from sync_h2.deadline import Deadline
from sync_h2.transport.sockets import close_listener, connect_tcp, connect_unix, listen
from sync_h2.transport.transport import Transport

folder = sys.argv[1]
listeners = [listen("127.0.0.1", 0), listen(f"unix:{folder}/server.sock", 0)]
deadline = Deadline(10)
clients = [
    connect_tcp("127.0.0.1", listeners[0].getsockname()[1], deadline),
    connect_unix(f"{folder}/server.sock", deadline),
]
servers = [listener.accept()[0] for listener in listeners]
transports = [Transport(sock) for sock in servers]
keeps_it_open = servers[0].makefile("rb")
already_closed = Transport(socket.socket())
already_closed.close()
descriptors = [sock.fileno() for sock in (*listeners, *clients, *servers)]
transports[0].wrap_locked([b"unsent"])

child = os.fork()
if child == 0:
    still_open = [number for number in descriptors if os.path.exists(f"/dev/fd/{number}")]
    sys.exit(f"open in the child: {still_open}" if still_open else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

# The parent's connections never noticed.
assert transports[0].send_some_locked()
assert clients[0].recv(100) == b"unsent"
assert os.path.exists(f"{folder}/server.sock")
keeps_it_open.close()
for transport in transports:
    transport.mark_closed_locked()
    transport.close()
for client in clients:
    assert client.recv(100) == b""  # the last copy of the other end is closed
    client.close()
for listener in listeners:
    close_listener(listener)
"""


def test_a_forked_child_closes_our_descriptors_and_the_parent_does_not_notice(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=20
    )
    assert (run.returncode, run.stderr) == (0, "")
