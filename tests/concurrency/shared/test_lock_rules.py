"""The rules of the lock: what breaks them is noticed, and a workout of everything breaks none.

`LockRules` watches every test of this folder; here is shown that it sees what it is there for.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.rules.lock_rules import LockRules
from support.threads.background import eventually
from sync_h2 import ErrorCode, HTTP2Error, InvalidArgument, InvalidState, connect, create_secure_server, create_server
from sync_h2.connection.shared import listeners
from sync_h2.connection.shared.monitor import Monitor, Waiter, WaitQueue
from sync_h2.server.pool.handler_pool import HandlerPool
from sync_h2.testing import pair


def monitor() -> Monitor:
    def fail(error: BaseException) -> None:
        raise AssertionError("a critical section was left with an exception") from error

    return Monitor(fail)


# -- what the check sees


def start_a_thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def block_in_a_waiter() -> None:
    Waiter().block(0)


def wait_for_an_event() -> None:
    threading.Event().wait(0)


def log_a_line() -> None:
    logging.getLogger("sync_h2.connection").warning("a line")


def warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("a warning", ResourceWarning, stacklevel=1)


def submit_to_the_pool() -> None:
    pool = HandlerPool(1, name="test")
    pool.submit(1, int)
    pool.shutdown()


def submit_to_an_executor() -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(int)


def send_blocking() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendmsg([b"octets"])


def receive_blocking() -> None:
    near, far = socket.socketpair()
    with near, far:
        far.send(b"x", socket.MSG_DONTWAIT)
        near.recv_into(bytearray(1))


def call_a_listener() -> None:
    listeners.call_listener(int, "event", ())


@pytest.mark.parametrize(
    "call",
    [
        start_a_thread,
        block_in_a_waiter,
        wait_for_an_event,
        lambda: time.sleep(0),
        log_a_line,
        warn,
        submit_to_the_pool,
        submit_to_an_executor,
        send_blocking,
        receive_blocking,
        call_a_listener,
    ],
)
def test_the_check_sees_what_may_not_happen_under_the_lock(lock_rules: LockRules, call: Callable[[], Any]) -> None:
    call()
    assert lock_rules.violations == []
    guarded = monitor()
    with guarded, guarded.lock:
        call()
    assert lock_rules.violations
    lock_rules.violations.clear()
    call()
    assert lock_rules.violations == []


def test_a_send_that_does_not_block_is_allowed_under_the_lock(lock_rules: LockRules) -> None:
    near, far = socket.socketpair()
    guarded = monitor()
    with near, far, guarded, guarded.lock:
        near.sendmsg([b"octets"], (), socket.MSG_DONTWAIT)
    assert lock_rules.violations == []


# -- the lock itself


def test_taking_a_lock_twice_raises_at_once() -> None:
    broken: list[BaseException] = []
    guarded = Monitor(broken.append)
    with pytest.raises(RuntimeError, match="twice"), guarded, guarded.lock, guarded, guarded.lock:
        pass
    assert len(broken) == 1  # the outer section was cut short
    assert not guarded.owned
    with guarded, guarded.lock:
        assert guarded.owned


def test_taking_a_second_sessions_lock_raises_at_once() -> None:
    broken: list[BaseException] = []
    first, second = Monitor(broken.append), monitor()
    with pytest.raises(RuntimeError, match="second"), first, first.lock, second, second.lock:
        pass
    assert len(broken) == 1
    assert not first.owned
    assert not second.owned
    with second, second.lock:
        assert second.owned


def test_an_error_of_ours_leaves_everything_as_it_was() -> None:
    guarded = monitor()
    with pytest.raises(InvalidState), guarded, guarded.lock:
        raise InvalidState("said before anything changed")
    assert not guarded.owned


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(1), ZeroDivisionError()])
def test_any_other_exception_reports_that_a_change_was_cut_short(error: BaseException) -> None:
    reports: list[tuple[BaseException, bool]] = []
    guarded = Monitor(lambda struck: reports.append((struck, guarded.owned)))
    with pytest.raises(type(error)), guarded, guarded.lock:
        raise error
    assert reports == [(error, False)]  # once, and with the lock free


def test_locked_methods_notice_a_caller_without_the_lock() -> None:
    queue = WaitQueue(monitor())
    with pytest.raises(AssertionError):
        queue.enlist_locked()
    with pytest.raises(AssertionError):
        queue.wake_all_locked()


def test_a_callers_mistake_does_not_end_the_session() -> None:
    """Whatever users give is looked at before the lock is taken: an exception inside would end the session."""
    client, _server = pair(lambda stream, headers: stream.end(stream.read()))
    stream = client.request({":method": "POST"})
    mistakes: list[Callable[[], object]] = [
        lambda: client.ping(b"short"),
        lambda: client.ping("8 letter"),
        lambda: client.request([("name", object())]),
        lambda: client.request({"bad name": "x"}),
        lambda: client.request(weight="heavy"),
        lambda: client.settings({"initial_window_size": "x"}),
        lambda: client.settings({"max_frame_size": 1}),
        lambda: client.goaway(opaque_data="x"),
        lambda: client.goaway(last_stream_id="x"),
        lambda: client.destroy(code="x"),
        lambda: client.set_timeout("x"),
        lambda: client.on("response_", print),
        lambda: stream.write("text"),
        lambda: stream.write(3),
        lambda: stream.read(1.5),
        lambda: stream.readinto(b"read-only"),
        lambda: stream.readline("x"),
        lambda: stream.close("x"),
        lambda: stream.set_timeout("x"),
        lambda: stream.send_trailers({"x": "y"}),
        lambda: stream.write(b"x", timeout="soon"),
    ]
    for mistake in mistakes:
        with pytest.raises((TypeError, InvalidArgument, InvalidState)):
            mistake()
        assert not client.destroyed, mistake
    stream.end(b"still whole")
    assert stream.read(timeout=10) == b"still whole"
    client.close(timeout=10)


# -- everything the package does


def everything(stream: Any, headers: Any) -> None:
    path = headers[":path"]
    if path == "/echo":
        stream.respond({"x-length": "unknown"}, wait_for_trailers=True)
        for chunk in stream:
            stream.write(chunk)
        stream.send_trailers({"x-end": "yes"})
    elif path == "/push":
        stream.additional_headers({":status": 103})
        pushed = stream.push_stream({":path": "/pushed"})
        stream.end(b"pushing")
        pushed.end(b"pushed")
    elif path == "/fail":
        raise ZeroDivisionError
    elif path == "/reset":
        stream.close(ErrorCode.CANCEL)
    elif path == "/large":
        stream.respond()
        stream.end(b"x" * 2_000_000)


def work_out(client: Any) -> None:
    """Every kind of exchange once, some with the writer thread, listeners and the timer thread taking part."""
    client.settings({"initial_window_size": 100_000}, wait=True)
    client.ping(timeout=10)
    heard: list[str] = []
    client.on("stream", lambda pushed, headers: heard.append("stream"))
    client.on("close", lambda: heard.append("close"))
    client.set_timeout(60, lambda: None)

    upload = client.request({":method": "POST", ":path": "/echo"}, listeners={"trailers": heard.append})
    writing = threading.Thread(target=lambda: upload.end(b"y" * 2_000_000))
    writing.start()
    assert len(upload.read(timeout=20)) == 2_000_000
    assert upload.wait_trailers(timeout=10)["x-end"] == "yes"
    writing.join()

    pushing = client.request({":path": "/push"})
    assert pushing.read(timeout=10) == b"pushing"
    assert [pushed.read(timeout=10) for pushed in pushing.pushes()] == [b"pushed"]
    assert client.request({":path": "/fail"}).wait_response(timeout=10)[":status"] == "500"
    with pytest.raises(HTTP2Error):
        client.request({":path": "/reset"}).read(timeout=10)
    large = [client.request({":path": "/large"}) for _ in range(8)]  # the server's writer has to help
    assert [len(stream.read(timeout=20)) for stream in large] == [2_000_000] * 8
    abandoned = client.request({":path": "/large"})
    abandoned.wait_response(timeout=10)
    abandoned.close(ErrorCode.CANCEL)
    eventually(lambda: "stream" in heard and len(heard) >= 2)
    client.close(timeout=10)
    eventually(lambda: "close" in heard)


def test_a_workout_over_a_socket_pair_keeps_the_rules() -> None:
    client, _server = pair(everything)
    work_out(client)


def test_a_workout_over_tls_keeps_the_rules(certificate: Any, ca_file: str, caplog: Any) -> None:
    server = create_secure_server(
        everything, certfile=str(certificate.certfile), keyfile=str(certificate.keyfile), idle_timeout=60
    )
    server.on("session", lambda session: None)
    with server:
        work_out(connect(server.url, cafile=ca_file))


def test_a_workout_with_every_log_line_keeps_the_rules(caplog: pytest.LogCaptureFixture) -> None:
    """A handler of the logging package is foreign code; HPACK's library has debug lines on every header."""
    caplog.set_level(logging.DEBUG)
    with create_server(everything) as server, connect(server.url) as client:
        assert client.request({":path": "/push"}).read(timeout=10) == b"pushing"
        assert client.request({":path": "/fail"}).wait_response(timeout=10)[":status"] == "500"


def test_ends_with_an_error_keep_the_rules(caplog: pytest.LogCaptureFixture) -> None:
    """Limits, protocol errors and lost connections log, wake and call listeners: after the lock is free."""
    caplog.set_level(logging.INFO)
    for breaks in (b"\0\0\0\x7f", b"\0\0\x08\x06\0\0\0\0\1pingping", b"GET / HTTP/1.1\r\n\r\n"):
        near, far = socket.socketpair()
        session = connect("http://localhost", sock=near)
        stream = session.request()
        with far:
            far.sendall(breaks)
            far.shutdown(socket.SHUT_WR)
            with pytest.raises(HTTP2Error):
                stream.read(timeout=10)
            eventually(lambda session=session: session.destroyed)
        session._wait_gone(10)


def test_the_workout_needs_no_debug_mode() -> None:
    """The owner checks are for tests; without them everything works alike."""
    program = (
        "from sync_h2.testing import pair\n"
        "from sync_h2.connection.shared import monitor\n"
        "client, server = pair(lambda stream, headers: stream.end(stream.read()))\n"
        "stream = client.request({':method': 'POST'})\n"
        "stream.end(b'hello')\n"
        "print(monitor.DEBUG, stream.read().decode())\n"
        "client.close(5)\n"
    )
    environment = {**os.environ, "SYNC_H2_DEBUG": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=20, env=environment
    )
    assert (done.stdout, done.stderr, done.returncode) == ("False hello\n", "", 0)
