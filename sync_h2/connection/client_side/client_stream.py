"""A client's stream: a request on its way out, the response on its way in. Any thread."""

from __future__ import annotations

from collections.abc import Iterator

from ...deadline import check_timeout
from ...protocol.fields.headers import Headers
from ..shared.monitor import WaitQueue
from ..stream.stream import Stream


class ClientStream(Stream):
    """What `session.request` returns, and what a server pushes. `read` waits for the response by itself."""

    __slots__ = ()

    _end_hint = " (GET, HEAD and DELETE end with their headers unless end_stream=False)"

    def wait_response(self, timeout: float | None = None) -> Headers:
        """Wait for the final response's headers (`:status` and fields). Raises `StreamReset`, the session's errors
        and `Timeout`.
        """
        if timeout is not None:
            check_timeout(timeout)
        state = self._state
        if state.response_headers is not None:
            return state.response_headers

        def attempt() -> Headers | WaitQueue:
            if state.response_headers is not None:
                return state.response_headers
            self._raise_if_closed_locked()
            return state.arrived

        return self._wait_for_peer(attempt, self._read_deadline(timeout), "the response")

    @property
    def _why_nothing_comes(self) -> str:
        state = self._state
        if state.response_headers is not None or state.end_posted or state.local_ended:
            return ""
        return "" if state.request_method == "CONNECT" else "; your request's body has not ended: call end()"

    def wait_continue(self, timeout: float | None = None) -> bool:
        """Wait for a 100 response: True when it came, False when a final response came instead. Raises as
        `wait_response`.
        """
        state = self._state

        def attempt() -> bool | WaitQueue:
            if state.continued:
                return True
            if state.response_headers is not None:
                return False
            self._raise_if_closed_locked()
            return state.arrived

        return self._wait(attempt, self._read_deadline(timeout), "100 Continue")

    def wait_push(self, timeout: float | None = None) -> ClientStream | None:
        """Wait for a pushed stream that was promised with this one's response; None when none can come any more."""
        state = self._state

        def attempt() -> ClientStream | WaitQueue | None:
            if state.pushes:
                pushed = state.pushes.popleft()
                assert isinstance(pushed, ClientStream)
                return pushed
            if state.remote_ended or state.closed:
                return None
            return state.arrived

        return self._wait(attempt, self._read_deadline(timeout), "a pushed stream")

    def pushes(self) -> Iterator[ClientStream]:
        """The pushed streams as they are promised, until none can come any more."""
        while (stream := self.wait_push()) is not None:
            yield stream

    def _promised(self) -> list[ClientStream]:
        """The pushed streams for which `wait_push` would not wait; it gives none of them again."""
        with self._monitor, self._lock:
            pushes = self._state.pushes
            promised: list[ClientStream] = []
            while pushes:
                pushed = pushes.popleft()
                assert isinstance(pushed, ClientStream)
                promised.append(pushed)
            return promised

    @property
    def informational(self) -> list[Headers]:
        """The 1xx responses that came so far."""
        with self._monitor, self._lock:
            return list(self._state.informational)

    @property
    def response_headers(self) -> Headers | None:
        """The response's headers if they have come; `wait_response` waits for them."""
        with self._monitor, self._lock:
            return self._state.response_headers

    @property
    def request_headers(self) -> Headers:
        """The request that a pushed stream answers; of any other stream what was sent."""
        with self._monitor, self._lock:
            request = self._state.request_headers if self._state.is_push else self._state.sent_headers
        assert request is not None, "no stream comes about without a request"
        return request

    @property
    def end_after_headers(self) -> bool:
        """True when the response ended with its headers."""
        with self._monitor, self._lock:
            return self._state.ended_with_headers
