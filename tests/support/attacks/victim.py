"""A server to attack, in a process of its own (victim_server.py), and what has to hold while it is attacked: a
bystander is served, and nothing grows. Linux tells what a process costs in /proc.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import Frame, GoAwayFrame, WindowUpdateFrame

from sync_h2 import connect
from sync_h2.constants import SettingId

from ..peers.raw_peer import PATIENCE, Fields, RawPeer
from ..threads.background import Background, eventually
from ..tls.certificates import Certificate

SCRIPT = Path(__file__).parent / "victim_server.py"
BYSTANDER_PATIENCE = 2.0
MEMORY_GROWTH = 50_000_000
CPU_SECONDS = 20.0
_THREADS_OF_A_CONNECTION = 3  # reader, writer, dispatcher
_OTHER_THREADS = 4  # what the bystander's requests take
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Attacker(RawPeer):
    """A client that sends whatever octets it likes, and does not mind being thrown out in the middle of it."""

    stream_window = 65_535
    """What the server's SETTINGS let a stream send at first."""

    def blast(self, octets: bytes | Frame, times: int = 1) -> None:
        """Send octets, or as much of them as the server takes before it ends the connection."""
        if isinstance(octets, Frame):
            octets = octets.serialize()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            self.sock.sendall(octets * times)

    def upload(self, stream_id: int, frame: bytes, flow_controlled: int, times: int) -> None:
        """Send a DATA frame again and again, as fast as the windows open; the first on its connection."""
        stream_window, connection_window = self.stream_window, 65_535
        while times:
            while min(stream_window, connection_window) < flow_controlled:
                update = self.expect(WindowUpdateFrame)
                if update.stream_id == stream_id:
                    stream_window += update.window_increment
                elif not update.stream_id:
                    connection_window += update.window_increment
            count = min(times, stream_window // flow_controlled, connection_window // flow_controlled)
            self.sock.sendall(frame * count)
            stream_window -= flow_controlled * count
            connection_window -= flow_controlled * count
            times -= count

    def block(self, fields: Fields) -> bytes:
        return self._encoder.encode(fields)

    def thrown_out(self) -> tuple[int, bytes]:
        """Wait for the connection's end: the code and the data of its GOAWAY."""
        goaways = [frame for frame in self.until_end() if isinstance(frame, GoAwayFrame)]
        assert goaways, "the connection ended without GOAWAY"
        return goaways[-1].error_code, goaways[-1].additional_data

    def reset_connection(self) -> None:
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Costs:
    """What a process takes at this moment; `peak_memory` is the most that it ever took."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def _status(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(f"no {name}: the process has ended")

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def memory(self) -> int:
        return self._status("VmRSS") * 1024

    @property
    def peak_memory(self) -> int:
        return self._status("VmHWM") * 1024

    @property
    def cpu_seconds(self) -> float:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    @property
    def descriptors(self) -> int:
        return len(os.listdir(self._folder / "fd"))


class Victim:
    """The server's process. Attack it inside `with victim.watched(...)`."""

    def __init__(self, process: subprocess.Popen[bytes], cafile: str | None, background: Background) -> None:
        assert process.stdout is not None
        self.costs = Costs(process.pid)
        self._background = background
        self._cafile = cafile
        self._sockets: list[socket.socket] = []
        self.address = ("127.0.0.1", int(process.stdout.readline()))

    # -- attackers

    def dial(self, receive_buffer: int | None = None) -> socket.socket:
        """A TCP connection to it."""
        sock = socket.socket()
        self._sockets.append(sock)
        sock.settimeout(PATIENCE)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(self.address)
        return sock

    def attacker(self, settings: Mapping[int, int] | None = None, receive_buffer: int | None = None) -> Attacker:
        """A connection after the handshake."""
        sock = self.dial(receive_buffer)
        if self._cafile is not None:
            context = ssl.create_default_context(cafile=self._cafile)
            context.set_alpn_protocols(["h2"])
            sock = context.wrap_socket(sock, server_hostname="localhost")
            self._sockets.append(sock)
        peer = Attacker(sock, client=True)
        announced = peer.handshake(settings)
        peer.stream_window = announced.settings[SettingId.INITIAL_WINDOW_SIZE]
        return peer

    def attack(self, attack: Callable[[Attacker], Any], connections: int = 3, **options: Any) -> list[Any]:
        """What `attack(attacker)` returns, called for several connections at once."""
        attackers = [self.attacker(**options) for _ in range(connections)]
        calls = [self._background(attack, attacker) for attacker in attackers]
        return [call.result(4 * PATIENCE) for call in calls]

    def hang_up(self) -> None:
        """Close all connections that tests have made."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    # -- what it costs

    def _quiet(self) -> bool:
        """Whether it does nothing for a moment."""
        before = self.costs.cpu_seconds
        time.sleep(0.2)
        return self.costs.cpu_seconds - before <= 0.04

    @contextlib.contextmanager
    def watched(self, *, handlers: int = 0, connections: int = 3, cpu_seconds: float = CPU_SECONDS) -> Iterator[None]:
        """In the block, where the attack happens, and after it: somebody else's requests are answered in time, memory
        and CPU are bounded, threads are no more than what so many `connections` and `handlers` take, and all of it is
        given back.
        """
        with self._bystander() as session:
            session.request().read(timeout=PATIENCE)  # what is loaded at the first request is no growth
            baseline = self.costs.threads, self.costs.peak_memory, self.costs.cpu_seconds, self.costs.descriptors
            threads, memory, cpu, descriptors = baseline
            most_threads = [threads]
            stop = threading.Event()

            def look_on() -> int:
                count = 0
                while not stop.wait(0.01):
                    assert session.request().read(timeout=BYSTANDER_PATIENCE) == b"hello"
                    most_threads.append(self.costs.threads)
                    count += 1
                return count

            looking_on = self._background(look_on)
            try:
                yield
                eventually(self._quiet, "a quiet moment after the attack")
            finally:
                stop.set()
            assert looking_on.result(PATIENCE) > 0
            assert session.request().read(timeout=BYSTANDER_PATIENCE) == b"hello"
            allowed = _THREADS_OF_A_CONNECTION * connections + handlers + _OTHER_THREADS
            most = max(most_threads)
            assert most <= threads + allowed, f"{most} threads"
            assert self.costs.cpu_seconds - cpu <= cpu_seconds
            growth = self.costs.peak_memory - memory
            assert growth <= MEMORY_GROWTH, f"{growth / 1e6:.0f} MB"
            self.hang_up()
            eventually(lambda: self.costs.descriptors <= descriptors, "descriptors given back")
            eventually(lambda: self.costs.threads <= threads + _OTHER_THREADS + handlers, "threads given back")

    @contextlib.contextmanager
    def _bystander(self) -> Iterator[Any]:
        scheme = "https" if self._cafile else "http"
        with connect(f"{scheme}://127.0.0.1:{self.address[1]}", cafile=self._cafile) as session:
            yield session


@pytest.fixture
def start(certificate: Certificate, background: Background) -> Iterator[Callable[..., Victim]]:
    """Starts a server with the options of `create_server`; with `tls=True`, of `create_secure_server`."""
    processes: list[subprocess.Popen[bytes]] = []
    victims: list[Victim] = []

    def make(*, tls: bool = False, **options: Any) -> Victim:
        files = {"certfile": str(certificate.certfile), "keyfile": str(certificate.keyfile)} if tls else {}
        job = {"tls": files, "options": options, "switch_interval": sys.getswitchinterval()}
        command = [sys.executable, str(SCRIPT), json.dumps(job)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes.append(process)
        victims.append(Victim(process, str(certificate.cafile) if tls else None, background))
        return victims[-1]

    yield make
    for victim in victims:
        victim.hang_up()
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            code = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert code == 0


@pytest.fixture
def victim(start: Callable[..., Victim]) -> Victim:
    """A server with the default options."""
    return start()


@pytest.fixture(params=["cleartext", "TLS"])
def either_victim(start: Callable[..., Victim], request: pytest.FixtureRequest) -> Victim:
    """The same, without TLS and with it."""
    return start(tls=request.param == "TLS")
