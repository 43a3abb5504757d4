"""The soak: good and bad clients of one server, and a client of bad servers, for SYNC_H2_SOAK_SECONDS (600). Run it as
`tox -e soak`, or `PYTHONPATH=.:tests python tests/soak.py`.

Nobody good may be failed, and what the server's process and this one, the clients', hold must not grow: their memory
after a fifth of the time is compared with that at the end, threads and descriptors at the end with those at the
beginning. The figures are printed; the exit code tells whether all was well.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import socket
import subprocess
import sys
import time
import warnings
from typing import Any

from hyperframe.frame import PingFrame, PriorityFrame, SettingsFrame

from fuzz.mutations import mutated, pieces, recordings
from fuzz.record import REQUESTS
from support.attacks.victim import SCRIPT, Attacker, Costs
from support.octets.fields import REQUEST, UPLOAD
from support.threads.crowd import Crowd
from sync_h2 import HTTP2Error, connect

SECONDS = float(os.environ.get("SYNC_H2_SOAK_SECONDS", "600"))
GOOD_CLIENTS, BAD_CLIENTS = 4, 2
MEMORY_GROWTH = 20_000_000  # what the allocator's moods account for, in ten minutes as in one
CLIENTS, SERVERS = recordings("client"), recordings("server")

Address = tuple[str, int]


class Soak(Crowd):
    """Who takes part."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address

    def good_client(self, chance: random.Random) -> None:
        """One connection with a few requests of all kinds, several at once."""
        with connect(f"http://{self.address[0]}:{self.address[1]}") as session:
            for _ in range(chance.randrange(1, 20)):
                hello = session.request()
                big = session.request({":path": "/big/300000"})
                upload = session.request({":method": "POST", ":path": "/read"})
                upload.end(bytes(100_000))
                given_up = session.request({":path": "/big/10000000"})
                assert hello.read(timeout=30) == b"hello"
                assert len(big.read(timeout=30)) == 300_000
                assert upload.read(timeout=30) == b"100000"
                given_up.close(8)
            session.ping(timeout=30)

    def bad_client(self, chance: random.Random) -> None:
        """A recorded client gone wrong."""
        before, frames = CLIENTS[chance.choice(list(CLIENTS))]
        octets = mutated(before, frames, frames, chance)
        with socket.create_connection(self.address, timeout=10) as sock, contextlib.suppress(OSError):
            for piece in pieces(octets, chance):
                sock.sendall(piece)
            if chance.random() < 0.3:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # ends with a TCP reset
                return
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65_536):
                pass

    def flood(self, chance: random.Random) -> None:
        """One connection that sends much of something until it is thrown out."""
        with socket.create_connection(self.address, timeout=10) as sock, contextlib.suppress(OSError, AssertionError):
            peer = Attacker(sock, client=True)
            peer.handshake()
            kind = chance.randrange(4)
            if kind == 0:
                block = peer.block(UPLOAD)
                head = len(block).to_bytes(3, "big") + b"\x01\x04"
                peer.blast(b"".join(head + number.to_bytes(4, "big") + block for number in range(1, 2001, 2)))
            elif kind == 1:
                peer.blast(PingFrame(0, bytes(8)), times=20_000)
            elif kind == 2:
                peer.headers(1, (*REQUEST[:3], (":path", "/big/50000000")), end_stream=True)
                peer.receive()
                return  # and is gone in the middle of the answer
            else:
                peer.blast(PriorityFrame(1001), times=2000)
                peer.blast(SettingsFrame(0), times=2000)
            sock.shutdown(socket.SHUT_WR)
            peer.until_end()

    def bad_server(self, chance: random.Random) -> None:
        """A client of ours and a recorded server gone wrong."""
        before, frames = SERVERS[chance.choice(list(SERVERS))]
        near, far = socket.socketpair()
        with far, contextlib.suppress(HTTP2Error, OSError):
            far.settimeout(10)
            session = connect("http://localhost", sock=near)
            try:
                streams = [session.request(headers, end_stream=True) for headers in REQUESTS]
                for piece in pieces(mutated(before, frames, frames, chance), chance):
                    far.sendall(piece)
                far.shutdown(socket.SHUT_WR)
                for stream in streams:
                    with contextlib.suppress(HTTP2Error):
                        stream.read(timeout=10)
            finally:
                session.destroy()


def settled(costs: Costs, baseline: dict[str, int]) -> dict[str, int]:
    """Threads and descriptors once they have come down, or after ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        figures = {"threads": costs.threads, "descriptors": costs.descriptors}
        if all(figures[name] <= baseline[name] for name in figures) or time.monotonic() > deadline:
            return figures
        time.sleep(0.1)


def soak(address: Address, processes: dict[str, Costs]) -> list[str]:
    """Run it; what was wrong."""
    with connect(f"http://{address[0]}:{address[1]}") as session:
        session.request().read(timeout=10)
    baseline = {name: {"threads": costs.threads, "descriptors": costs.descriptors} for name, costs in processes.items()}
    taking_part = Soak(address)
    for number in range(GOOD_CLIENTS):
        taking_part.start(f"good_client {number}", taking_part.good_client)
    for number in range(BAD_CLIENTS):
        taking_part.start(f"bad_client {number}", taking_part.bad_client)
    taking_part.start("flood 0", taking_part.flood)
    taking_part.start("bad_server 0", taking_part.bad_server)
    begun = time.monotonic()
    memory: dict[str, list[int]] = {name: [] for name in processes}
    while (passed := time.monotonic() - begun) < SECONDS:
        time.sleep(min(1.0, SECONDS - passed))
        for name, costs in processes.items():
            memory[name].append(costs.memory)
    taking_part.finish()
    wrong = taking_part.failures
    print(f"{SECONDS:g} s:", ", ".join(f"{count} times {name}" for name, count in sorted(taking_part.done.items())))
    for name, costs in processes.items():
        fifth = max(len(memory[name]) // 5, 1)
        early, late = max(memory[name][: 2 * fifth]), max(memory[name][-fifth:])
        left = settled(costs, baseline[name])
        print(
            f"{name}: memory {early / 1e6:.1f} MB, at the end {late / 1e6:.1f} MB;",
            ", ".join(f"{what} {count}, before {baseline[name][what]}" for what, count in left.items()) + ";",
            f"CPU {costs.cpu_seconds:.0f} s",
        )
        if late - early > MEMORY_GROWTH:
            wrong.append(f"{name}: memory grew by {(late - early) / 1e6:.1f} MB")
        wrong += [
            f"{name}: {count - baseline[name][what]} {what} are left over"
            for what, count in left.items()
            if count > baseline[name][what]
        ]
    return wrong


def main() -> int:
    # Forgotten streams, and what bad servers do, are what happens here all the time.
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("sync_h2").setLevel(logging.ERROR)
    job: dict[str, Any] = {"tls": {}, "options": {}, "switch_interval": sys.getswitchinterval()}
    command = [sys.executable, str(SCRIPT), json.dumps(job)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = ("127.0.0.1", int(server.stdout.readline()))
        wrong = soak(address, {"server": Costs(server.pid), "clients": Costs(os.getpid())})
        server.stdin.close()
        if server.wait(10):
            wrong.append(f"the server left with {server.returncode}")
    for line in wrong[:20]:
        print(line)
    print("all was well" if not wrong else f"{len(wrong)} things were wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
