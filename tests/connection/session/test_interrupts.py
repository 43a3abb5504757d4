"""KeyboardInterrupt in a call that blocks: the call ends, and the session goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hyperframe.frame import PingFrame

from support.peers.raw_peer import client_and_raw_server
from support.threads.background import eventually
from sync_h2.connection.shared.monitor import Waiter
from sync_h2.constants import SettingId

_BLOCK = Waiter.block.__code__  # taken here: the tests watch the lock's rules through a wrapper


@pytest.fixture
def interrupt(background: Any) -> Callable[[], None]:
    """Sends the main thread, on which tests run, a SIGINT as soon as it blocks in a call of ours."""
    main = threading.main_thread().ident
    assert main is not None

    def blocks_in() -> FrameType | None:
        # Without the interpreter's lock what it blocks on is of Python too.
        frame = sys._current_frames()[main]
        return next((at for at in (frame, frame.f_back) if at is not None and at.f_code is _BLOCK), None)

    def wait_and_interrupt() -> None:
        first = eventually(blocks_in, "a blocking call")
        again = True
        # Again while nothing comes of it: a signal between Python's last look at its signals and the wait wakes nobody.
        # What the main thread waits for after that is another call.
        while again:
            signal.pthread_kill(main, signal.SIGINT)
            once_more = time.monotonic() + 1
            while (again := blocks_in() is first) and time.monotonic() < once_more:
                time.sleep(0.002)

    return lambda: background(wait_and_interrupt)


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read(10),
        lambda stream: stream.readline(),
        lambda stream: stream.wait_response(),
        lambda stream: stream.wait_closed(),
        lambda stream: stream.rfile.read(),
    ],
)
def test_a_read_that_is_interrupted_loses_nothing(ends: Any, interrupt: Any, call: Any) -> None:
    stream, served = ends.exchange()
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        call(stream)
    assert not ends.client.destroyed
    served.end(b"line\nrest")
    assert stream.readline() == b"line\n"
    assert stream.read() == b"rest"


def test_a_write_that_is_interrupted_is_withdrawn(ends: Any, interrupt: Any) -> None:
    stream, served = ends.exchange()
    eventually(lambda: not ends.server.pending_settings_ack)
    window = ends.server.local_settings["initial_window_size"]
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        stream.end(b"x" * 1_000_000)
    assert not ends.client.destroyed
    received = 0
    while received < window:
        received += len(served.read(65_536))
    stream.end(b"the end")
    assert served.read() == b"the end"


def test_a_ping_that_is_interrupted(interrupt: Any) -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            session.ping()
        peer.send(PingFrame(0, peer.expect(PingFrame).opaque_data, flags=["ACK"]))
        peer.settled()
        assert not session.destroyed


def test_a_request_that_is_interrupted_gives_up_its_place(interrupt: Any) -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        peer.settled()
        first = session.request()
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            session.request()
        assert not session._pending
        peer.headers(first.id, [(":status", "200")], end_stream=True)
        following = session.request()
        assert following.id == 3
        following.close()


def test_a_close_that_is_interrupted_goes_on(ends: Any, interrupt: Any) -> None:
    stream, served = ends.exchange({})
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        ends.client.close()
    served.end(b"x")
    assert stream.read() == b"x"
    ends.client.close(timeout=5)


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "session.request().read()", "server.serve_forever()"])
def test_a_script_that_forgets_to_close_ends(ending: str) -> None:
    """Threads that block, handlers that are stuck, open sessions: nothing of ours keeps the interpreter alive."""
    script = textwrap.dedent(f"""
        import os, signal, threading, sync_h2

        stuck = threading.Event()

        def handler(stream, headers):
            stuck.set()
            threading.Event().wait()

        server = sync_h2.create_server(handler)
        server.start()
        session = sync_h2.connect("http://127.0.0.1:%d" % server.address[1])
        stream = session.request()
        threading.Thread(target=stream.read, daemon=True).start()
        stuck.wait()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        {ending}
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert "Fatal" not in done.stderr
    if ending.startswith("raise"):
        assert done.returncode == 3
    elif ending:
        assert "KeyboardInterrupt" in done.stderr
