"""RFC 8441: CONNECT with :protocol, which carries WebSockets."""

from __future__ import annotations

import pytest
from hyperframe.frame import DataFrame, HeadersFrame

from support.connections.conversations import ServerConversation, client_conversation, server_conversation
from support.octets import frames
from support.octets.fields import REQUEST
from support.octets.frames import ENABLE_CONNECT_PROTOCOL
from sync_h2 import ErrorCode, InvalidState

WEBSOCKET = (
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat"),
    (":authority", "localhost"),
)
ENABLED = {"enable_connect_protocol": True}


def _without(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(field for field in WEBSOCKET if field[0] != name)


@pytest.mark.parametrize(("value", "right"), [(0, True), (1, True), (2, False)])
def test_section_3_values_of_the_setting(value: int, right: bool) -> None:
    with client_conversation() as client:
        client.send(frames.settings((ENABLE_CONNECT_PROTOCOL, value)))
        if right:
            client.accepted()
        else:
            client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_3_the_setting_is_not_withdrawn() -> None:
    with client_conversation(peer_settings={ENABLE_CONNECT_PROTOCOL: 1}) as client:
        client.send(frames.settings((ENABLE_CONNECT_PROTOCOL, 0)))
        client.connection_error(ErrorCode.PROTOCOL_ERROR)


def test_section_3_a_client_waits_for_the_setting() -> None:
    with client_conversation() as client:
        with pytest.raises(InvalidState, match="RFC 8441"):
            client.session.request(WEBSOCKET)
        client.send(frames.settings((ENABLE_CONNECT_PROTOCOL, 1)))
        client.peer.settled()
        with client.session.request(WEBSOCKET):
            assert (":protocol", "websocket") in client.peer.expect(HeadersFrame).fields


def test_section_4_a_tunnel() -> None:
    with server_conversation(settings=ENABLED) as server:
        stream_id = server.new_id()
        server.send(frames.headers(stream_id, *WEBSOCKET), frames.data(stream_id, b"\x81\x02hi"))
        assert (":status", "200") in server.peer.expect(HeadersFrame, stream_id).fields
        assert server.peer.expect(DataFrame, stream_id).data == b"\x81\x02hi"
        assert server.requests[0][":protocol"] == "websocket"
        assert server.requests[0][":path"] == "/chat"


def test_section_4_a_server_that_has_not_enabled_it(server: ServerConversation) -> None:
    server.send(frames.headers(server.new_id(), *WEBSOCKET))
    server.stream_error(1, ErrorCode.PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(_without(":scheme"), id="no :scheme"),
        pytest.param(_without(":path"), id="no :path"),
        pytest.param(_without(":authority"), id="no :authority"),
        pytest.param((*REQUEST, (":protocol", "websocket")), id="with GET"),
        pytest.param((*WEBSOCKET, (":protocol", "websocket")), id=":protocol twice"),
        pytest.param((*_without(":protocol"), (":protocol", "")), id="an empty :protocol"),
        pytest.param((*_without(":protocol"), (":protocol", "web socket")), id="a space in :protocol"),
        pytest.param((*_without(":protocol"), ("x", "y"), (":protocol", "websocket")), id=":protocol after others"),
        pytest.param(_without(":protocol"), id="a plain CONNECT with :scheme and :path"),
        pytest.param((*WEBSOCKET, ("upgrade", "websocket")), id="upgrade"),
        pytest.param((*WEBSOCKET, ("connection", "upgrade")), id="connection"),
    ],
)
def test_section_4_malformed(fields: tuple[tuple[str, str], ...]) -> None:
    with server_conversation(settings=ENABLED) as server:
        server.send(frames.headers(server.new_id(), *fields))
        server.stream_error(1, ErrorCode.PROTOCOL_ERROR)
