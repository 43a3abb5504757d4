"""The lock's rules as a check: nothing that blocks and no foreign code while the calling thread owns a session's lock.

`lock_rules` watches what the engine could call by mistake (blocking calls on sockets, waits, sleeps, starting threads,
logging, warnings, pools and executors, listeners, handlers, trace functions) and fails the test in which one of these
happened on a thread inside a critical section. That no thread takes a second lock is checked by sync_h2 itself
(SYNC_H2_DEBUG).
"""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import socket
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_h2.connection.inspection import trace
from sync_h2.connection.server_side import server_session
from sync_h2.connection.session import core as session
from sync_h2.connection.shared import listeners, timers
from sync_h2.connection.shared import monitor as waiting
from sync_h2.server import server
from sync_h2.server.pool import executor_pool
from sync_h2.server.pool import handler_pool as pool
from sync_h2.transport import full_sockets

_DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


def inside_a_critical_section() -> bool:
    """Whether the calling thread owns a monitor's lock."""
    monitor = getattr(waiting._entered, "monitor", None)
    return monitor is not None and monitor.owned


class LockRules:
    """What was done under a lock although it must not be."""

    def __init__(self) -> None:
        self.violations: list[str] = []

    def check(self, what: str) -> None:
        if inside_a_critical_section():
            stack = "".join(traceback.format_stack()[:-2])
            self.violations.append(f"{what} was called under a session's lock:\n{stack}")

    def watch(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        unless: Callable[..., bool] = lambda *arguments, **named: False,
    ) -> None:
        """Check each call of `owner.name`, except those for which `unless(*arguments)` holds."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def checked(*arguments: Any, **named: Any) -> Any:
            if not unless(*arguments, **named):
                self.check(f"{getattr(owner, '__name__', owner)}.{name}")
            return function(*arguments, **named)

        monkeypatch.setattr(owner, name, checked)


def _sends_without_blocking(sock: socket.socket, *arguments: Any, **named: Any) -> bool:
    flags = arguments[2] if len(arguments) > 2 else 0
    return sock.gettimeout() == 0 or bool(flags & _DONT_WAIT)


@pytest.fixture
def lock_rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[LockRules]:
    """Watches the whole test; `violations` is what was found so far, and fails the test at its end."""
    assert waiting.DEBUG, "without SYNC_H2_DEBUG=1 nobody records which lock a thread holds"
    rules = LockRules()
    for name in ("accept", "connect", "recv", "recv_into", "recvmsg", "send", "sendall"):
        rules.watch(monkeypatch, socket.socket, name, unless=lambda sock, *rest: sock.gettimeout() == 0)
    rules.watch(monkeypatch, socket.socket, "sendmsg", unless=_sends_without_blocking)
    # Others' loggers are called by finalizers, which run wherever garbage is collected.
    rules.watch(monkeypatch, logging.Logger, "handle", unless=lambda logger, *rest: "sync_h2" not in logger.name)
    for owner, name in (
        (waiting.Waiter, "block"),
        (threading.Condition, "wait"),
        (threading.Event, "wait"),
        (threading.Thread, "start"),
        (threading.Thread, "join"),
        (time, "sleep"),
        (warnings, "warn"),
        (concurrent.futures.ThreadPoolExecutor, "submit"),
        (concurrent.futures.Future, "result"),
        (pool.HandlerPool, "submit"),
        (pool.HandlerPool, "forget"),
        (pool.HandlerPool, "shutdown"),
        (executor_pool.ExecutorPool, "submit"),
        (executor_pool.ExecutorPool, "forget"),
        (executor_pool.ExecutorPool, "shutdown"),
        (timers.TimerThread, "ensure_running"),
        (full_sockets.FullSockets, "ensure_running"),
        (listeners, "call_listener"),
        (trace.Trace, "_call"),
        (server, "call_listener"),
        (server_session.ServerSession, "_handle"),
        (session.SessionCore, "_session_gone"),
        (server.ThreadingServer, "_handlers"),
        (server.ThreadingServer, "_session_idle"),
        (server.ThreadingServer, "_session_ended"),
    ):
        rules.watch(monkeypatch, owner, name)
    yield rules
    assert not rules.violations, "\n".join(rules.violations)


@pytest.fixture(autouse=True)
def keep_lock_rules(lock_rules: LockRules) -> None:
    """For a conftest.py: no blocking call and no foreign code under a session's lock, in any test of its folder."""
