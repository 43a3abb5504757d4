"""Tunnels, and what concerns a connection more than a stream, with Node as the other end: our client and its server,
our server and its client, over h2c and TLS.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sync_h2
from support.programs.others import node_connection_client, node_server
from support.threads.background import Background, background, eventually
from support.tls.certificates import Certificate

__all__ = ["background"]

Handler = Callable[[sync_h2.ServerStream, sync_h2.Headers], Any]
RESET_CODES = [int(code) for code in sync_h2.ErrorCode if code]
CUSTOM, OTHER_CUSTOM = 0xF000, 0xF001


# -- our client and Node's server


@pytest.fixture(scope="module")
def node_url(server_certificate: Certificate | None) -> Iterator[str]:
    """Where tests/interop/node/connection_server.js answers."""
    with node_server(server_certificate, "connection_server.js") as port:
        yield f"https://localhost:{port}" if server_certificate else f"http://127.0.0.1:{port}"


def connect(url: str, ca_file: str, **options: Any) -> sync_h2.ClientSession:
    return sync_h2.connect(url, cafile=ca_file if url.startswith("https:") else None, **options)


@pytest.fixture
def node(node_url: str, ca_file: str) -> Iterator[sync_h2.ClientSession]:
    with connect(node_url, ca_file) as session:
        yield session


def get(session: sync_h2.ClientSession, path: str) -> Any:
    with session.request({":path": path}) as stream:
        return json.load(stream.rfile)


def tunnel(session: sync_h2.ClientSession, name: str) -> sync_h2.ClientStream:
    return session.request({":method": "CONNECT", ":authority": f"{name}:25"})


def converse(stream: sync_h2.ClientStream) -> None:
    """A conversation with whoever sends everything back, to its end."""
    for number in range(5):
        line = b"line %d\n" % number
        stream.write(line)
        assert stream.readline() == line
    stream.end(b"the rest")
    assert stream.read() == b"the rest"
    assert stream.wait_closed() == 0


def test_our_tunnel_to_node(node):
    with tunnel(node, "echo") as stream:
        converse(stream)


def test_our_extended_connect_to_node(node_url, ca_file):
    # The first thing on its connection: it waits until Node's SETTINGS have said that it may.
    with connect(node_url, ca_file) as session:
        with session.request({":method": "CONNECT", ":protocol": "websocket", ":path": "/echo"}) as stream:
            assert stream.wait_response()["x-protocol"] == "websocket"
            converse(stream)
        assert session.remote_settings.enable_connect_protocol is True


def test_node_ends_its_side_first(node):
    with tunnel(node, "half") as stream:
        assert stream.read() == b"my side is done"
        stream.write(b"mine goes on, ")
        stream.end(b"and ends")
        stream.wait_closed()
    eventually(lambda: get(node, "/told") == "mine goes on, and ends")


def test_node_breaks_our_tunnel(node):
    with tunnel(node, "broken") as stream:
        assert stream.read(100) == b"so far"
        # Node ends its side before it resets the stream, so that nothing but the code tells.
        assert stream.wait_closed() == sync_h2.ErrorCode.CONNECT_ERROR
        with pytest.raises(sync_h2.StreamReset, match="CONNECT_ERROR"):
            stream.write(b"to nobody")


def test_node_refuses_our_tunnel(node):
    with tunnel(node, "refused") as stream:
        assert stream.wait_response()[":status"] == "502"
        assert stream.read() == b"unreachable"


def test_we_reset_with_each_code(node):
    for code in RESET_CODES:
        with node.request({":method": "POST", ":path": "/open"}) as stream:
            stream.wait_response()
            stream.close(code)
    eventually(lambda: get(node, "/resets") == RESET_CODES)


def test_custom_settings_with_nodes_server(node_url, ca_file):
    with connect(node_url, ca_file, settings={"custom": {OTHER_CUSTOM: 9, 0xF002: 1}}) as session:
        assert get(session, "/settings")["customSettings"] == {str(OTHER_CUSTOM): 9}
        assert session.remote_settings.custom[CUSTOM] == 7


def test_our_settings_one_after_the_other(node):
    applied: queue.SimpleQueue[int] = queue.SimpleQueue()
    node.settings({}, wait=True)  # the first ones are acknowledged too
    node.on("local_settings", lambda settings: applied.put(settings.initial_window_size))
    sizes = [100_000, 200_000, 300_000, 400_000]
    for size in sizes:
        node.settings({"initial_window_size": size})
    assert [applied.get(timeout=10) for _ in sizes] == sizes
    assert not node.pending_settings_ack
    assert get(node, "/settings")["initialWindowSize"] == sizes[-1]


def test_nodes_settings_one_after_the_other(node):
    assert get(node, "/send-settings/5") == [[number, 65_535 + number] for number in range(1, 6)]
    assert node.remote_settings.initial_window_size == 65_540


def test_pings_to_nodes_server_at_once(node, background: Background):
    payloads = [b"payload%d" % number for number in range(8)]
    pongs = [background(node.ping, payload) for payload in payloads]
    assert [pong.result(10).payload for pong in pongs] == payloads
    assert sorted(get(node, "/pings")) == sorted(payload.decode() for payload in payloads)


def test_pings_from_nodes_server_at_once(node):
    seen: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    node.on("ping", seen.put)
    payloads = [f"payload{number}" for number in range(1, 9)]
    assert get(node, "/send-pings/8") == payloads
    assert [seen.get(timeout=10).decode() for _ in payloads] == payloads


def test_our_goaway_to_nodes_server(node, node_url, ca_file):
    with connect(node_url, ca_file) as leaving:
        leaving.goaway(0, opaque_data=b"we are leaving")
        assert get(node, "/goaway") == [0, "we are leaving"]


def test_a_goaway_with_an_error_from_nodes_server(node_origin, ca_file):
    goaways: queue.SimpleQueue[tuple[int, int, bytes]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[sync_h2.HTTP2Error] = queue.SimpleQueue()
    listeners = {"goaway": lambda *arguments: goaways.put(arguments), "error": ended.put}
    with connect(node_origin, ca_file, listeners=listeners) as session:
        stream = session.request({":path": "/goaway/11"})
        assert stream.read() == b"goodbye"
        assert goaways.get(timeout=10) == (11, 1, b"see you")
        error = ended.get(timeout=10)
    assert isinstance(error, sync_h2.SessionGoaway)
    assert error.code == sync_h2.ErrorCode.ENHANCE_YOUR_CALM
    assert "see you" in str(error)


# -- our server and Node's client


class Served:
    """A server of ours, and what happened to its one session."""

    def __init__(self, certificate: Certificate | None, handler: Handler, **options: Any) -> None:
        self.goaways: list[tuple[int, int, bytes]] = []
        self.pings: list[bytes] = []
        self.settings: list[sync_h2.Settings] = []
        self.local_settings: list[sync_h2.Settings] = []
        self.sessions: list[sync_h2.ServerSession] = []
        options["listeners"] = {"session": self._session}
        if certificate is None:
            self.server = sync_h2.create_server(handler, **options)
            self.url = f"http://127.0.0.1:{self.server.address[1]}"
        else:
            files = {"certfile": str(certificate.certfile), "keyfile": str(certificate.keyfile)}
            self.server = sync_h2.create_secure_server(handler, **files, **options)
            self.url = f"https://localhost:{self.server.address[1]}"
        self.server.start()

    def _session(self, session: sync_h2.ServerSession) -> None:
        self.sessions.append(session)
        session.on("goaway", lambda *arguments: self.goaways.append(arguments))
        session.on("ping", self.pings.append)
        session.on("remote_settings", self.settings.append)
        session.on("local_settings", self.local_settings.append)


@pytest.fixture
def serve(server_certificate: Certificate | None) -> Iterator[Callable[..., Served]]:
    """Serves a handler, with options of `create_server`, until the test's end."""
    servers: list[Served] = []

    def start(handler: Handler, **options: Any) -> Served:
        servers.append(Served(server_certificate, handler, **options))
        return servers[-1]

    yield start
    for served in servers:
        served.server.close()


def echo(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"x-protocol": headers.get(":protocol", "none")})
    for chunk in stream:
        stream.write(chunk)


def test_nodes_tunnel_to_us(serve, ca_file):
    served = serve(echo)
    conversation = {
        "headers": {":method": "CONNECT", ":authority": "far:25"},
        "writes": ["one\n", "two\n"],
        "end": "the rest",
    }
    [outcome] = node_connection_client(served.url, ca_file, tunnels=[conversation])["tunnels"]
    assert (outcome["status"], outcome["text"]) == (200, "one\ntwo\nthe rest")
    assert (outcome["rstCode"], outcome["error"]) == (0, None)


def test_nodes_extended_connect_to_us(serve, ca_file):
    served = serve(echo, settings={"enable_connect_protocol": True})
    headers = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/", ":authority": "far"}
    conversation = {"headers": headers, "writes": ["one\n", "two\n"], "end": "the rest"}
    result = node_connection_client(served.url, ca_file, tunnels=[conversation])
    assert result["remoteSettings"]["enableConnectProtocol"] is True
    [outcome] = result["tunnels"]
    assert (outcome["headers"]["x-protocol"], outcome["text"]) == ("websocket", "one\ntwo\nthe rest")
    assert (outcome["rstCode"], outcome["error"]) == (0, None)


def test_nodes_extended_connect_without_our_leave(serve, ca_file):
    served = serve(echo)
    headers = {":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/", ":authority": "far"}
    result = node_connection_client(served.url, ca_file, tunnels=[{"headers": headers, "end": ""}])
    assert result["remoteSettings"]["enableConnectProtocol"] is False
    assert result["tunnels"][0]["rstCode"] == sync_h2.ErrorCode.PROTOCOL_ERROR


def test_we_end_our_side_first(serve, ca_file):
    rest: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def half(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.end(b"my side is done")
        rest.put(stream.read())

    served = serve(half)
    conversation = {"headers": {":method": "CONNECT", ":authority": "far:25"}, "writes": ["mine: "], "end": "over"}
    [outcome] = node_connection_client(served.url, ca_file, tunnels=[conversation])["tunnels"]
    assert (outcome["text"], outcome["rstCode"]) == ("my side is done", 0)
    assert rest.get(timeout=10) == b"mine: over"


def test_we_break_nodes_tunnel(serve, ca_file):
    def broken(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond()
        stream.write(stream.read(100))
        stream.read(100)
        stream.close(sync_h2.ErrorCode.CONNECT_ERROR)

    served = serve(broken)
    conversation = {"headers": {":method": "CONNECT", ":authority": "far:25"}, "writes": ["so far", "no more"]}
    [outcome] = node_connection_client(served.url, ca_file, tunnels=[conversation])["tunnels"]
    assert (outcome["text"], outcome["rstCode"]) == ("so far", sync_h2.ErrorCode.CONNECT_ERROR)


def test_we_refuse_nodes_tunnel(serve, ca_file):
    def refuse(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond({":status": 502, "content-length": 11})
        stream.end(b"unreachable")

    served = serve(refuse)
    conversation = {"headers": {":method": "CONNECT", ":authority": "far:25"}, "end": ""}
    [outcome] = node_connection_client(served.url, ca_file, tunnels=[conversation])["tunnels"]
    assert (outcome["status"], outcome["text"]) == (502, "unreachable")


def test_node_resets_with_each_code(serve, ca_file):
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def until_reset(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond()
        codes.put(stream.wait_closed())

    served = serve(until_reset)
    resets = [{"path": "/", "code": code} for code in RESET_CODES]
    assert node_connection_client(served.url, ca_file, resets=resets)["resets"] == RESET_CODES
    # Each handler has a thread of its own, and tells when it gets its turn.
    assert sorted(codes.get(timeout=10) for _ in RESET_CODES) == sorted(RESET_CODES)


def test_node_breaks_its_tunnel_to_us(serve, ca_file):
    outcomes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond()
        stream.write(stream.read(100))
        outcomes.put(stream.wait_closed())

    served = serve(handler)
    code = int(sync_h2.ErrorCode.CONNECT_ERROR)
    conversation = {"headers": {":method": "CONNECT", ":authority": "far:25"}, "writes": ["so far"], "abort": code}
    [outcome] = node_connection_client(served.url, ca_file, tunnels=[conversation])["tunnels"]
    assert outcome["text"] == "so far"
    assert outcomes.get(timeout=10) == code


def test_custom_settings_with_nodes_client(serve, ca_file):
    served = serve(echo, settings={"custom": {CUSTOM: 7, 0xF002: 1}})
    job: dict[str, Any] = {"settings": {"customSettings": {OTHER_CUSTOM: 9}}, "customSettings": [CUSTOM]}
    assert node_connection_client(served.url, ca_file, **job)["remoteSettings"]["customSettings"] == {str(CUSTOM): 7}
    assert served.sessions[0].remote_settings.custom[OTHER_CUSTOM] == 9


def test_settings_of_nodes_client_one_after_the_other(serve, ca_file):
    served = serve(echo)
    sizes = [100_000, 200_000, 300_000, 400_000]
    result = node_connection_client(served.url, ca_file, moreSettings=[{"initialWindowSize": size} for size in sizes])
    assert result["acknowledged"] == sizes
    eventually(lambda: [settings.initial_window_size for settings in served.settings][-4:] == sizes)


def test_our_settings_to_nodes_client_one_after_the_other(serve, ca_file):
    sizes = [100_000, 200_000, 300_000, 400_000]

    def change(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        for size in sizes[:-1]:
            stream.session.settings({"initial_window_size": size})
        stream.session.settings({"initial_window_size": sizes[-1]}, wait=True)
        stream.respond()

    served = serve(change)
    tunnels = [{"headers": {":method": "CONNECT", ":authority": "far:25"}, "end": ""}]
    assert node_connection_client(served.url, ca_file, tunnels=tunnels)["tunnels"][0]["status"] == 200
    eventually(lambda: [settings.initial_window_size for settings in served.local_settings][-4:] == sizes)


def test_pings_from_nodes_client_at_once(serve, ca_file):
    served = serve(echo)
    payloads = [f"payload{number}" for number in range(8)]
    assert node_connection_client(served.url, ca_file, pings=payloads)["pings"] == payloads
    eventually(lambda: served.pings == [payload.encode() for payload in payloads])


def test_pings_to_nodes_client_at_once(serve, ca_file, background: Background):
    payloads = [b"payload%d" % number for number in range(8)]

    def ask(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        pongs = [background(stream.session.ping, payload) for payload in payloads]
        stream.end(b" ".join(pong.result(10).payload for pong in pongs))

    served = serve(ask)
    tunnels = [{"headers": {":method": "CONNECT", ":authority": "far:25"}, "end": ""}]
    assert node_connection_client(served.url, ca_file, tunnels=tunnels)["tunnels"][0]["text"].split() == [
        payload.decode() for payload in payloads
    ]


@pytest.mark.parametrize("code", [sync_h2.ErrorCode.NO_ERROR, sync_h2.ErrorCode.ENHANCE_YOUR_CALM])
def test_a_goaway_from_nodes_client(serve, ca_file, code):
    served = serve(echo)
    node_connection_client(served.url, ca_file, goaway=[int(code), "we are leaving"])
    eventually(lambda: served.goaways)
    assert served.goaways[0] == (code, 0, b"we are leaving")


def test_our_goaway_to_nodes_client(serve, ca_file):
    def leave(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond()
        stream.session.goaway(0, stream.id, b"we are leaving")
        stream.end(stream.read())

    served = serve(leave)
    conversation = {"headers": {":method": "CONNECT", ":authority": "far:25"}, "end": "finished"}
    result = node_connection_client(served.url, ca_file, tunnels=[conversation])
    assert result["goaways"][0] == {"code": 0, "lastStreamID": 1, "data": "we are leaving"}
    assert result["tunnels"][0]["text"] == "finished"
