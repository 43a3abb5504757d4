"""What the protocol gives is handled by the sessions of one role, or of both."""

from __future__ import annotations

import pytest

from sync_h2.connection.client_side.client_session import ClientSession
from sync_h2.connection.server_side.server_session import ServerSession
from sync_h2.connection.session.events import EventHandlers
from sync_h2.protocol.events import Event, OriginReceived, PingReceived, RequestReceived


@pytest.mark.parametrize("kind", Event.__subclasses__())
def test_every_event_has_a_handler(kind: type[Event]) -> None:
    handled = []
    for role in (ClientSession, ServerSession):
        try:
            handled.append(EventHandlers(role)[kind])
        except AttributeError:
            continue
    assert handled


@pytest.mark.parametrize(
    ("kind", "role", "name"),
    [
        (PingReceived, ClientSession, "_ping_received_locked"),
        (OriginReceived, ClientSession, "_origin_received_locked"),
        (RequestReceived, ServerSession, "_request_received_locked"),
    ],
)
def test_it_is_the_method_with_the_events_name(kind: type[Event], role: type, name: str) -> None:
    assert EventHandlers(role)[kind] is getattr(role, name)


def test_what_a_role_does_not_handle_is_no_silent_nothing() -> None:
    with pytest.raises(AttributeError):
        EventHandlers(ClientSession)[RequestReceived]
