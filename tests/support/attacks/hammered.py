"""The server under the hammer (tests/hammer.py): in its process, or in one of its own, which is started with the
file of a certificate, or an empty argument.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import logging
import queue
import random
import sys
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import sync_h2
from sync_h2.transport.full_sockets import full_sockets

from ..rules.leaks import open_descriptors, threads_left

PATIENCE = 60.0
"""Seconds for what should take a few of them at most, on a machine that does much else."""
UNHEARD_OF = 40.0
"""Seconds in which a dropped object must have ended what it stood for."""
NO_LIMITS = {
    "stream_reset_burst": 10**9,
    "max_session_rejected_streams": 10**9,
    "max_session_invalid_frames": 10**9,
    "max_outstanding_pings": 10**6,
    "handshake_timeout": PATIENCE,
}
"""What is counted against attackers, which these are not."""

_PATTERN = bytes(range(251)) * 8000


def body(seed: int, size: int) -> bytes:
    """No two seeds have the same."""
    start = seed % 251
    return (seed.to_bytes(8, "big") + _PATTERN[start : start + size])[:size]


def pieces(octets: bytes, seed: int) -> Iterator[memoryview]:
    chance = random.Random(seed)
    view = memoryview(octets)
    while view:
        size = chance.choice((1, 100, 16_384, 50_000, 300_000))
        yield view[:size]
        view = view[size:]


# -- what goes wrong anywhere


class Faults:
    """What nobody caught, what was logged, and what was left over."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, what: str, error: BaseException | None = None) -> None:
        self.found.append(what + ("\n" + "".join(traceback.format_exception(error)) if error else ""))

    def watch(self) -> None:
        """Hear of everything that this process would only print."""
        full_sockets.ensure_running()  # what the process has one of is not what it leaves
        threading.excepthook = lambda said: self.add(f"{said.thread} ended with", said.exc_value)
        sys.unraisablehook = lambda said: self.add(f"{said.err_msg} {said.object!r}", said.exc_value)
        handler = logging.Handler(logging.WARNING)
        handler.emit = self._logged  # type: ignore[method-assign]
        logger = logging.getLogger("sync_h2")
        logger.addHandler(handler)
        logger.propagate = False
        warnings.simplefilter("ignore", ResourceWarning)  # dropped streams are what happens here all the time

    def _logged(self, record: logging.LogRecord) -> None:
        if "for a thread" not in record.getMessage():  # a busy machine's handlers wait for that
            error = record.exc_info[1] if record.exc_info else None
            self.add(f"{record.levelname}: {record.getMessage()}", error)

    @contextlib.contextmanager
    def nothing_left_over(self, where: str) -> Iterator[None]:
        """Every thread that the block starts and every descriptor that it opens must go."""
        threads, descriptors = set(threading.enumerate()), open_descriptors()
        yield
        deadline = time.monotonic() + UNHEARD_OF
        if left := threads_left(threads, deadline):
            self.add(f"{where}: threads are left\n{left}")
        while opened := set(open_descriptors().items()) - set(descriptors.items()):
            gc.collect()
            if time.monotonic() > deadline:
                self.add(f"{where}: descriptors are left: {opened}")
                break
            time.sleep(0.05)


class Rubbish:
    """Takes objects that other threads have made, and drops them on a thread of its own; has the garbage collector run
    again and again on another.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._turn = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=act, name=act.__name__) for act in (self._drop, self._collect)]
        for thread in self._threads:
            thread.start()

    def put(self, thing: Any) -> None:
        """Every other one lies in a cycle, and waits for the garbage collector."""
        if next(self._turn) % 2:
            cycle = [thing]
            cycle.append(cycle)
            thing = cycle
        self._queue.put(thing)

    def _drop(self) -> None:
        while self._queue.get() is not None:
            pass

    def _collect(self) -> None:
        while not self._over.wait(0.02):
            gc.collect()

    def close(self) -> None:
        self._queue.put(None)
        self._over.set()
        for thread in self._threads:
            thread.join()
        gc.collect()


# -- handlers


class Handlers:
    """A method for each path: /name/number/number."""

    def __init__(self, faults: Faults, rubbish: Rubbish) -> None:
        self._faults = faults
        self._rubbish = rubbish

    def __call__(self, stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        _, name, *arguments = headers[":path"].split("/")
        try:
            getattr(self, name)(stream, *map(int, arguments))
        except (sync_h2.StreamReset, sync_h2.SessionGoaway, sync_h2.ConnectionLost, sync_h2.SessionClosed):
            pass  # the client has gone, or has been sent away
        except Exception as error:
            self._faults.add(f"the handler of {headers[':path']} failed", error)
            stream.close(2)

    def body(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        octets = body(seed, size)
        stream.respond({"x-seed": str(seed)}, wait_for_trailers=True)
        for piece in pieces(octets, seed):
            stream.write(piece)
        stream.send_trailers({"x-checksum": str(zlib.crc32(octets))})

    def echo(self, stream: sync_h2.ServerStream) -> None:
        stream.respond(wait_for_trailers=True)
        for chunk in stream:
            stream.write(chunk)
        stream.send_trailers(dict(stream.wait_trailers()))

    def upload(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        if stream.read() != body(seed, size):
            self._faults.add(f"an upload of {size} octets, seed {seed}, came with others")
        stream.end(b"%d" % size)

    def late(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        threading.Event().wait(seed % 50 / 1000)
        stream.end(body(seed, size))

    def reset(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        stream.write(body(seed, size))
        stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)

    def wait(self, stream: sync_h2.ServerStream) -> None:
        """Never answers: the client goes away, or drops its stream and has its session end this one."""
        stream.wait_closed(timeout=UNHEARD_OF)

    def leave(self, stream: sync_h2.ServerStream) -> None:
        """Begins to answer, and forgets about it."""
        stream.detach()
        stream.respond()
        self._rubbish.put(stream)

    def push(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        with contextlib.suppress(sync_h2.InvalidState, sync_h2.StreamReset):  # a session that closes takes none
            pushed = stream.push_stream({":path": f"/body/{seed}/{size}"})
            pushed.respond({"x-pushed": "yes"})
            pushed.end(body(seed, size))
        stream.end(body(seed + 1, size))

    def goodbye(self, stream: sync_h2.ServerStream, seed: int, size: int) -> None:
        """The session ends gracefully: this answer still goes out."""
        stream.session.close(wait=False)
        stream.end(body(seed, size))

    def slam(self, stream: sync_h2.ServerStream) -> None:
        stream.session.destroy()


class Serving:
    """A server, and its successor on the same port."""

    def __init__(self, certfile: str | None, faults: Faults) -> None:
        self._certfile = certfile
        self._rubbish = Rubbish()
        self._handlers = Handlers(faults, self._rubbish)
        self._server = self._start(0)
        self.port: int = self._server.address[1]

    def _start(self, port: int) -> Any:
        options: Any = {"port": port, "reuse_port": True, "allow_http1": True, "close_timeout": PATIENCE, **NO_LIMITS}
        if self._certfile:
            server = sync_h2.create_secure_server(self._handlers, certfile=self._certfile, **options)
        else:
            server = sync_h2.create_server(self._handlers, **options)
        server.start()
        return server

    def restart(self) -> None:
        """Let another server take over, with work under way; waits until that is done."""
        old, self._server = self._server, self._start(self.port)
        old.close()

    def close(self) -> None:
        self._server.close()
        self._rubbish.close()


def main() -> None:
    """Says its port, restarts for each line of input, and says what was wrong when there are no more."""
    faults = Faults()
    faults.watch()
    with faults.nothing_left_over("the server's process"):
        serving = Serving(sys.argv[1] or None, faults)
        print(serving.port, flush=True)
        for _ in sys.stdin:
            serving.restart()
            print("restarted", flush=True)
        serving.close()
    print(json.dumps(faults.found), flush=True)


if __name__ == "__main__":
    main()
