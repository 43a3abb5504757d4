"""WebSockets on HTTP/2 streams (RFC 8441), a server and a client that talk to each other: websocket_echo.py LINE..."""

import math
import sys
from collections.abc import Iterator

import sync_h2

try:
    from wsproto.connection import Connection, ConnectionState, ConnectionType
    from wsproto.events import CloseConnection, Ping, TextMessage
except ImportError:
    sys.exit("WebSocket frames are made and read by the package wsproto. To get it: pip install wsproto")


class WebSocket:
    """Text messages, both ways, on a stream whose CONNECT was answered with 200."""

    def __init__(self, stream: sync_h2.Stream, role: ConnectionType) -> None:
        self.stream = stream
        self.protocol = Connection(role)

    def send(self, text: str) -> None:
        self.stream.write(self.protocol.send(TextMessage(text)))

    def close(self) -> None:
        self.stream.write(self.protocol.send(CloseConnection(1000)))

    def __iter__(self) -> Iterator[str]:
        """The other side's messages, until one side closes."""
        text = ""
        while data := self.stream.read(64 * 1024, timeout=math.inf):
            self.protocol.receive_data(data)
            for event in self.protocol.events():
                if isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished:
                        yield text
                        text = ""
                elif isinstance(event, Ping):
                    self.stream.write(self.protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    if self.protocol.state is ConnectionState.REMOTE_CLOSING:
                        self.stream.write(self.protocol.send(event.response()))
                    self.stream.end()


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    if headers.get(":protocol") != "websocket":
        stream.respond({":status": 400}, end_stream=True)
        return
    stream.respond()
    websocket = WebSocket(stream, ConnectionType.SERVER)
    for text in websocket:
        websocket.send(text.upper())


# Without this setting, no client may ask.
settings = {"enable_connect_protocol": True}
with sync_h2.create_server(handler, settings=settings) as server, sync_h2.connect(server.url) as session:
    stream = session.request(
        {":method": "CONNECT", ":protocol": "websocket", ":path": "/chat", "sec-websocket-version": "13"}
    )
    print("answer:", stream.wait_response()[":status"])
    websocket = WebSocket(stream, ConnectionType.CLIENT)
    messages = iter(websocket)
    for line in sys.argv[1:]:
        websocket.send(line)
        print(line, "->", next(messages))
    websocket.close()
    print("closed" if next(messages, None) is None else "more?")
