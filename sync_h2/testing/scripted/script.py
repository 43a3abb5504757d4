"""Scripts: what a connection does first, and how a request is answered, step by step. A test's thread writes them,
connections' threads read them; `release` and the waits for it may be called by any thread.
"""

from __future__ import annotations

import functools
import json as json_module
from collections.abc import Callable
from threading import Condition
from typing import Any, TypeVar

from ...arguments import check_error_code
from ...constants import ErrorCode
from ...deadline import Deadline, check_timeout
from ...errors import InvalidArgument, Timeout
from ...protocol.settings import Settings
from . import steps
from .frames import Fields, body_octets, octets, pairs, response_fields
from .received import PATIENCE
from .steps import Step

Self = TypeVar("Self", bound="ConnectionScript")


def _refusing_seconds(stall: Callable[[Self], Self]) -> Callable[[Self], Self]:
    @functools.wraps(stall)
    def checked(self: Self, *seconds: object) -> Self:
        if seconds:
            raise TypeError("stall() takes no arguments: it lasts until release(); pause(seconds) is over by itself")
        return stall(self)

    return checked


class ConnectionScript:
    """What a connection does before it takes requests, made by `ScriptedServer.on_connect`. Without steps it sends the
    server's SETTINGS and goes on. These go out before the first `settings`, `goaway` or `frame`, and otherwise after
    the script, with the client's preface: one that begins with `raw`, `stall` or `drop` has not said that it speaks
    HTTP/2.

    Each method adds a step, and returns the script. What a step sends is sent as it is: hardly anything is checked.
    """

    def __init__(self, changed: Condition, wake: Callable[[], None]) -> None:
        self._was_played = False  # guarded by the server's lock
        self._steps: list[Step] = []
        self._changed = changed
        self._wake = wake
        self._released = False
        self._stalled = 0

    def settings(self: Self, **values: Any) -> Self:
        """SETTINGS, by the names that `sync_h2.Settings` has: `settings(max_concurrent_streams=1)`. A lowered
        `max_concurrent_streams` is enforced (REFUSED_STREAM) once the client has acknowledged it.
        """
        return self._add(steps.settings(Settings(values)))

    def goaway(
        self: Self, code: int = ErrorCode.NO_ERROR, *, last_stream_id: int | None = None, message: str | bytes = b""
    ) -> Self:
        """GOAWAY; streams above `last_stream_id` (by default this request's, or 0) are not answered, and when the
        others are done, the connection is closed. `message` is its debug data.
        """
        _check_code("goaway", code)
        return self._add(steps.goaway(code, last_stream_id, octets(message, "message")))

    def frame(self: Self, kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int | None = None) -> Self:
        """Any frame at all, by default on the request's stream, or on 0."""
        return self._add(steps.frame(kind, flags, stream_id, payload))

    def raw(self: Self, data: bytes) -> Self:
        """These octets, which need not be frames."""
        return self._add(steps.raw(body_octets(data, "raw() takes octets, which")))

    def pause(self: Self, seconds: float) -> Self:
        """Nothing for so long; other requests go on."""
        check_timeout(seconds)
        return self._add(steps.pause(seconds))

    @_refusing_seconds
    def stall(self: Self) -> Self:
        """Nothing until `release` is called, for ever otherwise; other requests go on. Of a request's body no more is
        taken than the windows allow.
        """
        return self._add(steps.stall(self))

    def drop(self: Self, *, reset: bool = False) -> Self:
        """Close the connection, when what was said before has been sent: with TCP's FIN, or with a RST if `reset`.
        Neither GOAWAY nor TLS's close_notify come first.
        """
        return self._add(steps.drop(reset))

    def _plan(self) -> list[Step]:
        """The steps as they are to be played."""
        return list(self._steps)

    # -- Stalls; any thread

    def release(self) -> None:
        """From now on nothing stalls in this script, and what does goes on."""
        with self._changed:
            self._released = True
        self._wake()

    def wait_stalled(self, timeout: float | None = PATIENCE) -> None:
        """Block until a `stall` of this script has been reached; Timeout after so many seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._stalled, Deadline(timeout).remaining()):
                raise Timeout(f"the script has not stalled within {timeout} s")

    def _is_released(self) -> bool:
        with self._changed:
            return self._released

    def _count_stalled(self, change: int) -> None:
        with self._changed:
            self._stalled += change
            self._changed.notify_all()

    def _add(self: Self, step: Step) -> Self:
        self._steps.append(step)
        return self


class Script(ConnectionScript):
    """How a request is answered, made by `ScriptedServer.route`. It begins when the whole request has come, unless its
    first step is `read`; and what has no end yet after its last step is ended, with a status of 200 if there is none.

    Each method adds a step, and returns the script. What a step sends is sent as it is: hardly anything is checked.
    Headers are a mapping of names to a value or several, or pairs, in str, bytes or int.
    """

    _begins_early = False

    def _plan(self) -> list[Step]:
        """The steps as they are to be played."""
        return list(self._steps) if self._begins_early else [steps.read(None), *self._steps]

    def read(self, count: int | None = None) -> Script:
        """Take `count` octets more of the request's body and open its window by as much; None: take all, until its end.
        As first step, `read(0)` has the script begin with the request's headers, its window left as it was.
        """
        if count is not None and count < 0:
            raise InvalidArgument(f"a number of octets must not be negative, not {count}")
        self._begins_early = self._begins_early or not self._steps
        return self._add(steps.read(count))

    def informational(self, status: int = 103, headers: Fields = ()) -> Script:
        """A response before the response, such as 103 (Early Hints)."""
        return self._add(steps.headers(response_fields(status, headers, "informational"), end_stream=False))

    def respond(self, status: int = 200, headers: Fields = (), body: str | bytes = b"", *, json: Any = ...) -> Script:
        """The response's headers, and the `body` (text goes out in UTF-8), or `json` (None is null) with its
        content-type, unless the headers have one. Nothing is added to these: no content-length. A HEAD request gets no
        body.
        """
        fields = response_fields(status, headers, "respond")
        if json is not ...:
            if not any(name.lower() == b"content-type" for name, _ in fields):
                fields.append((b"content-type", b"application/json"))
            body = json_module.dumps(json)
        return self._add(steps.respond(fields, body_octets(body, "body")))

    def headers(self, fields: Fields, *, end_stream: bool = False) -> Script:
        """A block of exactly these fields, `:status` and the like included, or left out."""
        return self._add(steps.headers(pairs(fields), end_stream=end_stream))

    def data(
        self,
        body: str | bytes,
        *,
        frame_size: int | None = None,
        padding: int | None = None,
        pause: float = 0.0,
        ignore_windows: bool = False,
        end_stream: bool = False,
    ) -> Script:
        """A piece of the body (text goes out in UTF-8) in frames of `frame_size` octets, as large as can be by default,
        with so many octets (0 to 255) of `padding` in each, and a `pause` of so many seconds after each. An empty one
        is an empty frame. It waits for the client's windows, unless it is to `ignore_windows`. The last one of a script
        ends the stream, and one with `end_stream`.
        """
        if frame_size is not None and frame_size < 1:
            raise InvalidArgument(f"a frame's size must be at least 1, not {frame_size}")
        if padding is not None and not 0 <= padding <= 255:
            raise InvalidArgument(f"padding must be from 0 to 255 octets, not {padding}")
        check_timeout(pause)
        content = body_octets(body, "data() takes a body, which")
        return self._add(steps.data(content, frame_size, padding, pause, ignore_windows, end_stream))

    def trailers(self, headers: Fields) -> Script:
        """Trailers, and with them the end."""
        return self._add(steps.headers(pairs(headers), end_stream=True))

    def reset(self, code: int = ErrorCode.INTERNAL_ERROR) -> Script:
        """RST_STREAM."""
        _check_code("reset", code)
        return self._add(steps.reset(code))


def _check_code(function: str, code: object) -> None:
    if not isinstance(code, int):
        raise TypeError(f"{function}() takes a sync_h2.ErrorCode or a number, not {code!r}")
    check_error_code(code)
