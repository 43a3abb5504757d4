"""Requests and responses in the test's hands: the client's stream, and what a `request` listener gets of it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_h2 import ClientStream, ServerRequest, ServerResponse
from sync_h2.testing import pair

from ..threads.background import PATIENCE

Exchange = tuple[ClientStream, ServerRequest, ServerResponse]


@pytest.fixture
def exchange() -> Iterator[Callable[..., Exchange]]:
    """`exchange(headers, **options)` makes a request of a session, which is made with the `options` of `pair` first
    given; one that has not ended, unless told otherwise.
    """
    accepted: queue.SimpleQueue[tuple[ServerRequest, ServerResponse]] = queue.SimpleQueue()
    sessions: list[Any] = []
    held: list[object] = []

    def take_over(request: ServerRequest, response: ServerResponse) -> None:
        response.stream.detach()
        accepted.put((request, response))

    def make(headers: Any = None, *, end_stream: bool | None = None, **options: Any) -> Exchange:
        if not sessions or options:
            sessions.extend(pair(on_request=take_over, **options))
        stream = sessions[-2].request({":method": "POST"} if headers is None else headers, end_stream=end_stream)
        held.append(stream)
        request, response = accepted.get(timeout=PATIENCE)
        held.append(response)
        return stream, request, response

    yield make
    for session in sessions:
        session.destroy()
