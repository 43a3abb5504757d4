"""What a scripted server is to do: its routes, and what connections do first. Tests' threads write it, connections'
threads and the acceptor read it; a lock of its own guards it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ...constants import ErrorCode
from ...protocol.settings import Settings
from .received import ReceivedRequest, RequestLog
from .script import ConnectionScript, Script
from .steps import Step

S = TypeVar("S", bound=ConnectionScript)


class Plan:
    """For one server, whose requests go to `log`; `tell` is called for each, and `wake` has connections look again."""

    def __init__(
        self,
        initial_settings: Settings,
        log: RequestLog,
        wake: Callable[[], None],
        tell: Callable[[ReceivedRequest], object] | None,
    ) -> None:
        self.initial_settings = initial_settings
        self.goaway_count: int | None = None  # after so many requests
        self.goaway_code: int = ErrorCode.NO_ERROR
        self.goaway_answers_first = False
        self._log = log
        self._wake = wake
        self._tell = tell
        self._lock = threading.Lock()  # guards what follows
        self._routes: dict[tuple[str | None, str | None], list[Script]] = {}
        self._connect_scripts: list[ConnectionScript] = []

    # -- Tests' threads

    def route(self, path: str | None, method: str | None) -> Script:
        script = Script(self._log.changed, self._wake)
        with self._lock:
            self._routes.setdefault((path, method), []).append(script)
        return script

    def on_connect(self) -> ConnectionScript:
        script = ConnectionScript(self._log.changed, self._wake)
        with self._lock:
            self._connect_scripts.append(script)
        return script

    def goaway_after(self, count: int, code: int, answers_first: bool) -> None:
        self.goaway_code, self.goaway_answers_first, self.goaway_count = code, answers_first, count

    def scripts(self) -> list[ConnectionScript]:
        """All that are not over."""
        with self._lock:
            return [*(script for of_route in self._routes.values() for script in of_route), *self._connect_scripts]

    # -- Connections' threads, and the acceptor

    def connect_steps(self) -> Sequence[Step]:
        """What the next connection does first."""
        with self._lock:
            script = _next_of(self._connect_scripts)
        return [] if script is None else script._plan()

    def receive(
        self, fields: list[tuple[bytes, bytes]], connection: int, stream_id: int
    ) -> tuple[ReceivedRequest, Sequence[Step]]:
        """A request has come: what is recorded of it, and how it is answered."""
        told = {name: value.decode("latin-1") for name, value in fields}
        path, method = told.get(b":path", ""), told.get(b":method", "")
        script = self._script_for(path, method)
        request = ReceivedRequest(
            fields, connection=connection, stream_id=stream_id, routed=script is not None, log=self._log
        )
        if script is None:
            script = Script(self._log.changed, self._wake)
            script.respond(404, {"content-type": "text/plain"}, f"no route for {method} {path}\n")
        self._log.add(request)
        if self._tell is not None:
            self._tell(request)
        return request, script._plan()

    def _script_for(self, path: str, method: str) -> Script | None:
        with self._lock:
            for known in (path, path.partition("?")[0], None):
                for asked in (method, None):
                    if scripts := self._routes.get((known, asked)):
                        return _next_of(scripts)
        return None


def _next_of(scripts: list[S]) -> S | None:
    """The one whose turn it is: the first that was not played yet, or the last."""
    if not scripts:
        return None
    if scripts[0]._was_played and len(scripts) > 1:
        del scripts[0]
    scripts[0]._was_played = True
    return scripts[0]
