"""The hammer: many threads on one session, many sessions on one server, and the pool of a client, for
SYNC_H2_HAMMER_SECONDS (300). Run it as `tox -e hammer`, or `PYTHONPATH=.:tests python tests/hammer.py`; without the GIL
it finds most. Parts can be named: share_a_session, have_sessions, share_clients.

What they do to each other: bodies whose every octet is checked, trailers, pushes, resets from both sides, timeouts,
sessions that end gracefully or at once, servers that hand over to others, objects that another thread than their maker
drops or the garbage collector finds. Nobody may fail who was not made to, nothing may hang, and no thread and no
descriptor may be left. The figures are printed; the exit code tells whether all was well.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from support.attacks.hammered import NO_LIMITS, PATIENCE, UNHEARD_OF, Faults, Rubbish, Serving, body, pieces
from support.rules.leaks import stack_of
from support.threads.crowd import Crowd
from support.tls.authority import CA
from sync_h2 import (
    Client,
    ClientSession,
    ConnectionLost,
    ErrorCode,
    HTTP2Error,
    PingLimit,
    PoolLimits,
    StreamReset,
    Timeout,
    connect,
)
from sync_h2 import exceptions as calls

SECONDS = float(os.environ.get("SYNC_H2_HAMMER_SECONDS", "300"))
THREADS = 64
SIZES = (0, 1, 12, 12, 12, 1000, 16_384, 16_385, 100_000, 1_000_000)
SMALL_SIZES = SIZES[:-1]


def fresh(chance: random.Random) -> int:
    return chance.randrange(10**9)


def check(received: bytes, seed: int, size: int) -> None:
    expected = body(seed, size)
    if received != expected:
        first = next(
            (i for i, (one, other) in enumerate(zip(received, expected, strict=False)) if one != other), len(received)
        )
        raise AssertionError(f"wrong octets from {first} on: {len(received)} of {size}, seed {seed}")


# -- the server


class Apart:
    """A server in a process of its own."""

    def __init__(self, certfile: str | None, faults: Faults) -> None:
        self._faults = faults
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.attacks.hammered", certfile or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server's process has ended"
        return line

    def restart(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("restart\n")
        self._process.stdin.flush()
        self._line()

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        for fault in json.loads(self._line()):
            self._faults.add(f"in the server's process: {fault}")
        if status := self._process.wait(PATIENCE):
            self._faults.add(f"the server's process ended with {status}")
        self._process.stdout.close()


class Line:
    """A session, and what it has coming."""

    def __init__(self, hammer: Hammer) -> None:
        self._hammer = hammer
        self.slammed = False
        self.ended = False
        self.session = self._connected()

    def _connected(self) -> ClientSession:
        while True:
            self._restarts = self._hammer.restarts
            try:
                return self._hammer.connect()
            except ConnectionLost as error:
                if not (error.retryable and self.is_of_old):
                    raise
            self._hammer.count("failures forgiven")

    @property
    def is_of_old(self) -> bool:
        """Whether its server has been told to end since, or was about to."""
        return bool(self._restarts % 2 or self._restarts != self._hammer.restarts)

    def forgives(self, error: HTTP2Error) -> bool:
        """Whether a request that nothing is wrong with may end so. What ends gracefully finishes what it has begun."""
        if isinstance(error, Timeout):
            return False
        # What the listener's end left in its queue was never a session.
        in_queue = self.is_of_old and "before it said anything" in str(error)
        return self.slammed or in_queue or ((self.ended or self.is_of_old) and error.retryable)


class Hammer(Crowd):
    """One part: what goes on at the same time."""

    def __init__(self, serving: Serving | Apart, cafile: str | None, rubbish: Rubbish) -> None:
        super().__init__()
        self.restarts = 0  # odd while one goes on
        self._serving = serving
        self._cafile = cafile
        self._rubbish = rubbish
        self._shared_lock = threading.Lock()
        self._shared: Line | None = None
        self._clients: list[Client] = []

    @property
    def url(self) -> str:
        return f"{'https://localhost' if self._cafile else 'http://127.0.0.1'}:{self._serving.port}"

    def connect(self) -> ClientSession:
        return connect(self.url, timeout=PATIENCE, cafile=self._cafile, **NO_LIMITS)

    # -- one session

    def share_a_session(self) -> None:
        for number in range(THREADS):
            self.start(f"turn {number}", self._act_on_shared)
        self.start("session 0", self._end_shared)
        self.start("restart 0", self._restart)

    def _act_on_shared(self, chance: random.Random) -> None:
        with self._shared_lock:
            line = self._shared
            if line is None or line.session.closed:
                self._shared = line = Line(self)
        self._act(line, chance)

    def _end_shared(self, chance: random.Random) -> None:
        self.pause(chance.uniform(0, 2))
        with self._shared_lock:
            line, self._shared = self._shared, None
        if line is not None:
            self._end(line, chance)

    def _restart(self, chance: random.Random) -> None:
        self.pause(chance.uniform(0, 10))
        self.restarts += 1
        self._serving.restart()
        self.restarts += 1

    # -- many sessions

    def have_sessions(self) -> None:
        for number in range(THREADS):
            self.start(f"session {number}", self._live)
        self.start("restart 0", self._restart)

    def _live(self, chance: random.Random) -> None:
        line = Line(self)
        for _ in range(chance.randrange(30)):
            self._act(line, chance)
        self._end(line, chance)

    def _end(self, line: Line, chance: random.Random) -> None:
        session = line.session
        kind = chance.randrange(6)
        line.ended = True
        line.slammed = kind in (0, 1, 2)
        try:
            if kind == 0:
                session.destroy()
            elif kind == 1:
                session.request({":path": "/slam"}, timeout=PATIENCE).wait_closed(PATIENCE)
            elif kind == 2:
                with session:
                    session.request({":path": "/wait"}, timeout=PATIENCE)
            elif kind == 3:
                session.close(PATIENCE)
            elif kind == 4:
                seed = fresh(chance)
                check(
                    session.request({":path": f"/goodbye/{seed}/1000"}, timeout=PATIENCE).read(-1, PATIENCE), seed, 1000
                )
            else:
                self._rubbish.put(session)
        except HTTP2Error as error:
            if not line.forgives(error):
                raise
        self.count(f"{('destroyed', 'slammed', 'left', 'closed', 'sent away', 'dropped')[kind]} sessions")

    # -- what is done on a session

    def _act(self, line: Line, chance: random.Random) -> None:
        act = chance.choice(ACTS)
        try:
            act(self, line.session, chance)
        except Timeout as error:
            raise AssertionError(f"{act.__name__} hung: {json.dumps(line.session.dump())}") from error
        except HTTP2Error as error:
            if not line.forgives(error):
                raise
            self.count("failures forgiven")
        else:
            self.count(act.__name__)

    def download(self, session: ClientSession, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SIZES)
        stream = session.request({":path": f"/body/{seed}/{size}"}, timeout=PATIENCE)
        assert stream.wait_response(PATIENCE)["x-seed"] == str(seed)
        received = read(stream, chance)
        check(received, seed, size)
        assert stream.wait_trailers(PATIENCE)["x-checksum"] == str(zlib.crc32(received))

    def upload(self, session: ClientSession, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SIZES)
        stream = session.request({":method": "POST", ":path": f"/upload/{seed}/{size}"}, timeout=PATIENCE)
        for piece in pieces(body(seed, size), seed):
            stream.write(piece, timeout=PATIENCE)
        stream.end(timeout=PATIENCE)
        assert stream.read(timeout=PATIENCE) == b"%d" % size

    def echo(self, session: ClientSession, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SMALL_SIZES)
        stream = session.request({":method": "POST", ":path": "/echo"}, wait_for_trailers=True, timeout=PATIENCE)
        for piece in pieces(body(seed, size), seed):
            stream.write(piece, timeout=PATIENCE)
        stream.send_trailers({"x-seed": str(seed)})
        check(read(stream, chance), seed, size)
        assert stream.wait_trailers(PATIENCE)["x-seed"] == str(seed)

    def push(self, session: ClientSession, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SMALL_SIZES)
        stream = session.request({":path": f"/push/{seed}/{size}"}, timeout=PATIENCE)
        check(stream.read(timeout=PATIENCE), seed + 1, size)
        pushed = stream.wait_push(PATIENCE)
        if pushed is None:
            self.count("pushes that were not made")  # an end that closes makes and takes none
        else:
            check(read(pushed, chance), seed, size)

    def timeout(self, session: ClientSession, chance: random.Random) -> None:
        """The answer is whole although some of the waiting for it was given up."""
        seed, size = fresh(chance), chance.choice(SMALL_SIZES)
        stream = session.request({":path": f"/late/{seed}/{size}"}, timeout=PATIENCE)
        with contextlib.suppress(Timeout):
            stream.wait_response(0.01)
        check(stream.read(timeout=PATIENCE), seed, size)

    def write_timeout(self, session: ClientSession, chance: random.Random) -> None:
        """What is never read does not stop others."""
        stream = session.request({":method": "POST", ":path": "/wait"}, timeout=PATIENCE)
        try:
            stream.write(bytes(1_000_000), timeout=0.01)
        except Timeout as error:
            assert error.bytes_written < 1_000_000
        self._give_up(stream, chance)

    def give_up(self, session: ClientSession, chance: random.Random) -> None:
        seed = fresh(chance)
        stream = session.request({":path": f"/body/{seed}/1000000"}, timeout=PATIENCE)
        if chance.random() < 0.5:
            size = chance.choice((1, 1000, 100_000))
            received = stream.read(size, timeout=PATIENCE)
            assert received == body(seed, 1_000_000)[: len(received)]
        self._give_up(stream, chance)

    def drop(self, session: ClientSession, chance: random.Random) -> None:
        self._give_up(session.request({":path": "/wait"}, timeout=PATIENCE), chance)

    def _give_up(self, stream: Any, chance: random.Random) -> None:
        kind = chance.randrange(4)
        if kind == 0:
            stream.close(ErrorCode.CANCEL)
        elif kind == 1:
            with stream:
                pass
        elif kind == 2:
            self._rubbish.put(stream)
        # else: this thread drops it

    def reset(self, session: ClientSession, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice((1, 1000, 100_000))
        stream = session.request({":path": f"/reset/{seed}/{size}"}, timeout=PATIENCE)
        try:
            stream.read(timeout=PATIENCE)
        except StreamReset as error:
            if error.code != ErrorCode.INTERNAL_ERROR:
                raise
            assert body(seed, size).startswith(error.partial)
        else:
            raise AssertionError("what was reset looks whole")

    def forgotten(self, session: ClientSession, chance: random.Random) -> None:
        """The server has dropped its end of the stream, which ends it."""
        stream = session.request({":path": "/leave"}, timeout=PATIENCE)
        try:
            stream.read(timeout=UNHEARD_OF)
        except StreamReset as error:
            if error.retryable:
                raise
        else:
            raise AssertionError("what was forgotten looks whole")

    def look(self, session: ClientSession, chance: random.Random) -> None:
        repr((session.state, session.stats, session.dump(), session.remote_settings))
        window = chance.choice((65_535, 262_144, 1_000_000))
        try:
            session.settings({"initial_window_size": window}, timeout=PATIENCE, wait=True)
            session.ping(timeout=PATIENCE)
        except PingLimit:
            pass
        except HTTP2Error as error:
            if isinstance(error, Timeout) or not session.closed:
                raise

    # -- pools

    def share_clients(self) -> None:
        options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": PATIENCE,
            "verify": self._cafile or True,
            "limits": PoolLimits(max_connections_per_origin=THREADS // 8),
            "trust_env": False,
            **NO_LIMITS,
        }
        self._clients = [Client(**options), Client(h2c=True, **options)]  # cleartext: HTTP/1.1, and HTTP/2
        for number in range(THREADS):
            self.start(f"turn {number}", functools.partial(self._call, self._clients[number % 2]))
        self.start("restart 0", self._restart)

    def _call(self, client: Client, chance: random.Random) -> None:
        act = chance.choice(CALLS)
        restarts = self.restarts
        try:
            act(self, client, chance)
        except calls.ConnectionError:
            if act is not Hammer.post or (restarts % 2 == 0 and restarts == self.restarts):
                raise
            self.count("failures forgiven")
        else:
            self.count(act.__name__)

    def get(self, client: Client, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SIZES)
        response = client.get(f"/body/{seed}/{size}")
        assert response.headers["x-seed"] == str(seed)
        check(response.content, seed, size)
        if response.http_version == "HTTP/2":
            assert response.trailers["x-checksum"] == str(zlib.crc32(response.content))

    def post(self, client: Client, chance: random.Random) -> None:
        """Never sent twice, so that it may fail when a server goes."""
        seed, size = fresh(chance), chance.choice(SIZES)
        assert client.post(f"/upload/{seed}/{size}", data=body(seed, size)).content == b"%d" % size

    def get_many(self, client: Client, chance: random.Random) -> None:
        seeds = {fresh(chance) for _ in range(5)}
        enough = chance.choice((0, 2))
        for response in client.map([f"/body/{seed}/1000" for seed in seeds]):
            seed = int(response.headers["x-seed"])
            seeds.remove(seed)
            check(response.content, seed, 1000)
            if len(seeds) == enough:
                break
        assert len(seeds) == enough

    def get_in_pieces(self, client: Client, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SIZES)
        with client.stream("GET", f"/body/{seed}/{size}") as response:
            check(b"".join(response.iter_content(chance.choice((1000, 70_000)))), seed, size)

    def get_some(self, client: Client, chance: random.Random) -> None:
        """The connection's place must come free, whoever drops the response."""
        seed, size = fresh(chance), chance.choice(SIZES)
        response = client.get(f"/body/{seed}/{size}", stream=True)
        if chance.random() < 0.5:
            received = next(response.iter_content(1000), b"")
            assert received == body(seed, size)[: len(received)]
        kind = chance.randrange(3)
        if kind == 0:
            response.close()
        elif kind == 1:
            self._rubbish.put(response)

    def get_in_time(self, client: Client, chance: random.Random) -> None:
        seed, size = fresh(chance), chance.choice(SMALL_SIZES)
        with contextlib.suppress(calls.ReadTimeout):
            check(
                client.get(f"/late/{seed}/{size}", timeout=(PATIENCE, chance.choice((0.001, 0.02)))).content, seed, size
            )

    # -- the end

    def finish(self) -> None:
        super().finish()
        if self._shared is not None:
            self._shared.session.destroy()
            self._shared = None
        for client in self._clients:
            client.close()
        self._rubbish.close()


def read(stream: Any, chance: random.Random) -> bytes:
    """The body, in one of the ways there are."""
    kind = chance.randrange(5)
    if kind == 0:
        return b"".join(stream)
    if kind == 1:
        return b"".join(iter(lambda: stream.read(chance.choice((1000, 70_000)), timeout=PATIENCE), b""))
    if kind == 2:
        received, buffer = bytearray(), bytearray(50_000)
        while count := stream.readinto(buffer, timeout=PATIENCE):
            received += buffer[:count]
        return bytes(received)
    if kind == 3:
        with stream.rfile as file:
            return bytes(file.read())
    return bytes(stream.read(timeout=PATIENCE))


Act = Callable[[Hammer, Any, random.Random], None]
ACTS: tuple[Act, ...] = (
    *(Hammer.download, Hammer.upload, Hammer.echo) * 3,
    *(Hammer.push, Hammer.timeout, Hammer.write_timeout, Hammer.give_up, Hammer.drop, Hammer.reset, Hammer.forgotten),
    Hammer.look,
)
CALLS: tuple[Act, ...] = (
    *(Hammer.get, Hammer.post, Hammer.get_some) * 2,
    *(Hammer.get_many, Hammer.get_in_pieces, Hammer.get_in_time),
)
PARTS: tuple[Callable[[Hammer], None], ...] = (Hammer.share_a_session, Hammer.have_sessions, Hammer.share_clients)


@contextlib.contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """If the block takes longer, every thread's stack is printed, and the process ends."""
    over = threading.Event()

    def watch() -> None:
        if not over.wait(seconds):
            print(*map(stack_of, threading.enumerate()), "it hangs", sep="\n", flush=True)
            os._exit(2)

    thread = threading.Thread(target=watch, name="watchdog")
    thread.start()
    yield
    over.set()
    thread.join()


def hammer(
    part: Callable[[Hammer], None],
    certfile: str | None,
    cafile: str | None,
    apart: bool,
    seconds: float,
    faults: Faults,
) -> None:
    began = time.monotonic()
    name = f"{part.__name__}, {'TLS' if certfile else 'cleartext'}, {'two processes' if apart else 'one process'}"
    with watchdog(seconds + 3 * PATIENCE), faults.nothing_left_over(name):
        serving = (Apart if apart else Serving)(certfile, faults)
        crowd = Hammer(serving, cafile, Rubbish())
        part(crowd)
        crowd.pause(seconds)
        crowd.finish()
        finished = time.monotonic()
        serving.close()
    faults.found += [f"{name}: {failure}" for failure in crowd.failures]
    took = f"{finished - began:.0f} s, the server's end {time.monotonic() - finished:.1f} s"
    print(f"{name} ({took}):", ", ".join(f"{what} {count}" for what, count in sorted(crowd.done.items())), flush=True)


def main() -> int:
    faulthandler.enable()
    faults = Faults()
    faults.watch()
    print(f"Python {sys.version}, the GIL is {'on' if getattr(sys, '_is_gil_enabled', lambda: True)() else 'off'}")
    with tempfile.TemporaryDirectory() as folder:
        authority, certfile, cafile = CA(), f"{folder}/server.pem", f"{folder}/authority.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certfile)
        authority.cert_pem.write_to_path(cafile)
        wanted = [part for part in PARTS if part.__name__ in sys.argv[1:] or not sys.argv[1:]]
        parts = [
            (part, way, apart)
            for apart in (False, True)
            for way in ((None, None), (certfile, cafile))
            for part in wanted
        ]
        for part, way, apart in parts:
            hammer(part, *way, apart, SECONDS / len(parts), faults)
    kinds: dict[str, list[str]] = {}
    for fault in faults.found:
        kinds.setdefault(re.sub(r"\d+", "N", fault), []).append(fault)
    for alike in kinds.values():
        print(f"{len(alike)} times: {alike[0]}")
    print("all was well" if not faults.found else f"{len(faults.found)} things were wrong")
    return int(bool(faults.found))


if __name__ == "__main__":
    sys.exit(main())
