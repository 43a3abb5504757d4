"""An exception at every line: KeyboardInterrupt in the calls of the main thread, MemoryError in the reader.

A trace function raises at one line of the package, the n-th time that line is run. Afterwards the session either goes
on rightly, which an exchange from another thread shows, or has ended with a clear error; nothing hangs, and no thread
and no descriptor is left. With SYNC_H2_STRESS=1 every line is struck, the first and the last time it is run, a part of
them in each round; otherwise a sample.
"""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from support.peers.raw_peer import RawPeer
from support.rules.leaks import open_descriptors
from support.rules.stress import PARTS
from support.threads.background import PATIENCE, eventually
from support.threads.interrupts import Line, Tracer, name_of
from sync_h2 import Client, ErrorCode, HTTP2Error, connect, create_server, serve_socket
from sync_h2.connection.session.session import Session
from sync_h2.connection.shared.timers import timers
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId
from sync_h2.testing import pair

SAMPLE = 80
"""How many of the lines of one call are struck without SYNC_H2_STRESS."""
MOST_FAILURES = 5
BOUND = 4.0
"""Seconds for what takes milliseconds: what takes longer hangs."""


def strikes(lines: Counter[Line], stress_round: int | None) -> Iterator[tuple[Line, int]]:
    """The lines to strike, with the occurrence: those of this round, or of a sample that depends on the lines alone."""
    ordered = sorted(lines)
    if stress_round is not None:
        every = [(line, occurrence) for line in ordered for occurrence in sorted({1, lines[line]})]
        yield from every[stress_round::PARTS]
        return
    step = -(-len(ordered) // SAMPLE)
    for index in range(len(ordered) % step, len(ordered), step):
        line = ordered[index]
        yield line, 1 + index % lines[line]


def outcome(function: Callable[[], object]) -> object:
    """What the call returns or the error of ours that it raises, on a thread of its own; "it hangs" if it does not end,
    and any other exception as text.
    """
    outcomes: list[object] = []

    def run() -> None:
        try:
            outcomes.append(function())
        except HTTP2Error as error:
            outcomes.append(error)
        except BaseException as error:
            outcomes.append(f"it raises {error!r}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(BOUND)
    return outcomes[0] if outcomes else "it hangs"


def count_body(stream: Any, headers: Any) -> None:
    stream.end(b"%d\n" % len(stream.read()))


def exchange(client: Any) -> bytes:
    stream = client.request({":method": "POST"}, timeout=BOUND)
    stream.write(b"x" * 300_000, timeout=BOUND)
    stream.end(timeout=BOUND)
    body = stream.read(timeout=BOUND)
    client.ping(timeout=BOUND)
    return bytes(body)


def what_is_wrong(client: Any, server: Any, threads_before: set[threading.Thread]) -> list[str]:
    """What the session shows after the strike, in words; it is gone afterwards."""
    wrong = []
    after = outcome(partial(exchange, client))
    if not (after == b"300000\n" or (isinstance(after, HTTP2Error) and not isinstance(after, TimeoutError))):
        wrong.append(f"the exchange that follows: {after!r}")
    for session in (client, server):
        if (ended := outcome(session.destroy)) is not None:
            wrong.append(f"{session.type}'s destroy: {ended!r}")
        if (ended := outcome(partial(session._wait_gone, BOUND))) is not True and ended is not None:
            wrong.append(f"{session.type}'s end: {ended!r}")
    wrong += threads_left(threads_before)
    return wrong


def threads_left(threads_before: set[threading.Thread]) -> list[str]:
    deadline = time.monotonic() + BOUND
    while left := set(threading.enumerate()) - threads_before:
        if time.monotonic() > deadline:
            break
        for thread in left:
            if thread.is_alive():  # and not one that another thread is just starting
                thread.join(BOUND / 100)
    return [f"thread {thread.name} is left" for thread in left]


class Failures:
    """What went wrong at which line; raises when there is enough of it."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, line: Line, occurrence: int, wrong: Iterable[str]) -> None:
        place = f"{name_of(line)}, run {occurrence} times"
        self._found += [f"{place}: {what}" for what in wrong]
        if len(self._found) >= MOST_FAILURES:
            self.check()

    def check(self) -> None:
        assert not self._found, "\n".join(self._found)


@pytest.fixture(autouse=True)
def _drops_are_expected() -> Iterator[None]:
    """What a call had begun when it was struck is dropped, and warned of; that is not what these tests look at."""
    timers.ensure_running()  # it stays, and is nobody's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


# -- calls of the main thread


Call = Callable[[], object]


def post(client: Any) -> Any:
    return client.request({":method": "POST"})


def answered(client: Any) -> Any:
    stream = client.request()
    stream.wait_response(timeout=PATIENCE)
    return stream


def request(client: Any) -> Call:
    return lambda: client.request({":method": "POST", "x-name": "value"}, weight=20, listeners={"close": print})


def write(client: Any) -> Call:
    return partial(post(client).write, b"x" * 300_000)


def write_to_a_file(client: Any) -> Call:
    return partial(post(client).wfile.write, bytearray(b"x" * 1000))


def end(client: Any) -> Call:
    return partial(post(client).end, b"x" * 100_000)


def read(client: Any) -> Call:
    stream = post(client)
    return lambda: (stream.end(b"x"), stream.read())


def read_a_little(client: Any) -> Call:
    stream = answered(client)
    return lambda: (stream.read(1), stream.readinto(bytearray(1)), stream.readline(), stream.read(1))


def wait_for_the_response(client: Any) -> Call:
    stream = client.request()
    return lambda: (stream.wait_response(), stream.wait_trailers(), stream.wait_closed())


def ping(client: Any) -> Call:
    return client.ping


def settings(client: Any) -> Call:
    return partial(client.settings, {"initial_window_size": 70_000}, wait=True)


def reset(client: Any) -> Call:
    return partial(post(client).close, ErrorCode.CANCEL)


def leave_a_stream(client: Any) -> Call:
    stream = answered(client)

    def with_block() -> None:
        with stream:
            stream.read()

    return with_block


def close(client: Any) -> Call:
    answered(client)
    return partial(client.close, BOUND)


def leave_a_session(client: Any) -> Call:
    def with_block() -> None:
        with client:
            answered(client)

    return with_block


def destroy(client: Any) -> Call:
    post(client)
    return lambda: (client.destroy(), client._wait_gone(BOUND))


CALLS = [
    request,
    write,
    write_to_a_file,
    end,
    read,
    read_a_little,
    wait_for_the_response,
    ping,
    settings,
    reset,
    leave_a_stream,
    close,
    leave_a_session,
    destroy,
]


@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_at_every_line_of_a_call(call: Callable[[Any], Call], stress_round: int | None) -> None:
    client, server = pair(count_body)
    counting = Tracer()
    counting.run(call(client))
    client.destroy()
    server.destroy()
    eventually(lambda: client._gone and server._gone)

    failures = Failures()
    struck = 0
    for line, occurrence in strikes(counting.lines, stress_round):
        threads_before = set(threading.enumerate())
        client, server = pair(count_body)
        operation = call(client)
        tracer = Tracer(line, occurrence)
        wrong = []
        try:
            tracer.run(operation)
        except KeyboardInterrupt:
            pass
        except BaseException as error:
            wrong.append(f"the interrupt became {error!r}")
        struck += tracer.struck is not None
        del operation
        failures.add(line, occurrence, wrong + what_is_wrong(client, server, threads_before))
    failures.check()
    assert struck > (10 if stress_round is None else 0)


def sessions_left(make: Callable[[], Any], tracer: Tracer, threads_before: set[threading.Thread]) -> list[str]:
    """Make a session under the tracer and end it, or, when it was struck, let it go; what is left of it then."""
    descriptors_before = open_descriptors()
    session: Any = None
    with contextlib.suppress(KeyboardInterrupt):
        session = tracer.run(make)
    if session is not None:
        session.destroy()
        del session
    deadline = time.monotonic() + BOUND
    while True:
        gc.collect()  # a session that runs and that nobody holds
        left = set(open_descriptors().items()) - set(descriptors_before.items())
        if not left or time.monotonic() > deadline:
            return [f"{target} is left" for _, target in left] + threads_left(threads_before)
        time.sleep(0.001)  # for the threads that are to let go of it


@pytest.mark.parametrize("make", ["connect", "serve_socket"])
def test_an_interrupt_at_every_line_of_the_making_of_a_session(make: str, stress_round: int | None) -> None:
    """Nothing goes on with a connection whose caller never got the session."""
    server = create_server(count_body)
    server.start()

    def strike(tracer: Tracer) -> list[str]:
        threads_before = set(threading.enumerate())
        if make == "connect":
            return sessions_left(partial(connect, server.url, timeout=BOUND), tracer, threads_before)
        near, far = socket.socketpair()
        with near, far:
            far.shutdown(socket.SHUT_WR)
            return sessions_left(partial(serve_socket, near, count_body), tracer, threads_before)

    with server:
        connect(server.url).close(BOUND)  # the server's own descriptors are all open then
        counting = Tracer()
        assert strike(counting) == []
        failures = Failures()
        for line, occurrence in strikes(counting.lines, stress_round):
            failures.add(line, occurrence, strike(Tracer(line, occurrence)))
        failures.check()


def test_an_interrupt_at_every_line_of_a_pools_opening_of_a_connection() -> None:
    """Nobody waits for a connection that is not opened any more."""

    def strike(tracer: Tracer) -> list[str]:
        with Client(h2c=True, trust_env=False) as client:
            with contextlib.suppress(KeyboardInterrupt):
                tracer.run(lambda: client.get(server.url, timeout=BOUND))
            error = outcome(lambda: client.get(server.url, timeout=BOUND).close())
        return [] if error is None else [repr(error)]

    with create_server(lambda stream, headers: stream.end()) as server:
        counting = Tracer()
        assert strike(counting) == []
        failures = Failures()
        for line in counting.lines:
            if line[0].endswith(("client/pool/connections.py", "client/pool/group.py")):
                failures.add(line, 1, strike(Tracer(line)))
        failures.check()


@pytest.mark.parametrize("call", ["start", "close", "with"])
def test_an_interrupt_at_every_line_of_a_servers_calls(call: str, stress_round: int | None) -> None:
    """A server can be closed from another thread whatever was interrupted."""

    def strike(tracer: Tracer) -> list[str]:
        threads_before = set(threading.enumerate())
        server = create_server(count_body, close_timeout=BOUND / 2)
        if call == "close":
            server.start()
            client = connect(server.url)
            client.ping()

        def with_block() -> None:
            with server:
                pass

        operation: Call = with_block if call == "with" else getattr(server, call)
        with contextlib.suppress(KeyboardInterrupt):
            tracer.run(operation)
        wrong = []
        if (closed := outcome(server.close)) is not None:
            wrong.append(f"close: {closed!r}")
        if call == "close":
            client.destroy()
            client._wait_gone(BOUND)
        if server._acceptor._socket.fileno() != -1:
            wrong.append("the listening socket is open")
            server._acceptor._socket.close()
        return wrong + threads_left(threads_before)

    counting = Tracer()
    assert strike(counting) == []
    failures = Failures()
    for line, occurrence in strikes(counting.lines, stress_round):
        failures.add(line, occurrence, strike(Tracer(line, occurrence)))
    failures.check()


# -- a session whose socket is full


def write_too_much(stream: Any, headers: Any) -> None:
    outcome(partial(stream.write, b"x" * 5_000_000))


class FullSession:
    """A session that waits for its peer, which reads nothing: a client's, or a server's whose answer only the end of
    the connection delimits.
    """

    def __init__(self, version: str) -> None:
        near, self._far = socket.socketpair()
        if version == "HTTP/1.0":
            self._far.send(b"GET / HTTP/1.0\r\n\r\n")
            self.session = serve_socket(near, write_too_much, allow_http1=True)
        else:
            self.session = connect("http://localhost", sock=near)
            self._write()
        eventually(lambda: self.session._sender.writer.awaits_writable_locked)

    def _write(self) -> None:
        peer = RawPeer(self._far, client=False)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.open_window(0, 2**31 - 1 - DEFAULT_WINDOW_SIZE)
        peer.settled()
        threading.Thread(target=write_too_much, args=(post(self.session), {})).start()

    def end(self) -> list[str]:
        """Have it end; what is wrong then."""
        self._far.close()
        wrong = []
        if (ended := outcome(self.session.destroy)) is not None:
            wrong.append(f"destroy: {ended!r}")
        if (ended := outcome(partial(self.session._wait_gone, BOUND))) is not True and ended is not None:
            wrong.append(f"the end: {ended!r}")
        return wrong


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/2"])
@pytest.mark.parametrize("call", ["ref", "destroy"])
def test_an_interrupt_while_the_socket_is_full(call: str, version: str, stress_round: int | None) -> None:
    def strike(tracer: Tracer) -> list[str]:
        threads_before = set(threading.enumerate())
        full = FullSession(version)
        with contextlib.suppress(KeyboardInterrupt):
            tracer.run(getattr(full.session, call))
        return full.end() + threads_left(threads_before)

    counting = Tracer()
    assert strike(counting) == []
    failures = Failures()
    for line, occurrence in strikes(counting.lines, stress_round):
        failures.add(line, occurrence, strike(Tracer(line, occurrence)))
    failures.check()


# -- the reader


class TracedReader:
    """Runs the reader of one side of a pair under a tracer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
        self.tracer = Tracer()
        reader_target = Session._reader_target

        def traced(session: Session) -> Callable[[], None]:
            target = reader_target(session)
            return partial(self._run, target) if session.type == side else target

        monkeypatch.setattr(Session, "_reader_target", traced)

    def _run(self, read: Callable[[], None]) -> None:
        with contextlib.suppress(MemoryError):  # the thread may end with it once all is done
            self.tracer.run(read)


def answer_with_everything(stream: Any, headers: Any) -> None:
    body = stream.read()
    trailers = stream.wait_trailers()
    stream.additional_headers({":status": 103})
    pushed = stream.push_stream({":path": "/pushed"})
    stream.respond({}, wait_for_trailers=True)
    stream.write(b"%d\n" % len(body))
    stream.send_trailers(trailers)
    pushed.end(b"pushed")


def exchange_everything(client: Any) -> object:
    """All that a reader can get to read, on either side; ends the session."""
    client.settings({"initial_window_size": 80_000}, wait=True, timeout=BOUND)
    stream = client.request({":method": "POST"}, wait_for_trailers=True, timeout=BOUND)
    stream.write(b"x" * 200_000, timeout=BOUND)
    stream.send_trailers({"x-end": "yes"})
    body = stream.read(timeout=BOUND)
    stream.wait_trailers(timeout=BOUND)
    for pushed in stream.pushes():
        pushed.read(timeout=BOUND)
    client.request({":method": "POST"}).close(ErrorCode.CANCEL)
    client.ping(timeout=BOUND)
    client.close(timeout=BOUND)
    return bytes(body)


@pytest.mark.parametrize("side", ["client", "server"])
def test_an_exception_at_every_line_of_the_reader(
    side: str, monkeypatch: pytest.MonkeyPatch, stress_round: int | None
) -> None:
    reader = TracedReader(monkeypatch, side)
    client, server = pair(answer_with_everything)
    assert outcome(partial(exchange_everything, client)) == b"200000\n"
    client._wait_gone(BOUND)
    server._wait_gone(BOUND)
    lines = reader.tracer.lines.copy()
    assert len(lines) > 200

    failures = Failures()
    struck = 0
    for line, occurrence in strikes(lines, stress_round):
        threads_before = set(threading.enumerate())
        reader.tracer = Tracer(line, occurrence, MemoryError)
        client, server = pair(answer_with_everything)
        wrong = []
        during = outcome(partial(exchange_everything, client))
        if not (during == b"200000\n" or (isinstance(during, HTTP2Error) and not isinstance(during, TimeoutError))):
            wrong.append(f"the exchange: {during!r}")
        wrong += what_is_wrong(client, server, threads_before)
        struck += reader.tracer.struck is not None
        failures.add(line, occurrence, wrong)
    failures.check()
    assert struck > (10 if stress_round is None else 0)


def test_a_listener_that_exits_ends_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    """`sys.exit` in a listener ends neither the thread that calls listeners nor the process."""
    heard: list[str] = []
    client, _server = pair(count_body)

    def leave(headers: object) -> None:
        sys.exit(3)

    stream = client.request(listeners={"response": leave, "close": lambda code: heard.append("stream")})
    assert stream.read(timeout=PATIENCE) == b"0\n"
    client.on("close", lambda: heard.append("session"))
    client.close(timeout=PATIENCE)
    eventually(lambda: heard == ["stream", "session"])
