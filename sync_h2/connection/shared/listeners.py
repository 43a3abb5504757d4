"""Listeners: functions called when things happen by themselves (`on`, `off`, `once`), in the order in which they
happened.

`Listeners` belong to a session or stream and need the session's lock. A `Dispatcher` is the queue of one session's
events; its thread runs while there are events that somebody listens for, and calls listeners one at a time with no
lock held, so a listener may block and may call anything.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, TypeVar, overload

from ...errors import InvalidArgument
from ...transport.log import Log
from .monitor import Monitor, WaitQueue

logger = Log("sync_h2.listeners")

Listener = Callable[..., object]

Function = TypeVar("Function", bound=Listener)
"""A listener's own type, which decorating it leaves."""

KEPT, NOT_KEPT = True, False
"""Whether an event waits for its first listener when nobody listens yet."""

MOST_WAITING = 10_000
"""Events that may wait for a listener that blocks; what comes beyond is dropped and logged."""
_LINGER = 1.0  # seconds for which an idle dispatcher thread waits for the next event
_KEPT_ONCE = frozenset({"connect", "response", "trailers", "aborted", "error", "close", "ready", "want_trailers"})
_NONE: dict[str, Any] = {}
_name_of = itemgetter(0)
_KEPT_MANY = 64  # how many of the repeatable events are kept for a first listener that comes late

_NODE_STREAM_EVENTS = frozenset({"data", "end", "drain", "finish", "readable", "pipe", "unpipe", "set_encoding"})


def check_event(name: str, known: Mapping[str, bool]) -> None:
    """Raise `InvalidArgument` (a ValueError) unless `name` is an event of the object."""
    if name in known:
        return
    if name in _NODE_STREAM_EVENTS:
        raise InvalidArgument(
            f"there is no {name!r} event: use read(), iteration, write(), wait_closed() or "
            "io.TextIOWrapper(stream.rfile)"
        )
    raise InvalidArgument(f"unknown event {name!r}; there are {', '.join(sorted(known))}")


class Listeners:
    """What listens to one object, whose events are `known`; the `KEPT` ones wait here for their first listener."""

    __slots__ = ("_dispatcher", "_end", "_functions", "_kept", "known")

    def __init__(self, dispatcher: Dispatcher, known: Mapping[str, bool]) -> None:
        self.known = known
        self._dispatcher = dispatcher
        # With each function whether it is for one event only. Neither these tuples nor `_NONE` are ever changed, and
        # nothing is looked up in `_NONE`: see `interpreter.SharedDict`.
        self._functions: dict[str, tuple[tuple[Listener, bool], ...]] = _NONE
        # Most streams keep two events that nobody listens for: a tuple of them is made sooner than a dict.
        self._kept: tuple[tuple[str, tuple[object, ...]], ...] = ()
        self._end: tuple[object, ...] | None = None

    def add_locked(self, name: str, function: Listener, once: bool = False) -> None:
        functions = dict(self._functions) if self._functions else {}
        functions[name] = (*functions.get(name, ()), (function, once))
        self._functions = functions
        if name == "close" and self._end is not None:
            self._dispatcher.post_locked(self, name, self._end)
            self._end = None
        kept, self._kept = self._kept, tuple([event for event in self._kept if event[0] != name])
        for arguments in [event[1] for event in kept if event[0] == name]:
            known = tuple(item() if isinstance(item, weakref.ref) else item for item in arguments)
            if not known or known[0] is not None:
                self._dispatcher.post_locked(self, name, known)

    def remove_locked(self, name: str, function: Listener) -> None:
        entries = list(self._functions.get(name, ())) if self._functions else []
        for entry in entries:
            if entry[0] == function:
                entries.remove(entry)
                self._functions = {**self._functions, name: tuple(entries)}
                break

    def emit_locked(self, name: str, *arguments: object) -> bool:
        """Queue the event; False when nobody listens for it (it may be kept)."""
        if self._functions and self._functions.get(name):
            self._dispatcher.post_locked(self, name, arguments)
            return True
        if self.known[name] is KEPT:
            kept = self._kept
            if not kept or list(map(_name_of, kept)).count(name) < (1 if name in _KEPT_ONCE else _KEPT_MANY):
                if name == "stream":  # one that nobody holds is forgotten: the event does not hold it either
                    arguments = (weakref.ref(arguments[0]), *arguments[1:])
                self._kept = (*kept, (name, arguments))
        return False

    def emit_close_locked(self, *arguments: object) -> None:
        """`emit_locked("close", ...)`, which comes to each stream and session: it is kept without a table."""
        if self._functions and self._functions.get("close"):
            self._dispatcher.post_locked(self, "close", arguments)
        else:
            self._end = arguments

    def any_locked(self, name: str) -> bool:
        """Whether anybody listens for the event."""
        return bool(self._functions and self._functions.get(name))

    def take_locked(self, name: str) -> list[Listener]:
        """The functions to call for one event, `once` ones removed."""
        if not self._functions:
            return []
        entries = self._functions.get(name, ())
        lasting = tuple([entry for entry in entries if not entry[1]])
        if len(lasting) < len(entries):
            self._functions = {**self._functions, name: lasting}
        return [entry[0] for entry in entries]

    def lasting(self, name: str) -> list[Listener] | None:
        """The same without the lock; None if there are `once` ones, which have to be removed."""
        if not self._functions:
            return []
        entries = self._functions.get(name, ())
        functions = [function for function, once in entries if not once]
        return functions if len(functions) == len(entries) else None


class Dispatcher:
    """One session's events in the order in which they happened, and the thread that hands them out."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._events: list[tuple[Listeners, str, tuple[object, ...]]] = []
        self._posted = WaitQueue(monitor)
        self._running = False  # its thread is there, or is being started
        self._begun = False
        self._finishing = False
        self._stays = False  # its thread waits on when it is idle
        self.changed = WaitQueue(monitor)  # the thread has begun, or left
        self._dropped = 0
        # Of the thread that calls listeners, or 0: a listener must not wait for the end of its own session.
        self.thread_id = 0

    def post_locked(self, listeners: Listeners, name: str, arguments: tuple[object, ...]) -> None:
        if len(self._events) >= MOST_WAITING and name not in _KEPT_ONCE:
            self._dropped += 1
            if self._dropped == 1:
                self._monitor.after_unlock(lambda: logger.warning("a listener blocks: %r events are dropped", name))
            return
        self._events.append((listeners, name, arguments))
        self._ensure_running_locked()

    def stay_locked(self, stays: bool) -> None:
        """Whether the thread, started now, waits on when it is idle: at the interpreter's end none could be started."""
        self._stays = stays
        if self._running or (stays and not self._finishing):
            self._ensure_running_locked()

    @property
    def running_locked(self) -> bool:
        """Whether the thread is there, or is being started."""
        return self._running

    @property
    def starting_locked(self) -> bool:
        return self._running and not self._begun

    def _ensure_running_locked(self) -> None:
        if self._running:
            self._posted.wake_all_locked()
        else:
            self._monitor.after_unlock(self._start)
            self._running = True

    @property
    def waiting_locked(self) -> int:
        """How many events no listener has been called for yet."""
        return len(self._events)

    def finish_locked(self) -> None:
        """The session has ended: the thread goes as soon as the last event is delivered."""
        self._finishing = True
        self._posted.wake_all_locked()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="sync_h2-listeners", daemon=True).start()
        except RuntimeError:  # the process has too many; the next event tries again
            logger.exception("no thread for listeners")
            with self._monitor, self._monitor.lock:
                self._leave_locked()

    def _run(self) -> None:
        with self._monitor, self._monitor.lock:
            if self._begun or not self._running:
                return  # started twice, because an interrupt fell into the start
            self._begun = True
            self.changed.wake_all_locked()
        self.thread_id = threading.get_ident()
        while True:
            batch: tuple[list[Listener], tuple[object, ...], str] | None = None
            waiter = None
            linger: float | None = _LINGER
            with self._monitor, self._monitor.lock:
                if self._events:
                    listeners, name, arguments = self._events.pop(0)
                    batch = (listeners.take_locked(name), arguments, name)
                    del listeners
                else:
                    waiter = self._posted.enlist_locked()
                    if self._finishing:
                        self._leave_locked()
                        return
                    linger = None if self._stays else _LINGER
            if batch is not None:
                for function in batch[0]:
                    call_listener(function, batch[2], batch[1])
                del batch
            elif waiter is not None and not waiter.block(linger):
                with self._monitor, self._monitor.lock:
                    self._posted.withdraw_locked(waiter)
                    if not self._events and not self._stays:
                        self._leave_locked()
                        return

    def _leave_locked(self) -> None:
        self._running = self._begun = False
        self.thread_id = 0
        self.changed.wake_all_locked()


def call_listener(function: Listener, name: str, arguments: tuple[Any, ...]) -> None:
    """Call a listener; one that raises is logged, the others go on."""
    try:
        function(*arguments)
    except BaseException:  # SystemExit too: a listener that calls `sys.exit` ends itself, not the listening
        logger.exception("a %r listener failed", name)


class Observable:
    """The public `on`, `once` and `off` of sessions and streams."""

    __slots__ = ()

    _monitor: Monitor
    _listeners: Listeners

    @overload
    def on(self, name: str, function: Function) -> Function: ...
    @overload
    def on(self, name: str, function: None = None) -> Callable[[Function], Function]: ...
    def on(self, name: str, function: Listener | None = None) -> Any:
        """Register a listener; without `function`, a decorator. Raises `InvalidArgument` for an unknown event.

        Listeners run in order, one at a time per session, on a thread of their own; see the list of events in the
        documentation.
        """
        return self._register(name, function, once=False)

    @overload
    def once(self, name: str, function: Function) -> Function: ...
    @overload
    def once(self, name: str, function: None = None) -> Callable[[Function], Function]: ...
    def once(self, name: str, function: Listener | None = None) -> Any:
        """As `on`, for the next such event only."""
        return self._register(name, function, once=True)

    def off(self, name: str, function: Listener) -> None:
        """Remove a listener; nothing happens if it was not registered."""
        check_event(name, self._listeners.known)
        with self._monitor, self._monitor.lock:
            self._listeners.remove_locked(name, function)

    def _register(self, name: str, function: Listener | None, *, once: bool) -> Any:
        check_event(name, self._listeners.known)
        if function is None:
            return lambda decorated: self._register(name, decorated, once=once)
        if not callable(function):
            raise TypeError(f"a listener must be callable, not {type(function).__name__}")
        with self._monitor, self._monitor.lock:
            self._listeners.add_locked(name, function, once)
        return function

    def _register_all(self, listeners: Mapping[str, Listener] | None) -> None:
        if listeners is not None and not isinstance(listeners, Mapping):
            raise TypeError(f"listeners must be a mapping of event names to functions, not {type(listeners).__name__}")
        for name, function in (listeners or {}).items():
            self._register(name, function, once=False)
