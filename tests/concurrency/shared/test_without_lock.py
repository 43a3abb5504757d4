"""What threads share without a session's lock (docs/design.md has the list): where that was not safe once."""

from __future__ import annotations

import ast
import collections
import contextlib
import gc
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.programs.processes import start
from support.threads.background import PATIENCE, Background, eventually
from sync_h2.adapters import BaseAdapter
from sync_h2.client.values.structures import CaseInsensitiveDict
from sync_h2.client.wire.ending import Ending
from sync_h2.connection.server_side.server_session import ServerSession
from sync_h2.connection.stream import stream as stream_module
from sync_h2.server import server as server_module
from sync_h2.testing import pair

__all__ = ["start"]

TURNS = 2000


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads switch as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(background: Background, *functions: Callable[[], object]) -> list[Any]:
    """Call them all, each on a thread of its own, at the same moment; their results."""
    together = threading.Barrier(len(functions))

    def call(function: Callable[[], object]) -> object:
        together.wait(PATIENCE)
        return function()

    return [future.result(2 * PATIENCE) for future in [background(call, function) for function in functions]]


def meeting(function: Callable[..., Any], most: float = 0.2) -> Callable[..., Any]:
    """`function`, which two threads call at the same time if nothing keeps them from that. It waits by looking only:
    it may be called under a lock.
    """
    callers: list[int] = []

    def called(*arguments: Any) -> Any:
        callers.append(threading.get_ident())
        until = time.monotonic() + most
        while len(callers) < 2 and time.monotonic() < until:
            pass
        return function(*arguments)

    return called


# -- interrupts of a main thread that waits


DEAF = """
from sync_h2.cli import main

ready = threading.Event()

def interrupt():
    ready.wait()  # what the main thread makes before takes locks too
    main = threading.main_thread().ident
    waits = ("/monitor.py", "/interpreter.py", "/get/command.py")
    while not sys._current_frames()[main].f_code.co_filename.endswith(waits):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()

in_background(interrupt)  # the one thread that the system can give the signal to
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
client, server = pair(lambda stream, headers: threading.Event().wait())
silent = sync_h2.create_server(print)
try:
    ready.set()
    %s
except KeyboardInterrupt:
    pass
say("it was heard")
os._exit(0)
"""


@pytest.mark.parametrize(
    "waits",
    [
        "sync_h2.serve_wsgi(print, port=0)",
        "silent.serve_forever()",
        "client.request().read()",
        "main(['get', silent.url])",
    ],
)
def test_an_interrupt_that_wakes_nobody_is_heard_all_the_same(start: Any, waits: str) -> None:
    """So it is with one that comes between the main thread's last look and its wait."""
    assert start(DEAF % waits).line() == "it was heard"


# -- ends


@pytest.mark.usefixtures("switching")
def test_an_answer_that_two_threads_end_gives_its_place_back_once(background: Background) -> None:
    forgotten: collections.deque[Callable[[], None]] = collections.deque()
    given_back: list[int] = []
    endings = [
        Ending(lambda turn=turn: given_back.append(turn), lambda: None, forgotten)  # type: ignore[misc]
        for turn in range(TURNS)
    ]

    def end() -> None:
        for ending in endings:
            ending.end(reusable=True)

    at_once(background, end, end, end)
    assert sorted(given_back) == list(range(TURNS))
    assert all(ending.has_come for ending in endings)
    endings.clear()
    assert not forgotten


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_response_over_http1_whose_file_is_collected_with_it(caplog: pytest.LogCaptureFixture) -> None:
    def handler(stream: Any, headers: Any) -> None:
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.end(b"x" * 1_000_000)

    limits = sync_h2.PoolLimits(max_connections_per_origin=1)
    with (
        sync_h2.create_server(handler, allow_http1=True) as server,
        sync_h2.Client(trust_env=False, limits=limits) as client,
    ):
        for _ in range(3):
            response: Any = client.get(server.url, stream=True, timeout=sync_h2.Timeouts(pool=PATIENCE))
            response.raw.read(10)
            response.itself = response
            del response
            gc.collect()
        assert len(client.get(server.url).content) == 1_000_000
    assert not [record for record in caplog.records if record.name == "sync_h2.client"]


def test_what_a_dropped_response_fails_with_is_no_concern_of_the_next_request(caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[str] = []

    def fails() -> None:
        dropped.append("first")
        raise IndexError("it can't be closed")

    with (
        sync_h2.create_server(lambda stream, headers: stream.end(b"x")) as server,
        sync_h2.Client(h2c=True, trust_env=False) as client,
    ):
        client._pool._connections._forgotten.extend([fails, lambda: dropped.append("second")])
        assert client.get(server.url).content == b"x"
    assert dropped == ["first", "second"]
    logged = [record for record in caplog.records if record.name == "sync_h2.client"]
    assert [(record.levelno, "can't be closed" in record.getMessage()) for record in logged] == [(logging.ERROR, True)]


# -- made when somebody asks


@pytest.mark.parametrize("name", ["rfile", "wfile"])
def test_two_threads_that_ask_for_a_streams_file_get_the_same(
    background: Background, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = {"rfile": "StreamReader", "wfile": "StreamWriter"}[name]
    client, _ = pair(lambda stream, headers: stream.end(stream.read()))
    with client:
        stream = client.request({":method": "POST"})
        monkeypatch.setattr(stream_module, kind, meeting(getattr(stream_module, kind)))
        first, second = at_once(background, lambda: getattr(stream, name), lambda: getattr(stream, name))
        assert first is second is getattr(stream, name)
        stream.end()
        assert stream.read() == b""


def test_settings_that_two_threads_update_are_both_kept(background: Background) -> None:
    class Meeting(sync_h2.Settings):
        merged = meeting(sync_h2.Settings.merged)

    with sync_h2.create_server(print) as server:
        server._configuration = replace(server._configuration, settings=Meeting(server._configuration.settings))
        at_once(
            background,
            lambda: server.update_settings({"max_frame_size": 20_000}),
            lambda: server.update_settings({"initial_window_size": 30_000}),
        )
        settings = server._configuration.settings
        assert (settings.max_frame_size, settings.initial_window_size) == (20_000, 30_000)


def test_what_is_set_while_a_session_is_being_made_is_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with sync_h2.create_server(print) as server:
        make = server._new_session

        def set_then(*arguments: Any) -> Any:
            session = make(*arguments)
            server.update_settings({"max_header_list_size": 20_000})
            server.set_timeout(1000)
            return session

        monkeypatch.setattr(server, "_new_session", set_then)
        with sync_h2.connect(server.url) as session:
            eventually(lambda: session.remote_settings.max_header_list_size == 20_000)
            eventually(lambda: [session.socket.gettimeout() for session in server.sessions] == [1000])


def test_what_is_set_while_a_new_session_is_told_of_the_last_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    with sync_h2.create_server(print) as server:
        make, tell, tell_time = server._new_session, server_module._update_settings, ServerSession.set_timeout

        def set_then(*arguments: Any) -> Any:
            session = make(*arguments)
            server.update_settings({"max_header_list_size": 20_000})
            server.set_timeout(1000)
            return session

        def set_before(session: Any, changes: Any) -> None:
            if changes.max_header_list_size == 20_000:
                server.update_settings({"max_header_list_size": 30_000})
            tell(session, changes)

        def set_time_before(session: Any, seconds: float | None) -> None:
            if seconds == 1000:
                server.set_timeout(2000)
            tell_time(session, seconds)

        monkeypatch.setattr(server, "_new_session", set_then)
        monkeypatch.setattr(server_module, "_update_settings", set_before)
        monkeypatch.setattr(ServerSession, "set_timeout", set_time_before)
        told = threading.Event()
        server.on("session", lambda session: told.set())
        with sync_h2.connect(server.url) as session:
            assert told.wait(PATIENCE)
            assert [session.socket.gettimeout() for session in server.sessions] == [2000]
            session.ping(timeout=PATIENCE)  # its answer comes after all that was sent before
            assert session.remote_settings.max_header_list_size == 30_000


# -- iterated over while others change them


@pytest.mark.usefixtures("switching")
def test_connections_that_were_given_away_are_counted_while_others_drop_them(background: Background) -> None:
    class Connection:
        closed = False

    server = sync_h2.create_server(print)
    connections = server._connections
    with server:
        over = threading.Event()

        def give_away() -> None:
            try:
                for _ in range(TURNS):
                    held = [Connection() for _ in range(20)]
                    with server._monitor, server._lock:
                        connections._given_away += [(weakref.ref(connection), ("192.0.2.1", 1)) for connection in held]  # type: ignore[misc]
                    held[0].closed = True
            finally:
                over.set()

        def count() -> None:
            while not over.is_set():
                with server._monitor, server._lock:
                    assert connections._full_limit_locked(("192.0.2.1", 2)) is None

        at_once(background, give_away, count)
        with server._monitor, server._lock:
            assert connections._given_away_locked() == []


def test_an_adapter_is_mounted_while_another_thread_looks_for_one() -> None:
    class Prefix(str):
        """One at whose sight another thread mounts something."""

        def lower(self) -> str:
            client.mount("https://example.org/deeper/", other)
            return super().lower()

    class Adapter(BaseAdapter):
        def close(self) -> None:
            pass

    adapter, other = Adapter(), Adapter()
    with sync_h2.Client() as client:
        client.mount(Prefix("https://example.com/"), adapter)
        https = client.get_adapter("https://example.net/")
        assert type(https) is type(client.get_adapter("http://example.net/"))
        assert client.get_adapter("https://example.com/path") is adapter
        assert client.get_adapter("https://example.org/deeper/path") is other
        assert [len(prefix) for prefix in client.adapters] == sorted(map(len, client.adapters), reverse=True)


def test_no_plain_dict_of_the_process_is_looked_into_by_get() -> None:
    """3.13t locks it for that, and a child that is forked at that moment finds it locked for ever."""
    package = Path(sync_h2.__file__).parent
    trees = {path: ast.parse(path.read_text()) for path in package.rglob("*.py")}
    plain = {
        path: {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict | ast.DictComp)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for path, tree in trees.items()
    }
    public = {name for names in plain.values() for name in names if not name.startswith("_")}
    asked = {
        f"{path.relative_to(package)}: {node.value.id}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "get" and isinstance(node.value, ast.Name)
        if node.value.id in plain[path] | public
    }
    assert not asked


@pytest.mark.usefixtures("switching")
def test_a_clients_headers_change_while_requests_take_them(background: Background) -> None:
    headers = CaseInsensitiveDict({f"x-{number}": "" for number in range(20)})
    over = threading.Event()

    def change() -> None:
        try:
            for _ in range(TURNS):
                headers["Authorization"] = "token"
                del headers["Authorization"]
        finally:
            over.set()

    def take() -> None:
        while not over.is_set():
            assert len(CaseInsensitiveDict(headers)) >= 20

    at_once(background, change, take, take)
