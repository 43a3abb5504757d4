"""`request` listeners and their siblings: what makes a request and a response of a stream, and who is given them.

It runs as a stream's handler, on the pool. What Node answers by itself is answered here: `Expect: 100-continue`, other
expectations, and CONNECT.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from ...connection.server_side.handling_session import Handler
from ...connection.server_side.server_stream import ServerStream
from ...connection.shared.listeners import Listener
from ...protocol.fields.headers import Headers
from .request import ServerRequest
from .response import ServerResponse

RequestHandler = Callable[[ServerRequest, ServerResponse], object]

REQUEST_EVENTS = frozenset({"request", "check_continue", "check_expectation", "connect"})


def request_handler(take: Callable[[str], Sequence[Listener]]) -> Handler:
    """A stream's handler that calls what listens for it; `take(name)` gives the functions for an event."""

    def handle(stream: ServerStream, headers: Headers) -> None:
        request = ServerRequest(stream)
        response = ServerResponse(stream, request)
        if headers[":method"] == "CONNECT":
            functions = take("connect") or [_method_not_allowed]
        elif "expect" not in headers:
            functions = take("request")
        elif headers["expect"].lower() == "100-continue":
            functions = take("check_continue")
            if not functions:
                response.write_continue()
                functions = take("request")
        else:
            functions = take("check_expectation") or [_expectation_failed]
        for function in functions:
            function(request, response)
        response._handlers_returned()

    return handle


def check_handler(handler: object) -> None:
    """Raise TypeError for what can't be called, or would only make a coroutine then."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):  # noqa: B004
        raise TypeError(
            "a handler must be a plain function, not an `async def` one: it runs on a thread, and may block"
        )


def _method_not_allowed(request: ServerRequest, response: ServerResponse) -> None:
    _refuse(response, 405)


def _expectation_failed(request: ServerRequest, response: ServerResponse) -> None:
    _refuse(response, 417)


def _refuse(response: ServerResponse, status: int) -> None:
    stream = response.stream
    if not (stream.headers_sent or stream.detached or stream.closed):  # by a `stream` listener
        response.status_code = status
        response.end()
