"""`session.ref()`: a session that keeps its process alive, and all it does then. Most tests are processes."""

from __future__ import annotations

import contextlib
import gc
import queue
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.programs.processes import start, succeeds
from support.rules.leaks import PROCESS_WIDE_THREADS
from support.threads.background import PATIENCE, eventually
from sync_h2.testing import pair

__all__ = ["start"]

# Idle threads leave soon, unless they have to stay.
IMPATIENT = """
import sync_h2.connection.shared.listeners, sync_h2.connection.sending.sender, sync_h2.server.pool.handler_pool
sync_h2.connection.shared.listeners._LINGER = sync_h2.connection.sending.writer._LINGER = 0.02
sync_h2.server.pool.handler_pool.HandlerPool.__init__.__kwdefaults__["idle_timeout"] = 0.02

def say_when_main_has_ended(*expected):
    def wait():
        threading.main_thread().join()
        time.sleep(0.3)  # ten times as long as an idle thread would stay
        names = {thread.name.rpartition("-")[0] if thread.name[-1].isdigit() else thread.name
                 for thread in threading.enumerate()}
        say("main has ended" if set(expected) <= names else str(names))
    in_background(wait)
"""


@pytest.fixture
def accepted() -> queue.SimpleQueue[sync_h2.ServerSession]:
    return queue.SimpleQueue()


@pytest.fixture
def server(accepted: Any) -> Iterator[sync_h2.ThreadingServer]:
    def echo(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.end(stream.read())

    with sync_h2.create_server(echo, listeners={"session": accepted.put}) as server:
        yield server


CLIENT = (
    IMPATIENT
    + """
session = sync_h2.connect(sys.argv[1])

@session.on("ping")
def ping(payload):
    exchange(session, payload * 500_000)  # more than the kernel takes at once
    say(payload.decode())

session.on("close", lambda: say("closed"))
session.ref()
say_when_main_has_ended("sync_h2-listeners", "sync_h2-writer")
"""
)


def test_listeners_of_a_client_are_called_until_its_session_ends(start: Any, server: Any, accepted: Any) -> None:
    process = start(CLIENT, server.url)
    session = accepted.get(timeout=PATIENCE)
    process.says("main has ended")
    for payload in (b"first   ", b"second  "):
        session.ping(payload)
        process.says(payload.decode())
    session.close(wait=False)
    process.says("closed")
    assert process.end() == (0, "", "")


def test_an_exit_status_is_kept(start: Any, server: Any, accepted: Any) -> None:
    process = start(CLIENT + "sys.exit(7)", server.url)
    session = accepted.get(timeout=PATIENCE)
    process.says("main has ended")
    session.destroy()
    process.says("closed")
    assert process.end() == (7, "", "")


def test_a_listener_of_the_end_is_waited_for(start: Any, server: Any, accepted: Any) -> None:
    process = start(
        """
session = sync_h2.connect(sys.argv[1])
session.on("close", lambda: (say("begins"), sys.stdin.readline(), say("ends")))
session.ref()
say("ready")
""",
        server.url,
        takes_input=True,
    )
    process.says("ready")
    accepted.get(timeout=PATIENCE).destroy()
    process.says("begins")
    process.say("go on")
    process.says("ends")
    assert process.end() == (0, "", "")


def test_handlers_run_after_the_main_thread_has_ended(start: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start(
            IMPATIENT
            + """
session = sync_h2.serve_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), echo)
session.ref()
say_when_main_has_ended("sync_h2-listeners", "sync_h2-writer", "sync_h2-handler")
""",
            str(listener.getsockname()[1]),
        )
        sock, _ = listener.accept()
    with sync_h2.connect("http://localhost", sock=sock) as session:
        process.says("main has ended")
        for size in (1_000_000, 10):
            stream = session.request({":method": "POST"})
            stream.end(b"x" * size)
            assert stream.read(timeout=PATIENCE) == b"x" * size
        # One worker is there for all of them, from Python 3.12 on.
        streams = [session.request({":path": f"/{number}"}) for number in range(5)]
        assert [stream.read(timeout=PATIENCE) for stream in streams] == [b""] * 5
    status, _, _ = process.end()  # the workers that can't be had are logged
    assert status == 0


def test_ref_and_unref_and_the_interpreter_ends_at_once(start: Any, server: Any) -> None:
    process = start("session = sync_h2.connect(sys.argv[1])\nsession.ref()\nsession.unref()\nsay('end')", server.url)
    process.says("end")
    assert process.end() == (0, "", "")


def test_unref_lets_the_interpreter_end_that_waits(start: Any, server: Any, accepted: Any) -> None:
    process = start(
        """
session = sync_h2.connect(sys.argv[1])
session.on("ping", lambda payload: (say("unref"), session.unref()))
session.ref()
session.ref()  # it counts once
say("ready")
""",
        server.url,
    )
    session = accepted.get(timeout=PATIENCE)
    process.says("ready")
    with contextlib.suppress(sync_h2.ConnectionLost):  # it may be gone before it answers
        session.ping()
    process.says("unref")
    assert process.end() == (0, "", "")


def test_a_child_is_not_kept_alive(start: Any, server: Any) -> None:
    succeeds(
        start,
        """
session = sync_h2.connect(sys.argv[1])
session.ref()
pid = os.fork()
if pid:
    ended(pid)
    exchange(session)
    session.close(10)
else:
    refuses(session.ref)
    refuses(session.unref)
    mine = sync_h2.connect(sys.argv[1])
    mine.ref()
    exchange(mine)
    mine.close(10)
""",
        server.url,
    )


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sync_h2-keeper"]


def test_one_thread_keeps_a_session_whatever_the_order() -> None:
    client, server = pair()
    assert keepers() == []
    for _ in range(20):
        client.ref()
        client.ref()
        [keeper] = [thread for thread in keepers() if thread.is_alive()]
        assert not keeper.daemon
        client.unref()
        client.unref()
        keeper.join(PATIENCE)
    for _ in range(20):  # a keeper may find that it is wanted again before it has left
        client.ref()
        client.unref()
    eventually(lambda: not keepers())
    client.ref()
    [keeper] = keepers()
    client.close()
    server.close()
    keeper.join(PATIENCE)
    client.ref()
    assert keepers() == []


def test_ref_in_a_listener_of_new_sessions() -> None:
    """It runs on the thread that will read, which must not wait for anything that has to be read."""
    with sync_h2.create_server(listeners={"session": lambda session: session.ref()}) as server:
        with sync_h2.connect(server.url) as client:
            client.ping(timeout=PATIENCE)
            assert len(keepers()) == 1
        eventually(lambda: not keepers())


def test_many_threads_ref_and_unref() -> None:
    client, server = pair()

    def work() -> None:
        for _ in range(50):
            client.ref()
            server.ref()
            client.unref()
            server.unref()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    eventually(lambda: not keepers())
    client.ref()
    assert len(keepers()) == 1
    client.close()
    server.close()


def test_a_referenced_session_is_not_collected() -> None:
    client, server = pair()
    client.ref()
    collected = weakref.ref(client)
    del client
    gc.collect()
    session = collected()
    assert session is not None
    assert not session.closed
    session.ping(timeout=PATIENCE)
    session.close()
    server.close()


def test_the_threads_that_stayed_leave_after_unref(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_h2.connection.shared.listeners._LINGER", 0.02)
    monkeypatch.setattr("sync_h2.connection.sending.writer._LINGER", 0.02)
    before = set(threading.enumerate())

    def names() -> set[str]:
        return {thread.name for thread in set(threading.enumerate()) - before} - PROCESS_WIDE_THREADS

    client, server = pair()
    client.ref()
    assert {"sync_h2-keeper", "sync_h2-listeners", "sync_h2-writer"} <= names()
    client.unref()
    eventually(lambda: names() == {"sync_h2-reader"})
    client.ping(timeout=PATIENCE)
    client.close()
    server.close()


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair()
    begin = threading.Thread.start

    def no_keepers(thread: threading.Thread) -> None:
        if thread.name == "sync_h2-keeper":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_keepers)
        with pytest.raises(sync_h2.InvalidState, match="no thread"):
            client.ref()
    client.ping(timeout=PATIENCE)
    client.ref()
    assert len(keepers()) == 1
    client.close()
    server.close()
